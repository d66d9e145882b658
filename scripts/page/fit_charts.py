"""What a sweep fitted at its end: the suppression factor Λ and the threshold of each curve."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scripts.page.figures import Axis, Bars, Chart, Curve, Figure, Line, Table
from scripts.page.ler_charts import note_on, scale_of

if TYPE_CHECKING:
    from decoders.evaluate import Row
    from scripts.page.run_files import Counted

# The parts of a curve's label: what belongs together though there are spaces in it.
_PART = re.compile(r"rounds = (?:[\d.e+-]+ )?d|\d+ rounds?|q=(?:[\d.e+-]+ )?p|\S+")
_STRENGTH = re.compile(r"p=([\d.e+-]+)")
_MOST_BARS = 40


@dataclasses.dataclass(frozen=True)
class Fit:
    """One fitted curve: the parts of its label, and those that not all curves share."""

    parts: tuple[str, ...]
    own: tuple[str, ...]
    found: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What tells it apart from the others."""
        return " ".join(self.own) or self.parts[-1]

    @property
    def p(self) -> float | None:
        """The strength of the noise, where the curve is one of a single strength."""
        matches = [_STRENGTH.fullmatch(part) for part in self.parts]
        return next((float(match[1]) for match in matches if match), None)


def fits(found: Counted, kind: str) -> list[Fit]:
    """The fits of a kind ("suppression", "thresholds") that the run has, each with its name."""
    entries = (found.result or {}).get(kind, [])
    labels = [tuple(_PART.findall(entry["curve"])) for entry in entries]
    shared = set.intersection(*map(set, labels)) if labels else set()
    return [
        Fit(parts, tuple(part for part in parts if part not in shared), entry)
        for parts, entry in zip(labels, entries, strict=True)
    ]


def fit_figures(found: Counted) -> list[Figure]:
    """Λ as bars or against p, each threshold with its collapse, and both as tables."""
    factors = [fit for fit in fits(found, "suppression") if fit.found["value"] is not None]
    figures: list[Figure] = [_suppression(found, factors)] if factors else []
    for fit in fits(found, "thresholds"):
        if fit.found["value"] is not None:
            figures += _threshold(found, fit)
    tables = [_table(found, "suppression", "Λ"), _table(found, "thresholds", "threshold")]
    return [*figures, *(table for table in tables if table.rows)]


def fit_words(found: Counted) -> list[str]:
    """The largest Λ and every threshold, in a sentence each."""
    factors = [fit for fit in fits(found, "suppression") if fit.found["value"] is not None]
    said = []
    if factors:
        best = max(factors, key=lambda fit: fit.found["value"])
        said.append(_factor_words(best, of_several=len(factors) > 1))
    for fit in fits(found, "thresholds"):
        if fit.found["value"] is None:
            said.append(f"No threshold of {fit.name}: {fit.found['reason']}.")
            continue
        said.append(f"The threshold of {fit.name} is p = {_interval(fit.found)}.")
        drift, error = fit.found.get("drift"), fit.found.get("drift_standard_error")
        if drift is not None and error is not None:
            said[-1] += (f" It moves by {drift:+.2g} ± {error:.1g} when the smallest distance is "
                         "left out.")  # fmt: skip
    return said


def _factor_words(fit: Fit, *, of_several: bool) -> str:
    low, high = fit.found["interval"]
    means = "more distance helps" if low > 1 else (
        "more distance harms" if high < 1 else "one cannot tell yet whether more distance helps"
    )  # fmt: skip
    largest = "The largest suppression" if of_several else "The suppression"
    return (f"{largest} Λ is {_interval(fit.found)} ({fit.name}): by that factor the logical "
            f"error rate a round falls when the distance grows by two; {means}.")  # fmt: skip


def _interval(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.4g} [{low:.4g}, {high:.4g}]"


# Λ ------------------------------------------------------------------------------------------------


def _suppression(found: Counted, factors: Sequence[Fit]) -> Figure:
    caption = (f"Λ = ε(d) / ε(d + 2), of the logical error rates a round; {found.percent} "
               f"intervals, seed {found.seed}. Above 1 more distance helps.")  # fmt: skip
    strengths = [fit.p for fit in factors if fit.p is not None]
    if len(set(strengths)) > 1 and len(strengths) == len(factors):
        return Chart(
            "Suppression of errors by distance",
            caption,
            Axis("physical error rate p", scale_of(strengths)),
            Axis("Λ", low=0.0),
            list(_along_p(factors)),
            lines=[Line("y", 1.0, "Λ = 1")],
        )
    shown = factors[:_MOST_BARS]
    low, high = zip(*(fit.found["interval"] for fit in shown), strict=True)
    return Bars("Suppression of errors by distance", caption, Axis("Λ", low=0.0),
                [fit.name for fit in shown], [fit.found["value"] for fit in shown],
                low, high)  # fmt: skip


def _along_p(factors: Sequence[Fit]) -> Iterator[Curve]:
    """Λ against p, a curve for all that is the same but p."""
    curves: dict[str, list[Fit]] = {}
    for fit in factors:
        rest = [part for part in fit.own if not _STRENGTH.fullmatch(part)]
        curves.setdefault(" ".join(rest) or fit.parts[-1], []).append(fit)
    for name, members in curves.items():
        ordered = sorted(members, key=lambda fit: fit.p or 0.0)
        low, high = zip(*(fit.found["interval"] for fit in ordered), strict=True)
        yield Curve(name, [fit.p for fit in ordered], [fit.found["value"] for fit in ordered],
                    low, high)  # fmt: skip


# Thresholds ---------------------------------------------------------------------------------------


def _threshold(found: Counted, fit: Fit) -> list[Chart]:
    """The crossing, and the collapse: with the fitted ν all distances lie on one line."""
    rows = [row for row in found.rows if belongs(row, fit.parts) and row.shots]
    if not rows:
        return []
    at, (low, high), nu = fit.found["value"], fit.found["interval"], fit.found["nu"]
    lines = [Line("x", at, f"p_th = {at:.4g}"), Line("x", low, ""), Line("x", high, "")]
    rate = Axis("logical error rate a shot")
    origin = f"Bands and bars: {found.percent} intervals; seed {found.seed}; {fit.parts[-1]}."
    crossing = Chart(
        f"Threshold: {fit.name}",
        f"The lines are the threshold and the ends of its {found.percent} interval. {origin}",
        Axis("physical error rate p"),
        rate,
        _by_distance(rows, lambda row: row.point.p),
        lines,
    )
    collapse = Chart(
        f"Collapse: {fit.name}",
        f"With ν = {nu:.3g} ± {fit.found['nu_standard_error']:.1g} all distances should lie on one "
        f"line near 0; χ²/dof = {fit.found['chi2_per_dof']:.2g}. {origin}",
        Axis("(p − p_th) d^(1/ν)"),
        rate,
        _by_distance(rows, lambda row: _scaled(row, at, nu)),
    )
    return [crossing, collapse]


def _scaled(row: Row, at: float, nu: float) -> float:
    return ((row.point.p or math.nan) - at) * (row.point.distance or 0) ** (1 / nu)


def _by_distance(rows: Sequence[Row], x_of: Any) -> list[Curve]:
    curves = []
    for distance in sorted({row.point.distance or 0 for row in rows}):
        own = sorted((row for row in rows if row.point.distance == distance), key=x_of)
        low, high = zip(*(row.interval for row in own), strict=True)
        curves.append(Curve(f"d = {distance}", [x_of(row) for row in own],
                            [row.ler for row in own], low, high,
                            notes=[note_on(row) for row in own]))  # fmt: skip
    return curves


def belongs(row: Row, parts: Sequence[str]) -> bool:
    """Whether a row is of the threshold's curve with these parts of its label."""
    point = row.point
    said = [point.code, point.basis or "", str(point.noise.get("noise", "")), row.decoder,
            *(f"{key}={value}" for key, value in point.noise.items()
              if key not in ("noise", "p", "q"))]  # fmt: skip
    words = {part for text in said for part in _PART.findall(text)}
    rest = [part for part in parts if part not in words]
    if words - set(parts):
        return False
    return all(_is_tied(row, part) for part in rest)


def _is_tied(row: Row, part: str) -> bool:
    """Whether a row follows a part that says how one number goes with another."""
    distance, rounds, noise = row.point.distance or 0, row.point.rounds or 0, row.point.noise
    if fixed := re.fullmatch(r"(\d+) rounds?", part):
        return rounds == int(fixed[1])
    if grows := re.fullmatch(r"rounds = (?:(\S+) )?d", part):
        return math.isclose(rounds, float(grows[1] or 1) * distance, rel_tol=1e-5)
    if follows := re.fullmatch(r"q=(?:(\S+) )?p", part):
        tied = float(follows[1] or 1) * noise.get("p", 0)
        return math.isclose(noise.get("q", 0), tied, rel_tol=1e-5)
    if held := re.fullmatch(r"q=(\S+)", part):
        return math.isclose(noise.get("q", 0), float(held[1]), rel_tol=1e-5)
    return False


# Tables -------------------------------------------------------------------------------------------


def _table(found: Counted, kind: str, name: str) -> Table:
    rows = []
    for fit in fits(found, kind):
        one = fit.found
        if one["value"] is None:
            rows.append((fit.name, "–", "", "", one["reason"]))
            continue
        low, high = one["interval"]
        rows.append((fit.name, f"{one['value']:.4g}", f"[{low:.4g}, {high:.4g}]", _chi2(one), ""))
    head = ["curve", name, "interval", "χ²/dof", "why not"]
    caption = f"Intervals of {found.percent}, seed {found.seed}."
    if not any(row[4] for row in rows):
        head, rows = head[:4], [row[:4] for row in rows]
    return Table("Suppression factors" if kind == "suppression" else "Thresholds", caption, head,
                 rows)  # fmt: skip


def _chi2(one: Mapping[str, Any]) -> str:
    if "chi2_per_dof" in one:
        return f"{one['chi2_per_dof']:.2g}"
    degrees = one["degrees_of_freedom"]
    return f"{one['chi2'] / degrees:.2g}" if degrees else "–"

"""The pictures of a sweep: which ones its rows have something for, and what each is called."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from scripts.report.figures import draw_ler_against_p, draw_pareto
from scripts.report.fits import draw_lambda, draw_threshold
from scripts.report.rows import (
    Family,
    families,
    lambda_curve,
    ler_points,
    noise_text,
    time_point,
)

if TYPE_CHECKING:
    from decoders.conclude import Conclusion
    from decoders.evaluate import Row
    from decoders.timing import DecodeTimes

# Below so many errors a decoder's place in a picture of accuracy is luck.
_ENOUGH_ERRORS = 10


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a sweep has to show: rows, single-shot times (by the row's index), fits, its seed."""

    rows: Sequence[Row]
    times: Mapping[int, DecodeTimes]
    suppression: Sequence[Conclusion]
    thresholds: Sequence[Conclusion]
    seed: int


def draw_sweep(sweep: Sweep, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draws all pictures of a sweep into a folder; returns the light PNG files.

    A family of rows (code, basis, noise) gets `ler` where it has two or more p, `lambda` where it
    has two or more distances, a `threshold` for each decoder fitted, and `pareto` where decoders
    were timed. With several families their names stand behind: `ler-repetition-z-si1000.png`.
    """
    drawn: list[pathlib.Path] = []
    groups = families(sweep.rows)
    for family in groups:
        suffix = f"-{family.slug}" if len(groups) > 1 else ""
        drawn += _draw_ler(sweep, family, folder / f"ler{suffix}")
        drawn += _draw_lambda(sweep, family, folder / f"lambda{suffix}")
        drawn += _draw_thresholds(sweep, family, folder / f"threshold{suffix}")
        drawn += _draw_pareto(sweep, family, folder / f"pareto{suffix}")
    return drawn


def _draw_ler(sweep: Sweep, family: Family, target: pathlib.Path) -> list[pathlib.Path]:
    rows = [row for row in family.rows if row.point.p and row.shots]
    if len({row.point.p for row in rows}) < 2:
        return []
    per_round = all(row.point.rounds for row in rows)
    points = ler_points(rows, seed=sweep.seed, per_round=per_round)
    return draw_ler_against_p(points, target, title=family.title, per_round=per_round)[:1]


def _draw_lambda(sweep: Sweep, family: Family, target: pathlib.Path) -> list[pathlib.Path]:
    curves = [
        lambda_curve(conclusion, seed=sweep.seed)
        for conclusion in sweep.suppression
        if _belongs(conclusion, family)
    ]
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return []
    return draw_lambda(curves, target, title=f"Error suppression: {family.title}")[:1]


def _draw_thresholds(sweep: Sweep, family: Family, target: pathlib.Path) -> Iterator[pathlib.Path]:
    from decoders.threshold import ThresholdFit

    for conclusion in sweep.thresholds:
        if _belongs(conclusion, family) and isinstance(conclusion.fit, ThresholdFit):
            decoder = conclusion.curve.decoder
            yield draw_threshold(
                conclusion.fit,
                target.with_name(f"{target.name}-{_file_name(decoder)}"),
                title=f"Threshold: {family.title}",
                decoder=decoder,
                seed=sweep.seed,
            )[0]


def _file_name(decoder: str) -> str:
    """A decoder's name as part of a file's name, also that of the user's own `module:name`."""
    return "".join(c if c.isalnum() or c in ".-_" else "-" for c in decoder)


def _belongs(conclusion: Conclusion, family: Family) -> bool:
    curve = conclusion.curve
    return (curve.code, curve.basis, noise_text(curve.noise)) == (
        family.code,
        family.basis,
        family.noise,
    )


def _draw_pareto(sweep: Sweep, family: Family, target: pathlib.Path) -> list[pathlib.Path]:
    """Accuracy against time at one point of the family: of those timed, the most telling one."""
    times = {id(sweep.rows[k]): measured for k, measured in sweep.times.items()}
    timed = [row for row in family.rows if id(row) in times and row.shots]
    if not timed:
        return []
    largest = max(row.point.distance or 0 for row in timed)
    by_point: dict[tuple[float, int, str], list[Row]] = {}
    for row in timed:
        if (row.point.distance or 0) == largest:
            name = row.point.recorded.name if row.point.recorded else ""
            by_point.setdefault((row.point.p or 0.0, row.point.rounds or 0, name), []).append(row)
    # The smallest p at which every decoder erred often enough; else where they erred most.
    enough = [
        key
        for key, rows in sorted(by_point.items())
        if min(row.errors + row.declined for row in rows) >= _ENOUGH_ERRORS
    ]
    p, rounds, name = key = enough[0] if enough else max(by_point)
    points = [time_point(row, times[id(row)], seed=sweep.seed) for row in by_point[key]]
    if len(points) < 2:  # nothing to weigh
        return []
    place = [
        f"d = {largest}" * bool(largest),
        f"{rounds} rounds" * bool(rounds),
        f"p = {p:g}" * bool(p),
        name,
    ]
    title = ", ".join(filter(None, [f"Accuracy against time: {family.title}", *place]))
    return draw_pareto(points, target, title=title)[:1]

"""Tables for the terminal, and the JSON that says the same."""

from __future__ import annotations

import csv
import io
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from decoders.compare import Comparison, Pair
from decoders.conclude import Conclusion
from decoders.evaluate import Row
from decoders.rare import RareEstimate
from decoders.statistics import LambdaFit
from decoders.threshold import ThresholdFit
from decoders.timing import DecodeTimes
from scripts.report.rows import noise_text


def rate(value: float) -> str:
    """A rate as people read it: 1.23e-02."""
    return "-" if math.isnan(value) else f"{value:.3g}" if value >= 0.1 else f"{value:.2e}"


def seconds(value: float) -> str:
    """A time a shot with its unit."""
    for size, unit in ((1e-6, "µs"), (1e-3, "ms")):
        if value < 1000 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} s"


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of text under their header, numbers to the right."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(header))]
    left = [not any(row[k][:1].isdigit() for row in table[1:]) for k in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def interval_text(row: Row) -> str:
    """The interval; with no error seen, the upper bound that the shots give."""
    low, high = row.interval
    if row.shots and row.is_bound:
        return f"< {rate(high)}"
    return f"[{rate(low)}, {rate(high)}]"


def ler_table(rows: Sequence[Row], times: Mapping[int, DecodeTimes] | None = None) -> str:
    """The table of `evaluate` and `compare`: what all rows share stands above, nothing is empty.

    `times` are single-shot decode times by the row's index.
    """
    said = {
        "code": [row.point.code for row in rows],
        "basis": [_blank(row.point.basis) for row in rows],
        "noise": [noise_text(row.point.noise) for row in rows],
        "experiment": [row.point.recorded.name if row.point.recorded else "" for row in rows],
    }
    shared = [cells[0] for cells in said.values() if len(set(cells)) == 1 and cells[0]]
    columns = {
        **{name: cells for name, cells in said.items() if len(set(cells)) > 1},
        "d": [_blank(row.point.distance) for row in rows],
        "rounds": [_blank(row.point.rounds) for row in rows],
        "p": [_blank(row.point.p) for row in rows],
        "decoder": [row.decoder for row in rows],
        "shots": [f"{row.shots:,}" for row in rows],
        "errors": [f"{row.errors:,}" for row in rows],
        "declined": [f"{row.declined:,}" for row in rows],
        "LER a shot": [rate(row.ler) for row in rows],
        "by": [row.method for row in rows] if any(row.estimate for row in rows) else [],
        f"{round(rows[0].confidence * 100, 3):g} % interval": [interval_text(row) for row in rows],
        "LER a round": [rate(row.per_round[0]) if row.per_round else "" for row in rows],
        **_time_columns(rows, times or {}),
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    lines = [aligned(list(kept), zip(*kept.values(), strict=True))]
    return "\n".join([", ".join(shared), *lines] if shared else lines)


def fit_table(name: str, found: Sequence[Conclusion]) -> str:
    """Fitted values (Λ or thresholds) by curve; what all curves share is left out."""
    columns = {
        "code": [one.curve.code for one in found],
        "basis": [_blank(one.curve.basis) for one in found],
        "noise": [noise_text(one.curve.noise) for one in found],
        "rounds": [one.curve.rounds for one in found],
        "p": [_blank(one.curve.noise.get("p")) for one in found],
        "decoder": [one.curve.decoder for one in found],
    }
    kept = {key: cells for key, cells in columns.items() if key == "decoder" or len(set(cells)) > 1}
    kept |= {key: [] for key in (name, "interval", "χ²/dof", "points")}
    for one in found:
        fit = one.fit
        if isinstance(fit, ThresholdFit):
            value, chi2 = fit.p_threshold, fit.chi2_per_dof
            points = f"{len(fit.used)}/{len(one.rows)}"
        elif isinstance(fit, LambdaFit):
            value, points = fit.value, str(len(one.rows))
            chi2 = fit.chi2 / fit.degrees_of_freedom if fit.degrees_of_freedom else math.nan
        else:
            raise ValueError(f"{one.curve.label()} has no fit")
        low, high = fit.interval
        kept[name].append(f"{value:.4g}")
        kept["interval"].append(f"[{low:.4g}, {high:.4g}]")
        kept["χ²/dof"].append("-" if math.isnan(chi2) else f"{chi2:.2g}")
        kept["points"].append(points)
    return aligned(list(kept), zip(*kept.values(), strict=True))


def rare_table(rows: Sequence[Row]) -> str:
    """The rare-event estimates; what speaks against one stands below the table."""
    header = ("d", "rounds", "p", "decoder", "LER a shot", "rel. error", "replicates",
              "decoded shots", "counting would take")  # fmt: skip
    estimates = [(row, row.estimate) for row in rows if row.estimate]
    cells = [
        (
            _blank(row.point.distance),
            _blank(row.point.rounds),
            _blank(row.point.p),
            row.decoder,
            rate(row.ler),
            f"{100 * row.relative_standard_error:.1f} %",
            str(estimate.replicates),
            f"{estimate.decoded_shots:,}",
            rate(direct_shots(estimate)),
        )
        for row, estimate in estimates
    ]
    warnings = [
        f"warning, d={row.point.distance} p={row.point.p} {row.decoder}: {warning}"
        for row, estimate in estimates
        for warning in estimate.warnings
    ]
    return "\n".join([aligned(header, cells), *warnings])


def direct_shots(estimate: RareEstimate) -> float:
    """Shots that direct sampling would take to the same relative standard error, (1-P)/(P r²)."""
    if not estimate.ler or not estimate.relative_standard_error:
        return math.nan
    return (1 - estimate.ler) / (estimate.ler * estimate.relative_standard_error**2)


def _time_columns(rows: Sequence[Row], times: Mapping[int, DecodeTimes]) -> dict[str, list[str]]:
    """Batched and, where they were measured, single-shot decode times."""
    if not times:
        return {
            "decode a shot": [
                "" if row.is_published else seconds(row.seconds_per_shot) for row in rows
            ]
        }
    timed = [times.get(k) for k in range(len(rows))]
    return {
        "batched": [seconds(one.batched_seconds_per_shot) if one else "" for one in timed],
        "single shot": [seconds(one.single_median_seconds) if one else "" for one in timed],
        "99 % within": [seconds(one.single_p99_seconds) if one else "" for one in timed],
        "single, a round": [
            seconds(one.single_median_seconds / row.point.rounds)
            if one and row.point.rounds
            else ""
            for row, one in zip(rows, timed, strict=True)
        ],
    }


def pair_table(pairs: Sequence[Pair]) -> str:
    """Every pair of a comparison, with a verdict only where p < 0.01."""
    rows = [
        (
            f"{pair.a} - {pair.b}",
            f"{pair.difference:+.2e}",
            f"[{pair.interval[0]:+.2e}, {pair.interval[1]:+.2e}]",
            f"{pair.only_a_failed:,}",
            f"{pair.only_b_failed:,}",
            f"{pair.p_value:.2g}",
            verdict(pair),
        )
        for pair in pairs
    ]
    header = ("a - b", "difference of LER", "interval", "only a failed", "only b failed",
              "p-value", "verdict at p < 0.01")  # fmt: skip
    return aligned(header, rows)


def verdict(pair: Pair) -> str:
    """Who is better, where the shots can tell."""
    if pair.p_value >= 0.01:
        return "not told apart"
    return f"{pair.a if pair.difference < 0 else pair.b} is better"


def row_json(row: Row) -> dict[str, Any]:
    """One row as JSON; the names are a promise to the outside."""
    low, high = row.interval
    per_round = row.per_round
    return {
        "shots": row.shots,
        "errors": row.errors,
        "declined": row.declined,
        "ler": None if math.isnan(row.ler) else row.ler,
        "interval": [low, high],
        "ler_per_round": per_round[0] if per_round else None,
        "interval_per_round": list(per_round[1:]) if per_round else None,
        "ler_by_observable": [errors / row.shots for errors in row.observable_errors]
        if row.shots
        else [],
        "seconds_per_shot": None if row.is_published else row.seconds_per_shot,
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON; the names are a promise to the outside."""
    return {
        "decoders": {row.decoder: row_json(row) for row in comparison.rows},
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                "difference": pair.difference,
                "interval": list(pair.interval),
                "p_value": pair.p_value,
                "only_a_failed": pair.only_a_failed,
                "only_b_failed": pair.only_b_failed,
                "both_failed": pair.both_failed,
            }
            for pair in comparison.pairs
        ],
        "notes": list(comparison.notes),
    }


def write_csv(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same keys as a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def _blank(value: object) -> str:
    return "" if value is None else str(value)

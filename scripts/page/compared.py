"""The report of `syndrift compare`: every decoder on the same shots, every pair of them."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scripts.page.figures import Axis, Bars, Figure, Section, Table
from scripts.page.pareto_charts import pareto_charts, place
from scripts.page.run_files import Counted, compared, read_config
from scripts.report.figures import notes_on
from scripts.report.rows import time_point

if TYPE_CHECKING:
    from decoders.compare import Pair
    from decoders.evaluate import Row

_SIGNIFICANT = 0.01  # as the command's own verdict has it


def title(folder: pathlib.Path) -> str:
    """The heading: on what the decoders are compared."""
    config = read_config(folder)
    given = config.get("code") or config.get("circuit") or config.get("data")
    if not given:
        return "Decoders on the same shots"
    distance = f", distance {config['distance']}" if "distance" in config else ""
    return f"Decoders on the same shots: {pathlib.Path(given).stem}{distance}"


def sections(folder: pathlib.Path) -> list[Section]:
    """What was found, the rates, every pair, accuracy against time."""
    found = compared(folder)
    rows = [row for row in found.rows if row.shots]
    found = dataclasses.replace(found, rows=rows)
    if not rows:
        return [Section("No shots yet", ["The run has not decoded a shot so far, or its counts "
                                         "cannot be read."])]  # fmt: skip
    pairs = _pairs(found)
    rates = Section("Logical error rates", words(found, pairs), [_bars(found), _table(found)])
    judged = Section(
        "Every pair on the same shots",
        ["A pair's difference is that of two rates on the same shots, which tells more than two "
         "intervals: what both failed on is no difference. The p-value is McNemar's exact test."],
        [_differences(found, pairs), _pair_table(found, pairs)],
    )  # fmt: skip
    points = [time_point(row, None, seed=found.seed) for row in rows]
    speed = Section(
        "Accuracy against time",
        ["Times are means over the batches that were decoded here, other work beside them."],
        pareto_charts(points, place(rows[0])),
    )
    return [rates, *([judged] if pairs else []), *([speed] if speed.figures else [])]


def _pairs(found: Counted) -> list[Pair]:
    from decoders.compare import Pair

    entries = (found.result or {}).get("pairs", [])
    return [Pair(**{**one, "interval": tuple(one["interval"])}) for one in entries]


# Words --------------------------------------------------------------------------------------------


def words(found: Counted, pairs: Sequence[Pair]) -> list[str]:
    """Who errs least, and who is better than whom: only where p < 0.01."""
    rows = sorted(found.rows, key=lambda row: row.ler)
    best = rows[0]
    declined = f", {best.declined:,} of them declined" if best.declined else ""
    least = "The fewest errors has" if len(rows) > 1 else "There is one decoder,"
    said = [f"At {place(best)}, seed {found.seed}." if best.point.code else "",
            f"{least} {best.decoder}: {best.errors + best.declined:,} of {best.shots:,} shots "
            f"failed{declined}."]  # fmt: skip
    if found.result is None:
        said.append("The run is under way, or was stopped; pairs are judged at its end.")
    elif len(rows) > 1:
        said.append(_verdicts(best, rows[1:], pairs))
    notes = [f"Note: {note}." for note in (found.result or {}).get("notes", [])]
    return [" ".join(filter(None, said)), *notes]


def _verdicts(best: Row, others: Sequence[Row], pairs: Sequence[Pair]) -> str:
    """From whom the best is told apart, each with its p-value."""
    by_names = {frozenset((pair.a, pair.b)): pair for pair in pairs}
    better, alike = [], []
    for row in others:
        pair = by_names.get(frozenset((best.decoder, row.decoder)))
        if pair is None:
            continue
        told = f"{row.decoder} (p = {pair.p_value:.2g})"
        (better if is_better(pair, best.decoder) else alike).append(told)
    said = [f"It is better than {_listed(better)}."] if better else []
    if alike:
        said.append(f"These shots do not tell it apart from {_listed(alike)}.")
    return " ".join(said)


def is_better(pair: Pair, name: str) -> bool:
    """Whether the shots say that this one of a pair errs less often than the other."""
    difference = pair.difference if name == pair.a else -pair.difference
    return difference < 0 and pair.p_value < _SIGNIFICANT


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# Figures ------------------------------------------------------------------------------------------


def _origin(found: Counted) -> str:
    shots = max(row.shots for row in found.rows)
    notes = "".join(f" {note}." for note in notes_on(row.decoder for row in found.rows))
    return (
        f"{shots:,} shots, the same for all, seed {found.seed}; {found.percent} intervals.{notes}"
    )


def _bars(found: Counted) -> Bars:
    rows = sorted(found.rows, key=lambda row: row.ler, reverse=True)
    return Bars(
        "Logical error rate a shot",
        f"Shorter is better. {_origin(found)}",
        Axis("logical error rate a shot", low=0.0),
        [row.decoder for row in rows],
        [row.ler for row in rows],
        [row.interval[0] for row in rows],
        [row.interval[1] for row in rows],
    )


def _differences(found: Counted, pairs: Sequence[Pair]) -> Figure:
    return Bars(
        "Difference of the logical error rates",
        "LER(a) − LER(b): to the left of 0 a is better; an interval over 0 tells nothing. "
        f"{_origin(found)}",
        Axis("LER(a) − LER(b)"),
        [f"{pair.a} − {pair.b}" for pair in pairs],
        [pair.difference for pair in pairs],
        [pair.interval[0] for pair in pairs],
        [pair.interval[1] for pair in pairs],
        parts=["p < 0.01" if pair.p_value < _SIGNIFICANT else "not told apart" for pair in pairs],
    )


def _table(found: Counted) -> Table:
    from scripts.table import rate, seconds

    columns: Mapping[str, list[Any]] = {
        "decoder": [row.decoder for row in found.rows],
        "shots": [f"{row.shots:,}" for row in found.rows],
        "errors": [f"{row.errors:,}" for row in found.rows],
        "declined": [f"{row.declined:,}" for row in found.rows],
        "LER a shot": [rate(row.ler) for row in found.rows],
        "at least": [rate(row.interval[0]) for row in found.rows],
        "at most": [rate(row.interval[1]) for row in found.rows],
        "LER a round": [rate(row.per_round[0]) if row.per_round else "" for row in found.rows],
        "decode a shot": [seconds(row.seconds_per_shot) if row.seconds_per_shot else ""
                          for row in found.rows],
    }  # fmt: skip
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    return Table("Decoders", _origin(found), list(kept), list(zip(*kept.values(), strict=True)))


def _pair_table(found: Counted, pairs: Sequence[Pair]) -> Table:
    from scripts.table import verdict

    rows = [
        (f"{pair.a} − {pair.b}", f"{pair.difference:+.2e}",
         f"[{pair.interval[0]:+.2e}, {pair.interval[1]:+.2e}]", f"{pair.p_value:.2g}",
         f"{pair.only_a_failed:,}", f"{pair.only_b_failed:,}", f"{pair.both_failed:,}",
         verdict(pair))
        for pair in pairs
    ]  # fmt: skip
    head = ["a − b", "difference", "interval", "p-value", "only a failed", "only b failed",
            "both failed", "verdict at p < 0.01"]  # fmt: skip
    return Table("Pairs", _origin(found), head, rows)

"""The report of `syndrift evaluate`: rates over what is swept, fits, accuracy against time."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scripts.page.figures import Section, Table
from scripts.page.fit_charts import fit_figures, fit_words
from scripts.page.ler_charts import ler_figures
from scripts.page.pareto_charts import pareto_charts, place, telling
from scripts.page.run_files import Counted, evaluated, read_config
from scripts.report.rows import Family, families, time_point

if TYPE_CHECKING:
    from decoders.evaluate import Row

_FITS = (
    "Λ says by what factor the logical error rate a round falls when the distance grows by two: "
    "above 1 a larger code is a better one. Below the threshold in p that is so, above it is not."
)
_OWN = ("noise", "p")  # what of a noise has a column of its own whatever its settings
_MOST_FAMILIES = 4  # of which there are sentences, and pictures of time


def title(folder: pathlib.Path) -> str:
    """The heading: the recipe's own title."""
    return read_config(folder).get("title") or "Logical error rates"


def sections(folder: pathlib.Path) -> list[Section]:
    """What was found, the rates, the fits, accuracy against time, and all counts."""
    found = evaluated(folder)
    rows = [row for row in found.rows if row.shots]
    if not rows:
        return [Section("No shots yet", ["The run has not counted a shot so far, or its counts "
                                         "cannot be read."])]  # fmt: skip
    found_words = [*words(found), *fit_words(found)]
    rates = Section("Logical error rates", found_words, ler_figures(rows, seed=found.seed))
    fits = Section("Error suppression and thresholds", [_FITS], fit_figures(found))
    speed = Section("Accuracy against time", _timed_words(found), list(_pareto(found)))
    all_counts = Section("All counts", figures=[counts_table(found)])
    optional = [fits] * bool(fits.figures) + [speed] * bool(speed.figures)
    return [rates, *optional, all_counts]


# Words --------------------------------------------------------------------------------------------


def words(found: Counted) -> list[str]:
    """What the numbers say, in sentences."""
    state = [] if found.result is not None else [
        "The run is under way, or was stopped: these are the shots counted so far. Fits, times of "
        "single shots and rare-event estimates come at its end."
    ]  # fmt: skip
    groups = families(found.rows)
    told = [_best(family, telling(family.rows)) for family in groups[:_MOST_FAMILIES]]
    left = len(groups) - _MOST_FAMILIES
    more = [f"Rates of {left} more noises or bases are in the figures."] if left > 0 else []
    return [*state, *filter(None, told), *more]


def _best(family: Family, rows: Sequence[Row]) -> str:
    """Who errs least at the largest distance, by how much, and whether one can tell."""
    if not rows:
        return ""
    best, *others = sorted(rows, key=lambda row: row.interval[1] if row.is_bound else row.ler)
    where = f"{family.title}: at {there}" if (there := place(best, with_code=False)) \
        else family.title  # fmt: skip
    if best.is_bound:
        return (f"{where}, {best.decoder} failed on none of {best.shots:,} shots: its logical "
                f"error rate a shot is below {best.interval[1]:.2g}.")  # fmt: skip
    least = "errs least, with" if others else "has"
    return (f"{where}, {best.decoder} {least} a logical error rate a shot of {rate_text(best)}."
            f"{_beside(best, others)}")  # fmt: skip


def _beside(best: Row, others: Sequence[Row]) -> str:
    """The next decoders, and from which of them the intervals set the best apart."""
    if not others:
        return ""
    apart = [row.decoder for row in others if row.interval[0] > best.interval[1]]
    near = [row.decoder for row in others if row.decoder not in apart]
    following, last = others[0], others[-1]
    said = f" {following.decoder} errs {following.ler / best.ler:.2f} times as often"
    said += f", {last.decoder} {last.ler / best.ler:.2f} times." if last is not following else "."
    if apart:
        said += f" The intervals set it apart from {_listed(apart)}."
    if near:
        said += (f" Its interval overlaps {'those' if len(near) > 1 else 'that'} of "
                 f"{_listed(near)}: these counts do not tell them apart, as a comparison shot by "
                 "shot may (syndrift compare).")  # fmt: skip
    return said


def rate_text(row: Row) -> str:
    """A rate with its interval, as a sentence says it."""
    low, high = row.interval
    return f"{row.ler:.3g} [{low:.3g}, {high:.3g}]"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# Accuracy against time ----------------------------------------------------------------------------


def _pareto(found: Counted) -> Iterator[Any]:
    times = {id(found.rows[k]): measured for k, measured in found.times.items()}
    groups = families(found.rows)[:_MOST_FAMILIES]
    for family in groups:
        timed = [row for row in family.rows if id(row) in times or not found.times]
        shown = telling(timed)
        points = [time_point(row, times.get(id(row)), seed=found.seed) for row in shown]
        if points:
            yield from pareto_charts(points, place(shown[0]), is_alone=len(groups) == 1)


def _timed_words(found: Counted) -> list[str]:
    if found.times:
        return ["Timed on one core with nothing beside it; each point is a decoder."]
    return ["Times are means over the batches that were decoded while counting, other work beside "
            "them; single shots were not timed."]  # fmt: skip


# All counts ---------------------------------------------------------------------------------------


def counts_table(found: Counted) -> Table:
    """Every row: what all share stands in the caption, columns without a value are left out."""
    rows = found.rows
    told = {
        "code": [row.point.code for row in rows],
        "basis": [row.point.basis or "" for row in rows],
        "noise": [str(row.point.noise.get("noise", "")) for row in rows],
        "experiment": [row.point.source for row in rows],
    }
    settings = dict.fromkeys(key for row in rows for key in row.point.noise)
    told |= {key: [_setting(row, key) for row in rows] for key in settings if key not in _OWN}
    shared = [f"{name} {cells[0]}" if name in settings and name not in _OWN else cells[0]
              for name, cells in told.items() if len(set(cells)) == 1 and cells[0]]  # fmt: skip
    columns = {name: cells for name, cells in told.items() if len(set(cells)) > 1}
    columns |= _number_columns(found)
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    splits = any(row.estimate for row in rows)
    caption = ", ".join([*shared, f"seed {found.seed}", f"intervals of {found.percent}"]) + "."
    if splits:
        caption += " Rates by splitting are estimates; errors are those counted."
    return Table("Counts", caption, list(kept), list(zip(*kept.values(), strict=True)))


def _setting(row: Row, key: str) -> str:
    value = row.point.noise.get(key, "")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number_columns(found: Counted) -> Mapping[str, list[str]]:
    from scripts.table import rate, seconds

    rows, timed = found.rows, [found.times.get(k) for k in range(len(found.rows))]
    return {
        "d": [str(row.point.distance or "") for row in rows],
        "rounds": [str(row.point.rounds or "") for row in rows],
        "p": ["" if row.point.p is None else f"{row.point.p:g}" for row in rows],
        "decoder": [row.decoder for row in rows],
        "shots": [f"{row.shots:,}" for row in rows],
        "errors": [f"{row.errors:,}" for row in rows],
        "declined": [f"{row.declined:,}" if any(r.declined for r in rows) else "" for row in rows],
        "LER a shot": [rate(row.ler) if row.shots else "" for row in rows],
        "at least": [rate(row.interval[0]) if row.shots else "" for row in rows],
        "at most": [rate(row.interval[1]) if row.shots else "" for row in rows],
        "LER a round": [rate(row.per_round[0]) if row.per_round else "" for row in rows],
        "by": [row.method if any(r.estimate for r in rows) else "" for row in rows],
        "in batches": [
            seconds(one.batched_seconds_per_shot if one else row.seconds_per_shot)
            if one or row.seconds_per_shot else ""
            for row, one in zip(rows, timed, strict=True)
        ],
        "single shot": [seconds(one.single_median_seconds) if one else "" for one in timed],
        "99 % within": [seconds(one.single_p99_seconds) if one else "" for one in timed],
    }  # fmt: skip

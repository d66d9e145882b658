"""Recounting: draws the shots of a finished row again and holds the counts against the row."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import sinter

from decoders.collect import CollectSettings, Work, recorded_in
from decoders.counts_file import read_rows
from decoders.sampling import PanelSampler, Range, ShotLedger, outcomes_of, ranges_of


@dataclasses.dataclass(frozen=True)
class Recount:
    """A row of the CSV and its shots counted again, all but the times."""

    row: sinter.TaskStats
    before: dict[str, int]
    again: dict[str, int]

    @property
    def same(self) -> bool:
        """Whether both counts agree in every number."""
        return self.before == self.again


def recount(
    works: Sequence[Work],
    csv_path: pathlib.Path,
    settings: CollectSettings,
    *,
    most_rows: int | None = None,
    on_progress: Callable[[float], None] = lambda done: None,
) -> list[Recount]:
    """Counts rows of the CSV again, in this process; at most `most_rows`, spread evenly.

    Rows of works that are not given are passed over.
    """
    by_key = {work.task(settings.seed).strong_id(): work for work in works}
    rows = [row for row in read_rows(csv_path) if row.strong_id in by_key]
    if most_rows is not None and most_rows < len(rows):
        rows = [rows[k * len(rows) // most_rows] for k in range(most_rows)]
    ledger = ShotLedger(
        {key: [r for row in rows if row.strong_id == key for r in _ranges(row)] for key in by_key}
    )
    compiled: dict[str, sinter.CompiledSampler] = {}
    found = []
    for done, row in enumerate(rows):
        on_progress(done / len(rows))
        key, work = row.strong_id, by_key[row.strong_id]
        if key not in compiled:
            sampler = PanelSampler(
                work.panel,
                ledger,
                seed=settings.seed,
                custom_functions=settings.custom_functions,
                recorded=recorded_in({key: work}),
            )
            compiled[key] = sampler.compiled_sampler_for_task(work.task(settings.seed))
        found.append(_recount_row(row, compiled[key], seats=len(work.panel)))
    on_progress(1.0)
    return found


def _ranges(row: sinter.TaskStats) -> list[Range]:
    return sorted(ranges_of(row.custom_counts))


def _recount_row(row: sinter.TaskStats, compiled: sinter.CompiledSampler, *, seats: int) -> Recount:
    total = sinter.AnonTaskStats()
    while total.shots < row.shots:
        total += compiled.sample(row.shots - total.shots)
    return Recount(row, _counts(row, seats), _counts(total, seats))


def _counts(stats: sinter.TaskStats | sinter.AnonTaskStats, seats: int) -> dict[str, int]:
    """All that was counted: outcomes and custom counts, but for times and names of shots."""
    rest = {
        key: number
        for key, number in stats.custom_counts.items()
        if number and not key.startswith(("decode_us[", "shots[", "outcome["))
    }
    return {"errors": stats.errors, "declined": stats.discards, **outcomes_of(stats, seats), **rest}

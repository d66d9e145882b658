"""Recounting: draws the shots of a finished row again and holds the counts against the row."""

from __future__ import annotations

import csv
import dataclasses
import io
import pathlib
from collections.abc import Callable, Sequence

import sinter

from decoders.collect import CollectSettings, Work
from decoders.sampling import PanelSampler, ShotLedger, outcomes_of, ranges_of


@dataclasses.dataclass(frozen=True)
class Recount:
    """A row of the CSV and its shots counted again; outcomes by pattern (see `PanelSampler`)."""

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
    by_key = {work.task().strong_id(): work for work in works}
    rows = [row for row in _rows(csv_path) if row.strong_id in by_key]
    if most_rows is not None and most_rows < len(rows):
        rows = [rows[k * len(rows) // most_rows] for k in range(most_rows)]
    found = []
    for done, row in enumerate(rows):
        on_progress(done / len(rows))
        found.append(_recount_row(row, by_key[row.strong_id], settings))
    on_progress(1.0)
    return found


def _recount_row(row: sinter.TaskStats, work: Work, settings: CollectSettings) -> Recount:
    ledger = ShotLedger({row.strong_id: sorted(ranges_of(row.custom_counts))})
    sampler = PanelSampler(
        work.panel, ledger, seed=settings.seed, custom_functions=settings.custom_functions
    )
    compiled = sampler.compiled_sampler_for_task(work.task())
    total = sinter.AnonTaskStats()
    while total.shots < row.shots:
        total += compiled.sample(row.shots - total.shots)
    seats = len(work.panel)
    return Recount(row, outcomes_of(row, seats), outcomes_of(total, seats))


def _rows(csv_path: pathlib.Path) -> list[sinter.TaskStats]:
    """The CSV's rows one by one (sinter's reader gives their sums only)."""
    lines = csv_path.read_text(encoding="utf-8").splitlines()
    header, *rows = [line for line in csv.reader(lines) if line]
    found = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text).writerows([header, row])
        text.seek(0)
        found += sinter.read_stats_from_csv_files(text)
    return found

"""Collection: sinter's workers and sinter's CSV, with numbered shots, resumable to the last row."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sinter
import stim

from decoders.sampling import Panelist, PanelSampler, Range, ShotLedger, ranges_of

_BEYOND = 2**63  # no shot has this number


@dataclasses.dataclass(frozen=True)
class Work:
    """One row of a table: a circuit, the panel that decodes it, and when to stop.

    `metadata` is what sinter's CSV says of it (JSON); `max_errors` None means: by shots alone.
    `note` is for whoever reads the table.
    """

    circuit: stim.Circuit
    error_model: stim.DetectorErrorModel
    panel: tuple[Panelist, ...]
    metadata: Mapping[str, Any]
    max_shots: int
    max_errors: int | None = None
    note: str | None = None

    @property
    def decoder(self) -> str:
        """The name in the CSV's decoder column: the panel's names, joined."""
        return "|".join(panelist.name for panelist in self.panel)

    def task(self) -> sinter.Task:
        """The sinter task; its strong id tells the same work apart from any other."""
        return sinter.Task(
            circuit=self.circuit,
            detector_error_model=self.error_model,
            decoder=self.decoder,
            json_metadata=dict(self.metadata),
            collection_options=sinter.CollectionOptions(
                max_shots=self.max_shots, max_errors=self.max_errors
            ),
        )


@dataclasses.dataclass(frozen=True)
class CollectSettings:
    """How a collection runs; none of it changes what a numbered shot is."""

    seed: int
    workers: int
    custom_functions: tuple[str, ...] = ()


def collect(
    works: Sequence[Work],
    csv_path: pathlib.Path,
    settings: CollectSettings,
    *,
    on_progress: Callable[[float], None] = lambda done: None,
) -> list[sinter.TaskStats]:
    """Brings each work to its stop, appending to the CSV; returns the totals in the works' order.

    What the CSV holds already is not drawn again, whoever wrote it and however it ended.
    `on_progress` gets the fraction of the works done, from 0 to 1.
    """
    tasks = [work.task() for work in works]
    keys = [task.strong_id() for task in tasks]
    with _only_writer(csv_path) as append:
        totals = read_totals(csv_path)
        pending = {
            key: missing_ranges(totals.get(key), work.max_shots)
            for key, work in zip(keys, works, strict=True)
        }
        ledger = ShotLedger(pending)
        max_errors = {
            key: work.max_errors for key, work in zip(keys, works, strict=True) if work.max_errors
        }
        samplers = {
            work.decoder: PanelSampler(
                work.panel,
                ledger,
                seed=settings.seed,
                custom_functions=settings.custom_functions,
                max_errors=max_errors,
            )
            for work in works
        }
        on_progress(_done(works, keys, totals))
        if any(not _finished(work, totals.get(key)) for key, work in zip(keys, works, strict=True)):
            for row in _run(tasks, samplers, totals, settings.workers):
                append(row)
                totals[row.strong_id] = _sum(totals.get(row.strong_id), row)
                on_progress(_done(works, keys, totals))
    return [totals.get(key) or _nothing(task) for key, task in zip(keys, tasks, strict=True)]


def _run(
    tasks: Sequence[sinter.Task],
    samplers: Mapping[str, PanelSampler],
    totals: Mapping[str, sinter.TaskStats],
    workers: int,
) -> Iterator[sinter.TaskStats]:
    """Rows as sinter's workers finish them."""
    progress = sinter.iter_collect(
        num_workers=workers,
        tasks=tasks,
        additional_existing_data=dict(totals),
        custom_decoders=dict(samplers),
        # A worker reports after each range: what it has done is in the CSV before it goes on.
        max_batch_seconds=1e-9,  # pyright: ignore[reportArgumentType]  (sinter says int, takes float)
    )
    try:
        for step in progress:
            yield from step.new_stats
    except (RuntimeError, ValueError) as error:
        # sinter wraps what a worker raised in the worker's whole traceback: unwrap it.
        if error.__cause__ is not None:
            raise error.__cause__ from error
        raise


def missing_ranges(total: sinter.TaskStats | None, max_shots: int) -> list[Range]:
    """The lowest-numbered shots not yet counted, as many as are missing to `max_shots`."""
    counted = sorted(ranges_of(total.custom_counts)) if total is not None else []
    left = max_shots - (total.shots if total is not None else 0)
    missing, position = [], 0
    for start, stop in [*counted, (_BEYOND, 0)]:
        if start > position and left > 0:
            stop_here = min(start, position + left)
            missing.append((position, stop_here))
            left -= stop_here - position
        position = max(position, stop)
    return missing


def read_totals(csv_path: pathlib.Path) -> dict[str, sinter.TaskStats]:
    """The sums by strong id of a sinter CSV of ours, after checking that no shot counts twice."""
    if not csv_path.exists():
        return {}
    try:
        totals = {stats.strong_id: stats for stats in sinter.read_stats_from_csv_files(csv_path)}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{csv_path}: not a results file of sinter's ({error})") from error
    for stats in totals.values():
        _check_counted_once(stats, csv_path)
    return totals


def _check_counted_once(stats: sinter.TaskStats, csv_path: pathlib.Path) -> None:
    position = 0
    for start, stop in sorted(ranges_of(stats.custom_counts)):
        if start < position:
            raise ValueError(
                f"{csv_path}: shots {start} to {min(stop, position) - 1} of {stats.decoder} "
                f"{stats.json_metadata} are counted twice: take the repeated rows out of the file"
            )
        position = stop
    if sum(stop - start for start, stop in ranges_of(stats.custom_counts)) != stats.shots:
        raise ValueError(
            f"{csv_path}: rows of {stats.decoder} {stats.json_metadata} do not say which shots "
            f"they hold; give another --out folder to begin anew"
        )


@contextlib.contextmanager
def _only_writer(csv_path: pathlib.Path) -> Iterator[Callable[[sinter.TaskStats], None]]:
    """Opens the CSV for appending whole rows, as the only process that does.

    A row goes out in one write, so that a kill leaves it whole or not at all; should a machine
    that lost power leave half a row, it is cut off here: that batch was not finished.
    """
    csv_path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(csv_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        _lock(descriptor, csv_path)
        size = os.fstat(descriptor).st_size
        text = os.pread(descriptor, size, 0)
        if not text.endswith(b"\n"):
            os.ftruncate(descriptor, text.rfind(b"\n") + 1)
        if os.fstat(descriptor).st_size == 0:
            os.write(descriptor, (sinter.CSV_HEADER + "\n").encode())
        yield lambda row: _write_whole(descriptor, (row.to_csv_line() + "\n").encode())
    finally:
        os.close(descriptor)


def _lock(descriptor: int, csv_path: pathlib.Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; two writers there are the user's to avoid.
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"{csv_path}: another syndrift is writing to it; wait for it or give another --out"
        ) from None


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _finished(work: Work, total: sinter.TaskStats | None) -> bool:
    return _fraction(work, total) >= 1


def _fraction(work: Work, total: sinter.TaskStats | None) -> float:
    if total is None:
        return 0.0
    by_errors = total.errors / work.max_errors if work.max_errors else 0.0
    return min(max(total.shots / work.max_shots, by_errors), 1.0)


def _done(
    works: Sequence[Work], keys: Sequence[str], totals: Mapping[str, sinter.TaskStats]
) -> float:
    fractions = [_fraction(work, totals.get(key)) for key, work in zip(keys, works, strict=True)]
    return sum(fractions) / max(len(fractions), 1)


def _sum(total: sinter.TaskStats | None, row: sinter.TaskStats) -> sinter.TaskStats:
    return row if total is None else total + row


def _nothing(task: sinter.Task) -> sinter.TaskStats:
    return sinter.TaskStats(
        strong_id=task.strong_id(), decoder=task.decoder or "", json_metadata=task.json_metadata
    )

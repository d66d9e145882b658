"""Collection: sinter's workers and sinter's CSV, with numbered shots, resumable to the last row."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import multiprocessing
import pathlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import sinter
import stim

from decoders.counts_file import only_writer, read_rows
from decoders.sampling import FAILED, Panelist, PanelSampler, Range, ShotLedger, ranges_of

if TYPE_CHECKING:
    from decoders.published import RecordedShots

_BEYOND = 2**63  # no shot has this number
_WATCH_SECONDS = 0.05  # less than a process takes to start: none dies unseen
_GRACE_SECONDS = 2.0


class WorkerDied(RuntimeError):
    """A worker process ended without a word: killed from outside, out of memory, or crashed."""


@dataclasses.dataclass(frozen=True)
class Work:
    """One row of a table: a circuit, the panel that decodes it, and when to stop.

    `metadata` is what sinter's CSV says of it (JSON); `max_errors` None means: by shots alone.
    Declined shots count as errors there. `note` is for whoever reads the table. Shots are drawn
    from the circuit unless they are `recorded`.
    """

    circuit: stim.Circuit
    error_model: stim.DetectorErrorModel
    panel: tuple[Panelist, ...]
    metadata: Mapping[str, Any]
    max_shots: int
    max_errors: int | None = None
    note: str | None = None
    recorded: RecordedShots | None = None

    @property
    def decoder(self) -> str:
        """The name in the CSV's decoder column: the panel's names, joined."""
        return "|".join(panelist.name for panelist in self.panel)

    def task(self, seed: int) -> sinter.Task:
        """The sinter task; its strong id tells the same work apart from any other."""
        return sinter.Task(
            circuit=self.circuit,
            detector_error_model=self.error_model,
            decoder=self.decoder,
            json_metadata={**self.metadata, "seed": seed},
            collection_options=sinter.CollectionOptions(
                max_shots=self.max_shots, max_errors=self.max_errors
            ),
        )


@dataclasses.dataclass(frozen=True)
class CollectSettings:
    """How a collection runs; but for the seed none of it changes what a numbered shot is."""

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
    tasks = [work.task(settings.seed) for work in works]
    stops = dict(zip([task.strong_id() for task in tasks], works, strict=True))
    check_told_apart(works, stops)
    with only_writer(csv_path) as append:
        totals = read_totals(csv_path)
        samplers = _samplers(stops, totals, settings)
        on_progress(done_share(stops, totals))
        if any(_fraction(work, totals.get(key)) < 1 for key, work in stops.items()):
            for row in _run(tasks, samplers, totals, settings.workers):
                append(row)
                totals.setdefault(row.strong_id, Total()).add(row)
                on_progress(done_share(stops, totals))
    return [totals.get(key, Total()).stats(task) for key, task in zip(stops, tasks, strict=True)]


class Total:
    """The sum of a task's rows; adding a row costs the same however many there are."""

    def __init__(self) -> None:
        self.shots = self.errors = self.discards = 0
        self.seconds = 0.0
        self.custom_counts: collections.Counter[str] = collections.Counter()

    def add(self, row: sinter.TaskStats) -> None:
        """Adds one row."""
        self.shots += row.shots
        self.errors += row.errors
        self.discards += row.discards
        self.seconds += row.seconds
        self.custom_counts.update(row.custom_counts)

    def stats(self, task: sinter.Task) -> sinter.TaskStats:
        """The sum as sinter has it."""
        return sinter.TaskStats(
            strong_id=task.strong_id(),
            decoder=task.decoder or "",
            json_metadata=task.json_metadata,
            **vars(self),
        )


def check_told_apart(works: Sequence[Work], stops: Mapping[str, Work]) -> None:
    """Refuses works of the same strong id, and panels of the same name."""
    if len(stops) < len(works):
        raise ValueError("the same circuit with the same decoder is given twice")
    panels: dict[str, tuple[Panelist, ...]] = {}
    for work in works:
        if panels.setdefault(work.decoder, work.panel) != work.panel:
            raise ValueError(f"two different decoders are named {work.decoder}")


def _samplers(
    stops: Mapping[str, Work], totals: Mapping[str, Total], settings: CollectSettings
) -> dict[str, PanelSampler]:
    """A sampler for each decoder; they share the ledger of shots still to be drawn."""
    ledger = ShotLedger(
        {key: missing_ranges(totals.get(key), work.max_shots) for key, work in stops.items()}
    )
    max_errors = {key: work.max_errors for key, work in stops.items() if work.max_errors}
    return {
        decoder: PanelSampler(
            panel,
            ledger,
            seed=settings.seed,
            custom_functions=settings.custom_functions,
            max_errors=max_errors,
            # Every worker gets every sampler: each takes only what its own tasks need.
            recorded=recorded_in({k: one for k, one in stops.items() if one.decoder == decoder}),
        )
        for decoder, panel in {work.decoder: work.panel for work in stops.values()}.items()
    }


def recorded_in(works: Mapping[str, Work]) -> dict[str, RecordedShots]:
    """The recorded shots of works by strong id, without works whose shots are drawn."""
    return {key: work.recorded for key, work in works.items() if work.recorded}


def _run(
    tasks: Sequence[sinter.Task],
    samplers: Mapping[str, PanelSampler],
    totals: Mapping[str, Total],
    workers: int,
) -> Iterator[sinter.TaskStats]:
    """Rows as sinter's workers finish them."""
    by_key = {task.strong_id(): task for task in tasks}
    progress = sinter.iter_collect(
        num_workers=workers,
        tasks=tasks,
        additional_existing_data={
            key: totals[key].stats(task) for key, task in by_key.items() if key in totals
        },
        custom_decoders=dict(samplers),
        custom_error_count_key=FAILED,
        # A worker reports after each range: what it has done is in the CSV before it goes on.
        max_batch_seconds=1e-9,  # pyright: ignore[reportArgumentType]  (sinter says int, takes float)
    )
    try:
        with _watched_workers():
            for step in progress:
                yield from step.new_stats
    except (RuntimeError, ValueError) as error:
        # sinter wraps what a worker raised in the worker's whole traceback: unwrap it.
        if error.__cause__ is not None:
            raise error.__cause__ from error
        raise


@contextlib.contextmanager
def _watched_workers() -> Iterator[None]:
    """Ends the wait for a worker that died: sinter waits for the message it will never send.

    Only the main thread can be woken from that wait, by the signal of a Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()
    fallen: list[int] = []
    others = set(multiprocessing.active_children())
    watcher = threading.Thread(target=_watch, args=(others, ended, fallen), daemon=True)

    def wake(*_: object) -> None:
        if fallen:
            raise KeyboardInterrupt

    # A command that a script began in the background ignores Ctrl-C: it still must be woken.
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, wake)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt:
        if not fallen:
            raise
        how = f"signal {-fallen[0]}" if fallen[0] < 0 else f"exit status {fallen[0]}"
        raise WorkerDied(
            f"a worker process died ({how}): out of memory, killed, or a decoder that crashed; "
            "finished rows are kept, fewer workers take less memory"
        ) from None
    finally:
        ended.set()
        watcher.join()
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _watch(others: set[BaseProcess], ended: threading.Event, fallen: list[int]) -> None:
    """Until it is `ended`: interrupts the main thread when a worker dies, its exit in `fallen`."""
    known: set[BaseProcess] = set()
    while not ended.wait(_WATCH_SECONDS):
        known |= set(multiprocessing.active_children()) - others
        dead = [worker.exitcode for worker in known if worker.exitcode is not None]
        # A worker that fails says so before it goes, and all go when the work is done.
        if dead and not ended.wait(_GRACE_SECONDS):
            fallen.extend(dead)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return


def missing_ranges(total: Total | None, max_shots: int) -> list[Range]:
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


def read_totals(csv_path: pathlib.Path) -> dict[str, Total]:
    """The sums by strong id of a sinter CSV of ours, after checking that no shot counts twice."""
    if not csv_path.exists():
        return {}
    totals: dict[str, Total] = {}
    names: dict[str, str] = {}
    for row in read_rows(csv_path):
        totals.setdefault(row.strong_id, Total()).add(row)
        names[row.strong_id] = f"{row.decoder} {json.dumps(row.json_metadata)}"
    for key, total in totals.items():
        _check_counted_once(total, names[key], csv_path)
    return totals


def _check_counted_once(total: Total, name: str, csv_path: pathlib.Path) -> None:
    position = shots = 0
    for start, stop in sorted(ranges_of(total.custom_counts)):
        if start < position:
            raise ValueError(
                f"{csv_path}: shots {start} to {min(stop, position) - 1} of {name} "
                "are counted twice: take the repeated rows out of the file"
            )
        position = stop
        shots += stop - start
    if shots != total.shots:
        raise ValueError(
            f"{csv_path}: rows of {name} do not say which shots they hold; "
            "give another --out folder to begin anew"
        )


def _fraction(work: Work, total: Total | None) -> float:
    if total is None:
        return 0.0
    failed = total.custom_counts[FAILED]
    by_errors = failed / work.max_errors if work.max_errors else 0.0
    return min(max(total.shots / work.max_shots, by_errors), 1.0)


def done_share(stops: Mapping[str, Work], totals: Mapping[str, Total]) -> float:
    """How much of all works is done, from 0 to 1."""
    fractions: Iterable[float] = [_fraction(work, totals.get(key)) for key, work in stops.items()]
    return sum(fractions) / max(len(stops), 1)

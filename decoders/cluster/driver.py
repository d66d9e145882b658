"""The driver of a collection on many machines: hands out leases, counts answers, writes the CSV.

It draws no shot itself. All that it knows beyond the CSV is in memory, and what is lost with it is
counted again: what stands in the CSV is a prefix of each work's shots, whole.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import sinter

from decoders.baselines import custom_decoders_of, resolve_decoder
from decoders.cluster.engine import Answer, Engine, Job
from decoders.cluster.leases import Lease, Leases
from decoders.collect import (
    Total,
    Work,
    WorkerDied,
    check_told_apart,
    done_share,
    missing_ranges,
    read_totals,
)
from decoders.counts_file import only_writer
from decoders.sampling import FAILED

_TARGET_SECONDS = 4.0  # of a lease: long beside what handing it out costs, short beside a loss
_FIRST_SHOTS = 1024
_MOST_SHOTS = 2**22
_AHEAD = 2  # leases handed out for each slot, so that none waits for the driver
_FLUSH_SECONDS = 1.0  # a row holds what came in that time, however many workers there are
_LOSSES = 5  # of one lease: then it is the lease


@dataclasses.dataclass
class _Course:
    """A work under way."""

    work: Work
    key: str
    leases: Leases
    flushed: float = 0.0
    losses: dict[Lease, int] = dataclasses.field(default_factory=dict)


def collect_on(
    engine: Engine,
    works: Sequence[Work],
    csv_path: pathlib.Path,
    *,
    seed: int,
    custom_functions: Sequence[str] = (),
    on_progress: Callable[[float], None] = lambda done: None,
) -> list[sinter.TaskStats]:
    """`decoders.collect.collect` on an engine: the same CSV, and the same table on any engine.

    With a limit of errors the shots that count are the fewest, from the first on, that reach it.
    """
    tasks = [work.task(seed) for work in works]
    keys = [task.strong_id() for task in tasks]
    stops = dict(zip(keys, works, strict=True))
    check_told_apart(works, stops)
    with only_writer(csv_path) as append:
        totals = read_totals(csv_path)
        on_progress(done_share(stops, totals))
        courses = list(_courses(stops, totals, seed, custom_functions, engine))
        by_key = dict(zip(keys, tasks, strict=True))

        def write(course: _Course, row: sinter.AnonTaskStats) -> None:
            stats = _row(by_key[course.key], course.key, row)
            append(stats)
            totals.setdefault(course.key, Total()).add(stats)
            on_progress(done_share(stops, totals))

        try:
            _run(engine, courses, write)
        finally:
            engine.end()
            for course in courses:  # what has come to count since, if it was stopped
                if row := course.leases.take():
                    write(course, row)
    return [totals.get(key, Total()).stats(task) for key, task in zip(keys, tasks, strict=True)]


def _courses(
    stops: Mapping[str, Work],
    totals: Mapping[str, Total],
    seed: int,
    custom_functions: Sequence[str],
    engine: Engine,
) -> Iterator[_Course]:
    """The works that are not at their stop yet, each made known to the engine."""
    custom = custom_decoders_of(custom_functions)
    for key, work in stops.items():
        if work.recorded is not None:
            raise ValueError("recorded shots are decoded on this computer: leave --on out")
        total = totals.get(key)
        batches = [resolve_decoder(one.spec, custom=custom).batch_shots for one in work.panel]
        job = Job.of(work, seed, batch_shots=max(one or 1 for one in batches),
                     custom_functions=custom_functions)  # fmt: skip
        leases = Leases(
            missing_ranges(total, work.max_shots),
            piece_shots=job.piece_shots,
            max_errors=work.max_errors,
            failed=total.custom_counts[FAILED] if total else 0,
        )
        if not leases.done:
            engine.prepare(key, job)
            yield _Course(work, key, leases)


def _run(
    engine: Engine,
    courses: Sequence[_Course],
    write: Callable[[_Course, sinter.AnonTaskStats], None],
) -> None:
    """Until all is done: hand out, wait, count, write."""
    by_key = {course.key: course for course in courses}
    open_courses = list(courses)
    while open_courses:
        _hand_out(engine, open_courses)
        for answer in engine.answers(_FLUSH_SECONDS):
            _take_in(by_key[answer.key], answer)
        now = time.monotonic()
        for course in open_courses:
            if course.leases.done or now - course.flushed > _FLUSH_SECONDS:
                course.flushed = now
                if row := course.leases.take():
                    write(course, row)
        open_courses = [course for course in open_courses if not course.leases.done]


def _hand_out(engine: Engine, courses: Sequence[_Course]) -> None:
    """Fills the engine's slots, those first that have the fewest leases out."""
    room = _AHEAD * engine.slots - sum(course.leases.out for course in courses)
    able = list(courses)
    while room > 0 and able:
        course = min(able, key=lambda one: one.leases.out)
        lease = course.leases.claim(_wanted(course, engine.slots))
        if lease is None:
            able.remove(course)
            continue
        engine.order(course.key, lease)
        room -= 1


def _wanted(course: _Course, slots: int) -> int:
    """Shots of a lease: some seconds long, and towards the end an even share."""
    pace = course.leases.seconds_a_shot
    wanted = _FIRST_SHOTS if pace is None else int(_TARGET_SECONDS / max(pace, 1e-9))
    share = course.leases.left_shots // (_AHEAD * max(slots, 1))
    return min(wanted, max(share, _FIRST_SHOTS), _MOST_SHOTS)


def _take_in(course: _Course, answer: Answer) -> None:
    """An answer to the work's account; WorkerDied if a lease was lost again and again."""
    if answer.counted is not None:
        course.leases.finish(answer.lease, answer.counted)
        return
    course.leases.lost(answer.lease)
    losses = course.losses[answer.lease] = course.losses.get(answer.lease, 0) + 1
    if losses >= _LOSSES:
        start, stop = answer.lease.start, answer.lease.stop
        raise WorkerDied(
            f"shots {start} to {stop - 1} of {course.work.decoder} were lost {losses} times with "
            f"their workers ({answer.why}): out of memory, or a decoder that crashes; finished "
            "rows are kept"
        )


def _row(task: sinter.Task, key: str, row: sinter.AnonTaskStats) -> sinter.TaskStats:
    return sinter.TaskStats(
        strong_id=key,
        decoder=task.decoder or "",
        json_metadata=task.json_metadata,
        shots=row.shots,
        errors=row.errors,
        discards=row.discards,
        seconds=row.seconds,
        custom_counts=row.custom_counts,
    )

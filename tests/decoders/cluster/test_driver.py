"""The driver: the same table whatever happens to the workers, or to itself."""

from __future__ import annotations

import pathlib

import numpy as np
import pymatching
import pytest

from decoders.cluster import CompiledJob, Counted, Job, Lease, collect_on
from decoders.collect import Total, Work, WorkerDied, collect, read_totals
from decoders.sampling import FAILED, DecoderFailed, Panelist, ranges_of
from decoders.shots import NumberedShots
from tests.decoders.cluster.unreliable import Unreliable
from tests.decoders.test_collect import settings, tiles, work_of

SEED = 5


def exact(total: Total) -> tuple[object, ...]:
    """All of a sum but the times, and the shots as the ranges that they make up."""
    counts = {key: number for key, number in total.custom_counts.items()
              if not key.startswith(("shots[", "decode_us["))}  # fmt: skip
    return total.shots, total.errors, total.discards, counts, merged(total)


def merged(total: Total) -> list[tuple[int, int]]:
    found = list[tuple[int, int]]()
    for start, stop in sorted(ranges_of(total.custom_counts)):
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, stop))
    return found


def table(path: pathlib.Path) -> dict[str, tuple[object, ...]]:
    return {key: exact(total) for key, total in read_totals(path).items()}


WORKS = [work_of(3, max_shots=20_500), work_of(5, max_errors=150, max_shots=50_000)]


def test_by_shots_it_is_what_sinter_s_workers_count(tmp_path: pathlib.Path) -> None:
    ours = collect_on(Unreliable(1), WORKS[:1], tmp_path / "ours.csv", seed=SEED)
    collect(WORKS[:1], tmp_path / "theirs.csv", settings())
    assert table(tmp_path / "ours.csv") == table(tmp_path / "theirs.csv")
    assert ours[0].shots == 20_500


def test_by_errors_it_is_the_shortest_prefix_that_has_them(tmp_path: pathlib.Path) -> None:
    work = WORKS[1]
    (total,) = collect_on(Unreliable(2), [work], tmp_path / "a.csv", seed=SEED)
    # Shard by shard, without any of the code under test but the shots.
    shots, errors = NumberedShots(work.circuit, seed=SEED), 0
    matching, shard = pymatching.Matching(work.error_model), 0
    while errors < 150:
        events, flips = shots.take(1024 * shard, 1024 * (shard + 1))
        answers = matching.decode_batch(events, bit_packed_shots=True, bit_packed_predictions=True)
        errors += int(np.count_nonzero((np.asarray(answers) != flips).any(axis=1)))
        shard += 1
    assert (total.shots, total.errors) == (1024 * shard, errors)


@pytest.mark.parametrize("losing", [0.0, 0.4])
def test_the_table_does_not_depend_on_who_answers_when(
    tmp_path: pathlib.Path, losing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decoders.cluster.driver._LOSSES", 50)
    tables = []
    for seed, slots in ((1, 1), (2, 3), (3, 8)):
        path = tmp_path / f"{seed}.csv"
        collect_on(Unreliable(seed, slots=slots, losing=losing), WORKS, path, seed=SEED)
        tables.append(table(path))
    assert tables[0] == tables[1] == tables[2]
    shots = next(one for one in tables[0].values() if one[0] == 20_500)
    assert shots[-1] == [(0, 20_500)]


def test_a_lost_driver_goes_on_and_ends_with_the_same_table(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decoders.cluster.driver._FLUSH_SECONDS", 0.0)
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    collect_on(Unreliable(1), WORKS, whole, seed=SEED)
    interrupted = 0
    for more in range(20):
        engine = Unreliable(more, dies_after=9)
        try:
            collect_on(engine, WORKS, cut, seed=SEED)
            break
        except KeyboardInterrupt:
            interrupted += 1
            assert engine.ended
    assert interrupted > 1
    assert table(cut) == table(whole)


def test_what_is_there_already_is_not_ordered_again(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.csv"
    collect(WORKS[:1], path, settings())
    engine = Unreliable(1)
    (total,) = collect_on(engine, [work_of(3, max_shots=30_000)], path, seed=SEED)
    assert total.shots == 30_000
    assert min(lease.start for _, lease in engine.orders) == 20_500
    assert tiles(sorted(ranges_of(total.custom_counts)), 30_000)
    engine = Unreliable(1)
    collect_on(engine, [work_of(3, max_shots=30_000)], path, seed=SEED)
    assert engine.orders == []


def test_a_lease_that_is_lost_again_and_again_ends_it(tmp_path: pathlib.Path) -> None:
    with pytest.raises(WorkerDied, match=r"lost 5 times with their workers \(lost on purpose\)"):
        collect_on(Unreliable(1, losing=1.0), WORKS[:1], tmp_path / "a.csv", seed=SEED)


def test_a_decoder_that_fails_is_named(tmp_path: pathlib.Path) -> None:
    work = work_of(3, panel=(Panelist("mine", "tests.decoders.test_collect:NoSuch"),))
    with pytest.raises((DecoderFailed, ValueError), match="NoSuch"):
        collect_on(Unreliable(1), [work], tmp_path / "a.csv", seed=SEED)


@pytest.mark.parametrize(("start", "stop"), [(0, 5000), (1024, 3072), (100, 2000), (5, 6)])
def test_failures_are_told_piece_by_piece(start: int, stop: int) -> None:
    work = WORKS[0]
    job = Job.of(work, SEED, batch_shots=None, custom_functions=())
    first, last = start // 1024, (stop - 1) // 1024 + 1
    whole = job.compiled().count(Lease(first, last, start, stop))
    assert whole.stats.shots == stop - start
    assert whole.stats.custom_counts[FAILED] == sum(whole.failed)
    assert len(whole.failed) == last - first
    parts = [
        job.compiled().count(
            Lease(k, k + 1, max(start, 1024 * k), min(stop, 1024 * (k + 1)))
        ).stats.errors
        for k in range(first, last)
    ]  # fmt: skip
    assert list(whole.failed) == parts


def test_a_batch_is_the_same_whoever_counts_it() -> None:
    """A decoder that wants batches gets each piece by itself."""
    seen = list[int]()

    class Spy(CompiledJob):
        def count(self, lease: Lease) -> Counted:
            counted = self._panel.counted

            def spied(start: int, stop: int) -> object:
                seen.extend((start, stop))
                return counted(start, stop)

            self._panel.counted = spied  # type: ignore[method-assign]  # a spy
            return super().count(lease)

    job = Job.of(WORKS[0], SEED, batch_shots=1500, custom_functions=())
    assert job.piece_shots == 2048
    Spy(job).count(Lease(1, 4, 2048, 7000))
    assert seen == [2048, 4096, 4096, 6144, 6144, 7000]
    works: Work = WORKS[0]
    assert Job.of(works, SEED, batch_shots=1, custom_functions=()).piece_shots == 1024

"""Collection: the same counts on any number of workers, nothing lost, nothing counted twice."""

import csv
import io
import pathlib
import signal
import sys
import time
from typing import Any

import numpy as np
import pymatching
import pytest
import sinter
import stim

from decoders.collect import (
    CollectSettings,
    Total,
    Work,
    WorkerDied,
    collect,
    missing_ranges,
    read_totals,
)
from decoders.recount import recount
from decoders.sampling import Panelist, range_key, ranges_of
from decoders.shots import NumberedShots


def circuit_of(distance: int) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=distance,
        rounds=distance,
        after_clifford_depolarization=0.01,
    )


def work_of(distance: int = 3, **changes: Any) -> Work:
    circuit = circuit_of(distance)
    given: dict[str, Any] = {
        "circuit": circuit,
        "error_model": circuit.detector_error_model(decompose_errors=True),
        "panel": (Panelist("pymatching", "pymatching"),),
        "metadata": {"d": distance},
        "max_shots": 20_000,
    }
    return Work(**(given | changes))


def many_rows() -> Work:
    """Work of half a second: a worker reports every ten milliseconds at the earliest."""
    return work_of(5, max_shots=60_000)


def settings(workers: int = 2) -> CollectSettings:
    return CollectSettings(seed=5, workers=workers)


def counted(path: pathlib.Path) -> dict[str, list[tuple[int, int]]]:
    return {key: sorted(ranges_of(total.custom_counts)) for key, total in read_totals(path).items()}


def tiles(ranges: list[tuple[int, int]], shots: int) -> bool:
    position = 0
    for start, stop in ranges:
        if start != position:
            return False
        position = stop
    return position == shots


def test_counts_do_not_depend_on_the_workers(tmp_path: pathlib.Path) -> None:
    works = [work_of(3), work_of(5)]
    totals = {
        workers: collect(works, tmp_path / f"{workers}.csv", settings(workers))
        for workers in (1, 2, 3)
    }
    counts = {
        workers: [(total.shots, total.errors, total.discards) for total in of_these]
        for workers, of_these in totals.items()
    }
    assert counts[1] == counts[2] == counts[3]
    for work, (shots, errors, _) in zip(works, counts[1], strict=True):
        events, flips = NumberedShots(work.circuit, seed=5).take(0, 20_000)
        answers = pymatching.Matching(work.error_model).decode_batch(
            events, bit_packed_shots=True, bit_packed_predictions=True
        )
        assert (shots, errors) == (20_000, np.any(answers != flips, axis=1).sum())
    for ranges in counted(tmp_path / "2.csv").values():
        assert tiles(ranges, 20_000)


def test_sinter_itself_reads_the_file(tmp_path: pathlib.Path) -> None:
    (total,) = collect([work_of()], tmp_path / "counts.csv", settings())
    (read,) = sinter.read_stats_from_csv_files(tmp_path / "counts.csv")
    assert (read.shots, read.errors, read.json_metadata) == (
        total.shots,
        total.errors,
        {"d": 3, "seed": 5},
    )
    assert read.strong_id == work_of().task(5).strong_id()


def test_more_shots_go_on_where_the_last_run_stopped(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    collect([work_of(max_shots=3_000)], path, settings())
    before = path.read_text()
    (more,) = collect([work_of()], path, settings())
    assert path.read_text().startswith(before)
    (at_once,) = collect([work_of()], tmp_path / "other.csv", settings())
    assert (more.shots, more.errors) == (at_once.shots, at_once.errors)
    after = path.read_text()
    collect([work_of()], path, settings())  # nothing is left to do
    assert path.read_text() == after


def test_lost_rows_are_drawn_again_with_the_same_counts(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    (whole,) = collect([many_rows()], path, settings())
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) > 4
    del lines[2]
    path.write_text("".join(lines)[:-20])  # a row lost in the middle, half a row at the end
    (again,) = collect([many_rows()], path, settings())
    assert (again.shots, again.errors) == (whole.shots, whole.errors)
    assert all(tiles(ranges, 60_000) for ranges in counted(path).values())


def test_a_row_counted_twice_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    collect([many_rows()], path, settings())
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[1]]))
    with pytest.raises(ValueError, match="are counted twice"):
        collect([many_rows()], path, settings())


def test_a_foreign_file_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="not a results file of sinter's"):
        collect([work_of()], path, settings())


def test_rows_that_name_no_shots_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    collect([work_of()], path, settings())
    rows = list(csv.reader(path.read_text().splitlines()))
    rows[1][-1] = ""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue())
    with pytest.raises(ValueError, match="do not say which shots they hold"):
        collect([work_of()], path, settings())


def test_it_stops_at_the_errors_asked_for(tmp_path: pathlib.Path) -> None:
    (total,) = collect(
        [work_of(max_shots=10**6, max_errors=50)], tmp_path / "counts.csv", settings()
    )
    assert 50 <= total.errors < 100
    assert total.shots < 10**6


def test_what_a_decoder_raises_comes_out_as_itself(tmp_path: pathlib.Path) -> None:
    broken = (Panelist("missing", "no_such_module:decoder"),)
    with pytest.raises((ValueError, ImportError), match="no_such_module"):
        collect([work_of(panel=broken)], tmp_path / "counts.csv", settings(1))


def test_progress_goes_from_nothing_to_all(tmp_path: pathlib.Path) -> None:
    seen: list[float] = []
    collect([work_of()], tmp_path / "counts.csv", settings(), on_progress=seen.append)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert seen == sorted(seen)


def test_recount_finds_the_same_and_notices_a_difference(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    collect([many_rows()], path, settings())
    assert all(one.same for one in recount([many_rows()], path, settings()))
    rows = list(csv.reader(path.read_text().splitlines()))
    rows[2][1] = str(int(rows[2][1]) + 1)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue())
    assert [one.same for one in recount([many_rows()], path, settings())].count(False) == 1


@pytest.mark.parametrize(
    ("ranges", "max_shots", "missing"),
    [
        ([], 10, [(0, 10)]),
        ([(0, 10)], 10, []),
        ([(0, 4), (6, 8)], 10, [(4, 6), (8, 10)]),
        ([(6, 8)], 4, [(0, 2)]),
        ([(0, 100)], 10, []),
    ],
)
def test_missing_ranges(
    ranges: list[tuple[int, int]], max_shots: int, missing: list[tuple[int, int]]
) -> None:
    total = Total()
    total.shots = sum(stop - start for start, stop in ranges)
    total.custom_counts.update(range_key(*one) for one in ranges)
    assert missing_ranges(total, max_shots) == missing


def test_files_that_are_not_ours_are_left_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    for text in ("a,b\n1,2\nprecious", "precious", "\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="not a results file of sinter's"):
            collect([work_of()], path, settings(1))
        assert path.read_text() == text


def test_a_row_that_lost_only_its_line_end_is_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    collect([work_of(max_shots=3_000)], path, settings(1))
    whole = path.read_text()
    path.write_text(whole[:-1])
    collect([work_of(max_shots=3_000)], path, settings(1))
    assert path.read_text() == whole


def test_another_seed_is_another_row(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    (one,) = collect([work_of(max_shots=3_000)], path, settings(1))
    (two,) = collect([work_of(max_shots=3_000)], path, CollectSettings(seed=6, workers=1))
    assert len(read_totals(path)) == 2
    assert one.errors != two.errors


def test_the_same_work_twice_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="given twice"):
        collect([work_of(), work_of()], tmp_path / "counts.csv", settings(1))


DECODERS = """\
import os, signal
import numpy as np
import sinter

class Killed(sinter.Decoder):
    def compile_decoder_for_dem(self, *, dem):
        os.kill(os.getpid(), signal.SIGKILL)

class DeclinesAll(sinter.Decoder):
    def compile_decoder_for_dem(self, *, dem):
        class Compiled(sinter.CompiledDecoder):
            def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
                return np.ones((len(bit_packed_detection_event_data), 2), dtype=np.uint8)
        return Compiled()
"""


@pytest.fixture
def module(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "collect_test_decoders.py").write_text(DECODERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "collect_test_decoders", raising=False)
    return "collect_test_decoders"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_ends_the_run(workers: int, module: str, tmp_path: pathlib.Path) -> None:
    killed = work_of(panel=(Panelist("killed", f"{module}:Killed"),))
    begun = time.monotonic()
    with pytest.raises(WorkerDied, match="signal 9"):
        collect([killed], tmp_path / "counts.csv", settings(workers))
    assert time.monotonic() - begun < 30


def test_a_worker_that_dies_ends_a_run_in_the_background(
    module: str, tmp_path: pathlib.Path
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for `command &`
    try:
        test_a_worker_that_dies_ends_the_run(1, module, tmp_path)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_declined_shots_count_towards_the_stop(module: str, tmp_path: pathlib.Path) -> None:
    declines = work_of(panel=(Panelist("none", f"{module}:DeclinesAll"),), max_errors=50)
    (total,) = collect([declines], tmp_path / "counts.csv", settings(1))
    assert (total.errors, total.discards) == (0, total.shots)
    assert 50 <= total.shots < 200


def test_many_rows_are_read_in_linear_time(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "counts.csv"
    collect([work_of(max_shots=16)], path, settings(1))
    header, row = path.read_text().splitlines()
    rows = [row.replace("shots[0:16]", f"shots[{16 * k}:{16 * k + 16}]") for k in range(20_000)]
    path.write_text("\n".join([header, *rows]) + "\n")
    begun = time.process_time()
    (total,) = read_totals(path).values()
    # 1 s here; sums that copy all counts at each row take a minute and a half.
    assert time.process_time() - begun < 10
    assert total.shots == 320_000

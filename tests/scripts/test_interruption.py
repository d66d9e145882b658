"""Stopping `evaluate` at any moment, gently or not: nothing lost, nothing counted twice."""

import csv
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from decoders.collect import read_totals
from decoders.sampling import ranges_of

CONFIG = """\
decoders = ["pymatching", "slow_for_a_test:Slow"]
time_decoders = false
workers = 2
[code]
name = "rotated-surface"
distance = [3, 5]
[noise]
kind = "depolarizing"
p = 0.01
[stop]
max_shots = 6000
"""

# Half a millisecond a shot, so that there is something to interrupt.
SLOW = """\
import time
import pymatching, sinter

class Compiled(sinter.CompiledDecoder):
    def __init__(self, dem):
        self.matching = pymatching.Matching.from_detector_error_model(dem)
    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        time.sleep(0.0005 * len(bit_packed_detection_event_data))
        return self.matching.decode_batch(
            bit_packed_detection_event_data, bit_packed_shots=True, bit_packed_predictions=True)

class Slow(sinter.Decoder):
    batch_shots = 256
    def compile_decoder_for_dem(self, *, dem):
        return Compiled(dem)
"""

# A test run in the background may have been started with SIGINT ignored, which children inherit.
VERB = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from scripts.main import main
sys.exit(main())
"""

SHOTS, ROWS = 6000, 4


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "my.toml").write_text(CONFIG)
    (tmp_path / "slow_for_a_test.py").write_text(SLOW)
    return tmp_path


def start(folder: pathlib.Path, out: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", VERB, "evaluate", "my.toml",
         "--out", out, "--no-pictures"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def finish(folder: pathlib.Path, out: str) -> dict[str, tuple[int, int]]:
    """Runs to the end; returns shots and errors by strong id, every shot counted exactly once."""
    process = start(folder, out)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    totals = read_totals(folder / out / "counts.csv")
    assert len(totals) == ROWS
    for total in totals.values():
        position = 0
        for first, last in sorted(ranges_of(total.custom_counts)):
            assert first == position
            position = last
        assert position == total.shots == SHOTS
    return {key: (total.shots, total.errors) for key, total in totals.items()}


def whole_lines(path: pathlib.Path) -> list[str]:
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def wait_for_rows(process: subprocess.Popen[bytes], path: pathlib.Path, rows: int) -> None:
    deadline = time.monotonic() + 60
    while len(whole_lines(path)) < rows + 1 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_sigkill_loses_no_finished_row_and_counts_none_twice(folder: pathlib.Path) -> None:
    moments = random.Random(2)
    path = folder / "killed" / "counts.csv"
    kept: list[str] = []
    for _ in range(4):
        process = start(folder, "killed")
        wait_for_rows(process, path, max(len(kept) - 1, 0) + 2)
        time.sleep(moments.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)  # the workers too: no last words from anybody
        process.communicate()
        now = whole_lines(path)
        assert now[: len(kept)] == kept
        assert len(now) > len(kept)
        kept = now
    killed = finish(folder, "killed")
    assert whole_lines(path)[: len(kept)] == kept
    assert killed == finish(folder, "in-one-go")


@pytest.mark.slow
def test_the_parent_alone_is_killed_and_its_workers_leave(folder: pathlib.Path) -> None:
    process = start(folder, "run")
    wait_for_rows(process, folder / "run" / "counts.csv", 2)
    process.kill()
    process.communicate()  # ends only when the workers, who hold the pipes, are gone
    finish(folder, "run")


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(folder: pathlib.Path) -> None:
    process = start(folder, "run")
    wait_for_rows(process, folder / "run" / "counts.csv", 2)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert "the same command goes on from there" in err.decode()
    assert "Traceback" not in err.decode()
    kept = whole_lines(folder / "run" / "counts.csv")
    finish(folder, "run")
    assert whole_lines(folder / "run" / "counts.csv")[: len(kept)] == kept


@pytest.mark.slow
def test_two_at_once_do_not_mix(folder: pathlib.Path) -> None:
    first = start(folder, "run")
    wait_for_rows(first, folder / "run" / "counts.csv", 1)
    second = start(folder, "run")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2
    assert b"another syndrift is writing to it" in err
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert list(csv.reader(whole_lines(folder / "run" / "counts.csv")))
    finish(folder, "run")

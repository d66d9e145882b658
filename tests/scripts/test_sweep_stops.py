"""A sweep that is stopped in the middle of a run, gently or not, and goes on; runs at once."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

RECIPE = """\
decoders = ["of_a_test:Slow"]
time_decoders = false
workers = 1
[code]
name = "repetition"
distance = 3
[noise]
kind = "depolarizing"
p = 0.1
[stop]
max_shots = 1000
"""
SWEEP = """\
verb = "evaluate"
recipe = "recipe.toml"
[over]
seed = [1, 2, 3]
"""
# Most of a millisecond a shot, so that there is something to interrupt.
SLOW = """\
import time
import pymatching, sinter

class Compiled(sinter.CompiledDecoder):
    def __init__(self, dem):
        self.matching = pymatching.Matching.from_detector_error_model(dem)
    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        time.sleep(0.0007 * len(bit_packed_detection_event_data))
        return self.matching.decode_batch(
            bit_packed_detection_event_data, bit_packed_shots=True, bit_packed_predictions=True)

class Slow(sinter.Decoder):
    batch_shots = 128
    def compile_decoder_for_dem(self, *, dem):
        return Compiled(dem)
"""
# Runs that wait for each other: none ends unless another is under way at the same time.
MEETING = """\
import os, pathlib, time
import pymatching, sinter
from of_a_test import Compiled

class Slow(sinter.Decoder):
    def compile_decoder_for_dem(self, *, dem):
        here = pathlib.Path(f"here-{os.getpgrp()}")  # a run's processes are one group
        here.write_text(os.environ.get("OMP_NUM_THREADS", ""))
        deadline = time.monotonic() + 60
        while len(list(pathlib.Path().glob("here-*"))) < 2:
            if time.monotonic() > deadline:
                raise RuntimeError("alone")
            time.sleep(0.01)
        return Compiled(dem)
"""
# A test run in the background may have been started with SIGINT ignored, which children inherit.
VERB = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from scripts.main import main
sys.exit(main())
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "my.toml").write_text(SWEEP)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "of_a_test.py").write_text(SLOW)
    (tmp_path / "scripts").mkdir()  # of the user's own, which is not to be taken for ours
    (tmp_path / "scripts" / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    return tmp_path


def start(folder: pathlib.Path, out: str, *options: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    words = ["sweep", "my.toml", "--out", out, "--no-pictures", *options]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", VERB, *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def finish(folder: pathlib.Path, out: str, *options: str) -> tuple[list[str], str]:
    """Runs to the end; the errors that were counted, and what was said."""
    process = start(folder, out, *options)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    with (folder / out / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["shots"]) for row in rows] == [
        (str(seed), "1000") for seed in (1, 2, 3)]  # fmt: skip
    return [row["errors"] for row in rows], err


def whole_lines(path: pathlib.Path) -> list[str]:
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def wait_for_a_row(process: subprocess.Popen[str], path: pathlib.Path) -> None:
    """Until a run is under way: its first row stands below the header."""
    deadline = time.monotonic() + 60
    while len(whole_lines(path)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)


def sessions(folder: pathlib.Path) -> int:
    return len(json.loads((folder / "manifest.json").read_text())["sessions"])


@pytest.mark.slow
def test_a_sweep_that_was_killed_in_mid_run_goes_on(folder: pathlib.Path) -> None:
    run = folder / "killed"
    process = start(folder, "killed")
    wait_for_a_row(process, run / "seed-2" / "counts.csv")
    process.kill()  # the sweep alone: its run must leave by itself
    process.communicate()
    first = (run / "seed-1" / "result.json").stat().st_mtime_ns
    kept = whole_lines(run / "seed-2" / "counts.csv")
    assert not (run / "seed-2" / "result.json").exists()
    assert not (run / "seed-3").exists()
    errors, err = finish(folder, "killed")
    assert "1 of 3 runs were finished before\n[2/3] seed=2: " in err
    assert (run / "seed-1" / "result.json").stat().st_mtime_ns == first
    assert [sessions(run / f"seed-{seed}") for seed in (1, 2, 3)] == [1, 2, 1]
    assert whole_lines(run / "seed-2" / "counts.csv")[: len(kept)] == kept
    assert errors == finish(folder, "in-one-go", "--jobs", "3")[0]


@pytest.mark.slow
def test_ctrl_c_ends_the_run_and_says_how_to_go_on(folder: pathlib.Path) -> None:
    run = folder / "run"
    process = start(folder, "run")
    wait_for_a_row(process, run / "seed-2" / "counts.csv")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "stopping the runs under way" in err
    assert "1 of 3 runs are finished in run; the same command goes on from there." in err
    assert "Traceback" not in err
    # In order: the run was asked, not killed, and said its own last words.
    assert "the same command goes on from there" in (run / "logs" / "seed-2.txt").read_text()


@pytest.mark.slow
def test_jobs_are_made_at_once_on_their_share(folder: pathlib.Path) -> None:
    (folder / "meeting.py").write_text(MEETING)
    process = start(folder, "run", "--jobs", "2", "--set", "over.seed=[1, 2]",
                    "--set", 'recipe.decoders=["meeting:Slow"]')  # fmt: skip
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    said = {path.read_text() for path in folder.glob("here-*")}
    assert said == {str(max((os.cpu_count() or 1) // 2, 1))}


def test_two_sweeps_of_one_folder_do_not_mix(folder: pathlib.Path) -> None:
    first = start(folder, "run")
    wait_for_a_row(first, folder / "run" / "seed-1" / "counts.csv")
    second = start(folder, "run")
    _, err = second.communicate(timeout=60)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert "another syndrift is writing to it" in err

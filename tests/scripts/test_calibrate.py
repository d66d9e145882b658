"""`syndrift calibrate`: figures, files and pictures; going on, kills and Ctrl-C."""

import contextlib
import csv
import io
import json
import os
import pathlib
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from calib.campaign import CampaignConfig
from calib.controls import Update
from calib.device import Device
from calib.history import History
from calib.history_entries import VERDICTS
from calib.judge import gate_errors
from scripts.config_file import load
from scripts.main import main

TWO = """\
title = "Two for a test"
[device]
name = "two"
topology = { kind = "line", qubits = 2 }
"""
# Upkeep has something to do: the drive grows by 1 % in an hour.
DRIFT = """\
[[device.drift]]
process = { kind = "ramp" }
relative = { rabi_mhz = 0.01 }
"""
GATES = [("sx", [0]), ("x", [0]), ("sx", [1]), ("x", [1]), ("cz", [1, 0])]


class Done(NamedTuple):
    """Three runs of the same recipe: brought up; gone on with; and then with upkeep."""

    folder: pathlib.Path
    first: dict[str, Any]
    changes: int
    again: str
    kept: dict[str, Any]


def rows_of(path: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def said(arguments: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder, before = tmp_path_factory.mktemp("calibrate"), pathlib.Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scripts.report.style.PNG_DPI", 60)
        patch.chdir(folder)
        pathlib.Path("two.toml").write_text(TWO + DRIFT)
        command = ["calibrate", "two.toml", "--out", "run", "--history", "h.sqlite"]
        status, out, err = said([*command, "--json"])
        assert (status, err) == (0, "")
        first = json.loads(out)
        with History("h.sqlite") as history:
            changes = len(history.changes("two"))
        status, again, err = said([*command, "--no-pictures"])
        assert (status, err) == (0, "")
        more = ["--set", "hours=1", "--set", "every_minutes=60", "--json"]
        status, out, err = said([*command, *more])
        assert (status, err) == (0, "")
        yield Done(folder, first, changes, again, json.loads(out))
    assert pathlib.Path.cwd() == before


@pytest.mark.slow
def test_json_is_one_object_with_every_gate_at_its_limit(done: Done):
    found = done.first
    assert [(gate["gate"], gate["qubits"]) for gate in found["gates"]] == GATES
    for gate in found["gates"]:
        assert gate["ratio"] == pytest.approx(gate["infidelity"] / gate["coherence_limit"])
        assert gate["ratio"] < 1.2
        assert gate["infidelity_at_start"] > 5 * gate["infidelity"]
        assert 0 <= gate["leakage"] < 1e-3
    assert (found["device"], found["seed"], found["not_in_tolerance"]) == ("two", 1, [])
    assert sum(found["experiments_by_name"].values()) == found["experiments"]
    assert found["shots"] == found["bring_up_shots"] > found["circuits"] > found["jobs"] > 10
    assert json.loads((done.folder / "run/calibration.json").read_text()) == done.kept


@pytest.mark.slow
def test_the_history_holds_every_knob_and_its_values_are_as_good_as_it_says(done: Done):
    config = load(done.folder / "two.toml", CampaignConfig)
    device = Device(config.device)
    with History(done.folder / "h.sqlite") as history:
        after_first = history.changes("two")[done.changes - 1]
        values = history.values("two", at=after_first.id)
        assert list(history.values("two")) == list(values)
    assert set(values) == set(device.controls)
    device.advance(done.first["device_time_s"])
    device.controls.apply([Update(knob, value, None, "") for knob, value in values.items()])
    for error, gate in zip(gate_errors(device), done.first["gates"], strict=True):
        assert error.infidelity == pytest.approx(gate["infidelity"], rel=1e-9)
    starts = Device(config.device)
    moved = {knob.name for knob in values if values[knob] != starts.controls[knob]}
    assert moved >= {"frequency_ghz", "x.amplitude", "sx.amplitude", "x.drag_ns", "cz.amplitude",
                     "cz.duration_ns", "cz.phase_a_rad", "readout.angle_rad"}  # fmt: skip


@pytest.mark.slow
def test_the_same_command_again_is_the_same_campaign(done: Done):
    assert "Two for a test" in done.again
    assert "coherence limit" in done.again
    assert "uncertainty  status" in done.again
    with History(done.folder / "h.sqlite") as history:
        changes = history.changes("two")
    times = [change.device_time_s for change in changes]
    assert None not in times
    assert times == sorted(time for time in times if time is not None)
    steps = rows_of(done.folder / "run/steps.csv")
    assert float(steps[0]["device_time_s"]) < 10  # the first session's
    for key in ("bring_up_shots", "bring_up_device_time_s"):
        assert done.kept[key] == done.first[key]
    assert f"{done.first['bring_up_shots']:,} shots" in done.again
    for then, now in zip(done.first["gates"], done.kept["gates"], strict=True):
        assert now["infidelity_at_start"] == then["infidelity_at_start"]
    assert done.again.endswith("tables in run\n")


@pytest.mark.slow
def test_old_new_difference_uncertainty_and_status_are_those_of_the_history(done: Done):
    config = load(done.folder / "two.toml", CampaignConfig)
    start = {str(knob): value for knob, value in Device(config.device).controls.items()}
    with History(done.folder / "h.sqlite") as history:
        after_first = history.in_force("two", at=history.changes("two")[done.changes - 1].id)
    found = {str(knob): entry for knob, entry in after_first.items()}
    told = {row["knob"]: row for row in done.first["settings"]}
    assert {row["by"] for row in told.values()} <= set(done.first["experiments_by_name"])
    assert set(told) <= set(start)
    assert {knob.partition(".")[2] for knob in told} >= {"frequency_ghz", "x.amplitude"}
    for knob, row in told.items():
        assert (row["old"], row["new"]) == (start[knob], found[knob].value)
        turns = (row["difference"] - row["new"] + row["old"]) / (2 * np.pi)
        assert turns == pytest.approx(round(turns) if knob.endswith("_rad") else 0, abs=1e-12)
        assert row["uncertainty"] == found[knob].uncertainty
        assert row["status"] in VERDICTS


@pytest.mark.slow
def test_upkeep_follows_the_drift(done: Done):
    looks = rows_of(done.folder / "run/looks.csv")
    assert {row["settings"] for row in looks} == {"maintained", "left alone"}
    assert {row["qubits"] for row in looks} == {"q0", "q1", "q1-q0"}
    times = sorted({float(row["device_time_s"]) for row in looks})
    assert times[1] - times[0] == pytest.approx(3600)
    last = [row for row in looks if float(row["device_time_s"]) == times[-1]]
    ratio = {(row["settings"], row["gate"], row["qubits"]): float(row["ratio"]) for row in last}
    for gate, qubits in GATES:
        on = "-".join(f"q{q}" for q in qubits)
        assert ratio["maintained", gate, on] < 1.2
        if gate == "x":  # 1 % of amplitude: (1 − cos 0.01π)/3 = 1.6e-4 on some 2e-4
            assert ratio["left alone", gate, on] > 1.4
    assert done.kept["shots"] > done.kept["bring_up_shots"]


@pytest.mark.slow
def test_a_runs_folder_is_complete_and_its_recipe_runs_again(done: Done):
    names = {path.name for path in (done.folder / "run").iterdir()}
    pictures = {f"{name}{mode}.{kind}" for name in ("gates", "upkeep") for mode in ("", "-dark")
                for kind in ("png", "svg")}  # fmt: skip
    assert names == pictures | {"gates.csv", "upkeep.csv", "steps.csv", "looks.csv", "settings.csv",
                                "calibration.json", "config.toml", "manifest.json",
                                "journal.jsonl"}  # fmt: skip
    resolved = load(done.folder / "run/config.toml", CampaignConfig)
    assert resolved == load(
        done.folder / "two.toml", CampaignConfig, ["hours=1", "every_minutes=60"]
    )
    manifest = json.loads((done.folder / "run/manifest.json").read_text())
    assert (manifest["verb"], len(manifest["sessions"])) == ("calibrate", 3)
    steps = rows_of(done.folder / "run/steps.csv")
    assert len(steps) == done.kept["experiments"] == sum(done.kept["experiments_by_name"].values())
    assert {"in tolerance", "corrected"} <= {row["verdict"] for row in steps} <= set(VERDICTS)
    with History(done.folder / "h.sqlite") as history:
        assert len(history.checks("two")) == len(steps)


def size_of(path: pathlib.Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gates", "upkeep"])
def test_pictures_come_light_and_dark_and_nothing_leaves_the_page(done: Done, name: str):
    from matplotlib.image import imread

    for mode, page in (("", 1.0), ("-dark", 0.09)):
        path = done.folder / "run" / f"{name}{mode}.png"
        assert size_of(path) == (7 * 60, 4.5 * 60)
        pixels = imread(path)[..., :3].mean(axis=2)
        assert pixels[0, 0] == pytest.approx(page, abs=0.02)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert np.ptp(border) < 0.02  # no text or legend is cut
        assert (abs(pixels - page) > 0.2).mean() > 0.01
        # What is drawn reaches into the right tenth: no legend has pushed the axes aside.
        right = pixels[len(pixels) // 4 : len(pixels) * 3 // 4, -42:]
        assert (abs(right - page) > 0.02).any()


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(TWO)
    return tmp_path


# A test run in the background may have been started with SIGINT ignored, which children inherit.
VERB = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from scripts.main import main
sys.exit(main())
"""


def start(folder: pathlib.Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", VERB, "calibrate", "two.toml", "--out", "run",
         "--history", "h.sqlite", "--no-pictures", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def stop(process: subprocess.Popen[bytes], by: signal.Signals) -> None:
    assert process.poll() is None, process.communicate()  # it still had work to do
    os.killpg(process.pid, by)


def log_of(path: pathlib.Path) -> list[tuple[Any, ...]]:
    """Every entry of the history, in order, after SQLite has found the file intact."""
    if not path.exists() or path.stat().st_size == 0:
        return []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with History(path) as history:
        if not history.devices():
            return []
        log = history.entries("two")
        in_force = {entry.knob: entry.value for entry in log}
        assert history.values("two") == in_force  # the last committed value of each knob
    return [(e.change.id, e.knob, e.value, e.source, e.change.device_time_s) for e in log]


def wait_until(process: subprocess.Popen[bytes], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def changes_in(path: pathlib.Path) -> int:
    try:
        with History(path) as history:
            return len(history.changes("two")) if history.devices() else 0
    except ValueError:  # it is just being made
        return 0


@pytest.mark.slow
def test_killed_at_any_moment_the_history_is_intact_and_the_same_command_goes_on(
    folder: pathlib.Path,
):
    moments, path = random.Random(4), folder / "h.sqlite"
    kept: list[tuple[Any, ...]] = []
    for wanted in (0, 3, 12):  # while the file is made; early; amid the fine experiments
        process = start(folder)
        wait_until(process, path.exists)
        wait_until(process, lambda wanted=wanted: changes_in(path) >= wanted)
        time.sleep(moments.uniform(0, 0.4))
        stop(process, signal.SIGKILL)
        process.communicate()
        now = log_of(path)
        assert now[: len(kept)] == kept
        kept = now
    assert len({entry[0] for entry in kept}) >= 12
    process = start(folder)
    out, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, b"")
    found = json.loads(out)
    assert [(gate["gate"], gate["qubits"]) for gate in found["gates"]] == GATES
    assert max(gate["ratio"] for gate in found["gates"]) < 1.2
    now = log_of(path)
    assert now[: len(kept)] == kept
    times = [entry[-1] for entry in now]
    assert times == sorted(times)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(folder: pathlib.Path):
    process = start(folder)
    wait_until(process, lambda: changes_in(folder / "h.sqlite") >= 2)
    stop(process, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert b"finished is in h.sqlite; the same command goes on from there" in err
    assert b"Traceback" not in err
    assert changes_in(folder / "h.sqlite") >= 2

"""`syndrift calibrate --agent`: the shipped agent in the routine, its table and its history."""

import csv
import hashlib
import json
import math
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from calib.history import History
from envs.agents.checkpoint import CHECKPOINT
from envs.agents.shipped import agent_folder, find_agent
from scripts.main import main

RECIPE = """
[device]
name = "two"
topology = { kind = "couplings", qubits = 2, pairs = [] }
"""


@pytest.mark.slow
def test_the_table_says_what_the_agent_did(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("two.toml").write_text(RECIPE, encoding="utf-8")
    assert main(["calibrate", "two.toml", "--agent", "pulse", "--out", "run", "--no-pictures"]) == 0
    printed = capsys.readouterr().out
    (header,) = (line.split() for line in printed.splitlines() if line.startswith("knob"))
    assert header == ["knob", "old", "new", "difference", "uncertainty", "status", "by"]
    with open("run/settings.csv", encoding="utf-8") as file:
        rows = {row["knob"]: row for row in csv.DictReader(file)}
    with History(pathlib.Path("calibration.sqlite")) as history:
        entries = {
            str(one.knob): one for one in history.entries("two") if one.source == "agent_pulse"
        }
    assert {knob.partition(".")[0] for knob in entries} == {"q0", "q1"}
    assert len(entries) == 12
    for knob, entry in entries.items():
        row = rows[knob]
        assert float(row["new"]) == entry.value
        turns = (float(row["difference"]) - float(row["new"]) + float(row["old"])) / (2 * math.pi)
        assert turns == pytest.approx(round(turns) if knob.endswith("_rad") else 0, abs=1e-12)
        assert float(row["difference"]) != 0
        assert float(row["uncertainty"]) == entry.uncertainty
        assert (row["status"], row["by"]) == ("in tolerance", "agent_pulse")
    told = json.loads(pathlib.Path("run/calibration.json").read_text(encoding="utf-8"))["settings"]
    assert [{key: "" if value is None else str(value) for key, value in row.items()}
            for row in told] == list(rows.values())  # fmt: skip


def test_an_agent_that_is_not_there_is_bad_input(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("two.toml").write_text(RECIPE, encoding="utf-8")
    assert main(["calibrate", "two.toml", "--agent", "nobody"]) == 2
    assert "no agent 'nobody'" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two.toml"]


def retrain(folder: pathlib.Path) -> None:
    """Other weights, in a checkpoint that is as whole as before."""
    words = json.loads((folder / CHECKPOINT).read_text(encoding="utf-8"))
    file = folder / words["files"]["policy"]
    with np.load(file) as arrays:
        np.savez(file, allow_pickle=False, **{name: 0.9 * array for name, array in arrays.items()})
    words["sha256"]["policy"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / CHECKPOINT).write_text(json.dumps(words), encoding="utf-8")


def test_a_run_does_not_go_on_with_an_agent_that_was_trained_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stopped(*what: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("calib.campaign.run_campaign", stopped)
    pathlib.Path("two.toml").write_text(RECIPE, encoding="utf-8")
    shutil.copytree(agent_folder("pulse"), "mine/best")
    command = ["calibrate", "two.toml", "--agent", "mine", "--out", "run", "--no-pictures"]
    assert [main(command), main(command)] == [130, 130]
    capsys.readouterr()
    retrain(pathlib.Path("mine/best"))
    find_agent("mine")  # it could be used
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mine/best/checkpoint.json has changed since the run in run: give another --out" in line

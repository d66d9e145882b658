"""`syndrift calibrate --agent`: the shipped agent in the routine, its table and its history."""

import csv
import pathlib

import pytest

from calib.history import History
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
        assert float(row["difference"]) == pytest.approx(float(row["new"]) - float(row["old"]))
        assert float(row["difference"]) != 0
        assert float(row["uncertainty"]) == entry.uncertainty
        assert (row["status"], row["by"]) == ("in tolerance", "agent_pulse")


def test_an_agent_that_is_not_there_is_bad_input(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("two.toml").write_text(RECIPE, encoding="utf-8")
    assert main(["calibrate", "two.toml", "--agent", "nobody"]) == 2
    assert "no agent 'nobody'" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two.toml"]

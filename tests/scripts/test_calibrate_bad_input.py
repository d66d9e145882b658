"""`syndrift calibrate` on bad input: one clear line, no file left behind."""

import json
import pathlib
import sys

import pytest

from calib.campaign import CampaignConfig
from calib.device import Device
from calib.history import History
from scripts.config_file import load
from scripts.main import main

TWO = """\
title = "Two for a test"
[device]
name = "two"
topology = { kind = "line", qubits = 2 }
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(TWO)
    return tmp_path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a wrong command gets; nothing may be written by it."""
    before = sorted(pathlib.Path().rglob("*"))
    assert main(["calibrate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("syndrift: error: ")
    assert err.count("\n") == 1
    assert "pydantic" not in err
    assert sorted(pathlib.Path().rglob("*")) == before
    return err


BAD = [
    ("qubit.t1_su = 80", "unknown key `device.qubit.t1_su`; did you mean `t1_us`?"),
    ("qubit.t1_us = { mean = 80, deviaton = 3 }", "did you mean `deviation`?"),
    ("qubit.t1_us = { deviation = 3 }", "`device.qubit.t1_us.mean` is missing"),
    ("qubit.t1_us = -3", "t1_us must be positive, got -3"),
    ("qubit.t1_us = nan", "t1_us must be a number, got nan"),
    ("qubit.thermal_population = 0.7", "below 0.5, got 0.7"),
    ("qubits.0.t1_su = 80", "qubits.0.t1_su: no such parameter; one of"),
    ("qubits.0.group_step_ghz = 0.3", "give qubits.0.frequency_ghz instead"),
    ("qubits.7.t1_us = 80", "qubits.7: the device has qubits 0 to 1"),
    ("pairs.0-5.zz_khz = 80", "pairs.0-5: these two qubits are not coupled"),
    ("pair.flux_mhz = 50", "apart, expected 0 to 50 (flux_mhz)"),
    ("entangler = 'cx'", "device.entangler: input should be 'cz' or 'ecr', got 'cx'"),
    ("timing.one_qubit_ns = 2", "expected at most 1 (full scale)"),
    ("name = ''", "device.name"),
    ("seed = -1", "device.seed"),
    ("[[device.drift]]\nprocess = { kind = 'ornstein-uhlenbek', correlation_time_s = 9 }\n"
     "relative = { t1_us = 0.1 }", "did you mean 'ornstein-uhlenbeck'?"),
    ("[[device.drift]]\nprocess = { kind = 'ramp', per_hours = 3 }\nrelative = { t1_us = 0.1 }",
     "unknown key `device.drift.process.per_hours`; did you mean `per_hour`?"),
    ("[[device.drift]]\nprocess = { kind = 'ramp' }\nrelative = { t1_su = 0.1 }",
     "did you mean t1_us?"),
    ("[[device.drift]]\nprocess = { kind = 'ramp' }\nabsolute = { t1_us = 0.1 }",
     "drift of t1_us must be relative"),
    ("[[device.drift]]\nprocess = { kind = 'ramp' }\nrelative = { t1_us = 0.1 }\nqubits = [5]",
     "5 has no t1_us; it belongs to 0, 1"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "says"), BAD)
def test_a_wrong_device_gets_one_line_and_leaves_no_file(
    line: str, says: str, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "bad.toml").write_text(
        f"[device]\ntopology = {{ kind = 'line', qubits = 2 }}\n{line}\n"
    )
    err = refused(["bad.toml", "--out", "run", "--history", "h.sqlite"], capsys)
    assert err.startswith("syndrift: error: bad.toml: ")
    assert says in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: config"),
        (["tow.toml"], "tow.toml: no such config file; did you mean two.toml?"),
        (["two.toml", "--hours", "3"], "--hours"),
        (["two.toml", "--set", "hour=3"], "unknown key `hour`; did you mean `hours`?"),
        (["two.toml", "--set", "hours=-1"], "hours"),
        (["two.toml", "--set", "hours=inf"], "hours: input should be a finite number"),
        (["two.toml", "--set", "every_minutes=0"], "every_minutes"),
        (["two.toml", "--set", "device.topology.kind='lien'"], "did you mean 'line'?"),
        (["two.toml", "--seed", "-4"], "device.seed"),
        (["two.toml", "--seed", "x"], "--seed"),
        (["two.toml", "--history", "."], "got a folder"),
        (["two.toml", "--history", "two.toml"], "two.toml"),
        (["two.toml", "--out", "two.toml"], "expected a folder, got a file"),
        (["two.toml", "--set", "like.backend='fake_marakesh'"], "did you mean fake_marrakesh?"),
        (
            ["two.toml", "--set", "like.backend='fake_fez'", "--set", "like.qubit=[0]"],
            "unknown key `like.qubit`; did you mean `qubits`?",
        ),
    ],
)
def test_wrong_usage_gets_one_line(
    arguments: list[str],
    says: str,
    folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
):
    assert says in refused(arguments, capsys)


def test_another_device_under_a_known_name_is_refused(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    config = load(folder / "two.toml", CampaignConfig)
    from calib.campaign import resume

    with History("h.sqlite") as history:
        resume(Device(config.device), history, "earlier")
    other = ["--set", "device.start.amplitude=0.01", "--history", "h.sqlite", "--out", "run"]
    err = refused(["two.toml", *other], capsys)
    assert "h.sqlite knows another device by the name 'two' (it differs in start)" in err
    assert "another device.name, or another --history" in err


def test_a_folder_of_another_recipe_is_refused(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    from scripts import run_folder

    config = load(folder / "two.toml", CampaignConfig, ["device.seed=9"])
    run_folder.open_run(pathlib.Path("run"), "calibrate", config, may_change=())
    assert "a run whose `device.seed` is different" in refused(["two.toml", "--out", "run"], capsys)


@pytest.mark.parametrize("missing", ["torch", "qiskit_experiments"])
def test_a_missing_extra_is_named(
    missing: str,
    folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setitem(sys.modules, missing, None)
    err = refused(["two.toml"], capsys)
    assert err.strip().endswith(f"needs {missing}: pip install 'syndrift[device]'")


def test_a_device_that_does_not_come_within_tolerance_is_a_failure(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from calib import campaign
    from calib.judge import GateError
    from calib.routine import Log

    bad = GateError("x", (0,), 0.02, 0.001, 0.0, (0.98, 0.02, 0.0, 0.0))
    found = campaign.Campaign(
        (bad,), (campaign.Look(0.0, (bad,), (bad,)),), campaign.Spent(),
        Log(failed={("fine_x_amplitude", (0,))}),
    )  # fmt: skip
    monkeypatch.setattr(campaign, "run_campaign", lambda *arguments: found)
    assert main(["calibrate", "two.toml", "--no-pictures"]) == 1
    assert "note: fine_x_amplitude on q0 did not come within tolerance" in capsys.readouterr().out
    assert main(["calibrate", "two.toml", "--no-pictures", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["not_in_tolerance"] == [["fine_x_amplitude", [0]]]

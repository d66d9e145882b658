"""`syndrift deploy`: a dry run sends nothing, local services decode at once, errors are clear."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
import stim

from calib.runtime import Ledger
from decoders.deploy.memories import named_memory
from scripts.main import main

TORINO = ["--backend", "fake_torino", "--memory", "repetition:3", "--rounds", "2"]
FAST = [*TORINO, "--placement", "2,3,4,5,6", "--no-pictures"]


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_dry_run_sends_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", *FAST]) == 0
    said = capsys.readouterr().out
    assert "nothing was sent: add --submit" in said
    assert "as calibrated 2025-02-26 20:26 UTC" in said  # reported as 15:26 at UTC - 5 hours
    assert "qubits 2 3 4 5 6; no resets" in said
    assert not list(pathlib.Path().iterdir())


def test_submitted_here_it_is_decoded_beside_the_prediction(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["deploy", *FAST, "--submit", "--json", "--shots", "2e4", "--soft"]) == 0
    found = json.loads(capsys.readouterr().out)
    (plan,), (results,) = found["plans"], found["results"]
    scores = results["decoders"]
    assert set(scores) == {
        "pymatching", "pymatching-correlated", "pymatching-correlated@learnt", "pymatching-soft"
    }  # fmt: skip
    matched = scores["pymatching"]
    assert matched["shots"] == 40_000
    # The same noise, other seeds: five standard deviations of both.
    (predicted,) = (one for one in plan["predictions"] if one["decoder"] == "pymatching")
    spread = np.sqrt(predicted["ler"] * (1 / 40_000 + 1 / predicted["shots"]))
    assert abs(matched["ler"] - predicted["ler"]) < 5 * spread
    with Ledger.open("runs/jobs.sqlite", "read") as ledger:
        (deployment,) = ledger.deployments()
        assert [job.state for job in ledger.jobs(deployment.id)] == ["fetched"]


def test_its_shots_are_files_that_other_verbs_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", *FAST, "--submit", "--json", "--shots", "5000", "--out", "here"]) == 0
    wrong = json.loads(capsys.readouterr().out)["results"][0]["decoders"]["pymatching"]["errors"]
    counted = 0
    for state in ("state-0", "state-1"):
        place = pathlib.Path("here/deployment-1") / state
        assert main(["decode", f"{place}/detection_events.b8", "--circuit", f"{place}/circuit.stim",
                     "--flips", f"{place}/obs_flips_actual.b8", "--decoder", "pymatching",
                     "--json"]) == 0  # fmt: skip
        counted += json.loads(capsys.readouterr().out)["errors"]
    assert counted == wrong > 0


def test_ones_own_circuit_and_several_distances(capsys: pytest.CaptureFixture[str]) -> None:
    named_memory("repetition:3", rounds=1).to_file("mine.stim")
    own = ["deploy", "mine.stim", "--backend", "fake_torino", "--submit", "--shots", "1000"]
    assert main([*own, "--no-pictures"]) == 0
    assert "deployment 1, mine.stim" in capsys.readouterr().out
    many = ["deploy", *TORINO, "--memory", "repetition:5", "--shots", "3e4"]
    assert main([*many, "--json"]) == 0
    predicted = json.loads(capsys.readouterr().out)["predicted_lambda"]["pymatching"]["interval"]
    many += ["--submit", "--json"]
    assert main([*many, "--no-pictures"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["results"]] == ["repetition:3", "repetition:5"]
    low, high = found["lambda"]["pymatching"]["interval"]
    assert 1 < low < found["lambda"]["pymatching"]["value"] < high
    # Sampled from what was predicted: the intervals meet, and the wide one holds the narrow one's.
    assert low < sum(predicted) / 2 < high
    assert predicted[1] - predicted[0] < high - low


def test_pictures_and_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", *FAST[:-1], "--submit", "--shots", "500", "--out", "here"]) == 0
    pictures = {path.name for path in pathlib.Path("here/deployment-1").glob("detections*")}
    assert pictures == {"detections.png", "detections-dark.png", "detections.svg",
                        "detections-dark.svg", "detections.csv"}  # fmt: skip
    capsys.readouterr()
    assert main(["jobs"]) == 0
    assert "repetition:3" in capsys.readouterr().out
    assert main(["jobs", "1", "--fetch", "--decoder", "pymatching", "--out", "again"]) == 0
    assert "pymatching" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--memory", "surface:3"], "which device? Give --backend NAME"),
        (["--backend", "fake_torin", "--memory", "repetition:3"], "did you mean fake_torino"),
        (["--backend", "fake_torino"], "give either memory (such as surface:3) or circuit"),
        (["--backend", "fake_torino", "--memory", "repetiton:3"], "did you mean repetition:3"),
        (["--backend", "fake_torino", "--memory", "surface"], "memory must be CODE:DISTANCE"),
        ([*TORINO, "--placement", "2,3,x"], "--placement takes qubits' numbers"),
        ([*TORINO, "--placement", "2,3,4"], "5 different qubits below 133, got [2, 3, 4]"),
        ([*TORINO, "--placement", "2,3,4,5,50"], "not coupled: choose another placement"),
        ([*TORINO, "--service", "aer", "--soft"], "aer gives bits alone"),
        ([*TORINO, "--decoder", "pymatchin"], "did you mean `pymatching`"),
        ([*TORINO, "--rounds", "0"], "rounds"),
        ([*TORINO, "--shots", "0"], "shots: "),
        ([*TORINO, "--set", "schedule.dd=xx"], "unknown key `schedule.dd`"),
        (["mine.qasm", *TORINO], "at most one recipe (.toml), one circuit (.stim)"),
        (["mine.stim", "--backend", "fake_torino"], "mine.stim"),
        (["--backend", "fake_torino", "--memory", "surface:3"], "let swaps be added"),
        ([*TORINO, "--basis", "Y"], "invalid choice"),
        ([*TORINO, "--memory", "repetition:3"], "memory names one twice"),
        ([".", *TORINO], ". is a folder: expected a recipe"),
        ([*TORINO, "--submit", "--ledger", "."], "."),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(
    given: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", *given]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert not pathlib.Path("runs").exists()


def test_few_shots_to_learn_from_and_what_was_not_predicted_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["deploy", *FAST, "--submit", "--shots", "2000"]) == 0
    said = capsys.readouterr().out
    assert "@learnt learnt from 2,000 shots" in said
    (learnt,) = (line for line in said.splitlines() if line.startswith("pymatching-correlated@"))
    assert learnt.split()[-3:] == ["-", "-", "-"]
    (plain,) = (line for line in said.splitlines() if line.startswith("pymatching  ")
                and line.endswith(("yes", "no")))  # fmt: skip
    assert plain.count("[") == 2


def test_what_is_no_ledger_is_refused_before_a_search(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*given: object) -> None:
        raise AssertionError("planned")

    monkeypatch.setattr("decoders.deploy.plan.plan", unwanted)
    pathlib.Path("notes.txt").write_text("not a ledger")
    assert main(["deploy", *TORINO, "--submit", "--ledger", "notes.txt"]) == 2
    assert "notes.txt" in capsys.readouterr().err


def test_a_circuit_without_detectors_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    stim.Circuit("R 0\nM 0").to_file("bare.stim")
    assert main(["deploy", "bare.stim", "--backend", "fake_torino"]) == 2
    assert "detector" in capsys.readouterr().err


def test_a_surface_code_on_heavy_hexagons_needs_swaps(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--backend", "fake_torino", "--memory", "surface:3", "--rounds", "1", "--routed"]
    assert main(["deploy", *given]) == 0
    assert "of them added by swaps" in capsys.readouterr().out

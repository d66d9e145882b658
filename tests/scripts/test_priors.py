"""`syndrift priors`: what is written is learnt, and what cannot be is refused in a line."""

from __future__ import annotations

import csv
import json
import pathlib

import pytest
import stim

from decoders.dem import mechanisms
from scripts.main import main


def repetition(p: float) -> stim.Circuit:
    return stim.Circuit.generated(
        "repetition_code:memory", distance=5, rounds=5, before_round_data_depolarization=p,
        before_measure_flip_probability=p,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device is three times as noisy as its circuit says."""
    monkeypatch.chdir(tmp_path)
    repetition(0.01).to_file("my.stim")
    sampler = repetition(0.03).compile_detector_sampler(seed=4)
    sampler.sample_write(30_000, filepath="events.b8", format="b8")


def test_it_learns_how_noisy_the_device_is(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["priors", "events.b8", "--circuit", "my.stim", "--out", "learnt.dem"]
    assert main([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shots"] == 30_000
    assert found["median_factor"] == pytest.approx(3, rel=0.05)
    assert found["misfit_before"] > 10
    assert found["misfit_after"] == pytest.approx(1, abs=0.3)
    model = repetition(0.03).detector_error_model(decompose_errors=True)
    true = {error.parts: error.probability for error in mechanisms(model)}
    learnt = list(mechanisms(stim.DetectorErrorModel.from_file("learnt.dem")))
    assert len(learnt) == len(true)
    for error in learnt:
        assert error.probability == pytest.approx(true[error.parts], rel=0.2)
    assert main([*given[:-1], "again.dem"]) == 0
    assert "in shots held out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--circuit", "my.stim", "--out", "my.stim"], "that file is read: give another"),
        (["--out", "new.dem"], "give the circuit that made the events, its error model, or both"),
        (["--circuit", "no.stim", "--out", "new.dem"], "no.stim: no such file"),
        (["--circuit", "my.stim"], "required: --out"),
        (["--circuit", "my.stim", "--out", "a.dem", "--bars", "a.dem"], "that file is written"),
        (["--circuit", "my.stim", "--out", "new.dem", "--bars", "no/a.csv"], "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["priors", "events.b8", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not pathlib.Path("new.dem").exists()


def test_bars_are_written_beside_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["priors", "events.b8", "--circuit", "my.stim", "--out", "learnt.dem"]
    assert main([*given, "--bars", "learnt.csv", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    with open("learnt.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    model = repetition(0.03).detector_error_model(decompose_errors=True)
    true = {str(error).split(" ", 1)[1]: error.probability for error in mechanisms(model)}
    assert len(rows) == len(true) == found["errors"]
    inside = 0
    for row, error in zip(rows, mechanisms(stim.DetectorErrorModel.from_file("learnt.dem")),
                          strict=True):  # fmt: skip
        assert float(row["learnt"]) == pytest.approx(error.probability, rel=1e-3)
        assert float(row["low"]) < float(row["learnt"]) < float(row["high"])
        inside += float(row["low"]) <= true[row["error"]] <= float(row["high"])
        assert row["doubt"] == ""
    assert inside >= 0.9 * len(rows)
    assert found["identified"] == len(rows)
    assert found["not_identified"] == {}
    assert "not identified" not in said.err


def test_what_shots_cannot_tell_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    model = stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.05) D0\nerror(0.1) D1")
    model.to_file("two.dem")
    pathlib.Path("two.01").write_text("10\n01\n00\n00\n" * 500, encoding="utf-8")
    assert main(["priors", "two.01", "--dem", "two.dem", "--out", "new.dem", "--json"]) == 0
    said = capsys.readouterr()
    assert "not identified, of 3 errors: 2 merged, first D0 L0" in said.err
    assert json.loads(said.out)["not_identified"] == {"merged": 2}


def test_with_flips_the_model_is_tuned(capsys: pytest.CaptureFixture[str]) -> None:
    """The device has a likely error that the model lacks: its detectors, and the observable."""
    given = "error(0.1) D0 L0\nerror(0.1) D1\nerror(0.1) D0 D1"
    pathlib.Path("few.dem").write_text(given, encoding="utf-8")
    device = stim.DetectorErrorModel(
        "error(0.2) D0 L0\nerror(0.2) D1\nerror(0.03) D0 D1\nerror(0.09) D0 D1 L0"
    )
    events, flips, _ = device.compile_sampler(seed=1).sample(20_000)
    stim.write_shot_data_file(data=events, path="few.b8", format="b8", num_detectors=2)
    stim.write_shot_data_file(data=flips, path="flips.01", format="01", num_observables=1)
    asked = ["priors", "few.b8", "--dem", "few.dem", "--flips", "flips.01", "--out", "new.dem"]
    assert main([*asked, "--json"]) == 0
    tuned = json.loads(capsys.readouterr().out)["tuned"]
    assert tuned["better"]
    assert tuned["decoder"] == "pymatching-correlated"
    assert tuned["ratio"] == tuned["errors_tuned"] / tuned["errors_learnt"]
    assert tuned["interval"][1] < 0.9
    assert tuned["p_value"] < 1e-6
    assert main(asked) == 0
    said = capsys.readouterr()
    assert "the tuned model is taken" in said.out
    assert "the tuned error model is in new.dem" in said.out
    assert "20,000 shots are few to tune pymatching-correlated with" in said.err
    assert main(["priors", "events.b8", "--circuit", "my.stim", "--flips", "flips.01",
                 "--out", "other.dem"]) == 2  # fmt: skip
    assert "30,000 shots, flips.01 has 20,000" in capsys.readouterr().err
    assert not pathlib.Path("other.dem").exists()


@pytest.mark.parametrize(("shots", "few"), [(9_000, True), (10_000, False)])
def test_few_shots_are_said_to_be_few(
    shots: int, few: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    repetition(0.01).compile_detector_sampler(seed=6).sample_write(
        shots, filepath="some.b8", format="b8", obs_out_filepath="flips.01", obs_out_format="01"
    )
    asked = ["priors", "some.b8", "--circuit", "my.stim", "--out", "new.dem"]
    assert main(asked) == 0
    said = capsys.readouterr()
    assert ("9,000 shots are few to learn from" in said.err) == few
    assert "the learnt error model is in new.dem" in said.out
    assert main([*asked, "--flips", "flips.01"]) == 0  # the model is right: there is no gain
    said = capsys.readouterr()
    assert f"{shots:,} shots are few to tune pymatching-correlated with" in said.err
    assert "learn from the events alone, without --flips" in said.err
    assert "few to learn" not in said.err
    assert "what is written is learnt from the events alone" in said.out
    assert "the learnt error model is in new.dem" in said.out


@pytest.mark.parametrize(
    ("line", "shots", "says"),
    [
        ("0" * 24, 2_000, "none.01: expected detection events, got none in 2,000 shots"),
        ("1" * 24, 2_000, "none of 50 (50 inverted: "),
        ("1" + "0" * 23, 99, "none.01: expected at least 100 shots to learn from, got 99"),
    ],
)
def test_shots_that_tell_nothing_are_refused(
    line: str, shots: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pathlib.Path("none.01").write_text(f"{line}\n" * shots, encoding="utf-8")
    asked = ["priors", "none.01", "--circuit", "my.stim", "--out", "new.dem", "--bars", "new.csv"]
    assert main(asked) == 2
    assert says in capsys.readouterr().err
    assert not pathlib.Path("new.dem").exists()
    assert not pathlib.Path("new.csv").exists()

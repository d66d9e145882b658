"""`syndrift priors`: what is written is learnt, and what cannot be is refused in a line."""

from __future__ import annotations

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
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["priors", "events.b8", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not pathlib.Path("new.dem").exists()

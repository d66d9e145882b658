"""The report of `syndrift train`: errors beside matching, as far as the training has come."""

import json
import pathlib
from typing import Any

import pytest

from decoders.statistics import binomial_interval
from scripts.page import trained
from scripts.page.figures import Bars, Chart

CONFIG = """
title = "A small one"
seed = 7
"""


def judgement(step: int, ours: int, **more: Any) -> dict[str, Any]:
    errors = {"pymatching": 950, "pymatching-correlated": 800, "this one": ours}
    return {"step": step, "examples": 128 * step, "seconds": 0.5 * step, "loss": 1 / (step + 1),
            "shots": 20_000, "errors": errors, **more}  # fmt: skip


JUDGED = [judgement(0, 900), judgement(8, 820), judgement(16, 700)]
TUNED = {
    "data": "x", "seed": 7, "parts": [600, 200, 200], "step": 8, "steps": 16, "start": None,
    "shots": 200, "errors": {"pymatching": 40, "its start": 32, "this one": 20},
    "beyond": {"pymatching": [15, 5, 25], "its start": [18, 2, 14]}, "better": True,
    "by_start": {"ratio": 0.625, "interval": [0.45, 0.87], "p_value": 0.0042},
}  # fmt: skip


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "training.json").write_text(json.dumps({"judgements": JUDGED}))
    return tmp_path


def header_file(path: pathlib.Path, judgements: list[dict[str, Any]]) -> None:
    """A safetensors file without tensors: its length, then its header."""
    said = {"__metadata__": {"syndrift": json.dumps({"judgements": judgements})}}
    text = json.dumps(said).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)


def figures(run: pathlib.Path) -> dict[str, Any]:
    return {one.title: one for section in trained.sections(run) for one in section.figures}


def test_learning_curves_are_the_judgements(run: pathlib.Path) -> None:
    found = figures(run)
    for name, key in (("Errors over examples", "examples"), ("Errors over time", "seconds")):
        curves = {curve.name: curve for curve in found[name].curves}
        assert list(curves) == ["this one", "pymatching-correlated", "pymatching"]
        ours = curves["this one"]
        assert list(ours.x) == [one[key] for one in JUDGED]
        assert list(ours.y) == [0.045, 0.041, 0.035]
        assert (ours.low[2], ours.high[2]) == binomial_interval(700, 20_000)
    beside = {curve.name: list(curve.y) for curve in found["Errors beside matching's"].curves}
    assert beside["by pymatching-correlated"] == [1.125, 1.025, 0.875]
    assert "20,000 held-out shots" in found["Errors over examples"].caption
    assert "seed 7" in found["Errors over examples"].caption


def test_the_loss_begins_with_the_first_that_was_trained(run: pathlib.Path) -> None:
    (curve,) = figures(run)["Loss over examples"].curves
    assert list(curve.x) == [1024, 2048]
    assert list(curve.y) == [1 / 9, 1 / 17]


def test_the_loss_on_recorded_shots_stands_beside(run: pathlib.Path) -> None:
    judged = [judgement(0, 900, held_out_loss=0.4), judgement(8, 820, held_out_loss=0.3)]
    (run / "training.json").write_text(json.dumps({"judgements": judged}))
    chart = figures(run)["Loss over examples"]
    assert isinstance(chart, Chart)
    assert [list(curve.y) for curve in chart.curves] == [[1 / 9], [0.4, 0.3]]


def test_the_words_are_the_last_judgement(run: pathlib.Path) -> None:
    words = " ".join(trained.sections(run)[0].words)
    assert "After 2,048 examples and 8 seconds of training this one" in words
    assert "0.035 [" in words
    assert "0.737 times the errors of pymatching (the intervals lie apart)" in words
    # 700 and 800 of 20,000: [0.0325, 0.0376] and [0.0374, 0.0428].
    assert "0.875 times the errors of pymatching-correlated (the intervals overlap)" in words
    assert "Untrained it had 900 errors on these shots, now 700." in words
    assert "under way" not in words
    assert trained.title(run) == "A small one"


def test_a_training_under_way_is_read_from_its_decoder(run: pathlib.Path) -> None:
    (run / "training.json").unlink()
    header_file(run / "decoder.safetensors", JUDGED[:2])
    assert list(figures(run)["Errors over time"].curves[0].x) == [0.0, 4.0]
    assert "under way" in " ".join(trained.sections(run)[0].words)


def test_a_training_gone_on_with_shows_what_came_since(run: pathlib.Path) -> None:
    later = [*JUDGED, judgement(24, 600)]
    header_file(run / "decoder.safetensors", later)
    assert list(figures(run)["Errors over examples"].curves[0].x) == [0, 1024, 2048, 3072]
    assert "under way" in " ".join(trained.sections(run)[0].words)


def test_a_decoder_of_ours_has_such_a_header(tmp_path: pathlib.Path) -> None:
    """The shipped weights are files as `syndrift train` writes them."""
    folder = pathlib.Path(trained.__file__).parents[2] / "decoders" / "neural" / "weights"
    path = next(folder.glob("*.safetensors"))
    (tmp_path / "decoder.safetensors").write_bytes(path.read_bytes())
    found = trained.judgements_of(tmp_path)
    from decoders.neural.decoder_file import read_header

    kept = read_header(path).judgements
    assert [one["errors"] for one in found] == [one.errors for one in kept]
    assert kept


def test_a_table_of_judgements_will_do(run: pathlib.Path) -> None:
    (run / "training.json").unlink()
    (run / "judgements.csv").write_text(
        "step,examples,seconds,loss,shots,errors of pymatching,errors of this one\n"
        "0,0,0.0,0.0,100,9,8\n8,64,1.5,0.25,100,9,7\n16,128,3.0,0.2"
    )
    ours = figures(run)["Errors over time"].curves[0]
    assert (ours.name, list(ours.x), list(ours.y)) == ("this one", [0.0, 1.5], [0.08, 0.07])


@pytest.mark.parametrize("damage", [b"", b"\xff" * 9, b"\x02" + b"\0" * 7 + b"{}"])
def test_nothing_judged_is_said(tmp_path: pathlib.Path, damage: bytes) -> None:
    (tmp_path / "decoder.safetensors").write_bytes(damage)
    (section,) = trained.sections(tmp_path)
    assert "first judgement" in section.words[0]
    assert trained.title(tmp_path)


def test_recorded_shots_have_a_judgement_of_their_own(run: pathlib.Path) -> None:
    (run / "config.toml").write_text(CONFIG + '[data]\nfolder = "shots"\n')
    (run / "training.json").write_text(json.dumps({"judgements": JUDGED, "fine_tuning": TUNED}))
    found = figures(run)
    bars, table = found["Logical error rate a shot"], found["Judged"]
    assert isinstance(bars, Bars)
    assert list(bars.values) == [0.2, 0.16, 0.1]
    words = " ".join(trained.sections(run)[1].words)
    assert "Significantly better than its start" in words
    assert "0.625 [0.450, 0.870] of its errors, p = 0.0042" in words
    rows = {row[0]: row for row in table.rows}
    # McNemar's exact p of 2 against 14: 2 (1 + 16 + 120) / 2^16.
    assert rows["its start"][-1] == f"{2 * (1 + 16 + 120) / 2**16:.1e}"
    assert rows["this one"][-2:] == ["", ""]
    assert "that selected the weights" in found["Errors over examples"].caption
    worse = TUNED | {"better": False}
    (run / "training.json").write_text(json.dumps({"judgements": JUDGED, "fine_tuning": worse}))
    assert "NOT significantly better" in trained.sections(run)[1].words[0]

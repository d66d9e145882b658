"""`syndrift demo`: the loop on this computer, resumable, with one report of its own numbers."""

from __future__ import annotations

import json
import pathlib
from html import escape

import pytest

from scripts import demo
from scripts.demo_stages import Stage, stages
from scripts.main import main
from scripts.page.folder import page_of


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_quick_demo_goes_round_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--quick", "--out", "run", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    names = [one["folder"] for one in found["stages"]]
    assert names == ["calibrate", "steer", "train", "compare", "budget", "deploy"]
    for number, name in enumerate(names, 1):
        assert f"{number}/6 " in said.err
        assert name in found
    # Brought up from a guess: each gate near its coherence limit, none before.
    gates = found["calibrate"]["gates"]
    assert max(one["ratio"] for one in gates) < 2
    assert min(one["infidelity_at_start"] / one["infidelity"] for one in gates) > 1
    # Steered, it fires less often than left alone.
    fired = found["steer"]["steerers"]["steerer"]["detections_a_cycle"]
    assert fired["best"] < fired["steered"] < fired["untouched"]
    # The training's held-out shots and the comparison's are of the same circuit, with matching.
    (trained,) = (one for one in found["compare"]["decoders"] if one.endswith(".safetensors"))
    errors = {name: one["errors"] for name, one in found["compare"]["decoders"].items()}
    assert errors[trained] < errors["pymatching"]
    page = pathlib.Path("run/report.html").read_text(encoding="utf-8")
    for one in found["stages"]:
        assert escape(one["does"]) in page
        assert escape(one["found"]) in page
    # A finished demo is not written over, and a stage can be run by itself.
    assert main(["demo", "--quick", "--out", "run"]) == 2
    assert "holds a finished demo" in capsys.readouterr().err
    command = found["stages"][3]["command"].split()
    assert main([*command[1:-1], "again", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {name: one["errors"] for name, one in again["decoders"].items()} == errors


def _failing(folder: pathlib.Path, seed: int, *, quick: bool) -> list[Stage]:
    return [Stage("compare", "asking for what is not there", ("compare", "--circuit", "gone.stim"),
                  1.0, lambda found: "")]  # fmt: skip


def test_a_stage_that_fails_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.demo_stages.stages", _failing)
    assert main(["demo", "--out", "run"]) == 1
    said = capsys.readouterr().err
    assert "gone.stim" in said
    assert "the same command goes on from there" in said
    assert not pathlib.Path("run/report.html").exists()
    # Until then it can be looked at: the stage of now, and what was found before it.
    page = page_of(pathlib.Path("run"))
    assert page.subtitle.endswith("under way: asking for what is not there.")
    assert [one.title for one in page.sections] == ["Nothing yet", "In short"]


def test_a_finished_demo_is_left_alone_and_an_unfinished_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scripts.demo_stages.stages", _failing)
    for _ in range(2):
        assert main(["demo"]) == 1
    assert [path.name for path in pathlib.Path("runs").iterdir()] == ["demo"]
    pathlib.Path("runs/demo/report.html").touch()
    assert main(["demo"]) == 1
    assert main(["demo", "--quick", "--seed", "7"]) == 1
    names = {path.name for path in pathlib.Path("runs").iterdir()}
    assert names == {"demo", "demo-2", "demo-quick-seed-7"}
    capsys.readouterr()


def test_what_is_left_goes_by_how_fast_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    plan = [Stage("", "", (), seconds, lambda found: "") for seconds in (60.0, 120.0)]
    clock = demo._Clock(plan)
    assert clock.left() == "about 3 min 00 s left"
    now = 30.0  # twice as fast as usual
    assert clock.passed(plan[0]) == 30.0
    assert clock.left() == "about 1 min 00 s left"


def test_the_stages_hand_on_what_they_made(tmp_path: pathlib.Path) -> None:
    plan = {one.folder: one for one in stages(tmp_path, 5, quick=False)}
    device = (plan["calibrate"].recipe or {})["device"]
    steering = plan["steer"].recipe or {}
    assert steering["environment"]["plant"]["device"] == device
    assert (device["seed"], device["topology"]["qubits"], len(device["topology"]["pairs"])) == (
        5, 17, 24,
    )  # fmt: skip
    circuit = str(tmp_path / "steer" / "circuit-untouched.stim")
    assert (plan["train"].recipe or {})["circuits"] == circuit
    assert circuit in plan["compare"].arguments
    assert circuit in plan["budget"].arguments

"""`syndrift train-agent`: figures, files, going on, and what it says when something is wrong."""

import csv
import json
import pathlib
import signal
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
import torch

from scripts.main import VERBS, main
from tests.envs.agents.toy import TOY, OffsetDevices

# 16 devices x 8 steps are a rollout: saved after 256 steps, judged after 512, done after 1024.
RECIPE = f"""\
title = "Cancels an offset"
devices = 16
steps = 1024
checkpoint_every_steps = 256
[environment]
id = "{TOY}"
config = {{ noise = 0.05 }}
[algorithm]
kind = "ppo"
rollout_steps = 8
network = [8]
[evaluation]
every_steps = 512
devices = 32
"""
KEYS = {"title", "environment", "algorithm", "steps", "seconds", "seed", "final", "best",
        "evaluations", "agent", "run"}  # fmt: skip


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    entry: Any = OffsetDevices
    if TOY not in gymnasium.registry:
        gymnasium.register(TOY, vector_entry_point=entry)
    monkeypatch.setitem(VERBS, "train_agent", "train an agent")
    monkeypatch.setattr("scripts.report.style.PNG_DPI", 60)
    monkeypatch.chdir(tmp_path)
    pathlib.Path("toy.toml").write_text(RECIPE)
    threads = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == threads


def trained(*arguments: str) -> int:
    return main(["train_agent", "toy.toml", "--no-pictures", *arguments])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert trained(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_figures_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained("--out", "run", "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert set(found) == KEYS
    assert (found["steps"], found["seed"], found["algorithm"]) == (1024, 1, "ppo")
    assert [one["steps"] for one in found["evaluations"]] == [512, 1024]
    assert found["final"]["devices"] == 32
    assert json.loads(pathlib.Path("run/training.json").read_text()) == found
    names = {path.name for path in pathlib.Path("run").iterdir()}
    assert names == {"best", "last", "tensorboard", "model_card.md", "config.toml",
                     "manifest.json", "training.json", "evaluations.csv"}  # fmt: skip
    rows = list(csv.DictReader(pathlib.Path("run/evaluations.csv").read_text().splitlines()))
    assert [float(row["mean_return"]) for row in rows] == [
        one["mean_return"] for one in found["evaluations"]
    ]

    # The same command again: nothing is left to train, and the same is said, now as a table.
    assert trained("--out", "run", "--resume", "--report") == 0
    out, _ = capsys.readouterr()
    assert "the report is run/report.html" in out
    page = pathlib.Path("run/report.html").read_text()
    assert f"{found['final']['median_ratio']:.4g}" in out
    assert f"{found['evaluations'][1]['mean_return']:.4g} [" in page
    assert out.startswith("Cancels an offset\n")
    assert f"mean return {found['final']['mean_return']:.4g} [" in out
    assert f"{100 * found['final']['calibrated'] / 32:.1f} % [" in out
    assert f"median ratio {found['final']['median_ratio']:.4g}" in out
    again = json.loads(pathlib.Path("run/training.json").read_text())
    assert again == found

    # More steps: it goes on.
    assert trained("--out", "run", "--set", "steps=1536", "--json") == 0
    longer = json.loads(capsys.readouterr().out)
    assert longer["evaluations"][:2] == found["evaluations"]
    assert longer["steps"] == 1536


def test_the_learning_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train_agent", "toy.toml", "--out", "run"]) == 0
    names = {path.name for path in pathlib.Path("run").glob("learning*")}
    assert names == {"learning.png", "learning-dark.png", "learning.svg", "learning-dark.svg",
                     "learning.csv"}  # fmt: skip


def test_the_seed_is_an_option_and_the_folder_the_recipe_s(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert trained("--json", "--seed", "7", "--set", "steps=256") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seed"] == 7
    assert found["run"].startswith("runs/toy-")
    assert pathlib.Path(found["agent"], "checkpoint.json").exists()
    assert trained("--json", "--seed", "8", "--set", "steps=256") == 0
    other = json.loads(capsys.readouterr().out)
    assert other["run"] != found["run"]
    assert other["final"]["mean_return"] != found["final"]["mean_return"]


def test_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = OffsetDevices.step
    calls = 0

    def interrupting(self: OffsetDevices, actions: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 20:
            signal.raise_signal(signal.SIGINT)
        return step(self, actions)

    with monkeypatch.context() as patch:
        patch.setattr(OffsetDevices, "step", interrupting)
        assert trained("--out", "run") == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert "What was learnt in 320 steps is in run/last; the same command goes on" in err
    assert trained("--out", "run", "--resume", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] >= 1024
    sessions = json.loads(pathlib.Path("run/manifest.json").read_text())["sessions"]
    assert len(sessions) == 2


def test_what_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no training to go on with" in refused(capsys, "--out", "run", "--resume")
    assert "did you mean `clip`" in refused(capsys, "--set", "algorithm.clib=0.1")
    assert "there is no 'ppp'; did you mean 'ppo'" in refused(capsys, "--set", "algorithm.kind=ppp")
    assert "environment.id" in refused(capsys, "--set", "environment.id=toy/Ofset-v0")
    assert "keyword argument 'config'" in refused(capsys, "--set", "environment.id=Pendulum-v1")
    pulse = ("--set", "environment.id=syndrift/PulseCalibration-v0")
    assert "environment.config: unknown key `noise`" in refused(capsys, *pulse)
    assert not pathlib.Path("run").exists()
    assert not pathlib.Path("runs").exists()
    pathlib.Path("mine").mkdir()
    pathlib.Path("mine/notes.txt").write_text("mine")
    assert "holds other files" in refused(capsys, "--out", "mine")


def test_another_recipe_does_not_go_into_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained("--out", "run", "--set", "steps=256") == 0
    capsys.readouterr()
    assert "whose `seed` is different" in refused(capsys, "--out", "run", "--seed", "2")


def test_a_missing_package_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    error = refused(capsys)
    assert "needs sb3_contrib: pip install 'syndrift[agents]'" in error

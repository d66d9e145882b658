"""Several ranks: the same step as one, and a killed one does not show."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import torch

from decoders.neural.ranks import ALONE, Ranks, joined
from decoders.neural.training import train
from decoders.neural.training_config import TrainingConfig
from tests.shown import ROOT

HERE = pathlib.Path(__file__).parent
RECIPE = """
title = "Two"
seed = 4
batch = 32
examples = 1_600
workers = 0
threads = 1
[code]
name = "repetition"
distance = 3
[noise]
kind = "phenomenological"
p = 0.08
[network]
kind = "residual"
members = 2
channels = 4
depth = 1
[held_out]
shots = 2_000
every = 800
"""


def torchrun(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
         "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": str(folder),
             "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
def test_unequal_shares_are_the_step_of_the_whole_batch(tmp_path: pathlib.Path) -> None:
    ran = torchrun(tmp_path, str(HERE / "two_ranks.py"))
    assert ran.returncode == 0, ran.stderr
    told = re.findall(r"rank (\d): (\S+) (\S+)", ran.stdout)
    assert sorted(rank for rank, _, _ in told) == ["0", "1"]
    for _, gradient, loss in told:
        assert float(gradient) < 1e-6  # float32
        assert float(loss) < 1e-6


def judgements(folder: pathlib.Path) -> list[dict[str, Any]]:
    found = json.loads((folder / "training.json").read_text())["judgements"]
    return [{key: value for key, value in one.items() if key != "seconds"} for one in found]


@pytest.mark.slow
def test_a_killed_rank_does_not_show(tmp_path: pathlib.Path) -> None:
    """The state of each step is kept, and the launcher begins all ranks anew from it."""
    (tmp_path / "two.toml").write_text(RECIPE)
    for what in ("spare", "kill"):
        ran = torchrun(
            tmp_path, "--max-restarts", "1", str(HERE / "killed_rank.py"), what, "two.toml",
            "--out", what, "--no-pictures",
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert ("Signal 9" in ran.stderr or "-9" in ran.stderr) is (what == "kill"), ran.stderr
    assert judgements(tmp_path / "kill") == judgements(tmp_path / "spare")
    assert [one["examples"] for one in judgements(tmp_path / "kill")] == [0, 800, 1600]
    sessions = json.loads((tmp_path / "kill" / "manifest.json").read_text())["sessions"]
    assert len(sessions) == 2


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(tomllib.loads(RECIPE) | changes)


@pytest.mark.slow
def test_two_ranks_learn_what_one_learns(tmp_path: pathlib.Path) -> None:
    """The same shots in the same batches: the losses differ by rounding alone (float32)."""
    (tmp_path / "two.toml").write_text(RECIPE)
    ran = torchrun(tmp_path, "-m", "scripts.main", "train", "two.toml", "--out", "two",
                   "--no-pictures", "--json")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["run"] == "two"  # the first one alone has spoken
    one = train(config(), tmp_path / "one")
    losses = [(ours.loss, theirs["loss"]) for ours, theirs
              in zip(one.judgements, judgements(tmp_path / "two"), strict=True)]  # fmt: skip
    assert len(losses) == 3
    for ours, theirs in losses[1:]:
        assert ours == pytest.approx(theirs, rel=1e-5)
    weights = train(config(), tmp_path / "two").network.state_dict()  # that have ended
    for name, value in one.network.state_dict().items():
        assert torch.allclose(value, weights[name], rtol=1e-3, atol=1e-5), name


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"3 ranks cannot have equal shares of 32 .* batch=33"):
        Ranks(0, 3).check_batch(32)
    Ranks(0, 4).check_batch(32)
    ALONE.check_batch(7)


def test_without_the_launcher_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as ranks:
        assert ranks == ALONE
        assert ranks.shared("mine") == ranks.from_first(lambda: "mine") == "mine"

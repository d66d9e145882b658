"""The batch scripts for SLURM on two nodes that stand in for a cluster: see tests/slurm."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tomllib

import pytest

from decoders.collect import read_totals
from decoders.neural.training import train
from decoders.neural.training_config import TrainingConfig
from tests.decoders.neural.test_ranks import RECIPE
from tests.ray_alone import ray_alone
from tests.shown import ROOT
from tests.slurm.nodes import HERE, job, possible

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not possible(), reason="network namespaces need root"),
]


def sbatch(script: str, arguments: list[str], name: str, folder: pathlib.Path) -> str:
    """Runs the script as a job in `folder`; what it printed."""
    binaries = pathlib.Path(sys.executable).parent
    said = folder / f"{name}.out"
    with ray_alone() as ray, job(name) as environment, said.open("w") as out:
        ran = subprocess.run(
            ["bash", str(ROOT / "configs" / script), *arguments],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT, timeout=240, check=False,
            env={**environment, **ray, "PATH": f"{HERE}:{binaries}:/usr/sbin:/sbin:{os.defpath}",
                 "HOME": str(folder), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'slurm'}",
                 "MARKS": str(folder), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    text = said.read_text()
    assert ran.returncode == 0, text[-3000:]
    return text


def test_a_sweep_is_counted_on_both_nodes(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("ray", reason="the extra `cluster` is missing")
    (tmp_path / "sweep.toml").write_text(
        'seed = 3\ndecoders = "where_it_decodes:Marks"\ntime_decoders = false\n'
        '[code]\nname = "repetition"\ndistance = 3\n'
        '[noise]\nkind = "phenomenological"\np = 0.05\n[stop]\nmax_shots = 150_000\n'
    )
    marks = tmp_path / "marks"
    marks.mkdir()
    said = sbatch("slurm_evaluate.sh", ["sweep.toml", "--no-pictures", "--out", "run"],
                  "synd-e", tmp_path)  # fmt: skip
    assert "where_it_decodes:Marks" in said
    (total,) = read_totals(tmp_path / "run" / "counts.csv").values()
    assert total.shots == 150_000
    # One of the driver's own namespace, where names are resolved, at most: nodes have their own.
    own = os.readlink("/proc/self/ns/net").strip("net:[]")
    nodes = {path.name for path in tmp_path.iterdir() if path.name.isdigit()} - {own}
    assert len(nodes) == 2


def test_a_training_takes_both_nodes_and_is_that_of_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / "two.toml").write_text(RECIPE)
    said = sbatch("slurm_train.sh", ["two.toml", "--no-pictures", "--out", "two"],
                  "synd-t", tmp_path)  # fmt: skip
    assert said.count("the decoder is two/decoder.safetensors") == 1
    found = json.loads((tmp_path / "two" / "training.json").read_text())["judgements"]
    here = train(TrainingConfig.model_validate(tomllib.loads(RECIPE)), tmp_path / "one")
    assert [one["loss"] for one in found] == pytest.approx(
        [one.loss for one in here.judgements], rel=1e-5
    )

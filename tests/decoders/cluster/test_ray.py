"""Ray as the engine: two nodes, one of which is killed; the table is that of a run without."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from decoders.cluster import collect_on
from scripts.main import main
from tests.decoders.cluster.test_driver import table
from tests.decoders.cluster.two_nodes import SEED, works
from tests.decoders.cluster.unreliable import Unreliable
from tests.ray_alone import ray_alone
from tests.shown import ROOT

pytest.importorskip("ray", reason="the extra `cluster` is missing")

ENVIRONMENT = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def apart(tmp_path: pathlib.Path) -> Iterator[dict[str, str]]:
    with ray_alone() as ray:
        yield {**ENVIRONMENT, **ray, "HOME": str(tmp_path)}


@pytest.mark.slow
def test_a_killed_node_does_not_show_in_the_table(
    tmp_path: pathlib.Path, apart: dict[str, str]
) -> None:
    program = ROOT / "tests" / "decoders" / "cluster" / "two_nodes.py"
    ran = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "killed.csv"), "kill"],
        capture_output=True, text=True, timeout=200, check=False, env=apart,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["slots"] == 2
    assert len(found["lost"]) >= 1
    assert "dead" in found["lost"][0] or "died" in found["lost"][0]
    collect_on(Unreliable(1), works(), tmp_path / "here.csv", seed=SEED)
    assert table(tmp_path / "killed.csv") == table(tmp_path / "here.csv")


@pytest.mark.slow
def test_the_option_counts_on_ray_what_is_counted_here(
    tmp_path: pathlib.Path, apart: dict[str, str]
) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        'seed = 3\ndecoders = "pymatching"\ntime_decoders = false\n[code]\nname = "repetition"\n'
        'distance = [3, 5]\n[noise]\nkind = "phenomenological"\np = 0.05\n'
        "[stop]\nmax_shots = 5_000\n"
    )
    for folder, on in (("here", []), ("there", ["--on", "ray"])):
        subprocess.run(
            [sys.executable, "-m", "scripts.main", "evaluate", str(recipe), *on, "--no-pictures",
             "--out", str(tmp_path / folder)],
            capture_output=True, text=True, timeout=200, check=True, cwd=tmp_path, env=apart,
        )  # fmt: skip
    assert table(tmp_path / "here" / "counts.csv") == table(tmp_path / "there" / "counts.csv")


@pytest.mark.parametrize("given", ["rey", "ray://", "ray://head", "ray:10001", "ray://h:x"])
def test_what_is_no_address_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "configs/surface_smoke.toml", "--on", given]) == 2
    assert "expected ray or ray://HOST:PORT" in capsys.readouterr().err


def test_without_the_option_nothing_of_ray_is_imported() -> None:
    program = ("import sys, decoders.evaluate, decoders.cluster, scripts.evaluate\n"
               "assert 'ray' not in sys.modules")  # fmt: skip
    subprocess.run([sys.executable, "-c", program], check=True, env=ENVIRONMENT, cwd=ROOT)

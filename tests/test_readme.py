"""The README's commands run, long recipes as their short siblings."""

from __future__ import annotations

import contextlib
import glob
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import stim

from tests.ray_alone import ray_alone
from tests.shown import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

# What takes minutes, and what is run in its place.
SHORTER = {
    "configs/calibrate.toml": "configs/calibrate_smoke.toml",
    "line-of-five": "smoke",
    "configs/agent_pulse.toml": "configs/agent_pulse_smoke.toml",
}
# What runs elsewhere: the demo (test_demo.py) with its reports (test_report.py) and with
# calibrate_patch and steer_patch, smaller; what serves until it is stopped (test_watch.py,
# test_serve_decoder.py).
ELSEWHERE = ("syndrift demo", "runs/demo", "syndrift watch", "syndrift serve", "_patch.toml")


def sections() -> dict[str, list[str]]:
    """The commands to run, by the first of each block: what belongs together stands in one."""
    found = dict[str, list[str]]()
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", TEXT, re.M | re.S):
        lines = [line for line in block.splitlines() if "bin/syndrift" in line
                 and not any(words in line for words in ELSEWHERE)]  # fmt: skip
        if lines:
            found[lines[0].split()[1]] = lines
    return found


def test_no_block_is_left_out() -> None:
    assert set(sections()) == {"calibrate", "steer", "doctor", "deploy", "evaluate"}
    assert sum(map(len, sections().values())) > 20


@pytest.mark.slow
@pytest.mark.parametrize("section", list(sections()))
def test_the_commands_run(section: str, tmp_path: pathlib.Path) -> None:
    """In an empty folder with the configs, and the circuit and the events that they are told of."""
    circuit = stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=3, rounds=3,
        after_clifford_depolarization=0.004, before_measure_flip_probability=0.004,
    )  # fmt: skip
    circuit.to_file(str(tmp_path / "my.stim"))
    circuit.compile_detector_sampler(seed=1).sample_write(
        20_000, filepath=str(tmp_path / "events.b8"), format="b8",
        obs_out_filepath=str(tmp_path / "flips.01"), obs_out_format="01",
    )  # fmt: skip
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for line in sections()[section]:
        for long, short in SHORTER.items():
            line = line.replace(long, short)
        words = list[str]()
        for word in shlex.split(line, comments=True)[1:]:
            words += glob.glob(word, root_dir=tmp_path) if "*" in word else [word]
        with ray_alone() if "--on ray" in line else contextlib.nullcontext({}) as ray:
            ran = subprocess.run(
                [sys.executable, "-m", "scripts.main", *words], cwd=tmp_path, check=False,
                capture_output=True, text=True, timeout=200,
                env={**ray, "PATH": os.defpath, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1",
                     "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        assert ran.returncode == 0, f"{line}\n{ran.stderr}"
        assert ran.stdout, line


def test_links_and_pictures_are_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", TEXT)
    for link in links + re.findall(r'src(?:set)?="([^"]+)"', TEXT):
        assert (ROOT / link).is_file(), link

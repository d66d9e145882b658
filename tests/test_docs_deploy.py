"""What docs/deploy.md shows: its Python runs, its table is complete."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from decoders.deploy.config import DeployConfig
from decoders.deploy.device_noise import Unreported
from decoders.deploy.isa import Schedule

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_runs_as_it_stands(tmp_path: pathlib.Path) -> None:
    """The blocks in a process of their own, warnings as errors."""
    shown = "\n".join(re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
    program = tmp_path / "shown.py"
    program.write_text("import warnings\nwarnings.simplefilter('error')\n" + shown, "utf-8")
    ran = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, timeout=200,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath, "HOME": str(tmp_path),
             "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    rows = [line.split() for line in ran.stdout.splitlines()]
    names = [row[0] for row in rows]
    assert names == ["pymatching", "pymatching-correlated", "pymatching-correlated@learnt"]
    for _, errors, shots, _ in rows:
        assert shots == "40000"
        assert 50 < int(errors) < 300


def test_the_table_names_every_key() -> None:
    rows = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| `")]
    keys = {row[0].strip("`") for row in rows}
    assert keys == set(DeployConfig.model_fields) | {"stim", "aer"}
    for name, table in (("schedule", Schedule), ("noise", Unreported)):
        (row,) = (row for row in rows if row[0] == f"`{name}`")
        assert all(f"`{key}`" in row[2] for key in table.model_fields)

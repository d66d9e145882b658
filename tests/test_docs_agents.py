"""What docs/agents.md shows: its Python runs, its tables are complete."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from envs.calibration import CalibrationConfig
from envs.rewards import Reward

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_runs_as_it_stands(tmp_path: pathlib.Path):
    """All blocks in order, in one namespace and a process of their own, warnings as errors."""
    shown = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert len(shown) >= 3
    program = tmp_path / "shown.py"
    quiet = "import warnings\nwarnings.simplefilter('error')\nwarnings.filterwarnings(\n" \
            "    'ignore', 'The SamplerV2 class is deprecated', DeprecationWarning)\n"  # fmt: skip
    program.write_text(quiet + "\n".join(shown), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(program)], cwd=ROOT, capture_output=True, text=True, timeout=400,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath, "HOME": str(tmp_path),
             "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    first, last = ran.stdout.splitlines()
    assert first.startswith("768 {")  # two looks at 12 circuits with 32 shots each
    assert last.endswith("'in tolerance']")


def test_the_tables_name_every_key_and_environment():
    for name in CalibrationConfig.model_fields:
        if name != "reward":
            assert f"`{name}`" in TEXT
    for name in Reward.model_fields:
        assert f"`reward.{name}`" in TEXT
    import envs

    for name in envs.CALIBRATIONS:
        assert f"`syndrift/{name}-v0`" in TEXT

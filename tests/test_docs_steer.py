"""What docs/steer.md shows: its Python runs, its tables are complete."""

import pathlib
import re

import pytest

from envs.agents.steerers.course import SteerConfig
from envs.agents.steerers.guard import GuardRecipe
from envs.agents.steerers.registry import STEERERS
from envs.agents.steerers.schedule import ScheduleRecipe
from envs.steered.analytic import AnalyticRecipe
from envs.steering import SteeringConfig
from tests.shown import ROOT, blocks, printed

TEXT = (ROOT / "docs" / "steer.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_runs_as_it_stands(tmp_path: pathlib.Path) -> None:
    """The blocks in a process of their own, warnings as errors."""
    shown = blocks(TEXT)
    output = printed(shown, tmp_path, ROOT)
    controls, speed, errors, true = re.findall(r"[\d.]+", output)
    assert float(errors) == pytest.approx(float(true), rel=0.1)
    assert controls == "41"
    # A sinusoid of period 100 moves by 2π/100/√2 = 0.044 an epoch, root mean square.
    assert 0.02 < float(speed) < 0.2


def test_the_tables_name_every_key_and_steerer() -> None:
    models = (SteeringConfig, AnalyticRecipe, SteerConfig, GuardRecipe, ScheduleRecipe)
    for name in {name for one in models for name in one.model_fields} - {"kind"}:
        assert re.search(rf"[`{{ ]{name}[` =]", TEXT)
    for kind in (*STEERERS, "ppo"):
        assert f"| `{kind}` |" in TEXT

"""From recipes to environments: on what devices an agent is judged."""

from typing import Any

import pytest

from envs.agents.checkpoint import Record
from envs.agents.config import EnvironmentRecipe, TrainConfig
from envs.agents.environments import judged_recipe, make_devices
from envs.agents.evaluation import Evaluation
from envs.agents.model_card import Trained, model_card
from tests.envs.agents.toy import TOY

PULSE = "syndrift/PulseCalibration-v0"


def recipe(name: str, **config: Any) -> EnvironmentRecipe:
    return EnvironmentRecipe(id=name, config=config or None)


@pytest.mark.parametrize(
    ("kind", "config"), [("Pulse", {"upkeep": 1.0}), ("Device", {})], ids=["pulse", "device"]
)
def test_an_agent_is_judged_on_devices_that_all_begin_uncalibrated(kind: str, config: Any) -> None:
    """They begin with one repetition, those that are nearly right with up to 16.

    That of 64 devices none begins nearly right in training has a chance below 1e-14: of those that
    may, four in five do.
    """
    begun = {}
    for judged in (False, True):
        env: Any = make_devices(recipe(f"syndrift/{kind}Calibration-v0", **config), 64,
                                judged=judged)  # fmt: skip
        env.reset(seed=1)
        begun[judged] = env.unwrapped.play.doublings
    assert begun[False].any()
    assert not begun[True].any()


@pytest.mark.parametrize(
    "same",
    [recipe(PULSE), recipe(PULSE, upkeep=0.0), recipe(TOY, noise=0.05), recipe("Pendulum-v1")],
    ids=lambda one: f"{one.id} {one.config}",
)
def test_other_recipes_are_as_they_are(same: EnvironmentRecipe) -> None:
    assert judged_recipe(same) is same


@pytest.mark.parametrize("upkeep", [0.0, 0.3])
def test_the_card_says_how_the_judged_devices_began(upkeep: float) -> None:
    final = Evaluation(steps=9, seed=2**31, devices=4, mean_return=1.0, return_interval=(0.0, 2.0),
                       mean_episode_steps=5.0)  # fmt: skip
    config = TrainConfig(environment=recipe(PULSE, upkeep=upkeep), steps=9)
    card = model_card(Trained(config, Record(evaluations=(final,)), final))
    assert ("Every device that judged it began uncalibrated" in card) == bool(upkeep)
    assert "benchmarks draw whole devices, from another generator" in card

"""All steerers by their recipes, and stable-baselines3's PPO as it stands beside them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from envs.agents.steerers.evolution import Evolution, EvolutionRecipe
from envs.agents.steerers.learnt import Learnt, LearntRecipe
from envs.agents.steerers.local_credit import LocalCredit, LocalCreditRecipe
from envs.agents.steerers.references import Calibration, CalibrationRecipe, Oracle, OracleRecipe
from envs.agents.steerers.spsa import SPSA, SPSARecipe
from envs.agents.steerers.steerer import SteererRecipe
from envs.agents.steerers.tracker import Tracker, TrackerRecipe


class PPORecipe(SteererRecipe):
    """Stock PPO: a network from rates to settings, one reward for all, an epoch a step."""

    kind: Literal["ppo"] = Field(default="ppo", description="stable-baselines3's, as it stands")
    learning_rate: float = Field(default=1e-3, gt=0, description="of Adam")
    width: float = Field(default=0.2, gt=0, description="of the policy at first")
    entropy: float = Field(default=0.0, ge=0, description="its weight in the loss")


AnySteerer = Annotated[
    TrackerRecipe | LearntRecipe | LocalCreditRecipe | SPSARecipe | EvolutionRecipe | PPORecipe
    | CalibrationRecipe | OracleRecipe,
    Field(discriminator="kind"),
]  # fmt: skip
"""Any recipe, for a field of a pydantic model: `kind` tells which."""

STEERERS: dict[str, Any] = {
    "tracker": Tracker,
    "learnt": Learnt,
    "local-credit": LocalCredit,
    "spsa": SPSA,
    "cma-es": Evolution,
    "calibration": Calibration,
    "gradient-oracle": Oracle,
}


def make_steerer(recipe: Any, env: VecEnv, seed: int) -> BaseAlgorithm:
    """The algorithm of this recipe on an environment, as it begins.

    PPO's batch is an epoch's candidates, and the future does not count: what the optimum does next
    is none of the settings' doing.
    """
    if not isinstance(recipe, PPORecipe):
        return STEERERS[recipe.kind](env=env, recipe=recipe, seed=seed)
    import math

    return PPO(
        "MlpPolicy", env, n_steps=1, batch_size=env.num_envs, gamma=0.0, seed=seed, device="cpu",
        learning_rate=recipe.learning_rate, ent_coef=recipe.entropy,
        policy_kwargs={"log_std_init": math.log(recipe.width)},
    )  # fmt: skip

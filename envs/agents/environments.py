"""From an environment's name and table to the environment, for training and for judging."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode, VectorEnv
from pydantic import BaseModel

from envs.agents.config import EnvironmentRecipe


def make_devices(recipe: EnvironmentRecipe, devices: int, *, judged: bool = False) -> VectorEnv:
    """So many devices as one batched environment that begins anew within the step that ended.

    With `judged`, they are those of `judged_recipe`, and an environment that has a keyword of this
    name computes the hidden truth too.
    """
    try:
        spec = gymnasium.spec(recipe.id)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"environment.id: {_first_line(error)}") from None
    recipe = judged_recipe(recipe) if judged else recipe
    table: Any = {} if recipe.config is None else {"config": recipe.config}
    if judged and "judged" in inspect.signature(_maker(spec)).parameters:
        table["judged"] = True
    try:
        if spec.vector_entry_point is not None:
            return gymnasium.make_vec(
                recipe.id, devices, vectorization_mode="vector_entry_point", **table
            )
        return gymnasium.make_vec(
            recipe.id,
            devices,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
            **table,
        )
    except (ValueError, TypeError) as error:  # TypeError: it takes no keyword `config`
        raise ValueError(f"environment.config: {_first_line(error)}") from error


def judged_recipe(recipe: EnvironmentRecipe) -> EnvironmentRecipe:
    """On what an agent is judged: devices that all begin uncalibrated.

    Where an environment's config has `upkeep`, some of the training's begin nearly right.
    """
    model, table = config_model(recipe), recipe.config or {}
    if model is None or "upkeep" not in model.model_fields:
        return recipe
    if not table.get("upkeep", model.model_fields["upkeep"].default):
        return recipe
    return recipe.model_copy(update={"config": {**table, "upkeep": 0.0}})


def config_model(recipe: EnvironmentRecipe) -> type[BaseModel] | None:
    """The pydantic model of an environment's `config`, where its constructor names one."""
    maker: Any = _maker(gymnasium.spec(recipe.id))
    if "config" not in inspect.signature(maker).parameters:
        return None
    hints = typing.get_type_hints(maker.__init__ if isinstance(maker, type) else maker)
    kinds = typing.get_args(hints.get("config")) or (hints.get("config"),)
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if models else None


def _maker(spec: EnvSpec) -> Any:
    entry = spec.vector_entry_point or spec.entry_point
    return load_env_creator(entry) if isinstance(entry, str) else entry


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())

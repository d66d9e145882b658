"""Small devices to steer, a steerer that walks away, and what runs of them share."""

import pathlib
from typing import Any, Literal

import numpy as np
import pytest
import stim
from pydantic import Field
from stable_baselines3.common.callbacks import CallbackList

from envs.agents.steerers.course import SteerConfig, steer
from envs.agents.steerers.steerer import Steerer, SteererRecipe
from envs.agents.vector import AsVecEnv
from envs.steering import SurfaceCodeSteeringVector

B = 8
SMALL: dict[str, Any] = {"memory": {"rounds": 3, "noise": {"kind": "depolarizing", "p": 4e-3}}}
OFF: dict[str, Any] = {**SMALL, "plant": {"start_off": 1.0}, "cycles": 100_000}
STEP: dict[str, Any] = {**SMALL, "drift": [
    {"process": {"kind": "step", "time_s": 180.0}, "absolute": {"optimum": 1.0}}
]}  # fmt: skip
RAMP: dict[str, Any] = {**SMALL, "drift": [
    {"process": {"kind": "ramp", "per_hour": 6.0}, "absolute": {"optimum": 1.0}}
]}  # a tenth of a unit an epoch  # fmt: skip
SINES: dict[str, Any] = {**SMALL, "drift": [{
    "process": {"kind": "sinusoid", "period_s": 3000.0, "random_phase": True},
    "absolute": {"optimum": 1.0},
}]}  # fmt: skip


class WalksRecipe(SteererRecipe):
    """How far it goes in an epoch, all controls together."""

    kind: Literal["walks"] = "walks"
    pace: float = Field(default=0.1)


class Walks(Steerer[WalksRecipe]):
    """Walks away, whatever the detectors show; candidate b is b/20 of a unit ahead of it."""

    recipe_class = WalksRecipe

    def _first_width(self) -> float:
        return 1.0

    def propose(self) -> np.ndarray:
        return self.settings + np.arange(self.n_envs)[:, None] / 20

    def update(self, candidates: np.ndarray, rates: np.ndarray) -> None:
        self.settings = self.settings + self.recipe.pace


def config(environment: Any, **others: Any) -> SteerConfig:
    usual = {"epochs": 6, "candidates": B, "ler": None, "checkpoint_every_epochs": 2}
    return SteerConfig.model_validate({**usual, **others, "environment": environment})


def recipe_of(kind: str, **values: Any) -> Any:
    if kind == "walks":
        return WalksRecipe(**values)
    return SteerConfig.model_validate({"steerer": {"kind": kind, **values}}).steerer


def device_of(environment: Any, seed: int = 1) -> Any:
    """The device that a run with this seed meets."""
    env = SurfaceCodeSteeringVector(B, environment)
    env.reset(seed=seed)
    return env.experiment.plant


def detections(circuit: stim.Circuit) -> float:
    """Detections a shot by stim's own error model: an error flips, or flips back."""
    kept = np.ones(circuit.num_detectors)  # Π (1 − 2p) for each detector
    error: Any
    for error in circuit.detector_error_model().flattened():
        if error.type == "error":
            for target in error.targets_copy():
                if target.is_relative_detector_id():
                    kept[target.val] *= 1 - 2 * error.args_copy()[0]
    return float((1 - kept).sum() / 2)


def run(kind: type[Any], environment: Any, recipe: Any, epochs: int, *callbacks: Any) -> Any:
    model = kind(env=AsVecEnv(SurfaceCodeSteeringVector(B, environment)), recipe=recipe, seed=1)
    return on(model, epochs, *callbacks)


def on(model: Any, epochs: int, *callbacks: Any) -> Any:
    return model.learn(epochs * B, CallbackList(list(callbacks)), reset_num_timesteps=False)


def stopped(whole: SteerConfig, recipe: Any, path: pathlib.Path, after: int) -> None:
    def stops(fraction: float, words: str) -> None:
        if fraction * whole.epochs > after - 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steer(whole, recipe, path, stops)

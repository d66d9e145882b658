"""What the judge writes down of a steered experiment, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from envs.steered.experiment import Experiment
from envs.steered.plant import Array

_NOTHING = 1e-9  # of all detections
EXPECTED = ("exploring", "steered", "untouched", "best")


class Judge(BaseCallback):
    """Notes, at each epoch, the detections a cycle to be expected at that very time.

    `exploring`: of the candidates in the mean, what the experiment pays; `steered`: of the settings
    that are held best; `untouched`: of those it began with; `best`: of the hidden optimum. `halted`
    is the share of the epoch in which the code did not run. `settings` [E, K] holds what was held
    best. It reads the hidden truth, and no agent reads it.
    """

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.times_s: list[float] = []
        self.expected: list[Array] = []  # [4], in the order of EXPECTED
        self.halted: list[float] = []
        self.settings: list[Array] = []

    def _on_step(self) -> bool:
        model, env = self.model, self.training_env
        experiment: Experiment = env.get_attr("experiment", 0)[0]
        time_s = (experiment.epoch - 1) * experiment.epoch_s  # of the epoch that was measured
        candidates = tried_settings(self.locals)
        held = _held(model)  # it learns from this epoch only afterwards
        plant = experiment.plant
        rows = np.stack([held, np.zeros_like(held), plant.optimum(time_s)])
        rates = plant.rates(np.concatenate([candidates, rows]), time_s)
        detections = rates @ plant.cones.counts / self.rounds
        self.expected.append(np.array([detections[: len(candidates)].mean(), *detections[-3:]]))
        self.times_s.append(time_s)
        self.halted.append(getattr(model, "halted", 0.0))
        self.settings.append(held)
        return True


def _held(model: Any) -> Array:
    """The settings that an algorithm holds best."""
    if hasattr(model, "settings"):
        return model.settings
    settings, _ = model.predict(model._last_obs[:1], deterministic=True)
    return np.asarray(settings[0], dtype=float)


def tried_settings(seen: Mapping[str, Any]) -> Array:
    """The candidates among an algorithm's locals, [B, K]: PPO of stable-baselines3 clips them."""
    return np.asarray(seen["candidates"] if "candidates" in seen else seen["clipped_actions"])


def score(expected: Array, of: str = "exploring") -> float:
    """(N − N_untouched) / (N_best − N_untouched) of mean detections over epochs [E, 4].

    No number where nothing can be won, as what is untouched is best.
    """
    means: dict[str, float] = dict(zip(EXPECTED, np.mean(expected, axis=0).tolist(), strict=True))
    to_win = means["best"] - means["untouched"]
    if abs(to_win) < _NOTHING * means["best"]:
        return math.nan
    return (means[of] - means["untouched"]) / to_win

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
    that are held best; `untouched`: of those it began with; `best`: of the hidden optimum.
    `leakage` is the population that a gate leaks, of the same four. `halted` is the share of the
    epoch in which the code did not run. `settings` [E, K] holds what was held best. It reads the
    hidden truth, and no agent reads it.
    """

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.times_s: list[float] = []
        self.expected: list[Array] = []  # [4], in the order of EXPECTED
        self.leakage: list[Array] = []  # [4], likewise
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
        rates = [plant.rates(part, time_s) for part in (candidates, rows)]
        self.expected.append(_four(*(one @ plant.cones.counts / self.rounds for one in rates)))
        self.leakage.append(_four(*(plant.leakage(part, time_s) for part in (candidates, rows))))
        self.times_s.append(time_s)
        self.halted.append(getattr(model, "halted", 0.0))
        self.settings.append(held)
        return True


def _four(tried: Array, others: Array) -> Array:
    """In the order of EXPECTED."""
    return np.array([tried.mean(), *others])


def _held(model: Any) -> Array:
    """The settings that an algorithm holds best."""
    if hasattr(model, "settings"):
        return model.settings
    settings, _ = model.predict(model._last_obs[:1], deterministic=True)
    return np.asarray(settings[0], dtype=float)


def tried_settings(seen: Mapping[str, Any]) -> Array:
    """The candidates among an algorithm's locals, [B, K]: PPO of stable-baselines3 clips them."""
    return np.asarray(seen["candidates"] if "candidates" in seen else seen["clipped_actions"])


def score(expected: Array, of: str = "exploring", halted: Array | float = 0.0) -> float:
    """(N − N_untouched) / (N_best − N_untouched) of mean detections over epochs [E, 4].

    Where the code was `halted`, for a share [E] of each epoch, nothing was won that could have
    been. No number where nothing can be won at all, as what is untouched is best.
    """
    found: dict[str, Array] = dict(zip(EXPECTED, np.transpose(expected), strict=True))
    to_win = float(np.mean(found["best"] - found["untouched"]))
    if abs(to_win) < _NOTHING * float(np.mean(found["best"])):
        return math.nan
    runs = 1 - np.broadcast_to(halted, found[of].shape)
    return float(np.mean(runs * (found[of] - found["untouched"]))) / to_win


def while_running(values: Array, halted: Array) -> Array:
    """Means over the time in which the code ran, of what it showed [E, N]; nan if it never did."""
    runs = 1 - halted
    return runs @ values / runs.sum() if runs.any() else np.full(values.shape[1], math.nan)

"""What is not learnt from detectors: calibrating again and again, and following the exact slope."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from envs.agents.steerers.steerer import Steerer, SteererRecipe
from envs.steered.experiment import Experiment
from envs.steered.plant import Array

_STEP = 1e-3  # of the differences that stand for slopes
_AT_ONCE = 64  # controls


def share_halted(halts_epochs: float, since: int) -> float:
    """How much of an epoch a calibration takes that began so many epochs before."""
    return min(1.0, max(0.0, halts_epochs - since))


def is_done(halts_epochs: float, since: int) -> bool:
    """Whether this is the epoch in which its time has passed."""
    return since == max(0, math.ceil(halts_epochs) - 1)


def calibrated(experiment: Experiment, leaves: float, rng: np.random.Generator) -> Array:
    """What a calibration finds, [K]: the truth of now, each control off by about so much."""
    optimum = experiment.plant.optimum(experiment.time_s)
    return optimum + leaves * rng.standard_normal(len(optimum))


class CalibrationRecipe(SteererRecipe):
    """A calibration of all controls, as good and as long as said here."""

    kind: Literal["calibration"] = Field(default="calibration", description="calibrates, halting")
    every_epochs: int | None = Field(default=None, ge=1, description="once only, if unset")
    halts_epochs: float = Field(default=1.0, ge=0, description="the time that each one takes")
    leaves: float = Field(default=0.2, ge=0, description="how far off it leaves each control")
    gain: float = Field(default=1.0, gt=0, le=1, description="how far it goes to what it found; "
                        "below 1 for fast feedback from few shots")  # fmt: skip

    @model_validator(mode="after")
    def _ends(self) -> CalibrationRecipe:
        if self.every_epochs is not None and self.halts_epochs > self.every_epochs:
            raise ValueError(f"a calibration of {self.halts_epochs:g} epochs every "
                             f"{self.every_epochs} would never end: expected halts_epochs of at "
                             "most every_epochs")  # fmt: skip
        return self


class Calibration(Steerer[CalibrationRecipe]):
    """Calibrates at the beginning, and perhaps again; while it does, the code does not run.

    An idealised one: it is told the truth, with an error of the size that the recipe says.
    """

    recipe_class = CalibrationRecipe

    def _first_width(self) -> float:
        return max(self.recipe.leaves, _STEP)

    @property
    def halted(self) -> float:
        """The share of this epoch in which the code does not run."""
        return max(super().halted, share_halted(self.recipe.halts_epochs, self._since))

    @property
    def _since(self) -> int:
        """Epochs since the latest calibration began."""
        every = self.recipe.every_epochs
        return self.epochs if every is None else self.epochs % every

    def propose(self) -> Array:
        """The settings of the last calibration; a new one is done once its time has passed."""
        if is_done(self.recipe.halts_epochs, self._since):
            experiment: Experiment = self._checked().get_attr("experiment", 0)[0]
            found = calibrated(experiment, self.recipe.leaves, self.rng())
            self.settings = self.settings + self.recipe.gain * (found - self.settings)
        return np.repeat(self.settings[None], self.n_envs, axis=0)

    def update(self, candidates: Array, rates: Array) -> None:
        """Nothing is learnt from detectors."""


class OracleRecipe(SteererRecipe):
    """Newton's steps along the exact slope, which no experiment shows."""

    kind: Literal["gradient-oracle"] = Field(default="gradient-oracle", description="exact slopes")
    rate: float = Field(default=0.5, gt=0, le=2, description="the share of Newton's step")


class Oracle(Steerer[OracleRecipe]):
    """Goes down the exact slope of all detections: what no agent without foresight can beat."""

    recipe_class = OracleRecipe

    def _first_width(self) -> float:
        return _STEP

    def propose(self) -> Array:
        """The settings alone: nothing need be tried."""
        return np.repeat(self.settings[None], self.n_envs, axis=0)

    def update(self, candidates: Array, rates: Array) -> None:
        """A step; differences are exact, as the plant is told, not measured."""
        experiment: Experiment = self._checked().get_attr("experiment", 0)[0]
        settings, slopes = self.settings, np.empty(len(self.settings))
        for first in range(0, len(settings), _AT_ONCE):
            offsets = _STEP * np.eye(len(settings))[first : first + _AT_ONCE]
            ahead, behind = (experiment.expected(settings + sign * offsets) for sign in (1, -1))
            slopes[first : first + _AT_ONCE] = (ahead - behind) / (2 * _STEP)
        self.settings = settings - self.recipe.rate * slopes * self.cones.newton

"""The running experiment: a plant, its clock, and what is measured at each epoch."""

from __future__ import annotations

import numpy as np

from envs.steered.detections import Source, detected
from envs.steered.plant import Array, Plant

_MEASURED = 2  # what the seed is used for, besides the plant's own uses


class Experiment:
    """A memory experiment that never stops: each epoch is given to B candidates, side by side.

    What is measured in an epoch is a function of the seed, the epoch, and the candidates. So a run
    that was stopped goes on as if it had not been.
    """

    def __init__(self, plant: Plant, shots: int, epoch_s: float, source: Source, seed: int) -> None:
        self.plant, self.shots, self.epoch_s = plant, shots, epoch_s
        self._source: Source = source
        self._seed, self.epoch = seed, 0

    @property
    def time_s(self) -> float:
        """The time at which the coming epoch begins."""
        return self.epoch * self.epoch_s

    def measure(self, settings: Array) -> Array:
        """The candidates' detection rates [B, J]; the epoch is over."""
        rng = np.random.default_rng([self._seed, _MEASURED, self.epoch])
        rates = detected(self.plant, settings, self.time_s, self.shots, self._source, rng)
        self.epoch += 1
        return rates

    def expected(self, settings: Array) -> Array:
        """Detections a shot that these settings [B, K] give now, in the mean: for the judge."""
        return self.plant.rates(settings, self.time_s) @ self.plant.cones.counts

"""The running experiment: a plant, its clock, and what is measured at each epoch."""

from __future__ import annotations

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.noise.instructions import flattened, instructions_in, kind_of, operands
from envs.steered.detections import Source, detected
from envs.steered.plant import Array, Plant

_MEASURED, _LEAKED = 2, 3  # what the seed is used for, besides the plant's own uses


class Experiment:
    """A memory experiment that never stops: each epoch is given to B candidates, side by side.

    What is measured in an epoch is a function of the seed, the epoch, and the candidates. So a run
    that was stopped goes on as if it had not been.
    """

    def __init__(self, plant: Plant, shots: int, epoch_s: float, source: Source, seed: int) -> None:
        self.plant, self.shots, self.epoch_s = plant, shots, epoch_s
        self._source: Source = source
        self._seed, self.epoch = seed, 0
        self._qubits = _read_out(plant.circuit)

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

    def leaked(self, settings: Array) -> NDArray[np.int64]:
        """How many qubits were found leaked in the epoch that is over, of these candidates [B].

        Each shot ends with a readout of all qubits that tells the third level apart. There a qubit
        shows what its last gate made leak: what leaked earlier is taken to have come back.
        """
        before = self.epoch - 1
        chances = np.maximum(self.plant.leakage(settings, before * self.epoch_s), 0.0)
        rng = np.random.default_rng([self._seed, _LEAKED, before])
        return rng.binomial(self.shots * self._qubits, chances)

    def expected(self, settings: Array) -> Array:
        """Detections a shot that these settings [B, K] give now, in the mean: for the judge."""
        return self.plant.rates(settings, self.time_s) @ self.plant.cones.counts


def _read_out(circuit: stim.Circuit) -> int:
    """How many qubits are measured."""
    measured = {"measure", "measure_reset", "joint"}
    return len({qubit for one in instructions_in(circuit) if kind_of(one.name) in measured
                for qubit in flattened(operands(one))})  # fmt: skip

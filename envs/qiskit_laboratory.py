"""The slow path, as a check: the same looks as circuits on Qiskit's backend of a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import numpy as np
from qiskit.circuit import QuantumCircuit

from calib.backend import DriftingBackend
from calib.controls import Controls
from calib.device import Device
from envs.calibration import Laboratory, batched_laboratory
from envs.game import Array, Game, Numbers, Physics
from envs.readout_shots import Points

# IQ points [B, C, shots] from physics, settings [B, K], shots and random numbers.
PointsLaboratory = Callable[[Physics, Array, int, np.random.Generator], Points]


class QiskitGame(Game, Protocol):
    """A game that knows its devices and its circuits also in Qiskit's terms."""

    width: int  # qubits of a target

    def device(self, physics: Physics, settings: Array, row: int, seed: int) -> Device:
        """A `Device` with the physics and the settings of one row, its target being the first."""
        ...

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """All circuits of a look, in order, with the settings of these qubits; bit 0 is counted.

        They are as wide as `qubits`, whatever their numbers.
        """
        ...


class PointsGame(QiskitGame, Protocol):
    """A game whose looks are IQ points, and not only counts."""

    def sample(
        self, physics: Physics, settings: Array, shots: int, rng: np.random.Generator
    ) -> Points:
        """Points of so many shots of each circuit, [B, C, shots]."""
        ...


def qiskit_laboratory(game: QiskitGame) -> Laboratory:
    """Counts of circuits that `DriftingBackend` runs, readout through its IQ clouds included."""

    def counts(
        physics: Physics, settings: Array, doublings: Numbers, shots: Numbers,
        rng: np.random.Generator,
    ) -> Numbers:  # fmt: skip
        found = np.zeros((*doublings.shape, len(game.circuits)), dtype=np.int64)
        for row, lengths in enumerate(doublings):
            backend = _backend(game, physics, settings, row, rng)
            for number, k in enumerate(lengths):
                circuits = _look(game, backend, 2 ** int(k))
                result = backend.run(circuits, shots=int(shots[number])).result()
                for c in range(len(circuits)):
                    of_outcomes = cast("dict[str, int]", result.get_counts(c))
                    found[row, number, c] = of_outcomes.get("1", 0)
        return found

    return counts


def qiskit_points_laboratory(game: QiskitGame) -> PointsLaboratory:
    """IQ points of circuits that `DriftingBackend` runs, nothing repeated."""

    def points(physics: Physics, settings: Array, shots: int, rng: np.random.Generator) -> Points:
        found = np.empty((len(settings), len(game.circuits), shots), dtype=np.complex128)
        for row in range(len(settings)):
            backend = _backend(game, physics, settings, row, rng)
            circuits = _look(game, backend, 1)
            job = backend.run(circuits, shots=shots, meas_level=1, meas_return="single")
            for c in range(len(circuits)):
                found[row, c] = np.asarray(job.result().get_memory(c))[:, 0]
        return found

    return points


def laboratory(game: QiskitGame, stack: str) -> Laboratory:
    """The laboratory of counts by its name: "batched" or "qiskit"."""
    return (batched_laboratory if _is_batched(stack) else qiskit_laboratory)(game)


def points_laboratory(game: PointsGame, stack: str) -> PointsLaboratory:
    """The laboratory of IQ points by the same name."""
    return game.sample if _is_batched(stack) else qiskit_points_laboratory(game)


def _is_batched(stack: str) -> bool:
    if stack not in ("batched", "qiskit"):
        raise ValueError(f"stack must be 'batched' or 'qiskit', got {stack!r}")
    return stack == "batched"


def _backend(
    game: QiskitGame, physics: Physics, settings: Array, row: int, rng: np.random.Generator
) -> DriftingBackend:
    return DriftingBackend(game.device(physics, settings, row, seed=int(rng.integers(2**31))))


def _look(game: QiskitGame, backend: DriftingBackend, repetitions: int) -> list[QuantumCircuit]:
    target = tuple(range(game.width))
    return game.qiskit_circuits(backend.device.controls, target, repetitions)

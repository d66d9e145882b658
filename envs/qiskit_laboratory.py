"""The slow path, as a check: the same looks as circuits on Qiskit's backend of a device."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
from qiskit.circuit import QuantumCircuit

from calib.backend import DriftingBackend
from calib.controls import Controls
from calib.device import Device
from envs.calibration import Laboratory, batched_laboratory
from envs.game import Array, Game, Numbers, Physics


class QiskitGame(Game, Protocol):
    """A game that knows its devices and its circuits also in Qiskit's terms."""

    width: int  # qubits of a target

    def device(self, physics: Physics, settings: Array, row: int, seed: int) -> Device:
        """A `Device` with the physics and the settings of one row."""
        ...

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """All circuits of a look, in order, with the settings of these qubits; bit 0 is counted.

        They are as wide as `qubits`, whatever their numbers.
        """
        ...


def qiskit_laboratory(game: QiskitGame) -> Laboratory:
    """Counts of circuits that `DriftingBackend` runs, readout through its IQ clouds included."""

    def counts(
        physics: Physics, settings: Array, doublings: Numbers, shots: Numbers,
        rng: np.random.Generator,
    ) -> Numbers:  # fmt: skip
        found = np.zeros((*doublings.shape, len(game.circuits)), dtype=np.int64)
        for row, lengths in enumerate(doublings):
            device = game.device(physics, settings, row, seed=int(rng.integers(2**31)))
            backend = DriftingBackend(device)
            for number, k in enumerate(lengths):
                circuits = game.qiskit_circuits(device.controls, (0,), 2 ** int(k))
                result = backend.run(circuits, shots=int(shots[number])).result()
                for c in range(len(circuits)):
                    of_outcomes = cast("dict[str, int]", result.get_counts(c))
                    found[row, number, c] = of_outcomes.get("1", 0)
        return found

    return counts


def laboratory(game: QiskitGame, stack: str) -> Laboratory:
    """The laboratory by its name: "batched" or "qiskit"."""
    made = {"batched": batched_laboratory, "qiskit": qiskit_laboratory}
    if stack not in made:
        raise ValueError(f"stack must be 'batched' or 'qiskit', got {stack!r}")
    return made[stack](game)

"""What steered angles are outside: gates in the device's circuit, and entries of the history."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qiskit import QuantumCircuit
from qiskit.circuit import Qubit
from qiskit.circuit.library import RXGate, RZGate, RZZGate

from calib.controls import Knob, Update
from calib.history import History
from envs.steered.angles import Angles
from envs.steered.plant import Array

_TURNS = {"sx": math.pi / 2, "x": math.pi}


def corrected(circuit: QuantumCircuit, values: Mapping[Knob, float]) -> QuantumCircuit:
    """A device's circuit whose gates are turned by these knobs, in radians; what is absent is 0.

    Virtual Zs come after each CZ. An SX becomes rx by so much more, an X by twice that. rzz takes
    angles from 0 to π/2 alone: a CZ that turned too far is a shorter rzz, one that turned too
    little is followed by another one, with its own error.
    Waiting is left as it is, though rzz may take longer than cz: schedule anew where it does.
    """
    found = circuit.copy_empty_like()
    for one in circuit.data:
        at = tuple(circuit.find_bit(qubit).index for qubit in one.qubits)
        name, angle = one.operation.name, values.get(Knob("sx.angle_rad", at), 0.0)
        if name in _TURNS and angle:
            turn = _TURNS[name]
            found.append(RXGate(turn + angle * turn / _TURNS["sx"]), one.qubits)
        elif name == "cz":
            _entangle(found, dict(zip(at, one.qubits, strict=True)), values)
        else:
            found.append(one)
    return found


def _entangle(found: QuantumCircuit, at: Mapping[int, Qubit], values: Mapping[Knob, float]) -> None:
    """CZ = rzz(π/2) after rz(−π/2) on both, but for a phase, and what takes its errors back."""
    low, high = sorted(at)
    a, b, angle = (values.get(Knob(f"cz.{name}_rad", (low, high)), 0.0)
                   for name in ("phase_a", "phase_b", "angle"))  # fmt: skip
    if angle < 0:
        found.append(RZZGate(math.pi / 2 + angle), [at[low], at[high]])
        a, b = a - math.pi / 2, b - math.pi / 2
    else:
        found.cz(at[low], at[high])
    if angle > 0:
        found.append(RZZGate(angle), [at[low], at[high]])
    for qubit, phase in ((low, a), (high, b)):
        if phase:
            found.append(RZGate(phase), [at[qubit]])


def updates(plant: Angles, settings: Array, source: str) -> list[Update]:
    """What these settings [K] put in force, in radians."""
    return [Update(knob, float(value), None, source)
            for knob, value in zip(plant.knobs, plant.radians(settings), strict=True)]  # fmt: skip


def record(history: History, plant: Angles, settings: Array, source: str, *, run: str = "",
           device_time_s: float | None = None) -> int:  # fmt: skip
    """Puts settings in force in the calibration history, under the backend's name."""
    return history.record(
        plant.chip.noise.snapshot.backend, updates(plant, settings, source), run=run,
        device_time_s=device_time_s, comment="angles steered by detection rates",
    )  # fmt: skip

"""Circuits that sharpen one qubit's pulses: a start, a block that is repeated, and an end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qiskit.circuit import QuantumCircuit

from calib.controls import Controls

# A pulse by its name, or a virtual Z by its angle in rad. "delay" is a wait as long as an X.
Pulse = Literal["sx", "x", "delay"]
Word = Pulse | float


@dataclass(frozen=True)
class PulseSequence:
    """Words in order of time: `start`, `block` so many times, and `end`; then a readout."""

    name: str
    start: tuple[Word, ...]
    block: tuple[Word, ...]
    end: tuple[Word, ...] = ()

    def circuit(self, repetitions: int, controls: Controls, qubit: int) -> QuantumCircuit:
        """The same for Qiskit, on one qubit with these settings.

        >>> from calib.device import Device, DeviceConfig
        >>> controls = Device(DeviceConfig()).controls
        >>> dict(SEQUENCES[0].circuit(4, controls, 0).count_ops())
        {'delay': 4, 'sx': 2, 'measure': 1}
        """
        circuit = QuantumCircuit(1, 1, name=self.name)
        for word in (*self.start, *self.block * repetitions, *self.end):
            if word == "delay":
                circuit.delay(controls.of("x.duration_ns", qubit), 0, unit="ns")
            elif isinstance(word, str):
                getattr(circuit, word)(0)
            else:
                circuit.rz(word, 0)
        circuit.measure(0, 0)
        return circuit


def side_by_side(
    qubits: int, targets: Sequence[Sequence[int]], circuits: Sequence[QuantumCircuit]
) -> QuantumCircuit:
    """One circuit, in which each target plays its own; the clbits are in the targets' order."""
    whole = QuantumCircuit(qubits, len(targets))
    for bit, (target, circuit) in enumerate(zip(targets, circuits, strict=True)):
        whole.compose(circuit, list(target), [bit], inplace=True)
    return whole


_FLIP = math.pi


def _quadratures(
    name: str, start: tuple[Word, ...], block: tuple[Word, ...]
) -> list[PulseSequence]:
    """Both components of where the qubit points on the equator."""
    return [
        PulseSequence(f"{name}_a", start, block, ("sx",)),
        PulseSequence(f"{name}_b", start, block, (math.pi / 2, "sx")),
    ]


def _beside_pole(name: str, block: tuple[Word, ...]) -> list[PulseSequence]:
    """How far from |0⟩ a turn about Y brings it: its cosine, and its sine."""
    return [
        PulseSequence(f"{name}_a", (), block),
        PulseSequence(f"{name}_b", (), block, (math.pi / 2, "sx")),
    ]


# Together they tell all knobs apart: the drive frequency, amplitude and DRAG of SX and X, and the
# axis of X, but for its sign, as half a turn about an axis is half a turn about its opposite. DRAG
# of X turns the qubit about Y (arXiv:1011.1949), which the state that SX prepares does not show:
# it begins in |0⟩.
SEQUENCES: tuple[PulseSequence, ...] = (
    *_quadratures("frequency", ("sx",), ("delay",)),
    *_quadratures("axis", ("sx",), ("x", "sx", "sx")),
    *_beside_pole("drag_x", ("x", _FLIP, "x", _FLIP)),
    *_beside_pole("drag_sx", ("sx", _FLIP, "sx", _FLIP)),
    *_quadratures("phase_sx", ("sx",), ("sx", _FLIP, "sx", _FLIP)),
    PulseSequence("amplitude_x", ("sx",), ("x", "x")),
    PulseSequence("amplitude_sx", ("sx",), ("sx",) * 4),
)

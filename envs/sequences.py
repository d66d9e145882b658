"""Circuits that sharpen one qubit's pulses: a start, a block that is repeated, and an end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from qiskit.circuit import QuantumCircuit

from calib.controls import Controls
from calib.gates import DrivePulse

# A pulse by its name, or a virtual Z by its angle in rad. "half_x" is the X pulse at half its
# amplitude, "delay" a wait as long as an X.
Pulse = Literal["sx", "x", "half_x", "delay"]
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
            elif word == "half_x":
                names = ("amplitude", "drag_ns", "detuning_mhz", "phase_rad", "duration_ns")
                height, *others = (controls.of(f"x.{name}", qubit) for name in names)
                circuit.append(DrivePulse(height / 2, *others), [0])
            elif isinstance(word, str):
                getattr(circuit, word)(0)
            else:
                circuit.rz(word, 0)
        circuit.measure(0, 0)
        return circuit


_FLIP = math.pi


def _quadratures(
    name: str, start: tuple[Word, ...], block: tuple[Word, ...]
) -> list[PulseSequence]:
    """Both components of where the qubit points on the equator, or beside a pole."""
    return [
        PulseSequence(f"{name}_a", start, block, ("sx",)),
        PulseSequence(f"{name}_b", start, block, (math.pi / 2, "sx")),
    ]


# Together they tell all knobs apart: the drive frequency, amplitude and DRAG of SX and X, and the
# axis of X. DRAG of X turns the qubit about Y (arXiv:1011.1949), which the state that SX prepares
# does not show: it begins in |0⟩. X about an axis and about its opposite differ at half its height.
SEQUENCES: tuple[PulseSequence, ...] = (
    *_quadratures("frequency", ("sx",), ("delay",)),
    *_quadratures("axis", ("sx",), ("x", "sx", "sx")),
    *_quadratures("half_axis", ("half_x",), ()),
    *_quadratures("drag_x", (), ("x", _FLIP, "x", _FLIP)),
    *_quadratures("drag_sx", (), ("sx", _FLIP, "sx", _FLIP)),
    *_quadratures("phase_sx", ("sx",), ("sx", _FLIP, "sx", _FLIP)),
    PulseSequence("amplitude_x", ("sx",), ("x", "x")),
    PulseSequence("amplitude_sx", ("sx",), ("sx",) * 4),
)

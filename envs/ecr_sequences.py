"""Circuits that sharpen an ECR gate: a start, a repeated block, and a view of the target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from qiskit.circuit import QuantumCircuit

# "turn" is the gate and an X on the control: ideally exp(−iπ/4 ZX). The others act on the target:
# SX, X followed by a virtual half turn, and virtual Zs by π/2 and π.
EchoWord = Literal["turn", "sx", "mirror", "quarter", "half"]
View = Literal["x", "y", "z"]


@dataclass(frozen=True)
class EchoSequence:
    """`start`, `block` so many times, and a component of the target's Bloch vector.

    The control begins in |control⟩, the target in |0⟩. The chance to read 1 is
    (1 + sign · component)/2 with the `VIEW_SIGNS`.
    """

    name: str
    control: int
    start: tuple[EchoWord, ...]
    block: tuple[EchoWord, ...]
    view: View

    def circuit(self, repetitions: int) -> QuantumCircuit:
        """The same for Qiskit, on qubits (control, target).

        Each layer of one-qubit gates waits for the one before.
        """
        circuit = QuantumCircuit(2, 1, name=self.name)
        if self.control:
            circuit.x(0)
            circuit.barrier()
        for word in (*self.start, *self.block * repetitions):
            _append(circuit, word)
        if self.view == "x":
            circuit.rz(-math.pi / 2, 1)
        if self.view != "z":
            circuit.sx(1)
        circuit.measure(1, 0)
        return circuit


VIEW_SIGNS: Mapping[View, float] = {"x": 1.0, "y": -1.0, "z": -1.0}
_VIRTUAL = {"quarter": math.pi / 2, "half": math.pi, "mirror": math.pi}


def _append(circuit: QuantumCircuit, word: EchoWord) -> None:
    if word == "turn":
        circuit.ecr(0, 1)
        circuit.barrier()
        circuit.x(0)
    elif word == "sx":
        circuit.sx(1)
    elif word == "mirror":
        circuit.x(1)
    circuit.barrier()
    if word in _VIRTUAL:
        circuit.rz(_VIRTUAL[word], 1)


_ANGLE: tuple[EchoWord, ...] = ("turn",) * 4
_AXIS: tuple[EchoWord, ...] = ("turn", "turn", "mirror") * 2
_TILT: tuple[EchoWord, ...] = ("turn", "turn", "half") * 2


def _angle(control: int) -> list[EchoSequence]:
    return [EchoSequence(f"angle_{control}_{view}", control, ("turn",), _ANGLE, view)
            for view in ("x", "y", "z")]  # fmt: skip


def _from_x(name: str, block: tuple[EchoWord, ...], view: View) -> list[EchoSequence]:
    return [EchoSequence(f"{name}_{control}", control, ("sx", "quarter"), block, view)
            for control in (0, 1)]  # fmt: skip


# Together they tell all knobs apart. Four turns go round once, after a first one to the equator:
# "angle" shows what each is too much, beside the pole, and where the axis points, all around.
#
# Two turns are half a turn about the axis. Between a half turn about Y on either side, the next two
# go the other way about an axis mirrored at Y: what is too much comes back, and the product of the
# half turns goes about Z by four times what the axis lies off X towards Y. Between half turns about
# Z it goes about Y by four times what the axis lies off towards Z. Both are seen from X. The former
# is the tone's phase. The latter has a part that is the control's (IY, which the echo does not
# quite take out) and one that is not (IZ): `envs.ecr_knobs` says what makes both small.
ECHO_SEQUENCES: tuple[EchoSequence, ...] = (
    *_angle(0), *_angle(1), *_from_x("axis", _AXIS, "y"), *_from_x("tilt", _TILT, "z"),
)  # fmt: skip

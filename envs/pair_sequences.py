"""Circuits that sharpen a CZ: a start, a block of coupler pulses that is repeated, and an end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from qiskit.circuit import QuantumCircuit

from calib.controls import Controls
from calib.topology import Pair
from envs.coupler_words import CouplerWord, CouplerWords

# What a qubit does at first: a pulse by its name, or rest.
Begin = Literal["rest", "sx", "x"]
Side = Literal["a", "b"]


@dataclass(frozen=True)
class PairSequence:
    """One circuit on a pair: `start` on a and b at once, `block` so many times, `end`; a readout.

    a is the upper qubit. After each block `turn_rad` turns the qubit that is read by a virtual Z.
    With a `quadrature_rad`, another virtual Z by it and SX come before the readout.
    """

    name: str
    start: tuple[Begin, Begin]
    block: tuple[CouplerWord, ...]
    reads: Side
    end: tuple[CouplerWord, ...] = ()
    turn_rad: float = 0.0
    quadrature_rad: float | None = None

    def __post_init__(self) -> None:
        if self.quadrature_rad is not None and (set(self.block) != {"cz"} or self.end):
            raise ValueError(
                f"{self.name}: a qubit's phase is read after CZs alone, got the block "
                f"{self.block} and the end {self.end}"
            )

    @property
    def ideal(self) -> float:
        """The chance to read 1 where all gates are perfect, however often the block is repeated."""
        if self.quadrature_rad is None:
            return 0.5  # the end is half of a swap of |11⟩ and |20⟩
        return (1 + math.cos(self.quadrature_rad)) / 2

    def circuit(
        self, repetitions: int, controls: Controls, pair: Pair, words: CouplerWords
    ) -> QuantumCircuit:
        """The same for Qiskit, on qubits (a, b), with the settings of this pair of a device."""
        circuit = QuantumCircuit(2, 1, name=self.name)
        reads = "ab".index(self.reads)
        for qubit, pulse in enumerate(self.start):
            if pulse != "rest":
                getattr(circuit, pulse)(qubit)
        circuit.barrier()
        for _ in range(repetitions):
            for word in self.block:
                circuit.append(words.pulse(word, controls, pair), [0, 1])
            if self.turn_rad:
                circuit.rz(self.turn_rad, reads)
        for word in self.end:
            circuit.append(words.pulse(word, controls, pair), [0, 1])
        if self.quadrature_rad is not None:
            circuit.rz(self.quadrature_rad, reads)
            circuit.sx(reads)
        circuit.measure(reads, 0)
        return circuit


def _quadratures(
    name: str, start: tuple[Begin, Begin], reads: Side, turn_rad: float
) -> list[PairSequence]:
    """Both components of where a qubit on the equator points after the gates."""
    return [
        PairSequence(f"{name}_{label}", start, ("cz",), reads, (), turn_rad, angle)
        for label, angle in (("x", 0.0), ("y", math.pi / 2))
    ]


_SWAPPED: tuple[CouplerWord, ...] = ("cz", "half", "cz", "half")


def _leakage(name: Literal["long", "short"]) -> PairSequence:
    """Leakage with its sign, which b shows: 1 in |11⟩, 0 in |20⟩."""
    return PairSequence(f"leakage_{name}", ("x", "x"), _SWAPPED, "b", (name, "half") * 2)


# Together they tell all knobs apart. The phase of either qubit, with the other in |0⟩ or in |1⟩:
# the difference is the conditional phase, whatever the drive frequencies.
#
# Leakage: on |11⟩ and |20⟩ a CZ is −D(1 + iεX)D, for D a turn about Z by an angle that differs
# from pair to pair, and ε proportional to the error of the duration. In repeated CZs ε turns with
# D² and does not add up, and the population of |20⟩ shows ε² alone. A half pulse H = iX in between
# turns each second D back, as XDX is D's inverse: CZ·H·CZ·H = −D(1 + 2iεX)D⁻¹. So ε adds up,
# whatever D is. One such block with a longer or shorter CZ then turns by ± a quarter, to where the
# population shows the sign of ε. A half pulse that does not quite fit its pair shifts the zero, by
# 0.04 ns (one standard deviation) for the default device: 1 % of the coherence limit.
#
# X on both qubits between two CZ would echo the phases, and is left out: the drives' frames turn
# against the exchange's phase, so that no two such blocks are alike (`calib.frames`).
PAIR_SEQUENCES: tuple[PairSequence, ...] = (
    *_quadratures("phase_a", ("sx", "rest"), "a", 0.0),
    *_quadratures("phase_b", ("rest", "sx"), "b", 0.0),
    *_quadratures("conditional_a", ("sx", "x"), "a", math.pi),
    *_quadratures("conditional_b", ("x", "sx"), "b", math.pi),
    _leakage("long"),
    _leakage("short"),
)

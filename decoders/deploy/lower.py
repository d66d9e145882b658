"""A stim circuit as a Qiskit circuit: the same gates, and one classical bit for each record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import stim
from numpy.typing import NDArray
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate
from qiskit.circuit import library as gates

from decoders.noise.instructions import kind_of

REGISTER = "record"
Qubits = tuple[int, ...]

# Qiskit's names of stim's gates; all others are decomposed by stim first.
_GATES: dict[str, Gate] = {
    "I": gates.IGate(),
    "X": gates.XGate(),
    "Y": gates.YGate(),
    "Z": gates.ZGate(),
    "H": gates.HGate(),
    "S": gates.SGate(),
    "S_DAG": gates.SdgGate(),
    "SQRT_X": gates.SXGate(),
    "SQRT_X_DAG": gates.SXdgGate(),
    "CX": gates.CXGate(),
    "CY": gates.CYGate(),
    "CZ": gates.CZGate(),
    "SWAP": gates.SwapGate(),
}
# Into the Z basis and back, for measurements and resets of the other ones.
_TO_Z: dict[str, tuple[str, ...]] = {"": (), "Z": (), "X": ("H",), "Y": ("S_DAG", "H")}
_FROM_Z: dict[str, tuple[str, ...]] = {"": (), "Z": (), "X": ("H",), "Y": ("H", "S")}


@dataclass(frozen=True)
class Lowered:
    """A stim circuit beside the Qiskit circuit that does the same.

    `ideal` has detectors and observables, no noise and no feedback. Qubit k of `circuit` is
    `qubits[k]` of `ideal`, its classical bit k is record k, but for those that are `inverted`
    [records]: stim reports the opposite of what is measured (`M !0`).
    """

    ideal: stim.Circuit
    circuit: QuantumCircuit
    qubits: Qubits
    inverted: NDArray[np.bool_]

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs of qubits of `circuit` that a gate couples, each once, ascending."""
        found = set[tuple[int, int]]()
        for one in self.circuit.data:
            if len(one.qubits) == 2:
                a, b = sorted(self.circuit.find_bit(qubit).index for qubit in one.qubits)
                found.add((a, b))
        return tuple(sorted(found))

    def records(self, bits: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """stim's measurement records [shots, records] from classical bits of the same shape."""
        return bits ^ self.inverted


def lower(circuit: stim.Circuit) -> Lowered:
    """Lowers a Clifford circuit with measurements and resets; its noise is left out.

    Paulis under control of earlier records become changes of the detectors, so that nothing is
    decided while the device runs. A reset that comes first on a qubit is left out: a device
    starts each shot with all qubits in |0⟩.

    >>> lowered = lower(stim.Circuit("R 0 1\\nH 0\\nCX 0 1\\nM 0 1"))
    >>> dict(lowered.circuit.count_ops())
    {'measure': 2, 'h': 1, 'cx': 1}
    """
    ideal = _without_feedback(circuit)
    steps = list(_steps(ideal))
    qubits = tuple(sorted({qubit for _, at, _ in steps for qubit in at}))
    number = {qubit: k for k, qubit in enumerate(qubits)}
    register = ClassicalRegister(ideal.num_measurements, REGISTER)
    lowered = QuantumCircuit(QuantumRegister(len(qubits), "q"), register)
    fresh, inverted = set(qubits), list[bool]()
    for name, at, flip in steps:
        places = tuple(number[qubit] for qubit in at)
        if name == "M":
            lowered.measure(places[0], register[len(inverted)])
            inverted.append(flip)
        elif name == "R":
            if at[0] not in fresh:
                lowered.reset(places[0])
        else:
            lowered.append(_GATES[name], places)
        fresh.difference_update(at)
    return Lowered(ideal, lowered, qubits, np.array(inverted, dtype=np.bool_))


def _without_feedback(circuit: stim.Circuit) -> stim.Circuit:
    """The noiseless circuit; ValueError where a device cannot run it as it stands."""
    if circuit.num_sweep_bits:
        raise ValueError(
            f"expected a circuit without sweep bits, got {circuit.num_sweep_bits}: write what they "
            "choose into the circuit, one circuit for each choice"
        )
    quiet = circuit.without_noise().with_inlined_feedback()
    if not quiet.num_measurements:
        raise ValueError("expected a circuit that measures something, got one without measurements")
    return quiet


def _steps(circuit: stim.Circuit) -> Iterator[tuple[str, Qubits, bool]]:
    """Gates of `_GATES`, M and R, one application each: name, qubits, whether M is inverted."""
    for instruction in circuit.flattened():
        assert isinstance(instruction, stim.CircuitInstruction)  # flat: there are no blocks
        name, kind = instruction.name, kind_of(instruction.name)
        _refuse_unmeasured(instruction)
        if kind == "annotation":
            continue
        for group in instruction.target_groups():
            if kind in ("measure", "reset", "measure_reset"):
                yield from _collapsing(
                    name, group[0].value, inverted=group[0].is_inverted_result_target
                )
            elif name in _GATES:
                yield name, tuple(target.value for target in group), False
            else:
                yield from _decomposed(instruction, group)


def _refuse_unmeasured(one: stim.CircuitInstruction) -> None:
    """ValueError for records and observables that nothing measures."""
    if one.name == "MPAD":
        raise ValueError("expected records of measurements alone, got MPAD: leave it out")
    if one.name == "OBSERVABLE_INCLUDE" and not all(
        target.is_measurement_record_target for target in one.targets_copy()
    ):
        raise ValueError(
            f"`{one}`: expected observables of measurements alone: measure these qubits at the "
            "end, and give rec[-1] and so on"
        )


def _collapsing(name: str, qubit: int, *, inverted: bool) -> Iterator[tuple[str, Qubits, bool]]:
    """M, MX, MRY, RX, ... in Z: the basis is turned there, and back."""
    measures, resets = name.startswith("M"), "R" in name
    basis = name.removeprefix("M").removeprefix("R")
    if measures:
        yield from ((gate, (qubit,), False) for gate in _TO_Z[basis])
        yield "M", (qubit,), inverted
    if resets:
        yield "R", (qubit,), False
    yield from ((gate, (qubit,), False) for gate in _FROM_Z[basis])


def _decomposed(
    instruction: stim.CircuitInstruction, group: list[stim.GateTarget]
) -> Iterator[tuple[str, Qubits, bool]]:
    """Rarer gates and joint measurements by stim's own decomposition.

    It does not take inverted results everywhere: their sign is put on the one record that they
    make.
    """
    is_product = instruction.name in ("MPP", "SPP", "SPP_DAG")
    sign = sum(target.is_inverted_result_target for target in group) % 2 == 1
    plain = list[stim.GateTarget]()
    for target in group:
        if is_product and plain:
            plain.append(stim.target_combiner())
        plain.append(_upright(target))
    alone = stim.Circuit()
    alone.append(instruction.name, plain)
    if sign and not alone.num_measurements:
        raise ValueError(f"expected {instruction.name} without '!', got {instruction}")
    for one in alone.decomposed().flattened():
        assert isinstance(one, stim.CircuitInstruction)
        for at in one.target_groups():
            inverted = at[0].is_inverted_result_target ^ (sign and one.name == "M")
            yield one.name, tuple(target.value for target in at), inverted


def _upright(target: stim.GateTarget) -> stim.GateTarget:
    """The target without the inversion of its result."""
    if target.pauli_type != "I":
        return stim.target_pauli(target.value, target.pauli_type)
    return stim.GateTarget(target.value)

"""A device's circuit back in stim, with the device's noise: what is predicted, and decoded with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import stim
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction

from decoders.deploy.device_noise import DeviceNoise
from decoders.deploy.isa import used_qubits
from decoders.deploy.lower import Lowered

Relaxing = Literal["twirled", "by-state"]
_KINDS = {"measure": "measure", "measure_2": "measure", "reset": "reset", "reset_2": "reset"}
_ROUNDING = 1e-6  # of angles, as transpilers leave it
_FRAMES = 64  # a random outcome looks like a fixed one in all of them once in 2^64


def raised(
    circuit: QuantumCircuit,
    lowered: Lowered,
    noise: DeviceNoise | None = None,
    relaxing: Relaxing = "twirled",
) -> stim.Circuit:
    """The stim circuit of what the device does, with the detectors and observables of `lowered`.

    Gates, order and waiting are those of `circuit`; qubits are the device's. Records come in the
    order in which the device makes them; detectors refer to the same measurements as in
    `lowered.ideal`. Without `noise` there is none. `relaxing`: 'twirled' takes decay for as likely
    up as down, as it is where measurements and gates are twirled, or states are superpositions;
    'by-state' knows which qubits are in |0⟩ or |1⟩, where decay goes one way.
    """
    found, order = as_stim(circuit, noise, relaxing, lowered.inverted)
    return _annotated(found, lowered, order)


def as_stim(
    circuit: QuantumCircuit,
    noise: DeviceNoise | None = None,
    relaxing: Relaxing = "twirled",
    inverted: NDArray[np.bool_] | None = None,
) -> tuple[stim.Circuit, list[int]]:
    """The stim circuit without annotations, and of each record the classical bit it is.

    Records of bits that are `inverted` [bits] are the opposite of what is measured.
    """
    builder = _Builder(noise, by_state=relaxing == "by-state")
    for qubit in used_qubits(circuit) if noise else ():
        builder.prepared(qubit)
    order: list[int] = []
    for one in circuit.data:
        operation = one.operation
        at = tuple(circuit.find_bit(qubit).index for qubit in one.qubits)
        kind = _KINDS.get(operation.name, operation.name)
        if kind == "measure":
            order.append(circuit.find_bit(one.clbits[0]).index)
            opposite = inverted is not None and bool(inverted[order[-1]])
            builder.measured(at[0], operation.name, inverted=opposite)
        elif kind == "reset":
            builder.reset(at[0])
        elif kind == "delay":
            builder.waited(at[0], _length_ns(operation, noise))
        elif kind != "barrier":
            builder.gate(operation, at)
    return builder.circuit, order


class _Builder:
    """Writes the stim circuit gate by gate, and follows what its qubits are in without noise."""

    def __init__(self, noise: DeviceNoise | None, *, by_state: bool) -> None:
        self.circuit = stim.Circuit()
        self._noise = noise
        self._states = _States() if by_state and noise else None
        self._turned_ns: dict[int, float] = {}  # net time of slow turning since the last gate

    def prepared(self, qubit: int) -> None:
        """A device starts with all qubits reset."""
        assert self._noise
        self._do("R", [qubit])
        self._flip(qubit, self._noise.reset(qubit))

    def gate(self, operation: Instruction, at: tuple[int, ...]) -> None:
        """A gate, then its noise; turns of the frame have none."""
        virtual = operation.name == "rz"
        turns = operation.name in ("x", "y")
        if turns:
            for qubit in at:
                self._turned_ns[qubit] = -self._turned_ns.get(qubit, 0.0)
        elif not _is_diagonal(operation.name):
            self._settle(at)
        for name, targets in _clifford(operation.name, tuple(operation.params), len(at)):
            self._do(name, [at[k] for k in targets])
        if self._noise is None or virtual:
            return
        noise = self._noise.gate(operation.name, at)
        for qubit in at:
            self._relax(qubit, noise.length_ns)
        if noise.depolarizing:
            self.circuit.append(f"DEPOLARIZE{len(at)}", list(at), noise.depolarizing)

    def measured(self, qubit: int, name: str, *, inverted: bool) -> None:
        """A measurement, misread at times; meanwhile its qubit relaxes."""
        self._settle((qubit,))
        target = stim.target_inv(qubit) if inverted else qubit
        if self._noise is None:
            self._do("M", [target])
            return
        errors = self._noise.reading(qubit, name)
        known = self._states.value(qubit) if self._states else None
        error = sum(errors) / 2 if known is None else errors[known]
        self._do("M", [target], error)
        if self._noise.unreported.relaxing_reads:
            # Decay before the middle of the readout is seen, and is among the errors reported.
            self._relax(qubit, self._noise.length_ns(name, qubit) / 2)

    def reset(self, qubit: int) -> None:
        """A reset, which fails at times."""
        self._turned_ns.pop(qubit, None)
        self._do("R", [qubit])
        if self._noise:
            self._flip(qubit, self._noise.reset(qubit))

    def waited(self, qubit: int, length_ns: float) -> None:
        """Waiting: relaxation, and slow turning that a later pulse may undo."""
        if self._noise:
            self._relax(qubit, length_ns)
            self._turned_ns[qubit] = self._turned_ns.get(qubit, 0.0) + length_ns

    def _settle(self, qubits: tuple[int, ...]) -> None:
        """Before a gate that does not commute with Z, slow turning becomes an error."""
        for qubit in qubits:
            turned_ns = self._turned_ns.pop(qubit, 0.0)
            if self._noise and turned_ns:
                chance = self._noise.dephasing(turned_ns)
                if chance:
                    self.circuit.append("Z_ERROR", [qubit], chance)

    def _relax(self, qubit: int, length_ns: float) -> None:
        assert self._noise
        known = self._states.value(qubit) if self._states else None
        if known is None:
            rates = self._noise.waiting(qubit, length_ns)
            self.circuit.append("PAULI_CHANNEL_1", [qubit], [rates.px, rates.py, rates.pz])
        elif known:
            self._flip(qubit, self._noise.decay(qubit, length_ns))

    def _flip(self, qubit: int, chance: float) -> None:
        if chance:
            self.circuit.append("X_ERROR", [qubit], chance)

    def _do(self, name: str, targets: list[Any], argument: float | None = None) -> None:
        """Appends an operation; its noise is no business of the states."""
        self.circuit.append(name, targets, argument or ())
        if self._states:
            self._states.do(stim.CircuitInstruction(name, targets))


class _States:
    """Which qubits are for certain in |0⟩ or |1⟩ where nothing fails.

    A qubit's Z is certain if no Pauli frame of a batch, in which all that is random is drawn anew,
    ever flips it; its value is that of a reference.
    """

    def __init__(self) -> None:
        self._reference = stim.TableauSimulator(seed=0)
        self._frames = stim.FlipSimulator(batch_size=_FRAMES, seed=0)

    def do(self, instruction: stim.CircuitInstruction) -> None:
        """An operation without noise."""
        self._reference.do(instruction)
        self._frames.do(instruction)

    def value(self, qubit: int) -> Literal[0, 1] | None:
        """0 or 1 where it is certain."""
        z = self._reference.peek_z(qubit)
        frames = self._frames.to_numpy(output_xs=True)
        if z == 0 or frames is None or frames[0][qubit].any():
            return None
        return 0 if z == 1 else 1


def _is_diagonal(name: str) -> bool:
    return name in ("rz", "cz", "z", "s", "sdg", "rzz")


def _length_ns(delay: Instruction, noise: DeviceNoise | None) -> float:
    dt_ns = noise.snapshot.dt_ns if noise else 1.0
    units = {"dt": dt_ns, "s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
    return float(delay.params[0]) * units[getattr(delay, "unit", "dt")]


@lru_cache(maxsize=10_000)
def _clifford(
    name: str, parameters: tuple[float, ...], qubits: int
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The stim gates of one of Qiskit's; ValueError if it is no Clifford."""
    simple = {"x": "X", "sx": "SQRT_X", "cz": "CZ", "cx": "CX", "h": "H", "id": "I"}
    if name in simple:
        return ((simple[name], tuple(range(qubits))),)
    from qiskit.circuit.library import get_standard_gate_name_mapping

    gate = get_standard_gate_name_mapping().get(name)
    if gate is None:
        raise ValueError(f"expected one of Qiskit's standard gates, got {name}")
    matrix = type(gate)(*parameters).to_matrix() if parameters else gate.to_matrix()
    tableau = _tableau(np.asarray(matrix))
    if tableau is None:
        raise ValueError(
            f"expected Clifford gates alone, got {name}{list(parameters)}: stim cannot follow it"
        )
    return tuple(_applications(tableau.to_circuit()))


def _tableau(matrix: NDArray[np.complexfloating]) -> stim.Tableau | None:
    """The Clifford of this matrix, or None; stim takes some others for the nearest one."""
    try:
        found = stim.Tableau.from_unitary_matrix(matrix, endian="little")
    except ValueError:
        return None
    overlap = np.abs(np.vdot(found.to_unitary_matrix(endian="little"), matrix)) / len(matrix)
    return found if overlap > 1 - _ROUNDING else None


def _applications(circuit: stim.Circuit) -> Iterator[tuple[str, tuple[int, ...]]]:
    for one in circuit:
        assert isinstance(one, stim.CircuitInstruction)
        for group in one.target_groups():
            yield one.name, tuple(target.value for target in group)


def _annotated(circuit: stim.Circuit, lowered: Lowered, order: list[int]) -> stim.Circuit:
    """The circuit with the detectors and observables of `lowered` at its end."""
    place = {bit: k - len(order) for k, bit in enumerate(order)}
    coordinates = lowered.ideal.get_detector_coordinates()
    detectors, records = 0, 0
    for one in lowered.ideal.flattened():
        assert isinstance(one, stim.CircuitInstruction)
        records += one.num_measurements
        if one.name not in ("DETECTOR", "OBSERVABLE_INCLUDE"):
            continue
        targets = [
            stim.target_rec(place[records + target.value])
            if target.is_measurement_record_target
            else target
            for target in one.targets_copy()
        ]
        arguments = one.gate_args_copy()
        if one.name == "DETECTOR":
            arguments = coordinates[detectors]
            detectors += 1
        circuit.append(one.name, targets, arguments, tag=one.tag)
    return circuit

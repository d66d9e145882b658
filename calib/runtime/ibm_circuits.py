"""What the runtime's sampler does not check before it sends, and its results in our order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calib.runtime.errors import PartialResult, Refused
from calib.runtime.order import Order, Outcome

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

_FREE = {"barrier"}  # in no target, and needs no support
_ROWS = 65_536  # bits of so many shots are unpacked at a time


def check_runs_on(circuit: QuantumCircuit, target: Target, number: int) -> None:
    """Refuses what the device would refuse, or would run on dead elements, after the queue."""
    if circuit.num_qubits > (target.num_qubits or 0):
        raise Refused(f"circuit {number} has {circuit.num_qubits} qubits, the backend "
                      f"{target.num_qubits}")  # fmt: skip
    for clbit in circuit.clbits:
        if not circuit.find_bit(clbit).registers:
            raise Refused(f"circuit {number}: classical bit {circuit.find_bit(clbit).index} is in "
                          "no register, and results come by register: add one")  # fmt: skip
    for instruction in circuit.data:
        name = instruction.operation.name
        qubits = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
        if name in _FREE:
            continue
        if name not in target.operation_names:
            names = ", ".join(sorted(target.operation_names))
            raise Refused(f"circuit {number}: {name} is not one of the backend's instructions "
                          f"({names}): transpile it")  # fmt: skip
        known = target[name]
        if not known or None in known:  # control flow, and instructions for any qubit
            continue
        if qubits not in known:
            raise Refused(f"circuit {number}: the backend has no {name} on {qubits}: transpile it "
                          "with this backend's target")  # fmt: skip
        if known[qubits] is not None and known[qubits].error == 1.0:
            raise Refused(f"circuit {number}: {name} on {qubits} is dead at the moment (reported "
                          "error 1): choose other qubits")  # fmt: skip


def outcomes_of(results: Any, order: Order) -> list[Outcome]:
    """A sampler's or an executor's results as outcomes, one a circuit.

    `results` has for each circuit a mapping of registers' names, or an object with `data` as the
    sampler returns; PartialResult where there are fewer than circuits.
    """
    entries = [_arrays(entry) for entry in results]
    found = [_outcome(arrays, circuit, order)
             for arrays, circuit in zip(entries, order.circuits, strict=False)]  # fmt: skip
    missing = len(order.circuits) - len(found)
    if missing > 0:
        raise PartialResult(f"results of {len(found)} of {len(order.circuits)} circuits came",
                            [*found, *[None] * missing])  # fmt: skip
    return found


def _arrays(entry: Any) -> Mapping[str, Any]:
    data = getattr(entry, "data", entry)
    return {name: data[name] for name in data}


def _outcome(arrays: Mapping[str, Any], circuit: QuantumCircuit, order: Order) -> Outcome:
    places = [_place(circuit, clbit, arrays) for clbit in circuit.clbits]
    bits = iq = None
    if order.options.measured in ("bits", "both"):
        bits = _joined_bits({name: _bool_rows(values, order.shots)
                             for name, values in arrays.items()
                             if not _is_iq(values)}, places, order.shots)  # fmt: skip
    if order.options.measured in ("soft", "both"):
        by_register = {name.removesuffix("_iq"): values for name, values in arrays.items()
                       if _is_iq(values)}  # fmt: skip
        iq = _joined_iq(by_register, places, order.shots)
    return Outcome(bits, iq)


def _place(circuit: QuantumCircuit, clbit: Any, arrays: Mapping[str, Any]) -> tuple[str, int]:
    """In which register's results, and where in it, a classical bit is found."""
    for register, index in circuit.find_bit(clbit).registers:
        if register.name in arrays or f"{register.name}_iq" in arrays:
            return register.name, index
    number = circuit.find_bit(clbit).index
    raise PartialResult(f"no result of classical bit {number}'s register came, only "
                        f"{', '.join(arrays) or 'none'}", [])  # fmt: skip


def _is_iq(values: Any) -> bool:
    return isinstance(values, np.ndarray) and np.iscomplexobj(values)


def _bool_rows(values: Any, shots: int) -> Any:
    """A function from a slice of shots to bool [rows, register's bits], bit 0 first."""
    if isinstance(values, np.ndarray):  # the executor: [..., shots, bits], bit 0 first
        flat = values.reshape(-1, values.shape[-1])
        return lambda rows: flat[rows].astype(bool)
    # The sampler's BitArray: big-endian bytes, padded in front, so that its last bit is bit 0.
    packed, width = values.array.reshape(-1, values.array.shape[-1]), values.num_bits

    def unpacked(rows: slice) -> NDArray[np.bool_]:
        return np.unpackbits(packed[rows, ::-1], axis=1, count=width, bitorder="little").astype(
            bool
        )

    return unpacked


def _joined_bits(
    by_register: Mapping[str, Any], places: list[tuple[str, int]], shots: int
) -> NDArray[np.uint8]:
    """uint8 [shots, ceil(clbits / 8)]; twirling may have rounded shots up: the rest is dropped."""
    pieces = []
    for begin in range(0, shots, _ROWS):
        rows = slice(begin, min(begin + _ROWS, shots))
        unpacked = {name: read(rows) for name, read in by_register.items()}
        columns = [unpacked[name][:, index] for name, index in places]
        pieces.append(np.packbits(np.stack(columns, axis=1), axis=1, bitorder="little"))
    return np.concatenate(pieces)


def _joined_iq(
    by_register: Mapping[str, NDArray[np.complexfloating]],
    places: list[tuple[str, int]],
    shots: int,
) -> NDArray[np.complex64]:
    """complex64 [shots, clbits]."""
    flat = {name: values.reshape(-1, values.shape[-1])[:shots]
            for name, values in by_register.items()}  # fmt: skip
    columns = [flat[name][:, index] for name, index in places]
    return np.stack(columns, axis=1).astype(np.complex64)

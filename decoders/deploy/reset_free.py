"""Syndrome extraction without resets: each round compares with the outcome before last."""

from __future__ import annotations

import stim

from decoders.noise.instructions import (
    flattened,
    in_single_file,
    instructions_in,
    kind_of,
    operands,
)

# What turns one state of a basis into the other: under control of a record, and always.
_FLIPS = {"": ("CX", "X"), "Y": ("CX", "X"), "X": ("CZ", "Z")}


def reset_free(circuit: stim.Circuit) -> stim.Circuit:
    """The circuit without a reset after a measurement; its detectors are adapted.

    A reset in the basis in which the qubit has just been measured is a flip if the outcome was 1.
    It need not be done: what it would change later goes into detectors and observables, which name
    more records. First resets of qubits stay. ValueError where one was used since its measurement.

    >>> circuit = stim.Circuit('''
    ...     R 0
    ...     REPEAT 2 {
    ...         MR 0
    ...         DETECTOR rec[-1]
    ...     }
    ...     M 0
    ... ''')
    >>> print(reset_free(circuit))
    R 0
    M 0
    DETECTOR rec[-1]
    M 0
    DETECTOR rec[-2] rec[-1]
    M 0
    """
    found = stim.Circuit()
    measured: dict[int, tuple[str, int]] = {}  # the basis and record that each qubit is left in
    used, records = set[int](), 0
    for instruction in instructions_in(circuit.without_noise().flattened()):
        for one in in_single_file(instruction):
            kind = kind_of(one.name)
            if kind in ("measure", "measure_reset"):
                records = _measure(found, one, measured, records)
            elif kind == "reset":
                _reset(found, one, measured, (used, records))
            else:
                found.append(one)
                records += one.num_measurements
                for qubit in flattened(operands(one)):
                    measured.pop(qubit, None)
            used.update(flattened(operands(one)))
    return found.with_inlined_feedback().flattened()


def _measure(
    found: stim.Circuit,
    one: stim.CircuitInstruction,
    measured: dict[int, tuple[str, int]],
    records: int,
) -> int:
    """Appends a measurement, and the flip that a reset in it stands for; counts the records."""
    basis = one.name.removeprefix("M").removeprefix("R")
    targets = one.targets_copy()
    found.append(f"M{basis}", targets, one.gate_args_copy(), tag=one.tag)
    for k, target in enumerate(targets):
        measured[target.value] = (basis, records + k)
        if kind_of(one.name) == "measure_reset":
            _flip(found, target.value, basis, k - len(targets))
            if target.is_inverted_result_target:  # a record of 1 is an outcome of 0
                found.append(_FLIPS[basis][1], [target.value])
    return records + len(targets)


def _reset(
    found: stim.Circuit,
    one: stim.CircuitInstruction,
    measured: dict[int, tuple[str, int]],
    seen: tuple[set[int], int],
) -> None:
    """Appends a reset where it is a qubit's first operation, else the flip that it stands for."""
    used, records = seen
    basis = one.name.removeprefix("R")
    for target in one.targets_copy():
        qubit = target.value
        if qubit not in used:
            found.append(one.name, [qubit], tag=one.tag)
        elif qubit not in measured or measured[qubit][0] != basis:
            raise ValueError(
                f"{one.name} {qubit} comes after gates since the last measurement of that qubit: "
                "expected resets right after measurements in the same basis"
            )
        else:
            _flip(found, qubit, basis, measured[qubit][1] - records)


def _flip(found: stim.Circuit, qubit: int, basis: str, record: int) -> None:
    """Appends a Pauli under control of a record, counted back from now."""
    found.append(_FLIPS[basis][0], [stim.target_rec(record), qubit])

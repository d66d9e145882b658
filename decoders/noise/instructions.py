"""What a noise model has to know about a stim instruction: its kind, its operands, its Pauli."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

import stim

Kind = Literal["annotation", "noise", "gate", "reset", "measure", "measure_reset", "joint"]
"""`joint` is a Pauli product measurement; `measure` and `measure_reset` are of single qubits."""

_ANNOTATIONS = frozenset(
    {"DETECTOR", "MPAD", "OBSERVABLE_INCLUDE", "QUBIT_COORDS", "SHIFT_COORDS", "TICK"}
)
# Heralded noise produces records, yet is noise and no measurement.
_HERALDED = frozenset({"HERALDED_ERASE", "HERALDED_PAULI_CHANNEL_1"})
# Their targets are products such as X0*Z1.
_PRODUCTS = frozenset({"MPP", "SPP", "SPP_DAG"})


@cache
def kind_of(name: str) -> Kind:
    """Return the kind of the instruction with this canonical stim name."""
    if name in _ANNOTATIONS:
        return "annotation"
    gate = stim.gate_data(name)
    if name in _HERALDED:
        return "noise"
    if gate.produces_measurements:
        if not gate.is_single_qubit_gate:
            return "joint"
        return "measure_reset" if gate.is_reset else "measure"
    if gate.is_reset:
        return "reset"
    return "gate" if gate.is_unitary else "noise"


def operands(instruction: stim.CircuitInstruction) -> list[tuple[int, ...]]:
    """Return the qubits of each application: (1,), (2,) for `H 1 2`; (1, 2) for `CX 1 2`.

    Annotations have none; nor has a Pauli under classical control (`CX rec[-1] 5`), which is a
    change of frame in software: it takes no time and makes no noise.
    """
    if kind_of(instruction.name) == "annotation":
        return []
    groups = instruction.target_groups()
    quantum = [group for group in groups if all(_is_quantum(target) for target in group)]
    return [tuple(dict.fromkeys(target.value for target in group)) for group in quantum]


def in_single_file(instruction: stim.CircuitInstruction) -> list[stim.CircuitInstruction]:
    """Split an instruction into ones that act on no qubit twice: CX 0 1 1 2 into CX 0 1, CX 1 2.

    Only then noise after the first application can stand before the second. (stim makes one
    instruction of equal ones that follow each other.)
    """
    qubits = flattened(operands(instruction))
    if len(qubits) == len(set(qubits)):
        return [instruction]
    runs: list[list[list[stim.GateTarget]]] = [[]]
    seen: set[int] = set()
    for group in instruction.target_groups():
        own = {target.value for target in group if _is_quantum(target)}
        if own & seen:
            runs.append([])
            seen = set()
        runs[-1].append(group)
        seen |= own
    arguments, tag = instruction.gate_args_copy(), instruction.tag
    is_product = instruction.name in _PRODUCTS
    singles = []
    for run in runs:
        targets = [t for group in run for t in _joined(group, is_product=is_product)]
        singles.append(stim.CircuitInstruction(instruction.name, targets, arguments, tag=tag))
    return singles


def _joined(group: list[stim.GateTarget], *, is_product: bool) -> list[stim.GateTarget]:
    if not is_product:
        return group
    joined = [part for target in group for part in (target, stim.target_combiner())]
    return joined[:-1]


def _is_quantum(target: stim.GateTarget) -> bool:
    return not (target.is_measurement_record_target or target.is_sweep_bit_target)


def flattened(groups: Iterable[tuple[int, ...]]) -> list[int]:
    """Return the qubits of all applications in their order."""
    return [qubit for group in groups for qubit in group]


def mask_of(qubits: Iterable[int]) -> int:
    """Return a set of qubits as an integer with their bits set."""
    mask = 0
    for qubit in qubits:
        mask |= 1 << qubit
    return mask


def qubits_of(mask: int) -> list[int]:
    """Return the qubits of a mask, ascending."""
    return [qubit for qubit in range(mask.bit_length()) if mask >> qubit & 1]


def flip_name(name: str) -> str:
    """Return the error that flips what a reset or measurement of this name fixes or reads."""
    # X flips outcomes and states of the Z and the Y basis alike; stim's generator takes it too.
    return "Z_ERROR" if name.endswith("X") else "X_ERROR"


def channel(
    name: str, qubits: Iterable[int], rates: float | tuple[float, ...]
) -> list[stim.CircuitInstruction]:
    """Return the noise instruction in a list, or an empty one where it would do nothing."""
    rates = rates if isinstance(rates, tuple) else (rates,)
    targets = list(qubits)
    if not targets or not any(rates):
        return []
    return [stim.CircuitInstruction(name, targets, rates)]


def with_outcome_flip(instruction: stim.CircuitInstruction, rate: float) -> stim.CircuitInstruction:
    """Return the measurement with its recorded outcomes, not its qubits, flipped at this rate."""
    if not rate:
        return instruction
    return stim.CircuitInstruction(
        instruction.name, instruction.targets_copy(), [rate], tag=instruction.tag
    )


def instructions_in(circuit: stim.Circuit) -> Iterator[stim.CircuitInstruction]:
    """Yield the instructions in the order of the text: each REPEAT block's body once."""
    for instruction in circuit:
        if isinstance(instruction, stim.CircuitRepeatBlock):
            yield from instructions_in(instruction.body_copy())
        else:
            yield instruction


def refuse_noise(circuit: stim.Circuit) -> None:
    """Raise ValueError, naming the first noise instruction, unless the circuit has none."""
    for instruction in instructions_in(circuit):
        kind = kind_of(instruction.name)
        rates = instruction.gate_args_copy()
        measures = kind in {"measure", "measure_reset", "joint"} or instruction.name == "MPAD"
        if kind == "noise" or (measures and any(rates)):
            raise ValueError(
                f"a noise model needs a noiseless circuit, got one that contains "
                f"'{instruction}': remove its noise with circuit.without_noise()"
            )

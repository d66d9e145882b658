"""Tells data qubits, syndrome measurements and rounds apart in a memory experiment.

A circuit may say it itself by stim's tags: `TICK[round]` begins a round, and `M[data] 0 2 4` is the
final measurement of data qubits. Where it does not, both are inferred:

- The final measurements are the last measurement instructions, in an unbroken run (an annotation
  or a REPEAT block breaks it). Data qubits are those in use that no other instruction measures
  (joint measurements do not count). Two of them that share a two-qubit gate are a contradiction.
- The first round begins at the first TICK after the preparation of the data: their resets and
  one-qubit gates up to the first operation that entangles one of them. Each later round begins at
  the first TICK by which every measurement that the syndrome consists of has been made.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import stim

from decoders.noise.instructions import (
    flattened,
    instructions_in,
    kind_of,
    mask_of,
    operands,
    qubits_of,
)

DATA_TAG = "data"
ROUND_TAG = "round"

Token = int | str
"""What is measured once a round: a qubit, or a Pauli product by its text."""

_HINT = f"mark the final measurement of the data qubits with a tag, as in M[{DATA_TAG}] 0 2 4"


@dataclass(frozen=True)
class Memory:
    """Data qubits and rounds of a circuit.

    `syndrome` holds all that is measured in a round; `final_from` is the index, in the top level
    of the circuit, where the final measurements begin; `first_tick` counts the TICKs before the
    one that begins the first round. With tags these two give way to them.
    """

    data: tuple[int, ...]
    syndrome: frozenset[Token]
    final_from: int
    first_tick: int
    has_data_tags: bool
    has_round_tags: bool

    def is_final(self, instruction: stim.CircuitInstruction, position: int | None) -> bool:
        """Tell whether it belongs to the final measurements; position None: inside a REPEAT."""
        if self.has_data_tags:
            return instruction.tag == DATA_TAG
        return position is not None and position >= self.final_from

    def syndrome_of(
        self, instruction: stim.CircuitInstruction, position: int | None
    ) -> frozenset[Token]:
        """Return what this instruction contributes to the syndrome."""
        kind = kind_of(instruction.name)
        if kind == "joint":
            final = self.is_final(instruction, position)
            return frozenset() if final else frozenset(_products(instruction))
        if kind in {"measure", "measure_reset"}:
            return frozenset(flattened(operands(instruction))) - frozenset(self.data)
        return frozenset()


def read_memory(circuit: stim.Circuit) -> Memory:
    """Return the data qubits and rounds of a circuit; raise ValueError if they are unclear."""
    if not circuit.num_ticks:
        raise ValueError(
            "rounds begin at a TICK, but the circuit has none: put a TICK between its layers"
        )
    tagged = [instruction for instruction in instructions_in(circuit) if instruction.tag]
    has_data_tags = any(i.tag == DATA_TAG and _measures(i) for i in tagged)
    has_round_tags = any(i.tag == ROUND_TAG and i.name == "TICK" for i in tagged)
    final_from = len(circuit) if has_data_tags else _final_from(circuit)
    data = _tagged_data(circuit) if has_data_tags else _inferred_data(circuit, final_from)
    bare = Memory(tuple(qubits_of(data)), frozenset(), final_from, 0, has_data_tags, has_round_tags)
    syndrome: set[Token] = set()
    for position, instruction in _positions(circuit):
        syndrome |= bare.syndrome_of(instruction, position)
    if not data or not syndrome:
        missing = "data qubits" if not data else "measurement of a syndrome"
        raise ValueError(
            f"a memory experiment has data qubits, measured last, and rounds that measure a "
            f"syndrome, but this circuit seems to have no {missing}: {_HINT}"
        )
    first_tick = 0 if has_round_tags else _first_tick(circuit, data)
    return Memory(
        bare.data, frozenset(syndrome), final_from, first_tick, has_data_tags, has_round_tags
    )


def _products(instruction: stim.CircuitInstruction) -> list[str]:
    """Name each product: `MPP !X0*Z1` gives 'X0*Z1', `MXX 0 1` gives 'MXX 0 1'."""
    if instruction.name != "MPP":
        return [f"{instruction.name} {a[0]} {a[-1]}" for a in operands(instruction)]
    return [
        "*".join(f"{target.pauli_type}{target.value}" for target in group)
        for group in instruction.target_groups()
    ]


def _measures(instruction: stim.CircuitInstruction) -> bool:
    return kind_of(instruction.name) in {"measure", "measure_reset", "joint"}


def _tagged_data(circuit: stim.Circuit) -> int:
    tagged = (i for i in instructions_in(circuit) if i.tag == DATA_TAG and _measures(i))
    return mask_of(qubit for i in tagged for qubit in flattened(operands(i)))


def _positions(
    circuit: stim.Circuit,
) -> Iterator[tuple[int | None, stim.CircuitInstruction]]:
    for position in range(len(circuit)):
        instruction = circuit[position]
        if isinstance(instruction, stim.CircuitRepeatBlock):
            yield from ((None, inner) for inner in instructions_in(instruction.body_copy()))
        else:
            yield position, instruction


def _final_from(circuit: stim.Circuit) -> int:
    first, touched = len(circuit), 0
    for position in range(len(circuit) - 1, -1, -1):
        instruction = circuit[position]
        if isinstance(instruction, stim.CircuitRepeatBlock):
            break
        kind = kind_of(instruction.name)
        if kind == "annotation" and not touched:
            continue
        mask = mask_of(flattened(operands(instruction)))
        # A second measurement of the same qubit means that the first was not the last word on it.
        if kind not in {"measure", "joint"} or mask & touched:
            break
        first, touched = position, touched | mask
    return first


def _inferred_data(circuit: stim.Circuit, final_from: int) -> int:
    used = measured = 0
    for position, instruction in _positions(circuit):
        mask = mask_of(flattened(operands(instruction)))
        used |= mask
        is_last = position is not None and position >= final_from
        if kind_of(instruction.name) in {"measure", "measure_reset"} and not is_last:
            measured |= mask
    data = used & ~measured
    for instruction in instructions_in(circuit):
        if kind_of(instruction.name) != "gate":
            continue
        for group in operands(instruction):
            if len(group) > 1 and not mask_of(group) & ~data:
                raise ValueError(
                    f"cannot tell data qubits from ancillas: qubits {group[0]} and {group[1]} are "
                    f"both measured only at the end, yet '{instruction.name}' couples them; {_HINT}"
                )
    return data


def _first_tick(circuit: stim.Circuit, data: int) -> int:
    """Count the TICKs before the one that begins the first round."""
    ticks = ticks_at_last_preparation = 0
    for instruction in _unrolled(circuit):
        if instruction.name == "TICK":
            ticks += 1
        groups = [group for group in operands(instruction) if mask_of(group) & data]
        if not groups:
            continue
        prepares = kind_of(instruction.name) in {"gate", "reset"}
        if not prepares or any(len(group) > 1 for group in groups):
            break
        ticks_at_last_preparation = ticks
    if ticks <= ticks_at_last_preparation:
        raise ValueError(
            "the first round begins at the first TICK after the data qubits are prepared, but "
            f"they interact before it: put a TICK between, or mark it as TICK[{ROUND_TAG}]"
        )
    return ticks_at_last_preparation


def _unrolled(circuit: stim.Circuit) -> Iterator[stim.CircuitInstruction]:
    for instruction in circuit:
        if isinstance(instruction, stim.CircuitRepeatBlock):
            body = instruction.body_copy()
            for _ in range(instruction.repeat_count):
                yield from _unrolled(body)
        else:
            yield instruction

"""A circuit in the gates of a chip: CZ, one-qubit Cliffords, readout and reset in the Z basis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import stim

from decoders.noise.instructions import flattened, kind_of, operands, refuse_noise

# What brings a Pauli to Z and back.
_TO_Z = {"X": "H", "Y": "H_YZ", "Z": "I"}
# Two-qubit gates: on −1 eigenstates of the first Pauli, the second one is applied.
_CONTROLLED = {"CX": "ZX", "CY": "ZY", "CZ": "ZZ"} | {
    f"{a}C{b}": a + b for a in "XY" for b in "XYZ"
}


def in_cz(circuit: stim.Circuit) -> stim.Circuit:
    """The noiseless circuit in CZ and one-qubit gates, with detectors and observables as they are.

    One-qubit gates that meet on a qubit become one, or none: of the Hadamards around the CX onto
    an ancilla, the first and the last stay. All that can wait for the next CZ does, so that a layer
    of one-qubit gates stands between two layers of CZ at most. Layers are told apart by TICKs, as
    in the circuit given; no qubit may act twice in a layer.

    >>> layers = ["R 0 1 2", "CX 0 2", "CX 1 2", "M 2"]
    >>> print(in_cz(stim.Circuit("\\nTICK\\n".join(layers))))
    R 0 1 2
    TICK
    H 2
    TICK
    CZ 0 2
    TICK
    CZ 1 2
    TICK
    H 2
    TICK
    M 2
    """
    refuse_noise(circuit)
    native = _Native()
    native.run(circuit)
    native.play(list(native.waiting))
    return native.made


class _Native:
    """The circuit made so far, and the one-qubit gates that wait to be played."""

    def __init__(self, is_open: bool = False) -> None:
        self.made = stim.Circuit()
        self.waiting: dict[int, stim.Tableau] = {}
        self._is_open = is_open  # whether the last layer needs a TICK before the next

    def run(self, circuit: stim.Circuit) -> None:
        """Takes all layers of a circuit, or of a block's body."""
        for layer in _layers(circuit):
            if isinstance(layer, stim.CircuitRepeatBlock):
                self._repeat(layer)
            else:
                self._layer(layer)

    def play(self, qubits: Iterable[int]) -> None:
        """A layer of the gates that wait on these qubits, if any."""
        named: dict[str, list[int]] = defaultdict(list)
        for qubit in sorted(qubits):
            gate = self.waiting.pop(qubit, None)
            if gate is not None and _name(gate) != "I":
                named[_name(gate)].append(qubit)
        self._append([stim.CircuitInstruction(name, on) for name, on in sorted(named.items())])

    def _append(self, layer: list[stim.CircuitInstruction]) -> None:
        acts = any(kind_of(one.name) != "annotation" for one in layer)
        if acts and self._is_open:
            self.made.append("TICK", [])
        self._is_open |= acts
        for instruction in layer:
            self.made.append(instruction)

    def _repeat(self, block: stim.CircuitRepeatBlock) -> None:
        self.play(list(self.waiting))
        inside = _Native(is_open=True)
        inside.run(block.body_copy())
        inside.play(list(inside.waiting))
        self.made.append(stim.CircuitRepeatBlock(block.repeat_count, inside.made))
        self._is_open = True

    def _layer(self, layer: list[stim.CircuitInstruction]) -> None:
        """A layer: the gates that its CZ and readouts need first, then these; some gates wait."""
        _refuse_crowded(layer)
        pairs, others, after = [], [], {}
        for instruction in layer:
            kind = kind_of(instruction.name)
            if kind == "annotation":
                others.append(instruction)
            elif kind == "gate":
                for qubits in _operands(instruction):
                    if len(qubits) == 1:
                        self._then(qubits[0], instruction.name)
                    else:
                        turns = _turns(instruction.name)
                        pairs.append(qubits)
                        after |= dict(zip(qubits, turns, strict=True))
                        for qubit, turn in zip(qubits, turns, strict=True):
                            self._then(qubit, turn)
            else:
                turned, before, back = _collapse(instruction)
                others.append(turned)
                for qubit in flattened(operands(instruction)):
                    self._then(qubit, before)
                    after[qubit] = back
        collapses = any(kind_of(one.name) != "annotation" for one in others)
        self.play(list(self.waiting) if collapses else flattened(pairs))
        cz = [stim.CircuitInstruction("CZ", flattened(pairs))] if pairs else []
        self._append(cz + others)
        for qubit, turn in after.items():
            self._then(qubit, turn)

    def _then(self, qubit: int, name: str) -> None:
        gate = stim.Tableau.from_named_gate(name)
        before = self.waiting.get(qubit)
        self.waiting[qubit] = gate if before is None else before.then(gate)


def _layers(
    circuit: stim.Circuit,
) -> Iterator[list[stim.CircuitInstruction] | stim.CircuitRepeatBlock]:
    """What stands between TICKs and blocks."""
    layer: list[stim.CircuitInstruction] = []
    for instruction in circuit:
        if isinstance(instruction, stim.CircuitRepeatBlock):
            yield layer
            layer = []
            yield instruction
        elif instruction.name == "TICK":
            yield layer
            layer = []
        else:
            layer.append(instruction)
    yield layer


def _refuse_crowded(layer: list[stim.CircuitInstruction]) -> None:
    acting = flattened(group for one in layer for group in operands(one))
    twice = sorted({qubit for qubit in acting if acting.count(qubit) > 1})
    if twice:
        raise ValueError(
            f"expected layers in which a qubit acts once, got one in which qubit {twice[0]} acts "
            "twice: put a TICK between the two"
        )


def _operands(instruction: stim.CircuitInstruction) -> list[tuple[int, ...]]:
    found = operands(instruction)
    if len(found) < len(instruction.target_groups()):
        raise ValueError(
            f"expected gates without classical control, got '{instruction}': keep such Pauli "
            "frames in the detectors"
        )
    return found


def _turns(name: str) -> tuple[str, str]:
    """What turns a two-qubit gate into a CZ, before and after it."""
    if name not in _CONTROLLED:
        raise ValueError(
            f"expected two-qubit gates among {', '.join(sorted(_CONTROLLED))}, got {name}: write "
            "it in these and one-qubit gates"
        )
    first, second = _CONTROLLED[name]
    return _TO_Z[first], _TO_Z[second]


def _collapse(instruction: stim.CircuitInstruction) -> tuple[stim.CircuitInstruction, str, str]:
    """A readout or reset in the Z basis, and the one-qubit gates before and after it."""
    name = instruction.name
    if kind_of(name) == "joint":
        raise ValueError(f"expected readouts of one qubit each, got '{instruction}': use ancillas")
    basis = name[-1] if name[-1] in "XY" else "Z"
    turn, plain = _TO_Z[basis], name.rstrip("XYZ")
    turned = stim.CircuitInstruction(
        plain, instruction.targets_copy(), instruction.gate_args_copy(), tag=instruction.tag
    )
    return turned, turn if plain != "R" else "I", turn


@cache
def _names() -> Mapping[str, str]:
    """The name of each one-qubit Clifford by the text of its tableau."""
    return {str(stim.Tableau.from_named_gate(name)): name
            for name, data in stim.gate_data().items()
            if data.is_unitary and data.is_single_qubit_gate}  # fmt: skip


def _name(gate: stim.Tableau) -> str:
    return _names()[str(gate)]

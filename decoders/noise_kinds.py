"""Of which operation each noise instruction of a circuit is: gates, readout, reset, or waiting.

>>> pieces = list(stim.Circuit("CX 3 4\\nDEPOLARIZE2(0.01) 3 4\\nDEPOLARIZE1(0.01) 4"))
>>> kinds = NoiseKinds(pieces)  # of an unrolled circuit, noise cut into channels
>>> kinds.of(1), kinds.of(2)  # the third is a wait after the gate's own noise
(('two-qubit gates', (3, 4)), ('idling', (4,)))

Noise is of the operation that its qubit had last since the TICK; flips just before a measurement
are of that; and all else is waiting, or of several qubits without a gate. A tag on the noise, as
in `DEPOLARIZE1[laser](0.01) 3`, names it instead.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

import stim

from decoders.noise.instructions import kind_of, operands

TWO, ONE, READ, RESET = "two-qubit gates", "one-qubit gates", "readout", "reset"
IDLE, WAIT, CROSS = "idling", "idling during readout and reset", "correlated noise"

MEASURES = ("measure", "measure_reset", "joint")
_RESETS = ("reset", "measure_reset")
# Qiskit's rz comes as these without noise; they are no operation then.
_VIRTUAL = frozenset({"I", "Z", "S", "S_DAG"})


class NoiseKinds:
    """Follows every qubit through a circuit, and tells what its noise is of.

    `_last` is the operation that a qubit had last since the TICK, `_run` the noise on it since.
    """

    def __init__(self, pieces: Sequence[stim.CircuitInstruction]) -> None:
        self._pieces = pieces
        self._found: dict[int, tuple[str, tuple[int, ...]]] = {}
        self._last: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._run: dict[int, list[int]] = defaultdict(list)
        self._virtual = _virtual(pieces)
        self._has_ticks = any(one.name == "TICK" for one in pieces)
        self._is_collapsed = False
        for index, piece in enumerate(pieces):
            if kind_of(piece.name) == "noise":
                self._noise(index, piece)
            elif piece.name == "TICK":
                self._settle_all()
                self._last.clear()
                self._is_collapsed = False
            elif piece.name not in self._virtual:
                self._operation(index, piece)
        self._settle_all()

    def of(self, index: int) -> tuple[str, tuple[int, ...]]:
        """The kind and place of a noisy piece."""
        return self._found[index]

    def _noise(self, index: int, piece: stim.CircuitInstruction) -> None:
        qubits = tuple(sorted(target.value for target in piece.targets_copy()))
        waiting = WAIT if self._is_collapsed else IDLE
        self._found[index] = (piece.tag or (waiting if len(qubits) == 1 else CROSS), qubits)
        last = {self._last.get(qubit) for qubit in qubits}
        one = last.pop() if len(last) == 1 and len(qubits) > 1 and not piece.tag else None
        if one is not None and set(one[1]) == set(qubits):
            self._found[index] = (self._role(one[0]), qubits)
        for qubit in qubits:
            self._run[qubit].append(index)

    def _operation(self, index: int, piece: stim.CircuitInstruction) -> None:
        for group in operands(piece):
            if kind_of(piece.name) in MEASURES and any(piece.gate_args_copy()):
                self._found[index] = (READ, tuple(sorted(group)))
            for qubit in group:
                self._settle(qubit, piece)
            for qubit in group:
                self._last[qubit] = (index, group)
        collapses = kind_of(piece.name) in (*MEASURES, "reset")
        self._is_collapsed |= self._has_ticks and collapses

    def _settle_all(self) -> None:
        for qubit in list(self._run):
            self._settle(qubit, None)

    def _settle(self, qubit: int, following: stim.CircuitInstruction | None) -> None:
        """Gives the run of noise on a qubit to what came before it, and to what follows."""
        run = self._run.pop(qubit, [])
        last = self._last.get(qubit)
        after_reset = last is not None and kind_of(self._pieces[last[0]].name) in _RESETS
        if len(run) > int(after_reset) and self._misreads(run[-1], following):
            self._name(run.pop(), READ, (qubit,))
        if last is None or not run:
            return
        for index in run[: self._own(last[0], run)]:
            self._name(index, self._role(last[0]), tuple(sorted(last[1])))

    def _name(self, index: int, kind: str, place: tuple[int, ...]) -> None:
        if not self._pieces[index].tag and len(self._pieces[index].targets_copy()) == 1:
            self._found[index] = (kind, place)

    def _misreads(self, index: int, following: stim.CircuitInstruction | None) -> bool:
        """Whether this noise is how a model writes that an outcome is wrong."""
        if following is None or any(following.gate_args_copy()):
            return False
        if kind_of(following.name) not in ("measure", "measure_reset"):
            return False
        name = self._pieces[index].name
        return name in {f"{pauli}_ERROR" for pauli in "XYZ"} - {f"{basis_of(following.name)}_ERROR"}

    def _own(self, last: int, run: Sequence[int]) -> int:
        """How many of a run are of the operation before it; then the qubit waits.

        A gate's noise ends with what depolarizes: devices have relaxation before it.
        """
        names = [self._pieces[index].name for index in run]
        kind = kind_of(self._pieces[last].name)
        if kind in _RESETS:
            return int(names[0] != "PAULI_CHANNEL_1")
        if kind == "measure":
            return int(any(self._pieces[last].gate_args_copy()))
        closing = [k for k, name in enumerate(names) if name.startswith("DEPOLARIZE")]
        return closing[0] + 1 if closing else 1

    def _role(self, last: int) -> str:
        kind = kind_of(self._pieces[last].name)
        if kind == "gate":
            alone = stim.gate_data(self._pieces[last].name).is_single_qubit_gate
            return ONE if alone else TWO
        return RESET if kind in _RESETS else READ


def _virtual(pieces: Sequence[stim.CircuitInstruction]) -> set[str]:
    """Names of turns about Z that some qubit makes without noise."""
    found: set[str] = set()
    waiting: dict[int, str] = {}
    for piece in pieces:
        if kind_of(piece.name) == "noise":
            for target in piece.targets_copy():
                waiting.pop(target.value, None)
        for qubit in itertools.chain.from_iterable(operands(piece)):
            if kind_of(piece.name) != "noise":
                found |= {waiting.pop(qubit)} if qubit in waiting else set()
                waiting |= {qubit: piece.name} if piece.name in _VIRTUAL else {}
    return found | set(waiting.values())


def basis_of(name: str) -> str:
    """The Pauli that a measurement reads, of one qubit (MRX) or of two (MXX)."""
    return name[-1] if name[-1] in "XY" else "Z"

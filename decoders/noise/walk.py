"""Walks a circuit layer by layer and round by round, adding what a noise model's rules say.

A layer lies between two TICKs, wherever they stand: it may run on across the border of a REPEAT
block. A qubit is in use from its first operation to its last. So the first and the last iteration
of a block can differ from those between; then they are written out in front of and behind it. On
each qubit the result is that of the unrolled circuit, folded where that repeats.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import stim

from decoders.noise.instructions import (
    flattened,
    in_single_file,
    kind_of,
    mask_of,
    operands,
    qubits_of,
    refuse_noise,
)
from decoders.noise.memory import ROUND_TAG, Memory, Token, read_memory

Instructions = list[stim.CircuitInstruction]


@dataclass(frozen=True)
class Layer:
    """The qubits in use during a layer that nothing acts on, and those it does not collapse.

    `uncollapsed` are those neither measured nor reset, gates or not, if any other one is (else
    it is empty). `acts` maps each operation of the layer to its qubits.
    """

    idle: list[int]
    uncollapsed: list[int]
    acts: Mapping[str, list[int]]


@dataclass(frozen=True)
class Rules:
    """What a noise model adds, and where.

    `operation` gives the instructions in the place of one (with, for models that know rounds, the
    memory experiment it is in, and its position in the top level: None inside a REPEAT block);
    `idle` those at a layer's end; `round_start` those at the start of a round (True: the first)
    on the data qubits given.
    """

    operation: Callable[[stim.CircuitInstruction, Memory | None, int | None], Instructions]
    idle: Callable[[Layer], Instructions] | None = None
    round_start: Callable[[list[int], bool], Instructions] | None = None


@dataclass(frozen=True)
class _Later:
    """What is still to come: qubits with a further operation, and whether a syndrome is."""

    qubits: int = 0
    syndrome: bool = False

    def __or__(self, other: "_Later") -> "_Later":
        return _Later(self.qubits | other.qubits, self.syndrome or other.syndrome)


@dataclass(frozen=True)
class _State:
    """Where the walk stands; equal states go on equally.

    The mask of the qubits used before the open layer; the names of its operations, each with
    the mask of its qubits, by name; the TICKs so far, counted up to the first round only; what
    of the syndrome the open round has measured once, and what twice.
    """

    seen: int = 0
    acts: tuple[tuple[str, int], ...] = ()
    ticks: int = 0
    started: bool = False
    measured: frozenset[Token] = field(default_factory=frozenset)
    repeated: frozenset[Token] = field(default_factory=frozenset)

    def mask(self, kinds: Collection[str]) -> int:
        """Return the qubits on which an operation of these kinds acts in the open layer."""
        mask = 0
        for name, qubits in self.acts:
            mask |= qubits if kind_of(name) in kinds else 0
        return mask


_COLLAPSES = frozenset({"reset", "measure", "measure_reset", "joint"})
_ACTS = _COLLAPSES | {"gate"}


def add_noise(circuit: stim.Circuit, rules: Rules) -> stim.Circuit:
    """Return the circuit with the noise of these rules; the circuit must be noiseless."""
    refuse_noise(circuit)
    if rules.idle and not circuit.num_ticks:
        raise ValueError(
            "this noise model adds noise to qubits that wait in a layer, but the circuit has no "
            "TICK to tell its layers apart: put one between them, or use rates without idling"
        )
    memory = read_memory(circuit) if rules.round_start else None
    walk = _Walk(rules, memory)
    noisy, state = walk.block(circuit, _State(), _Later(), is_top=True)
    if memory and state.measured and state.measured != memory.syndrome:
        walk.refuse_rounds(memory.syndrome - state.measured)
    return noisy


@dataclass(frozen=True)
class _Walk:
    rules: Rules
    memory: Memory | None

    def block(
        self, circuit: stim.Circuit, state: _State, later: _Later, *, is_top: bool = False
    ) -> tuple[stim.Circuit, _State]:
        """Return the noisy version of a circuit or a block's body, and the state after it."""
        noisy = stim.Circuit()
        after = self._after_each(circuit, later, is_top=is_top)
        for position in range(len(circuit)):
            instruction = circuit[position]
            if isinstance(instruction, stim.CircuitRepeatBlock):
                state = self._repeat(noisy, instruction, state, after[position])
                continue
            if instruction.name == "TICK":
                state = self._tick(noisy, instruction, state, after[position])
                continue
            where = position if is_top else None
            for single in in_single_file(instruction):
                for piece in self.rules.operation(single, self.memory, where):
                    noisy.append(piece)
                state = self._advance(single, state, where)
        return noisy, state

    def _repeat(
        self, noisy: stim.Circuit, block: stim.CircuitRepeatBlock, state: _State, later: _Later
    ) -> _State:
        body, count = block.body_copy(), block.repeat_count
        again = later | self._after_each(body, _Later(), is_top=False, whole=True)[0]
        pieces: list[tuple[stim.Circuit, int]] = []
        done = 0
        while done < count:
            is_last = done == count - 1
            before = state
            piece, state = self.block(body, before, later if is_last else again)
            # From a state that comes back, all iterations but the last are alike.
            times = count - 1 - done if state == before and not is_last else 1
            if pieces and pieces[-1][0] == piece:
                piece, times_before = pieces.pop()
                pieces.append((piece, times_before + times))
            else:
                pieces.append((piece, times))
            done += times
        for piece, times in pieces:
            if times > 1 or count == 1:
                noisy.append(stim.CircuitRepeatBlock(times, piece, tag=block.tag))
            else:
                noisy += piece
        return state

    def _tick(
        self, noisy: stim.Circuit, tick: stim.CircuitInstruction, state: _State, later: _Later
    ) -> _State:
        touched = state.mask(_ACTS)
        if self.rules.idle:
            for piece in self.rules.idle(_layer(state, touched, later)):
                noisy.append(piece)
        noisy.append(tick)
        state = replace(state, seen=state.seen | touched, acts=())
        if not (self.rules.round_start and self.memory):
            return state
        starts = self._starts_round(tick, state, later)
        if starts:
            for piece in self.rules.round_start(list(self.memory.data), not state.started):
                noisy.append(piece)
            return replace(state, ticks=0, started=True, measured=frozenset(), repeated=frozenset())
        return state if state.started else replace(state, ticks=state.ticks + 1)

    def _starts_round(self, tick: stim.CircuitInstruction, state: _State, later: _Later) -> bool:
        if self.memory is None:
            return False
        if self.memory.has_round_tags:
            return tick.tag == ROUND_TAG
        if not state.started:
            return state.ticks == self.memory.first_tick
        return later.syndrome and state.measured == self.memory.syndrome

    def _advance(
        self, instruction: stim.CircuitInstruction, state: _State, position: int | None
    ) -> _State:
        mask = mask_of(flattened(operands(instruction)))
        if not mask:
            return state
        if self.rules.idle:
            _refuse_crowded(instruction, mask, state)
        acts = dict(state.acts)
        acts[instruction.name] = acts.get(instruction.name, 0) | mask
        state = replace(state, acts=tuple(sorted(acts.items())))
        if self.memory is None or self.memory.has_round_tags:
            return state
        new = self.memory.syndrome_of(instruction, position)
        if new & state.repeated:
            self.refuse_rounds(new & state.repeated)
        return replace(
            state,
            measured=state.measured | new,
            repeated=state.repeated | (new & state.measured),
        )

    def refuse_rounds(self, odd: frozenset[Token]) -> None:
        """Raise ValueError: what is measured does not repeat from round to round."""
        some = ", ".join(sorted(map(str, odd))[:3])
        raise ValueError(
            "cannot tell the rounds of this circuit: measurements do not repeat once or twice a "
            f"round (see {some}): mark the TICK that begins each round with a tag, "
            f"TICK[{ROUND_TAG}]"
        )

    def _after_each(
        self, circuit: stim.Circuit, later: _Later, *, is_top: bool, whole: bool = False
    ) -> list[_Later]:
        """Return, for each instruction, what comes after it (`whole`: after and including it)."""
        after: list[_Later] = []
        for position in range(len(circuit) - 1, -1, -1):
            instruction = circuit[position]
            if not whole:
                after.append(later)
            if isinstance(instruction, stim.CircuitRepeatBlock):
                later |= self._after_each(
                    instruction.body_copy(), _Later(), is_top=False, whole=True
                )[0]
            else:
                mask = mask_of(flattened(operands(instruction)))
                syndrome = bool(
                    self.memory
                    and self.memory.syndrome_of(instruction, position if is_top else None)
                )
                later |= _Later(mask, syndrome)
            if whole:
                after.append(later)
        return after[::-1]


def _layer(state: _State, touched: int, later: _Later) -> Layer:
    """Return the open layer of a state, at its end."""
    idle = state.seen & later.qubits & ~touched
    collapsed = state.mask(_COLLAPSES)
    others = (idle | touched) & ~collapsed if collapsed else 0
    acts = {name: qubits_of(mask) for name, mask in state.acts}
    return Layer(qubits_of(idle), qubits_of(others), acts)


def _refuse_crowded(instruction: stim.CircuitInstruction, mask: int, state: _State) -> None:
    """Raise ValueError where one layer acts twice on a qubit, save to measure, then reset it.

    Without a TICK between the two operations, the qubits that wait for the second would not be
    seen to wait.
    """
    is_gate = kind_of(instruction.name) == "gate"
    twice = qubits_of(mask & state.mask(_ACTS if is_gate else {"gate"}))
    if twice:
        raise ValueError(
            f"this noise model adds noise to qubits that wait in a layer, but '{instruction.name}' "
            f"acts on qubit {twice[0]} after another gate, reset or measurement of the same layer: "
            "put a TICK between the two"
        )

"""Assembles a memory experiment from the layers of one round and the checks that it measures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import stim

from decoders.noise.memory import DATA_TAG, ROUND_TAG

Operation = tuple[str, Sequence[int]]
"""A stim gate and its targets."""

Layer = Sequence[Operation]
"""What happens between two TICKs: no qubit occurs twice."""

Outcome = tuple[int, int]
"""(qubit, n): the n-th measurement, from 0, of that qubit within a round."""

RoundLayers = Callable[[bool, bool], Sequence[Layer]]
"""(first, last) -> the layers of a round; the first prepares the data, the last measures them."""

_MEASUREMENTS = frozenset({"M", "MX"})


@dataclass(frozen=True)
class Check:
    """A parity of outcomes of one round whose value, without noise, is known or repeats.

    `known` says when it is known: "flag" in every round by itself; "kept" from the preparation of
    the data to their measurement, being a stabilizer of the prepared basis; "repeated" only from
    the second round on, as the same as in the round before. `data` are the data qubits whose
    final measurements multiply to a kept check. `place` holds the detector's spatial coordinates
    (x, y), `label` what is to follow the time coordinate. `left_behind` are the outcomes of a
    round that give the check on the data after that round: None where they are `outcomes`, the
    ones that give it before the round.
    """

    place: tuple[float, float]
    outcomes: tuple[Outcome, ...]
    known: str
    data: tuple[int, ...] = ()
    label: tuple[float, ...] = ()
    left_behind: tuple[Outcome, ...] | None = None

    @property
    def after(self) -> tuple[Outcome, ...]:
        """The outcomes of a round that give the check on the data after it."""
        return self.outcomes if self.left_behind is None else self.left_behind


@dataclass(frozen=True)
class Observable:
    """A logical operator: the data qubits that it reads at the end.

    `frame` are the outcomes of every round that flip it on the way.
    """

    data: Sequence[int]
    frame: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Memory:
    """All that distinguishes one memory experiment from another, but the number of rounds.

    `coordinates` maps qubit to (x, y).
    """

    coordinates: Mapping[int, tuple[float, float]]
    layers: RoundLayers
    checks: Sequence[Check]
    observables: Sequence[Observable]

    @property
    def data(self) -> frozenset[int]:
        """The data qubits: each is in some check."""
        return frozenset(chain.from_iterable(check.data for check in self.checks))


def assemble(memory: Memory, rounds: int) -> stim.Circuit:
    """Return the noiseless circuit of `rounds` rounds; detector coordinates are (x, y, t, ...).

    First and last round stand by themselves; those between are one REPEAT block, which begins
    with a TICK, so that no layer reaches across its border. Tags tell noise models what they
    could not always infer, with one round for instance: `TICK[round]` begins a round (the first
    one after the preparation of the data), `M[data]` is the final measurement of the data.
    """
    circuit = stim.Circuit()
    for qubit, place in sorted(memory.coordinates.items()):
        circuit.append("QUBIT_COORDS", [qubit], place)
    circuit += _round(memory, first=True, last=rounds == 1)
    if rounds > 2:
        body = _round(memory, first=False, last=False)
        circuit.append(stim.CircuitRepeatBlock(rounds - 2, body))
    if rounds > 1:
        circuit += _round(memory, first=False, last=True)
    _append_final_annotations(circuit, memory, first=rounds == 1)
    return circuit


def _round(memory: Memory, *, first: bool, last: bool) -> stim.Circuit:
    layers = memory.layers(first, last)
    circuit = _ticked(memory, layers, first=first, last=last)
    if not first:
        circuit.append("SHIFT_COORDS", [], (0, 0, 1))
    now = _records(layers)
    # A last round is shorter or longer than the one before, which is never a last one: look back
    # from the beginning of this round.
    before = {} if first else _records(memory.layers(False, False), past=len(now))
    for check in memory.checks:
        if check.known == "repeated" and first:
            continue
        records = [now[outcome] for outcome in check.outcomes]
        if check.known != "flag" and not first:
            records += [before[outcome] for outcome in check.after]
        _append_detector(circuit, check, records, time=0)
    for index, observable in enumerate(memory.observables):
        if observable.frame:
            _append_observable(circuit, index, [now[outcome] for outcome in observable.frame])
    return circuit


def _ticked(memory: Memory, layers: Sequence[Layer], *, first: bool, last: bool) -> stim.Circuit:
    """Return the layers of a round with their TICKs and tags, without annotations.

    The first layer of the first round prepares the data, so the round as such begins behind it;
    every other round begins with a TICK.
    """
    circuit = stim.Circuit()
    for index, layer in enumerate(layers):
        if index or not first:
            circuit.append("TICK", [], tag=ROUND_TAG if index == int(first) else "")
        for gate, targets in layer:
            ends = last and index == len(layers) - 1 and memory.data.issuperset(targets)
            if targets:
                circuit.append(gate, targets, tag=DATA_TAG if ends else "")
    return circuit


def _append_final_annotations(circuit: stim.Circuit, memory: Memory, *, first: bool) -> None:
    now = _records(memory.layers(first, True))
    # The data are measured once, after every other measurement of the same qubit.
    for check in memory.checks:
        if check.known == "kept":
            outcomes = chain(check.after, ((qubit, 0) for qubit in check.data))
            _append_detector(circuit, check, [now[outcome] for outcome in outcomes], time=1)
    for index, observable in enumerate(memory.observables):
        _append_observable(circuit, index, [now[qubit, 0] for qubit in observable.data])


def _append_observable(circuit: stim.Circuit, index: int, records: Sequence[int]) -> None:
    targets = [stim.target_rec(record) for record in sorted(records, reverse=True)]
    circuit.append("OBSERVABLE_INCLUDE", targets, index)


def _append_detector(
    circuit: stim.Circuit, check: Check, records: Sequence[int], *, time: int
) -> None:
    targets = [stim.target_rec(record) for record in sorted(records, reverse=True)]
    circuit.append("DETECTOR", targets, (*check.place, time, *check.label))


def _records(layers: Sequence[Layer], past: int = 0) -> dict[Outcome, int]:
    """Map each outcome of these layers to its record, `past` measurements after their end."""
    order: dict[Outcome, int] = {}
    for qubit in _measured(layers):
        occurrence = 0
        while (qubit, occurrence) in order:
            occurrence += 1
        order[qubit, occurrence] = len(order)
    return {outcome: index - len(order) - past for outcome, index in order.items()}


def _measured(layers: Sequence[Layer]) -> Iterator[int]:
    for gate, targets in chain.from_iterable(layers):
        if gate in _MEASUREMENTS:
            yield from targets

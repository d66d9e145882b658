"""Runs timed events on exact states of a few transmons, and draws shots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib import density
from calib.schedule import Event, Measure, Play, Timeline, VirtualZ
from calib.topology import Pair

# levels found [shots] of one readout -> IQ points [shots], bits [shots], levels afterwards [shots]
Readout = Callable[
    [Measure, NDArray[np.int64], np.random.Generator],
    tuple[NDArray[np.complex128], NDArray[np.bool_], NDArray[np.int64]],
]


@dataclass(frozen=True)
class Situation:
    """What acts on one circuit beside its plays: rest, couplings between plays, and readout."""

    populations: NDArray[np.float64]  # of the levels at rest, [qubits, L]
    zz_rad_per_ns: Mapping[Pair, float]  # the phase that |11⟩ gains, while nothing is played
    channels: Mapping[Play, NDArray[np.float64]]
    readout: Readout


@dataclass(frozen=True)
class Outcomes:
    """What the readout showed: IQ points and bits, [shots, clbits]; NaN and 0 where unmeasured."""

    iq: NDArray[np.complex128]
    bits: NDArray[np.bool_]

    @staticmethod
    def empty(shots: int, clbits: int) -> Outcomes:
        """No bit measured yet."""
        return Outcomes(
            np.full((shots, clbits), np.nan + 0j), np.zeros((shots, clbits), dtype=np.bool_)
        )


def components(timeline: Timeline, zz_pairs: Sequence[Pair], most: int) -> list[tuple[int, ...]]:
    """The sets of qubits that must be simulated together.

    Qubits that a gate joins always are; those that only ZZ joins are as long as their set has at
    most `most` qubits. Beyond that, ZZ between sets is left out: an approximation.
    """
    groups = {qubit: frozenset({qubit}) for qubit in timeline.qubits}

    def join(a: int, b: int) -> None:
        merged = groups[a] | groups[b]
        groups.update(dict.fromkeys(merged, merged))

    for event in timeline.events:
        if len(event.action.qubits) == 2:
            join(*event.action.qubits)
    for a, b in zz_pairs:
        if a in groups and b in groups and len(groups[a] | groups[b]) <= most:
            join(a, b)
    return sorted({tuple(sorted(group)) for group in groups.values()})


def run(
    timeline: Timeline,
    group: tuple[int, ...],
    situation: Situation,
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> None:
    """Runs the events of one set of qubits; writes what its readouts showed into `outcomes`."""
    events = [event for event in timeline.events if set(event.action.qubits) <= set(group)]
    tail = _tail(events)
    register = _Register(group, situation)
    start = density.product_state(situation.populations[list(group)])
    branches = [_Branch(start, np.arange(len(outcomes.bits)))]
    for k, event in enumerate(events):
        if not isinstance(event.action, Measure):
            for branch in branches:
                branch.state = register.evolve(branch.state, event)
            register.mark(event)
        elif k < tail:
            for branch in branches:
                branch.state = register.evolve(branch.state, event)
            register.mark(event)
            branches = [
                part
                for branch in branches
                for part in _measure(branch, event.action, register, outcomes, rng)
            ]
    last = [event.action for event in events[tail:] if isinstance(event.action, Measure)]
    for branch in branches:
        _measure_all(branch, last, register, outcomes, rng)


@dataclass
class _Branch:
    """The state of those shots whose readouts went alike; its trace is 1."""

    state: NDArray[np.float64]
    shots: NDArray[np.int64]


class _Register:
    """Positions of the qubits in the state, and since when each coupled pair has not been turned.

    An always-on ZZ commutes with idling and virtual Zs; around a gate on [t, t + T] it is applied
    up to the middle, an error of second order in ζT (ζT ≈ 1e-3 for 5 kHz and 32 ns).
    """

    def __init__(self, group: tuple[int, ...], situation: Situation) -> None:
        self.position = {qubit: k for k, qubit in enumerate(group)}
        self.situation = situation
        self.levels = situation.populations.shape[1]
        self.turned_until_ns = {
            pair: 0.0
            for pair, rate in situation.zz_rad_per_ns.items()
            if rate and set(pair) <= set(group)
        }

    def evolve(self, state: NDArray[np.float64], event: Event) -> NDArray[np.float64]:
        """The state after the event's channel, the ZZ before it included."""
        action = event.action
        if isinstance(action, VirtualZ):
            turn = density.z_rotation(-action.angle_rad, self.levels)
            return density.apply(state, turn, (self.position[action.qubits[0]],))
        if not (isinstance(action, Play) and action.kind == "idle"):
            state = self._turn(state, event)
        if isinstance(action, Play):
            places = tuple(self.position[qubit] for qubit in action.qubits)
            state = density.apply(state, self.situation.channels[action], places)
        return state

    def mark(self, event: Event) -> None:
        """Notes until when the pairs that the event touches have been turned."""
        for pair, until in self._due(event).items():
            self.turned_until_ns[pair] = until

    def _turn(self, state: NDArray[np.float64], event: Event) -> NDArray[np.float64]:
        for pair, until in self._due(event).items():
            angle = self.situation.zz_rad_per_ns[pair] * (until - self.turned_until_ns[pair])
            if angle > 0 or angle < 0:
                turn = density.zz_rotation(round(angle, 12), self.levels)
                state = density.apply(state, turn, (self.position[pair[0]], self.position[pair[1]]))
        return state

    def _due(self, event: Event) -> dict[Pair, float]:
        """Until when each pair that this event touches must be turned."""
        action = event.action
        if isinstance(action, VirtualZ) or (isinstance(action, Play) and action.kind == "idle"):
            return {}
        due = {}
        for pair in self.turned_until_ns:
            if set(pair) == set(action.qubits):
                due[pair] = event.start_ns + action.duration_ns  # the gate contains its own ZZ
            elif set(pair) & set(action.qubits):
                due[pair] = event.start_ns + action.duration_ns / 2
        return due


def _tail(events: Sequence[Event]) -> int:
    """The index from which on there are only last readouts of different qubits, and idling."""
    seen: set[int] = set()
    for k in range(len(events) - 1, -1, -1):
        action = events[k].action
        if isinstance(action, Measure) and action.qubits[0] not in seen:
            seen.add(action.qubits[0])
        elif not (isinstance(action, VirtualZ) or
                  (isinstance(action, Play) and action.kind == "idle")):  # fmt: skip
            return k + 1
    return 0


def _measure(
    branch: _Branch,
    measure: Measure,
    register: _Register,
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> list[_Branch]:
    """Reads one qubit in mid-circuit: the shots part by the level found and the level left in."""
    place = register.position[measure.qubits[0]]
    found = _draw(density.marginal(branch.state, place), len(branch.shots), rng)
    iq, bits, after = register.situation.readout(measure, found, rng)
    outcomes.iq[branch.shots, measure.clbit] = iq
    outcomes.bits[branch.shots, measure.clbit] = bits
    parts = []
    for level, left in sorted(set(zip(found.tolist(), after.tolist(), strict=True))):
        chosen = (found == level) & (after == left)
        state = density.collapse(branch.state, place, level, left)
        parts.append(
            _Branch(state / density.level_probabilities(state).sum(), branch.shots[chosen])
        )
    return parts


def _measure_all(
    branch: _Branch,
    measures: Sequence[Measure],
    register: _Register,
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> None:
    """Reads several qubits at the end: their levels are drawn together."""
    if not measures:
        return
    probabilities = density.level_probabilities(branch.state)
    drawn = _draw(probabilities.ravel(), len(branch.shots), rng)
    levels = np.unravel_index(drawn, probabilities.shape)
    for measure in measures:
        found = levels[register.position[measure.qubits[0]]].astype(np.int64)
        iq, bits, _ = register.situation.readout(measure, found, rng)
        outcomes.iq[branch.shots, measure.clbit] = iq
        outcomes.bits[branch.shots, measure.clbit] = bits


def _draw(
    probabilities: NDArray[np.float64], shots: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Outcomes by number, [shots], in random order."""
    safe = np.clip(probabilities, 0.0, None)  # rounding leaves −1e-17 here and there
    counts = rng.multinomial(shots, safe / safe.sum())
    return rng.permutation(np.repeat(np.arange(len(safe)), counts))

"""Runs timed events on exact states of a few transmons that are read out at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib import density
from calib.always_on import AlwaysOnZZ
from calib.frames import DriveFrames
from calib.schedule import Event, Measure, Play, Timeline, VirtualZ
from calib.topology import Pair

# levels found [shots] of one readout -> IQ points [shots], bits [shots], levels afterwards [shots]
Readout = Callable[
    [Measure, NDArray[np.int64], np.random.Generator],
    tuple[NDArray[np.complex128], NDArray[np.bool_], NDArray[np.int64]],
]


MOST_EXACT_QUBITS = 8


def check_exact_qubits(exact_qubits: int) -> None:
    """Refuses widths that memory or patience could not hold."""
    if not 1 <= exact_qubits <= MOST_EXACT_QUBITS:
        size_gb = 8 * 9**MOST_EXACT_QUBITS / 1e9
        raise ValueError(
            f"exact_qubits must be within 1 and {MOST_EXACT_QUBITS}, got {exact_qubits}: a state "
            f"of k qubits takes 9^k · 8 bytes, {size_gb:.2g} GB at {MOST_EXACT_QUBITS}"
        )


@dataclass(frozen=True)
class Situation:
    """What acts on one circuit beside its plays: rest, couplings between plays, and readout."""

    populations: NDArray[np.float64]  # of the levels at rest, [qubits, L]
    zz_rad_per_ns: Mapping[Pair, float]  # the phase that |11⟩ gains, while nothing is played
    channels: Mapping[Play, NDArray[np.float64]]
    readout: Readout
    gates: Mapping[Play, str]  # which plays are calibrated gates, at the settings in force
    drive_frequency_ghz: NDArray[np.float64]  # at which each qubit's frame rotates, [qubits]

    @property
    def levels(self) -> int:
        """How many levels each transmon has."""
        return self.populations.shape[1]


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


def split(timeline: Timeline, groups: Sequence[tuple[int, ...]]) -> list[list[Event]]:
    """The events of each set of qubits, in order of time."""
    number = {qubit: k for k, group in enumerate(groups) for qubit in group}
    parts: list[list[Event]] = [[] for _ in groups]
    for event in timeline.events:
        if event.action.qubits[0] in number:  # a qubit with virtual Zs alone is in no set
            parts[number[event.action.qubits[0]]].append(event)
    return parts


def run(
    events: Sequence[Event],
    group: tuple[int, ...],
    situation: Situation,
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> None:
    """Runs the events of one set of qubits; writes what its readouts showed into `outcomes`.

    Qubits must be read out at the end only (`calib.always_on.reads_at_the_end`).
    """
    state = final_state(events, group, situation)
    measures = [event.action for event in events if isinstance(event.action, Measure)]
    _measure(state, group, measures, situation.readout, outcomes, rng)


def final_state(
    events: Sequence[Event], group: tuple[int, ...], situation: Situation
) -> NDArray[np.float64]:
    """The state after these events, [L²]·k in the order of the group.

    Readouts are left out, and so is what a qubit does after its own.
    """
    position = {qubit: k for k, qubit in enumerate(group)}
    zz = AlwaysOnZZ(situation.zz_rad_per_ns, group)
    frames = DriveFrames(situation.drive_frequency_ghz, group)
    state = density.product_state(situation.populations[list(group)])
    read: set[int] = set()
    for event in events:
        action = event.action
        if action.qubits[0] in read:
            continue
        for (a, b), angle in zz.turns(event).items():
            turn = density.zz_rotation(round(angle, 12), situation.levels)
            state = density.apply(state, turn, (position[a], position[b]))
        theta = frames.turn(event)
        if isinstance(action, Measure):
            read.add(action.qubits[0])
            continue
        places = tuple(position[qubit] for qubit in action.qubits)
        if theta:
            state = density.apply(state, density.z_rotation(theta, situation.levels), places[:1])
        state = density.apply(state, _matrix(action, situation), places)
        if theta:
            state = density.apply(state, density.z_rotation(-theta, situation.levels), places[:1])
    return state


def _matrix(action: Play | VirtualZ, situation: Situation) -> NDArray[np.float64]:
    if isinstance(action, VirtualZ):
        return density.z_rotation(-action.angle_rad, situation.levels)
    return situation.channels[action]


def _measure(
    state: NDArray[np.float64],
    group: tuple[int, ...],
    measures: Sequence[Measure],
    readout: Readout,
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> None:
    """Reads several qubits at the end: their levels are drawn together."""
    if not measures:
        return
    probabilities = density.level_probabilities(state)
    drawn = _draw(probabilities.ravel(), len(outcomes.bits), rng)
    levels = np.unravel_index(drawn, probabilities.shape)
    for measure in measures:
        found = levels[group.index(measure.qubits[0])].astype(np.int64)
        iq, bits, _ = readout(measure, found, rng)
        outcomes.iq[:, measure.clbit] = iq
        outcomes.bits[:, measure.clbit] = bits


def _draw(
    probabilities: NDArray[np.float64], shots: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Outcomes by number, [shots], in random order."""
    safe = np.clip(probabilities, 0.0, None)  # rounding leaves −1e-17 here and there
    counts = rng.multinomial(shots, safe / safe.sum())
    return rng.permutation(np.repeat(np.arange(len(safe)), counts))

"""Runs timed events with readouts in mid-circuit: one pure state a shot, jumping at random.

A channel ρ → Σ K ρ K† is drawn one Kraus operator a shot, with its probability |Kψ|²: averaged
over shots, exact (J. Dalibard, Y. Castin, K. Mølmer, Phys. Rev. Lett. 68, 580). A shot costs L^k
numbers for k transmons, where a density for each sequence of readouts would cost L^(2k).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calib import density
from calib.always_on import AlwaysOnZZ
from calib.channels import basis, pair_basis
from calib.exact import Outcomes, Situation
from calib.frames import DriveFrames
from calib.schedule import Event, Measure, Play

States = NDArray[np.complex128]  # amplitudes, [L]·k and then shots
_AMPLITUDES = 2**21  # at once: 32 MiB
_NEGLIGIBLE = 1e-13  # a share of a channel that no number of shots would show


def run(
    events: Sequence[Event],
    group: tuple[int, ...],
    situation: Situation,
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> None:
    """Runs the events of one set of qubits; writes what its readouts showed into `outcomes`."""
    plays = {event.action for event in events if isinstance(event.action, Play)}
    operators = {
        play: kraus_operators(situation.channels[play], transmons=len(play.qubits))
        for play in plays
    }
    together = max(1, _AMPLITUDES // situation.levels ** len(group))
    for first in range(0, len(outcomes.bits), together):
        part = Outcomes(outcomes.iq[first : first + together],
                        outcomes.bits[first : first + together])  # fmt: skip
        _run(events, group, situation, operators, part, rng)


def kraus_operators(transfer: NDArray[np.float64], *, transmons: int) -> list[States]:
    """Kraus operators of a transfer matrix on one transmon or two, [D, D] each, the largest first.

    From the eigenvectors of the Choi matrix J[(c, a), (d, b)] = ⟨c|E(|a⟩⟨b|)|d⟩.
    """
    size = math.isqrt(len(transfer))
    elements = basis(size) if transmons == 1 else pair_basis(math.isqrt(size))
    flat = elements.numpy().reshape(len(elements), -1)
    images = (flat.T @ transfer @ flat.conj()).reshape(size, size, size, size)  # [c, d, a, b]
    choi = images.transpose(0, 2, 1, 3).reshape(size**2, size**2)
    weights, vectors = np.linalg.eigh(choi)
    return [np.sqrt(weight) * vector.reshape(size, size)
            for weight, vector in zip(weights[::-1], vectors.T[::-1], strict=True)
            if weight > _NEGLIGIBLE * size]  # fmt: skip


def _run(
    events: Sequence[Event],
    group: tuple[int, ...],
    situation: Situation,
    operators: Mapping[Play, list[States]],
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> None:
    position = {qubit: k for k, qubit in enumerate(group)}
    zz = AlwaysOnZZ(situation.zz_rad_per_ns, group)
    frames = DriveFrames(situation.drive_frequency_ghz, group)
    states = _start(situation.populations[list(group)], len(outcomes.bits), rng)
    for event in events:
        action = event.action
        places = tuple(position[qubit] for qubit in action.qubits)
        for (a, b), angle in zz.turns(event).items():
            _turn(states, -angle, (position[a], position[b]))
        theta = frames.turn(event)
        if isinstance(action, Measure):
            states, found = _collapse(states, places[0], rng)
            iq, bits, after = situation.readout(action, found, rng)
            _relabel(states, places[0], found, after)
            outcomes.iq[:, action.clbit], outcomes.bits[:, action.clbit] = iq, bits
        elif isinstance(action, Play):
            _turn(states, -theta, places[:1])
            states = _jump(states, operators[action], places, rng)
            _turn(states, theta, places[:1])
        else:
            _turn(states, action.angle_rad, places)


def _start(populations: NDArray[np.float64], shots: int, rng: np.random.Generator) -> States:
    """Each shot in a product of levels, drawn from the populations [k, L]."""
    levels = [rng.choice(len(one), size=shots, p=one) for one in populations]
    states = np.zeros((populations.shape[1],) * len(populations) + (shots,), dtype=np.complex128)
    states[(*levels, np.arange(shots))] = 1
    return states


def _turn(states: States, angle_rad: float, places: tuple[int, ...]) -> None:
    """Multiplies with exp(iθ n), or exp(iθ n⊗n) for two places, in place."""
    if not angle_rad:
        return
    number: NDArray[np.float64] = np.ones(())
    for place in places:
        shape = [1] * states.ndim
        shape[place] = -1
        number = number * np.arange(states.shape[place]).reshape(shape)
    states *= np.exp(1j * angle_rad * number)


def _jump(
    states: States, operators: list[States], places: tuple[int, ...], rng: np.random.Generator
) -> States:
    """The states after one Kraus operator each, drawn with its probability, normalised."""
    left = rng.random(states.shape[-1])  # falls by each operator's probability until below 0
    open_shots = np.arange(len(left))
    jumped = np.empty_like(states)
    before = states
    for k, operator in enumerate(operators):
        after = density.apply(before, operator, places)
        chance = _norms(after)
        # Rounding may leave a shot without an operator: it takes the last one.
        taken = (left < chance) | (k == len(operators) - 1)
        jumped[..., open_shots[taken]] = after[..., taken] / np.sqrt(chance[taken])
        if taken.all():
            break
        open_shots, left = open_shots[~taken], (left - chance)[~taken]
        before = before[..., ~taken]
    return jumped


def _norms(states: States) -> NDArray[np.float64]:
    flat = states.reshape(-1, states.shape[-1])
    return (flat.real**2 + flat.imag**2).sum(axis=0)


def _collapse(
    states: States, place: int, rng: np.random.Generator
) -> tuple[States, NDArray[np.int64]]:
    """The states after one transmon's level was found, and the levels [shots]."""
    other = tuple(k for k in range(states.ndim - 1) if k != place)
    chances = (states.real**2 + states.imag**2).sum(axis=other)  # [L, shots]
    edges = chances.cumsum(axis=0)
    found = (rng.random(states.shape[-1]) * edges[-1] >= edges[:-1]).sum(axis=0)
    kept = np.arange(states.shape[place])[:, None] == found
    shape = [1] * place + [-1] + [1] * len(other[place:]) + [states.shape[-1]]
    scale = np.sqrt(np.take_along_axis(chances, found[None], axis=0)[0])
    return states * kept.reshape(shape) / scale, found


def _relabel(
    states: States, place: int, found: NDArray[np.int64], after: NDArray[np.int64]
) -> None:
    """Moves each shot's amplitudes from the level found to the one left in, in place."""
    moved = np.flatnonzero(found != after)
    view = np.moveaxis(states, (place, -1), (0, 1))
    kept = view[found[moved], moved].copy()
    view[found[moved], moved] = 0
    view[after[moved], moved] = kept

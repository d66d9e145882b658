"""What can be measured next on a whole device: experiments, the qubits they are of, their price."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from calib.device_config import Timing
from calib.topology import Graph, Pair
from envs.coupler_words import CouplerWord, CouplerWords
from envs.cz_game import CZGame
from envs.game import Array, Game, Numbers
from envs.pair_sequences import PAIR_SEQUENCES, PairSequence
from envs.pulse_game import PulseGame
from envs.sequences import SEQUENCES, PulseSequence, Word

Target = tuple[int, ...]


@dataclass(frozen=True)
class Experiment:
    """Circuits that are measured together, and the knobs whose moves they tell.

    `name` is that of the experiment of `calib` which does the same; `width` 1 is of qubits, 2 of
    pairs, and 0 of nothing, which only lets time pass.
    """

    name: str
    width: int
    circuits: tuple[int, ...] = ()
    knobs: tuple[int, ...] = ()


def _experiment(
    name: str, game: type[PulseGame | CZGame], stems: Sequence[str], knobs: Sequence[str]
) -> Experiment:
    """Those circuits of a game whose names begin so; no stems and knobs mean all."""
    circuits = tuple(number for number, one in enumerate(game.circuits)
                     if not stems or one.startswith(tuple(stems)))  # fmt: skip
    numbers = tuple(number for number, one in enumerate(game.knobs) if not knobs or one in knobs)
    return Experiment(name, game.width, circuits, numbers)


EXPERIMENTS: tuple[Experiment, ...] = (
    _experiment("fine_frequency", PulseGame, ["frequency"], ["frequency_ghz"]),
    _experiment("axis", PulseGame, ["axis"], ["x.phase_rad"]),
    _experiment("fine_drag_x", PulseGame, ["drag_x"], ["x.drag_ns"]),
    _experiment("fine_drag_sx", PulseGame, ["drag_sx", "phase_sx"], ["sx.drag_ns"]),
    _experiment("fine_amplitude", PulseGame, ["amplitude"], ["sx.amplitude", "x.amplitude"]),
    _experiment("qubit", PulseGame, [], []),
    _experiment("cz_amplitude", CZGame, ["phase_a", "conditional_a"], ["cz.amplitude"]),
    _experiment("cz_leakage", CZGame, ["leakage"], ["cz.duration_ns"]),
    _experiment("cz_phases", CZGame, ["phase"], ["cz.phase_a_rad", "cz.phase_b_rad"]),
    _experiment("cz", CZGame, [], []),
    Experiment("wait", 0),
)
WAIT = len(EXPERIMENTS) - 1


def batches(graph: Graph, targets: Sequence[Target]) -> list[list[Target]]:
    """Targets in groups, none of which share a qubit or a coupling, as the routine groups them."""
    coupled = {frozenset(pair) for pair in graph.pairs}
    found: list[list[Target]] = []
    for target in targets:
        for batch in found:
            others = [qubit for other in batch for qubit in other]
            if not any(a == b or frozenset((a, b)) in coupled for a in target for b in others):
                batch.append(target)
                break
        else:
            found.append([target])
    return found


class Menu:
    """Which targets can be chosen for an experiment: T targets, all qubits and then all pairs.

    Choices are each target by itself, each group that can be measured at once, and the one that
    was looked at longest ago. Where qubits have more choices than pairs, pairs' begin again.
    """

    def __init__(self, graph: Graph, pairs: Sequence[Pair]) -> None:
        qubits = tuple((qubit,) for qubit in range(graph.qubits))
        self.targets: tuple[Target, ...] = (*qubits, *pairs)
        kinds = (qubits, tuple(pairs))
        groups = [batches(graph, kind) for kind in kinds]
        most = max(map(len, groups))
        singles = max(map(len, kinds))
        self.choices = singles + most + 1
        self._groups = [range(singles, singles + len(of_kind)) for of_kind in groups]
        self.at_once = max(len(group) for of_kind in groups for group in of_kind)
        # Who takes part, bool [3 widths, choices − 1, T]; a wait is nobody's.
        self._members = np.zeros((3, self.choices - 1, len(self.targets)), dtype=bool)
        for width, (kind, of_kind) in enumerate(zip(kinds, groups, strict=True), start=1):
            chosen = [[kind[number % len(kind)]] for number in range(singles)]
            chosen += [of_kind[number % len(of_kind)] for number in range(most)]
            for number, one in enumerate(chosen):
                for target in one:
                    self._members[width, number, self.targets.index(target)] = True

    def groups(self, width: int) -> range:
        """The choices that are groups of qubits (1) or of pairs (2)."""
        return self._groups[width - 1]

    def chosen(self, widths: Numbers, choices: Numbers, looked_s: Array) -> NDArray[np.bool_]:
        """Who is looked at, [B, T]; `looked_s` [B, T] is when each last was."""
        number = np.minimum(choices, self.choices - 2)
        found = self._members[widths, number]
        of_kind = self._members[widths].any(axis=1)
        first = np.where(of_kind, looked_s, np.inf).argmin(axis=1)
        oldest = of_kind & (np.arange(len(self.targets)) == first[:, None])
        return np.where((choices == self.choices - 1)[:, None], oldest, found)


_WORDS: tuple[CouplerWord, ...] = ("cz", "long", "short", "half")


def qubit_circuit_ns(timing: Timing, doublings: Numbers) -> Array:
    """How long the circuits on qubits last with their readout, [..., C] for lengths [...]."""
    once, block = _QUBIT_PULSES.T
    pulses = once + block * 2.0 ** doublings[..., None]
    return timing.one_qubit_ns * pulses + timing.readout_ns


def pair_circuit_ns(
    timing: Timing, words: CouplerWords, settings: Array, doublings: Numbers
) -> Array:
    """The same of circuits on pairs, [B, C] for settings [B, 4] and lengths [B]."""
    height, length = torch.from_numpy(np.ascontiguousarray(settings[:, :2].T))
    lengths = [words.settings(word, height, length)[1].numpy() for word in _WORDS]
    coupler = _PAIR_END + _PAIR_BLOCK * 2.0 ** doublings[:, None, None]  # [B, C, words]
    coupler_ns = (coupler * np.stack(lengths, axis=1)[:, None]).sum(axis=2)
    return timing.one_qubit_ns * _PAIR_PULSES + coupler_ns + timing.readout_ns


def _pulses(words: Sequence[Word]) -> int:
    return sum(isinstance(word, str) for word in words)  # a virtual Z takes no time


def _of_qubit(one: PulseSequence) -> tuple[int, int]:
    return _pulses(one.start) + _pulses(one.end), _pulses(one.block)


def _of_pair(one: PairSequence) -> int:
    return any(pulse != "rest" for pulse in one.start) + (one.quadrature_rad is not None)


_QUBIT_PULSES = np.array([_of_qubit(one) for one in SEQUENCES], dtype=np.float64)
_PAIR_PULSES = np.array([_of_pair(one) for one in PAIR_SEQUENCES], dtype=np.float64)
_PAIR_BLOCK, _PAIR_END = (
    np.array([[part.count(word) for word in _WORDS] for part in parts], dtype=np.float64)
    for parts in ([one.block for one in PAIR_SEQUENCES], [one.end for one in PAIR_SEQUENCES])
)


def job_s(timing: Timing, circuit_ns: Array, shots: int, played: NDArray[np.bool_]) -> Array:
    """What jobs take, [B], as `calib.execution.execute` charges: `played` [B, C] are circuits."""
    delay_s = timing.repetition_delay_us * 1e-6
    each = timing.circuit_overhead_s + shots * (circuit_ns * 1e-9 + delay_s)
    return timing.job_overhead_s + np.where(played, each, 0.0).sum(axis=1)


class LookEstimates:
    """What an experiment says of its own knobs: least squares over its circuits alone.

    Like `envs.estimates.Estimates` on the slopes of a mean device, but of shares of ones alone, and
    with the other knobs as unknowns that are then left out.
    """

    def __init__(self, game: Game, experiments: Sequence[Experiment]) -> None:
        self._best, slopes = _slopes(game)
        lengths, circuits, knobs = slopes.shape
        self._weights = np.zeros((len(experiments), lengths, knobs, circuits))
        for number, one in enumerate(experiments):
            mine = slopes[:, list(one.circuits)]
            inverse = np.linalg.inv(mine.mT @ mine + _RIDGE * np.eye(knobs))
            rows, columns = np.ix_(one.knobs, one.circuits)
            self._weights[number][:, rows, columns] = (inverse @ mine.mT)[:, list(one.knobs)]

    def of(self, share: Array, experiment: Numbers, doublings: Numbers) -> Array:
        """Errors [N, K] in full moves, from shares of ones [N, C] of experiments [N]."""
        offset = share - self._best[doublings]
        return np.einsum("nkc,nc->nk", self._weights[experiment, doublings], offset)


_STEP = 0.02  # of a full move, for the slopes
_RIDGE = 0.03  # keeps noise out of the directions that a look hardly shows


def _slopes(game: Game) -> tuple[Array, Array]:
    """A mean device's chances at its best [lengths, C], and their slopes [lengths, C, K]."""
    physics, settings = game.typical()
    knobs, lengths = len(game.knobs), np.arange(game.longest + 1)
    best = game.chances(physics, settings, lengths[None])[0]
    turned = np.concatenate([np.eye(knobs), -np.eye(knobs)]) * _STEP @ game.moves
    many = {name: np.repeat(values, 2 * knobs) for name, values in physics.items()}
    found = []
    for k in lengths:
        seen = game.chances(many, settings + turned / 2**k, np.full((2 * knobs, 1), k))[:, 0]
        found.append((seen[:knobs] - seen[knobs:]).T / (2 * _STEP))
    return best, np.array(found)


@functools.cache
def of_width(width: int) -> tuple[Experiment, ...]:
    """The experiments of qubits (1) or of pairs (2), in order."""
    return tuple(one for one in EXPERIMENTS if one.width == width)

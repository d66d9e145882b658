"""A trained agent as a node of the calibration routine, behind a guard."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from calib.backend import DriftingBackend
from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Conclusion, Deviation
from envs.agents.checkpoint import Agent
from envs.calibration import CalibrationConfig, Rules
from envs.game import Array, Numbers
from envs.qiskit_laboratory import QiskitGame
from envs.rewards import Reward
from envs.sequences import side_by_side

Target = Sequence[int]


@dataclass(frozen=True)
class Tried:
    """What an agent did to one target: scores before and after (value, one standard deviation),
    and the settings it would hand over, with their standard deviations; none if it tried nothing.
    `failed` says that its actions were no numbers.
    """

    target: tuple[int, ...]
    before: tuple[float, float]
    after: tuple[float, float] | None = None
    settings: Array | None = None
    uncertainties: Array | None = None
    failed: bool = False


@dataclass(frozen=True)
class AgentCalibration:
    """An agent's work as a routine's node: look, turn the knobs, look again; then the guard.

    The guard: first the reward's circuits are measured, at fixed lengths, and within `tolerance`
    nothing is moved. No knob leaves its bounds, nor what a full move may reach from where it began.
    Afterwards the same circuits are measured again: what is not better by two standard deviations
    is rolled back. An action that is no number moves nothing, and is not trusted. `shots` are those
    of the guard's circuits. The agent's looks have `more` times the shots of its training, as it
    costs more to begin a job than to repeat it.
    """

    name: str
    agent: Agent
    game: QiskitGame
    tolerance: float = 0.015
    shots: int = 256
    more: int = 4
    unit: str = "score"

    @property
    def width(self) -> int:
        """1 for a qubit's knobs, 2 for a pair's."""
        return self.game.width

    @property
    def knobs(self) -> tuple[str, ...]:
        """What the agent turns."""
        return self.game.knobs

    @functools.cached_property
    def rules(self) -> Rules:
        """Those that the agent was trained under, with more shots."""
        config = CalibrationConfig.model_validate(self.agent.environment.config or {})
        more = config.model_copy(update={"shots": self.more * config.shots})
        return Rules(self.game, more)

    def run(
        self, backend: DriftingBackend, controls: Controls, targets: Sequence[Target]
    ) -> list[Tried]:
        """Calibrates targets that do not disturb one another; leaves the settings as they were."""
        bench = _Bench(self.game, backend, controls, [tuple(target) for target in targets])
        first, seen = bench.settings(), self._guard(bench)
        before = self._scores(seen)
        due = np.array([value > self.tolerance for value, _ in before])
        if not any(due):
            return [Tried(t, score) for t, score in zip(bench.targets, before, strict=True)]
        try:
            lengths = self._first_lengths(seen)
            settings, uncertainties, failed = self._play(bench, first, lengths, due)
            after = self._scores(self._guard(bench))
        finally:
            bench.set(first)
        return [
            Tried(target, score, after[n], settings[n], uncertainties[n], failed[n]) if due[n]
            else Tried(target, score)
            for n, (target, score) in enumerate(zip(bench.targets, before, strict=True))
        ]  # fmt: skip

    def conclusion(self, data: Tried, controls: Controls) -> Conclusion:
        """The score before; and the agent's settings, where these measured better."""
        deviation = Deviation(*data.before, self.unit, trusted=not data.failed)
        if data.settings is None or data.after is None or data.uncertainties is None:
            return Conclusion(deviation, ())
        gained, sigma = data.before[0] - data.after[0], math.hypot(data.before[1], data.after[1])
        if data.failed or gained < 2 * sigma:
            return Conclusion(deviation, (), rolled_back=True)
        updates = tuple(
            Update(Knob(name, data.target), float(value), float(sigma), self.name)
            for name, value, sigma in zip(
                self.game.knobs, data.settings, data.uncertainties, strict=True
            )
        )
        return Conclusion(deviation, updates, after=Deviation(*data.after, self.unit))

    @property
    def _reward(self) -> Reward:
        return self.rules.config.reward.model_copy(update={"shots": self.shots})

    def _guard(self, bench: _Bench) -> Numbers:
        """Counts of the reward's circuits at its own lengths, [targets, lengths, C]."""
        lengths = self._reward.doublings(self.game.longest)
        return bench.counts(np.tile(lengths, (len(bench.targets), 1)), self.shots)

    def _scores(self, ones: Numbers) -> list[tuple[float, float]]:
        """Each target's score, and one standard deviation of it."""
        ideal, reward = self.game.ideal, self._reward
        scores, sigmas = reward.score(ones, ideal), reward.uncertainty(ones, ideal)
        return list(zip(scores.tolist(), sigmas.tolist(), strict=True))

    def _first_lengths(self, ones: Numbers) -> Numbers:
        """The longest repetitions at which, as at all shorter ones, errors hardly show."""
        lengths = self._reward.doublings(self.game.longest)
        off = 4 * ((ones / self.shots - self.game.ideal) ** 2).mean(axis=2)
        small = np.logical_and.accumulate(off < _SMALL, axis=1)
        return np.where(small, lengths, 0).max(axis=1)

    def _play(
        self, bench: _Bench, first: Array, lengths: Numbers, due: np.ndarray
    ) -> tuple[Array, Array, np.ndarray]:
        """An episode on all targets, those that are not due standing still: the settings, how
        surely they are known, and where an action was no number.
        """
        rules = self.rules
        settings, doublings, memory = self.game.within_bounds(first), lengths, None
        settings = np.where(due[:, None], settings, first)
        bench.set(settings)
        failed = np.zeros(len(bench.targets), dtype=bool)
        looks = np.minimum(doublings + 1, rules.config.looks - 1)
        starts = np.ones(len(bench.targets), dtype=bool)
        uncertainties = np.full(first.shape, np.nan)
        while (looks < rules.config.looks).any():
            ones = bench.counts(doublings[:, None], rules.config.shots)[:, 0]
            seen = rules.observation(ones, doublings, looks)
            uncertainties = rules.uncertainties(ones, doublings)
            actions, memory = self.agent.act(seen, memory, starts)
            failed |= ~np.isfinite(actions).all(axis=1)
            actions = np.nan_to_num(actions, posinf=0.0, neginf=0.0)
            playing = due & (looks < rules.config.looks)
            moved, longer = rules.moved(settings, doublings, actions)
            near = rules.near(moved, first)
            settings = np.where(playing[:, None], near, settings)
            doublings = np.where(playing, longer, doublings)
            looks, starts = looks + 1, np.zeros_like(starts)
            bench.set(settings)
        return settings, uncertainties, failed


_SMALL = 0.1


class _Bench:
    """Several targets of one device: their knobs, and circuits on all of them at once."""

    def __init__(
        self,
        game: QiskitGame,
        backend: DriftingBackend,
        controls: Controls,
        targets: list[tuple[int, ...]],
    ) -> None:
        self.game, self.backend, self.controls, self.targets = game, backend, controls, targets

    def settings(self) -> Array:
        """What is in force, [targets, K]."""
        return np.array([[self.controls.of(name, *target) for name in self.game.knobs]
                         for target in self.targets])  # fmt: skip

    def set(self, settings: Array) -> None:
        """Puts settings in force, for as long as the agent plays."""
        self.controls.apply([
            Update(Knob(name, target), float(value), None, "")
            for target, row in zip(self.targets, settings, strict=True)
            for name, value in zip(self.game.knobs, row, strict=True)
        ])  # fmt: skip

    def counts(self, doublings: Numbers, shots: int) -> Numbers:
        """How often each circuit read 1 at lengths [targets, L], from one job: [targets, L, C]."""
        alone = [[one for k in lengths
                  for one in self.game.qiskit_circuits(self.controls, target, 2 ** int(k))]
                 for target, lengths in zip(self.targets, doublings, strict=True)]  # fmt: skip
        qubits = self.backend.device.qubits
        together = [
            side_by_side(qubits, self.targets, circuits) for circuits in zip(*alone, strict=True)
        ]
        result = self.backend.run(together, shots=shots).result()
        found = np.zeros((len(self.targets), len(together)), dtype=np.int64)
        for column in range(len(together)):
            counts = cast("Mapping[str, int]", result.get_counts(column))
            for outcome, times in counts.items():
                for row, bit in enumerate(reversed(outcome)):
                    found[row, column] += times * (bit == "1")
        return found.reshape(*doublings.shape, -1)

"""Keeping many drifting devices calibrated at once: the state of all episodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.calibration import Floats, Seen, on_all_cores
from envs.device_looks import WAIT
from envs.device_upkeep import UpkeepRules
from envs.game import Array, Numbers

_NEAREST = 4  # an upkeep begins with a 2^4th of a start's errors at least


class Upkeeps:
    """B devices that are kept calibrated at once.

    A job lasts seconds and drift takes minutes and hours: its circuits meet the physics of its end.

    >>> from envs.device_upkeep import UpkeepConfig
    >>> play = Upkeeps(UpkeepRules(UpkeepConfig()), count=2)
    >>> rng = np.random.default_rng(1)
    >>> play.begin(np.array([True, True]), rng).shape == (2, play.rules.observations)
    True
    >>> play.step(np.zeros((2, play.rules.actions)), rng).done.tolist()
    [False, False]
    """

    def __init__(self, rules: UpkeepRules, count: int) -> None:
        game, targets = rules.game, len(rules.game.targets)
        self.rules, self.count = rules, count
        self.physics: dict[str, Array] = {}
        self.settings = np.zeros((count, targets, game.knobs))
        self.doublings = np.zeros((count, targets), dtype=np.int64)
        self.time_s, self.device_time_s, self.score = np.zeros((3, count))
        self.shots, self.jobs = np.zeros((2, count), dtype=np.int64)
        self.experiment = np.full(count, WAIT)
        self.looked = np.zeros((count, targets), dtype=bool)
        self._looked_s, self._off = np.zeros((2, count, targets))
        self._nominal: dict[str, Array] = {}
        self._states: list[Array] = []
        self._observation = np.zeros((count, rules.observations), dtype=np.float32)
        reward = rules.config.reward
        self._scored = np.array([reward.doublings(int(k)) for k in game.longest])  # [T, lengths]

    def begin(self, which: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        """New devices in these places, at time 0, of which nothing was seen; all observations."""
        game, count = self.rules.game, int(which.sum())
        first = np.where(rng.random(count) < self.rules.config.upkeep,
                         rng.integers(0, _NEAREST + 1, count), 0)  # fmt: skip
        nominal, self.settings[which] = game.draw(count, rng, 0.5**first)
        for name, values in nominal.items():
            whole = self._nominal.setdefault(name, np.ones((self.count, values.shape[1])))
            whole[which] = values
        states = game.drift.begun(count, rng)
        if not self._states:
            self._states = [np.zeros((self.count, *state.shape[1:])) for state in states]
        for whole, state in zip(self._states, states, strict=True):
            whole[which] = state
        for numbers in (self.time_s, self.device_time_s, self.shots, self.jobs):
            numbers[which] = 0
        self.doublings[which] = np.minimum(first[:, None], game.longest)
        self.experiment[which], self.looked[which] = WAIT, False
        self._looked_s[which], self._off[which] = -self.rules.config.budget_s, 1.0
        self._pass(np.zeros(self.count), rng)
        nothing = np.zeros((self.count, len(game.targets), game.circuits), dtype=np.int64)
        off = self._off
        self._observation[which] = self._see(nothing)[which]
        self._off = off  # of the others, what they have seen still holds
        return self._observation.copy()

    def step(self, actions: Array, rng: np.random.Generator) -> Seen:
        """Moves what was looked at, looks elsewhere, scores all. Those that are done begin anew."""
        rules, game, config = self.rules, self.rules.game, self.rules.config
        chosen = rules.choice(actions)
        self.settings = rules.moved(
            self.settings, self.doublings, self.experiment, self.looked, chosen.moves
        )
        self.experiment = np.where(self.jobs < config.jobs, chosen.experiment, WAIT)
        self.looked = game.menu.chosen(rules.widths[self.experiment], chosen.target, self._looked_s)
        self.doublings = rules.lengths(self.doublings, self.looked, chosen.longer)
        seconds = self._charge()
        self._pass(seconds, rng)
        ones = self._measure(rng)
        self.score = game.scores(config.reward, ones[:, :, 1:]).mean(axis=1)
        self._looked_s = np.where(self.looked, self.time_s[:, None], self._looked_s)
        self._observation = self._see(ones[:, :, 0])
        measuring = np.where(self.experiment == WAIT, 0.0, seconds)
        reward = -self.score * seconds / config.budget_s - config.price_per_s * measuring
        return Seen(self._observation.copy(), reward, self.time_s >= config.budget_s)

    def _charge(self) -> Array:
        """Books what was chosen; how long it takes, [B]."""
        rules, config = self.rules, self.rules.config
        played, waits = rules.played[self.experiment], self.experiment == WAIT
        job_s = rules.game.job_s(self.settings, self.doublings, config.shots, self.looked, played)
        self.jobs = self.jobs + ~waits
        self.shots = self.shots + config.shots * played.sum(axis=1)
        self.device_time_s = self.device_time_s + np.where(waits, 0.0, job_s)
        return np.where(waits, np.minimum(config.wait_s, config.budget_s - self.time_s), job_s)

    def _pass(self, seconds: Array, rng: np.random.Generator) -> None:
        """Lets time [B] go by."""
        drift = self.rules.game.drift
        self.time_s = self.time_s + seconds
        self._states = drift.advanced(self._states, seconds, rng)
        deviations = drift.deviations(self._states, self.time_s)
        self.physics = self.rules.game.drifted(self._nominal, deviations)

    def _measure(self, rng: np.random.Generator) -> Numbers:
        """Counts [B, T, 1 + lengths, C]: at the lengths in force, and at those of the reward."""
        config = self.rules.config
        fixed = np.broadcast_to(self._scored, (self.count, *self._scored.shape))
        doublings = np.concatenate([self.doublings[:, :, None], fixed], axis=2)
        chances = on_all_cores(self.rules.game.chances, self.physics, self.settings, doublings)
        shots = np.full(doublings.shape[2], config.reward.shots)
        shots[0] = config.shots
        return rng.binomial(shots[:, None], chances)

    def _see(self, ones: Numbers) -> Floats:
        """The observations [B, O] from counts [B, T, C] at the lengths in force."""
        rules, game, config = self.rules, self.rules.game, self.rules.config
        share, played = ones / config.shots, rules.played[self.experiment]
        suggested = -rules.estimates(share, self.doublings, self.experiment, self.looked)
        squares = np.where(played[:, None], 4 * (share - game.ideal) ** 2, 0.0).sum(axis=2)
        off = squares / np.maximum(played.sum(axis=1), 1)[:, None]
        self._off = np.where(self.looked, off, self._off)
        ago_s = self.time_s[:, None] - self._looked_s
        order, filled = rules.slots(self.looked)
        shown = filled[:, :, None] & played[:, None]
        return rules.observation({
            "shares": np.take_along_axis(2 * share - 1, order[:, :, None], axis=1) * shown,
            "moves": np.take_along_axis(suggested, order[:, :, None], axis=1)
            * filled[:, :, None],
            "experiment": np.eye(len(rules.widths))[self.experiment],
            "looked": self.looked,
            "length": 2 * self.doublings / game.longest - 1,
            "ago": 2 * np.log1p(ago_s / _MINUTE_S) / np.log1p(config.budget_s / _MINUTE_S) - 1,
            "off": 2 * self._off - 1,
            "jobs": 1 - 2 * self.jobs[:, None] / config.jobs,
            "time": 2 * self.time_s[:, None] / config.budget_s - 1,
        })  # fmt: skip


_MINUTE_S = 60.0

"""Calibrating many devices at once, as an episode: look, turn the knobs, look again."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from calib.device_config import DeviceConfig
from calib.threads import one_thread
from envs.estimates import Estimates
from envs.game import Array, Game, Numbers, Physics
from envs.gauges import Gauge, gauge_of
from envs.rewards import Reward

Floats = NDArray[np.float32]
# Counts [B, L, C] from physics, settings [B, K], doublings [B, L], shots [L] and random numbers.
Laboratory = Callable[[Physics, Array, Numbers, Numbers, np.random.Generator], Numbers]


class CalibrationConfig(BaseModel):
    """An episode: which devices it may be, how much may be measured, and what is paid for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    devices: DeviceConfig = Field(
        default=DeviceConfig(),
        description="what the devices are: its spreads are drawn from, errors up to `start`",
    )
    looks: int = Field(default=10, ge=2, description="how often all circuits are measured")
    shots: int = Field(default=32, ge=1, description="of each circuit at each look")
    upkeep: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the episodes that begin nearly right: with a 2^k-th of a start's "
        "errors, first looked at with 2^k repetitions",
    )
    reward: Reward = Field(default=Reward(), description="how settings are scored")
    estimates: bool = Field(
        default=True,
        description="beside the counts, show what moves they suggest by a linear fit",
    )

    @field_validator("devices")
    @classmethod
    def _check_devices(cls, devices: DeviceConfig) -> DeviceConfig:
        usual = DeviceConfig()
        for name in ("topology", "qubits", "pairs", "drift"):
            if getattr(devices, name) != getattr(usual, name):
                raise ValueError(
                    f"{name}: a device of this game is one qubit or pair that stands still; "
                    "give `qubit`, `pair`, `start` and `timing`"
                )
        return devices


class Rules:
    """What is seen and what a move does: the same for training and for a device in the lab.

    An action [K + 1] in [−1, 1] is made of that share of each of the game's full moves, over the
    number of repetitions that were last looked at; its last entry chooses the next repetitions: as
    many, half or a quarter, twice or four times as many. An observation is the share of ones of
    each circuit [C]; with `estimates`, what moves these suggest [K]; how long the blocks were, and
    how far the episode is: all in [−1, 1].
    """

    def __init__(self, game: Game, config: CalibrationConfig) -> None:
        self.game, self.config = game, config
        self.actions = len(game.knobs) + 1
        self.observations = len(game.circuits) + 2 + config.estimates * len(game.knobs)
        self.shots_a_look = config.shots * len(game.circuits)
        self._estimates = Estimates(game)

    def observation(self, ones: Numbers, doublings: Numbers, looks: Numbers) -> Floats:
        """What agents see [B, O]: counts [B, C] at lengths [B], so many looks [B] having been."""
        share = ones / self.config.shots
        seen = [2 * share - 1]
        if self.config.estimates:
            seen.append(np.clip(-self._estimates.of(share, doublings), -1.0, 1.0))
        seen += [2 * doublings[:, None] / self.game.longest - 1,
                 2 * looks[:, None] / self.config.looks - 1]  # fmt: skip
        return np.concatenate(seen, axis=1).astype(np.float32)

    def uncertainties(self, ones: Numbers, doublings: Numbers) -> Array:
        """How well one look tells each knob, one standard deviation in its unit, [B, K]."""
        share = ones / self.config.shots
        moves = self._estimates.uncertainties(share, doublings, self.config.shots)
        in_units = np.sqrt(moves**2 @ self.game.moves**2)
        return in_units / 2.0 ** doublings[:, None]

    def moved(self, settings: Array, doublings: Numbers, actions: Array) -> tuple[Array, Numbers]:
        """The settings [B, K] and lengths [B] after actions [B, K + 1]."""
        actions = np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0)
        moves = actions[:, :-1] @ self.game.moves / 2.0 ** doublings[:, None]
        longer = np.rint(2 * actions[:, -1]).astype(np.int64)
        lengths = np.clip(doublings + longer, 0, self.game.longest)
        return self.game.within_bounds(settings + moves), lengths

    def near(self, settings: Array, first: Array) -> Array:
        """The settings, no further from the first ones than a full move; angles go all round."""
        reach = np.where(
            [name.endswith("_rad") for name in self.game.knobs], np.inf, self.game.reach
        )
        return np.clip(settings, first - reach, first + reach)


@dataclass(frozen=True)
class Seen:
    """What B agents get from one step: observations [B, O], rewards [B], which are done [B]."""

    observation: Floats
    reward: Array
    done: NDArray[np.bool_]


_NEAREST = 4  # an upkeep begins with a 2^4th of a start's errors at least


class Calibrations:
    """B devices that are calibrated at once: the state of all episodes.

    >>> from envs.pulse_game import PulseGame
    >>> config = CalibrationConfig()
    >>> play = Calibrations(Rules(PulseGame(config.devices), config), count=2)
    >>> rng = np.random.default_rng(1)
    >>> play.begin(np.array([True, True]), rng).shape
    (2, 20)
    >>> play.step(np.zeros((2, 7)), rng).done.tolist()
    [False, False]
    """

    def __init__(
        self,
        rules: Rules,
        count: int,
        laboratory_of: Callable[[Any], Laboratory] | None = None,
    ) -> None:
        """`laboratory_of` makes those of the game, and of what a reward measures beside it."""
        self.rules, self.count = rules, count
        made = laboratory_of or batched_laboratory
        self.laboratory, self._gauges = made(rules.game), _weighed(rules, made)
        self.physics: dict[str, Array] = {}
        self.settings = np.zeros((count, len(rules.game.knobs)))
        self.doublings = np.zeros(count, dtype=np.int64)
        self.looks = np.zeros(count, dtype=np.int64)
        self.score = np.zeros(count)
        self._scored = np.zeros(0, dtype=np.int64)
        if "amplified" in rules.config.reward.weights:
            self._scored = rules.config.reward.doublings(rules.game.longest)
        self._observation = np.zeros((count, rules.observations), dtype=np.float32)

    @property
    def shots(self) -> Numbers:
        """What each agent has measured in its episode, [B]; the reward's own shots not counted."""
        return self.looks * self.rules.shots_a_look

    def begin(self, which: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        """New devices in these places, each looked at once; all observations."""
        count = int(which.sum())
        first = np.where(rng.random(count) < self.rules.config.upkeep,
                         rng.integers(0, _NEAREST + 1, count), 0)  # fmt: skip
        drawn, settings = self.rules.game.draw(count, rng, 0.5**first)
        for name, values in drawn.items():
            self.physics.setdefault(name, np.zeros(self.count))[which] = values
        self.settings[which] = self.rules.game.within_bounds(settings)
        self.doublings[which] = np.minimum(first, self.rules.game.longest)
        self.looks[which] = 0
        self._look(which, rng)
        return self._observation.copy()

    def step(self, actions: Array, rng: np.random.Generator) -> Seen:
        """Moves all knobs and looks again. Those that are done must begin anew."""
        self.settings, self.doublings = self.rules.moved(self.settings, self.doublings, actions)
        before, config = self.score.copy(), self.rules.config
        self._look(np.ones(self.count, dtype=bool), rng)
        reward = config.reward.paid(before, self.score)
        return Seen(self._observation.copy(), reward, self.looks >= config.looks)

    def _look(self, which: NDArray[np.bool_], rng: np.random.Generator) -> None:
        """Measures what the agents chose and what the reward asks for, at the settings in force."""
        config, game = self.rules.config, self.rules.game
        fixed = np.broadcast_to(self._scored, (int(which.sum()), len(self._scored)))
        doublings = np.concatenate([self.doublings[which, None], fixed], axis=1)
        shots = np.array([config.shots] + [config.reward.shots] * len(self._scored))
        physics = {name: values[which] for name, values in self.physics.items()}
        ones = self.laboratory(physics, self.settings[which], doublings, shots, rng)
        score = np.zeros(len(ones))
        if len(self._scored):
            weight = config.reward.weights["amplified"]
            score += weight * config.reward.score(ones[:, 1:], game.ideal)
        for gauge in self._gauges:
            score += gauge.score(physics, self.settings[which], rng)
        self.score[which] = score
        self.looks[which] += 1
        seen = self.rules.observation(ones[:, 0], self.doublings[which], self.looks[which])
        self._observation[which] = seen


@dataclass(frozen=True)
class _Weighed:
    """A gauge in use: measured in its laboratory at these lengths, and weighed in the score."""

    gauge: Gauge
    lengths: Numbers
    weight: float
    reward: Reward
    laboratory: Laboratory

    def score(self, physics: Physics, settings: Array, rng: np.random.Generator) -> Array:
        """What it adds to the scores of B devices, [B]."""
        doublings = np.tile(self.lengths, (len(settings), 1))
        shots = np.full(len(self.lengths), self.reward.shots)
        ones = self.laboratory(physics, settings, doublings, shots, rng)
        return self.weight * self.gauge.score(self.reward, ones)


def _weighed(rules: Rules, laboratory_of: Callable[[Any], Laboratory]) -> list[_Weighed]:
    """What a reward measures beside the circuits that agents look at."""
    reward = rules.config.reward
    found = []
    for measure, weight in reward.weights.items():
        if measure != "amplified":
            gauge = gauge_of(rules.game, measure)
            lengths = reward.doublings(gauge.game.longest)
            found.append(_Weighed(gauge, lengths, weight, reward, laboratory_of(gauge.game)))
    return found


def batched_laboratory(game: Game) -> Laboratory:
    """Finite shots of the game's own chances."""

    def counts(
        physics: Physics, settings: Array, doublings: Numbers, shots: Numbers,
        rng: np.random.Generator,
    ) -> Numbers:  # fmt: skip
        chances = on_all_cores(game.chances, physics, settings, doublings)
        return rng.binomial(shots[:, None], chances)

    return counts


def on_all_cores(
    chances: Callable[[Physics, Array, Numbers], Array],
    physics: Physics, settings: Array, doublings: Numbers,
) -> Array:  # fmt: skip
    """A function of many devices, in pieces on all cores: torch lets go of Python's lock."""
    cores = os.cpu_count() or 1
    pieces = max(1, min(len(settings) // 32, math.ceil(len(settings) / 256 / cores) * cores))
    parts = np.array_split(np.arange(len(settings)), pieces)

    def one(part: Numbers) -> Array:
        with one_thread():
            return chances({name: values[part] for name, values in physics.items()},
                           settings[part], doublings[part])  # fmt: skip

    if pieces == 1:
        return one(parts[0])
    return np.concatenate(list(_pool().map(one, parts)))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="syndrift-envs")

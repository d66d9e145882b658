"""syndrift/ReadoutCalibration: the tone that reads a qubit, judged by its IQ clouds."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from envs.calibration import CalibrationConfig, Calibrations, Floats, Rules
from envs.calibration_env import CalibrationEnv, CalibrationVectorEnv
from envs.game import Array, Numbers
from envs.played_env import at_least_one
from envs.qiskit_laboratory import PointsLaboratory, points_laboratory
from envs.readout_game import ReadoutGame
from envs.readout_shots import Clouds
from envs.rewards import Reward


class ReadoutConfig(CalibrationConfig):
    """An episode; nothing is repeated in a readout, so that `reward.repetitions` is 1 or None."""

    shots: int = Field(default=64, ge=4, description="of each prepared state at each look; even")
    reward: Reward = Field(
        default=Reward(shots=64),
        description="how tones are scored: twice the measured assignment error, plus the price",
    )
    estimates: bool = Field(
        default=True,
        description="beside the clouds, show how far apart they are and how unlike they lie",
    )
    price_per_us: float = Field(
        default=0.0, ge=0, description="what each µs of the tone adds to the score"
    )

    @field_validator("shots")
    @classmethod
    def _check_shots(cls, shots: int) -> int:
        if shots % 2:
            raise ValueError(f"shots must be even (a line is fitted to each half), got {shots}")
        return shots

    @field_validator("reward")
    @classmethod
    def _check_reward(cls, reward: Reward) -> Reward:
        if reward.shots % 2 or reward.shots < 4:
            raise ValueError(f"reward.shots must be even and at least 4, got {reward.shots}")
        return reward


class ReadoutRules(Rules):
    """What is seen and what a move does, for training and for a device in the lab.

    An action [3] in [−1, 1] moves each knob by that share of its reach. An observation is the share
    of ones of both prepared states, as a line says that was fitted to other shots (`Clouds`); the
    clouds' means and spreads, as multiples of the steady response to unit amplitude; with
    `estimates`, where the frequency is to move for the clouds to lie alike, and how many
    spreads they are apart; the tone in force, its frequency against the first one; and how far the
    episode is.
    """

    def __init__(self, game: ReadoutGame, config: ReadoutConfig) -> None:
        # Not those of a game with repetitions: no length to choose, and no linear estimates.
        self.game, self.config, self.readout = game, config, game
        self.actions = len(game.knobs)
        self.observations = 13 + 2 * config.estimates
        self.shots_a_look = config.shots * len(game.circuits)
        self.price_per_us = config.price_per_us

    def moved(self, settings: Array, doublings: Numbers, actions: Array) -> tuple[Array, Numbers]:
        """The settings [B, 3] after actions [B, 3]."""
        actions = np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0)
        return self.game.within_bounds(settings + actions * self.game.reach), doublings

    def of_clouds(self, clouds: Clouds, settings: Array, first: Array, looks: Numbers) -> Floats:
        """What agents see [B, O]; `first` [B, 3] are the settings that episodes began with."""
        seen = [2 * clouds.ones / self.config.shots - 1, clouds.along, clouds.across[:, None],
                2 * clouds.spread_along - 1, 2 * clouds.spread_across - 1]  # fmt: skip
        if self.config.estimates:
            apart = clouds.along[:, 1] - clouds.along[:, 0]
            middle = clouds.along.mean(axis=1) / np.maximum(apart, 1e-9)
            widths = apart / clouds.spread_across.mean(axis=1)
            seen.append(np.stack([middle, widths / 5 - 1], axis=1))
        shortest, longest = np.log(self.readout.lengths_ns)
        length = (np.log(settings[:, 2]) - shortest) / (longest - shortest)
        moved = (settings[:, 1] - first[:, 1]) / (4 * self.game.reach[1])
        seen.append(np.stack([2 * settings[:, 0] - 1, moved, 2 * length - 1,
                              2 * looks / self.config.looks - 1], axis=1))  # fmt: skip
        return np.clip(np.concatenate(seen, axis=1), -1.0, 1.0).astype(np.float32)

    def score(self, clouds: Clouds, settings: Array) -> Array:
        """0 for a perfect and free readout, 1 for guessing, [B]."""
        error = clouds.error(self.config.reward.shots)
        return 2 * error + 1e-3 * self.price_per_us * settings[:, 2]


class ReadoutCalibrations(Calibrations):
    """B readouts that are calibrated at once: the state of all episodes."""

    def __init__(
        self, rules: ReadoutRules, count: int, points: PointsLaboratory | None = None
    ) -> None:
        super().__init__(rules, count)
        self._readout, self._points = rules, points or rules.readout.sample
        self._first = np.zeros((count, len(rules.game.knobs)))

    def begin(self, which: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        """New devices in these places, each looked at once; all observations."""
        self._first[which] = np.nan  # till they are drawn
        return super().begin(which, rng)

    def _look(self, which: NDArray[np.bool_], rng: np.random.Generator) -> None:
        rules, settings = self._readout, self.settings[which]
        new = which & np.isnan(self._first[:, 0])
        self._first[new] = self.settings[new]
        physics = {name: values[which] for name, values in self.physics.items()}
        shots = rules.config.shots, rules.config.reward.shots
        points = self._points(physics, settings, sum(shots), rng)
        shown, scored = (Clouds.of(one) for one in np.split(points, [shots[0]], axis=-1))
        self.score[which] = rules.score(scored, settings)
        self.looks[which] += 1
        self._observation[which] = rules.of_clouds(
            shown, settings, self._first[which], self.looks[which]
        )


def _rules(config: ReadoutConfig | dict[str, Any] | None) -> ReadoutRules:
    config = ReadoutConfig.model_validate(config or {})
    return ReadoutRules(ReadoutGame(config.devices), config)


class ReadoutCalibration(CalibrationEnv):
    """One readout, drawn anew in each episode; `config` is a `ReadoutConfig` or a table.

    `stack` as in `PulseCalibration`.
    """

    def __init__(
        self,
        config: ReadoutConfig | dict[str, Any] | None = None,
        stack: Literal["batched", "qiskit"] = "batched",
    ) -> None:
        rules = _rules(config)
        points = points_laboratory(rules.readout, stack)
        super().__init__(ReadoutCalibrations(rules, 1, points))


class ReadoutCalibrationVector(CalibrationVectorEnv):
    """The same for `num_envs` readouts at once."""

    def __init__(
        self,
        num_envs: int = 1,
        config: ReadoutConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        play = ReadoutCalibrations(_rules(config), at_least_one(num_envs))
        super().__init__(play, num_envs, judged)

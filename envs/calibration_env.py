"""Calibration as Gymnasium's environments: one device, or many at once."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.calibration import CalibrationConfig, Calibrations, Floats, Laboratory, Rules
from envs.game import HIDDEN, Array, Game


def spaces(rules: Rules) -> tuple[gym.spaces.Box, gym.spaces.Box]:
    """What is seen, and what is done: both in [−1, 1]."""
    shapes = (rules.observations,), (rules.actions,)
    seen, done = (gym.spaces.Box(-1.0, 1.0, shape, np.float32) for shape in shapes)
    return seen, done


class CalibrationEnv(gym.Env[Floats, Floats]):
    """One device that is drawn anew in each episode; see `Rules`.

    `info` has `shots`, what was measured so far in the episode, and under `hidden` the truth, which
    is for judging alone: the physics, the settings, and each gate's infidelity over its limit.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 as Gymnasium declares it: of instances

    def __init__(
        self, game: Game, config: CalibrationConfig, laboratory: Laboratory | None = None
    ) -> None:
        self.play = Calibrations(Rules(game, config), 1, laboratory)
        seen, done = spaces(self.play.rules)
        self.observation_space = cast("gym.spaces.Space[Floats]", seen)
        self.action_space = cast("gym.spaces.Space[Floats]", done)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """A new device, looked at once."""
        super().reset(seed=seed)
        return self.play.begin(np.ones(1, dtype=bool), self.np_random)[0], self._info()

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Moves the knobs and looks again."""
        seen = self.play.step(np.asarray(action, dtype=np.float64)[None], self.np_random)
        return seen.observation[0], float(seen.reward[0]), bool(seen.done[0]), False, self._info()

    def _info(self) -> dict[str, Any]:
        play, game = self.play, self.play.rules.game
        physics = {name: float(values[0]) for name, values in play.physics.items()}
        settings = dict(zip(game.knobs, play.settings[0].tolist(), strict=True))
        ratios = game.ratios(play.physics, play.settings)[0].tolist()
        truth = {"physics": physics, "settings": settings,
                 "ratio": dict(zip(game.gates, ratios, strict=True))}  # fmt: skip
        return {"shots": int(play.shots[0]), HIDDEN: truth}


class CalibrationVectorEnv(VectorEnv[Floats, Floats, NDArray[Any]]):
    """`num_envs` devices at once, computed in one call; an episode that ends begins anew at once.

    Infos are arrays: `shots`, and under `hidden` the physics and the settings of all devices; with
    `judged`, also each gate's `ratio` [num_envs, G]. What belongs to ended episodes stands under
    `final_obs` and `final_info`, as in Gymnasium.
    """

    metadata = {  # noqa: RUF012 as Gymnasium declares it: of instances
        "render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP,
    }  # fmt: skip

    def __init__(
        self, game: Game, config: CalibrationConfig, num_envs: int, judged: bool = False
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self.num_envs, self.judged = num_envs, judged
        self.play = Calibrations(Rules(game, config), num_envs)
        self.single_observation_space, self.single_action_space = spaces(self.play.rules)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """New devices everywhere, drawn from one generator; `seed` is a number."""
        if isinstance(seed, list):
            raise ValueError("seed must be one number: all devices are drawn from one generator")
        super().reset(seed=seed)
        return self.play.begin(np.ones(self.num_envs, dtype=bool), self.np_random), self._info()

    def step(
        self, actions: Floats
    ) -> tuple[Floats, Array, NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Moves all knobs and looks again; where an episode ended, a new device has been seen."""
        seen = self.play.step(np.asarray(actions, dtype=np.float64), self.np_random)
        observation, info = seen.observation, self._info()
        if seen.done.any():
            last = {"final_obs": observation, "_final_obs": seen.done,
                    "final_info": info, "_final_info": seen.done}  # fmt: skip
            observation = self.play.begin(seen.done, self.np_random)
            info = self._info() | last
        return observation, seen.reward, seen.done, np.zeros_like(seen.done), info

    def _info(self) -> dict[str, Any]:
        play, everywhere = self.play, np.ones(self.num_envs, dtype=bool)
        truth: dict[str, Any] = {
            "physics": {name: values.copy() for name, values in play.physics.items()},
            "settings": play.settings.copy(),
        }
        if self.judged:
            truth["ratio"] = play.rules.game.ratios(play.physics, play.settings)
        return {"shots": play.shots, "_shots": everywhere, HIDDEN: truth, f"_{HIDDEN}": everywhere}

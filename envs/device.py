"""syndrift/DeviceCalibration: a whole device under drift: what to measure next, and what to set."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.calibration import Floats
from envs.device_play import Upkeeps
from envs.device_upkeep import UpkeepConfig, UpkeepRules
from envs.game import HIDDEN, Array


def _rules(config: UpkeepConfig | dict[str, Any] | None) -> UpkeepRules:
    return UpkeepRules(UpkeepConfig.model_validate(config or {}))


def _spaces(rules: UpkeepRules) -> tuple[gym.spaces.Box, gym.spaces.Box]:
    """What is seen, and what is done: both in [−1, 1]."""
    shapes = (rules.observations,), (rules.actions,)
    seen, done = (gym.spaces.Box(-1.0, 1.0, shape, np.float32) for shape in shapes)
    return seen, done


class DeviceCalibration(gym.Env[Floats, Floats]):
    """One device that is drawn anew in each episode and drifts; see `UpkeepRules`.

    `config` is an `UpkeepConfig` or a table. A step is one job: an experiment of the agent's choice
    on qubits or pairs of its choice, after it moved the knobs of what it looked at last. A job
    costs what the device charges for these circuits; to wait is a choice too. A step is paid minus
    the device's score, as measured at fixed lengths on all qubits and pairs, times the share of the
    episode that the step took, so that an episode is paid minus its time-averaged score; and less
    `price_per_s` for each second of measuring.

    `info` has `shots` and `device_time_s`, what jobs have spent in the episode, and under `hidden`
    the truth, which is for judging alone.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 as Gymnasium declares it: of instances

    def __init__(self, config: UpkeepConfig | dict[str, Any] | None = None) -> None:
        self.play = Upkeeps(_rules(config), 1)
        seen, done = _spaces(self.play.rules)
        self.observation_space = cast("gym.spaces.Space[Floats]", seen)
        self.action_space = cast("gym.spaces.Space[Floats]", done)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """A new device, of which nothing was seen."""
        super().reset(seed=seed)
        return self.play.begin(np.ones(1, dtype=bool), self.np_random)[0], self._info()

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Moves the knobs of what was looked at, and measures what was chosen."""
        seen = self.play.step(np.asarray(action, dtype=np.float64)[None], self.np_random)
        return seen.observation[0], float(seen.reward[0]), bool(seen.done[0]), False, self._info()

    def _info(self) -> dict[str, Any]:
        play, game = self.play, self.play.rules.game
        ratios = game.ratios(play.physics, play.settings)[0].tolist()
        truth = {"physics": {name: values[0].copy() for name, values in play.physics.items()},
                 "settings": play.settings[0].copy(), "time_s": float(play.time_s[0]),
                 "ratio": dict(zip(game.gates, ratios, strict=True))}  # fmt: skip
        return {"shots": int(play.shots[0]), "device_time_s": float(play.device_time_s[0]),
                HIDDEN: truth}  # fmt: skip


class DeviceCalibrationVector(VectorEnv[Floats, Floats, NDArray[Any]]):
    """The same for `num_envs` devices at once; an episode that ends begins anew at once.

    Infos are arrays: `shots` and `device_time_s`, and under `hidden` the physics [num_envs, Q or P]
    and the settings [num_envs, T, K] of all devices and the time since their episodes began; with
    `judged`, also each gate's `ratio` [num_envs, G]. What belongs to ended episodes stands under
    `final_obs` and `final_info`.
    """

    metadata = {  # noqa: RUF012 as Gymnasium declares it: of instances
        "render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP,
    }  # fmt: skip

    def __init__(
        self,
        num_envs: int = 1,
        config: UpkeepConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self.num_envs, self.judged = num_envs, judged
        self.play = Upkeeps(_rules(config), num_envs)
        self.single_observation_space, self.single_action_space = _spaces(self.play.rules)
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
        """One job on each device; where an episode ended, a new one has begun."""
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
            "time_s": play.time_s.copy(),
        }
        if self.judged:
            truth["ratio"] = play.rules.game.ratios(play.physics, play.settings)
        found = {"shots": play.shots.copy(), "device_time_s": play.device_time_s.copy(),
                 HIDDEN: truth}  # fmt: skip
        return found | {f"_{name}": everywhere for name in found}

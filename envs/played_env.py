"""What every environment here is as Gymnasium's: one device, or many at once, and who plays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar, cast

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.calibration import Floats, Seen
from envs.game import Array


class Sizes(Protocol):
    """How many numbers are seen, and how many are chosen."""

    @property
    def observations(self) -> int:
        """Of one device."""
        ...

    @property
    def actions(self) -> int:
        """Of one device."""
        ...


class Play(Protocol):
    """The state of many episodes at once; see `Calibrations`."""

    @property
    def rules(self) -> Sizes:
        """What is seen, and what a move does."""
        ...

    def begin(self, which: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        """New devices in these places; all observations."""
        ...

    def step(self, actions: Array, rng: np.random.Generator) -> Seen:
        """One step of all devices."""
        ...


P = TypeVar("P", bound=Play)


def _spaces(rules: Sizes) -> tuple[gym.spaces.Box, gym.spaces.Box]:
    """What is seen, and what is done: both in [−1, 1]."""
    shapes = (rules.observations,), (rules.actions,)
    seen, done = (gym.spaces.Box(-1.0, 1.0, shape, np.float32) for shape in shapes)
    return seen, done


class PlayedEnv(gym.Env[Floats, Floats], ABC, Generic[P]):
    """One device that is drawn anew in each episode; `_info` says what is told beside."""

    metadata = {"render_modes": []}  # noqa: RUF012 as Gymnasium declares it: of instances

    def __init__(self, play: P) -> None:
        self.play, self._is_begun = play, False
        seen, done = _spaces(play.rules)
        self.observation_space = cast("gym.spaces.Space[Floats]", seen)
        self.action_space = cast("gym.spaces.Space[Floats]", done)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """A new device, as its first observation shows it."""
        super().reset(seed=seed)
        (observation,) = self.play.begin(np.ones(1, dtype=bool), self.np_random)
        self._is_begun = True
        return observation, self._info()

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """One step."""
        seen = self.play.step(_moves(np.asarray(action)[None], self._is_begun), self.np_random)
        return seen.observation[0], float(seen.reward[0]), bool(seen.done[0]), False, self._info()

    @abstractmethod
    def _info(self) -> dict[str, Any]: ...


class PlayedVectorEnv(VectorEnv[Floats, Floats, NDArray[Any]], ABC, Generic[P]):
    """`num_envs` devices at once, computed in one call; an episode that ends begins anew at once.

    What belongs to ended episodes stands under `final_obs` and `final_info`, as in Gymnasium.
    """

    metadata = {  # noqa: RUF012 as Gymnasium declares it: of instances
        "render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP,
    }  # fmt: skip

    def __init__(self, play: P, num_envs: int, judged: bool) -> None:
        self.num_envs, self.judged, self.play, self._is_begun = num_envs, judged, play, False
        self.single_observation_space, self.single_action_space = _spaces(play.rules)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """New devices everywhere, drawn from one generator; `seed` is a number."""
        if isinstance(seed, list):
            raise ValueError("seed must be one number: all devices are drawn from one generator")
        super().reset(seed=seed)
        observation = self.play.begin(np.ones(self.num_envs, dtype=bool), self.np_random)
        self._is_begun = True
        return observation, self._info()

    def step(
        self, actions: Floats
    ) -> tuple[Floats, Array, NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Moves all knobs and looks again; where an episode ended, a new device has been seen."""
        seen = self.play.step(_moves(actions, self._is_begun), self.np_random)
        observation, info = seen.observation, self._info()
        if seen.done.any():
            last = {"final_obs": observation, "_final_obs": seen.done,
                    "final_info": info, "_final_info": seen.done}  # fmt: skip
            observation = self.play.begin(seen.done, self.np_random)
            info = self._info() | last
        return observation, seen.reward, seen.done, np.zeros_like(seen.done), info

    @abstractmethod
    def _info(self) -> dict[str, Any]: ...


def _moves(actions: Floats, is_begun: bool) -> Array:
    """Actions [B, A] to play: of episodes that began, and numbers.

    What is no number would pass every cut to [−1, 1], and be found out only in a later circuit.
    """
    if not is_begun:
        raise ResetNeeded("there is no device to act on: call reset() before step()")
    moves = np.asarray(actions, dtype=np.float64)
    places = np.flatnonzero(np.isnan(moves).any(axis=1))
    if len(places):
        more = f" and for {len(places) - 1} more" if len(places) > 1 else ""
        raise ValueError(f"actions must be numbers, got nan for device {places[0]}{more}: "
                         "see what the agent was given")  # fmt: skip
    return moves


def at_least_one(num_envs: int) -> int:
    """The number of devices; ValueError if there is none."""
    if num_envs < 1:
        raise ValueError(f"num_envs must be at least 1, got {num_envs}")
    return num_envs

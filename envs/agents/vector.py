"""An adapter from Gymnasium's batched environments to the VecEnv of stable-baselines3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from envs.game import HIDDEN

FINAL_OBSERVATION, FINAL_INFO = "final_obs", "final_info"  # Gymnasium's names
_FINAL = (FINAL_OBSERVATION, FINAL_INFO)


class AsVecEnv(VecEnv):
    """A `gymnasium.vector.VectorEnv` of B devices as a VecEnv, in this process, without copies.

    A device that ended has begun anew within the same step (autoreset mode SAME_STEP): its row of
    the observation is the new episode's first, and its info has `terminal_observation`, whether a
    time limit cut it (`TimeLimit.truncated`), and what `final_info` said of it. The judge's truth
    (the key `hidden`) never gets here, at whatever depth it stands.
    """

    def __init__(self, env: VectorEnv) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"expected an environment with autoreset mode SAME_STEP, got {_mode_name(mode)}: "
                "stable-baselines3 takes an episode's end and the next one's begin in one step"
            )
        if not isinstance(env.single_observation_space, gymnasium.spaces.Box):
            kind = type(env.single_observation_space).__name__
            raise ValueError(f"expected observations that are one array (a Box), got a {kind}: "
                             "flatten them")  # fmt: skip
        self.env = env
        self._actions: NDArray[Any] | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> NDArray[Any]:
        """Begins all episodes anew, with the seed and options given since the last time."""
        observation, infos = self.env.reset(seed=self._seeds[0], options=self._all_options())
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = info_list(infos, self.num_envs)
        return np.array(observation)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keeps the actions [B, K] for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], list[dict[str, Any]]]:
        """Observations [B, ...], rewards [B], ends [B], and an info for each device."""
        if self._actions is None:
            raise RuntimeError("step_wait() before step_async(): there are no actions to take")
        actions, self._actions = self._actions, None
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        ended = np.asarray(terminated | truncated, dtype=bool)
        found = info_list(infos, self.num_envs)
        if ended.any():
            cut = np.asarray(truncated & ~terminated, dtype=bool)
            self._end(infos, found, np.flatnonzero(ended), cut)
        return np.array(observation), np.asarray(reward, dtype=np.float32), ended, found

    def _end(
        self,
        infos: Mapping[str, Any],
        found: list[dict[str, Any]],
        ended: NDArray[np.int64],
        cut: NDArray[np.bool_],
    ) -> None:
        """Gives each device that ended the last look and the info of the episode that is over."""
        if FINAL_OBSERVATION not in infos:
            raise ValueError(f"expected `{FINAL_OBSERVATION}` in the infos of a step that ended an "
                             f"episode, got only {', '.join(infos) or 'nothing'}")  # fmt: skip
        last = infos[FINAL_OBSERVATION]
        said = info_list(infos[FINAL_INFO], self.num_envs) if FINAL_INFO in infos else found
        for device in ended.tolist():
            self.reset_infos[device] = {} if said is found else found[device]
            found[device] = {
                **said[device],
                "terminal_observation": np.array(last[device]),
                "TimeLimit.truncated": bool(cut[device]),
            }

    def _all_options(self) -> dict[str, Any] | None:
        """Gymnasium's batched environments take one set of options for all devices."""
        first = self._options[0]
        if any(options != first for options in self._options):
            raise ValueError("expected the same options for all devices, got different ones")
        return first or None

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """One seed for the batch, taken at the next reset; without one, its generator runs on."""
        self._seeds = [seed] * self.num_envs
        return self._seeds

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[Any] | None]:
        """The pictures of the devices, as the environment renders them."""
        pictures: Any = self.env.render()
        return list(pictures or [])

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The batch's attribute, once for each device asked for."""
        value = getattr(self.env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute of the batch; it has no parts that could differ."""
        self._check_all(indices, f"set `{attr_name}`")
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Calls the batch's method once; its answer stands for each device."""
        self._check_all(indices, f"call `{method_name}`")
        answer = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [answer] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """False for each: a batch has no environments of one device that could be wrapped."""
        return [False for _ in self._get_indices(indices)]

    def _check_all(self, indices: VecEnvIndices, what: str) -> None:
        if indices is not None and set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise ValueError(f"cannot {what} for some devices of a batch: leave the indices out")


def info_list(infos: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Gymnasium's dict of arrays [B, ...] as one dict a device, without the hidden truth.

    A mask `_key` [B] says which devices have a `key`; without one, all have it.
    """
    found: list[dict[str, Any]] = [{} for _ in range(count)]
    for key, value in infos.items():
        if key == HIDDEN or key in _FINAL or key.startswith("_"):
            continue
        inner = info_list(value, count) if isinstance(value, Mapping) else value
        for device in _devices(infos.get(f"_{key}"), count):
            found[device][key] = inner[device]
    return found


def _devices(mask: NDArray[np.bool_] | None, count: int) -> Iterable[int]:
    return range(count) if mask is None else np.flatnonzero(mask).tolist()


def _mode_name(mode: object) -> str:
    return mode.name if isinstance(mode, AutoresetMode) else f"{mode!r}"

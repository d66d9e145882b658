"""A batched environment that is easily solved: an offset, seen through noise, is to be cancelled.

Episodes last 4 to 8 steps, so that devices end at different times; every other device's end is a
time limit's cut. Nothing but the offset tells how well an episode went.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

NOISE, SHORTEST, LONGEST = 0.05, 4, 8
TOY = "toy/Offset-v0"


class OffsetDevices(VectorEnv):
    """Observation [B, 2]: the offset measured, in percent, and the steps that are left."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 Gymnasium's own form

    def __init__(self, num_envs: int, config: dict[str, Any] | None = None) -> None:
        self.num_envs = num_envs
        self.noise = (config or {}).get("noise", NOISE)
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.single_action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.observation_space = gymnasium.vector.utils.batch_space(
            self.single_observation_space, num_envs
        )
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.options = options
        self.offset, self.left = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=np.int64)
        self._begin(np.ones(self.num_envs, dtype=bool))
        return self._look(), {"hidden": self._truth(), "begun": np.ones(self.num_envs)}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        self.offset = self.offset + actions[:, 0]
        self.left = self.left - 1
        reward = -np.abs(self.offset)
        ended, cuts = self.left == 0, np.arange(self.num_envs) % 2 == 1
        look, truth = self._look(), self._truth()
        infos: dict[str, Any] = {"hidden": truth, "left": self.left.copy()}
        if ended.any():
            infos |= {"final_obs": look, "_final_obs": ended, "_final_info": ended,
                      "final_info": {"hidden": truth, "left": self.left.copy()}}  # fmt: skip
            self._begin(ended)
            look = np.where(ended[:, None], self._look(), look)
            infos["hidden"] = self._truth()
            infos["left"] = self.left.copy()
        return look, reward, ended & ~cuts, ended & cuts, infos

    def _begin(self, which: NDArray[np.bool_]) -> None:
        count = int(which.sum())
        self.offset[which] = self.np_random.uniform(-1, 1, count)
        self.left[which] = self.np_random.integers(SHORTEST, LONGEST + 1, count)

    def _look(self) -> NDArray[np.float32]:
        seen = self.offset + self.noise * self.np_random.normal(size=self.num_envs)
        return np.stack([100 * seen, self.left], axis=1).astype(np.float32)

    def _truth(self) -> dict[str, Any]:
        ratio = 1 + (self.offset / 0.2) ** 2
        return {"ratio": np.stack([ratio, np.ones_like(ratio)], axis=1)}


class Cancel:
    """The player who knows the rules: moves by what was measured."""

    def act(self, observation: NDArray[Any], state: Any = None, starts: Any = None) -> Any:
        return np.clip(-observation[:, :1] / 100, -1, 1), None


class Idle:
    """The player who does nothing."""

    def act(self, observation: NDArray[Any], state: Any = None, starts: Any = None) -> Any:
        return np.zeros((len(observation), 1), dtype=np.float32), None

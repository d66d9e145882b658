"""The running mean and spread by which observations and rewards are brought to size one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize


class Statistics(BaseModel):
    """Mean and variance of `count` values, entry by entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    count: float
    shape: tuple[int, ...]

    @classmethod
    def of(cls, running: RunningMeanStd) -> Statistics:
        """A copy of stable-baselines3's."""
        mean, variance = np.asarray(running.mean), np.asarray(running.var)
        return cls(mean=tuple(mean.ravel().tolist()), variance=tuple(variance.ravel().tolist()),
                   count=float(running.count), shape=mean.shape)  # fmt: skip

    def restore(self, running: RunningMeanStd) -> None:
        """Puts the numbers back into stable-baselines3's."""
        running.mean, running.var = self._array(self.mean), self._array(self.variance)
        running.count = self.count

    def scaled(self, values: NDArray[Any], epsilon: float) -> NDArray[np.float64]:
        """Values with mean 0 and spread 1."""
        return (values - self._array(self.mean)) / np.sqrt(self._array(self.variance) + epsilon)

    def _array(self, numbers: tuple[float, ...]) -> NDArray[np.float64]:
        return np.array(numbers).reshape(self.shape)


class Normaliser(BaseModel):
    """VecNormalize's statistics; `observations` is None where a recipe leaves them as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    observations: Statistics | None
    returns: Statistics
    clip: float
    epsilon: float

    @classmethod
    def of(cls, model: BaseAlgorithm) -> Normaliser:
        """A copy of the statistics of a model in training."""
        env = _normalised(model)
        return cls(
            observations=Statistics.of(_observed(env)) if env.norm_obs else None,
            returns=Statistics.of(env.ret_rms),
            clip=env.clip_obs,
            epsilon=env.epsilon,
        )

    def restore(self, model: BaseAlgorithm) -> None:
        """Puts the statistics back into a model that trains on."""
        env = _normalised(model)
        self.returns.restore(env.ret_rms)
        if self.observations is not None:
            self.observations.restore(_observed(env))

    def apply(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Raw observations [B, ...] as the policy takes them."""
        if self.observations is None:
            return observation
        scaled = self.observations.scaled(observation, self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def _normalised(model: BaseAlgorithm) -> VecNormalize:
    env = model.get_vec_normalize_env()
    if env is None:
        raise ValueError("expected a model whose environment is in a VecNormalize: its statistics "
                         "belong to the policy")  # fmt: skip
    return env


def _observed(env: VecNormalize) -> RunningMeanStd:
    running: Any = env.obs_rms  # a dict only for observations that are dicts
    return running

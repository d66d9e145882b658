"""syndrift/MemoryDeployment: how a memory is run on a backend is chosen by what it then shows."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from decoders.deploy.device_noise import DeviceNoise
from envs.calibration import Floats, Seen
from envs.deployment_choices import Counts, DeploymentConfig, DeploymentRules
from envs.game import HIDDEN, Array, Numbers
from envs.played_env import PlayedEnv, PlayedVectorEnv, at_least_one

Config = DeploymentConfig | dict[str, Any] | None


class Deployments:
    """B devices, each with choices of its own: the state of all episodes.

    An observation has for each option of each factor, in order, the share of the episode's steps
    that were spent with it, and the shares of logical errors and of detection events that these
    showed (0 where it was not tried); then the share of the steps that are over.
    """

    def __init__(self, rules: DeploymentRules, count: int) -> None:
        self.rules = rules
        self._ends = np.cumsum(rules.sizes, dtype=np.int64)
        self.devices: list[DeviceNoise | None] = [None] * count
        self.latest: list[Counts | None] = [None] * count
        self._steps = np.zeros(count, dtype=np.int64)
        self._tried = np.zeros((count, self._ends[-1], 5), dtype=np.int64)  # steps, then Counts

    def begin(self, which: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        """New devices in these places; all observations."""
        for number in np.flatnonzero(which).tolist():
            self.devices[number], self.latest[number] = self.rules.drawn(rng), None
        self._steps[which], self._tried[which] = 0, 0
        return self._look()

    def step(self, actions: Array, rng: np.random.Generator) -> Seen:
        """Each device's choice is measured; the reward is minus its share of logical errors."""
        rules, rewards = self.rules, np.zeros(len(actions))
        for number, row in enumerate(np.asarray(actions).astype(int).tolist()):
            action, device = rules.canonical(tuple(row)), self.devices[number]
            assert device  # begun, as was checked
            counts = rules.count(action, device, rules.config.shots, rng)
            columns = self._ends - np.array(rules.sizes, dtype=np.int64) + np.array(action)
            self._tried[number, columns] += np.array([1, *counts])
            self.latest[number] = counts
            rewards[number] = -counts.errors / counts.shots
        self._steps += 1
        return Seen(self._look(), rewards, self._steps >= rules.config.steps)

    def checked(self, actions: NDArray[Any], count: int) -> Numbers:
        """Actions [count, F], as they are; ValueError where they are no choices."""
        given, sizes = np.asarray(actions), np.array(self.rules.sizes)
        if given.shape != (count, len(sizes)):
            raise ValueError(f"actions must have the shape {(count, len(sizes))}, an entry for "
                             f"each device and factor, got {given.shape}: reshape")  # fmt: skip
        if not ((given >= 0) & (given < sizes) & (given == given.round())).all():
            raise ValueError(f"actions must be numbers of options, below {sizes.tolist()}, got "
                             f"{given.tolist()}")  # fmt: skip
        return given.astype(np.int64)

    def _look(self) -> Floats:
        steps, detections, trials, errors, shots = np.moveaxis(self._tried.astype(float), 2, 0)
        spent = steps / self.rules.config.steps
        shares = [errors / np.maximum(shots, 1), detections / np.maximum(trials, 1)]
        over = (self._steps / self.rules.config.steps)[:, None]
        return np.concatenate([spent, *shares, over], axis=1, dtype=np.float32)


def _spaces(play: Deployments) -> tuple[gym.spaces.Box, gym.spaces.MultiDiscrete]:
    seen = gym.spaces.Box(0.0, 1.0, (play.rules.observations,), np.float32)
    return seen, gym.spaces.MultiDiscrete(list(play.rules.sizes))


def _play(config: Config, count: int) -> Deployments:
    return Deployments(DeploymentRules(DeploymentConfig.model_validate(config or {})), count)


class MemoryDeployment(PlayedEnv[Deployments]):
    """One device an episode; `config` is a `DeploymentConfig` or a table. See `Deployments`.

    An action names an option of each factor (`play.rules.options`). `info["counts"]` is what the
    step measured; `info["hidden"]` has the true properties: for judging alone.
    """

    def __init__(self, config: Config = None) -> None:
        super().__init__(_play(config, 1))
        seen, done = _spaces(self.play)
        self.observation_space = cast("gym.spaces.Space[Floats]", seen)
        self.action_space = cast("gym.spaces.Space[Floats]", done)

    def step(self, action: NDArray[Any]) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """One choice is measured."""
        return super().step(self.play.checked(np.asarray(action)[None], 1)[0].astype(np.float32))

    def _info(self) -> dict[str, Any]:
        counts = self.play.latest[0]
        told = {} if counts is None else {"counts": counts._asdict()}
        (device,) = self.play.devices
        return told | ({HIDDEN: {"snapshot": device.snapshot}} if device else {})


class MemoryDeploymentVector(PlayedVectorEnv[Deployments]):
    """The same for `num_envs` devices; with `judged`, infos have them under `hidden`."""

    def __init__(self, num_envs: int = 1, config: Config = None, judged: bool = False) -> None:
        super().__init__(_play(config, at_least_one(num_envs)), num_envs, judged)
        self.single_observation_space, single_actions = _spaces(self.play)
        self.single_action_space = cast("gym.spaces.Space[Floats]", single_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Floats, Array, NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One choice of each device is measured."""
        return super().step(self.play.checked(actions, self.num_envs).astype(np.float32))

    def _info(self) -> dict[str, Any]:
        counts, everywhere = self.play.latest, np.ones(self.num_envs, dtype=bool)
        told: dict[str, Any] = {}
        for name in Counts._fields:
            told[name] = np.array([getattr(one, name, 0) for one in counts])
        if self.judged:
            truth = np.array([one and one.snapshot for one in self.play.devices], dtype=object)
            told |= {HIDDEN: {"snapshot": truth}, f"_{HIDDEN}": everywhere}
        return told

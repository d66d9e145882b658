"""What all steerers share: an algorithm of stable-baselines3 whose epochs propose and learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback, PyTorchObs, Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from envs.steered.plant import Array, LightCones


class SteererRecipe(BaseModel):
    """What every steerer's recipe is: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


R = TypeVar("R", bound=SteererRecipe)


class SettingsPolicy(BasePolicy):
    """One Gaussian over all settings, whatever is seen: a mean and a width for each control.

    What else a steerer remembers stands beside them in `memory`, so that it is saved with them.
    """

    def __init__(
        self, observation_space: gym.Space, action_space: gym.Space, lr_schedule: Schedule
    ) -> None:
        del lr_schedule  # as stable-baselines3 calls it; the steerers have their own steps
        super().__init__(observation_space, cast("gym.spaces.Box", action_space))
        count = int(np.prod(action_space.shape or ()))
        self.mean = nn.Parameter(torch.zeros(count, dtype=torch.float64))
        self.log_std = nn.Parameter(torch.zeros(count, dtype=torch.float64))
        self.memory = nn.ParameterDict()

    def forward(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Settings for each row of the observation: the mean, or drawn around it."""
        return self._predict(observation, deterministic)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        mean = self.mean.detach().expand(len(cast("Tensor", observation)), -1)
        if not deterministic:
            mean = torch.normal(mean, self.log_std.detach().exp().expand_as(mean))
        return mean.float()


class Steerer(BaseAlgorithm, Generic[R]):
    """Steers one experiment: each row of its environment is a candidate of the same epoch.

    `learn(total_timesteps)` goes on for total_timesteps / candidates epochs; `predict` gives
    candidates, or with `deterministic=True` the best settings known. What an epoch draws depends on
    the seed and the number of the epoch alone, and all that is learnt is saved, where it `resumes`.
    `recipe` is the class's own, or a table.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"SettingsPolicy": SettingsPolicy}
    recipe_class: type[R]

    def __init__(
        self,
        policy: str | type[BasePolicy] = "SettingsPolicy",
        env: VecEnv | None = None,
        recipe: R | dict[str, Any] | None = None,
        *,
        seed: int = 0,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        device: str = "cpu",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy, env, learning_rate=1.0, seed=seed, tensorboard_log=tensorboard_log,
            verbose=verbose, device=device, support_multi_env=True,
            supported_action_spaces=(gym.spaces.Box,),
        )  # fmt: skip
        self.recipe = self.recipe_class.model_validate(recipe or {})
        self.epochs, self.is_back, self._halted = 0, False, 0.0
        self._trial: Array | None = None
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self.set_random_seed(self.seed)
        space = cast("gym.spaces.Box", self.action_space)
        self._low, self._high = space.low.astype(float), space.high.astype(float)
        self.policy = SettingsPolicy(self.observation_space, space, lambda _: 1.0)
        self.width = self._first_width()
        for name, values in self._first_memory(len(self.settings)).items():
            self.gaussian.memory[name] = nn.Parameter(torch.as_tensor(values), requires_grad=False)

    @abstractmethod
    def _first_width(self) -> float: ...

    def _first_memory(self, count: int) -> dict[str, Array]:
        """What is remembered beside mean and width, of so many controls, as it begins."""
        return {}

    def remembered(self, name: str) -> Array:
        """One of these, as it is now."""
        return self.gaussian.memory[name].detach().numpy()

    def remember(self, name: str, values: Array | float) -> None:
        """Another value for it."""
        self.gaussian.memory[name].copy_(torch.as_tensor(values))

    @property
    def gaussian(self) -> SettingsPolicy:
        """The policy."""
        return cast("SettingsPolicy", self.policy)

    @property
    def settings(self) -> Array:
        """The best settings known, [K]."""
        return self.gaussian.mean.detach().numpy().copy()

    @settings.setter
    def settings(self, values: Array) -> None:
        with torch.no_grad():
            self.gaussian.mean.copy_(torch.from_numpy(np.clip(values, self._low, self._high)))

    @property
    def width(self) -> Array:
        """How far from there candidates are, [K]."""
        return np.exp(self.gaussian.log_std.detach().numpy())

    @width.setter
    def width(self, values: Array | float) -> None:
        with torch.no_grad():
            self.gaussian.log_std.copy_(torch.as_tensor(np.log(values)))

    @property
    def halted(self) -> float:
        """The share of this epoch in which the code does not run."""
        return self._halted

    def halt(self, share: float) -> None:
        """The code does not run in so much of this epoch, of which nothing then is learnt."""
        self._halted, self.is_back = share, share > 0

    def recalibrated(self, settings: Array, leaves: float) -> None:
        """Goes on from settings that a calibration found, each about so far off its optimum."""
        del leaves  # for those who know how sure they are
        self.settings = settings

    def try_out(self, settings: Array) -> None:
        """Gives the first quarter of the next epoch to these settings, the rest to those held best.

        For whoever would compare them; nothing is learnt from that epoch.
        """
        self._trial = settings

    def roll_back(self, settings: Array) -> None:
        """Goes back to these settings; what this epoch shows, of others, is not learnt from."""
        self.settings = settings
        self.is_back = True

    @property
    def resumes(self) -> bool:
        """Whether all that it knows is in its policy."""
        return True

    def arrays(self) -> dict[str, Array]:
        """All that it knows, as plain arrays."""
        state = self.gaussian.state_dict()
        return {name: values.detach().numpy().copy() for name, values in state.items()}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Knows what another one of the same recipe knew."""
        self.gaussian.load_state_dict({name: torch.from_numpy(values)
                                       for name, values in arrays.items()})  # fmt: skip

    def rng(self) -> np.random.Generator:
        """The random numbers of this epoch."""
        return np.random.default_rng([self.seed or 0, self.epochs])

    @abstractmethod
    def propose(self) -> Array:
        """The candidates of this epoch, [B, K]."""

    @abstractmethod
    def update(self, candidates: Array, rates: Array) -> None:
        """Learns from what the detectors showed of them, [B, J]."""

    def missed(self) -> None:
        """An epoch has passed in which the code ran, and of which nothing is learnt."""

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "steering",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Steers on for so many candidates."""
        env = self._checked()
        self._know_circuit()
        total, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        while self.num_timesteps < total:
            callback.on_rollout_start()
            candidates = np.clip(self._candidates(), self._low, self._high)
            rates, rewards, _, _ = env.step(candidates)
            self.num_timesteps += self.n_envs
            callback.update_locals(locals())
            if not callback.on_step():
                break
            callback.on_rollout_end()
            with torch.no_grad():
                if not self.is_back:
                    self.update(candidates, np.asarray(rates, dtype=np.float64))
                elif not self.halted:
                    self.missed()
            self.is_back = False
            self.epochs += 1
            self._log(rewards, log_interval)
        callback.on_training_end()
        return self

    def _candidates(self) -> Array:
        """What it proposes, or the trial that it was asked for."""
        proposed = self.propose()  # what it brings about, such as a calibration, is not put off
        if self._trial is None:
            return proposed
        tried, self._trial, self.is_back = self._trial, None, True
        few = trial_size(self.n_envs)
        return np.repeat([tried, self.settings], [few, self.n_envs - few], axis=0)

    def _checked(self) -> VecEnv:
        """The environment, and what it says of itself."""
        if self.env is None:
            raise ValueError("there is nothing to steer: give an env, or call set_env() first")
        if self.n_envs < 2 or self.n_envs % 2:
            raise ValueError("a steerer compares candidates in pairs: make an environment with an "
                             f"even num_envs of at least 2, got {self.n_envs}")  # fmt: skip
        self.cones: LightCones = self.env.get_attr("cones", 0)[0]
        self.shots: int = self.env.get_attr("shots", 0)[0]
        return self.env

    def _know_circuit(self) -> None:
        """Works out what hangs on `cones` alone, once for all epochs."""

    def _log(self, rewards: NDArray[np.float32], interval: int) -> None:
        if self.epochs % interval == 0:
            self.logger.record("steering/detections_a_cycle", -float(np.mean(rewards)))
            self.logger.record("steering/mean_width", float(self.width.mean()))
            self.logger.dump(self.num_timesteps)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []


def on_both_sides(model: Steerer[Any]) -> Array:
    """Half of the candidates at random on either side of the settings held best, in two sizes of
    the width, and their mirror images."""
    rng, shape = model.rng(), (model.n_envs // 2, len(model.settings))
    sizes = np.sqrt(1 + 0.6 * rng.choice([-1.0, 1.0], shape))
    return model.settings + mirrored(model.width * sizes * rng.choice([-1.0, 1.0], shape))


def trial_size(candidates: int) -> int:
    """How many of the candidates a trial is given."""
    return max(1, candidates // 4)


def mirrored(offsets: Array) -> Array:
    """All offsets, and then all of them the other way, [H, K] -> [2 H, K]."""
    return np.concatenate([offsets, -offsets])

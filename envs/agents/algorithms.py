"""The algorithms of stable-baselines3 and sb3-contrib, made from their recipes."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import sb3_contrib
import stable_baselines3
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from envs.agents.config import PPO, TD3, TQC, Algorithm, RecurrentPPO

_ALGORITHMS: dict[str, Any] = {
    "ppo": stable_baselines3.PPO,
    "recurrent-ppo": sb3_contrib.RecurrentPPO,
    "sac": stable_baselines3.SAC,
    "td3": stable_baselines3.TD3,
    "tqc": sb3_contrib.TQC,
}
_POLICIES: dict[str, Any] = {
    "ppo": ActorCriticPolicy,
    "recurrent-ppo": RecurrentActorCriticPolicy,
    "sac": SACPolicy,
    "td3": TD3Policy,
    "tqc": TQCPolicy,
}


def make_model(algorithm: Algorithm, env: VecEnv, seed: int, steps: int) -> BaseAlgorithm:
    """The algorithm on an environment, untrained; its learning rate knows of so many steps in all.

    stable-baselines3's own schedules count anew with each call of `learn`.
    """
    check_actions(algorithm, env.action_space)
    falling = _Falling(algorithm.learning_rate, steps)
    model = _ALGORITHMS[algorithm.kind](
        policy=_POLICIES[algorithm.kind],
        env=env,
        learning_rate=falling if algorithm.decay == "linear" else algorithm.learning_rate,
        gamma=algorithm.gamma,
        policy_kwargs=_policy_settings(algorithm),
        seed=seed,
        device="cpu",
        **_settings(algorithm, env),
    )
    falling.model = model
    return model


def make_policy(
    algorithm: Algorithm, observations: gymnasium.Space, actions: gymnasium.Space
) -> BasePolicy:
    """The algorithm's networks alone, untrained: what acting needs."""
    settings = _policy_settings(algorithm)
    rate = algorithm.learning_rate
    return _POLICIES[algorithm.kind](observations, actions, lambda _: rate, **settings)


def check_actions(algorithm: Algorithm, actions: gymnasium.Space) -> None:
    """ValueError where an algorithm cannot take such actions."""
    if isinstance(algorithm, PPO | RecurrentPPO) or isinstance(actions, gymnasium.spaces.Box):
        return
    raise ValueError(f"'{algorithm.kind}' needs actions that are numbers (a Box), got "
                     f"{type(actions).__name__}: take 'ppo' or 'recurrent-ppo'")  # fmt: skip


class _Falling:
    """A learning rate that falls to 0 at the last step of a model's training."""

    def __init__(self, first: float, steps: int) -> None:
        self._first, self._steps = first, steps
        self.model: BaseAlgorithm | None = None  # asked for its rate while it is made

    def __call__(self, remaining: float) -> float:
        done = 0 if self.model is None else self.model.num_timesteps
        return self._first * max(0.0, 1.0 - done / self._steps)


def _policy_settings(algorithm: Algorithm) -> dict[str, Any]:
    settings: dict[str, Any] = {"net_arch": list(algorithm.network)}
    if isinstance(algorithm, PPO | RecurrentPPO):
        settings["log_std_init"] = algorithm.log_std
    if isinstance(algorithm, RecurrentPPO):
        settings["lstm_hidden_size"] = algorithm.lstm
    if isinstance(algorithm, TQC):
        settings["n_quantiles"] = algorithm.quantiles
    return settings


def _settings(algorithm: Algorithm, env: VecEnv) -> dict[str, Any]:
    """The algorithm's own keywords in stable-baselines3's words."""
    if isinstance(algorithm, PPO | RecurrentPPO):
        return {
            "n_steps": algorithm.rollout_steps,
            "batch_size": algorithm.rollout_steps * env.num_envs // algorithm.minibatches,
            "n_epochs": algorithm.epochs,
            "gae_lambda": algorithm.gae_lambda,
            "clip_range": algorithm.clip,
            "ent_coef": algorithm.entropy,
            "vf_coef": algorithm.value_weight,
            "max_grad_norm": algorithm.max_gradient,
            "target_kl": algorithm.target_kl,
        }
    settings: dict[str, Any] = {
        "buffer_size": algorithm.buffer,
        "learning_starts": algorithm.warm_up,
        "batch_size": algorithm.batch,
        "tau": algorithm.tau,
        "train_freq": 1,
        "gradient_steps": algorithm.updates,
    }
    if isinstance(algorithm, TD3):
        width = env.action_space.shape or (1,)
        noise = NormalActionNoise(np.zeros(width), np.full(width, algorithm.exploration))
        settings |= {"action_noise": noise, "policy_delay": algorithm.policy_delay}
    elif isinstance(algorithm, TQC):
        settings["top_quantiles_to_drop_per_net"] = algorithm.dropped
    return settings

"""Every setting of a recipe arrives in stable-baselines3's model, under its name there."""

from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecNormalize

from envs.agents.algorithms import make_model
from envs.agents.config import PPO, SAC, TD3, TQC, Algorithm, RecurrentPPO
from envs.agents.vector import AsVecEnv
from tests.envs.agents.toy import OffsetDevices

ON_POLICY: dict[str, Any] = {
    "learning_rate": 1e-3, "gamma": 0.9, "network": (7, 5), "rollout_steps": 6, "minibatches": 3,
    "epochs": 4, "gae_lambda": 0.8, "clip": 0.3, "entropy": 0.01, "value_weight": 0.4,
    "max_gradient": 0.7, "target_kl": 0.02, "log_std": -1.5,
}  # fmt: skip
OFF_POLICY: dict[str, Any] = {
    "learning_rate": 1e-3, "gamma": 0.9, "network": (7, 5), "buffer": 800, "warm_up": 70,
    "batch": 33, "updates": 9, "tau": 0.02,
}  # fmt: skip


def made(algorithm: Algorithm) -> Any:
    return make_model(algorithm, VecNormalize(AsVecEnv(OffsetDevices(8))), seed=1, steps=1000)


def widths(network: Any) -> list[int]:
    return [layer.out_features for layer in network if hasattr(layer, "out_features")]


@pytest.mark.parametrize(
    "algorithm", [PPO(**ON_POLICY), RecurrentPPO(**ON_POLICY, lstm=11)], ids=["ppo", "recurrent"]
)
def test_on_policy(algorithm: PPO | RecurrentPPO) -> None:
    model = made(algorithm)
    assert (model.n_steps, model.n_epochs) == (6, 4)
    assert model.batch_size == 8 * 6 // 3
    assert (model.gamma, model.gae_lambda, model.clip_range(1.0)) == (0.9, 0.8, 0.3)
    assert (model.ent_coef, model.vf_coef, model.max_grad_norm) == (0.01, 0.4, 0.7)
    assert (model.target_kl, model.lr_schedule(1.0)) == (0.02, 1e-3)
    assert model.policy.log_std.tolist() == [-1.5]
    assert widths(model.policy.mlp_extractor.policy_net) == [7, 5]
    assert widths(model.policy.mlp_extractor.value_net) == [7, 5]
    if isinstance(algorithm, RecurrentPPO):
        assert model.policy.lstm_actor.hidden_size == 11


@pytest.mark.parametrize(
    "algorithm",
    [
        SAC(**OFF_POLICY),
        TD3(**OFF_POLICY, exploration=0.25, policy_delay=5),
        TQC(**OFF_POLICY, quantiles=13, dropped=4),
    ],
    ids=["sac", "td3", "tqc"],
)
def test_off_policy(algorithm: SAC | TD3 | TQC) -> None:
    model = made(algorithm)
    assert model.replay_buffer.buffer_size * 8 == 800
    assert (model.learning_starts, model.batch_size, model.gradient_steps) == (70, 33, 9)
    assert (model.train_freq.frequency, model.train_freq.unit.value) == (1, "step")
    assert (model.gamma, model.tau, model.lr_schedule(1.0)) == (0.9, 0.02, 1e-3)
    if isinstance(algorithm, TD3):
        noise = np.array([model.action_noise() for _ in range(4000)])
        # The standard error of a spread is sigma/sqrt(2n) = 0.0028: a false alarm once in 1e6.
        assert noise.std() == pytest.approx(0.25, abs=0.014)
        assert model.policy_delay == 5
        assert widths(model.actor.mu) == [7, 5, 1]
    elif isinstance(algorithm, TQC):
        assert model.top_quantiles_to_drop_per_net == 4
        assert model.critic.n_quantiles == 13
        assert widths(model.actor.latent_pi) == [7, 5]
    else:
        assert model.action_noise is None
        assert model.ent_coef == "auto"
        assert widths(model.actor.latent_pi) == [7, 5]


def test_the_learning_rate_falls_with_the_steps_done() -> None:
    model = made(PPO(learning_rate=1e-3, decay="linear", minibatches=1))
    assert model.lr_schedule(0.123) == 1e-3
    model.num_timesteps = 250
    assert model.lr_schedule(0.123) == pytest.approx(0.75e-3)
    model.num_timesteps = 1300  # a last rollout may go beyond
    assert model.lr_schedule(0.123) == 0.0

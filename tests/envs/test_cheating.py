"""An agent that sees nothing but constants scores as a random one: nothing else can be read."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnvWrapper

from calib.threads import one_thread
from envs.agents.environments import make_devices
from envs.agents.shipped import find_agent
from envs.agents.vector import AsVecEnv
from envs.game import HIDDEN

DEVICES = 256


def played(environment: Any, act: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each device: the worst gate over its coherence limit at the end, and the return."""
    env = make_devices(environment, DEVICES, judged=True)
    observation, _ = env.reset(seed=seed)
    infos: dict[str, Any] = {}
    returns = np.zeros(DEVICES)
    for _ in range(environment.config["looks"] - 1):
        observation, rewards, _, _, infos = env.step(act(observation))
        returns += rewards
    return infos["final_info"][HIDDEN]["ratio"].max(axis=1), returns


class Blind(VecEnvWrapper):
    """Shows nothing but zeros."""

    def reset(self) -> np.ndarray:
        return np.zeros_like(self.venv.reset())

    def step_wait(self) -> Any:
        observations, *rest = self.venv.step_wait()
        return np.zeros_like(observations), *rest


@pytest.mark.slow
def test_an_agent_without_observations_learns_nothing_that_calibrates() -> None:
    """PPO on constants against random moves: both calibrate nobody; the one that sees does.

    The shipped agent brings 99 % of these within 1.2; that it would bring fewer than 200 of 256
    has a chance below 1e-30. Of random moves, less than one in a thousand ends there.
    """
    seeing = find_agent("pulse")
    table = dict(seeing.environment.config or {}) | {"upkeep": 0.0}
    environment = seeing.environment.model_copy(update={"config": table})
    env = make_devices(environment, 64)
    blind = PPO("MlpPolicy", Blind(AsVecEnv(env)), n_steps=22, batch_size=352, gamma=0.9,
                seed=1, device="cpu", policy_kwargs={"log_std_init": -1.5})  # fmt: skip
    with one_thread():
        blind.learn(10_000)
    rng = np.random.default_rng(5)
    nothing = np.zeros((DEVICES, 7))
    cheat, cheated = played(environment, lambda seen: blind.predict(
        np.zeros_like(seen), deterministic=True)[0], seed=7)  # fmt: skip
    random, drawn = played(environment, lambda _: rng.uniform(-0.2, 0.2, (DEVICES, 7)), seed=8)
    _, still = played(environment, lambda _: nothing, seed=8)
    sees, seen_return = played(environment, lambda seen: seeing.act(seen)[0], seed=9)
    assert (cheat < 1.2).sum() == (random < 1.2).sum() == 0
    assert (sees < 1.2).sum() > 200
    # The best constants can do is to hold still, and that is no calibration: not one in a hundred
    # comes within ten times the limit.
    assert np.median(cheat) > 100
    assert stats.mannwhitneyu(sees, cheat).pvalue < 1e-30  # pyright: ignore[reportAttributeAccessIssue]
    # What constants earn is not above what holding still does (4.5 deviations: 3e-6), and as far
    # from what chance earns as a twentieth of a calibration: random moves cost a little.
    uncertainty = np.hypot(cheated.std(), still.std()) / np.sqrt(DEVICES)
    assert cheated.mean() < still.mean() + 4.5 * uncertainty
    assert abs(cheated.mean() - drawn.mean()) < 0.05 * seen_return.mean()


@pytest.mark.parametrize("move", [-0.5, 0.0, 0.5])
def test_no_constant_action_is_a_calibration(move: float) -> None:
    environment = find_agent("pulse").environment
    table = dict(environment.config or {}) | {"upkeep": 0.0}
    ratios, _ = played(environment.model_copy(update={"config": table}),
                       lambda seen: np.full((len(seen), 7), move), seed=3)  # fmt: skip
    assert (ratios < 1.2).sum() == 0

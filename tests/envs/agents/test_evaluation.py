"""Judging players whose scores are known in closed form."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.agents.evaluation import evaluate
from tests.envs.agents.toy import NOISE, Cancel, Idle, OffsetDevices

DEVICES = 4096
# The ratio is 1 + (offset / 0.2)^2: within 1.2 up to here.
CALIBRATED = 0.2 * math.sqrt(0.2)


def test_the_idle_player_scores_what_the_start_says() -> None:
    found = evaluate(Idle(), OffsetDevices(DEVICES), seed=1)
    # Offsets are uniform in (-1, 1) and episodes last 4 to 8 steps: mean return -6/2, variance
    # 38/3 - 9. Five standard errors everywhere: false alarms below 1e-6 each.
    error = math.sqrt((38 / 3 - 9) / DEVICES)
    assert found.mean_return == pytest.approx(-3.0, abs=5 * error)
    low, high = found.return_interval
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert found.mean_episode_steps == pytest.approx(6.0, abs=5 * math.sqrt(2 / DEVICES))
    share = CALIBRATED
    assert found.calibrated_share == pytest.approx(
        share, abs=5 * math.sqrt(share * (1 - share) / DEVICES)
    )
    # The median of |offset| is 1/2, with standard error 1/(2 sqrt(n)); d ratio = 25 d offset.
    assert found.median_ratio == pytest.approx(7.25, abs=5 * 25 / 2 / math.sqrt(DEVICES))
    assert found.median_interval is not None
    assert found.median_interval[1] - found.median_interval[0] == pytest.approx(
        2 * 1.96 * 25 / 2 / math.sqrt(DEVICES), rel=0.3
    )


def test_the_player_who_knows_the_rules_is_limited_by_noise_alone() -> None:
    found = evaluate(Cancel(), OffsetDevices(DEVICES), seed=2)
    # What is left is the noise of the last measurement: the mean of |noise| is sigma sqrt(2/pi).
    # 0.005 is 7 standard errors, and room for moves that were cut at 1.
    assert found.mean_return == pytest.approx(-6 * NOISE * math.sqrt(2 / math.pi), abs=0.005)
    share = math.erf(CALIBRATED / NOISE / math.sqrt(2))
    assert found.calibrated_share == pytest.approx(
        share, abs=5 * math.sqrt(share * (1 - share) / DEVICES)
    )
    low, high = found.calibrated_interval or (1, 0)
    assert low < share < high


def test_players_are_told_who_begins_and_keep_what_they_remember() -> None:
    class Counting:
        """Remembers how often it was asked since each device began."""

        def act(self, observation: Any, state: Any = None, starts: Any = None) -> Any:
            assert (state is None) == all(starts)
            state = np.where(starts, 0, 0 if state is None else state) + 1
            # The toy tells how many steps are left; together they are an episode's 4 to 8.
            assert (
                (state - 1 + observation[:, 1] >= 4) & (state - 1 + observation[:, 1] <= 8)
            ).all()
            return np.zeros((len(observation), 1), dtype=np.float32), state

    assert evaluate(Counting(), OffsetDevices(64), seed=3).devices == 64


class Single(gymnasium.Env[Any, Any]):
    """One device, one step; its worst gate's ratio is what it was made with."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(2, dtype=np.float32), {"hidden": {"ratio": {"sx": 0.0, "x": 0.0}}}

    def step(self, action: Any) -> Any:
        truth = {"hidden": {"ratio": {"sx": 1.0, "x": self.ratio}}}
        return np.zeros(2, dtype=np.float32), 1.0, True, False, truth


def test_devices_that_were_put_together_one_by_one_are_judged_too() -> None:
    ratios = [1.0, 1.1, 1.3, 5.0, 9.0]
    env = SyncVectorEnv([lambda ratio=ratio: Single(ratio) for ratio in ratios],
                        autoreset_mode=AutoresetMode.SAME_STEP)  # fmt: skip
    found = evaluate(Idle(), env, seed=1)
    assert (found.calibrated, found.median_ratio, found.mean_return) == (2, 1.3, 1.0)


def test_without_hidden_truth_there_is_only_the_return() -> None:
    class Silent(OffsetDevices):
        def _truth(self) -> dict[str, Any]:
            return {"physics": self.offset}

    found = evaluate(Idle(), Silent(8), seed=1)
    assert (found.calibrated, found.calibrated_share, found.median_ratio) == (None, None, None)

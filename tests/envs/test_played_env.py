"""What every environment refuses at a step: to begin without a device, and actions of no number."""

from typing import Any

import gymnasium
import gymnasium.wrappers.vector as wrappers
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

NAMES = ("PulseCalibration", "CZCalibration", "ECRCalibration", "ReadoutCalibration",
         "DeviceCalibration")  # fmt: skip


def alone(name: str) -> Any:
    return gymnasium.make(f"envs:syndrift/{name}-v0").unwrapped  # what wraps it refuses by itself


def vector(name: str, count: int, **config: Any) -> Any:
    mode = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
    return gymnasium.make_vec(f"envs:syndrift/{name}-v0", count, mode, config=config)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_before_the_reset_says_so(name: str) -> None:
    for env in (alone(name), vector(name, 2)):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) before step"):
            env.step(np.zeros(env.action_space.shape, dtype=np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_an_action_that_is_no_number_is_refused_and_moves_nothing(name: str) -> None:
    env = vector(name, 4)
    env.reset(seed=1)
    before = env.play.settings.copy()
    actions = np.zeros(env.action_space.shape, dtype=np.float32)
    actions[1:3, 0] = np.nan
    with pytest.raises(ValueError, match="got nan for device 1 and for 1 more") as error:
        env.step(actions)
    assert "\n" not in str(error.value)
    np.testing.assert_array_equal(env.play.settings, before)
    one = alone(name)
    one.reset(seed=1)
    with pytest.raises(ValueError, match="got nan for device 0: "):
        one.step(np.full(one.action_space.shape, np.nan, dtype=np.float32))
    one.step(np.full(one.action_space.shape, np.inf, dtype=np.float32))  # cut to 1


def test_gymnasiums_record_of_episodes_is_that_of_the_rewards() -> None:
    """Its vector wrappers that change no observation take environments that begin anew at once."""
    env = wrappers.RecordEpisodeStatistics(vector("PulseCalibration", 3, looks=4))
    env.reset(seed=2)
    total, actions = np.zeros(3), np.random.default_rng(1).uniform(-0.3, 0.3, (6, 3, 7))
    for number, action in enumerate(actions.astype(np.float32)):
        _, reward, done, _, infos = env.step(action)
        total += reward
        assert done.tolist() == [number % 3 == 2] * 3  # four looks are three moves
        if done.all():
            assert infos["episode"]["r"] == pytest.approx(total)
            assert infos["episode"]["l"].tolist() == [3] * 3
            total[:] = 0

"""The adapter against stable-baselines3's own DummyVecEnv, and what it must never let through."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from envs.agents.vector import AsVecEnv, info_list
from tests.envs.agents.toy import LONGEST, SHORTEST, OffsetDevices


def poles() -> list[Any]:
    """Cart-poles that fall at different times, or are cut after 20 steps."""
    return [lambda: gymnasium.make("CartPole-v1", max_episode_steps=20) for _ in range(6)]


def same_step(mode: AutoresetMode = AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    return SyncVectorEnv(poles(), autoreset_mode=mode)


def keys_of(info: Any) -> set[str]:
    if not isinstance(info, dict):
        return set()
    return set(info).union(*(keys_of(value) for value in info.values()))


def test_every_step_is_that_of_a_dummy_vec_env() -> None:
    ours, theirs = AsVecEnv(same_step()), DummyVecEnv(poles())
    for env in (ours, theirs):
        env.seed(5)
    # DummyVecEnv seeds its environments 5, 6, ...; so does SyncVectorEnv from one seed.
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    rng, ends = np.random.default_rng(1), {True: 0, False: 0}
    for _ in range(200):
        actions = rng.integers(0, 2, 6)
        got, expected = ours.step(actions), theirs.step(actions)
        for mine, other in zip(got[:3], expected[:3], strict=True):
            np.testing.assert_array_equal(mine, other)
            assert np.asarray(mine).dtype == np.asarray(other).dtype
        for device in np.flatnonzero(got[2]):
            mine, other = got[3][device], expected[3][device]
            last = "terminal_observation"
            np.testing.assert_array_equal(mine[last], other[last])
            assert mine["TimeLimit.truncated"] == other["TimeLimit.truncated"]
            ends[mine["TimeLimit.truncated"]] += 1
        for device in np.flatnonzero(~got[2]):
            assert "terminal_observation" not in got[3][device]
    assert min(ends.values()) > 5  # both kinds of end were met


def test_the_last_look_is_of_the_episode_that_ended() -> None:
    env = AsVecEnv(OffsetDevices(32))
    env.seed(1)
    before, ended = env.reset(), 0
    for _ in range(20):
        stepped: Any = env.step(np.zeros((32, 1), dtype=np.float32))
        after, _, done, infos = stepped
        for device in np.flatnonzero(done):
            # Entry 1 is the number of steps left: 1 before the end, 0 there, the new one's after.
            assert before[device, 1] == 1
            assert infos[device]["terminal_observation"][1] == 0
            assert SHORTEST <= after[device, 1] <= LONGEST
            assert infos[device]["TimeLimit.truncated"] == (device % 2 == 1)
            assert infos[device]["left"] == 0  # from final_info
            assert env.reset_infos[device]["left"] == after[device, 1]
        ended += int(done.sum())
        assert 0 <= done.sum() < 32  # the ends do not coincide
        before = after
    assert ended > 64


def test_the_hidden_truth_never_gets_through() -> None:
    devices = OffsetDevices(16)
    assert "hidden" in devices.reset(seed=1)[1]
    env = AsVecEnv(devices)
    env.reset()
    seen = set().union(*(keys_of(info) for info in env.reset_infos))
    for _ in range(20):
        infos = env.step(np.zeros((16, 1), dtype=np.float32))[3]
        seen |= set().union(*(keys_of(info) for info in (*infos, *env.reset_infos)))
    assert seen == {"begun", "left", "terminal_observation", "TimeLimit.truncated"}


def test_infos_go_to_the_devices_that_their_masks_name() -> None:
    mask = np.array([True, False, True])
    infos = {"a": np.array([1, 2, 3]), "_a": mask, "b": np.array([4, 5, 6]), "_hidden": mask,
             "c": {"d": np.array([7, 8, 9]), "_d": ~mask, "hidden": np.zeros(3)}}  # fmt: skip
    assert info_list(infos, 3) == [
        {"a": 1, "b": 4, "c": {}},
        {"b": 5, "c": {"d": 8}},
        {"a": 3, "b": 6, "c": {}},
    ]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_modes_are_refused(mode: AutoresetMode) -> None:
    with pytest.raises(ValueError, match=f"autoreset mode SAME_STEP, got {mode.name}"):
        AsVecEnv(same_step(mode))


def test_an_environment_that_says_nothing_of_its_mode_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(OffsetDevices, "metadata", {})
    with pytest.raises(ValueError, match="SAME_STEP, got None"):
        AsVecEnv(OffsetDevices(2))


def test_observations_that_are_tables_are_refused() -> None:
    devices = OffsetDevices(2)
    devices.single_observation_space = gymnasium.spaces.Dict(a=devices.single_observation_space)
    with pytest.raises(ValueError, match="got a Dict: flatten"):
        AsVecEnv(devices)


def test_an_end_without_a_last_look_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = OffsetDevices(2)
    ended = np.ones(2, dtype=bool)
    monkeypatch.setattr(
        devices, "step", lambda _: (np.zeros((2, 2)), np.zeros(2), ended, ~ended, {"left": ended})
    )
    env = AsVecEnv(devices)
    env.reset()
    with pytest.raises(ValueError, match=r"expected `final_obs` .* got only left"):
        env.step(np.zeros((2, 1)))


def test_a_seed_holds_for_one_reset() -> None:
    env, twin = AsVecEnv(OffsetDevices(4)), AsVecEnv(OffsetDevices(4))
    assert env.seed(3) == [3] * 4
    twin.seed(3)
    first, again = env.reset(), twin.reset()
    np.testing.assert_array_equal(first, again)
    second = env.reset()  # the generator runs on
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(second, twin.reset())


def test_observations_do_not_change_under_the_reader() -> None:
    class Reusing(OffsetDevices):
        def _look(self) -> Any:
            look = super()._look()
            self.buffer = getattr(self, "buffer", look)
            self.buffer[:] = look
            return self.buffer

    env = AsVecEnv(Reusing(4))
    first = env.reset()
    kept = first.copy()
    env.step(np.ones((4, 1), dtype=np.float32))
    np.testing.assert_array_equal(first, kept)


def test_attributes_and_methods_are_the_batch_s() -> None:
    devices = OffsetDevices(3)
    env = AsVecEnv(devices)
    assert env.get_attr("noise") == [devices.noise] * 3
    assert env.get_attr("noise", indices=[0, 2]) == [devices.noise] * 2
    assert not env.has_attr("colour")
    env.set_attr("noise", 0.5)
    assert devices.noise == 0.5
    with pytest.raises(ValueError, match="set `noise` for some devices"):
        env.set_attr("noise", 0.1, indices=1)
    env.reset()
    (answer, *others) = env.env_method("_truth")
    assert answer["ratio"].shape == (3, 2)
    assert len(others) == 2
    with pytest.raises(ValueError, match="call `_truth` for some devices"):
        env.env_method("_truth", indices=[0])
    assert env.env_is_wrapped(gymnasium.Wrapper) == [False] * 3


def test_options_reach_the_environment_once() -> None:
    devices = OffsetDevices(2)
    env = AsVecEnv(devices)
    env.set_options({"gently": True})
    env.reset()
    assert devices.options == {"gently": True}
    env.reset()
    assert devices.options is None
    env.set_options([{"gently": True}, {}])
    with pytest.raises(ValueError, match="same options for all devices"):
        env.reset()


def test_steps_without_actions_are_an_error() -> None:
    env = AsVecEnv(OffsetDevices(2))
    env.reset()
    with pytest.raises(RuntimeError, match="before step_async"):
        env.step_wait()


def test_monitor_and_normaliser_work_on_top() -> None:
    devices = OffsetDevices(64)
    env = VecNormalize(VecMonitor(AsVecEnv(devices)), norm_reward=False)
    env.seed(2)
    env.reset()
    returns, episodes = np.zeros(64), 0
    for _ in range(30):
        raw: Any = env.normalize_obs  # the last look is normalised as every other
        _, reward, done, infos = env.step(np.zeros((64, 1), dtype=np.float32))
        returns += reward
        for device in np.flatnonzero(done):
            assert infos[device]["episode"]["r"] == pytest.approx(returns[device], rel=1e-5)
            assert SHORTEST <= infos[device]["episode"]["l"] <= LONGEST
            no_step_left = raw(np.array([0.0, 0.0]))
            assert infos[device]["terminal_observation"][1] == pytest.approx(no_step_left[1])
        returns[done] = 0
        episodes += int(done.sum())
    assert episodes > 64 * 2

"""Every calibration environment, through the contracts of Gymnasium and stable-baselines3."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from envs.game import HIDDEN

CALIBRATIONS = ("PulseCalibration", "CZCalibration", "ECRCalibration", "ReadoutCalibration")


def vector(name: str, count: int, **keywords: Any) -> Any:
    mode = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
    return gymnasium.make_vec(f"envs:syndrift/{name}-v0", count, mode, **keywords)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_both_checkers_pass_without_a_warning(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(f"envs:syndrift/{name}-v0")
        check_env(env.unwrapped)
        check_env_for_sb3(env.unwrapped)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_the_same_seed_is_the_same_episode(name: str):
    def episodes() -> list[np.ndarray]:
        env = vector(name, 5)
        seen = [env.reset(seed=7)[0]]
        actions = np.random.default_rng(1).uniform(-0.3, 0.3, (12, *env.action_space.shape))
        return seen + [env.step(action.astype(np.float32))[0] for action in actions]

    for first, second in zip(episodes(), episodes(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_an_episode_that_ends_begins_anew_with_another_device(name: str):
    env = vector(name, 4, config={"looks": 3}, judged=True)
    _, first = env.reset(seed=1)
    still = np.zeros(env.action_space.shape, dtype=np.float32)
    *_, done, _, _ = env.step(still)
    assert not done.any()
    seen, _, done, cut, infos = env.step(still)
    assert done.all()
    assert not cut.any()
    assert (infos["final_obs"][:, -1] == 1).all()  # the end of the time
    assert (seen[:, -1] == np.float32(2 / 3 - 1)).all()  # one look of three
    before, after = infos["final_info"][HIDDEN]["physics"], infos[HIDDEN]["physics"]
    name_of_one = next(name for name in before if name.startswith("t1_us"))
    assert (before[name_of_one] == first[HIDDEN]["physics"][name_of_one]).all()
    assert (before[name_of_one] != after[name_of_one]).all()
    shots = infos["final_info"]["shots"]
    assert (shots == 3 * infos["shots"]).all()


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_nothing_that_is_seen_knows_the_truth(name: str):
    """From the counts, the length and the time alone, the rules make the whole observation."""
    env = gymnasium.make(f"envs:syndrift/{name}-v0")
    observation, info = env.reset(seed=3)
    assert set(info) == {"shots", HIDDEN}
    rules = env.unwrapped.play.rules  # pyright: ignore[reportAttributeAccessIssue] ours
    ones = (observation[: len(rules.game.circuits)] + 1) / 2 * rules.config.shots
    assert ones == pytest.approx(ones.round(), abs=1e-4)  # counts, and nothing finer
    if name != "ReadoutCalibration":  # which also shows where clouds lie
        again = rules.observation(ones.round()[None], np.zeros(1, dtype=int), np.ones(1, dtype=int))
        np.testing.assert_allclose(again[0], observation, atol=1e-6)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_what_cannot_be_is_refused(name: str):
    with pytest.raises(ValueError, match="stands still"):
        vector(name, 2, config={"devices": {"topology": {"kind": "line", "qubits": 3}}})
    with pytest.raises(ValueError, match="powers of two"):
        vector(name, 2, config={"reward": {"repetitions": [1, 3]}})
    with pytest.raises(ValueError, match="must be at most"):
        vector(name, 2, config={"reward": {"repetitions": [1, 1024]}})
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        vector(name, 2, config={"looks": 1})  # a look before the first move, and one after the last
    with pytest.raises(ValueError, match="at least 1"):
        vector(name, 0)
    with pytest.raises(ValueError, match="one number"):
        vector(name, 2).reset(seed=[1, 2])

"""Plays, configs and circuits that the steering environment refuses."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from envs.agents.steerers import SPSA
from envs.agents.vector import AsVecEnv
from envs.steering import SurfaceCodeSteeringVector
from tests.envs.test_steering import alone, vector


@pytest.fixture
def begun() -> Iterator[Any]:
    env = vector(4)
    env.reset(seed=1)
    yield env
    env.close()


def test_wrong_plays_are_refused(begun: Any) -> None:
    still = np.zeros(begun.action_space.shape)
    for env, action in ((alone().unwrapped, still[0]), (vector(4), still)):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) before step"):
            env.step(action)
    still[2, 5] = np.nan
    epoch = begun.experiment.epoch
    with pytest.raises(ValueError, match="actions must be numbers, got nan"):
        begun.step(still)
    assert begun.experiment.epoch == epoch  # no time has passed
    with pytest.raises(ValueError, match="seed must be one number"):
        begun.reset(seed=[1, 2, 3, 4])
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        vector(0)


@pytest.mark.parametrize("shape", [(4, 1), (7, 41), (41,)])
def test_actions_of_another_shape_are_refused(begun: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        begun.step(np.zeros(shape))


@pytest.mark.parametrize("count", [1, 3])
def test_candidates_must_make_pairs_for_a_steerer(count: int) -> None:
    model = SPSA(env=AsVecEnv(SurfaceCodeSteeringVector(count)))
    with pytest.raises(ValueError, match=f"even num_envs of at least 2, got {count}"):
        model.learn(10)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"cycle": 3}, "Extra inputs are not permitted"),
        ({"memory": {"distances": 3}}, "Extra inputs are not permitted"),
        ({"plant": {"parameter": 3}}, "Extra inputs are not permitted"),
        ({"cycles": 0}, "greater than or equal to 1"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"bound": 0.0}, "greater than 0"),
        ({"detections": "sample"}, "'closed-form' or 'sampled'"),
        ({"plant": {"crosstalk": 1.0}}, "less than 1"),
        ({"memory": {"code": "rotated"}}, "did you mean 'rotated-surface'"),
        ({"memory": {"circuit": "x.stim", "distance": 3}}, "either a circuit or distance, not"),
        ({"memory": {"circuit": "x.stim", "code": "color", "basis": "X"}}, "basis, code, not"),
        ({"memory": {"circuit": "x.stim"}}, "give rounds beside it"),
        ({"memory": {"circuit": "there_is_none.stim", "rounds": 2}}, "there_is_none.stim"),
        ({"drift": [{"process": {"kind": "ramp"}, "absolute": {"optimun": 1.0}}]},
         "did you mean optimum"),
    ],
)  # fmt: skip
def test_configs_that_cannot_be_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vector(2, config).reset(seed=1)


@pytest.mark.parametrize("noise", ["CORRELATED_ERROR(0.1) X0 X1", "HERALDED_ERASE(0.1) 0"])
def test_circuits_of_other_noise_are_refused(tmp_path: pathlib.Path, noise: str) -> None:
    path = tmp_path / "correlated.stim"
    path.write_text(f"R 0 1\n{noise}\nDEPOLARIZE1(0.1) 0\nM 0 1\nDETECTOR rec[-1]\n")
    with pytest.raises(ValueError, match="expected independent Pauli noise, got"):
        vector(2, {"memory": {"circuit": str(path), "rounds": 2}})

"""Checkpoints: nothing lost, nothing that could run, and whole whenever they were cut off."""

import io
import json
import pathlib
import zipfile
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from envs.agents import checkpoint
from envs.agents.algorithms import make_model
from envs.agents.checkpoint import CHECKPOINT, Record, load, load_policy, save
from envs.agents.config import TrainConfig
from envs.agents.space_tables import space_of, table_of
from envs.agents.vector import AsVecEnv
from tests.envs.agents.toy import TOY, OffsetDevices

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"rollout_steps": 8, "network": (8,), "epochs": 2},
    "recurrent-ppo": {"rollout_steps": 8, "network": (8,), "lstm": 4, "epochs": 1},
    "sac": {"network": (8,), "warm_up": 20, "updates": 2, "batch": 16, "buffer": 1000},
    "td3": {"network": (8,), "warm_up": 20, "updates": 3, "batch": 16, "buffer": 1000},
    "tqc": {"network": (8,), "warm_up": 20, "updates": 2, "batch": 16, "buffer": 1000},
}
DEVICES = 16


def config_of(kind: str, **settings: Any) -> TrainConfig:
    return TrainConfig.model_validate({
        "environment": {"id": TOY}, "devices": DEVICES, "steps": 400,
        "algorithm": {"kind": kind, **SMALL[kind]}, **settings,
    })  # fmt: skip


def model_of(config: TrainConfig, seed: int = 1, learnt: int = 256) -> Any:
    """A model that has learnt a little: its optimisers and its normaliser have a state."""
    env = VecNormalize(VecMonitor(AsVecEnv(OffsetDevices(config.devices))),
                       norm_obs=config.normalise_observations)  # fmt: skip
    model = make_model(config.algorithm, env, seed, config.steps)
    return model.learn(learnt) if learnt else model


def record_of(model: Any) -> Record:
    return Record(steps=model.num_timesteps, updates=model._n_updates)


def looks(count: int = 50) -> np.ndarray:
    """Some as in training, and some so far off that the normaliser cuts them."""
    seen = np.random.default_rng(5).normal([20.0, 4.0], [60.0, 2.0], (count, 2))
    seen[::10] *= 1e3
    return seen.astype(np.float32)


def assert_same(one: Any, other: Any) -> None:
    """Equal to the last bit, however nested."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, others in zip(one, other, strict=True):
            assert_same(mine, others)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("kind", SMALL)
def test_a_loaded_policy_acts_as_the_one_that_was_saved(kind: str, tmp_path: pathlib.Path) -> None:
    config = config_of(kind)
    model = model_of(config)
    save(tmp_path, config, model, record_of(model))
    agent, seen = load_policy(tmp_path), looks()
    # What stable-baselines3's own normaliser and model say.
    normalised = model.get_vec_normalize_env().normalize_obs(seen)
    expected, memory = model.predict(normalised, deterministic=True)
    actions, state = agent.act(seen)
    np.testing.assert_array_equal(actions, expected)
    assert np.abs(actions - model.predict(seen, deterministic=True)[0]).max() > 1e-3
    again, _ = agent.act(seen, state, np.zeros(len(seen), dtype=bool))
    later, _ = model.predict(normalised, memory, np.zeros(len(seen), dtype=bool), True)
    np.testing.assert_array_equal(again, later)
    assert np.array_equal(again, actions) == (kind != "recurrent-ppo")  # only that one remembers
    assert agent.environment.id == TOY
    assert agent.observation_space.shape == (2,)
    assert agent.action_space == gymnasium.spaces.Box(-1, 1, (1,), np.float32)


@pytest.mark.parametrize("kind", SMALL)
def test_a_restored_model_is_the_saved_one(kind: str, tmp_path: pathlib.Path) -> None:
    config = config_of(kind)
    model = model_of(config)
    save(tmp_path, config, model, record_of(model))
    other = model_of(config, seed=2, learnt=64)
    load(tmp_path).restore(other)
    assert_same(other.get_parameters(), model.get_parameters())
    assert any(state["state"] for name, state in model.get_parameters().items() if name != "policy")
    if kind in ("sac", "tqc"):
        assert torch.equal(other.log_ent_coef, model.log_ent_coef)
        assert model.log_ent_coef.item() != 0  # it was learnt
    mine, theirs = other.get_vec_normalize_env(), model.get_vec_normalize_env()
    for name in ("obs_rms", "ret_rms"):
        for part in ("mean", "var", "count"):
            one, two = getattr(getattr(mine, name), part), getattr(getattr(theirs, name), part)
            np.testing.assert_array_equal(one, two)
    assert (other.num_timesteps, other._n_updates) == (model.num_timesteps, model._n_updates)


def test_a_model_without_normaliser_is_not_saved(tmp_path: pathlib.Path) -> None:
    config = config_of("ppo")
    model = make_model(config.algorithm, AsVecEnv(OffsetDevices(DEVICES)), 1, config.steps)
    with pytest.raises(ValueError, match="in a VecNormalize"):
        save(tmp_path, config, model, Record())


def test_observations_that_are_not_normalised_stay_as_they_are(tmp_path: pathlib.Path) -> None:
    config = config_of("ppo", normalise_observations=False)
    model = model_of(config)
    save(tmp_path, config, model, record_of(model))
    expected, _ = model.predict(looks(), deterministic=True)
    np.testing.assert_array_equal(load_policy(tmp_path).act(looks())[0], expected)


def test_observations_of_another_shape_are_refused(tmp_path: pathlib.Path) -> None:
    config = config_of("ppo")
    save(tmp_path, config, model_of(config, learnt=0), Record())
    with pytest.raises(ValueError, match=r"shape \(devices, 2\), got \(50, 3\)"):
        load_policy(tmp_path).act(np.zeros((50, 3), dtype=np.float32))


def test_nothing_in_a_checkpoint_can_run(tmp_path: pathlib.Path) -> None:
    config = config_of("sac")
    model = model_of(config)
    save(tmp_path, config, model, record_of(model))
    kinds = sorted(path.suffix for path in tmp_path.iterdir())
    assert kinds == [".json", ".npz", ".npz"]
    json.loads((tmp_path / CHECKPOINT).read_text())
    for path in tmp_path.glob("*.npz"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                header = io.BytesIO(archive.read(name))
                assert np.lib.format.read_magic(header) == (1, 0)
                assert not np.lib.format.read_array_header_1_0(header)[2].hasobject


class Killed(BaseException):
    """Not an Exception: nothing may catch it."""


def save_killed_after(left: int, patches: pytest.MonkeyPatch, *saved: Any) -> bool:
    """Saves until so many calls have reached the disk; whether that was all of them."""
    calls = 0

    def counted(call: Any, half: bool = False) -> Any:
        def wrapped(*arguments: Any, **settings: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > left:
                if half:  # as much as the kernel had taken
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise Killed
            return call(*arguments, **settings)

        return wrapped

    class Writing(io.FileIO):
        write = counted(io.FileIO.write, half=True)

    with patches.context() as patch:
        for name in ("replace", "fsync"):
            patch.setattr(checkpoint.os, name, counted(getattr(checkpoint.os, name)))
        patch.setattr(pathlib.Path, "unlink", counted(pathlib.Path.unlink))
        patch.setattr(pathlib.Path, "open", lambda path, mode: Writing(path, mode[:1]))
        try:
            save(*saved)
        except Killed:
            return False
    return True


def test_a_save_that_is_killed_leaves_one_checkpoint_whole(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of("ppo")
    models = [model_of(config, seed) for seed in (1, 2)]
    whole = [model.get_parameters() for model in models]
    found, done = [], False
    for left in range(100):
        folder = tmp_path / str(left)
        save(folder, config, models[0], record_of(models[0]))
        done = save_killed_after(left, monkeypatch, folder, config, models[1], record_of(models[1]))
        kept = load(folder)
        other = model_of(config, seed=3, learnt=0)
        kept.restore(other)
        is_new = torch.equal(*(one["policy"]["action_net.weight"]
                               for one in (other.get_parameters(), whole[1])))  # fmt: skip
        assert_same(other.get_parameters(), whole[1 if is_new else 0])
        found.append(is_new)
        load_policy(folder)
        # The next save puts what was left behind in order.
        save(folder, config, models[1], record_of(models[1]))
        assert len(list(folder.iterdir())) == 3
        if done:
            break
    assert done
    assert found == sorted(found)  # first the old one, from some moment on the new one
    # Three files are written, flushed and put in place; then two are cleared away.
    assert found.count(False) == 9
    assert found.count(True) == 3


def test_damage_is_noticed(tmp_path: pathlib.Path) -> None:
    config = config_of("ppo")
    save(tmp_path, config, model_of(config, learnt=0), Record())
    (policy,) = tmp_path.glob("policy-*.npz")
    content = bytearray(policy.read_bytes())
    content[len(content) // 2] ^= 1
    policy.write_bytes(content)
    with pytest.raises(ValueError, match=r"policy-.*npz: damaged"):
        load_policy(tmp_path)
    policy.unlink()
    with pytest.raises(ValueError, match=r"policy-.*npz: missing.*copy the folder whole"):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "expected a checkpoint of format 1, got 9"),
        ({"normaliser": None}, "not a checkpoint of this version: normaliser"),
        ({"surprise": 1}, "not a checkpoint of this version: surprise"),
    ],
)
def test_checkpoints_of_other_versions_are_refused(
    change: dict[str, Any], message: str, tmp_path: pathlib.Path
) -> None:
    config = config_of("ppo")
    save(tmp_path, config, model_of(config, learnt=0), Record())
    path = tmp_path / CHECKPOINT
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_without_checkpoint_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=f"not an agent's folder .it has no {CHECKPOINT}"):
        load_policy(tmp_path)


def test_other_files_in_the_folder_are_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    config = config_of("ppo")
    save(tmp_path, config, model_of(config, learnt=0), Record())
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "space",
    [
        gymnasium.spaces.Box(-1, 1, (3,), np.float32),
        gymnasium.spaces.Box(np.array([[-np.inf, 0.1]]), np.array([[2, np.inf]]), dtype=np.float64),
        gymnasium.spaces.Discrete(5, start=2),
        gymnasium.spaces.MultiDiscrete([2, 3, 4]),
    ],
    ids=str,
)  # fmt: skip
def test_spaces_come_back(space: gymnasium.Space) -> None:
    table = table_of(space)
    assert space_of(type(table).model_validate_json(table.model_dump_json())) == space


def test_spaces_of_other_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a Box, Discrete or MultiDiscrete"):
        table_of(gymnasium.spaces.MultiBinary(3))

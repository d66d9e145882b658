"""What is kept of an agent: one folder that a kill at any moment leaves whole."""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from envs.agents.algorithms import make_policy
from envs.agents.config import EnvironmentRecipe, TrainConfig
from envs.agents.evaluation import Evaluation
from envs.agents.normaliser import Normaliser
from envs.agents.space_tables import SpaceTable, space_of, table_of

# Words stand in the JSON; numbers of networks and optimiser in NumPy files, named after their
# content, of plain arrays that are read with allow_pickle=False: nothing in here can run.
CHECKPOINT = "checkpoint.json"
_FORMAT = 1
_POLICY, _OPTIMISER = "policy", "optimiser"
_Arrays = dict[str, NDArray[Any]]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(_Kept):
    """How an agent came to be. Its random numbers begin anew from (seed, steps) at each save."""

    steps: int = 0
    seconds: float = 0.0  # of training
    updates: int = 0  # stable-baselines3's count, which paces TD3's policy
    evaluations: tuple[Evaluation, ...] = ()
    versions: dict[str, str] = {}
    commit: str | None = None


class _Words(_Kept):
    """The JSON of a checkpoint."""

    format: int
    config: TrainConfig
    observations: SpaceTable
    actions: SpaceTable
    normaliser: Normaliser
    record: Record
    optimisers: dict[str, list[dict[str, Any]]]  # Adam's settings, by its place in the model
    files: dict[str, str]  # what -> the file's name
    sha256: dict[str, str]  # what -> the file's hash


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and is whole."""

    words: _Words
    policy: _Arrays
    optimiser: _Arrays

    @property
    def config(self) -> TrainConfig:
        """What the agent was trained with."""
        return self.words.config

    @property
    def record(self) -> Record:
        """How the agent came to be."""
        return self.words.record

    def restore(self, model: BaseAlgorithm) -> None:
        """Puts networks, optimisers, normaliser and counts into a model of the same recipe."""
        parameters: dict[str, Any] = {"policy": _tensors(self.policy)}
        for name, groups in self.words.optimisers.items():
            parameters[name] = {"state": _adam_state(self.optimiser, name), "param_groups": groups}
        model.set_parameters(parameters, exact_match=True, device="cpu")
        if _ENTROPY in self.optimiser:
            getattr(model, _ENTROPY).data.copy_(torch.from_numpy(self.optimiser[_ENTROPY]))
        self.words.normaliser.restore(model)
        model.num_timesteps = self.record.steps
        model._n_updates = self.record.updates  # no public name; TD3's policy delay counts it


class Agent:
    """A trained policy with its normaliser: acts on raw observations, always the same way."""

    def __init__(self, policy: BasePolicy, normaliser: Normaliser, config: TrainConfig) -> None:
        self._policy, self._normaliser = policy, normaliser
        self.config = config

    @property
    def environment(self) -> EnvironmentRecipe:
        """The environment that the agent was trained in, and its config."""
        return self.config.environment

    @property
    def observation_space(self) -> gymnasium.Space:
        """Of one device."""
        return self._policy.observation_space

    @property
    def action_space(self) -> gymnasium.Space:
        """Of one device."""
        return self._policy.action_space

    def act(
        self,
        observation: NDArray[Any],
        state: Any = None,
        starts: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[Any], Any]:
        """The best known actions [B, ...] after raw observations [B, ...], without chance.

        Hand the second value back as `state` in the next step: what a recurrent policy remembers
        (None for others). `starts` [B] says which devices begin anew; with no state, all do.
        """
        shape = self.observation_space.shape
        if observation.shape[1:] != shape:
            raise ValueError(
                f"expected observations of shape (devices, {', '.join(map(str, shape or ()))}), "
                f"got {observation.shape}"
            )
        seen = self._normaliser.apply(observation)
        return self._policy.predict(seen, state, starts, deterministic=True)


def agent_of(model: BaseAlgorithm, config: TrainConfig) -> Agent:
    """The agent that a model in training is at this moment; it learns on with the model."""
    return Agent(model.policy, Normaliser.of(model), config)


def save(folder: pathlib.Path, config: TrainConfig, model: BaseAlgorithm, record: Record) -> None:
    """Writes the checkpoint; a kill at any moment leaves the one before, or this one, whole."""
    parameters: dict[str, Any] = model.get_parameters()
    optimiser: _Arrays = {}
    for name, state in parameters.items():
        if name != "policy":
            optimiser |= _adam_arrays(state, name)
    if getattr(model, _ENTROPY, None) is not None:
        optimiser[_ENTROPY] = getattr(model, _ENTROPY).detach().numpy()
    data = {_POLICY: _packed(_arrays(parameters["policy"])), _OPTIMISER: _packed(optimiser)}
    digests = {what: hashlib.sha256(content).hexdigest() for what, content in data.items()}
    words = _Words(
        format=_FORMAT,
        config=config,
        observations=table_of(model.observation_space),
        actions=table_of(model.action_space),
        normaliser=Normaliser.of(model),
        record=record,
        optimisers={name: one["param_groups"] for name, one in parameters.items()
                    if name != "policy"},
        files={what: f"{what}-{digest[:16]}.npz" for what, digest in digests.items()},
        sha256=digests,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for what, content in data.items():
        _write(folder / words.files[what], content)
    _write(folder / CHECKPOINT, (words.model_dump_json(indent=1) + "\n").encode())  # now it counts
    for what in data:
        for file in folder.glob(f"{what}-*.npz*"):
            if file.name != words.files[what]:
                file.unlink()  # of the checkpoint before, or of a save that was killed


def load(folder: pathlib.Path) -> Checkpoint:
    """Reads a checkpoint; ValueError in one line where the folder holds none or it is damaged."""
    words = _read_words(folder)
    return Checkpoint(words, *(_read_arrays(folder, words, what) for what in (_POLICY, _OPTIMISER)))


def load_policy(folder: pathlib.Path) -> Agent:
    """The agent of a checkpoint, to act; needs no environment."""
    words = _read_words(folder)
    policy = make_policy(
        words.config.algorithm, space_of(words.observations), space_of(words.actions)
    )
    policy.load_state_dict(_tensors(_read_arrays(folder, words, _POLICY)))
    return Agent(policy, words.normaliser, words.config)


_ENTROPY = "log_ent_coef"  # SAC's and TQC's, beside the networks


def _read_words(folder: pathlib.Path) -> _Words:
    path = folder / CHECKPOINT
    if not path.is_file():
        raise ValueError(f"{folder}: not an agent's folder (it has no {CHECKPOINT})")
    try:
        words = _Words.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{path}: not a checkpoint of this version: {where}: {first['msg']}"
        ) from None
    if words.format != _FORMAT:
        raise ValueError(f"{path}: expected a checkpoint of format {_FORMAT}, got {words.format}")
    return words


def _read_arrays(folder: pathlib.Path, words: _Words, what: str) -> _Arrays:
    path = folder / words.files[what]
    if not path.is_file():
        raise ValueError(f"{path}: missing, though {CHECKPOINT} names it: copy the folder whole")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != words.sha256[what]:
        raise ValueError(f"{path}: damaged (its hash is not the one in {CHECKPOINT})")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def _write(path: pathlib.Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _packed(arrays: _Arrays) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def _arrays(tensors: Mapping[str, torch.Tensor]) -> _Arrays:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def _tensors(arrays: _Arrays) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _adam_arrays(state: Mapping[str, Any], name: str) -> _Arrays:
    return {
        f"{name}/{parameter}/{slot}": value.detach().numpy()
        for parameter, slots in state["state"].items()
        for slot, value in slots.items()
    }


def _adam_state(arrays: _Arrays, name: str) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, array in arrays.items():
        place, _, rest = key.partition("/")
        if place == name:
            parameter, slot = rest.split("/")
            state.setdefault(int(parameter), {})[slot] = torch.from_numpy(array)
    return state

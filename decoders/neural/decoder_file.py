"""A trained decoder in one file: float32 weights as safetensors; its header says what it is for."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from decoders.baselines.extras import optional_module
from decoders.neural.lattice import Kind, Lattice
from decoders.neural.training_config import TrainingConfig
from decoders.paired import Paired

if TYPE_CHECKING:
    from torch import nn

    from decoders.neural.problem import Problem
    from decoders.neural.training import Trained
    from decoders.points import Point

FORMAT = 1
OURS, START = "this one", "its start"  # the trained decoder's name in judgements, and before it
SIGNIFICANT = 0.01  # McNemar's p below which one decoder is better than another
_KEY = "syndrift"  # the only one: safetensors writes several in no fixed order
_PACKAGES = ("syndrift", "torch", "numpy", "stim", "pymatching", "safetensors")

Weights = Mapping[str, NDArray[np.float32]]
_Found = TypeVar("_Found")


class Kept(BaseModel):
    """What stands in the header: frozen, and nothing that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingCircuit(Kept):
    """A circuit that it was trained on.

    `shape` is its lattice's [L, T, Y, X], `chances` the lowest and the highest probability of an
    edge by itself, `flipping` the kind (by number), row and column of each edge that flips an
    observable, `sha256` that of the circuit's text.
    """

    source: str
    code: str
    distance: int | None
    rounds: int | None
    basis: str | None
    noise: dict[str, Any]
    sha256: str
    shape: tuple[int, int, int, int]
    chances: tuple[float, float]
    flipping: tuple[tuple[int, int, int], ...]


class Budget(Kept):
    """What the training took: examples drawn, seconds, and on which machine, in words."""

    examples: int
    seconds: float
    machine: str


class Judgement(Kept):
    """Errors of each decoder on the held-out shots, after so many examples.

    `seconds` are of training, over all sessions; `loss` is the mean since the last one, in nats,
    an open shot. `held_out_loss`, where shots are recorded, is that on those that select, in nats
    an observable of any shot.
    """

    step: int
    examples: int
    seconds: float
    loss: float
    shots: int
    errors: dict[str, int]
    held_out_loss: float | None = Field(default=None, exclude_if=lambda loss: loss is None)


class FineTuning(Kept):
    """What a training on recorded shots came to, on shots that it saw in no way.

    `data` tells the files from others, `parts` are shots to train, select and judge by; `step` is
    that of the weights that were selected, of `steps`. `start` is the digest of the weights that it
    began with, if they were given. `errors` are of each decoder with each error model; `beyond` are
    on how many shots this one and that one failed both, only this one, and only that one.
    """

    data: str
    seed: int
    parts: tuple[int, int, int]
    step: int
    steps: int
    start: str | None
    shots: int
    errors: dict[str, int]
    beyond: dict[str, tuple[int, int, int]]

    def paired(self, other: str) -> Paired:
        """This one (first) and another (second) on the same shots."""
        return Paired(*self.beyond[other])

    @property
    def is_better(self) -> bool:
        """Whether it errs significantly less than what it began as, p < 0.01 by McNemar's test."""
        found = self.paired(START)
        return found.first < found.second and found.p_value < SIGNIFICANT


class Header(Kept):
    """All that is known of a trained decoder but its weights, whose digest is `sha256`."""

    format: Literal[1]
    config: TrainingConfig
    kinds: tuple[Kind, ...]
    layers: int
    circuits: tuple[TrainingCircuit, ...]
    budget: Budget
    judgements: tuple[Judgement, ...]
    fine_tuning: FineTuning | None = Field(default=None, exclude_if=lambda found: found is None)
    versions: dict[str, str]
    commit: str | None
    sha256: str


class DecoderFile(NamedTuple):
    """What a file holds; `weights` are arrays by name."""

    path: pathlib.Path
    header: Header
    weights: Weights

    def network(self) -> nn.Module:
        """The trained network, on the CPU; ValueError if the weights are another's."""
        torch = optional_module("torch", extra="neural")
        with torch.random.fork_rng(devices=[]):  # the weights that it begins with are drawn
            made = self.header.config.network.network(len(self.header.kinds), self.header.layers)
        shapes = {name: tuple(value.shape) for name, value in made.state_dict().items()}
        if shapes != {name: value.shape for name, value in self.weights.items()}:
            raise ValueError(f"{self.path}: the weights are not those of the network in its header")
        made.load_state_dict({name: torch.tensor(value) for name, value in self.weights.items()})
        return made.eval().requires_grad_(False)


def write_decoder(
    path: pathlib.Path, trained: Trained, *, machine: str = "", commit: str | None = None
) -> Header:
    """Writes the file; a kill at any moment leaves what was there, or all of the new one."""
    weights = _weights_of(trained)
    header = _header_of(trained, weights, machine, commit)
    numpy_files = optional_module("safetensors.numpy", extra="neural")
    beside = path.with_name(f"{path.name}.part")
    beside.write_bytes(numpy_files.save(dict(weights), {_KEY: header.model_dump_json()}))
    os.replace(beside, path)
    return header


def read_header(path: pathlib.Path) -> Header:
    """What a file says of itself, without its weights; ValueError if it is no decoder's file."""
    return _read(path, lambda file: _header(path, file.metadata()))


def read_decoder(path: pathlib.Path) -> DecoderFile:
    """All of a file; ValueError if it is no decoder's file, or is damaged."""
    header, weights = _read(
        path,
        lambda file: (
            _header(path, file.metadata()),
            {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118 it is no mapping
        ),
    )
    if _digest(weights) != header.sha256:
        raise ValueError(f"{path}: the weights are damaged: they are not those that were written")
    return DecoderFile(path, header, weights)


def flipping_places(lattice: Lattice) -> set[tuple[int, int, int]]:
    """Kind (by number), row and column of the edges that flip an observable, of all rounds."""
    sides = len(lattice.kinds), *lattice.shape[1:]
    kinds, _, rows, columns = (one.tolist() for one in np.unravel_index(lattice.edges, sides))
    return {place for place in zip(kinds, rows, columns, strict=True)
            if lattice.kinds[place[0]].flipped}  # fmt: skip


def _weights_of(trained: Trained) -> Weights:
    found = {name: np.ascontiguousarray(value.detach().cpu().float().numpy())
             for name, value in trained.network.state_dict().items()}  # fmt: skip
    infinite = [name for name, value in found.items() if not np.isfinite(value).all()]
    if infinite:
        raise ValueError(
            f"the weights {', '.join(infinite)} are not finite: the training went astray; "
            "try a lower optimiser.rate"
        )
    return found


def _header_of(trained: Trained, weights: Weights, machine: str, commit: str | None) -> Header:
    lessons = trained.lessons
    return Header(
        format=FORMAT, config=trained.config, kinds=lessons.kinds, layers=lessons.layers,
        circuits=tuple(map(_circuit_of, lessons.points, lessons.problems)),
        budget=Budget(
            examples=trained.step * trained.config.batch,
            seconds=trained.seconds, machine=machine,
        ),
        judgements=trained.judgements, fine_tuning=trained.fine_tuning,
        versions=_versions(), commit=commit, sha256=_digest(weights),
    )  # fmt: skip


def _circuit_of(point: Point, problem: Problem) -> TrainingCircuit:
    return TrainingCircuit(
        source=point.source, code=point.code, distance=point.distance, rounds=point.rounds,
        basis=point.basis, noise=dict(point.noise),
        sha256=hashlib.sha256(str(point.circuit).encode()).hexdigest(),
        shape=problem.lattice.shape, chances=problem.chances,
        flipping=tuple(sorted(flipping_places(problem.lattice))),
    )  # fmt: skip


def _read(path: pathlib.Path, read: Callable[[Any], _Found]) -> _Found:
    """What `read` makes of the opened file."""
    safetensors = optional_module("safetensors", extra="neural")
    if path.is_dir():
        raise ValueError(f"{path}: expected a decoder's file, got a folder")
    if not path.is_file():
        raise ValueError(f"{path}: no such file; `syndrift train` makes a decoder's file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return read(file)
    except (safetensors.SafetensorError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a decoder's file, or a damaged one: {reason}") from None


def _header(path: pathlib.Path, metadata: Mapping[str, str] | None) -> Header:
    if not metadata or _KEY not in metadata:
        raise ValueError(
            f"{path}: a safetensors file, but not a decoder's, which `syndrift train` makes"
        )
    try:
        words = json.loads(metadata[_KEY])
        came = words.get("format")
        if came != FORMAT:
            raise ValueError(
                f"{path}: expected format {FORMAT}, got {came}: "
                "read it with the version of syndrift that wrote it"
            )
        return Header.model_validate(words)
    except (json.JSONDecodeError, AttributeError):
        raise ValueError(f"{path}: damaged: its header is not a JSON object") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{path}: damaged, or of another version of syndrift: {where}: {first['msg']}"
        ) from None


def _digest(weights: Weights) -> str:
    """Of names, shapes and values."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(f"{name} {value.shape} {value.dtype}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found

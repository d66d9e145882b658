"""The points of a sweep: circuits with their coordinates, drawn from or recorded."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import stim

from decoders.baselines import ResolvedDecoder
from decoders.codes import memory_circuit
from decoders.dem import CheckedModel, checked_model
from decoders.evaluate_config import Sources
from decoders.files import read_circuit
from decoders.noise import NoiseModel
from decoders.published import RecordedShots, believed_model


@dataclasses.dataclass(frozen=True)
class Point:
    """One circuit of a sweep and its coordinates, as they go into the CSV and the pictures.

    `source` is what an error message calls it: a path, or a code with its distance. A point with
    `recorded` shots takes these; its circuit is then what decoders believe, or the noiseless one.
    """

    circuit: stim.Circuit
    source: str
    code: str
    distance: int | None
    rounds: int | None
    basis: str | None
    noise: Mapping[str, Any]
    recorded: RecordedShots | None = None

    @property
    def p(self) -> float | None:
        """The noise model's strength, where it has one."""
        return self.noise.get("p")

    @property
    def noisy_rounds(self) -> int | None:
        """Rounds over which a shot's errors spread: code-capacity noise comes once."""
        return 1 if self.noise.get("noise") == "code-capacity" else self.rounds

    def metadata(self) -> dict[str, Any]:
        """What the CSV's json_metadata column says: short names, as sinter's users write them."""
        values = {
            "code": self.code,
            "d": self.distance,
            "r": self.rounds,
            "b": self.basis,
            **self.noise,
        }
        if self.recorded:
            values |= {"experiment": self.recorded.name, "sha256": self.recorded.digest}
        return {key: value for key, value in values.items() if value is not None}


def points_of(config: Sources) -> Iterator[Point]:
    """The circuits of a sweep, in the order of the config."""
    noises: Sequence[NoiseModel | None] = config.noise or [None]
    if config.circuits:
        stems = [path.stem for path in config.circuits]
        for path, noise in itertools.product(config.circuits, noises):
            circuit = with_noise(read_circuit(path), noise, source=str(path))
            name = path.stem if stems.count(path.stem) == 1 else str(path.with_suffix(""))
            yield Point(circuit, str(path), name, None, None, None, noise_metadata(noise))
        return
    assert config.code is not None  # the config's own check
    code = config.code
    for basis, noise, distance in itertools.product(code.basis, noises, code.distance):
        for rounds in code.rounds_for(distance):
            noiseless = memory_circuit(code.name, distance=distance, rounds=rounds, basis=basis)
            source = f"{code.name} d={distance}"
            circuit = with_noise(noiseless, noise, source=source)
            yield Point(circuit, source, code.name, distance, rounds, basis, noise_metadata(noise))


def model_for(
    decoder: ResolvedDecoder, point: Point, given: stim.DetectorErrorModel | None = None
) -> CheckedModel:
    """The point's error model, or the `given` one, as the decoder takes it, checked."""
    check = believed_model if point.recorded else checked_model
    try:
        return check(decoder.error_model, point.circuit, given)
    except ValueError as error:
        raise ValueError(f"{point.source}, decoder {decoder.name}: {error}") from error


def with_noise(circuit: stim.Circuit, noise: NoiseModel | None, *, source: str) -> stim.Circuit:
    """The circuit with its noise; an error names the `source` of the circuit."""
    if noise is None:
        return circuit
    try:
        return noise.apply(circuit)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def noise_metadata(noise: NoiseModel | None) -> dict[str, Any]:
    """A noise model as the CSV names it: its kind under `noise`, its numbers beside it.

    Tables of rates stand there as a hash; the run's config.toml has them in full.
    """
    if noise is None:
        return {}
    values = noise.model_dump(mode="json", exclude_none=True)
    short = {key: value for key, value in values.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    if tables:
        text = json.dumps(tables, sort_keys=True)
        short["table"] = hashlib.sha256(text.encode()).hexdigest()[:8]
    return {"noise": short.pop("kind"), **short}

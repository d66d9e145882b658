"""Recorded shots as a source of numbered shots: shot n is the n-th of the files, counted from 0."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import stim

from decoders.files import read_circuit
from decoders.published.folder import Experiment
from decoders.published.shot_file import Bits, ShotFile, What

PUBLISHED = "published:"
"""Before the name of a decoder whose answers come with the data."""

_CHECKED_SHOTS = 1000


@dataclasses.dataclass(frozen=True)
class RecordedShots:
    """Events and flips of an experiment's shots, and what published decoders said to them.

    A stand-in for `NumberedShots`; seeds play no part. `digest` tells the files from others.
    With `odd_model` decoders get it for shots 1, 3, 5, ..., and their task's own for the others:
    so an error model that was made from half of the shots is used on the other half.
    """

    name: str
    events: ShotFile
    flips: ShotFile
    shots: int
    digest: str
    answers: Mapping[str, ShotFile]
    odd_model: stim.DetectorErrorModel | None = None

    def take(self, start: int, stop: int) -> tuple[Bits, Bits]:
        """Detection events and observable flips of shots start..stop-1, each [shots, bytes]."""
        if not 0 <= start < stop <= self.shots:
            raise ValueError(
                f"{self.name} holds shots 0 to {self.shots - 1}, got start={start}, stop={stop}"
            )
        return self.events.read(start, stop), self.flips.read(start, stop)

    def answered_by(self, decoder: str) -> ShotFile | None:
        """The file with the answers of `published:NAME`; None for other decoders."""
        name = decoder.removeprefix(PUBLISHED)
        return self.answers.get(name) if name != decoder else None


def circuit_of(experiment: Experiment) -> stim.Circuit:
    """The noisy circuit where there is one, else the noiseless; ValueError if the two differ."""
    circuit = read_circuit(experiment.circuit)
    if experiment.ideal is None or experiment.ideal == experiment.circuit:
        return circuit
    ideal = read_circuit(experiment.ideal)
    for what, got, expected in (
        ("detectors", circuit.num_detectors, ideal.num_detectors),
        ("observables", circuit.num_observables, ideal.num_observables),
        ("measurements", circuit.num_measurements, ideal.num_measurements),
    ):
        if got != expected:
            raise ValueError(
                f"{experiment.circuit} has {got} {what}, {experiment.ideal.name} beside it has "
                f"{expected}: one of them belongs to another experiment"
            )
    return circuit


def open_shots(experiment: Experiment, circuit: stim.Circuit) -> RecordedShots:
    """The experiment's shots, every file held against the circuit and against the others.

    Where there are measurements, the first shots' events and flips are made from them again.
    """
    events = ShotFile(experiment.events, circuit.num_detectors, "detectors")
    flips = ShotFile(experiment.flips, circuit.num_observables, "observables")
    answers = {
        name: ShotFile(path, circuit.num_observables, "observables")
        for name, path in experiment.predictions.items()
    }
    shots = events.shots()
    if not shots:
        raise ValueError(f"{experiment.events}: expected shots, got an empty file")
    if experiment.shots not in (None, shots):
        raise ValueError(
            f"{experiment.events} holds {shots:,} shots of {events.bits} detectors, the metadata "
            f"beside it says {experiment.shots:,}: the file was cut off, or belongs to another "
            "circuit"
        )
    for file in (flips, *answers.values(), *_raw(experiment, circuit)):
        if (found := file.shots()) != shots:
            raise ValueError(
                f"{file.path} holds {found:,} shots of {file.bits} {file.what}, "
                f"{experiment.events.name} holds {shots:,}: shot n must be the same in all files"
            )
    flips.read(0, shots)
    check_events(experiment)
    if experiment.soft:
        read_soft(experiment, circuit)
    both = hashlib.sha256((events.digest() + flips.digest()).encode()).hexdigest()[:16]
    return RecordedShots(experiment.name, events, flips, shots, both, answers)


def _raw(experiment: Experiment, circuit: stim.Circuit) -> list[ShotFile]:
    """The files from which events and flips were made, where they are there."""
    files: list[tuple[pathlib.Path | None, int, What]] = [
        (experiment.measurements, circuit.num_measurements, "measurements"),
        (experiment.sweep_bits, circuit.num_sweep_bits, "sweep bits"),
    ]
    return [ShotFile(path, bits, what) for path, bits, what in files if path and bits]


def check_events(experiment: Experiment, shots: int = _CHECKED_SHOTS) -> int:
    """Makes the first shots' events and flips from measurements again; ValueError if they differ.

    Returns how many shots were held against each other: none without measurements, and none where
    the circuit has sweep bits (X gates shot by shot) that are not there.
    """
    circuit = read_circuit(experiment.ideal or experiment.circuit)
    raw = {file.what: file for file in _raw(experiment, circuit)}
    if "measurements" not in raw or (circuit.num_sweep_bits and "sweep bits" not in raw):
        return 0
    shots = min(shots, raw["measurements"].shots())
    convert: Any = circuit.compile_m2d_converter().convert
    swept = raw["sweep bits"].read(0, shots) if "sweep bits" in raw else None
    made = convert(
        measurements=raw["measurements"].read(0, shots), sweep_bits=swept,
        separate_observables=True, bit_packed=True,
    )  # fmt: skip
    stored = (
        ShotFile(experiment.events, circuit.num_detectors, "detectors"),
        ShotFile(experiment.flips, circuit.num_observables, "observables"),
    )
    for again, file in zip(made, stored, strict=True):
        differ = np.flatnonzero(np.any(again != file.read(0, shots), axis=1))
        if len(differ):
            raise ValueError(
                f"{file.path}: {len(differ)} of the first {shots} shots (shot {differ[0]} first) "
                f"are not what {circuit.num_measurements} measurements a shot in "
                f"{raw['measurements'].path.name} give by the circuit's {file.what}: the files "
                "are of different experiments, or of another circuit"
            )
    return shots


def read_soft(experiment: Experiment, circuit: stim.Circuit) -> npt.NDArray[np.floating]:
    """Soft readout, [shots, measurements]: how probable it is that each outcome was 1.

    The array stays on disk. Where there are measurements, the first shots must round to them.
    """
    if experiment.soft is None:
        raise ValueError(f"{experiment.folder}: has no soft_measurements.npy")
    found = np.load(experiment.soft, mmap_mode="r")
    events = ShotFile(experiment.events, circuit.num_detectors, "detectors")
    expected = (events.shots(), circuit.num_measurements)
    if found.shape != expected or not np.issubdtype(found.dtype, np.floating):
        raise ValueError(
            f"{experiment.soft}: expected numbers [shots, measurements] = {list(expected)}, got "
            f"{found.dtype} {list(found.shape)}"
        )
    first = np.asarray(found[:_CHECKED_SHOTS])
    if not np.all((first >= 0) & (first <= 1)):
        raise ValueError(f"{experiment.soft}: expected probabilities from 0 to 1, got others")
    raw = {file.what: file for file in _raw(experiment, circuit)}
    if "measurements" in raw:
        hard = np.packbits(first > 0.5, axis=1, bitorder="little")
        differ = np.flatnonzero(np.any(hard != raw["measurements"].read(0, len(first)), axis=1))
        if len(differ):
            raise ValueError(
                f"{experiment.soft}: {len(differ)} of the first {len(first)} shots (shot "
                f"{differ[0]} first) do not round to those in {raw['measurements'].path.name}"
            )
    return found

"""Small data sets in the layouts that were published, with measurements drawn by stim itself."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pymatching
import stim

from decoders.evaluate import Row
from decoders.evaluate_config import EvaluateConfig
from decoders.published import (
    Experiment,
    RecordedShots,
    circuit_of,
    find_experiments,
    open_shots,
)

SHOTS = 1500
WRONG = 37  # answers of a made-up published decoder that are not what the observable did

_PATTERNS = 5  # of sweep bits, in blocks of as many shots each, as on the device

Bits = npt.NDArray[np.bool_]


class Recorded(NamedTuple):
    """What was written: the noisy circuit, and what was recorded as bits [shots, ...]."""

    folder: pathlib.Path
    circuit: stim.Circuit
    measurements: Bits
    sweep_bits: Bits
    events: Bits
    flips: Bits

    @property
    def model(self) -> stim.DetectorErrorModel:
        """The circuit's own."""
        return self.circuit.detector_error_model(decompose_errors=True)

    def predicted(self, model: stim.DetectorErrorModel) -> Bits:
        """What PyMatching says on a model, called directly."""
        matching = pymatching.Matching.from_detector_error_model(model)
        answers: Any = matching.decode_batch(self.events)
        return answers.astype(bool)

    def wrong(self, model: stim.DetectorErrorModel) -> Bits:
        """Shots in which PyMatching errs on a model."""
        return np.any(self.predicted(model) != self.flips, axis=1)


def memory(distance: int, rounds: int, basis: str, p: float = 0.008) -> stim.Circuit:
    """A noisy memory whose data qubits are flipped at the begin where sweep bits say so."""
    plain = stim.Circuit.generated(
        f"surface_code:rotated_memory_{basis.lower()}", distance=distance, rounds=rounds,
        after_clifford_depolarization=p, before_measure_flip_probability=2 * p,
        after_reset_flip_probability=p, before_round_data_depolarization=p,
    )  # fmt: skip
    data = instructions(plain, "M", "MX")[-1].targets_copy()
    begun = next(k for k in range(len(plain)) if plain[k].name == "TICK")
    circuit = plain[:begun]
    for k, qubit in enumerate(data):
        circuit.append("CX" if basis == "Z" else "CZ", [stim.target_sweep_bit(k), qubit.value])
    return circuit + plain[begun:]


def instructions(circuit: stim.Circuit, *names: str) -> list[stim.CircuitInstruction]:
    """The instructions of some names, or all of them, without loops."""
    flat = circuit.flattened()
    found = [one for k in range(len(flat)) if isinstance(one := flat[k], stim.CircuitInstruction)]
    return [one for one in found if not names or one.name in names]


def record(folder: pathlib.Path, circuit: stim.Circuit, seed: int, shots: int = SHOTS) -> Recorded:
    """Draws measurements with some patterns of sweep bits; stim's converter makes the events."""
    rng = np.random.default_rng(seed)
    measured, swept = [], []
    for block in np.array_split(np.arange(shots), _PATTERNS):
        pattern = rng.integers(0, 2, circuit.num_sweep_bits).astype(bool)
        sampler = set_to(circuit, pattern).compile_sampler(seed=int(rng.integers(2**62)))
        measured.append(sampler.sample(len(block)))
        swept.append(np.tile(pattern, (len(block), 1)))
    measurements, sweep_bits = np.concatenate(measured), np.concatenate(swept)
    convert: Any = circuit.without_noise().compile_m2d_converter().convert
    events, flips = convert(
        measurements=measurements, sweep_bits=sweep_bits, separate_observables=True
    )
    return Recorded(folder, circuit, measurements, sweep_bits, events, flips)


def set_to(circuit: stim.Circuit, pattern: Bits) -> stim.Circuit:
    """The circuit with Pauli gates where the sweep bits are set, and nothing where they are not."""
    fixed = stim.Circuit()
    for one in instructions(circuit):
        targets = one.targets_copy()
        if not (targets and targets[0].is_sweep_bit_target):
            fixed.append(one)
            continue
        for bit, qubit in zip(targets[::2], targets[1::2], strict=True):
            if pattern[bit.value]:
                fixed.append("X" if one.name == "CX" else "Z", [qubit.value])
    return fixed


def write_2022(
    root: pathlib.Path, distance: int = 3, rounds: int = 3, basis: str = "Z", seed: int = 1
) -> Recorded:
    """As in Zenodo 6804040: one flat folder an experiment."""
    centre = "5_5" if distance == 5 else "3_5"
    folder = root / f"surface_code_b{basis}_d{distance}_r{rounds:02}_center_{centre}"
    folder.mkdir(parents=True)
    data = record(folder, memory(distance, rounds, basis), seed)
    _circuits(data, "circuit_noisy")
    _raw(data, "sweep")
    save(folder / "obs_flips_actual.01", data.flips, "observables")
    save(folder / "obs_flips_predicted_by_pymatching.01", data.predicted(data.model), "observables")
    save(folder / "obs_flips_predicted_by_correlated_matching.01", spoilt(data), "observables")
    data.model.to_file(folder / "circuit_detector_error_model.dem")
    for name, one in pij_models(data, distance, rounds, basis).items():
        one.to_file(folder / name)
    row, column = centre.split("_")
    properties = {
        "type": "surface_code_memory_experiment", "basis": basis, "rounds": rounds,
        "distance": distance, "shots": len(data.events), "center_data_qubit_row": row,
        "center_data_qubit_col": column, "circuit_detectors": data.circuit.num_detectors,
    }  # fmt: skip
    lines = "".join(f"{key}: {value}\n" for key, value in properties.items())
    (folder / "properties.yml").write_text(lines, encoding="utf-8")
    return data


def pij_models(
    data: Recorded, distance: int, rounds: int, basis: str
) -> dict[str, stim.DetectorErrorModel]:
    """Two models unlike each other, so that shots decoded with the wrong one are noticed."""
    other = memory(distance, rounds, basis, 0.05)
    return {
        "pij_from_odd_for_even.dem": data.model,
        "pij_from_even_for_odd.dem": other.detector_error_model(decompose_errors=True),
    }


def write_2024(
    root: pathlib.Path, distance: int = 3, rounds: int = 3, basis: str = "Z", seed: int = 1
) -> Recorded:
    """As in Zenodo 13273331: patch, basis and rounds are folders in each other."""
    patch = "q6_7" if distance == 5 else "q4_5"
    folder = root / "surface_code_d3_d5" / f"d{distance}_at_{patch}" / basis / f"r{rounds:02}"
    folder.mkdir(parents=True)
    data = record(folder, memory(distance, rounds, basis), seed)
    _circuits(data, "circuit_noisy_si1000")
    _raw(data, "sweep_bits")
    save(folder / "obs_flips_actual.b8", data.flips, "observables")
    results = folder / "decoding_results" / "harmony_decoder_with_si1000_prior"
    results.mkdir(parents=True)
    save(results / "obs_flips_predicted.b8", spoilt(data), "observables")
    data.model.to_file(results / "error_model.dem")
    metadata = {"basis": basis, "rounds": rounds, "distance": distance, "shots": len(data.events)}
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return data


def write_own(folder: pathlib.Path, seed: int = 1) -> Recorded:
    """The least that a user's own folder needs: a repetition code without sweep bits."""
    folder.mkdir(parents=True)
    circuit = stim.Circuit.generated(
        "repetition_code:memory", distance=3, rounds=3, before_round_data_depolarization=0.08,
        before_measure_flip_probability=0.04,
    )  # fmt: skip
    data = record(folder, circuit, seed)
    circuit.to_file(folder / "circuit.stim")
    save(folder / "detection_events.b8", data.events, "detectors")
    save(folder / "obs_flips_actual.b8", data.flips, "observables")
    return data


def spoilt(data: Recorded) -> Bits:
    """Answers that are right but for the first few shots."""
    answers = data.flips.copy()
    answers[:WRONG, 0] ^= True
    return answers


def save(path: pathlib.Path, bits: Bits, what: str) -> None:
    """Bits [shots, bits] in the format that the file's ending names."""
    form: Any = path.suffix[1:]
    number: Any = {f"num_{what}": bits.shape[1]}
    stim.write_shot_data_file(data=bits, path=path, format=form, **number)


def _circuits(data: Recorded, noisy: str) -> None:
    data.circuit.to_file(data.folder / f"{noisy}.stim")
    data.circuit.without_noise().to_file(data.folder / "circuit_ideal.stim")


def _raw(data: Recorded, sweep: str) -> None:
    save(data.folder / "measurements.b8", data.measurements, "measurements")
    save(data.folder / f"{sweep}.b8", data.sweep_bits, "measurements")
    save(data.folder / "detection_events.b8", data.events, "detectors")


def config_of(folder: pathlib.Path, **changes: Any) -> EvaluateConfig:
    """Matching on the shots in a folder; `data` adds to that table, the rest stands beside it."""
    data = {"folder": str(folder), **changes.pop("data", {})}
    given = {"data": data, "decoders": "pymatching", "workers": 1, "time_decoders": False}
    return EvaluateConfig.model_validate(given | changes)


def errors(rows: list[Row]) -> dict[str, int]:
    """By decoder."""
    return {row.decoder: row.errors for row in rows}


def only(folder: pathlib.Path) -> Experiment:
    """The one experiment in a folder."""
    (experiment,) = find_experiments(folder)
    return experiment


def opened(folder: pathlib.Path) -> RecordedShots:
    """Its shots, checked."""
    experiment = only(folder)
    return open_shots(experiment, circuit_of(experiment))

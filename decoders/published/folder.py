"""Folders of recorded experiments: which files of a published data set are what.

What is known of the layouts comes from the sets' own descriptions, as others who read them quote
these; none was at hand when this was written:

- Zenodo 6804040 (Nature 614, 676): `surface_code_bX_d3_r05_center_3_5/` and the like, with
  `circuit_ideal.stim`, `circuit_noisy.stim`, `measurements.b8`, `sweep.b8`,
  `detection_events.b8`, `obs_flips_actual.01`, `obs_flips_predicted_by_NAME.01`,
  `circuit_detector_error_model.dem`, `pij_from_even_for_odd.dem`, `pij_from_odd_for_even.dem`,
  `properties.yml`;
- Zenodo 13273331 (arXiv:2408.13687): `d3_at_q4_5/X/r01/`, in some sets under `sample_00/`, with
  `circuit_ideal.stim`, `circuit_noisy_si1000.stim`, `measurements.b8`, `sweep_bits.b8`,
  `detection_events.b8`, `obs_flips_actual.b8`, `metadata.json` and
  `decoding_results/NAME/{error_model.dem,obs_flips_predicted.b8}`;
- Zenodo 11403595 (arXiv:2406.02700): the same folders, with `dems/PRIOR.dem` and
  `obs_flips_predicted/dem_PRIOR/NAME.b8`.

As far as is known they come without soft readout. A folder of one's own needs `circuit.stim`,
`detection_events.b8` and `obs_flips_actual.b8`; `01`, `r8`, `ptb64` and `hits` will do as well, and
any of the names above is understood.
`soft_measurements.npy` is our own: the probability that each measurement's outcome was 1.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from decoders.published.shot_file import FORMATS

_FLAT = re.compile(r"^(?P<code>.+)_b(?P<basis>[XYZ])_d(?P<distance>\d+)_r(?P<rounds>\d+)"
                   r"(_center_(?P<patch>\d+_\d+))?$")  # fmt: skip
_PATCH = re.compile(r"^d(?P<distance>\d+)_at_q?(?P<patch>\d+_\d+)$")
_ROUNDS = re.compile(r"^r(?P<rounds>\d+)$")
_CODES = re.compile(r"(surface|repetition)_code")
_PROPERTY = re.compile(r"^(\w+):[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)
_PAIR = ("_from_odd_for_even", "_from_even_for_odd")  # for even shots, for odd shots
_PREDICTED = "obs_flips_predicted"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One recorded memory experiment: what its folder and files are named to be, nothing read yet.

    `name` is the folder's path below the one that was searched. `circuit` is the noisy one where
    there is one; `ideal` the noiseless one, if it is known. `shots` is what the metadata says.
    `predictions` are the published decoders' answers. `error_models` have one file, or two: that
    for even shots, and that for odd shots.
    """

    name: str
    folder: pathlib.Path
    code: str
    basis: str | None
    distance: int | None
    rounds: int | None
    patch: str | None
    shots: int | None
    circuit: pathlib.Path
    ideal: pathlib.Path | None
    events: pathlib.Path
    flips: pathlib.Path
    measurements: pathlib.Path | None
    sweep_bits: pathlib.Path | None
    soft: pathlib.Path | None
    predictions: Mapping[str, pathlib.Path]
    error_models: Mapping[str, tuple[pathlib.Path, ...]]


def find_experiments(folder: pathlib.Path) -> list[Experiment]:
    """All experiments in a folder and below it, by code, distance, patch, basis and rounds."""
    if folder.is_file():
        raise ValueError(f"{folder}: expected a folder, got a file: unpack it first")
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder (paths are from the working folder)")
    places = {path.parent for path in folder.rglob("detection_events.*")
              if path.suffix.removeprefix(".") in FORMATS}  # fmt: skip
    if not places:
        raise ValueError(
            f"{folder}: no experiment in it or below: expected folders with detection_events.b8, "
            "obs_flips_actual.b8 and circuit.stim, or as published (docs/evaluate.md)"
        )
    found = [_experiment(place, folder) for place in places]
    return sorted(found, key=lambda one: (one.code, one.distance or 0, one.patch or "",
                                          one.basis or "", one.rounds or 0, one.name))  # fmt: skip


def _experiment(folder: pathlib.Path, root: pathlib.Path) -> Experiment:
    """The experiment in a folder that has detection events."""
    circuits = sorted(folder.glob("*.stim"))
    noisy = [path for path in circuits if path.stem.startswith("circuit_noisy")]
    ideal = [path for path in circuits if path.stem == "circuit_ideal"]
    if not circuits:
        raise ValueError(f"{folder}: has detection events and no circuit: expected circuit.stim")
    chosen = [path for path in circuits if path.stem == "circuit"] or noisy or ideal
    if not chosen:
        names = ", ".join(path.name for path in circuits)
        raise ValueError(f"{folder}: which is the circuit? Expected circuit.stim, got {names}")
    events = _shots_named(folder, "detection_events")
    flips = _shots_named(folder, "obs_flips_actual")
    if events is None or flips is None:
        raise ValueError(
            f"{folder}: has detection events and no obs_flips_actual.b8 (or .01): what the "
            "observables did is needed to count errors"
        )
    told = _told(folder)
    soft = folder / "soft_measurements.npy"
    return Experiment(
        name=folder.relative_to(root).as_posix() if folder != root else folder.resolve().name,
        folder=folder,
        code=str(told.get("code") or folder.resolve().name),
        basis=_text(told.get("basis")),
        distance=_number(told, "distance", folder),
        rounds=_number(told, "rounds", folder),
        patch=_text(told.get("patch")),
        shots=_number(told, "shots", folder),
        circuit=chosen[0],
        ideal=ideal[0] if ideal else None,
        events=events,
        flips=flips,
        measurements=_shots_named(folder, "measurements"),
        sweep_bits=_shots_named(folder, "sweep_bits") or _shots_named(folder, "sweep"),
        soft=soft if soft.exists() else None,
        predictions=_predictions(folder),
        error_models=_error_models(folder),
    )


def _shots_named(folder: pathlib.Path, stem: str) -> pathlib.Path | None:
    """The file of that name in one of stim's formats; ValueError if there are several."""
    found = [path for form in FORMATS if (path := folder / f"{stem}.{form}").is_file()]
    if len(found) > 1:
        raise ValueError(
            f"{folder}: expected one file {stem}, got {', '.join(path.name for path in found)}: "
            "take all but one away"
        )
    return found[0] if found else None


def _predictions(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Answers of published decoders: by the decoder's name, or NAME@PRIOR."""
    named: dict[str, pathlib.Path] = {}
    for path in sorted(folder.glob(f"{_PREDICTED}_by_*")):
        named[path.stem.removeprefix(f"{_PREDICTED}_by_")] = path
    for path in sorted(folder.glob(f"decoding_results/*/{_PREDICTED}.*")):
        named[path.parent.name] = path
    for path in sorted(folder.glob(f"{_PREDICTED}/*/*")):
        named[f"{path.stem}@{path.parent.name.removeprefix('dem_')}"] = path
    return {name: path for name, path in named.items() if path.suffix[1:] in FORMATS}


def _error_models(folder: pathlib.Path) -> dict[str, tuple[pathlib.Path, ...]]:
    """Error models that come with the data; a pair made from half of the shots each is one."""
    files = {
        path.stem: path for path in sorted([*folder.glob("*.dem"), *folder.glob("dems/*.dem")])
    }
    files |= {path.parent.name: path for path in sorted(folder.glob("decoding_results/*/*.dem"))}
    found: dict[str, tuple[pathlib.Path, ...]] = {}
    for name, path in files.items():
        ending = next((one for one in _PAIR if name.endswith(one)), None)
        if ending is None:
            found[name] = (path,)
            continue
        stem = name.removesuffix(ending)
        both = [files.get(stem + one) for one in _PAIR]
        # One alone would be used on the shots that it was made from.
        if both[0] and both[1]:
            found[stem] = (both[0], both[1])
    return found


def _told(folder: pathlib.Path) -> dict[str, Any]:
    """What names of folders and, before these, the metadata say."""
    parts = folder.resolve().parts
    told: dict[str, Any] = {}
    if flat := _FLAT.match(parts[-1]):
        told = flat.groupdict()
    elif len(parts) > 3 and (patch := _PATCH.match(parts[-3])) and _ROUNDS.match(parts[-1]):
        codes = [match[0] for part in reversed(parts) if (match := _CODES.search(part))]
        told = {**patch.groupdict(), "basis": parts[-2], "rounds": parts[-1].removeprefix("r")}
        told["code"] = codes[0] if codes else "surface_code"
    stated = {**_properties(folder / "properties.yml"), **_metadata(folder / "metadata.json")}
    stated["rounds"] = stated.get("rounds", stated.get("cycles"))
    kind = _CODES.search(str(stated.get("type", "")))
    stated["code"] = kind[0] if kind else stated.get("code")
    keys = ("code", "basis", "distance", "rounds", "patch", "shots")
    return told | {key: stated[key] for key in keys if stated.get(key) is not None}


def _properties(path: pathlib.Path) -> dict[str, Any]:
    """The lines `key: value` of a flat YAML file."""
    return dict(_PROPERTY.findall(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _metadata(path: pathlib.Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(found).__name__}")
    return found


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(told: Mapping[str, Any], key: str, folder: pathlib.Path) -> int | None:
    value = told.get(key)
    if value is None:
        return None
    if not str(value).isdecimal() or int(value) < 1:
        raise ValueError(f"{folder}: its {key} must be a whole number from 1, got {value!r}")
    return int(value)

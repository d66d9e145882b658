"""Recorded shots whose files do not belong together, and what a data set does not have."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stim

from decoders.evaluate import evaluate
from decoders.evaluate_config import EvaluateConfig
from decoders.published import check_events, circuit_of, find_experiments, read_soft
from tests.decoders.published_data import (
    SHOTS,
    config_of,
    errors,
    memory,
    only,
    opened,
    write_2022,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two experiments; tests that change files take a copy."""
    root = tmp_path_factory.mktemp("data")
    write_2022(root)
    write_2022(root, distance=5, seed=2)
    return root


@pytest.fixture
def flat(written: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of one experiment, to be spoilt."""
    folder = tmp_path / "surface_code_bZ_d3_r03_center_3_5"
    shutil.copytree(written / folder.name, folder)
    return folder


def cut(name: str, size: int) -> Callable[[pathlib.Path], None]:
    def change(folder: pathlib.Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:-size])

    return change


def replaced(name: str, old: str, new: str) -> Callable[[pathlib.Path], None]:
    def change(folder: pathlib.Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def written_over(name: str, value: int) -> Callable[[pathlib.Path], None]:
    def change(folder: pathlib.Path) -> None:
        path = folder / name
        path.write_bytes(bytes([value]) * len(path.read_bytes()))

    return change


def other_circuit(folder: pathlib.Path) -> None:
    memory(3, 4, "Z").to_file(folder / "circuit_noisy.stim")


def two_flips(folder: pathlib.Path) -> None:
    shutil.copy(folder / "obs_flips_actual.01", folder / "obs_flips_actual.r8")


def mixed_up(folder: pathlib.Path) -> None:
    path = folder / "detection_events.b8"
    path.write_bytes(path.read_bytes()[3:] + path.read_bytes()[:3])  # shots of 24 bits


SPOILT = {
    "a byte is missing": (cut("detection_events.b8", 1),
                          ["detection_events.b8", "multiple of 3 bytes", "24 detectors", "4,499"]),
    "a shot is missing": (cut("detection_events.b8", 3), ["1,499 shots", "says 1,500"]),
    "a flip is missing": (cut("obs_flips_actual.01", 2), ["obs_flips_actual.01", "1,499", "1,500"]),
    "an answer is missing": (cut("obs_flips_predicted_by_pymatching.01", 2),
                             ["predicted_by_pymatching.01 holds 1,499 shots of 1 observables"]),
    "a measurement is missing": (cut("measurements.b8", 5), ["measurements.b8 holds 1,499"]),
    "sweep bits are missing": (cut("sweep.b8", 2), ["sweep.b8 holds 1,499", "9 sweep bits"]),
    "no shots": (cut("detection_events.b8", 4500), ["expected shots, got an empty file"]),
    "another circuit": (other_circuit, ["circuit_noisy.stim has 32 detectors", "24"]),
    "other shots in the metadata": (replaced("properties.yml", "shots: 1500", "shots: 50000"),
                                    ["1,500 shots of 24 detectors", "50,000"]),
    "a distance in words": (replaced("properties.yml", "distance: 3", "distance: three"),
                            ["distance", "whole number", "'three'"]),
    "two files of flips": (two_flips, ["expected one file obs_flips_actual", ".01", ".r8"]),
    "shots out of place": (mixed_up, ["detection_events.b8", "of the first 1000 shots",
                                      "measurements.b8"]),
    "other sweep bits": (written_over("sweep.b8", 0), ["detection_events.b8", "are not what"]),
    "bits beyond": (written_over("sweep.b8", 255), ["sweep.b8", "beyond", "9 sweep bits"]),
    "text for bits": (lambda folder: (folder / "obs_flips_actual.01").write_text("no\n"),
                      ["obs_flips_actual.01", "expected 01 data of 1 observables"]),
    "no circuit": (lambda folder: [path.unlink() for path in folder.glob("*.stim")],
                   ["no circuit", "expected circuit.stim"]),
    "no flips": (lambda folder: (folder / "obs_flips_actual.01").unlink(), ["obs_flips_actual.b8"]),
}  # fmt: skip


@pytest.mark.parametrize("change", SPOILT)
def test_files_that_do_not_belong_together_are_refused(flat: pathlib.Path, change: str) -> None:
    spoil, said = SPOILT[change]
    spoil(flat)
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as refused:
        opened(flat)
    for words in (*said, flat.name):
        assert words in str(refused.value)


def test_metadata_that_is_not_json_is_refused(flat: pathlib.Path) -> None:
    for text, said in (("{", "not valid JSON"), ("[1]", "expected a JSON object, got list")):
        (flat / "metadata.json").write_text(text)
        with pytest.raises(ValueError, match=said):
            find_experiments(flat)


def test_events_are_made_from_measurements_again(flat: pathlib.Path) -> None:
    assert check_events(only(flat), shots=SHOTS) == SHOTS
    (flat / "sweep.b8").unlink()
    assert check_events(only(flat)) == 0
    (flat / "measurements.b8").unlink()
    assert check_events(only(flat)) == 0
    assert opened(flat).shots == SHOTS


def test_soft_readout_must_round_to_the_measurements(flat: pathlib.Path) -> None:
    circuit = circuit_of(only(flat))
    bits = stim.read_shot_data_file(
        path=flat / "measurements.b8", format="b8", num_measurements=circuit.num_measurements
    )
    soft = np.where(bits, 0.9, 0.2).astype(np.float32)
    np.save(flat / "soft_measurements.npy", soft)
    assert np.array_equal(read_soft(only(flat), circuit), soft)
    for values, said in (
        (1 - soft, "do not round to those in measurements.b8"),
        (soft[:-1], r"\[1500, 33\], got float32 \[1499, 33\]"),
        (soft * 2, "from 0 to 1"),
    ):
        np.save(flat / "soft_measurements.npy", values)
        with pytest.raises(ValueError, match=said):
            opened(flat)


REFUSED = {
    "no such folder": ({"folder": "nowhere"}, "nowhere: no such folder"),
    "none chosen": ({"where": {"distance": 7}}, "its 2 are of distance 3, 5"),
    "none so named": ({"where": {"name": "bX*"}}, "named surface_code_bZ_d3_r03_center_3_5"),
    "no such model": ({"error_models": "pji"},
                      "no error model `pji`; it has circuit, circuit_detector_error_model, pij"),
    "no such answers": ({"published": "tesseract"},
                        "answers of `tesseract`; there are those of correlated_matching"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_data_set_does_not_have_is_refused(
    written: pathlib.Path, tmp_path: pathlib.Path, case: str
) -> None:
    changes, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        evaluate(config_of(written, data=changes), tmp_path / "counts.csv")


def test_folders_without_experiments_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"no experiment in it or below: expected .*events\.b8"):
        find_experiments(tmp_path)
    (tmp_path / "data.zip").write_bytes(b"")
    with pytest.raises(ValueError, match="got a file: unpack it first"):
        find_experiments(tmp_path / "data.zip")


def test_a_noiseless_circuit_needs_an_error_model(
    flat: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (flat / "circuit_noisy.stim").unlink()
    with pytest.raises(ValueError, match=r"circuit_ideal\.stim: has no noise.*circuit_detector_"):
        evaluate(config_of(flat), tmp_path / "counts.csv")
    models = {"error_models": "circuit_detector_error_model"}
    rows = evaluate(config_of(flat, data=models), tmp_path / "counts.csv")
    ours, _, theirs = errors(rows).values()
    assert ours == theirs
    (flat / "circuit_detector_error_model.dem").write_text("error(0.1) D0 L0\n")
    with pytest.raises(ValueError, match="the error model has 1 detectors, the circuit has 24"):
        evaluate(config_of(flat, data=models), tmp_path / "other.csv")


def test_a_lone_half_of_a_pair_is_no_error_model(flat: pathlib.Path) -> None:
    (flat / "pij_from_even_for_odd.dem").unlink()
    assert set(only(flat).error_models) == {"circuit_detector_error_model"}


@pytest.mark.parametrize("name", ["detection_events.b8", "obs_flips_predicted_by_pymatching.01"])
def test_counts_of_other_files_are_not_gone_on_with(
    flat: pathlib.Path, tmp_path: pathlib.Path, name: str
) -> None:
    for path in ("measurements.b8", "sweep.b8"):
        (flat / path).unlink()
    evaluate(config_of(flat), tmp_path / "counts.csv")
    evaluate(config_of(flat), tmp_path / "counts.csv")
    content = (flat / name).read_bytes()
    (flat / name).write_bytes(content[len(content) // 2 :] + content[: len(content) // 2])
    with pytest.raises(ValueError, match="was counted on other files of surface_code_bZ"):
        evaluate(config_of(flat), tmp_path / "counts.csv")


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"code": {"name": "repetition", "distance": 3}}, "takes no code, circuits or noise"),
        ({"noise": {"kind": "si1000", "p": 0.01}}, "takes no code, circuits or noise"),
        ({"rare": {}}, "can only be counted"),
        ({"threshold": True}, r"a threshold needs a \[code\]"),
    ],
)
def test_what_recorded_shots_cannot_have_beside_is_refused(
    beside: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        EvaluateConfig.model_validate({"data": {"folder": "somewhere"}, **beside})


def test_shots_beyond_the_last_are_refused(flat: pathlib.Path) -> None:
    shots = opened(flat)
    events, flips = shots.take(SHOTS - 2, SHOTS)
    assert (events.shape, flips.shape) == ((2, 3), (2, 1))
    with pytest.raises(ValueError, match="holds shots 0 to 1499, got start=1499, stop=1501"):
        shots.take(SHOTS - 1, SHOTS + 1)

"""Recorded shots: layouts are recognised, and counts are those of a direct decode."""

import pathlib
import shutil
from typing import Any

import numpy as np
import pytest
import sinter
import stim

from decoders.conclude import suppression
from decoders.evaluate import evaluate
from decoders.evaluate_config import DataRecipe
from decoders.published import ShotFile, chosen_experiments, find_experiments
from tests.decoders.published_data import (
    SHOTS,
    WRONG,
    Recorded,
    config_of,
    errors,
    memory,
    only,
    record,
    save,
    write_2022,
    write_2024,
    write_own,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Both layouts and a folder of one's own; tests that change files take a copy."""
    root = tmp_path_factory.mktemp("data")
    write_2022(root / "2022")
    write_2022(root / "2022", distance=5, seed=2)
    write_2024(root / "2024", basis="X")
    write_own(root / "own" / "mine")
    return root


def test_the_flat_layout_is_recognised(written: pathlib.Path) -> None:
    first, second = find_experiments(written / "2022")
    assert first.name == "surface_code_bZ_d3_r03_center_3_5"
    assert (first.code, first.basis, first.distance, first.rounds) == ("surface_code", "Z", 3, 3)
    assert (first.patch, first.shots, second.distance) == ("3_5", SHOTS, 5)
    assert first.circuit.name == "circuit_noisy.stim"
    assert first.sweep_bits is not None
    assert first.sweep_bits.name == "sweep.b8"
    assert set(first.predictions) == {"pymatching", "correlated_matching"}
    assert {name: [path.name for path in paths] for name, paths in first.error_models.items()} == {
        "circuit_detector_error_model": ["circuit_detector_error_model.dem"],
        "pij": ["pij_from_odd_for_even.dem", "pij_from_even_for_odd.dem"],
    }


def test_folders_in_each_other_are_recognised(written: pathlib.Path) -> None:
    found = only(written / "2024")
    assert found.name == "surface_code_d3_d5/d3_at_q4_5/X/r03"
    assert (found.code, found.basis, found.distance, found.rounds) == ("surface_code", "X", 3, 3)
    assert (found.patch, found.shots) == ("4_5", SHOTS)
    assert found.circuit.name == "circuit_noisy_si1000.stim"
    assert set(found.predictions) == set(found.error_models)
    assert set(found.predictions) == {"harmony_decoder_with_si1000_prior"}


def test_predictions_by_prior_are_recognised(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "sample_01" / "d3_at_q4_5" / "X" / "r03"
    shutil.copytree(only(written / "2024").folder, folder)
    given = folder / "decoding_results" / "harmony_decoder_with_si1000_prior"
    for path in ("dems", "obs_flips_predicted/dem_correlations"):
        (folder / path).mkdir(parents=True)
    (given / "error_model.dem").rename(folder / "dems" / "correlations.dem")
    answers = folder / "obs_flips_predicted" / "dem_correlations" / "belief_matching.b8"
    (given / "obs_flips_predicted.b8").rename(answers)
    found = only(tmp_path)
    assert found.name == "sample_01/d3_at_q4_5/X/r03"
    assert found.predictions == {"belief_matching@correlations": answers}
    assert found.error_models == {"correlations": (folder / "dems" / "correlations.dem",)}


def test_a_folder_of_ones_own_needs_three_files(written: pathlib.Path) -> None:
    found = only(written / "own" / "mine")
    assert (found.name, found.code, found.distance, found.shots) == ("mine", "mine", None, None)
    assert found.circuit.name == "circuit.stim"
    assert only(written / "own").name == "mine"


def test_names_alone_tell_what_an_experiment_is(tmp_path: pathlib.Path) -> None:
    (write_2022(tmp_path).folder / "properties.yml").unlink()
    found = only(tmp_path)
    assert (found.code, found.basis, found.distance, found.rounds) == ("surface_code", "Z", 3, 3)
    assert (found.patch, found.shots) == ("3_5", None)


@pytest.mark.parametrize("basis", ["X", "Z"])
def test_sweep_bits_are_taken_out_of_the_events(tmp_path: pathlib.Path, basis: str) -> None:
    """The rate of events is that of the circuit without sweep bits, detector by detector."""
    data = record(tmp_path, memory(3, 3, basis), 1, shots=4000)
    sampled: Any = data.circuit.compile_detector_sampler(seed=1).sample(40_000)
    drawn = sampled.mean(axis=0)
    error = np.sqrt(drawn * (1 - drawn) / 4000)
    assert np.all(abs(data.events.mean(axis=0) - drawn) < 6 * error)  # 24 times 2e-9 and less


def test_counts_are_those_of_a_direct_decode(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    data = again(written / "2022")
    config = config_of(written / "2022", data={"where": {"distance": 3}})
    rows = evaluate(config, tmp_path / "counts.csv")
    expected = int(data.wrong(data.model).sum())
    assert errors(rows) == {
        "pymatching": expected,
        "published:correlated_matching": WRONG,
        "published:pymatching": expected,
    }
    assert {row.shots for row in rows} == {SHOTS}
    assert expected > 20


def again(folder: pathlib.Path) -> Recorded:
    """The first experiment of a folder as its files have it, read by stim alone."""
    found = find_experiments(folder)[0]
    circuit = stim.Circuit.from_file(found.circuit)
    events = stim.read_shot_data_file(
        path=found.events, format="b8", num_detectors=circuit.num_detectors
    )
    form: Any = found.flips.suffix[1:]
    flips = stim.read_shot_data_file(
        path=found.flips, format=form, num_observables=circuit.num_observables
    )
    nothing = np.zeros((len(events), 0), dtype=bool)
    return Recorded(found.folder, circuit, nothing, nothing, events, flips)


@pytest.mark.parametrize("folder", ["2024", "own"])
def test_other_layouts_count_the_same(
    written: pathlib.Path, tmp_path: pathlib.Path, folder: str
) -> None:
    data = again(written / folder)
    rows = evaluate(config_of(written / folder), tmp_path / "counts.csv")
    expected = {"pymatching": int(data.wrong(data.model).sum())}
    if folder == "2024":
        expected["published:harmony_decoder_with_si1000_prior"] = WRONG
    assert errors(rows) == expected


def test_models_from_half_of_the_shots_serve_the_other_half(
    written: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    data = again(written / "2022")
    models = {"error_models": ["pij"], "published": [], "where": {"distance": 3}}
    (row,) = evaluate(config_of(written / "2022", data=models), tmp_path / "counts.csv")
    even, odd = (
        data.wrong(stim.DetectorErrorModel.from_file(data.folder / f"pij_from_{name}.dem"))
        for name in ("odd_for_even", "even_for_odd")
    )
    assert row.decoder == "pymatching@pij"
    assert row.errors == even[0::2].sum() + odd[1::2].sum()
    assert row.errors != odd[0::2].sum() + even[1::2].sum()


def test_only_the_first_shots_are_taken_and_more_go_on_from_there(
    written: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    data = again(written / "2024")
    wrong = data.wrong(data.model)
    for most, shots in ((701, 701), (10_000, SHOTS)):
        rows = evaluate(
            config_of(written / "2024", stop={"max_shots": most}, workers=2),
            tmp_path / "counts.csv",
        )
        assert {row.shots for row in rows} == {shots}
        assert rows[0].errors == wrong[:shots].sum()
        assert rows[1].errors == WRONG


def test_two_distances_give_a_suppression_factor(
    written: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    rows = evaluate(config_of(written / "2022"), tmp_path / "counts.csv")
    found = suppression(rows, seed=1, confidence=0.95)
    labels = ["pymatching", "published:correlated_matching", "published:pymatching"]
    assert [one.curve.label().split()[-1] for one in found] == labels
    ours, _, theirs = (one.fit for one in found)
    assert ours is not None
    assert ours == theirs


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, 2),
        ({"distance": 5}, 1),
        ({"distance": [3, 5], "basis": "Z", "rounds": 3}, 2),
        ({"patch": "3_5"}, 1),
        ({"name": "*_d5_*"}, 1),
    ],
)
def test_experiments_are_chosen(written: pathlib.Path, where: dict[str, Any], found: int) -> None:
    data = DataRecipe.model_validate({"folder": str(written / "2022"), "where": where})
    assert len(chosen_experiments(data)) == found


def test_any_format_of_stims_holds_the_same_shots(tmp_path: pathlib.Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (192, 11)).astype(bool)
    packed = np.packbits(bits, axis=1, bitorder="little")
    for form in ("b8", "01", "r8", "ptb64", "hits"):
        path = tmp_path / f"events.{form}"
        save(path, bits, "detectors")
        file = ShotFile(path, 11, "detectors")
        assert file.shots() == 192
        assert np.array_equal(file.read(17, 100), packed[17:100])


def test_a_file_written_anew_is_read_anew(tmp_path: pathlib.Path) -> None:
    file = ShotFile(tmp_path / "flips.01", 1, "observables")
    for text, shots in (("0\n1\n", 2), ("1\n1\n1\n", 3)):
        file.path.write_text(text)
        assert file.shots() == shots


def test_the_csv_says_what_was_counted(written: pathlib.Path, tmp_path: pathlib.Path) -> None:
    evaluate(config_of(written / "2024"), tmp_path / "counts.csv")
    for stats in sinter.read_stats_from_csv_files(tmp_path / "counts.csv"):
        told = stats.json_metadata
        assert told["experiment"] == "surface_code_d3_d5/d3_at_q4_5/X/r03"
        assert (told["d"], told["r"], told["b"], len(told["sha256"])) == (3, 3, "X", 16)

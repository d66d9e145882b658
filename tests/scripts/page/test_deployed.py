"""The report of a deployment: its numbers are those of the files and of other verbs."""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np
import pytest
import stim

from decoders.deploy.memories import named_memory
from scripts.main import main
from scripts.page import deployed
from scripts.page.detectors import check_qubits, detectors_in, detectors_section, thinned
from scripts.page.figures import Bars, Chart, Chip, Figure, HeatMap, Section, Table

SHOTS = 2000  # of each of both states
TITLES = ["Logical error rates", "The chip", "Detectors", "Detectors that fire together"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A repetition code on qubits 2 to 6, checks read by 3 and 5."""
    here = tmp_path_factory.mktemp("deployed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert main(["deploy", "--backend", "fake_torino", "--memory", "repetition:3",
                     "--rounds", "2", "--placement", "2,3,4,5,6", "--shots", str(SHOTS),
                     "--submit", "--out", "out"]) == 0  # fmt: skip
    return here / "out" / "deployment-1"


@pytest.fixture
def copy(folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """To spoil."""
    return shutil.copytree(folder, tmp_path / "copy")


def named(folder: pathlib.Path) -> dict[str, Section]:
    return {section.title: section for section in deployed.sections(folder)}


def figures(sections: Sequence[Section]) -> list[Figure]:
    return [figure for section in sections for figure in section.figures]


def events_in(folder: pathlib.Path) -> np.ndarray:
    """Of both states, [shots, 6]."""
    return np.concatenate([
        stim.read_shot_data_file(path=folder / f"state-{k}" / "detection_events.b8", format="b8",
                                 num_detectors=6)
        for k in (0, 1)
    ])  # fmt: skip


def test_a_report_has_all_that_is_asked_for_and_is_data(folder: pathlib.Path) -> None:
    assert deployed.title(folder) == "repetition:3 on fake_torino"
    found = deployed.sections(folder)
    assert [section.title for section in found] == TITLES
    kinds = [type(figure) for figure in figures(found)]
    assert kinds == [Bars, Table, Chip, Chart, HeatMap, HeatMap, HeatMap, HeatMap, HeatMap, Table]
    for section in found:
        json.dumps(dataclasses.asdict(section), allow_nan=False)
        assert section.words
    assert all(figure.title and figure.caption for figure in figures(found))


def test_rates_are_those_of_the_results(folder: pathlib.Path) -> None:
    section = named(folder)["Logical error rates"]
    bars, table = section.figures
    assert isinstance(bars, Bars)
    assert isinstance(table, Table)
    wrong = sum(_wrong_by_pymatching(folder / f"state-{k}") for k in (0, 1))
    at = list(bars.names).index("pymatching")
    assert bars.values[at] == wrong / (2 * SHOTS)
    assert bars.low is not None
    assert bars.high is not None
    ends = np.array([bars.low[at], bars.values[at], bars.high[at]], dtype=float)
    assert (np.diff(ends) > 0).all()
    told = bars.names.index("pymatching, predicted")
    assert bars.parts is not None
    assert (bars.parts[at], bars.parts[told]) == ("measured", "predicted")
    (row,) = (row for row in table.rows if row[0] == "pymatching")
    assert row[table.head.index("errors")] == str(wrong)
    assert f"{SHOTS:,} of state 0, {SHOTS:,} of state 1" in section.words[0]
    assert "not the device" in section.words[0]


def _wrong_by_pymatching(place: pathlib.Path) -> int:
    import pymatching

    circuit = stim.Circuit.from_file(place / "circuit.stim")
    model = circuit.detector_error_model(decompose_errors=True, approximate_disjoint_errors=True)
    events = stim.read_shot_data_file(
        path=place / "detection_events.b8", format="b8", num_detectors=circuit.num_detectors
    )
    flips = stim.read_shot_data_file(
        path=place / "obs_flips_actual.b8", format="b8", num_observables=1
    )
    answers = pymatching.Matching.from_detector_error_model(model).decode_batch(events)
    return int(np.not_equal(answers, flips).any(axis=1).sum())


def test_the_chip_has_errors_everywhere_and_detection_where_checks_are_read(
    folder: pathlib.Path,
) -> None:
    section = named(folder)["The chip"]
    (chip,) = section.figures
    assert isinstance(chip, Chip)
    assert list(chip.ringed) == [2, 3, 4, 5, 6]
    assert len(chip.places) == len(chip.names) == 133
    readout, gate, measured, excess = chip.layers
    assert (gate.name, len(gate.couplings)) == ("cz error", len(chip.couplings))
    with (folder / "placement.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for k, row in enumerate(rows[:133]):
        assert readout.qubits[k] == (float(row["error"]) if row["works"] == "True" else None)
    assert {row["works"] for row in rows} == {"True", "False"}
    assert None in [*readout.qubits, *gate.couplings]
    # Detectors stand round by round: checks (1) and (3) in turn.
    fired = events_in(folder).mean(axis=0)
    told = [k for k, value in enumerate(measured.qubits) if value is not None]
    assert told == [3, 5]
    for qubit, own in ((3, fired[0::2]), (5, fired[1::2])):
        assert measured.qubits[qubit] == pytest.approx(own.mean(), abs=1e-4)
    predicted = json.loads((folder / "results.json").read_text())["detection_fraction"][
        "predicted_by_detector"
    ]
    difference = fired[0::2].mean() - np.mean(predicted[0::2])
    assert excess.qubits[3] == pytest.approx(difference, abs=1e-5)


def test_detectors_are_drawn_where_they_fire(folder: pathlib.Path) -> None:
    section = named(folder)["Detectors"]
    chart, measured, excess = section.figures
    assert isinstance(chart, Chart)
    assert isinstance(measured, HeatMap)
    assert isinstance(excess, HeatMap)
    assert chart.diagonal
    assert [curve.name for curve in chart.curves] == ["first round", "rounds between", "last round"]
    fired = events_in(folder).mean(axis=0)
    assert sorted(y for curve in chart.curves for y in curve.y if y is not None) == pytest.approx(
        sorted(fired)
    )
    assert list(measured.rows) == ["3 (1)", "5 (3)"]
    assert list(measured.columns) == ["0", "1", "2"]
    assert np.array(measured.values) == pytest.approx(fired.reshape(3, 2).T, rel=0.01)
    assert excess.centred


def test_pairs_are_ordered_by_check_and_then_round(folder: pathlib.Path) -> None:
    *maps, table = named(folder)[TITLES[3]].figures
    names = [f"{qubit} ({place}), round {time}"
             for place, qubit in ((1, 3), (3, 5)) for time in range(3)]  # fmt: skip
    for one in maps:
        assert isinstance(one, HeatMap)
        assert list(one.rows) == list(one.columns) == names
        assert all(row[k] is None for k, row in enumerate(one.values))
    assert isinstance(table, Table)
    scores = [float(row[5]) for row in table.rows]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) <= 10


@pytest.mark.parametrize("name", ["rotated_memory_x", "rotated_memory_z"])
def test_checks_are_read_where_their_coordinates_are(name: str) -> None:
    """In stim's own surface codes a check has the coordinates of the qubit that reads it."""
    circuit = stim.Circuit.generated(f"surface_code:{name}", distance=5, rounds=3)
    at = {tuple(place): qubit for qubit, place in circuit.get_final_qubit_coordinates().items()}
    found = check_qubits(circuit, circuit, sorted(at.values()))
    assert found == {tuple(place): (at[tuple(place)],) for place in found}
    assert len(found) == 24


def test_qubits_are_not_told_where_they_are_not_known() -> None:
    ideal = named_memory("repetition:3", rounds=2)
    recorded = stim.Circuit(str(ideal).replace("MR 1 3", "MR 3 1"))  # as if swapped
    assert recorded != ideal
    assert check_qubits(ideal, ideal, range(5)) == {(1.0,): (1,), (3.0,): (3,)}
    for one, placement in ((recorded, [0, 1, 2, 3, 4]), (ideal, [0, 1, 2, 3, 4, 9])):
        assert check_qubits(ideal, one, placement) == {(1.0,): (), (3.0,): ()}
    own = stim.Circuit("H 0\nCX 0 1\nM 0 1\nDETECTOR rec[-1] rec[-2]")
    assert check_qubits(own, own, [0, 1]) == {(0.0,): ()}


def test_without_known_qubits_the_chip_has_errors_alone(copy: pathlib.Path) -> None:
    path = copy / "results.json"
    results = json.loads(path.read_text())
    path.write_text(json.dumps({**results, "placement": [2, 3, 4, 5, 6, 7]}))
    found = named(copy)
    (chip,) = found["The chip"].figures
    assert isinstance(chip, Chip)
    assert [layer.name for layer in chip.layers] == ["readout error", "cz error"]
    assert "are not shown here" in chip.caption
    measured = found["Detectors"].figures[1]
    assert isinstance(measured, HeatMap)
    assert list(measured.rows) == ["1", "3"]


def test_what_is_missing_is_said(copy: pathlib.Path) -> None:
    (copy / "placement.csv").unlink()
    (copy / "state-1" / "detection_events.b8").unlink()
    found = named(copy)
    assert "no placement.csv" in found["The chip"].words[0]
    assert "state-1/detection_events.b8 is missing" in found[TITLES[3]].words[0]
    assert not found[TITLES[3]].figures
    assert len(found["Detectors"].figures) == 3
    (copy / "state-0" / "circuit.stim").unlink()
    with pytest.raises(ValueError, match=r"circuit\.stim is missing: decode the deployment again"):
        deployed.sections(copy)
    (copy / "results.json").unlink()
    with pytest.raises(ValueError, match=r"has no results\.json: fetch"):
        deployed.title(copy)


def test_few_shots_are_told_apart_from_none(copy: pathlib.Path) -> None:
    for k, shots in ((0, 12), (1, 0)):
        path = copy / f"state-{k}" / "detection_events.b8"
        path.write_bytes(path.read_bytes()[:shots])
    found = named(copy)[TITLES[3]]
    assert any("None of the pairs can be judged by so few shots" in word for word in found.words)
    assert not [figure for figure in found.figures if isinstance(figure, Table)]
    (copy / "state-0" / "detection_events.b8").write_bytes(b"")
    assert "two shots" in named(copy)[TITLES[3]].words[0]


def test_words_follow_the_numbers(copy: pathlib.Path) -> None:
    path = copy / "results.json"
    results = json.loads(path.read_text())
    fractions = results["detection_fraction"]
    fractions["predicted_by_detector"] = [0.5 * one for one in fractions["by_detector"]]
    one = results["decoders"]["pymatching"]
    one.update(ler=0.3, errors=1200, expected=[0.1, 0.2], as_predicted=False)
    path.write_text(json.dumps(results))
    found = named(copy)
    assert "At 6 of 6 the interval" in found["Detectors"].words[0]
    assert any("pymatching fails more often" in word for word in found[TITLES[0]].words)
    assert "They exceed the prediction most" in found["The chip"].words[-1]
    fractions["by_detector"].append(0.1)
    path.write_text(json.dumps(results))
    with pytest.raises(ValueError, match="expected 6 detection fractions"):
        deployed.sections(copy)


def test_large_maps_are_thinned_and_say_so(copy: pathlib.Path) -> None:
    results = json.loads((copy / "results.json").read_text())
    few = detectors_in(copy, results)
    places = [(float(k % 200),) for k in range(60_000)]
    many = few._replace(
        places=places, times=[float(k // 200) for k in range(60_000)],
        qubits=dict.fromkeys(places, ()), measured=np.zeros(60_000),
        predicted=np.zeros(60_000),
    )  # fmt: skip
    _, measured, _ = detectors_section(many).figures
    assert isinstance(measured, HeatMap)
    assert (len(measured.rows), len(measured.columns)) == (100, 100)
    assert "100 of 200 checks and 100 of 300 rounds" in measured.caption
    assert thinned(range(120)) == list(range(120))

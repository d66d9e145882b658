"""A deployment's pictures: which of the device's qubits a row is, and what is said of cells."""

from __future__ import annotations

import csv
import itertools
import pathlib
from typing import Any

import numpy as np
import pytest
import stim
from matplotlib.figure import Figure

from calib.from_backend import fake_backend
from calib.snapshot import Snapshot
from decoders.deploy.concluded import Conclusion, Recorded
from decoders.deploy.config import DeployConfig
from decoders.deploy.lower import lower
from decoders.deploy.memories import named_memory
from decoders.deploy.reset_free import reset_free
from scripts.report.deployment_pictures import (
    draw_chip,
    draw_detections,
    fired,
    held_by,
    spots_of,
)
from scripts.report.style import LIGHT, Labels


def _ideal(memory: str, *, rounds: int, basis: str = "Z", free: bool = False) -> stim.Circuit:
    given = named_memory(memory, rounds=rounds, basis=basis)
    return lower(reset_free(given) if free else given).ideal


def _concluded(
    ideal: stim.Circuit, memory: str, placement: tuple[int, ...], **more: Any
) -> Conclusion:
    """Four shots in which the first detector fires once."""
    events = np.zeros((4, ideal.num_detectors), dtype=np.bool_)
    events[0, 0] = True
    records = np.zeros((4, ideal.num_measurements), dtype=np.bool_)
    flips = np.zeros((4, ideal.num_observables), dtype=np.bool_)
    config = DeployConfig(backend="fake_torino", memory=(memory,), **more)
    return Conclusion(
        1, memory, config, Snapshot.of(fake_backend("fake_torino")), placement, (),
        events.mean(axis=0), np.full(ideal.num_detectors, 0.2),
        (Recorded("0", ideal, ideal, records=records, events=events, flips=flips),),
    )  # fmt: skip


def _drawn(found: Conclusion, monkeypatch: pytest.MonkeyPatch) -> tuple[Figure, Labels]:
    """The picture of detections, on its figure."""
    kept: list[tuple[Figure, Labels]] = []

    def keep(paint: Any, target: Any, labels: Labels, rows: Any, size_in: Any) -> list[Any]:
        kept.append((Figure(figsize=size_in), labels))
        paint(kept[0][0], LIGHT)
        return []

    monkeypatch.setattr("scripts.report.deployment_pictures.save", keep)
    draw_detections(found, pathlib.Path("unused"))
    return kept[0]


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(
    ("memory", "basis", "rounds"),
    [*itertools.product(["surface:3", "unrotated-surface:3", "xzzx:3"], "XZ", [1, 4])],
)
def test_a_check_is_measured_by_the_qubit_at_its_place(
    memory: str, basis: str, rounds: int, *, free: bool
) -> None:
    ideal = _ideal(memory, rounds=rounds, basis=basis, free=free)
    coordinates = ideal.get_final_qubit_coordinates()
    for (place, _), held in zip(spots_of(ideal), held_by(ideal), strict=True):
        assert [tuple(coordinates[qubit]) for qubit in held.qubits] == [place]


@pytest.mark.parametrize("free", [False, True])
def test_a_check_of_two_halves_is_measured_by_both_and_flags_are_themselves(*, free: bool) -> None:
    ideal = _ideal("heavy-hex-native:3", rounds=3, free=free)
    coordinates = ideal.get_final_qubit_coordinates()
    first: dict[Any, list[Any]] = {}
    for (place, _), held in zip(spots_of(ideal), held_by(ideal), strict=True):
        first.setdefault(place, [tuple(coordinates[qubit]) for qubit in held.qubits])
    assert first[3, 1] == [(2, 1), (4, 1)]  # around it
    assert first[1, 3] == [(0, 3), (2, 3)]
    assert first[1, 2] == [(1, 1), (1, 5)]  # the product of a column's two
    assert first[5, 3] == [(4, 3)]  # at the border
    assert first[4, 3] == [(4, 3)]  # the same qubit as a flag
    assert first[2, -1] == [(2, -1)]


@pytest.mark.parametrize("free", [False, True])
def test_basis_and_colour_are_no_time_and_tell_checks_at_one_place_apart(*, free: bool) -> None:
    ideal = _ideal("color:3", rounds=3, free=free)
    coordinates = ideal.get_final_qubit_coordinates()
    spots = spots_of(ideal)
    assert {time for _, time in spots} == {0, 1, 2, 3}
    assert len({place for place, _ in spots}) == 6  # three faces, X and Z
    for ((x, y, colour), _), held in zip(spots, held_by(ideal), strict=True):
        (qubit,) = held.qubits
        # Chromobius' colours 0 to 2 are X, 3 to 5 are Z; a face's two qubits measure one each.
        assert coordinates[qubit] == [x - 1 if colour < 3 else x + 1, y]


def test_rows_are_the_devices_qubits_unless_these_wander() -> None:
    ideal = _ideal("repetition:3", rounds=2, free=True)
    line = (60, 61, 62, 63, 73)
    found = fired(_concluded(ideal, "repetition:3", line))
    assert {one.check for one in found} == {"61 (1)", "63 (3)"}
    assert [one.time for one in found if one.is_readout] == [2, 2]
    assert found[0].measured == 0.25
    wandering = fired(_concluded(ideal, "repetition:3", line, routed=True))
    assert {one.check for one in wandering} == {"1", "3"}


def test_circuits_that_are_no_memories_keep_places() -> None:
    bare = stim.Circuit("R 0\nM 0\nDETECTOR(7, 0) rec[-1]\nM 0\nOBSERVABLE_INCLUDE(0) rec[-1]")
    (one,) = fired(_concluded(bare, "repetition:3", (60,)))
    assert (one.check, one.is_readout) == ("7", False)


def test_absent_checks_have_dashes_and_the_caption_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ideal = _ideal("surface:3", rounds=2)
    figure, labels = _drawn(_concluded(ideal, "surface:3", tuple(range(17))), monkeypatch)
    chart = figure.axes[0]
    dashes: Any = chart.collections[0].get_offsets()
    # The four checks of X have no detector in the first round of a memory of Z, nor in the readout.
    assert sorted(set(dashes[:, 0])) == [0, 2]
    assert len(dashes) == 8
    assert [one.get_text() for one in chart.get_xticklabels()] == ["0", "1", "2\nreadout"]
    assert "that measures the check" in chart.get_ylabel()
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert [one.get_text() for one in legend.get_texts()] == ["round 0", "round 1", "readout"]
    assert "A dash: the check has no detector" in labels.caption
    assert "the last column compares the readout of the data" in labels.caption


def test_a_full_map_speaks_of_no_dashes_and_many_rounds_are_not_all_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ideal = _ideal("repetition:3", rounds=30)
    figure, labels = _drawn(_concluded(ideal, "repetition:3", tuple(range(5))), monkeypatch)
    assert "dash" not in labels.caption
    assert not np.size(figure.axes[0].collections[0].get_offsets())
    named = [one.get_text() for one in figure.axes[0].get_xticklabels()]
    assert len(named) <= 13
    assert named[:2] + named[-1:] == ["0", "3", "30\nreadout"]


@pytest.mark.parametrize("routed", [False, True])
def test_the_chip_shows_a_routed_memorys_qubits_alone(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, *, routed: bool
) -> None:
    monkeypatch.setattr("scripts.report.style.PNG_DPI", 50)
    line = (60, 61, 62, 63, 73)
    found = _concluded(_ideal("repetition:3", rounds=1), "repetition:3", line, routed=routed)
    where = (found.config, found.snapshot, line, found.states[0].ideal)
    draw_chip(where, tmp_path / "chip")
    with (tmp_path / "chip.csv").open() as file:
        chosen = [row["at"] for row in csv.DictReader(file) if row["chosen"]]
    couplings = [] if routed else ["60-61", "61-62", "62-63", "63-73"]
    assert chosen == [*map(str, line), *couplings]

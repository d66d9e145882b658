"""The map of a chip: qubits where they are, and in the CSV what is to be seen."""

from __future__ import annotations

import ast
import csv
import pathlib

import numpy as np
import pytest

from calib.from_backend import fake_backend
from calib.snapshot import Snapshot
from scripts.report.placement_pictures import Chosen, all_couplings, chip_places, draw_placement


def test_lattices_have_couplings_of_one_length_and_springs_help_elsewhere():
    for name in ("fake_torino", "fake_fez", "fake_sherbrooke", "fake_nighthawk"):
        snapshot = Snapshot.of(fake_backend(name))
        couplings = all_couplings(snapshot)
        places = np.array(chip_places(snapshot.num_qubits, couplings))
        a, b = np.array(couplings).T
        assert np.allclose(np.abs(places[a] - places[b]).sum(axis=1), 1)
        assert len({tuple(one) for one in places}) == snapshot.num_qubits
    assert np.ptp(places, axis=0).tolist() == [9, 11]  # the last: 12 rows of 10
    ring = chip_places(5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)])
    assert len(set(ring)) == 5


def test_the_places_of_127_qubits_are_those_that_qiskit_draws():
    from qiskit.visualization import gate_map

    source = pathlib.Path(gate_map.__file__).read_text(encoding="utf-8")
    listed = source.split("qubit_coordinates_map[127] = ", 1)[1].split("\n    ]", 1)[0] + "]"
    known = [(float(x), float(y)) for y, x in ast.literal_eval(listed)]
    sherbrooke = Snapshot.of(fake_backend("fake_sherbrooke"))
    assert chip_places(127, all_couplings(sherbrooke)) == known


def test_the_map_shows_what_was_chosen(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.report.style.PNG_DPI", 50)
    snapshot = Snapshot.of(fake_backend("fake_torino"))
    first = Chosen("predicted", (20, 19, 21), [(0, 1), (0, 2)])
    second = Chosen("by gate error", (40, 41, 42), [(0, 1), (1, 2)])
    words = {"title": "Where", "origin": "fake_torino."}
    written = draw_placement(snapshot, [first, second], tmp_path / "map", **words)
    assert {path.suffix for path in written} == {".png", ".svg", ".csv"}
    assert all(path.stat().st_size for path in written)
    with (tmp_path / "map.csv").open() as file:
        rows = list(csv.DictReader(file))
    chosen = {row["at"] for row in rows if row["chosen"] == "predicted"}
    assert chosen == {"19", "20", "21", "19-20", "20-21"}
    assert len(rows) == 133 + len(all_couplings(snapshot))
    broken = [row["at"] for row in rows if row["kind"] == "cz" and row["works"] == "False"]
    assert len(broken) == len(all_couplings(snapshot)) - len(snapshot.couplings)
    with pytest.raises(ValueError, match="one to 3 placements"):
        draw_placement(snapshot, [], tmp_path / "none", **words)

"""The map of a chip: qubits where they are, and in the CSV what is to be seen."""

from __future__ import annotations

import ast
import csv
import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from calib.from_backend import fake_backend
from calib.snapshot import Snapshot
from scripts.report.placement_pictures import Chosen, all_couplings, chip_places, draw_placement
from scripts.report.style import LIGHT, Labels


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


def _drawn(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> tuple[Figure, Labels]:
    """The map of a chip with two chosen qubits, laid out on its figure with its words."""
    kept: list[tuple[Figure, Labels]] = []

    def keep(paint: Any, target: Any, labels: Labels, rows: Any, size_in: Any) -> list[Any]:
        figure = Figure(figsize=size_in, layout="constrained")
        figure.suptitle(labels.title)
        figure.supxlabel("two\nlines")
        paint(figure, LIGHT)
        figure.draw_without_rendering()
        kept.append((figure, labels))
        return []

    monkeypatch.setattr("scripts.report.placement_pictures.save", keep)
    pair = Chosen("two", min(snapshot.couplings), [(0, 1)])
    draw_placement(snapshot, [pair], pathlib.Path("unused"), title="A map", origin="Reported.")
    return kept[0]


def _first(snapshot: Snapshot, qubits: int) -> Snapshot:
    """The part of a chip with so many of its first qubits."""
    operations = {
        name: {at: one for at, one in places.items() if max(at) < qubits}
        for name, places in snapshot.operations.items()
    }
    return dataclasses.replace(snapshot, num_qubits=qubits, operations=operations)


@pytest.mark.parametrize(
    ("backend", "qubits"), [("fake_torino", 133), ("fake_nighthawk", 120), ("fake_torino", 15)]
)
def test_the_map_fills_its_picture(
    backend: str, qubits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = _first(Snapshot.of(fake_backend(backend)), qubits)
    figure, _ = _drawn(snapshot, monkeypatch)
    chip = figure.axes[0].get_window_extent()
    wide, high = figure.get_size_inches() * figure.dpi
    assert chip.width > 0.85 * wide
    assert chip.height > high - 2.0 * figure.dpi  # two inches are for title, key, scales, caption


def test_the_two_scales_differ_and_say_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    figure, _ = _drawn(Snapshot.of(fake_backend("fake_torino")), monkeypatch)
    qubits, gates = figure.axes[1:]
    assert qubits.get_title(loc="left") == "discs: readout error of the qubit"
    assert gates.get_title(loc="left") == "lines: error of the cz gate"
    ramps = [next(one.cmap for one in bar.get_children() if isinstance(one, QuadMesh))
             for bar in (qubits, gates)]  # fmt: skip
    first, second = (np.array([ramp(at)[:3] for at in (0.0, 0.5, 1.0)]) for ramp in ramps)
    assert np.abs(first - second).sum(axis=1).min() > 0.2


def test_what_does_not_work_is_spoken_of_only_where_there_is_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torino, nighthawk = (
        Snapshot.of(fake_backend(f"fake_{one}")) for one in ("torino", "nighthawk")
    )
    chips = (torino, nighthawk, _first(torino, 15))
    words = [_drawn(one, monkeypatch)[1].caption for one in chips]
    assert words == [
        "Numbers: the qubits chosen. Dotted: reported as not working. Reported.",
        "Numbers: the qubits chosen. Hollow and dotted: reported as not working. Reported.",
        "Numbers: the qubits chosen. Reported.",
    ]

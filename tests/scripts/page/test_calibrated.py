"""The report of a calibration: its numbers are those of the tables, and it changes nothing."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections import Counter
from typing import Any

import numpy as np
import pytest

from scripts.main import main
from scripts.page import calibrated
from scripts.page.figures import Bars, Chart, Curve, HeatMap, Section, Table
from scripts.page.folder import page_of
from scripts.page.html import html_of
from scripts.page.run_files import read_table

# Upkeep has something to do: the drive grows by 1 % in an hour.
RECIPE = """\
title = "Two for a test"
hours = 2
every_minutes = 60
[device]
name = "two"
topology = { kind = "line", qubits = 2 }
[[device.drift]]
process = { kind = "ramp" }
relative = { rabi_mhz = 0.01 }
"""
GATES = ("q0 sx", "q0 x", "q1 sx", "q1 x", "q1-q0 cz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    here = tmp_path_factory.mktemp("calibrated")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        pathlib.Path("two.toml").write_text(RECIPE)
        command = ["calibrate", "two.toml", "--out", "runs/two", "--history", "h.sqlite",
                   "--no-pictures", "--json"]  # fmt: skip
        patch.setattr("sys.argv", ["syndrift", *command])  # the manifest has it
        assert main(command) == 0
    return here / "runs" / "two"


@pytest.fixture
def copy(folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """The run and its history, to spoil."""
    there = shutil.copytree(folder.parents[1], tmp_path / "copy")
    return there / "runs" / "two"


def named(folder: pathlib.Path) -> dict[str, Section]:
    return {section.title: section for section in calibrated.sections(folder)}


def one(section: Section, kind: type[Any], title: str) -> Any:
    (found,) = (figure for figure in section.figures
                if isinstance(figure, kind) and figure.title == title)  # fmt: skip
    return found


def curves(figure: Chart) -> dict[str, Curve]:
    return {curve.name: curve for curve in figure.curves}


def looks(folder: pathlib.Path, settings: str) -> dict[float, list[dict[str, str]]]:
    """Of looks.csv, by time; two of one time are one."""
    found: dict[float, list[dict[str, str]]] = {}
    for row in read_table(folder / "looks.csv"):
        if row["settings"] == settings:
            found.setdefault(float(row["device_time_s"]), []).append(row)
    return found


# --- a run that has ended ---


@pytest.mark.slow
def test_the_page_is_named_as_the_recipe_and_can_be_written(folder: pathlib.Path) -> None:
    page = page_of(folder)
    assert page.title == "Two for a test"
    assert [section.title for section in page.sections] == [
        "The gates", "Kept while it drifts", "Step by step", "What was changed",
        "Calibration history"]  # fmt: skip
    assert "fine_amplitude_x on q0" in html_of(page)


@pytest.mark.slow
def test_bars_and_table_are_the_gates_before_and_after(folder: pathlib.Path) -> None:
    result = json.loads((folder / "calibration.json").read_text())
    section = named(folder)["The gates"]
    bars = one(section, Bars, "Every gate before and after")
    values = dict(zip(bars.names, bars.values, strict=True))
    assert len(values) == 3 * len(GATES)
    for name, gate in zip(GATES, result["gates"], strict=True):
        assert values[f"{name}, at the start"] == gate["infidelity_at_start"]
        assert values[f"{name}, now"] == gate["infidelity"]
        assert values[f"{name}, coherence limit"] == gate["coherence_limit"]
    table = one(section, Table, "Gates")
    assert [(row[0], row[4]) for row in table.rows] == [
        (name, f"{gate['infidelity'] / gate['coherence_limit']:.2f}")
        for name, gate in zip(GATES, result["gates"], strict=True)
    ]
    assert f"{len(read_table(folder / 'steps.csv')):,} experiments in all" in section.words[-1]


@pytest.mark.slow
def test_upkeep_is_drawn_as_the_looks_have_it(folder: pathlib.Path) -> None:
    """The drive grows all the time: what is left alone is ever farther from its limit."""
    figure = one(named(folder)["Kept while it drifts"], Chart, "What upkeep saves")
    found = curves(figure)
    for settings in ("maintained", "left alone"):
        means = [np.mean([float(row["ratio"]) for row in rows])
                 for rows in looks(folder, settings).values()]  # fmt: skip
        worst = [max(float(row["ratio"]) for row in rows)
                 for rows in looks(folder, settings).values()]  # fmt: skip
        np.testing.assert_allclose(np.array(found[f"{settings}, mean"].y, float), means)
        np.testing.assert_allclose(np.array(found[f"{settings}, worst gate"].y, float), worst)
    alone, kept = (np.array(found[name].y, float) for name in
                   ("left alone, mean", "maintained, mean"))  # fmt: skip
    assert (np.diff(alone) > 0).all()
    assert alone[-1] > 1.5 * kept[-1]


@pytest.mark.slow
def test_each_gate_s_map_and_curve_have_the_looks_after_upkeep(folder: pathlib.Path) -> None:
    """Looks: after the bring-up; then each hour one before and one after what was due."""
    section = named(folder)["Kept while it drifts"]
    times = sorted(looks(folder, "maintained"))
    assert len(times) == 5
    after = [times[0], times[2], times[4]]
    for settings in ("maintained", "left alone"):
        figure = one(section, HeatMap, f"Gates {settings}")
        assert list(figure.rows) == list(GATES)
        told = [[float(looks(folder, settings)[time_s][k]["ratio"]) for time_s in after]
                for k in range(len(GATES))]  # fmt: skip
        np.testing.assert_allclose(np.array(figure.values, float), told, rtol=1e-3)
    found = curves(one(section, Chart, "x: infidelity and coherence limit"))
    rows = [looks(folder, "maintained")[time_s][1] for time_s in after]
    assert list(found["q0"].y) == [float(row["infidelity"]) for row in rows]
    assert list(found["q0, coherence limit"].y) == [float(row["coherence_limit"]) for row in rows]


@pytest.mark.slow
def test_every_step_is_a_point_with_its_verdict(folder: pathlib.Path) -> None:
    section, steps = named(folder)["Step by step"], read_table(folder / "steps.csv")
    points: Counter[tuple[str, float, str]] = Counter()
    for figure in section.figures:
        if isinstance(figure, Chart):
            unit = figure.y.label.removeprefix("deviation (").removesuffix(")")
            points += Counter((unit, float(y or 0), curve.name) for curve in figure.curves
                              for y in curve.y)  # fmt: skip
    assert points == Counter((step["unit"], abs(float(step["deviation"])), step["verdict"])
                             for step in steps)  # fmt: skip
    first = steps[0]
    said = {note for figure in section.figures if isinstance(figure, Chart)
            for curve in figure.curves for note in curve.notes or ()}  # fmt: skip
    assert any(note.startswith(f"{first['experiment']} on {first['on']}: ") for note in said)
    moved = one(section, HeatMap, "Where knobs were moved")
    times = Counter((step["experiment"], step["on"]) for step in steps
                    if step["verdict"] == "corrected")  # fmt: skip
    ran = {(step["experiment"], step["on"]) for step in steps}
    for name, row in zip(moved.rows, moved.values, strict=True):
        for on, value in zip(moved.columns, row, strict=True):
            assert value == (times[name, on] if (name, on) in ran else None)


@pytest.mark.slow
def test_settings_are_those_of_the_table(folder: pathlib.Path) -> None:
    section, told = named(folder)["What was changed"], read_table(folder / "settings.csv")
    table = one(section, Table, "Settings")
    assert [row[0] for row in table.rows] == [row["knob"] for row in told]
    for row, setting in zip(table.rows, told, strict=True):
        assert float(row[3]) == pytest.approx(float(setting["difference"]), rel=5e-3)
        assert (row[5], row[6]) == (setting["status"], setting["by"])


@pytest.mark.slow
def test_the_history_counts_from_the_values_in_force(folder: pathlib.Path) -> None:
    """The readout is set once, so that the first value is off by what settings.csv says."""
    section = named(folder)["Calibration history"]
    figure = one(section, Chart, "readout.frequency_ghz")
    assert figure.y.label == "from the value in force (kHz)"
    told = {row["knob"]: row for row in read_table(folder / "settings.csv")}
    for name in ("q0", "q1"):
        row = told[f"{name}.readout.frequency_ghz"]
        found = curves(figure)[name]
        assert found.y[0] == pytest.approx(1e6 * (float(row["old"]) - float(row["new"])))
        assert list(found.y[-2:]) == [0.0, 0.0]
    # The drive has grown: upkeep took back what the bring-up had set.
    drive = curves(one(section, Chart, "x.amplitude"))["q0"]
    in_time = [(x, y) for x, y in zip(drive.x, drive.y, strict=True) if y is not None]
    assert len(in_time) > 2
    assert max(x for x, _ in in_time if x is not None) > 1.0


@pytest.mark.slow
def test_a_history_that_is_gone_is_said_to_be(copy: pathlib.Path) -> None:
    history = copy.parents[1] / "h.sqlite"
    history.unlink()
    words = named(copy)["Calibration history"].words
    assert words == ["The history that the run wrote to, h.sqlite, is not there."]
    history.write_bytes(b"not a history, but long enough to be taken for one" * 100)
    assert "cannot be read" in named(copy)["Calibration history"].words[0]


@pytest.mark.slow
def test_nothing_is_changed(copy: pathlib.Path) -> None:
    def state() -> dict[pathlib.Path, bytes]:
        files = [path for path in copy.parents[1].rglob("*") if path.is_file()]
        return {path: path.read_bytes() for path in files}

    journal = copy / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])  # as a kill tears it
    before = state()
    page_of(copy)
    assert state() == before


# --- a run that has not ended ---


@pytest.mark.slow
def test_a_run_under_way_shows_what_it_has(copy: pathlib.Path) -> None:
    for name in ("calibration.json", "settings.csv", "steps.csv", "looks.csv"):
        (copy / name).unlink()
    journal = copy / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    kinds = [next(iter(json.loads(line))) for line in lines]
    up = kinds.index("BroughtUp")
    journal.write_bytes(b"".join(lines[:11]) + lines[11][:30])
    found = named(copy)
    assert list(found) == ["The gates", "Step by step", "Calibration history"]
    assert "bringing the device up, with 10 experiments so far" in found["The gates"].words[0]
    # The command names the history, as the result would.
    assert any(isinstance(figure, Chart) for figure in found["Calibration history"].figures)
    journal.write_bytes(b"".join(lines[: up + 2]))
    assert "kept for 0 of 2 hours" in named(copy)["The gates"].words[0]
    for count in (1, 2, up, up + 1, up + 3, len(lines) - 1):
        journal.write_bytes(b"".join(lines[:count]))
        assert html_of(page_of(copy))


@pytest.mark.slow
@pytest.mark.parametrize("journal", [None, b"", b'{"Begun": {"hist'])
def test_a_run_that_has_not_begun_says_so(copy: pathlib.Path, journal: bytes | None) -> None:
    (copy / "calibration.json").unlink()
    (copy / "journal.jsonl").unlink()
    if journal is not None:
        (copy / "journal.jsonl").write_bytes(journal)
    (section,) = page_of(copy).sections
    assert section.title == "Nothing yet"

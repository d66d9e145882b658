"""The report of a steered run: its numbers are those of the tables, its optimum is the recipe's."""

from __future__ import annotations

import json
import math
import pathlib
import shutil

import numpy as np
import pytest

from scripts.page import steered
from scripts.page.figures import Chart, Curve, HeatMap, Section, Table
from scripts.page.folder import page_of
from scripts.page.html import html_of
from tests.scripts.steer_recipe import EPOCHS, RECIPE, rows_of, said

EPOCH_S, PERIOD_S = 60.0, 1500.0
OVER = ("--over", "environment.memory.distance=3,5", "--seeds", "2", "--set", "epochs=6",
        "--set", "ler.every_epochs=3")  # fmt: skip
KINDS = ("--over", "steerer.kind=tracker,spsa", "--set", "rivals={}", "--set", "epochs=6",
         "--set", "ler=false")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return made(tmp_path_factory, "--out", "run")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return made(tmp_path_factory, *OVER, "--out", "run")


def made(factory: pytest.TempPathFactory, *words: str) -> pathlib.Path:
    here = factory.mktemp("steered")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        pathlib.Path("my.toml").write_text(RECIPE)
        status, _, err = said("my.toml", "--no-pictures", *words)
    assert (status, err) == (0, "")
    return here / "run"


@pytest.fixture
def copy(folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """To spoil."""
    return shutil.copytree(folder, tmp_path / "copy")


def named(folder: pathlib.Path) -> dict[str, Section]:
    return {section.title: section for section in steered.sections(folder)}


def chart(section: Section, heading: str) -> Chart:
    return next(one for one in section.figures if isinstance(one, Chart) and one.title == heading)


def heat(section: Section, heading: str) -> HeatMap:
    return next(one for one in section.figures if isinstance(one, HeatMap) and one.title == heading)


def curve(figure: Chart, name: str) -> Curve:
    return next(one for one in figure.curves if one.name == name)


def column(folder: pathlib.Path, steerer: str, name: str) -> np.ndarray:
    """Of epochs.csv."""
    rows = rows_of(folder / "epochs.csv")
    return np.array([float(row[name]) for row in rows if row["steerer"] == steerer])


# --- a run that has ended ---


def test_the_page_is_named_as_the_recipe_and_can_be_written(folder: pathlib.Path) -> None:
    page = page_of(folder)
    assert page.title == "Steered for a test"
    assert [section.title for section in page.sections] == [
        "What steering won", "Detection events over time", "Logical errors over time",
        "Knob by knob"]  # fmt: skip
    assert "q12.0" in html_of(page)


def test_scores_are_means_over_the_last_three_quarters(folder: pathlib.Path) -> None:
    section = named(folder)["What steering won"]
    (table,) = section.figures
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["tracker", "plain", "untouched", "best"]
    late = slice(EPOCHS // 4, None)
    for row, steerer in zip(table.rows, ("steerer", "plain"), strict=False):
        means = {who: column(folder, steerer, who)[late].mean()
                 for who in ("exploring", "steered", "untouched", "best")}  # fmt: skip
        to_win = means["best"] - means["untouched"]
        for cell, who in ((row[1], "exploring"), (row[2], "steered")):
            assert float(cell) == pytest.approx(
                (means[who] - means["untouched"]) / to_win, abs=6e-4
            )
        assert float(row[3]) == pytest.approx(means["exploring"], abs=6e-5)
        if steerer == "steerer":
            assert any(f"{means['untouched']:.4g}" in words for words in section.words)


def test_detections_are_those_of_the_table_over_time(folder: pathlib.Path) -> None:
    figure = chart(named(folder)["Detection events over time"], "Detection events a cycle")
    assert figure.x.label == "time (min)"
    minutes = column(folder, "steerer", "time_s") / 60
    for name, steerer, who in (
        ("tracker", "steerer", "exploring"), ("tracker, settings held", "steerer", "steered"),
        ("untouched", "steerer", "untouched"), ("best", "steerer", "best"),
        ("plain", "plain", "exploring"), ("plain, settings held", "plain", "steered"),
    ):  # fmt: skip
        found = curve(figure, name)
        np.testing.assert_allclose(np.array(found.x, float), minutes, rtol=1e-5)
        np.testing.assert_allclose(
            np.array(found.y, float), column(folder, steerer, who), rtol=1e-5
        )


def test_logical_errors_have_wilson_s_bands(folder: pathlib.Path) -> None:
    """The end of a score interval is a rate p with (x − p)² = z² p (1 − p) / n."""
    figure = chart(named(folder)["Logical errors over time"], "Logical errors a shot")
    found = curve(figure, "untouched")
    rows = [row for row in rows_of(folder / "ler.csv")
            if (row["steerer"], row["who"]) == ("steerer", "untouched")]  # fmt: skip
    assert len(found.y) == len(rows) > 2
    assert found.low is not None
    assert found.high is not None
    for row, y, ends in zip(rows, found.y, zip(found.low, found.high, strict=True), strict=True):
        rate, shots = int(row["errors"]) / int(row["shots"]), int(row["shots"])
        assert y == rate
        for end in ends:
            assert end is not None
            assert (rate - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / shots)


def test_the_hidden_optimum_is_the_recipe_s_sinusoid(folder: pathlib.Path) -> None:
    """Each control's is A sin(wt) + B cos(wt) + C with A² + B² = 1, and C puts it at 0 at first."""
    figure = heat(named(folder)["Knob by knob"], "What drifted")
    times_s = EPOCH_S * np.arange(1, EPOCHS + 1)
    assert figure.columns == [f"{time_s / 60:.0f}" for time_s in times_s]
    angles = 2 * math.pi * times_s / PERIOD_S
    basis = np.stack([np.sin(angles), np.cos(angles), np.ones(EPOCHS)], axis=1)
    values = np.array(figure.values, float).T
    fitted, *_ = np.linalg.lstsq(basis, values, rcond=None)
    np.testing.assert_allclose(basis @ fitted, values, atol=0.006)
    np.testing.assert_allclose(np.hypot(fitted[0], fitted[1]), 1, atol=0.01)


def test_what_was_left_is_the_setting_less_the_optimum(folder: pathlib.Path) -> None:
    section = named(folder)["Knob by knob"]
    did, drifted, left = (
        np.array(heat(section, name).values, float)
        for name in ("What the agent did", "What drifted", "What was left")
    )
    np.testing.assert_allclose(did - drifted, left, atol=0.02)
    rows = rows_of(folder / "knobs.csv")
    names = list(heat(section, "What the agent did").rows)
    assert names == list(rows[0])[1:]
    told = np.array([[float(row[name]) for row in rows] for name in names])
    np.testing.assert_allclose(did, told, atol=0.006)
    off = math.sqrt(float(np.mean(drifted[:, EPOCHS // 4 :] ** 2)))
    assert f"untouched they would have been {off:#.2g} units off" in section.words[0]


def test_the_controls_that_drifted_most_have_curves(folder: pathlib.Path) -> None:
    section = named(folder)["Knob by knob"]
    drifted = heat(section, "What drifted")
    went = {name: max(row) - min(row) for name, row in zip(
        drifted.rows, np.array(drifted.values, float).tolist(), strict=True)}  # fmt: skip
    charts = [one for one in section.figures if isinstance(one, Chart)]
    assert len(charts) == 6
    least = min(went[one.title] for one in charts)
    others = [span for name, span in went.items() if name not in {one.title for one in charts}]
    assert least >= max(others) - 0.02


def test_what_stepped_in_stands_at_its_time(copy: pathlib.Path) -> None:
    path = copy / "steering.json"
    result = json.loads(path.read_text())
    result["steerers"]["steerer"] |= {"rolled_back_at": [9], "recalibrated_at": [4]}
    path.write_text(json.dumps(result))
    found = named(copy)
    figure = chart(found["Detection events over time"], "Detection events a cycle")
    assert [(line.axis, line.at, line.label) for line in figure.lines] == [
        ("x", 5.0, "recalibrated"), ("x", 10.0, "rolled back")]  # fmt: skip
    (table,) = found["What stepped in"].figures
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["4", "9"]


def test_an_epoch_that_was_halted_is_a_gap(copy: pathlib.Path) -> None:
    path = copy / "epochs.csv"
    lines = path.read_text().splitlines()
    cells = lines[4].split(",")
    cells[3] = "1.0"
    path.write_text("\n".join([*lines[:4], ",".join(cells), *lines[5:]]) + "\n")
    figure = chart(named(copy)["Detection events over time"], "Detection events a cycle")
    assert [k for k, y in enumerate(curve(figure, "tracker").y) if y is None] == [3]
    assert None not in curve(figure, "untouched").y


def test_another_device_s_optimum_is_not_shown(copy: pathlib.Path) -> None:
    """As if the simulator had changed since: the judge saw another number of the untouched."""
    path = copy / "epochs.csv"
    head, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[6] = str(1.001 * float(cells[6]))
    path.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")
    section = named(copy)["Knob by knob"]
    assert "is not the one that was steered" in " ".join(section.words)
    maps = [one.title for one in section.figures if isinstance(one, HeatMap)]
    assert maps == ["What the agent did"]


# --- a run that has not ended ---


def test_a_run_under_way_shows_what_was_saved(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name in ("config.toml", "manifest.json", "steerer.npz"):
        shutil.copy(folder / name, tmp_path / name)
    found, whole = named(tmp_path), named(folder)
    words = " ".join(found["What steering won"].words)
    assert f"tracker has done {EPOCHS} of {EPOCHS} epochs, plain has saved nothing yet" in words
    heading = "Detection events over time"
    ours, theirs = (chart(one[heading], "Detection events a cycle") for one in (found, whole))
    assert curve(ours, "tracker") == curve(theirs, "tracker")
    ours, theirs = (heat(one["Knob by knob"], "What was left") for one in (found, whole))
    assert ours.rows == theirs.rows
    np.testing.assert_allclose(np.array(ours.values, float), np.array(theirs.values, float),
                               atol=1e-3)  # fmt: skip


@pytest.mark.parametrize("kept", [(), ("epochs.csv",), ("seconds.json", "knobs.csv")])
def test_a_run_that_has_saved_nothing_says_so(
    folder: pathlib.Path, tmp_path: pathlib.Path, kept: tuple[str, ...]
) -> None:
    for name in ("config.toml", "manifest.json", *kept):
        shutil.copy(folder / name, tmp_path / name)
    (section,) = page_of(tmp_path).sections
    assert section.title == "Nothing yet"


@pytest.mark.parametrize("gone", ["ler.csv", "knobs.csv", "epochs.csv", "steering.json"])
def test_a_file_that_is_gone_leaves_the_rest(copy: pathlib.Path, gone: str) -> None:
    (copy / gone).unlink()
    found = named(copy)
    assert ("Logical errors over time" in found) == (gone != "ler.csv")
    assert bool(found["Knob by knob"].figures) == (gone != "knobs.csv")
    assert html_of(page_of(copy))


def test_a_torn_checkpoint_is_none(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name in ("config.toml", "manifest.json"):
        shutil.copy(folder / name, tmp_path / name)
    (tmp_path / "steerer.npz").write_bytes((folder / "steerer.npz").read_bytes()[:1000])
    assert list(named(tmp_path)) == ["Nothing yet"]


# --- a sweep ---


def test_a_sweep_is_drawn_over_its_values(sweep: pathlib.Path) -> None:
    result = json.loads((sweep / "over.json").read_text())
    section = named(sweep)["What steering won"]
    figure = chart(section, "Score against code distance")
    own = [row for row in result["rows"] if row["steerer"] == "steerer"]
    found = curve(figure, "tracker")
    assert list(found.x) == [3.0, 5.0]
    assert list(found.y) == [row["score_exploring"]["mean"] for row in own]
    assert found.low is not None
    assert list(found.low) == [row["score_exploring"]["interval"][0] for row in own]
    assert steered.title(sweep) == "Steered for a test"
    assert "Share won by the steerer" in html_of(page_of(sweep))


def test_a_sweep_under_way_shows_the_runs_that_are_finished(
    sweep: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    part = shutil.copytree(sweep, tmp_path / "part")
    for name in ("over.csv", "over.json", "distance-5-seed-1/steering.json",
                 "distance-5-seed-2/steering.json"):  # fmt: skip
        (part / name).unlink()
    section = named(part)["What steering won"]
    assert "2 of 4 runs are finished" in section.words[0]
    assert list(curve(chart(section, "Score against code distance"), "tracker").x) == [3.0]
    for name in ("distance-3-seed-1", "distance-3-seed-2"):
        shutil.rmtree(part / name)
    assert list(named(part)) == ["Nothing yet"]


def test_epochs_are_the_median_of_the_seeds(sweep: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Of two seeds, which hold what they began with until they hold the best."""
    late = shutil.copytree(sweep, tmp_path / "late")
    for seed, won_at in ((1, 2), (2, 5)):
        path = late / f"distance-3-seed-{seed}" / "epochs.csv"
        head, *lines = path.read_text().splitlines()
        rows = [line.split(",") for line in lines]
        for row in rows:
            if row[0] == "steerer":
                row[5] = row[7] if int(row[1]) >= won_at else row[6]
        path.write_text("\n".join([head, *(",".join(row) for row in rows)]) + "\n")
    found = curve(chart(named(late)["How soon it was won"], "Epochs until it was won"), "tracker")
    assert found.low is not None
    assert found.high is not None
    assert (found.y[0], found.low[0], found.high[0]) == (3.5, 2.0, 5.0)


def test_values_without_an_order_are_bars(tmp_path_factory: pytest.TempPathFactory) -> None:
    sweep = made(tmp_path_factory, *KINDS, "--out", "run")
    result = json.loads((sweep / "over.json").read_text())
    bars, table = named(sweep)["What steering won"].figures
    assert not isinstance(bars, (Chart, HeatMap, Table))
    assert getattr(bars, "names", None) == ["tracker", "spsa"]
    assert list(getattr(bars, "values", ())) == [
        row["score_exploring"]["mean"] for row in result["rows"]]  # fmt: skip
    assert isinstance(table, Table)

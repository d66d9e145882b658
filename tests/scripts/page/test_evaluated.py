"""The report of `syndrift evaluate`: its numbers are those of the run, finished or stopped."""

import collections
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pytest
import sinter

from scripts.main import main
from scripts.page import evaluated
from scripts.page.figures import Bars, Chart, Curve, Figure, Section, Table
from scripts.page.folder import page_of
from scripts.page.html import html_of

SWEEP = """
title = "Two sizes"
seed = 3
decoders = ["pymatching", "pymatching-correlated"]
time_decoders = false
workers = 1
code = { name = "rotated-surface", distance = [3, 5] }
noise = { kind = "depolarizing", p = [0.004, 0.008], idle = "round" }
stop = { max_shots = 1024 }
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "sweep.toml").write_text(SWEEP)
    run = folder / "run"
    arguments = ["evaluate", str(folder / "sweep.toml"), "--no-pictures", "--out", str(run)]
    assert main(arguments) == 0
    return run


@pytest.fixture
def run(finished: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy to break."""
    for path in finished.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def figures(sections: Sequence[Section]) -> dict[str, Any]:
    return {figure.title: figure for section in sections for figure in section.figures}


def charts(found: Sequence[Figure]) -> list[Chart]:
    return [figure for figure in found if isinstance(figure, Chart)]


def rates(chart: Chart) -> dict[tuple[str, Any], tuple[float, ...]]:
    """Rate and interval by curve and place."""
    return {
        (curve.name, x): (
            curve.y[k] or 0.0,
            (curve.low or [])[k] or 0.0,
            (curve.high or [])[k] or 0,
        )
        for curve in chart.curves
        for k, x in enumerate(curve.x)
    }


def result(run: pathlib.Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


def test_the_curves_are_the_results_rows(finished: pathlib.Path) -> None:
    found = figures(evaluated.sections(finished))
    drawn = rates(found["LER a round by p"])
    rows = result(finished)["rows"]
    assert len(drawn) == len(rows) == 8
    for row in rows:
        expected = (row["ler_per_round"], *row["interval_per_round"])
        name = f"d = {row['distance']}, {row['decoder']}"
        assert drawn[name, row["noise"]["p"]] == pytest.approx(expected, rel=1e-12)
    again = rates(found["LER a round by distance"])
    assert sorted(again.values()) == sorted(drawn.values())
    assert evaluated.title(finished) == "Two sizes"


def test_sizes_have_colours_and_the_second_decoder_dashes(finished: pathlib.Path) -> None:
    curves = figures(evaluated.sections(finished))["LER a round by p"].curves
    assert [(curve.group, curve.dashed) for curve in curves] == [
        ("d = 3", False), ("d = 3", True), ("d = 5", False), ("d = 5", True),
    ]  # fmt: skip


def test_a_point_says_what_it_rests_on(finished: pathlib.Path) -> None:
    chart = figures(evaluated.sections(finished))["LER a round by p"]
    first = result(finished)["rows"][0]
    assert chart.curves[0].notes[0] == f"pymatching: {first['errors']} of 1,024 shots failed"
    assert "1,024 shots a point; seed 3; bands and bars: 95 % intervals" in chart.caption
    assert "rotated-surface, Z-basis memory, depolarizing idle=round" in chart.caption


def test_suppression_is_that_of_the_results(finished: pathlib.Path) -> None:
    chart = figures(evaluated.sections(finished))["Suppression of errors by distance"]
    drawn = rates(chart)
    fits = result(finished)["suppression"]
    assert len(fits) == len(drawn) == 4
    for fit in fits:
        p = 0.004 if "p=0.004" in fit["curve"] else 0.008
        assert drawn[fit["curve"].split()[-1], p] == (fit["value"], *fit["interval"])


def test_the_words_name_the_best_with_its_counts(finished: pathlib.Path) -> None:
    words = " ".join(evaluated.sections(finished)[0].words)
    rows = [row for row in result(finished)["rows"] if row["distance"] == 5]
    rows = [row for row in rows if row["noise"]["p"] == 0.004]
    if min(row["errors"] for row in rows) < 10:  # too few to judge by: where there were more
        rows = [row for row in result(finished)["rows"]
                if row["distance"] == 5 and row["noise"]["p"] == 0.008]  # fmt: skip
    best, other = sorted(rows, key=lambda row: row["errors"])
    assert f"{best['decoder']} errs least, with a logical error rate a shot of " \
           f"{best['ler']:.3g}" in words  # fmt: skip
    assert f"{other['decoder']} errs {other['errors'] / best['errors']:.2f} times" in words
    assert ("overlaps that of" in words) == (other["interval"][0] <= best["interval"][1])


def test_a_stopped_run_shows_what_it_has_counted(run: pathlib.Path) -> None:
    (run / "results.json").unlink()
    counts = run / "counts.csv"
    lines = counts.read_text().splitlines(keepends=True)
    half = lines[-1][:40]  # a machine that lost power left half a row
    counts.write_text("".join(lines[:-1]))
    expected = collections.Counter[tuple[str, int, float]]()
    for stats in sinter.read_stats_from_csv_files(counts):
        said = stats.json_metadata
        expected[stats.decoder, said["d"], said["p"]] = stats.errors
    counts.write_text("".join(lines[:-1]) + half)
    sections = evaluated.sections(run)
    table = figures(sections)["Counts"]
    places = [table.head.index(name) for name in ("decoder", "d", "p", "errors")]
    shown = {(row[places[0]], int(row[places[1]]), float(row[places[2]])): int(row[places[3]])
             for row in table.rows}  # fmt: skip
    assert shown == dict(expected)
    assert "under way" in sections[0].words[0]
    assert "Suppression of errors by distance" not in figures(sections)


def test_rates_a_round_of_a_stopped_run_are_those_at_its_end(
    finished: pathlib.Path, run: pathlib.Path
) -> None:
    (run / "results.json").unlink()
    before, after = (rates(figures(evaluated.sections(one))["LER a round by p"])
                     for one in (run, finished))  # fmt: skip
    assert before == after
    assert list(before) == list(after)


def test_a_result_older_than_its_counts_is_not_shown(run: pathlib.Path) -> None:
    old = result(run)
    for row in old["rows"]:
        row["shots"] //= 2
    (run / "results.json").write_text(json.dumps(old))
    assert "under way" in evaluated.sections(run)[0].words[0]


@pytest.mark.parametrize("kept", [(), ("config.toml",), ("config.toml", "counts.csv")])
def test_a_run_without_a_shot_says_so(run: pathlib.Path, kept: tuple[str, ...]) -> None:
    for path in run.iterdir():
        if path.name not in kept:
            path.unlink()
    if "counts.csv" in kept:
        (run / "counts.csv").write_text("no counts\nat all\n")
    (section,) = evaluated.sections(run)
    assert section.words
    assert not section.figures
    assert evaluated.title(run)


def test_the_page_is_written(finished: pathlib.Path) -> None:
    text = html_of(page_of(finished))
    assert "<h1>Two sizes</h1>" in text
    for name in ("Logical error rates", "Error suppression and thresholds", "All counts"):
        assert f">{name}</h2>" in text


def test_a_page_of_recorded_or_own_circuits_needs_no_distance(
    tmp_path: pathlib.Path, finished: pathlib.Path
) -> None:
    """A circuit's rows know neither distance nor rounds: bars of decoders."""
    found = result(finished)
    rows = [row | {"distance": None, "rounds": None, "basis": None, "noise": {}, "code": "mine",
                   "ler_per_round": None, "interval_per_round": None}
            for row in found["rows"][:2]]  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(
        {**found, "rows": rows, "suppression": [], "thresholds": []}))  # fmt: skip
    (bars,) = [one for one in figures(evaluated.sections(tmp_path)).values()
               if isinstance(one, Bars)]  # fmt: skip
    assert list(bars.values) == [row["ler"] for row in rows]
    assert list(bars.names) == ["pymatching", "pymatching-correlated"]
    table = figures(evaluated.sections(tmp_path))["Counts"]
    assert isinstance(table, Table)
    assert not {"d", "rounds", "p", "LER a round"} & set(table.head)


def test_every_curve_has_its_data(finished: pathlib.Path) -> None:
    for chart in charts([*figures(evaluated.sections(finished)).values()]):
        for curve in chart.curves:
            assert isinstance(curve, Curve)
            lengths = {len(column) for column in (curve.x, curve.y, curve.low, curve.high)
                       if column is not None}  # fmt: skip
            assert len(lengths) == 1

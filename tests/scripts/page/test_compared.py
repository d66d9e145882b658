"""The report of `syndrift compare`: it says 'better' only where the pairs do."""

import json
import pathlib
import shutil
from typing import Any

import pytest
import sinter

from scripts.main import main
from scripts.page import compared
from scripts.page.figures import Bars, Table
from scripts.page.folder import page_of
from scripts.page.html import html_of

SAME = ["compare", "--code", "repetition", "--distance", "5", "--noise", "phenomenological",
        "--p", "0.08", "--shots", "4000", "--seed", "2"]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    run = tmp_path_factory.mktemp("compared") / "run"
    assert main([*SAME, "--workers", "1", "--out", str(run)]) == 0
    return run


@pytest.fixture
def run(finished: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy to change."""
    return shutil.copytree(finished, tmp_path / "run")


def figures(run: pathlib.Path) -> dict[str, Any]:
    return {one.title: one for section in compared.sections(run) for one in section.figures}


def result(run: pathlib.Path) -> dict[str, Any]:
    return json.loads((run / "comparison.json").read_text())


def test_bars_are_the_decoders_rates(finished: pathlib.Path) -> None:
    bars = figures(finished)["Logical error rate a shot"]
    assert isinstance(bars, Bars)
    drawn = {name: (bars.values[k], (bars.low or [])[k], (bars.high or [])[k])
             for k, name in enumerate(bars.names)}  # fmt: skip
    decoders = result(finished)["decoders"]
    assert drawn == {name: (one["ler"], *one["interval"]) for name, one in decoders.items()}
    assert "4,000 shots, the same for all, seed 2; 95 % intervals" in bars.caption
    assert compared.title(finished) == "Decoders on the same shots: repetition, distance 5"


def test_pairs_are_those_of_the_result(finished: pathlib.Path) -> None:
    found = figures(finished)
    bars, table = found["Difference of the logical error rates"], found["Pairs"]
    pairs = result(finished)["pairs"]
    assert list(bars.values) == [pair["difference"] for pair in pairs]
    assert list(zip(bars.low, bars.high, strict=True)) == [tuple(p["interval"]) for p in pairs]
    assert isinstance(table, Table)
    failed = [int(row[table.head.index("only a failed")].replace(",", "")) for row in table.rows]
    assert failed == [pair["only_a_failed"] for pair in pairs]


def judged(run: pathlib.Path, p_value: float, difference: float) -> str:
    """The words on two decoders, one with fewer errors, that are told apart so well."""
    found = result(run)
    shots = 100_000
    errors = {"pymatching": 500, "pymatching-correlated": 500 + round(-difference * shots)}
    for name, one in found["decoders"].items():
        one |= {"shots": shots, "errors": errors[name], "ler": errors[name] / shots}
    found["pairs"][0] |= {"difference": difference, "p_value": p_value}
    (run / "comparison.json").write_text(json.dumps(found))
    return " ".join(compared.sections(run)[0].words)


@pytest.mark.parametrize("difference", [-0.001, 0.001])
def test_better_is_said_below_a_p_of_a_hundredth_alone(
    run: pathlib.Path, difference: float
) -> None:
    best, other = ("pymatching", "pymatching-correlated")[:: 1 if difference < 0 else -1]
    words = judged(run, 0.0101, difference)
    assert "better" not in words
    assert f"not tell it apart from {other} (p = 0.01)" in words
    words = judged(run, 0.0099, difference)
    assert f"The fewest errors has {best}:" in words
    assert f"It is better than {other} (p = 0.0099)." in words
    assert "apart" not in words


def test_a_stopped_run_shows_its_counts_and_no_verdict(run: pathlib.Path) -> None:
    (run / "comparison.json").unlink()
    lines = (run / "counts.csv").read_text().splitlines(keepends=True)
    (run / "counts.csv").write_text("".join(lines[:3]))
    (stats,) = sinter.read_stats_from_csv_files(run / "counts.csv")
    errors = [sum(number for key, number in stats.custom_counts.items()
                  if key.startswith("outcome[") and key[len("outcome[") + seat] == "E")
              for seat in (0, 1)]  # fmt: skip
    table = figures(run)["Decoders"]
    assert [int(row[table.head.index("errors")]) for row in table.rows] == errors
    assert table.rows[0][table.head.index("shots")] == f"{stats.shots:,}"
    words = " ".join(compared.sections(run)[0].words)
    assert "under way" in words
    assert "better" not in words
    assert "Pairs" not in figures(run)


def test_a_run_without_a_shot_says_so(tmp_path: pathlib.Path) -> None:
    (section,) = compared.sections(tmp_path)
    assert section.words
    assert compared.title(tmp_path)


def test_the_page_is_written(finished: pathlib.Path) -> None:
    text = html_of(page_of(finished))
    assert "Every pair on the same shots</h2>" in text

"""`syndrift budget`: what it prints, what it leaves, its report, and what it refuses."""

import csv
import json
import math
import pathlib
import re

import pytest

from decoders.codes import memory_circuit
from decoders.noise import SI1000
from scripts.main import main
from scripts.page.figures import Bars, Table
from scripts.page.folder import page_of
from tests.shown import ROOT, blocks, printed

SMALL = ["--code", "rotated-surface", "--distance", "3", "--noise", "si1000", "--p", "0.006",
         "--shots", "8000", "--seed", "5"]  # fmt: skip
KINDS = {"two-qubit gates", "one-qubit gates", "readout", "reset", "idling",
         "idling during readout and reset"}  # fmt: skip


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    circuit = SI1000(p=0.006).apply(memory_circuit("repetition", distance=3, rounds=3))
    circuit.to_file(tmp_path / "my.stim")
    return tmp_path


def test_it_leaves_the_same_numbers_in_all_its_files(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget", *SMALL, "--json", "--out", "run"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((folder / "run" / "budget.json").read_text())
    assert {line["name"] for line in found["lines"]} == KINDS
    assert found["seed"] == 5
    assert found["errors"] / found["shots"] == found["ler"][0]
    total = sum(line["elasticity"][0] for line in found["lines"])
    assert total == pytest.approx(found["total"][0])
    assert sum(line["share"][0] for line in found["lines"]) == pytest.approx(1)
    with (folder / "run" / "budget.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["mechanism"] for row in rows] == [line["name"] for line in found["lines"]]
    for row, line in zip(rows, found["lines"], strict=True):
        ends = [float(row[f"elasticity{end}"]) for end in ("", "_low", "_high")]
        assert ends == line["elasticity"]
        assert ends[1] < ends[0] < ends[2]
        assert float(row["halved_ratio"]) == line["halved"]["ratio"][0]
        assert float(row["perfect_ler"]) == line["perfect"]["ler"][0]
        # Of SI1000: a rate in the table of its paper times what the model says.
        assert float(row["faults"]) == pytest.approx(float(row["rate"]) * int(row["places"]))
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    assert manifest["verb"] == "budget"


def test_a_run_repeats_from_its_config(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("one", "two"):
        assert main(["budget", "my.stim", "--shots", "8000", "--what-ifs", "1", "--out", out]) == 0
    first, second = ((folder / out / "budget.csv").read_bytes() for out in ("one", "two"))
    assert first == second
    assert (folder / "one" / "inputs" / "0" / "my.stim").exists()
    assert main(["budget", "my.stim", "--seed", "2", "--out", "one"]) == 2
    assert "`seed` is different" in capsys.readouterr().err


def test_the_table_is_sorted_and_says_what_the_sum_means(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budget", *SMALL, "--out", "run"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    begin = next(k for k, line in enumerate(lines) if line.startswith("---")) + 1
    table = lines[begin : begin + len(KINDS)]
    values = [float(re.findall(r"(-?\d+\.\d{3}) \[", line)[0]) for line in table]
    assert values == sorted(values, reverse=True)
    (total,) = re.findall(r"All together (\d\.\d+)", text)
    assert float(total) == pytest.approx(sum(values), abs=0.005)
    assert "(d + 1) / 2" in text


def test_places_are_qubits_and_couplings(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--by", "place", "--what-ifs", "1", "--shots", "20000", "--out", "run"]
    assert main(["budget", "my.stim", *arguments]) == 0
    assert "two-qubit gates 0-1" in capsys.readouterr().out
    found = json.loads((folder / "run" / "budget.json").read_text())
    names = [line["name"] for line in found["lines"]]
    assert len(set(names)) == len(names)
    assert [line["halved"] is None for line in found["lines"]] == [False] + [True] * (
        len(names) - 1
    )
    shares = page_of(folder / "run").sections[0].figures[0]
    assert isinstance(shares, Bars)
    assert shares.parts is not None
    assert set(shares.parts) <= KINDS


def test_the_report_shows_the_budgets_numbers(folder: pathlib.Path) -> None:
    assert main(["budget", *SMALL, "--out", "run", "--report"]) == 0
    assert "If this were halved" in (folder / "run" / "report.html").read_text()
    found = json.loads((folder / "run" / "budget.json").read_text())
    page = page_of(folder / "run")
    assert page.title == "Error budget of rotated-surface, distance 3"
    assert page.facts["command"].startswith("syndrift")
    figures = [figure for section in page.sections for figure in section.figures]
    assert [type(one) for one in figures] == [Bars, Bars, Bars, Bars, Table]
    shares, heard, halved, perfect, table = figures
    assert isinstance(shares, Bars)
    assert isinstance(table, Table)
    names = [line["name"] for line in found["lines"]]
    for figure, key in ((shares, "share"), (halved, "halved"), (perfect, "perfect")):
        assert isinstance(figure, Bars)
        estimates = [line[key] if key == "share" else line[key]["ratio"] for line in found["lines"]]
        assert figure.names == names
        assert [figure.values, figure.low, figure.high] == [
            [one[k] for one in estimates] for k in range(3)
        ]
        assert "8,000 shots, seed 5" in figure.caption
    assert isinstance(heard, Bars)
    assert heard.values == [line["detection"] for line in found["lines"]]
    assert [row[0] for row in table.rows] == names
    assert all(len(row) == len(table.head) for row in table.rows)
    assert names[0] in page.sections[0].words[0]
    assert all("\n" not in words for section in page.sections for words in section.words)


def test_a_report_of_a_run_without_an_end_says_so(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = ["--code", "repetition", "--distance", "9", "--noise", "depolarizing", "--p", "1e-6"]
    assert main(["budget", *quiet, "--shots", "100", "--out", "run"]) == 2
    assert "more shots" in capsys.readouterr().err
    with pytest.raises(ValueError, match="has not ended"):
        page_of(folder / "run")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["either a circuit or a code"]),
        (["my.stim", "--code", "repetition"], ["not both"]),
        (["my.stim", "--distance", "3"], ["belong to a code"]),
        (["--code", "repetition"], ["needs a distance and a noise model"]),
        (["none.stim"], ["none.stim", "no such file"]),
        (["my.stim", "--by", "colour"], ["by", "'kind' or 'place'"]),
        (["my.stim", "--decoder", "pymaching"], ["did you mean"]),
        (["my.stim", "--p", "0.1"], ["--p needs --noise"]),
        (["my.stim", "--what-ifs", "-1"], ["what_ifs"]),
        (["my.stim", "--shots", "0"], ["shots"]),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    words: list[str],
    folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["budget", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in words), error
    assert not (folder / "runs").exists()


def test_the_docs_python_runs_as_it_stands(tmp_path: pathlib.Path) -> None:
    text = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")
    section = text.split("\n## Error budget\n")[1].split("\n## ")[0]
    (shown,) = blocks(section)
    lines = printed([shown], tmp_path, tmp_path).splitlines()
    values = [float(line.rsplit(" ", 1)[1]) for line in lines]
    assert len(values) == len(KINDS) + 1
    assert values[-1] == pytest.approx(sum(values[:-1]), abs=0.01)
    assert not any(math.isnan(value) for value in values)

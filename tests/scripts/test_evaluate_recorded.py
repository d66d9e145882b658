"""`syndrift evaluate` on recorded shots, end to end: table, JSON, pictures, `reproduce`."""

import csv
import json
import pathlib
import re
from typing import Any

import pytest

from decoders.evaluate_config import DataRecipe, EvaluateConfig, WhereRecipe
from scripts.config_file import load
from scripts.main import main
from tests.decoders.published_data import SHOTS, WRONG, Recorded, write_2022, write_own

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "evaluate.md"


def blocks(language: str) -> list[str]:
    """The blocks of docs/evaluate.md's section on other people's data."""
    section = DOCS.read_text(encoding="utf-8").split("## Other people's data")[1]
    return re.findall(rf"^```{language}\n(.*?)^```", section.split("\n## ")[0], re.M | re.S)


@pytest.fixture
def data(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """The data set that the docs name, small, and their config beside it."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "google_qec3v5_experiment_data"
    write_2022(root, distance=5, seed=2)
    (tmp_path / "sycamore.toml").write_text(blocks("toml")[0], encoding="utf-8")
    return write_2022(root)


SMALL = ["--set", "workers=1", "--set", 'decoders=["pymatching"]', "--set", "data.where.rounds=3",
         "--set", 'data.where.basis=["Z"]']  # fmt: skip


def evaluated(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["evaluate", "sycamore.toml", "--out", "run", "--json", *SMALL, *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_docs_config_runs_and_is_reproduced(
    data: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluated(capsys)
    found = {row["decoder"]: row for row in result["rows"] if row["distance"] == 3}
    assert list(found) == ["pymatching", "pymatching@pij", "published:correlated_matching",
                           "published:pymatching"]  # fmt: skip
    expected = int(data.wrong(data.model).sum())
    assert found["pymatching"]["errors"] == expected == found["published:pymatching"]["errors"]
    assert found["published:correlated_matching"]["errors"] == WRONG
    assert {row["experiment"] for row in found.values()} == {data.folder.name}
    assert found["published:pymatching"]["seconds_per_shot"] is None
    assert "times" not in found["published:pymatching"]
    assert "times" in found["pymatching"]
    assert [one["curve"].split()[-1] for one in result["suppression"]] == list(found)
    names = {pathlib.Path(path).name for path in result["pictures"]}
    assert names == {"lambda.png", "pareto.png"}
    assert main(["reproduce", "run", "--json"]) == 0
    (again,) = json.loads(capsys.readouterr().out)["runs"]
    assert again["same"]
    assert again["shots"] == 8 * SHOTS


def test_the_table_leaves_out_what_is_not_known(
    data: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "sycamore.toml", "--out", "run", "--no-pictures", *SMALL]
    assert main([*arguments, "--set", "data.where.distance=3"]) == 0
    said = capsys.readouterr().out
    assert f"surface_code, Z, {data.folder.name}" in said
    (line,) = [line for line in said.splitlines() if "published:pymatching" in line]
    assert " s " not in line
    assert "µs" not in line
    rows = list(csv.DictReader(pathlib.Path("run/table.csv").read_text("utf-8").splitlines()))
    assert [bool(row["single_median_seconds"]) for row in rows] == [True, True, False, False]


def test_a_data_set_that_has_changed_is_not_reproduced(
    data: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(capsys, "--no-pictures", "--set", "time_decoders=false", "--set",
              "data.where.distance=3")  # fmt: skip
    path = data.folder / "obs_flips_predicted_by_pymatching.01"
    path.write_bytes(path.read_bytes()[::-1].lstrip() + b"\n")
    assert main(["reproduce", "run"]) == 2
    assert "was counted on other files" in capsys.readouterr().err


def test_decoders_are_paired_with_published_ones(
    data: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(data.folder.relative_to(pathlib.Path.cwd()))
    arguments = ["compare", "--data", folder, "--workers", "1", "--shots", "1000", "--json"]
    assert main([*arguments, "--out", "run"]) == 0
    result = json.loads(capsys.readouterr().out)
    wrong = data.wrong(data.model)[:1000]
    names = ["pymatching", "pymatching-correlated", "published:correlated_matching",
             "published:pymatching"]  # fmt: skip
    assert list(result["decoders"]) == names
    assert result["decoders"]["pymatching"]["errors"] == wrong.sum()
    pairs = {(pair["a"], pair["b"]): pair for pair in result["pairs"]}
    assert pairs["pymatching", "published:pymatching"]["both_failed"] == wrong.sum()
    one = pairs["pymatching", "published:correlated_matching"]
    assert one["both_failed"] == wrong[:WRONG].sum()
    assert one["only_a_failed"] == wrong[WRONG:].sum()
    assert main(["reproduce", "run"]) == 0


def test_one_experiment_is_compared_at_a_time(
    data: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, said in (
        ([], "expected one experiment, got 2: give the folder of one"),
        (["--noise", "si1000", "--p", "0.01"], "recorded shots have their own noise"),
        (["--code", "repetition", "--distance", "3"], "not both"),
        (["--distance", "3"], "belong to a code"),
    ):
        assert main(["compare", "--data", str(data.folder.parent), *more]) == 2
        assert said in capsys.readouterr().err
    assert not pathlib.Path("runs").exists()


def test_ones_own_folder_runs_from_the_docs(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_own(tmp_path / "monday")
    (tmp_path / "mine.toml").write_text(blocks("toml")[1], encoding="utf-8")
    shown: dict[str, Any] = {}
    exec(blocks("python")[0], shown)
    assert shown["events"].shape == (1000, (data.events.shape[1] + 7) // 8)
    (said,) = re.findall(r"^(\S+) +# the least", "".join(blocks("text")), re.M)
    assert said == "monday/"
    arguments = ["--no-pictures", "--json", "--set", "workers=1", "--set", "time_decoders=false"]
    assert main(["evaluate", "mine.toml", *arguments]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["errors"] == data.wrong(data.model).sum()
    assert (rows[0]["code"], rows[0]["distance"]) == ("monday", None)


def test_a_data_set_that_is_not_there_leaves_no_run(
    data: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "sycamore.toml", "--out", "run", "--set", "data.folder=nowhere"]
    assert main(arguments) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert not pathlib.Path("run").exists()


def test_a_wrong_key_names_the_nearest(data: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "sycamore.toml", "--set", "data.where.distances=3"]) == 2
    assert "did you mean `distance`?" in capsys.readouterr().err


def test_the_docs_name_every_key(data: Recorded) -> None:
    section = DOCS.read_text(encoding="utf-8").split("## Other people's data")[1]
    assert set(load(pathlib.Path("sycamore.toml"), EvaluateConfig).model_fields_set) > {"data"}
    names = [f"data.{name}" for name in DataRecipe.model_fields if name != "where"]
    names += [f"data.where.{name}" for name in WhereRecipe.model_fields]
    assert [name for name in names if f"`{name}`" not in section] == []

"""`syndrift sweep`: a folder a run, what is finished is skipped, tables of figures."""

import csv
import json
import os
import pathlib
import sys
import tomllib
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

from scripts.main import main
from scripts.sweep_plan import SweepConfig
from scripts.sweep_table import Line, entries, over_seeds
from tests.ray_alone import ray_alone

RECIPE = """\
decoders = ["pymatching"]
time_decoders = false
[code]
name = "repetition"
distance = [3, 5]
[noise]
kind = "depolarizing"
p = 0.05
[stop]
max_shots = 1000
"""
SWEEP = """\
title = "Repetition codes"
verb = "evaluate"
recipe = "recipe.toml"
[over]
seed = [1, 2, 3]
noise.p = [0.05, 0.1]
"""
SEEDS, RATES = (1, 2, 3), (0.05, 0.1)
Said = tuple[int, str, str]


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _begin(tmp_path, monkeypatch)


def _begin(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "my.toml").write_text(SWEEP)
    monkeypatch.chdir(folder)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    def swept(*options: str) -> Said:
        status = main(["sweep", "my.toml", "--out", "out", "--no-pictures", *options])
        out, err = capsys.readouterr()
        return status, out, err

    return swept


class Swept(NamedTuple):
    folder: pathlib.Path
    result: dict[str, Any]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """One whole sweep, not to be changed."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        _begin(folder, patch)
        assert main(["sweep", "my.toml", "--out", "out", "--no-pictures", "--jobs", "2"]) == 0
    return Swept(folder / "out", json.loads((folder / "out" / "sweep.json").read_text()))


def rows_of(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def sessions(folder: pathlib.Path) -> int:
    return len(json.loads((folder / "manifest.json").read_text())["sessions"])


# --- what stands in the folder ---


def test_every_run_is_what_the_verb_makes_by_itself(
    swept: Swept, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {f"seed-{seed}_noise.p-{p}" for seed in SEEDS for p in RATES}
    plain = {"config.toml", "manifest.json", "recipe.toml", "logs", "seconds.json", "sweep.csv",
             "seeds.csv", "sweep.json"}  # fmt: skip
    assert {path.name for path in swept.folder.iterdir()} == names | plain
    for seed, p in ((1, 0.05), (3, 0.1)):
        given = ["--set", f"seed={seed}", "--set", f"noise.p={p}"]
        assert main(["evaluate", "recipe.toml", *given, "--no-pictures", "--json"]) == 0
        alone = json.loads(capsys.readouterr().out)
        kept = json.loads((swept.folder / f"seed-{seed}_noise.p-{p}/result.json").read_text())
        assert [row["errors"] for row in kept["rows"]] == [row["errors"] for row in alone["rows"]]
        assert kept.keys() == alone.keys()


def test_the_table_is_what_the_runs_said(swept: Swept) -> None:
    rows = rows_of(swept.folder / "sweep.csv")
    expected = []
    for seed in SEEDS:
        for p in RATES:
            name = f"seed-{seed}_noise.p-{p}"
            for row in json.loads((swept.folder / name / "results.json").read_text())["rows"]:
                expected.append((seed, p, name, row["distance"], row["errors"], row["ler"],
                                 *row["interval"]))  # fmt: skip
    found = [(int(row["seed"]), float(row["noise.p"]), row["run"], int(row["distance"]),
              int(row["errors"]), float(row["ler"]), float(row["interval_low"]),
              float(row["interval_high"])) for row in rows]  # fmt: skip
    assert found == expected
    assert len(found) == 12
    assert all(float(row["seconds"]) > 0 for row in rows)


def test_means_and_intervals_are_student_s(swept: Swept) -> None:
    rows = rows_of(swept.folder / "seeds.csv")
    assert [(row["noise.p"], row["distance"]) for row in rows] == [
        ("0.05", "3"), ("0.05", "5"), ("0.1", "3"), ("0.1", "5")
    ]  # fmt: skip
    for row in rows:
        rates = []
        for seed in SEEDS:
            name = f"seed-{seed}_noise.p-{row['noise.p']}"
            found = json.loads((swept.folder / name / "result.json").read_text())["rows"]
            (one,) = (one for one in found if one["distance"] == int(row["distance"]))
            rates.append(one["errors"] / one["shots"])
        mean, error = np.mean(rates), stats.sem(rates)
        low, high = stats.t.interval(0.95, df=2, loc=mean, scale=error)
        said = [float(row[name]) for name in ("ler", "ler_low", "ler_high")]
        assert said == pytest.approx([mean, low, high], rel=1e-9)
        assert row["seeds"] == "3"


def test_two_at_once_have_half_of_the_cores_each(swept: Swept) -> None:
    config = tomllib.loads((swept.folder / "seed-1_noise.p-0.05" / "config.toml").read_text())
    assert config["workers"] == max((os.cpu_count() or 1) // 2, 1)


# --- going on ---


def test_what_is_finished_is_skipped_and_more_may_be_asked_for(say: Any) -> None:
    text = ("--set", "over.seed=[1]")
    status, out, err = say(*text)
    assert status == 0
    assert "[1/2] seed=1, noise.p=0.05: " in err
    assert "; about " in err
    assert "Over seeds" in out
    times = {path: path.stat().st_mtime_ns for path in pathlib.Path("out").rglob("result.json")}
    assert len(times) == 2
    status, again, err = say(*text, "--jobs", "2")  # more at once, and so fewer workers: no other
    assert (status, again, err) == (0, out, "2 of 2 runs were finished before\n")
    status, out, err = say("--set", "over.seed=[1, 4]", "--json")
    assert status == 0
    assert "2 of 4 runs were finished before" in err
    assert "[3/4] seed=4, noise.p=0.05: " in err
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert json.loads(out) == json.loads(pathlib.Path("out/sweep.json").read_text())
    assert [row["settings"]["seed"] for row in json.loads(out)["rows"]] == [1, 1, 1, 1, 4, 4, 4, 4]
    assert sessions(pathlib.Path("out")) == 3
    assert sessions(pathlib.Path("out/seed-1_noise.p-0.1")) == 1


def test_a_folder_goes_on_from_its_own_config(say: Any, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--set", "over.seed=[1]", "--set", "over.noise.p=[0.1]")
    _, out, _ = say(*few)
    pathlib.Path("recipe.toml").unlink()  # the folder holds it
    assert main(["sweep", "out/config.toml", "--out", "out", "--no-pictures"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (out, "1 of 1 runs were finished before\n")


def test_another_recipe_is_another_sweep(say: Any) -> None:
    few = ("--set", "over.seed=[1]", "--set", "over.noise.p=[0.1]")
    assert say(*few)[0] == 0
    status, _, err = say(*few, "--set", "recipe.code.distance=7")
    assert status == 2
    assert "whose `recipe.code.distance` is different: give another --out" in err


def test_a_run_that_fails_stops_no_other(say: Any) -> None:
    with pathlib.Path("my.toml").open("w") as file:
        file.write('verb = "evaluate"\nrecipe = "recipe.toml"\n[set]\nnoise.p = 0.1\n[over]\n'
                   'decoders = ["not_yet_there:decoder", "pymatching"]\n')  # fmt: skip
    status, out, err = say()
    assert status == 1
    assert "[1/2] decoders=not_yet_there:decoder: failed: " in err
    assert "there is no module not_yet_there" in err
    assert "[2/2] decoders=pymatching: " in err
    assert "1 of 2 runs failed; the same command tries them again:\n  decoders=not_yet" in out
    assert {row["decoder"] for row in rows_of(pathlib.Path("out/sweep.csv"))} == {"pymatching"}
    (log,) = pathlib.Path("out/logs").glob("decoders-not_yet*.txt")
    assert "there is no module not_yet_there" in log.read_text()
    pathlib.Path("not_yet_there.py").write_text(
        "from decoders import sinter_decoders\ndecoder = sinter_decoders()['pymatching']\n"
    )
    status, out, err = say()
    assert status == 0
    assert "1 of 2 runs were finished before" in err
    counts = [row["errors"] for row in rows_of(pathlib.Path("out/sweep.csv"))]
    assert counts[:2] == counts[2:]  # the same decoder on the same shots


# --- which figures ---


def test_columns_by_their_paths(say: Any) -> None:
    with pathlib.Path("my.toml").open("a") as file:
        file.write('[table.columns]\nrate = "errors / shots"\nupper = "interval.-1"\nnone = "a.b"')
    status, _, _ = say("--set", "over.seed=[1]", "--set", "over.noise.p=[0.1]")
    assert status == 0
    for row, said in zip(rows_of(pathlib.Path("out/sweep.csv")),
                         rows_of(pathlib.Path("out/seed-1_noise.p-0.1/table.csv")),
                         strict=True):  # fmt: skip
        assert float(row["rate"]) == int(said["errors"]) / 1000
        assert row["upper"] == said["interval_high"]
        assert row["none"] == ""
        assert "errors" not in row


def _sweep(verb: str, **given: Any) -> SweepConfig:
    return SweepConfig.model_validate(
        {"verb": verb, "recipe": {}, "over": {"seed": [1, 2]}, **given}
    )


def test_a_calibration_s_figure_is_its_worst_gate() -> None:
    gates = [{"gate": gate, "qubits": qubits, "infidelity": error, "ratio": ratio}
             for gate, qubits, error, ratio in (("sx", [0], 1e-4, 1.1), ("cz", [0, 1], 3e-3, 1.4),
                                                ("sx", [1], 2e-4, 1.3))]  # fmt: skip
    result = {"gates": gates, "not_in_tolerance": [["rabi", [0]]], "experiments": 9,
              "shots": 100, "device_time_s": 2.5}  # fmt: skip
    ((part, figures),) = entries(_sweep("calibrate"), result)
    assert part == {}
    assert figures == {"worst_ratio": 1.4, "at": "cz q0 q1", "infidelity": 3e-3,
                       "not_in_tolerance": 1, "experiments": 9, "shots": 100,
                       "device_time_s": 2.5}  # fmt: skip


def test_a_training_s_figures_are_of_its_last_judgement() -> None:
    errors = ({"pymatching": 90, "pymatching-correlated": 80, "this one": 70},
              {"pymatching": 50, "pymatching-correlated": 40, "this one": 30})  # fmt: skip
    judged = [{"shots": 1000, "errors": one} for one in errors]
    ((_, figures),) = entries(_sweep("train"), {"examples": 64, "judgements": judged})
    assert figures == {"examples": 64, "held-out shots": 1000, "pymatching": 0.05,
                       "pymatching-correlated": 0.04, "this one": 0.03,
                       "this one by pymatching-correlated": 0.75}  # fmt: skip
    judged[-1]["errors"] = dict.fromkeys(errors[0], 0)
    ((_, figures),) = entries(_sweep("train"), {"examples": 64, "judgements": judged})
    assert figures["this one by pymatching-correlated"] is None


def test_a_figure_that_a_seed_does_not_have_has_no_mean() -> None:
    config = _sweep("train", over={"seed": [1, 2, 3], "batch": [8, 16]})
    values = {(1, 8): 1.0, (2, 8): 2.0, (3, 8): 6.0, (1, 16): 5.0, (2, 16): None}
    lines = [Line("run", {"seed": seed, "batch": batch}, {}, {"x": value, "name": "n"}, 1.0)
             for (seed, batch), value in values.items()]  # fmt: skip
    first, second = over_seeds(config, lines)
    assert (first.settings, first.seeds, second.settings, second.seeds) == (
        {"batch": 8}, 3, {"batch": 16}, 2)  # fmt: skip
    mean = first.means["x"]
    assert mean is not None
    assert mean.interval is not None
    # 3 ± 4.302653 · √7/√3, with the table's t of two degrees of freedom
    assert mean.value == 3.0
    assert mean.interval[1] - 3.0 == pytest.approx(4.302653 * (7 / 3) ** 0.5, rel=1e-6)
    assert second.means == {"x": None}
    assert list(first.means) == ["x"]


# --- on a cluster ---


def test_without_ray_one_line_names_the_extra(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    status, out, err = say("--on", "ray")
    assert (status, out) == (2, "")
    assert "`syndrift sweep --on ray` needs ray: pip install 'syndrift[cluster]'" in err


@pytest.mark.slow
def test_on_ray_the_runs_are_the_same(
    say: Any, swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the extra `cluster`")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with ray_alone() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        status, out, _ = say("--on", "ray", "--set", "over.seed=[1, 2]", "--json")
    assert status == 0
    rows = json.loads(out)["rows"]
    theirs = [row for row in swept.result["rows"] if row["settings"]["seed"] < 3]
    assert [row["figures"]["errors"] for row in rows] == [
        row["figures"]["errors"] for row in theirs]  # fmt: skip
    config = tomllib.loads(pathlib.Path("out/seed-1_noise.p-0.05/config.toml").read_text())
    assert config["workers"] == 1  # --cpus-per-run

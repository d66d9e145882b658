"""`syndrift steer --over`: figures beside single runs, files, going on, what is refused."""

import json
import pathlib
import shutil
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

from envs.agents.steerers.course import SteerConfig
from scripts.config_file import load
from tests.scripts.steer_recipe import begin, refused, rows_of, said, steered

KEY = "environment.drift.0.process.period_s"
FEW = ("--set", "epochs=12", "--set", "candidates=4", "--set", "ler.shots=200",
       "--set", "environment.cycles=100000")  # fmt: skip
PERIODS, SEEDS, NAMES = ("3000", "1500"), (1, 2), ("steerer", "plain")
OVER = ("--over", f"{KEY}={','.join(PERIODS)}", "--seeds", "2", *FEW, "--out", "sweep")
FOLDERS = {f"period_s-{period}-seed-{seed}" for period in PERIODS for seed in SEEDS}
PICTURES = {f"{name}{mode}.{form}" for name in ("over", "convergence")
            for mode in ("", "-dark") for form in ("png", "svg")}  # fmt: skip
PLAIN = {"config.toml", "manifest.json", "over.csv", "over.json"}


class Swept(NamedTuple):
    """A whole sweep with pictures, and what it printed."""

    folder: pathlib.Path
    out: str
    result: dict[str, Any]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    folder = tmp_path_factory.mktemp("over")
    with pytest.MonkeyPatch.context() as patch:
        begin(folder, patch)
        patch.setattr("scripts.report.style.PNG_DPI", 60)
        status, out, err = said("my.toml", *OVER)
        assert (status, err) == (0, "")
    run = folder / "sweep"
    return Swept(run, out, json.loads((run / "over.json").read_text()))


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, monkeypatch)


def untimed(result: dict[str, Any]) -> dict[str, Any]:
    rows = [row | {"seconds_an_epoch": None} for row in result["rows"]]
    return result | {"rows": rows}


# --- figures and files ---


def test_a_sweep_s_folder_holds_all(swept: Swept) -> None:
    names = {path.name for path in swept.folder.iterdir()}
    assert names == PLAIN | PICTURES | FOLDERS | {"convergence.csv"}
    assert all((swept.folder / name).stat().st_size > 5000 for name in PICTURES)
    manifest = json.loads((swept.folder / "manifest.json").read_text())
    assert (manifest["verb"], len(manifest["sessions"])) == ("steer --over", 1)


def test_each_run_is_the_single_one_of_its_seed(swept: Swept) -> None:
    """Epoch by epoch, from the very same recipe."""
    steered("--set", "environment.drift=" + json_drift(1500), "--seed", "2", *FEW, "--out", "one")
    ours, single = swept.folder / "period_s-1500-seed-2", pathlib.Path("one")
    assert load(ours / "config.toml", SteerConfig) == load(single / "config.toml", SteerConfig)
    for name in ("epochs.csv", "knobs.csv", "ler.csv"):
        assert (ours / name).read_text() == (single / name).read_text()
    assert {path.name for path in single.iterdir()} == {path.name for path in ours.iterdir()}


def json_drift(period_s: int) -> str:
    """The recipe's, at another period."""
    process = f'{{ kind = "sinusoid", period_s = {period_s}, random_phase = true }}'
    return f"[{{ process = {process}, absolute = {{ optimum = 1.0 }} }}]"


def single_runs(swept: Swept, period: str) -> list[dict[str, Any]]:
    folders = [swept.folder / f"period_s-{period}-seed-{seed}" for seed in SEEDS]
    return [json.loads((folder / "steering.json").read_text()) for folder in folders]


def row_of(swept: Swept, period: str, name: str) -> dict[str, Any]:
    (found,) = [row for row in swept.result["rows"]
                if (row["value"], row["steerer"]) == (int(period), name)]  # fmt: skip
    return found


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("name", NAMES)
def test_figures_are_those_of_the_single_runs(swept: Swept, period: str, name: str) -> None:
    """Means and Student's interval of two seeds; LERs of all counts together, by Katz's logs."""
    row, runs = row_of(swept, period, name), single_runs(swept, period)
    assert (row["at"], row["kind"]) == (int(period) / 60, "tracker" if name == "steerer" else name)
    for score in ("score_exploring", "score_steered"):
        each = [run["steerers"][name][score] for run in runs]
        assert row[score]["each"] == each
        assert row[score]["mean"] == pytest.approx(np.mean(each))
        interval = stats.t.interval(0.95, 1, np.mean(each), stats.sem(each))
        assert row[score]["interval"] == pytest.approx(list(interval))
    lers = [run["steerers"][name]["ler"] for run in runs]
    (a, n), (b, m) = ((sum(one[who]["errors"] for one in lers), sum(one[who]["shots"]
                      for one in lers)) for who in ("exploring", "untouched"))  # fmt: skip
    ratio, half = (a / n) / (b / m), 1.959964 * np.sqrt(1 / a - 1 / n + 1 / b - 1 / m)
    assert row["ler_lowered_by"]["value"] == pytest.approx(1 - ratio)
    ends = [1 - ratio * np.exp(half), 1 - ratio * np.exp(-half)]
    assert row["ler_lowered_by"]["interval"] == pytest.approx(ends, rel=1e-6)
    assert 0 < row["seconds_an_epoch"] < 10


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("name", NAMES)
def test_epochs_are_the_first_near_the_optimum(swept: Swept, period: str, name: str) -> None:
    expected = []
    for seed in SEEDS:
        rows = rows_of(swept.folder / f"period_s-{period}-seed-{seed}" / "epochs.csv")
        own = [row for row in rows if row["steerer"] == name]
        left = 0.05 * (float(own[0]["untouched"]) - float(own[0]["best"]))
        near = [int(row["epoch"]) for row in own
                if float(row["steered"]) - float(row["best"]) <= left]  # fmt: skip
        expected.append(near[0] if near else None)
    found = row_of(swept, period, name)["epochs_to_95"]
    assert found["each"] == expected
    assert found["median"] == (None if None in expected else np.mean(expected))


def test_the_tables_say_the_same(swept: Swept) -> None:
    rows, lines = swept.result["rows"], swept.out.splitlines()
    assert lines[0] == f"Steered for a test, over {KEY}"
    assert lines[-1] == "seeds 1 and 2; simulated; tables and pictures in sweep"
    table = rows_of(swept.folder / "over.csv")
    assert [(row["value"], row["steerer"]) for row in rows] == [
        (int(period), name) for period in PERIODS for name in NAMES
    ]
    for row, line, cells in zip(rows, lines[4:8], table, strict=True):
        score, interval = row["score_exploring"], row["score_exploring"]["interval"]
        lowered = row["ler_lowered_by"]
        median = row["epochs_to_95"]["median"]
        for text in (f"{row['value']} ", f" {row['at']:g} ", row["kind"], f"{score['mean']:.3f}",
                     f"[{interval[0]:.3f}, {interval[1]:.3f}]",
                     f"{row['score_steered']['mean']:.3f}",
                     "never" if median is None else f" {median:g} [",
                     f"{100 * lowered['value']:.1f} %"):  # fmt: skip
            assert text in line
        assert cells["value"] == str(row["value"])
        assert float(cells["score_exploring_low"]) == interval[0]
        assert float(cells["seconds_an_epoch"]) == row["seconds_an_epoch"]
        assert float(cells["ler_lowered_by_high"]) == lowered["interval"][1]
        assert cells["epochs_to_95"] == ("never" if median is None else f"{median:g}")
    assert swept.result["simulated"] is True
    assert swept.result["seeds"] == list(SEEDS)
    assert {pathlib.Path(run).name for run in swept.result["runs"]} == FOLDERS


# --- going on ---


def test_what_is_finished_is_not_run_again(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(swept.folder.parent)

    def nothing(*arguments: Any) -> None:
        raise AssertionError("an epoch was measured again")

    monkeypatch.setattr("envs.agents.steerers.course.steer", nothing)
    assert steered(*OVER) == swept.result
    assert steered(*OVER, "--set", "title=Another") == swept.result | {"title": "Another"}
    assert steered(*OVER) == swept.result


def test_what_is_missing_alone_is_run(swept: Swept) -> None:
    """A run that is gone, one without its result, one that was cut before its rival's turn."""
    shutil.copytree(swept.folder, "sweep")
    shutil.rmtree("sweep/period_s-3000-seed-1")
    pathlib.Path("sweep/period_s-1500-seed-1/steering.json").unlink()
    for name in ("plain.npz", "steering.json", "epochs.csv"):
        pathlib.Path("sweep/period_s-1500-seed-2", name).unlink()
    kept = pathlib.Path("sweep/period_s-3000-seed-2/steering.json")
    before = kept.stat().st_mtime_ns
    assert untimed(steered(*OVER)) == untimed(swept.result)
    assert kept.stat().st_mtime_ns == before


CHILD = """\
import os, signal, sys
from envs.steered import Experiment
from scripts.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
calls, measure = 0, Experiment.measure
def stopping(self, settings):
    global calls
    calls += 1
    if calls == 2 * 13 + 1 + 10:
        os.kill(os.getpid(), signal.SIGINT)
    return measure(self, settings)
Experiment.measure = stopping
sys.exit(main(["steer", "my.toml", "--no-pictures", *sys.argv[1:]]))
"""


def test_ctrl_c_says_how_to_go_on(swept: Swept) -> None:
    """In the ninth epoch of the second run; before it each of two steerers has one look and twelve,
    and the first run's circuits one."""
    found = subprocess.run(
        [sys.executable, "-c", CHILD, *OVER], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (130, "")
    assert "What was finished is in sweep; the same command goes on from there." in found.stderr
    assert "Traceback" not in found.stderr
    assert [path.parent.name for path in pathlib.Path("sweep").glob("*/steering.json")] == [
        "period_s-3000-seed-1"
    ]
    with np.load("sweep/period_s-3000-seed-2/steerer.npz", allow_pickle=False) as kept:
        assert len(kept["times_s"]) == 8
    assert untimed(steered(*OVER)) == untimed(swept.result)


def test_more_values_and_seeds_go_on_in_the_same_folder() -> None:
    few = (*FEW, "--set", "epochs=2", "--set", "rivals={}", "--set", "ler=false")
    first = steered("--over", "environment.plant.start_off=0.5,1.0", *few)
    more = steered("--over", "environment.plant.start_off=1.0,2.0,0.5", "--seeds", "2", *few)
    assert first["run"] == more["run"]
    assert first["run"].startswith("runs/my-over-environment.plant.start_off-")
    rows = {row["value"]: row["score_steered"]["each"] for row in more["rows"]}
    assert [row["score_steered"]["each"] for row in first["rows"]] == [rows[0.5][:1], rows[1.0][:1]]
    assert (len(first["runs"]), len(more["runs"])) == (2, 6)
    other = steered("--over", "environment.plant.start_off=0.5,1.0", *few, "--set", "candidates=6")
    assert other["run"] != first["run"]


def test_values_may_be_tables_and_names() -> None:
    few = (*FEW, "--set", "epochs=2", "--set", "rivals={}", "--set", "ler=false")
    values = ('{ kind = "spsa" }', '{ kind = "spsa", local = false }')
    found = steered("--over", f"steerer={','.join(values)}", *few)
    assert [row["value"] for row in found["rows"]] == [
        {"kind": "spsa"}, {"kind": "spsa", "local": False},
    ]  # fmt: skip
    assert [row["at"] for row in found["rows"]] == [0, 1]
    assert len({pathlib.Path(run).name for run in found["runs"]}) == 2
    assert [row["steerer"] for row in rows_of(pathlib.Path(found["run"], "over.csv"))] == [
        "steerer", "steerer",
    ]  # fmt: skip


# --- what is refused ---


@pytest.mark.parametrize(("arguments", "words"), [
    (["--over", "environment.memory.distence=3,5"],
     "with --over environment.memory.distence=3: unknown key `environment.memory.distence`"),
    (["--over", "environment.memory.distance=3,x"],
     "my.toml, with --over environment.memory.distance=x: environment.memory.distance: "),
    (["--over", "steerer.kind=tracker,spssa"],
     "with --over steerer.kind=spssa: steerer.kind: there is no 'spssa'; did you mean 'spsa'?"),
    (["--over", "environment.drift.0.absolute.optimum=1.0,true"], "got True"),
    (["--over", f"{KEY.replace('0', '1')}=3,5"],
     "environment.drift is a list: expected an entry from 0 to 0, got 1"),
    (["--over", "environment.memory.noise=none,0"], "--over environment.memory.noise=none: "),
    (["--over", "title=one,two"], "--over title: that changes nothing of what is steered"),
    (["--over", "epochs=4"], "two values or more, got one: --set epochs=4 steers with it alone"),
    (["--over", "epochs="], "--over takes KEY=V1,V2,... such as "),
    (["--over", "epochs"], "--over takes KEY=V1,V2,... such as "),
    (["--over", "=3,4"], "--over takes KEY=V1,V2,... such as "),
    (["--over", ""], "--over takes KEY=V1,V2,... such as "),
    (["--over", "epochs=4,,5"], "value 2 of 3 is empty"),
    (["--over", "epochs=4,0x4"], "0x4 stands there twice"),
    (["--over", "epochs=4,5", "--over", "candidates=4,6"], "--over sweeps one key, got 2"),
    (["--over", "epochs=4,5", "--set", "epochs=4"], "--set epochs=4 and --over epochs: give one"),
    (["--over", 'steerer={kind="spsa"},{kind="ppo"}', "--set", "steerer.kind=spsa"],
     "--set steerer.kind=spsa and --over steerer: give one of them"),
    (["--over", "seed=1,2", "--seed", "1"], "--seed and --over seed: give one of them"),
    (["--over", "seed=1,2", "--seeds", "2"], "--over seed and --seeds both repeat a run"),
    (["--over", "epochs=4,5", "--seeds", "0"], "--seeds must be at least 1, got 0"),
    (["--over", "epochs=4,5", "--seeds", "x"], "invalid int value: 'x'"),
    (["--over", "epochs=4,5", "--seed", str(2**31 - 1), "--seeds", "2"], "seed: input should be"),
    (["--seeds", "2"], "--seeds repeats what --over sweeps: give --over KEY=V1,V2, or --seed"),
])  # fmt: skip
def test_wrong_usages_are_refused_before_a_file_is_written(
    arguments: list[str], words: str
) -> None:
    assert words in refused(*arguments)
    assert [path.name for path in pathlib.Path().iterdir()] == ["my.toml"]


def test_the_last_of_many_values_is_checked_before_the_first_run() -> None:
    found = refused("--over", "environment.memory.circuit=a.stim,b.stim", *FEW)
    assert "with --over environment.memory.circuit=a.stim" in found
    assert "got -1" in refused("--over", f"{KEY}=1500,3000,-1", *FEW)
    assert not pathlib.Path("runs").exists()


def test_folders_of_others_are_refused(swept: Swept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(swept.folder.parent)
    other = ("--over", "environment.memory.distance=3,5", *FEW, "--out", "sweep")
    assert "sweep holds a run whose `over` is different: give another --out" in refused(*other)
    changed = [one.replace("candidates=4", "candidates=6") for one in OVER]
    assert "sweep holds a run whose `recipe.candidates` is different" in refused(*changed)
    assert "sweep holds a run of `syndrift steer --over`" in refused("--out", "sweep")

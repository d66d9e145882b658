"""`syndrift steer`: figures, files, going on, kills, Ctrl-C, and what is refused."""

import contextlib
import csv
import io
import json
import pathlib
import signal
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
import stim
from scipy import stats

from envs.agents.steerers.course import SteerConfig
from scripts.config_file import load
from scripts.main import main
from tests import conftest

CONFIGS = pathlib.Path(conftest.__file__).parents[1] / "configs"
EPOCHS, RIVALS = 16, ("steerer", "plain")
RECIPE = f"""\
title = "Steered for a test"
epochs = {EPOCHS}
candidates = 8
checkpoint_every_epochs = 4
[environment.memory]
distance = 3
rounds = 3
noise = {{ kind = "depolarizing", p = 5e-3 }}
[[environment.drift]]
process = {{ kind = "sinusoid", period_s = 1500, random_phase = true }}
absolute = {{ optimum = 1.0 }}
[steerer]
kind = "tracker"
[rivals]
plain = {{ kind = "spsa" }}
[ler]
every_epochs = 4
shots = 500
"""
# The user's own circuit has its own noise, in place of a code by name.
OWN = """\
epochs = 4
candidates = 4
[environment]
memory = { circuit = "mine.stim", rounds = 3 }
[ler]
every_epochs = 2
shots = 100
"""
WHO = ("exploring", "steered", "untouched", "best")
TABLES = ("epochs.csv", "ler.csv", "steering.json")
PLAIN = {"config.toml", "manifest.json", "epochs.csv", "ler.csv", "knobs.csv", "steering.json",
         "steerer.npz", "plain.npz"}  # fmt: skip
PICTURES = {f"{name}{mode}.{form}" for name in ("epochs", "ler", "knobs")
            for mode in ("", "-dark") for form in ("png", "svg")}  # fmt: skip


class Done(NamedTuple):
    """A whole run with pictures, and what it printed."""

    folder: pathlib.Path
    out: str
    result: dict[str, Any]


def said(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["steer", *arguments])
    return status, out.getvalue(), err.getvalue()


def steered(*arguments: str) -> dict[str, Any]:
    status, out, err = said("my.toml", "--no-pictures", "--json", *arguments)
    assert (status, err) == (0, "")
    assert out.count("\n") == 1
    return json.loads(out)


def refused(*arguments: str) -> str:
    status, out, err = said("my.toml", "--no-pictures", *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("syndrift: error: ")
    return err


def rows_of(path: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("steer")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("scripts.report.style.PNG_DPI", 60)
        pathlib.Path("my.toml").write_text(RECIPE)
        status, out, err = said("my.toml", "--out", "run")
        assert (status, err) == (0, "")
    run = folder / "run"
    return Done(run, out, json.loads((run / "steering.json").read_text()))


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("my.toml").write_text(RECIPE)


# --- figures and files ---


def test_a_run_s_folder_holds_all(done: Done) -> None:
    assert {path.name for path in done.folder.iterdir()} == PLAIN | PICTURES
    config = load(done.folder / "config.toml", SteerConfig)
    assert config == load(pathlib.Path("my.toml"), SteerConfig)
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["verb"] == "steer"
    assert len(manifest["sessions"]) == 1
    knobs = rows_of(done.folder / "knobs.csv")
    assert len(knobs) == EPOCHS
    assert len(knobs[0]) == 1 + done.result["controls"] == 42
    assert [float(value) for value in knobs[0].values()] == [0.0] * 42
    rows = rows_of(done.folder / "epochs.csv")
    assert [(row["steerer"], int(row["epoch"]), float(row["time_s"])) for row in rows] == [
        (name, epoch, 60.0 * (epoch + 1)) for name in RIVALS for epoch in range(EPOCHS)
    ]
    rows = rows_of(done.folder / "ler.csv")
    assert [(row["steerer"], int(row["epoch"]), row["who"]) for row in rows] == [
        (name, epoch, who) for name in RIVALS for epoch in (0, 3, 7, 11, 15) for who in WHO
    ]


def test_figures_are_those_of_the_tables(done: Done) -> None:
    """Means and sums of the last three quarters, from the CSV files alone."""
    result = done.result
    assert set(result) == {"title", "seed", "epochs", "simulated", "controls", "steerers", "run"}
    assert (result["title"], result["seed"], result["epochs"], result["simulated"]) == (
        "Steered for a test", 1, EPOCHS, True,
    )  # fmt: skip
    assert tuple(result["steerers"]) == RIVALS
    epochs, counts = (rows_of(done.folder / name) for name in ("epochs.csv", "ler.csv"))
    for name, found in result["steerers"].items():
        late = [row for row in epochs if row["steerer"] == name and int(row["epoch"]) >= 4]
        means = {who: np.mean([float(row[who]) for row in late]) for who in WHO}
        assert found["detections_a_cycle"] == pytest.approx(means)
        most = means["untouched"] - means["best"]
        for who in ("exploring", "steered"):
            share = (means["untouched"] - means[who]) / most
            assert found[f"score_{who}"] == pytest.approx(share)
            assert 0 < share < 1
        assert found["halted"] == 0
        assert found["rolled_back_at"] == []
        for who in WHO:
            rows = [
                (int(row["shots"]), int(row["errors"]))
                for row in counts
                if (row["steerer"], row["who"]) == (name, who) and int(row["epoch"]) >= 4
            ]
            shots, errors = (sum(column) for column in zip(*rows, strict=True))
            one = found["ler"][who]
            assert (one["shots"], one["errors"]) == (shots, errors) == (1500, errors)
            assert one["ler"] == errors / shots
            wilson = stats.binomtest(errors, shots).proportion_ci(method="wilson")
            assert one["interval"] == pytest.approx(list(wilson), rel=1e-6)
            rates = np.array([errors / shots for shots, errors in rows])
            spread = np.var(rates, ddof=1) - np.mean(rates * (1 - rates) / 500)
            expected = np.sqrt(max(0.0, spread))
            assert one["standard_deviation"] == pytest.approx(expected, abs=1e-9)


def test_the_table_says_the_same(done: Done) -> None:
    lines = done.out.splitlines()
    assert lines[0] == "Steered for a test"
    assert [line.split()[0] for line in lines[4:8]] == ["tracker", "plain", "untouched", "best"]
    for line, name in zip(lines[4:6], RIVALS, strict=True):
        found = done.result["steerers"][name]
        low, high = found["ler"]["exploring"]["interval"]
        for text in (f"{found['score_exploring']:.3f}", f"{found['score_steered']:.3f}",
                     f"{found['detections_a_cycle']['exploring']:.4f}", "0.0 %",
                     f"{found['ler']['exploring']['ler']:.3e}",
                     f"[{low:.3e}, {high:.3e}]"):  # fmt: skip
            assert text in line
    assert "steered by tracker: 41 controls, 16 epochs of 8 candidates x 12,000 shots" in done.out
    assert lines[-1] == "seed 1; simulated; tables and pictures in run"


def test_the_same_again_does_nothing_over(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: (done.folder / name).read_text() for name in TABLES}
    monkeypatch.chdir(done.folder.parent)

    def nothing(*arguments: Any) -> None:
        raise AssertionError("an epoch was measured again")

    with monkeypatch.context() as patch:
        patch.setattr("envs.steering._Steering.step", nothing)
        assert steered("--out", "run") == done.result
        title = ("--set", "title=Another", "--set", "checkpoint_every_epochs=7")
        assert steered("--out", "run", *title) == {**done.result, "title": "Another"}
        assert steered("--out", "run") == done.result
    assert {name: (done.folder / name).read_text() for name in TABLES} == before


def test_the_same_again_writes_the_same_knobs() -> None:
    few = ("--out", "run", "--set", "epochs=4")
    steered(*few)
    before = pathlib.Path("run/knobs.csv").read_text()
    steered(*few)
    assert pathlib.Path("run/knobs.csv").read_text() == before


def test_the_seed_is_an_option_and_the_folder_the_recipe_s(done: Done) -> None:
    few = ("--set", "rivals.plain.local=false", "--set", "ler.every_epochs=1")
    first, other = (steered("--seed", seed, "--set", "epochs=4", *few) for seed in ("1", "7"))
    assert (first["seed"], other["seed"]) == (1, 7)
    assert first["run"].startswith("runs/my-")
    assert other["run"].startswith("runs/my-")
    assert first["run"] != other["run"]
    assert {path.name for path in pathlib.Path(first["run"]).iterdir()} == PLAIN
    untouched = [rows_of(pathlib.Path(one["run"], "epochs.csv"))[0]["untouched"]
                 for one in (first, other)]  # fmt: skip
    assert untouched[0] == rows_of(done.folder / "epochs.csv")[0]["untouched"]
    assert untouched[1] != untouched[0]  # another device


def test_of_three_epochs_all_count() -> None:
    text = RECIPE[: RECIPE.index("[rivals]")] + "[ler]\nshots = 100\n"
    pathlib.Path("my.toml").write_text(text)
    found = steered("--out", "run", "--set", "epochs=3")
    assert set(found["steerers"]) == {"steerer"}
    rows = rows_of(pathlib.Path("run/epochs.csv"))
    means = found["steerers"]["steerer"]["detections_a_cycle"]
    assert means["best"] == pytest.approx(np.mean([float(row["best"]) for row in rows]))
    assert [row["epoch"] for row in rows_of(pathlib.Path("run/ler.csv"))] == ["0"] * 4


def test_logical_errors_may_be_counted_seldom() -> None:
    status, out, _ = said("my.toml", "--no-pictures", "--set", "ler.every_epochs=50")
    assert status == 0
    assert "tracker" in out


def test_without_drift_there_is_nothing_to_win() -> None:
    found = steered("--set", "environment.drift=[]", "--set", "epochs=4")
    assert found["steerers"]["steerer"]["score_exploring"] is None


@pytest.mark.parametrize("name", ["steer", "steer_smoke"])
def test_the_recipes_load(name: str) -> None:
    config = load(CONFIGS / f"{name}.toml", SteerConfig)
    plant = config.environment.made().drawn(config.seed)
    assert len(plant.controls) == {"steer": 129, "steer_smoke": 41}[name]
    assert config.steerer.kind == "tracker"
    assert config.ler is not None


# --- a user's own circuit ---


def surface(p: float) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_x", distance=3, rounds=3, after_clifford_depolarization=p,
        before_measure_flip_probability=p, before_round_data_depolarization=p,
    )  # fmt: skip


def test_a_circuit_of_one_s_own() -> None:
    """At its best it fires as often as stim says: 5.3 deviations by chance once in 1e7."""
    pathlib.Path("my.toml").write_text(OWN)
    surface(0.004).to_file("mine.stim")
    off = ("--out", "run", "--set", "environment.plant.start_off=1.0")
    found = steered(*off)
    sampler = surface(0.004).compile_detector_sampler(seed=1)
    fired = np.asarray(sampler.sample(40_000)).sum(axis=1) / 3
    best = found["steerers"]["steerer"]["detections_a_cycle"]["best"]
    assert abs(best - fired.mean()) < 5.3 * fired.std() / np.sqrt(len(fired))
    # A control for each qubit or pair that has depolarizing noise: 9 data qubits idle, the 4 X
    # ancillas have an H, and there are 24 pairs; Z ancillas have none of their own.
    assert found["controls"] == 9 + 4 + 24
    assert (
        pathlib.Path("run/inputs/0/mine.stim").read_text() == pathlib.Path("mine.stim").read_text()
    )
    surface(0.005).to_file("mine.stim")
    assert "mine.stim has changed since the run in run: give another --out" in refused(*off)


# --- stopping and going on ---

# A signal at the so many-th epoch that is measured; SIGINT may have been ignored by who began us.
CHILD = """\
import os, signal, sys
from envs.steered import Experiment
from scripts.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
which, moment, calls, measure = int(sys.argv[1]), int(sys.argv[2]), 0, Experiment.measure
def stopping(self, settings):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), which)
    return measure(self, settings)
Experiment.measure = stopping
sys.exit(main(["steer", "my.toml", "--out", "run", "--no-pictures", "--json"]))
"""


def stopped(by: signal.Signals, moment: int) -> tuple[int, str, str]:
    found = subprocess.run(
        [sys.executable, "-c", CHILD, str(int(by)), str(moment)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return found.returncode, found.stdout, found.stderr


def epochs_in(name: str) -> int:
    with np.load(pathlib.Path("run", name), allow_pickle=False) as kept:
        return len(kept["times_s"])


def test_a_run_that_is_killed_goes_on(done: Done) -> None:
    """Twice: while the steerer acts, and while its rival does; each begins with one look."""
    assert stopped(signal.SIGKILL, 1 + 11) == (-signal.SIGKILL, "", "")
    assert epochs_in("steerer.npz") == 8
    assert not pathlib.Path("run/epochs.csv").exists()
    assert stopped(signal.SIGKILL, 1 + 8 + 1 + 6) == (-signal.SIGKILL, "", "")
    assert (epochs_in("steerer.npz"), epochs_in("plain.npz")) == (16, 4)
    assert steered("--out", "run") == done.result
    for name in TABLES:
        assert pathlib.Path("run", name).read_text() == (done.folder / name).read_text()
    for one, other in zip(rows_of(pathlib.Path("run/knobs.csv")),
                          rows_of(done.folder / "knobs.csv"), strict=True):  # fmt: skip
        assert {key: float(value) for key, value in one.items()} == pytest.approx(
            {key: float(value) for key, value in other.items()}, abs=2e-5
        )
    manifest = json.loads(pathlib.Path("run/manifest.json").read_text())
    assert len(manifest["sessions"]) == 3


def test_ctrl_c_says_how_to_go_on(done: Done) -> None:
    status, out, err = stopped(signal.SIGINT, 1 + 11)
    assert (status, out) == (130, "")
    assert "What was finished is in run; the same command goes on from there." in err
    assert "Traceback" not in err
    assert epochs_in("steerer.npz") == 8
    assert steered("--out", "run") == done.result
    assert pathlib.Path("run/epochs.csv").read_text() == (done.folder / "epochs.csv").read_text()


# --- what is refused ---


@pytest.mark.parametrize(("arguments", "words"), [
    ("epoch=4", "unknown key `epoch`; did you mean `epochs`?"),
    ("steerer.width=0.1", "unknown key `steerer.width`; did you mean `widths`?"),
    ("rivals.plain.locl=true", "unknown key `rivals.plain.locl`; did you mean `local`?"),
    ("steerer.kind=spssa", "steerer.kind: there is no 'spssa'; did you mean 'spsa'?"),
    ("candidates=7", "candidates: input should be a multiple of 2, got 7"),
    ("candidates=0", "candidates: input should be greater than or equal to 2, got 0"),
    ("epochs=-3", "epochs: input should be greater than or equal to 2, got -3"),
    ("seed=-1", "seed: input should be greater than or equal to 0, got -1"),
    ("environment.epochs=5", "leave it out, and set epochs alone"),
    ("environment.memory.circuit=no.stim", "give either a circuit or distance, noise, not both"),
    ("environment.memory.code=rotated-surfase", "did you mean"),
    ("rivals.best.kind=spsa", "a rival must not be called 'best'"),
    ("rivals.steerer.kind=spsa", "a rival must not be called 'steerer'"),
    ("ler.decoder=tesseract", "expected"),
    ("ler.shots=1", "ler.shots: input should be greater than or equal to 100, got 1"),
    ("guard.worse=0", "guard.worse: input should be greater than 0, got 0"),
])  # fmt: skip
def test_wrong_values_are_refused(arguments: str, words: str) -> None:
    if words == "expected":
        words = "ler.decoder: input should be 'pymatching' or 'pymatching-correlated'"
    assert words in refused("--set", arguments)
    assert [path.name for path in pathlib.Path().iterdir()] == ["my.toml"]


@pytest.mark.parametrize(("old", "new", "words"), [
    ("absolute", "relative", "expected absolute = { optimum = 1.0 } in a drift, got relative"),
    ("optimum =", "optimun =", "drift of 'optimun': expected one of optimum; did you mean optimum"),
    ("5e-3", "0.0", "take noise of kind depolarizing or si1000, at a p above 0"),
    ('distance = 3\nrounds = 3\nnoise = { kind = "depolarizing", p = 5e-3 }',
     'circuit = "no.stim"', "circuit: there is no file no.stim"),
])  # fmt: skip
def test_what_cannot_be_steered_is_refused(old: str, new: str, words: str) -> None:
    assert old in RECIPE
    pathlib.Path("my.toml").write_text(RECIPE.replace(old, new))
    found = refused()
    assert words in found
    assert found.startswith("syndrift: error: my.toml: environment: ")
    assert [path.name for path in pathlib.Path().iterdir()] == ["my.toml"]


def test_circuits_without_what_is_needed_are_refused() -> None:
    pathlib.Path("my.toml").write_text(OWN)
    surface(0.004).without_noise().to_file("mine.stim")
    assert "nothing to steer: expected a circuit with DEPOLARIZE1" in refused()
    stim.Circuit("R 0\nDEPOLARIZE1(0.1) 0\nM 0").to_file("mine.stim")
    assert "nothing to hear: expected a circuit with detectors" in refused()
    pathlib.Path("mine.stim").write_text("H 0\nNONSENSE 1\n")
    assert "NONSENSE" in refused()
    assert not pathlib.Path("runs").exists()


def test_folders_of_others_are_refused() -> None:
    pathlib.Path("mine").mkdir()
    pathlib.Path("mine/notes.txt").write_text("mine")
    assert "mine holds other files: give a new or an empty folder" in refused("--out", "mine")
    steered("--out", "run", "--set", "epochs=2", "--set", "candidates=2")
    assert "whose `epochs` is different: give another --out" in refused("--out", "run")
    few = ("--out", "run", "--set", "epochs=2", "--set", "candidates=2")
    assert "whose `seed` is different: give another --out" in refused(*few, "--seed", "2")
    manifest = pathlib.Path("run/manifest.json")
    manifest.write_text(manifest.read_text().replace('"steer"', '"evaluate"', 1))
    assert "run holds a run of `syndrift evaluate`: give another --out" in refused(*few)


@pytest.mark.parametrize("name", ["a/b", "../escaped"])
def test_rivals_whose_names_are_no_files_are_refused_at_once(name: str) -> None:
    text = RECIPE.replace("plain = ", f'"{name}" = ').replace("epochs = 16", "epochs = 4")
    pathlib.Path("my.toml").write_text(text)
    assert name in refused("--out", "run")
    assert not pathlib.Path("run").exists()


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    assert "needs stable_baselines3: pip install 'syndrift[agents]'" in refused()

"""`syndrift steer`: figures, files, the same again, and a circuit of one's own."""

import json
import pathlib
from typing import Any, NamedTuple

import numpy as np
import pytest
import stim
from scipy import stats

from calib.history import History
from envs.agents.steerers.course import SteerConfig
from scripts.config_file import load
from scripts.main import main
from tests import conftest
from tests.scripts.steer_recipe import (
    EPOCHS,
    OWN,
    RECIPE,
    RIVALS,
    TABLES,
    begin,
    refused,
    rows_of,
    said,
    steered,
    surface,
)

CONFIGS = pathlib.Path(conftest.__file__).parents[1] / "configs"
WHO = ("exploring", "steered", "untouched", "best")
PLAIN = {"config.toml", "manifest.json", "epochs.csv", "ler.csv", "knobs.csv", "steering.json",
         "seconds.json", "steerer.npz", "plain.npz", "circuit-steered.stim",
         "circuit-untouched.stim"}  # fmt: skip
PICTURES = {f"{name}{mode}.{form}" for name in ("epochs", "ler", "knobs")
            for mode in ("", "-dark") for form in ("png", "svg")}  # fmt: skip


class Done(NamedTuple):
    """A whole run with pictures, and what it printed."""

    folder: pathlib.Path
    out: str
    result: dict[str, Any]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("steer")
    with pytest.MonkeyPatch.context() as patch:
        begin(folder, patch)
        patch.setattr("scripts.report.style.PNG_DPI", 60)
        status, out, err = said("my.toml", "--out", "run")
        assert (status, err) == (0, "")
    run = folder / "run"
    return Done(run, out, json.loads((run / "steering.json").read_text()))


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, monkeypatch)


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


def test_the_circuits_of_the_end_fire_as_the_tables_say(done: Done) -> None:
    """The expected detections a cycle of the last epoch, by 20,000 shots: 5 standard deviations."""
    (last,) = (row for row in rows_of(done.folder / "epochs.csv")
               if row["steerer"] == RIVALS[0] and int(row["epoch"]) == EPOCHS - 1)  # fmt: skip
    rounds = load(done.folder / "config.toml", SteerConfig).environment.memory.rounds
    for who in ("steered", "untouched"):
        circuit = stim.Circuit.from_file(done.folder / f"circuit-{who}.stim")
        fired = np.sum(circuit.compile_detector_sampler(seed=1).sample(20_000), axis=1) / rounds
        spread = fired.std() / np.sqrt(len(fired))
        assert abs(fired.mean() - float(last[who])) < 5 * spread


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
    assert [row["epoch"] for row in rows_of(pathlib.Path("run/ler.csv"))] == ["0"] * 4 + ["2"] * 4


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


def test_angles_steered_on_a_backend_go_into_the_history(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "calibration.sqlite"
    recipe = str(pathlib.Path(__file__).parents[2] / "configs" / "steer_ibm_smoke.toml")
    given = ["steer", recipe, "--out", str(tmp_path / "run"), "--no-pictures", "--set", "ler=false",
             "--set", "epochs=3", "--history", str(path)]  # fmt: skip
    assert main(given) == 0
    with History(path, access="read") as history:
        (device,) = history.devices()
        assert history.values(device)
    other = str(pathlib.Path(recipe).with_name("steer_smoke.toml"))
    assert main(["steer", other, "--history", str(path)]) == 2
    assert "expected a recipe with plant.kind = 'angles'" in capsys.readouterr().err

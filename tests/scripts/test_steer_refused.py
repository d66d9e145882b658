"""What `syndrift steer` refuses, in one line and before a file is written."""

import pathlib
import sys

import pytest
import stim

from tests.scripts.steer_recipe import OWN, RECIPE, begin, refused, steered, surface


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, monkeypatch)


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
     'circuit = "no.stim"\nrounds = 3', "circuit: there is no file no.stim"),
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

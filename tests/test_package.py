"""The package and its papers: what the wheel holds, what the docs name, recipes that run."""

import pathlib
import subprocess
import sys
import tomllib
import zipfile

import pytest

from calib.campaign import CampaignConfig
from calib.device import Device
from decoders.deploy.config import DeployConfig
from decoders.evaluate import points_of
from decoders.evaluate_config import EvaluateConfig
from decoders.neural.training_config import TrainingConfig
from envs.agents import training
from envs.agents.config import TrainConfig
from envs.agents.steerers.course import SteerConfig
from scripts.config_file import load
from scripts.main import VERBS, main
from scripts.sweep_plan import load_sweep, plan

ROOT = pathlib.Path(__file__).parents[1]
CONFIGS = sorted(ROOT.glob("configs/*.toml"))


def test_the_wheel_holds_exactly_our_packages(tmp_path: pathlib.Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, ROOT],
        check=True, cwd=tmp_path,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "calib",
        "decoders",
        "envs",
        "scripts",
    }
    sources = {str(path.relative_to(ROOT)) for folder in ("calib", "decoders", "envs", "scripts")
               for path in (ROOT / folder).rglob("*.py")}  # fmt: skip
    assert sources <= set(names)


def test_constraints_pin_torch() -> None:
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().split()


def test_extras_of_the_project_are_the_ones_doctor_knows() -> None:
    from scripts.doctor import EXTRAS

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    leaves = set(project["optional-dependencies"]) - {"decoders", "all", "dev"}
    assert set(EXTRAS) == leaves


def verb_of(path: pathlib.Path) -> str:
    verbs = {"calibrate": "calibrate", "agent": "train-agent", "steer": "steer", "neural": "train",
             "deploy": "deploy", "sweep": "sweep"}  # fmt: skip
    return verbs.get(path.stem.partition("_")[0], "evaluate")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: pathlib.Path) -> None:
    assert f"syndrift {verb_of(path)} configs/{path.name}" in path.read_text()
    if verb_of(path) == "calibrate":
        assert Device(load(path, CampaignConfig).device).qubits > 1
    elif verb_of(path) == "train-agent":
        training.check(load(path, TrainConfig))
    elif verb_of(path) == "steer":
        assert load(path, SteerConfig).environment.made().controls
    elif verb_of(path) == "deploy":
        assert load(path, DeployConfig).each()
    elif verb_of(path) == "sweep":
        assert len(plan(load_sweep(path, [], None), path, pathlib.Path("nowhere"))) > 3
    elif verb_of(path) == "train":
        assert next(points_of(load(path, TrainingConfig))).circuit.num_observables > 0
    else:
        assert next(points_of(load(path, EvaluateConfig))).circuit.num_detectors > 0


README = (ROOT / "README.md").read_text(encoding="utf-8")
SMOKE = [path for path in CONFIGS if "_smoke" in path.stem]


@pytest.mark.parametrize(
    "path",
    [path for path in SMOKE if path.name not in README],  # those are run by test_readme.py
    ids=lambda path: path.stem,
)
def test_every_smoke_recipe_runs(
    path: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (ROOT / "configs" / path.name.replace("_smoke", "")).exists()
    monkeypatch.chdir(tmp_path)  # a calibration leaves its history where one stands
    assert main([verb_of(path), str(path), "--out", "run", "--no-pictures"]) == 0
    title = tomllib.loads(path.read_text())["title"]
    assert title in capsys.readouterr().out


def test_the_docs_name_every_key_of_a_config() -> None:
    text = (ROOT / "docs" / "evaluate.md").read_text()
    config = EvaluateConfig.model_json_schema()
    tables = {name: config["$defs"][f"{name.capitalize()}Recipe"]
              for name in ("code", "stop", "rare")}  # fmt: skip
    keys = [key for key in config["properties"] if key not in tables]
    keys += [f"{name}.{key}" for name, table in tables.items() for key in table["properties"]]
    missing = [key for key in keys if f"`{key}`" not in text]
    assert set(missing) == {"rare.confidence"}  # it follows the config's own


def test_the_readme_and_the_help_know_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text()
    for verb in set(VERBS) - {"demo"}:
        assert f"syndrift {verb}" in readme
    assert "make demo" in readme
    assert "make test" in readme

"""A sweep's plan: which runs, in which order, under which names; what is refused beforehand."""

import itertools
import pathlib
import re
import tomllib
from typing import Any

import pytest

from scripts.config_file import read_value
from scripts.main import main
from scripts.sweep_plan import VERBS, Run, SweepConfig, folder_name, literal, load_sweep, plan
from scripts.sweep_table import _USUAL
from tests.shown import ROOT

RECIPE = """\
decoders = ["pymatching"]
time_decoders = false
[code]
name = "repetition"
distance = 3
[noise]
kind = "depolarizing"
p = 0.05
[stop]
max_shots = 1000
"""
HEAD = 'verb = "evaluate"\nrecipe = "below/recipe.toml"\n'


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe stands below the sweep's file, which is not in the working folder."""
    (tmp_path / "sweeps" / "below").mkdir(parents=True)
    (tmp_path / "sweeps" / "below" / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)


def planned(text: str, *overrides: str, seed: int | None = None) -> list[Run]:
    path = pathlib.Path("sweeps/my.toml")
    path.write_text(HEAD + text)
    return plan(load_sweep(path, overrides, seed), path, pathlib.Path("out"))


def refused(text: str, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line of a sweep that is refused: exit 2, and nothing is written."""
    path = pathlib.Path("sweeps/my.toml")
    path.write_text(text)
    assert main(["sweep", str(path), "--out", "out", *options]) == 2
    assert not pathlib.Path("out").exists()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


# --- which runs ---


def test_the_product_in_order_then_the_further_ones() -> None:
    runs = planned(
        '[over]\nseed = [1, 2]\n"code.distance" = [3, 5]\n"noise.p" = [0.01, 0.02, 0.03]\n'
        '[[also]]\n"noise.p" = 0.1\nseed = 7\n'
    )
    product = itertools.product([1, 2], [3, 5], [0.01, 0.02, 0.03])
    expected = [dict(zip(("seed", "code.distance", "noise.p"), one, strict=True))
                for one in product]  # fmt: skip
    assert [run.settings for run in runs] == [*expected, {"seed": 7, "noise.p": 0.1}]
    assert runs[1].name == "seed-1_code.distance-3_noise.p-0.02"
    assert runs[-1].name == "seed-7_noise.p-0.1"  # in the order of the axes, too
    assert all(run.folder == pathlib.Path("out") / run.name for run in runs)


def test_each_run_has_its_values_in_the_recipe_s_place() -> None:
    runs = planned("[set]\nstop.max_shots = 50\n[over]\nseed = [4]\nnoise.p = [0.01, 0.02]\n")
    first, second = (run.config.model_dump(mode="json") for run in runs)
    assert [one["noise"][0]["p"] for one in (first, second)] == [0.01, 0.02]
    assert first["stop"]["max_shots"] == 50
    assert first["seed"] == 4
    assert {**first, "noise": None} == {**second, "noise": None}


def test_a_key_with_dots_means_the_same_with_quotes_or_not() -> None:
    quoted = planned('[over]\n"code.distance" = [3, 5]\n')
    assert quoted == planned("[over]\ncode.distance = [3, 5]\n")
    assert quoted == planned("[over.code]\ndistance = [3, 5]\n")
    assert quoted == planned("[[also]]\ncode.distance = 3\n[[also]]\ncode.distance = 5\n")


def test_whole_tables_and_lists_are_values() -> None:
    runs = planned(
        '[over]\ndecoders = [["pymatching"], ["pymatching", "pymatching-correlated"]]\n'
        'noise = [{kind = "si1000", p = 0.002}, {kind = "biased", p = 0.01, eta = 10}]\n'
    )
    configs = [run.config.model_dump(mode="json") for run in runs]
    assert [len(one["decoders"]) for one in configs] == [1, 1, 2, 2]
    assert [one["noise"][0]["kind"] for one in configs] == ["si1000", "biased"] * 2
    assert len({run.name for run in runs}) == 4


def test_options_go_before_the_file() -> None:
    runs = planned("[over]\nseed = [1]\n", "over.seed=[5, 6]", "recipe.code.distance=7")
    assert [run.settings for run in runs] == [{"seed": 5}, {"seed": 6}]
    assert {run.config.model_dump()["code"]["distance"] for run in runs} == {(7,)}
    (run,) = planned("[over]\nnoise.p = [0.1]\n", seed=9)
    assert run.config.model_dump()["seed"] == 9


@pytest.mark.parametrize(
    "value",
    [1, -3, 0.005, 1e-7, 1e300, True, False, "text", 'a "quote" and \\ back', "1", "ünicode", [],
     [1, [2, "x"]], {"kind": "si1000", "p": 1e-3, "in": {"a b": [True]}}],
)  # fmt: skip
def test_a_value_comes_back_from_set_as_it_was(value: Any) -> None:
    back = read_value(literal(value))
    assert (back, type(back)) == (value, type(value))


# --- names ---


def test_names_are_safe_and_no_two_settings_share_one() -> None:
    values = ["a/b", "a-b", "../up", "", " ", "a b", "ä", "C:\\x", "x" * 300, "x" * 301, ".", "-",
              [1, 2], "[1, 2]", 1, "1", True, "true", "con|?*", "a\nb"]  # fmt: skip
    names = [folder_name({"title": value}) for value in values]
    assert len(set(names)) == len(values)
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    assert all(set(name) <= allowed and len(name) <= 120 for name in names)
    many = {f"environment.key_{k}": k for k in range(40)}
    assert len(folder_name(many)) <= 120
    assert folder_name(many) != folder_name(many | {"environment.key_39": 40})


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD, "nothing is varied"),
        (HEAD + "[over]\nseed = 1\n", "expected a list of values for seed"),
        (HEAD + "[over]\nseed = []\n", "the list of seed is empty"),
        (HEAD + "[over]\nseed = [1, 2, 1]\n", "the run with seed=1: it stands there twice"),
        (HEAD + "[over]\nseed = [1]\n[[also]]\nseed = 1\n", "it stands there twice"),
        (HEAD + "[ovre]\nseed = [1]\n", "did you mean `over`?"),
        ('verb = "decode"\nrecipe = "below/recipe.toml"\n[over]\nseed = [1]\n', "verb: "),
        ('verb = "evaluate"\nrecipe = "below/recipes.toml"\n[over]\nseed = [1]\n',
         "did you mean sweeps/below/recipe.toml?"),
        (HEAD + '[over]\nseed = [1]\n"noise.pp" = [0.1]\n',
         "the run with seed=1, noise.pp=0.1: unknown key"),
        (HEAD + "[over]\ncode.distance = [3, 5, 0]\n", "the run with code.distance=0: "),
        (HEAD + "[over]\nseed = [1]\n[set]\nstop.max_shot = 3\n", "did you mean `max_shots`?"),
        (HEAD + "[over]\nseed = [1]\n[table]\ncolumns = ['seed']\n", "stands in the table anyway"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_begins(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(text, capsys)


def test_options_that_contradict_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAD + "[over]\nseed = [1, 2]\n"
    assert "--seed 3: sweeps/my.toml varies seed" in refused(text, capsys, "--seed", "3")
    assert "--jobs must be at least 1, got 0" in refused(text, capsys, "--jobs", "0")
    assert "expected ray or ray://HOST:PORT" in refused(text, capsys, "--on", "dask")


# --- the recipes that are shipped ---


@pytest.mark.parametrize(("name", "count"), [("sweep_decoders", 24), ("sweep_decoders_smoke", 4)])
def test_the_shipped_recipes_are_whole(name: str, count: int) -> None:
    path = ROOT / "configs" / f"{name}.toml"
    runs = plan(load_sweep(path, (), None), path, pathlib.Path("out"))
    assert len(runs) == len({run.name for run in runs}) == count
    axes = tomllib.loads(path.read_text())["over"]
    assert list(axes) == list(runs[0].settings)


# --- what docs/sweep.md shows ---

TEXT = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")


def test_the_page_s_config_is_one() -> None:
    shown, values, *columns = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    text = shown.replace("neural_smoke.toml", str(ROOT / "configs" / "neural_smoke.toml"))
    path = pathlib.Path("page.toml")
    for further in columns:
        path.write_text(text + further)
        runs = plan(load_sweep(path, (), None), path, pathlib.Path("out"))
        settings = [{"network.channels": width, "seed": seed}
                    for width in (8, 16) for seed in (1, 2, 3)]  # fmt: skip
        assert [run.settings for run in runs] == [*settings, {"network.channels": 64, "seed": 1}]
        assert {run.config.model_dump()["examples"] for run in runs} == {50_000}
    assert len(columns) == 2
    assert len(planned(values)) == 4


def test_the_page_names_every_key_and_every_verb() -> None:
    for name in (*SweepConfig.model_fields, *VERBS):
        assert f"| `{name}` |" in TEXT
    assert set(_USUAL) == set(VERBS)

"""A short steered run, and what tests of `syndrift steer` share."""

import contextlib
import csv
import io
import json
import pathlib
from typing import Any

import pytest
import stim

from scripts.main import main

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
TABLES = ("epochs.csv", "ler.csv", "steering.json")


def begin(folder: pathlib.Path, patch: pytest.MonkeyPatch) -> None:
    """With the recipe, in a folder of its own."""
    patch.chdir(folder)
    pathlib.Path("my.toml").write_text(RECIPE)


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


def surface(p: float) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_x", distance=3, rounds=3, after_clifford_depolarization=p,
        before_measure_flip_probability=p, before_round_data_depolarization=p,
    )  # fmt: skip

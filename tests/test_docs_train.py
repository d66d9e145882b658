"""What docs/train.md shows: its Python runs, its tables are complete."""

import ast
import pathlib
import re
import typing

import pytest

from decoders.neural.architectures import Architecture
from decoders.neural.training_config import TrainingConfig
from scripts.main import VERBS
from tests.shown import ROOT, blocks, printed

TEXT = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_runs_as_it_stands(tmp_path: pathlib.Path) -> None:
    """The blocks in a process of their own, warnings as errors."""
    shown = blocks(TEXT)
    assert len(shown) == 4
    output = printed(shown, tmp_path, tmp_path)
    lines = output.splitlines()
    names, left, errors = map(ast.literal_eval, (lines[0], lines[-4], lines[-1]))
    assert {"neural", "pre-decoder"} <= set(names)
    assert [one[2] for one in left] == [5000, 4950, 4500]
    factor, low, high = map(float, lines[-3].split())
    assert factor == pytest.approx(2, rel=0.1)  # the device is twice as noisy
    assert low < high
    assert lines[-2].startswith("False (")
    assert set(errors) == {"pymatching", "pymatching-correlated", "this one"}


def test_the_tables_name_every_key_and_every_network() -> None:
    rows = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| `")]
    named = {key for row in rows for key in re.findall(r"`([^`]+)`", row[0])}
    kinds = {one.model_fields["kind"].default
             for one in typing.get_args(typing.get_args(Architecture)[0])}  # fmt: skip
    assert named == set(TrainingConfig.model_fields) | kinds
    for row in rows:
        name = row[0].strip("`")
        if name in TrainingConfig.model_fields:
            default = TrainingConfig.model_fields[name].default
            if isinstance(default, int | float) and not isinstance(default, bool):
                assert row[1].replace(",", "") == f"{default:g}".replace("1e+06", "1000000")
            elif isinstance(default, str):
                assert row[1] == f'"{default}"'


def test_commands_are_verbs_and_files_exist() -> None:
    for verb in re.findall(r"^syndrift (\S+)", TEXT, re.MULTILINE):
        assert verb in VERBS
    for path in re.findall(r"configs/\S+?\.toml", TEXT):
        assert (ROOT / path).exists()
    for path in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / "docs" / path).exists(), path

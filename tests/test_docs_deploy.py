"""What docs/deploy.md shows: its Python runs, its table is complete."""

import pathlib

import pytest

from decoders.deploy.config import DeployConfig
from decoders.deploy.device_noise import Unreported
from decoders.deploy.isa import Schedule
from tests.shown import ROOT, blocks, printed

TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_runs_as_it_stands(tmp_path: pathlib.Path) -> None:
    """The blocks in a process of their own, warnings as errors."""
    shown = blocks(TEXT)
    output = printed(shown, tmp_path, tmp_path)
    rows = [line.split() for line in output.splitlines()]
    names = [row[0] for row in rows]
    assert names == ["pymatching", "pymatching-correlated", "pymatching-correlated@learnt"]
    for _, errors, shots, _ in rows:
        assert shots == "40000"
        assert 50 < int(errors) < 300


def test_the_table_names_every_key() -> None:
    rows = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| `")]
    keys = {row[0].strip("`") for row in rows}
    assert keys == set(DeployConfig.model_fields) | {"stim", "aer"}
    for name, table in (("schedule", Schedule), ("noise", Unreported)):
        (row,) = (row for row in rows if row[0] == f"`{name}`")
        assert all(f"`{key}`" in row[2] for key in table.model_fields)

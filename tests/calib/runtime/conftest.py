"""Where a deployment's ledger lies in these tests."""

import pathlib

import pytest


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "jobs.sqlite"

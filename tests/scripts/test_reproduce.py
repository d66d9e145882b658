"""`syndrift reproduce` of what is no run with counts: it says what repeats that."""

from __future__ import annotations

import pathlib

import pytest

from calib.runtime import Ledger
from scripts.main import main


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("runs/deployment-3", "`syndrift jobs 3 --fetch`"),
        ("elsewhere/deployment-3", "`syndrift jobs 3 --fetch`"),
        ("lab/deployment-4", "`syndrift jobs 4 --fetch --ledger lab/jobs.sqlite`"),
        ("lab/mine-deployment-2", "`syndrift jobs 2 --fetch --ledger lab/mine.sqlite`"),
        ("renamed", "`syndrift jobs ID --fetch`"),
    ],
)
def test_a_deployment_is_decoded_again_by_jobs(
    folder: str,
    command: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for ledger in ("runs/jobs.sqlite", "lab/jobs.sqlite", "lab/mine.sqlite"):
        Ledger.open(ledger).close()
    state = pathlib.Path(folder, "state-0")
    state.mkdir(parents=True)
    (state / "metadata.json").write_text("{}")
    (state.parent / "results.json").write_text("{}")
    assert main(["reproduce", folder]) == 2
    said = capsys.readouterr().err
    assert f"{folder}: a deployment" in said
    assert f"{command} decodes them again, from the ledger" in said
    assert said.count("\n") == 1

"""`syndrift report`: runs, finished or not, each in one file; plain words where there is none."""

from __future__ import annotations

import json
import pathlib

import pytest

from scripts.main import main

COMPARE = ["compare", "--code", "repetition", "--distance", "3", "--noise", "depolarizing", "--p",
           "0.02", "--shots", "2000", "--workers", "1"]  # fmt: skip


@pytest.fixture(autouse=True)
def run(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*COMPARE, "--out", "runs/mine"]) == 0


def test_one_file_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["report", "runs/mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"reports": ["runs/mine/report.html"]}
    page = pathlib.Path("runs/mine/report.html").read_text(encoding="utf-8")
    decoders = json.loads(pathlib.Path("runs/mine/comparison.json").read_text())["decoders"]
    for name, one in decoders.items():
        assert name in page
        assert f"{one['errors']:,}" in page
    assert main(["report", "runs/mine", "--out", "new/mine.html"]) == 0
    assert pathlib.Path("new/mine.html").read_text(encoding="utf-8") == page


def test_a_run_that_was_stopped_has_one(capsys: pytest.CaptureFixture[str]) -> None:
    pathlib.Path("runs/mine/comparison.json").unlink()
    assert main(["report", "runs/mine"]) == 0
    assert "pymatching" in pathlib.Path("runs/mine/report.html").read_text(encoding="utf-8")
    capsys.readouterr()


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    pathlib.Path("agents").mkdir()
    manifest = json.loads(pathlib.Path("runs/mine/manifest.json").read_text())
    text = json.dumps({**manifest, "verb": "explain"})
    pathlib.Path("agents/manifest.json").write_text(text)
    capsys.readouterr()
    for given, words in (
        (["gone"], "gone: no such folder"),
        (["runs"], "not a run's folder (it has no manifest.json); there are runs/mine"),
        (["runs/mine/manifest.json"], "expected a run's folder, got a file"),
        (["agents"], "holds a run of `syndrift explain`, which has no report; there are"),
        (["runs/mine", "runs/mine", "--out", "x.html"], "--out is for one run"),
        (["runs/mine", "--out", "runs"], "expected a file, such as runs/report.html"),
        ([], "the following arguments are required: RUN"),
    ):
        assert main(["report", *given]) == 2
        assert words in capsys.readouterr().err

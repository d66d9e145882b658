"""The report of `syndrift train-agent`: every judgement, finished or under way."""

import json
import pathlib
from typing import Any

import pytest

from scripts.page import agent_trained
from scripts.page.figures import Chart


def judgement(steps: int, mean: float, good: int | None) -> dict[str, Any]:
    found = {"steps": steps, "seed": 9, "devices": 80, "mean_return": mean,
             "return_interval": [mean - 0.1, mean + 0.1], "mean_episode_steps": 5.0,
             "calibrated": good, "calibrated_interval": None, "median_ratio": None,
             "median_interval": None}  # fmt: skip
    if good is not None:
        found |= {"calibrated_interval": [good / 80 - 0.05, good / 80 + 0.05],
                  "median_ratio": 3.0 - mean,
                  "median_interval": [2.0 - mean, 4.0 - mean]}  # fmt: skip
    return found


def run_of(folder: pathlib.Path, ended: list[dict[str, Any]], last: list[dict[str, Any]]) -> Any:
    (folder / "config.toml").write_text('title = "Mine"\nseed = 9\n')
    (folder / "last").mkdir()
    record = {"record": {"evaluations": last}}
    (folder / "last" / "checkpoint.json").write_text(json.dumps(record))
    if ended:
        result = {"steps": 300, "evaluations": ended, "best": ended[-1],
                  "final": judgement(200, 1.25, ended[-1]["calibrated"] and 60)}  # fmt: skip
        (folder / "training.json").write_text(json.dumps(result))
    return agent_trained.sections(folder)


@pytest.mark.parametrize("calibrates", [True, False])
def test_an_ended_training(tmp_path: pathlib.Path, calibrates: bool) -> None:
    judged = [judgement(100, 0.5, 8 if calibrates else None),
              judgement(200, 1.5, 72 if calibrates else None)]  # fmt: skip
    good, every = run_of(tmp_path, judged, judged[:1])
    assert agent_trained.title(tmp_path) == "Mine"
    (words,) = good.words
    assert "after 200 of 300 steps" in words
    assert "1.25 [1.15, 1.35]" in words
    assert ("75.0 % [70.0, 80.0] of them within 1.2" in words) is calibrates
    charts = {one.title: one for one in good.figures if isinstance(one, Chart)}
    assert len(charts) == (3 if calibrates else 1)
    (curve,) = charts["Return"].curves
    assert (list(curve.x), list(curve.y)) == ([100, 200], [0.5, 1.5])
    if calibrates:
        (share,) = charts["Devices within 1.2 of their coherence limit"].curves
        assert list(share.y) == [0.1, 0.9]
    (table,) = every.figures
    assert [row[0] for row in table.rows] == ["100", "200"]
    assert len(table.rows[0]) == len(table.head)


def test_one_under_way(tmp_path: pathlib.Path) -> None:
    judged = [judgement(100, 0.5, 8), judgement(200, 1.5, 72)]
    good, _ = run_of(tmp_path, [], judged)
    assert "under way, or was stopped: after 200 steps" in good.words[0]


def test_one_that_goes_on_with_more_steps(tmp_path: pathlib.Path) -> None:
    judged = [judgement(100, 0.5, 8), judgement(200, 1.5, 72)]
    good, _ = run_of(tmp_path, judged[:1], judged)
    assert "under way, or was stopped: after 200 steps" in good.words[0]


def test_one_that_was_never_judged(tmp_path: pathlib.Path) -> None:
    (only,) = run_of(tmp_path, [], [])
    assert only.title == "Not judged yet"

"""Pictures of a decoder's odds: what they show is in their CSV."""

from __future__ import annotations

import csv
import pathlib

import numpy as np
import pytest

from decoders.reliability import Reliability, post_selection
from scripts.report.reliability_pictures import draw_post_selection, draw_reliability


def test_pictures_are_drawn_with_their_numbers(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.report.style.PNG_DPI", 50)
    rng = np.random.default_rng(3)
    odds = rng.logistic(0, 3, 2_000)
    flips = rng.random(2_000) < 1 / (1 + np.exp(odds))
    words = {"title": "Odds", "origin": "2,000 made up, seed 3."}
    found = Reliability.of(odds, flips)
    written = draw_reliability({"true": found}, tmp_path / "reliability", **words)
    left = post_selection(odds, flips)
    written += draw_post_selection({"true": left}, tmp_path / "selection", **words)
    suffixes = {"png", "svg"}
    assert {path.suffix[1:] for path in written} == {*suffixes, "csv"}
    assert all(path.stat().st_size for path in written)
    with (tmp_path / "reliability.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["answers"]), int(row["errors"])) for row in rows] == [
        (one.answers, one.errors) for one in found.bins
    ]
    with (tmp_path / "selection.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["rate"]) for row in rows] == [one.rate for one in left]
    for draw in (draw_reliability, draw_post_selection):
        with pytest.raises(ValueError, match="at least one"):
            draw({}, tmp_path / "none", **words)

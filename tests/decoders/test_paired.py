"""Ratios of errors on the same shots."""

from __future__ import annotations

import math

import numpy as np
import pytest

from decoders.paired import Paired
from decoders.statistics import mcnemar


def test_a_ratio_by_hand() -> None:
    """Var ln(a / b) = (n10 + n01) / (a b)."""
    found, low, high = Paired(both=60, first=20, second=40).ratio
    assert found == pytest.approx(0.8)
    assert high / found == pytest.approx(found / low)
    assert high / found == pytest.approx(math.exp(1.96 * math.sqrt(60 / 8000)), rel=1e-4)


def test_nothing_is_said_of_no_errors() -> None:
    assert all(map(math.isnan, Paired(0, 0, 5).ratio))
    assert Paired(0, 0, 5).words == ("-", "6.2e-02")


def test_its_interval_covers_the_truth_and_its_p_value_is_mcnemars() -> None:
    """Two decoders of 2 % and 1.5 %, that share 1.2 %."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        kind = rng.choice(4, size=10_000, p=[0.977, 0.012, 0.008, 0.003])
        pair = Paired.of((kind == 1) | (kind == 2), (kind == 1) | (kind == 3))
        _, low, high = pair.ratio
        covered += low <= 20 / 15 <= high
        assert pair.p_value == mcnemar(pair.first, pair.second)
    assert 366 <= covered <= 394  # 95 %, three and a half standard deviations

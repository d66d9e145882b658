"""How long answers took: a histogram of fixed size, and its percentiles."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

_LEAST_S, _MOST_S, _WIDTH = 1e-7, 1e3, 1.01
_STEP = math.log(_WIDTH)
_BINS = math.ceil(math.log(_MOST_S / _LEAST_S) / _STEP) + 1


@dataclasses.dataclass(frozen=True)
class Percentiles:
    """Times in seconds, of `number` answers; nan where there are none."""

    number: int
    p50_s: float
    p99_s: float
    p999_s: float
    worst_s: float


class Latency:
    """Times from 0.1 µs to 1,000 s in bins 1 % wide: the memory stays as it is for ever."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._worst_s = math.nan

    def add(self, seconds: float) -> None:
        """One more answer."""
        bin_ = int(math.log(max(seconds, _LEAST_S) / _LEAST_S) / _STEP)
        self._counts[min(bin_, _BINS - 1)] += 1
        if not seconds <= self._worst_s:  # nan, too
            self._worst_s = seconds

    def percentile(self, share: float) -> float:
        """The time in which that share of the answers was there, rounded up by at most 1 %."""
        total = int(self._counts.sum())
        if not total:
            return math.nan
        rank = max(1, math.ceil(share * total))
        bin_ = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(_LEAST_S * _WIDTH ** (bin_ + 1), self._worst_s)

    def percentiles(self) -> Percentiles:
        """p50, p99, p99.9 and the worst."""
        p50_s, p99_s, p999_s = map(self.percentile, (0.5, 0.99, 0.999))
        return Percentiles(int(self._counts.sum()), p50_s, p99_s, p999_s, self._worst_s)

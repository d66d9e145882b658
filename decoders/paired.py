"""Two decoders on the same shots: how many more errors, and whether that is chance."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoders.statistics import mcnemar

_Z = 1.959964  # of a 95 % interval


class Paired(NamedTuple):
    """On how many shots both failed, only the first, and only the second."""

    both: int
    first: int
    second: int

    @classmethod
    def of(cls, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
        """From the shots that each failed on.

        >>> Paired.of(np.array([True, True, False]), np.array([True, False, False]))
        Paired(both=1, first=1, second=0)
        """
        return cls(
            int((first & second).sum()), int((first & ~second).sum()), int((second & ~first).sum())
        )

    @property
    def p_value(self) -> float:
        """McNemar's, of failing equally often."""
        return mcnemar(self.first, self.second)

    @property
    def ratio(self) -> tuple[float, float, float]:
        """The first's errors by the second's, and Wald's 95 % interval for paired shots.

        Not a number where one of them has none.
        """
        ours, theirs = self.both + self.first, self.both + self.second
        if not ours or not theirs:
            return math.nan, math.nan, math.nan
        found = ours / theirs
        spread = math.exp(_Z * math.sqrt((self.first + self.second) / (ours * theirs)))
        return found, found / spread, found * spread

    @property
    def words(self) -> tuple[str, str]:
        """The ratio with its interval, and the p-value, for a table."""
        found, low, high = self.ratio
        named = "-" if math.isnan(found) else f"{found:.3f} [{low:.3f}, {high:.3f}]"
        return named, f"{self.p_value:.1e}"

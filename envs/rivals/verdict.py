"""The judge: how good what a rival would hand over is in truth, over the shots that it took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decoders.statistics import binomial_interval
from envs.game import WITHIN, Array
from envs.rivals.bench import Bench, Trace

SHARE = 0.95  # of the devices


@dataclass(frozen=True)
class Verdict:
    """Each device's worst gate over its coherence limit, `ratios` [T, B], after `shots` [T]."""

    shots: np.ndarray
    ratios: Array

    def good(self, moment: int = -1) -> int:
        """How many devices are calibrated at a moment (the end)."""
        return int(np.count_nonzero(self.ratios[moment] <= WITHIN))

    def interval(self, moment: int = -1) -> tuple[float, float]:
        """Of the share that is calibrated, 95 % (Wilson)."""
        return binomial_interval(self.good(moment), self.ratios.shape[1])

    def after(self, shots: int) -> int | None:
        """The last moment within so many shots; None if there is none."""
        found = int(np.searchsorted(self.shots, shots, side="right")) - 1
        return found if found >= 0 else None

    def shots_to_calibrate(self) -> int | None:
        """From where on 95 % of the devices are calibrated at every moment; None if not at the end.

        Which devices are calibrated may change.
        """
        return self._from_where_on((self.ratios <= WITHIN).mean(axis=1) >= SHARE)

    def shots_of_each(self) -> Array:
        """From where on each device is calibrated [B]; infinite for one that is not at the end."""
        columns = (self.ratios <= WITHIN).T
        found = [self._from_where_on(column) for column in columns]
        return np.array([np.inf if one is None else one for one in found])

    def _from_where_on(self, fine: np.ndarray) -> int | None:
        bad = np.flatnonzero(~fine)
        first = 0 if len(bad) == 0 else int(bad[-1]) + 1
        return int(self.shots[first]) if first < len(fine) else None


def verdict(bench: Bench, trace: Trace) -> Verdict:
    """Judges a trace by the hidden truth."""
    ratios = [bench.game.ratios(bench.physics, settings).max(axis=1) for settings in trace.settings]
    return Verdict(trace.shots, np.array(ratios))

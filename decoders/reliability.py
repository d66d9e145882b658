"""Whether a decoder's odds are true, and how seldom it errs without the shots that it is unsure of.

Odds are ln P(kept) / P(flipped) of an observable. By its sign they are the answer, by their size
how likely that is wrong: 1 / (1 + exp |odds|), at most a half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from decoders.fault_graph import Array, Bits
from decoders.statistics import binomial_interval

SHARES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
"""Of shots, that are discarded unless said otherwise."""


class Bin(NamedTuple):
    """Answers of about the same odds: how many, how likely wrong in the mean, and how many were.

    |odds| are at least `least`, and below `most`.
    """

    least: float
    most: float
    answers: int
    predicted: float
    errors: int

    @property
    def rate(self) -> float:
        """The share that was wrong."""
        return self.errors / self.answers

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %, of that share."""
        return binomial_interval(self.errors, self.answers)


class Reliability(NamedTuple):
    """How a decoder's odds agree with its errors: bins, the least sure first, none of them empty.

    `negative_log_likelihood` is in nats an answer, infinite if one that was certain is wrong.
    `brier` is the mean of (P(wrong) - wrong)². Both are not a number where there are no answers.
    """

    bins: tuple[Bin, ...]
    negative_log_likelihood: float
    brier: float

    @classmethod
    def of(cls, odds: ArrayLike, flips: ArrayLike, *, bins: int = 10) -> Reliability:
        """From odds [N, O] or [N], and whether each observable flipped, bool of that shape.

        Each observable of each shot is an answer. Bins are steps of one in |odds|, about a factor
        of e in the probability; the last has all beyond.

        >>> found = Reliability.of([1.2, 1.2, 1.2, 1.2, -7.0], [False, True, False, False, True])
        >>> [(one.answers, round(one.predicted, 4), one.errors) for one in found.bins]
        [(4, 0.2315, 1), (1, 0.0009, 0)]
        """
        if bins < 1:
            raise ValueError(f"bins must be at least 1, got {bins}")
        sizes, wrongs = _judged(odds, flips)
        size, wrong = sizes.ravel(), wrongs.ravel()
        predicted = np.exp(-size) / (1 + np.exp(-size))
        places = np.minimum(size, bins - 1).astype(np.int64)  # infinite sizes are in the last one
        if not size.size:
            return cls((), math.nan, math.nan)
        found = []
        for number in np.unique(places).tolist():
            here = places == number
            most = number + 1.0 if number < bins - 1 else math.inf
            mean = float(predicted[here].mean())
            found.append(Bin(float(number), most, int(here.sum()), mean, int(wrong[here].sum())))
        surprise = np.logaddexp(0, np.where(wrong, size, -size))
        return cls(tuple(found), float(surprise.mean()), float(((predicted - wrong) ** 2).mean()))

    @property
    def answers(self) -> int:
        """That were given."""
        return sum(one.answers for one in self.bins)

    @property
    def errors(self) -> int:
        """That there were."""
        return sum(one.errors for one in self.bins)

    @property
    def expected_errors(self) -> float:
        """That there would be if the odds were true: with more errors they are overconfident."""
        return math.fsum(one.answers * one.predicted for one in self.bins)

    @property
    def expected_calibration_error(self) -> float:
        """ECE: the sum over bins of their share of answers times |predicted - observed rate|."""
        return self._mean([abs(one.answers * one.predicted - one.errors) for one in self.bins])

    @property
    def expected_by_chance(self) -> float:
        """What that sum would be in the mean if the odds were true: above zero, errors scatter.

        The mean deviation of binomial counts (A. de Moivre, 1730), of answers that are independent.
        """
        return self._mean([_mean_deviation(one.answers, one.predicted) for one in self.bins])

    def _mean(self, deviations: Sequence[float]) -> float:
        return math.fsum(deviations) / self.answers if self.bins else math.nan


class PostSelection(NamedTuple):
    """Errors of the shots that are left after the least sure are discarded.

    `share` of `shots` was to be discarded; `kept` are those of |odds| of at least `least`.
    """

    share: float
    shots: int
    least: float
    kept: int
    errors: int

    @property
    def discarded(self) -> float:
        """The share that was discarded; not a number where there are no shots."""
        return 1 - self.kept / self.shots if self.shots else math.nan

    @property
    def rate(self) -> float:
        """The logical error rate of the shots kept; not a number where there are none."""
        return self.errors / self.kept if self.kept else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %, of that rate."""
        return binomial_interval(self.errors, self.kept)


def post_selection(
    odds: ArrayLike, flips: ArrayLike, *, shares: Sequence[float] = SHARES
) -> list[PostSelection]:
    """What is left of shots after each of the shares, the least sure, is discarded.

    `odds` [N, O] or [N] and `flips`, bool of that shape. A shot is as sure as its least sure
    observable, and wrong if any is. Shots that are equally sure are kept or discarded together, so
    that a bound on |odds| tells them apart: never is more discarded than the share.

    >>> found = post_selection([0.1, -3.0, 5.0, 2.0], [True, True, False, False], shares=[0, 0.3])
    >>> [(one.kept, one.errors, one.least) for one in found]
    [(4, 1, 0.1), (3, 0, 2.0)]
    """
    for share in shares:
        if not 0 <= share < 1:
            raise ValueError(f"shares to discard must be at least 0 and below 1, got {share}")
    sizes, wrongs = _judged(odds, flips)
    size, wrong = sizes.min(axis=1), wrongs.any(axis=1)
    ordered = np.append(np.sort(size), math.inf)  # infinite where there are no shots
    found = []
    for share in shares:
        least = float(ordered[math.floor(share * len(size) + 1e-9)])  # 0.29 * 100 is below 29
        left = size >= least
        errors = np.count_nonzero(wrong & left)
        found.append(PostSelection(share, len(size), least, np.count_nonzero(left), errors))
    return found


def _judged(odds: ArrayLike, flips: ArrayLike) -> tuple[Array, Bits]:
    """|odds| [N, O], and which answers are wrong; odds of zero answer that nothing flips."""
    given, truth = np.asarray(odds, dtype=np.float64), np.asarray(flips)
    if truth.dtype != np.bool_ and truth.size:  # an empty list is of floats
        raise ValueError(
            f"expected flips as bool, got {truth.dtype}: unpack them with np.unpackbits(flips, "
            "axis=1, count=..., bitorder='little').astype(bool)"
        )
    shapes = given.shape, truth.shape
    given = given[:, None] if given.ndim == 1 else given
    truth = truth[:, None] if truth.ndim == 1 else truth
    if given.ndim != 2 or given.shape != truth.shape or not given.shape[1]:
        raise ValueError(
            "expected odds and flips of the same shots and at least one observable, [N, O] or [N], "
            f"got shapes {shapes[0]} and {shapes[1]}: give each shot's odds, and what flipped in it"
        )
    if np.isnan(given).any():
        raise ValueError("expected odds as numbers, got nan: give 0 where nothing is known")
    return np.abs(given), (given < 0) != truth.astype(bool)


def _mean_deviation(count: int, chance: float) -> float:
    """E |X - np| of a binomial X: 2 m (1 - p) P(X = m), where m is the least number above np."""
    from scipy.stats import binom

    above = math.floor(count * chance) + 1
    return float(2 * above * (1 - chance) * binom.pmf(above, count, chance))

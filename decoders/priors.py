"""A decoder's priors, refreshed by what its detectors show: gates' error rates from firing rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decoders.detection_rates import Array, DetectionRates

_STEPS = 8  # of Gauss and Newton's; the logarithms settle within a few
_MOST_RATE = 0.499


def estimated_errors(
    found: DetectionRates, rates: Array, trials: NDArray[np.int64] | Array, doubt: float = 0.5
) -> Array:
    """The likeliest error rate of each gate [I], where its groups fire at these rates [J].

    `trials` [J] are how many detectors of each group were looked at, over all shots. Before any is,
    the logarithm of each gate's rate is normal around that of `found.nominal`, with a standard
    deviation of `doubt`: detectors alone do not tell all gates apart. What is left over is the
    usual shot noise of −ln(1 − 2·rate), which is linear in the gates' own.

    >>> import stim
    >>> circuit = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=9,
    ...     before_round_data_depolarization=0.01)
    >>> found = DetectionRates.of(circuit)
    >>> worse = found.nominal * [1, 3, 1]
    >>> seen = estimated_errors(found, found.rates(worse), 10**9 * found.counts, doubt=2.0)
    >>> (seen / worse).round(3).tolist()
    [1.0, 1.0, 1.0]
    """
    kept = np.clip(rates, 0.5 / trials, _MOST_RATE)
    seen = -np.log1p(-2 * kept) + found.background
    weights = (1 - 2 * kept) ** 2 * trials / (4 * kept * (1 - kept))
    errors, prior = found.nominal.astype(float), np.log(found.nominal)
    for _ in range(_STEPS):
        told = found.uses @ -np.log1p(-2 * found.heard * errors)
        slopes = found.uses * (2 * found.heard * errors / (1 - 2 * found.heard * errors))
        left = (slopes.T * weights) @ (seen - told) + (prior - np.log(errors)) / doubt**2
        matrix = (slopes.T * weights) @ slopes + np.eye(len(errors)) / doubt**2
        step = np.clip(np.linalg.solve(matrix, left), -1.0, 1.0)
        errors = np.minimum(errors * np.exp(step), 0.3)
    return errors

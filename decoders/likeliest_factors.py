"""The likeliest probabilities of faults, from parities of detectors.

The parities of N shots fluctuate together: the estimates of u have the covariance
(exp(4 Σ x) − 1) / 4N, the sum over the faults that both sets hear. A priori the faults' factors are
lognormal. They have a free factor in common; the rest is for the most part shared by kin: faults
with the same detectors at another time, with detectors at the same places, and with the same edges.
The likeliest factors are found by Gauss and Newton's steps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.sparse import csr_array

from decoders.detector_parities import MOST, Known

Array = NDArray[np.float64]

_COMMON = 2.0  # standard deviation of what the logarithms of all factors have in common
_USUAL_SPREAD, _LEAST_SPREAD, _MOST_SPREAD = 0.5, 0.02, 2.0  # where the data are to tell it
_BELOW, _ABOVE = 6.0, 3.0  # how far a logarithm may be from the common one
_STEPS = 25
_SETTLED = 1e-3  # the mean square of a step, in units of how well shots could tell a fault's rate
_SPREAD_SETTLED = 0.3  # of the logarithm of a variance
_LONGEST = 1.0  # step of a logarithm
_PROBES, _SEED = 32, 20_512  # random vectors that tell a trace
_RIDGE = 1e-8
_AT_ONCE = 1000  # faults whose uncertainty is found together


class _Linear(NamedTuple):
    """The problem around some logarithms: what is left of u [M], its slopes, and covariances."""

    left: Array
    slopes: csr_array
    noise: Array
    shared: csr_array


def common_factor(weights: Array, heard: csr_array, events: float) -> float:
    """The logarithm of the one factor with which as many detectors fire in a shot as did."""
    below, above = -10.0, 10.0
    for _ in range(50):
        middle = (below + above) / 2
        fire = -np.expm1(-2 * (heard @ np.minimum(weights * np.exp(middle), MOST))) / 2
        below, above = (middle, above) if fire.sum() < events else (below, middle)
    return below


def likeliest(
    known: Known, parities: Array, shots: int, spread: float | None, logs: Array
) -> tuple[Array, float]:
    """The likeliest logarithms of factors [F], and the spread that they were taken to have.

    There are fewer parities than faults, or hardly more: M equations are solved, not F.
    """
    scale, common = spread or _USUAL_SPREAD, float(np.median(logs))
    if not known.sets:
        return logs, scale
    for _ in range(_STEPS):
        linear = _linearised(known, parities, shots, logs)
        factor, sizes = _factored(linear, scale)
        solved = cho_solve(factor, (linear.left + linear.slopes @ logs) / sizes) / sizes
        pull = linear.slopes.T @ solved
        after = scale**2 * (known.kin @ (known.kin.T @ pull)) + _COMMON**2 * pull.sum()
        step = np.clip(after, common - _BELOW, common + _ABOVE) - logs
        step *= _LONGEST / max(float(np.abs(step).max()), _LONGEST)
        logs = logs + step
        settled = spread is not None
        if spread is None:
            growth = _growth(linear.shared, factor, sizes, solved)
            # The power is between MacKay's 1/2 and 1, which is quicker and need not come to rest.
            scale = float(np.clip(scale * growth**0.75, _LEAST_SPREAD, _MOST_SPREAD))
            settled = scale == _LEAST_SPREAD or abs(np.log(growth)) < _SPREAD_SETTLED
        if settled and shots * np.mean(known.at(logs) * step**2) < _SETTLED:
            break
    return logs, scale


def _linearised(known: Known, parities: Array, shots: int, logs: Array) -> _Linear:
    x = known.at(logs)
    left = (1 - parities * np.exp(2 * (known.odd @ x))) / 2
    slopes = csr_array(known.odd * x)
    noise = np.expm1(4 * (slopes @ known.odd.T).toarray()) / (4 * shots)
    return _Linear(left, slopes, noise, csr_array(slopes @ known.kin))


def _factored(linear: _Linear, scale: float) -> tuple[tuple[Array, bool], Array]:
    """Cholesky's factor of the covariance [M, M] of u, a priori and by chance, and what it was
    divided by."""
    shared, alike = linear.shared, linear.slopes.sum(axis=1)
    matrix = linear.noise + scale**2 * (shared @ shared.T).toarray()
    matrix += _COMMON**2 * np.outer(alike, alike)
    sizes = np.sqrt(np.diag(matrix))
    matrix /= np.outer(sizes, sizes)
    matrix[np.diag_indices_from(matrix)] += _RIDGE
    return cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False), sizes


def uncertainty(known: Known, shots: int, logs: Array, scale: float) -> tuple[Array, Array]:
    """Laplace's: standard deviations [F] of logarithms of factors, and what they were a priori.

    The latter are those of what a factor has besides the common one.
    """
    before = scale**2 * np.asarray((known.kin * known.kin).sum(axis=1))
    left = before + _COMMON**2
    if known.sets:
        linear = _linearised(known, np.zeros(len(known.sets)), shots, logs)
        factor, sizes = _factored(linear, scale)
        alike = _COMMON**2 * linear.slopes.sum(axis=1)
        for some in np.array_split(np.arange(len(logs)), -(-len(logs) // _AT_ONCE)):
            slopes = scale**2 * (linear.shared @ known.kin[some].T).toarray() + alike[:, np.newaxis]
            heard = solve_triangular(factor[0], slopes / sizes[:, np.newaxis], lower=True)
            left[some] -= np.sum(heard**2, axis=0)
    return np.sqrt(np.maximum(left, 0.0)), np.sqrt(before)


def _growth(shared: csr_array, factor: tuple[Array, bool], sizes: Array, solved: Array) -> float:
    """By what to multiply the variance of factors, so that the parities become likelier.

    It is 1 where their likelihood, the factors integrated out, is greatest (MacKay's rule).
    """
    probes = np.random.default_rng(_SEED).choice([-1.0, 1.0], size=(len(sizes), _PROBES))
    answers = cho_solve(factor, probes / sizes[:, np.newaxis]) / sizes[:, np.newaxis]
    trace = ((shared.T @ probes) * (shared.T @ answers)).sum() / _PROBES
    return float(np.clip(np.sum((shared.T @ solved) ** 2) / max(trace, 1e-300), 0.05, 4.0))


def misfit(known: Known, x: Array, parities: Array, shots: int) -> float:
    """The mean squared deviation of parities from those of x [F], over their variance."""
    if not len(parities):
        return float("nan")
    heard = known.odd @ x
    deviations = parities - np.exp(-2 * heard)
    return float(np.mean(deviations**2 * shots / np.maximum(-np.expm1(-4 * heard), 1e-12)))

"""Fits that need no starting values: phases of quadratures, slopes, zeros, vertices, cosines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Estimate:
    """A fitted number with one standard deviation, and χ² per degree of freedom of its fit."""

    value: float
    uncertainty: float
    chi2: float = math.nan


@dataclass(frozen=True)
class Phases:
    """Phases of oscillations seen in four quadratures, one standard deviation, contrast; [...]."""

    phase_rad: Array
    uncertainty_rad: Array
    contrast: Array


def quadrature_phases(ones: ArrayLike, shots: ArrayLike) -> Phases:
    """The phase φ of P_k = b + c/2·cos(φ − kπ/2), k = 0 to 3, from counts of 1: [..., 4] each.

    Opposite quadratures are subtracted, so that neither the offset b (an asymmetric readout) nor
    the contrast c moves the phase.

    >>> float(quadrature_phases([500, 900, 500, 100], 1000).phase_rad)
    1.5707963267948966
    """
    ones, shots = np.broadcast_arrays(np.asarray(ones, float), np.asarray(shots, float))
    rate = ones / shots
    smooth = (ones + 0.5) / (shots + 1)  # a rate of exactly 0 or 1 is not known exactly
    variance = smooth * (1 - smooth) / shots
    x, y = rate[..., 0] - rate[..., 2], rate[..., 1] - rate[..., 3]
    var_x, var_y = variance[..., 0] + variance[..., 2], variance[..., 1] + variance[..., 3]
    square = np.maximum(x**2 + y**2, var_x + var_y)  # no contrast: an uncertainty of order one
    uncertainty = np.sqrt(y**2 * var_x + x**2 * var_y + (var_x + var_y) ** 2 / 4) / square
    return Phases(np.arctan2(y, x), uncertainty, np.hypot(x, y))


def phase_slope(
    repetitions: ArrayLike, phases_rad: ArrayLike, uncertainties_rad: ArrayLike
) -> Estimate:
    """The phase gained at each repetition, from phases known modulo 2π.

    Repetitions are ordered and, best, doubled: each phase is unwrapped to where the shorter ones
    predict it (robust phase estimation, arXiv:1502.02677), which resolves slopes in (−π, π] when
    0 and 1 are among the repetitions. The phase at zero repetitions is fitted along, so that
    errors of the preparation do not count; with one number of repetitions alone it is taken as 0.

    >>> n = np.array([0, 1, 2, 4, 8])
    >>> round(phase_slope(n, np.mod(0.3 + 2.5 * n, 2 * np.pi), 0.01).value, 6)
    2.5
    """
    n = np.asarray(repetitions, float)
    order = np.argsort(n)
    n = n[order]
    phase = np.asarray(phases_rad, float)[order]
    sigma = np.broadcast_to(np.asarray(uncertainties_rad, float), order.shape)[order]
    if len(n) == 1:
        return Estimate(math.remainder(phase[0], 2 * math.pi) / n[0], float(sigma[0] / n[0]))
    unwrapped = phase.copy()
    for k in range(1, len(n)):
        if k == 1:
            predicted = unwrapped[0]
        else:
            slope, level, _ = _line(n[:k], unwrapped[:k], sigma[:k])
            predicted = level + slope * n[k]
        unwrapped[k] += 2 * math.pi * np.round((predicted - phase[k]) / (2 * math.pi))
    slope, level, covariance = _line(n, unwrapped, sigma)
    chi2 = _chi2(unwrapped - level - slope * n, sigma, 2)
    return Estimate(float(slope), math.sqrt(covariance[0, 0] * max(1.0, chi2)), chi2)


def line_zero(x: ArrayLike, y: ArrayLike, sigma: ArrayLike) -> tuple[Estimate, float]:
    """Where a straight line through y ± sigma is zero, and its slope.

    >>> zero, slope = line_zero([0, 1, 2], [-1, 1, 3], 0.1)
    >>> round(zero.value, 6), round(slope, 6)
    (0.5, 2.0)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    sigma = np.broadcast_to(np.asarray(sigma, float), x.shape)
    slope, level, covariance = _line(x, y, sigma)
    chi2 = _chi2(y - level - slope * x, sigma, 2)
    zero = -level / slope
    gradient = np.array([zero, 1.0])  # of the line's value at the zero
    spread = math.sqrt(float(gradient @ covariance @ gradient) * max(1.0, chi2)) / abs(slope)
    return Estimate(float(zero), spread, chi2), float(slope)


def vertex(x: ArrayLike, y: ArrayLike, sigma: ArrayLike) -> tuple[Estimate, float]:
    """Where a parabola through y ± sigma has its extremum, and its curvature (y = … + c·x²).

    >>> where, curvature = vertex([0, 1, 2, 3], [4, 1, 0, 1], 0.1)
    >>> round(where.value, 6), round(curvature, 6)
    (2.0, 1.0)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    sigma = np.broadcast_to(np.asarray(sigma, float), x.shape)
    middle, half = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    scaled = (x - middle) / half
    design = np.stack([scaled**2, scaled, np.ones_like(x)], axis=1)
    (bend, tilt, level), covariance = _linear(design, y, sigma)
    chi2 = _chi2(y - design @ [bend, tilt, level], sigma, 3)
    where = -tilt / (2 * bend)
    gradient = np.array([2 * where, 1.0, 0.0])  # of the parabola's slope at the vertex
    spread = math.sqrt(float(gradient @ covariance @ gradient) * max(1.0, chi2)) / abs(2 * bend)
    return Estimate(float(middle + half * where), half * spread, chi2), float(bend / half**2)


@dataclass(frozen=True)
class Cosine:
    """y = offset + amplitude·cos(2π·frequency·x + phase_rad), each with its uncertainty."""

    frequency: Estimate
    amplitude: Estimate
    phase_rad: Estimate
    offset: Estimate


def cosine(x: ArrayLike, y: ArrayLike, sigma: ArrayLike, most: float | None = None) -> Cosine:
    """The cosine through y ± sigma, of any frequency up to `most` (by default Nyquist's).

    At each frequency of a grid the other three parameters are linear; the best of the grid is
    then refined with all four.

    >>> x = np.linspace(0, 1, 21)
    >>> round(cosine(x, 0.5 - 0.4 * np.cos(2 * np.pi * 0.9 * x), 0.01).frequency.value, 4)
    0.9
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    sigma = np.broadcast_to(np.asarray(sigma, float), x.shape)
    span = float(np.ptp(x))
    top = most if most is not None else (len(x) - 1) / (2 * span)
    grid = np.arange(0.25 / span, top, 0.1 / span)
    fits = [_at_frequency(float(frequency), x, y, sigma) for frequency in grid]
    best = min(range(len(grid)), key=lambda k: fits[k][1])
    cos, sin, offset = fits[best][0]
    start = [grid[best], math.hypot(cos, sin), math.atan2(-sin, cos), offset]

    def residuals(p: Array) -> Array:
        return (p[3] + p[1] * np.cos(2 * np.pi * p[0] * x + p[2]) - y) / sigma

    solution = least_squares(residuals, start)
    covariance = np.linalg.pinv(solution.jac.T @ solution.jac)
    chi2 = 2 * solution.cost / max(len(x) - 4, 1)
    spread = np.sqrt(np.diag(covariance) * max(1.0, chi2))
    return Cosine(*(Estimate(float(v), float(s), chi2)
                    for v, s in zip(solution.x, spread, strict=True)))  # fmt: skip


def binomial_sigma(ones: ArrayLike, shots: ArrayLike) -> Array:
    """The standard deviation of ones/shots, never zero: from (ones + ½)/(shots + 1)."""
    smooth = (np.asarray(ones, float) + 0.5) / (np.asarray(shots, float) + 1)
    return np.sqrt(smooth * (1 - smooth) / np.asarray(shots, float))


def _at_frequency(frequency: float, x: Array, y: Array, sigma: Array) -> tuple[Array, float]:
    angle = 2 * np.pi * frequency * x
    design = np.stack([np.cos(angle), np.sin(angle), np.ones_like(x)], axis=1)
    solution = np.linalg.lstsq(design / sigma[:, None], y / sigma, rcond=None)[0]
    return solution, float(np.sum(((y - design @ solution) / sigma) ** 2))


def _line(x: Array, y: Array, sigma: Array) -> tuple[float, float, Array]:
    """Slope, level at x = 0, and their covariance."""
    (slope, level), covariance = _linear(np.stack([x, np.ones_like(x)], axis=1), y, sigma)
    return slope, level, covariance


def _linear(design: Array, y: Array, sigma: Array) -> tuple[Array, Array]:
    weighted = design / sigma[:, None]
    covariance = np.linalg.inv(weighted.T @ weighted)
    return covariance @ (weighted.T @ (y / sigma)), covariance


def _chi2(residuals: Array, sigma: Array, parameters: int) -> float:
    freedom = len(residuals) - parameters
    return float(np.sum((residuals / sigma) ** 2)) / freedom if freedom > 0 else 0.0

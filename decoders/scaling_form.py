"""Least squares for the finite-size scaling form, many replicas of the same points at once."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEPS = 60
_MOST_EXPONENT = 5.0
_CONVERGED = 1e-10


@dataclass(frozen=True)
class ScalingFits:
    """Fits of P = A + B x + C x², x = (p - p_threshold) (distance / unit)^inverse_nu.

    One entry a replica: `p_threshold`, `inverse_nu` and `chi2` have shape (replicas,),
    `coefficients` (A, B, C) shape (replicas, 3).
    """

    p_threshold: Array
    inverse_nu: Array
    coefficients: Array
    chi2: Array
    unit: float

    def rate(self, p: Array, distance: Array) -> Array:
        """Fitted rates of shape (replicas, points) at `p` and `distance` of shape (points,)."""
        x = (p - self.p_threshold[:, None]) * (distance / self.unit) ** self.inverse_nu[:, None]
        a, b, c = self.coefficients.T[:, :, None]
        return a + x * (b + x * c)


def fit_scaling_form(
    observed: Array,
    sigma: Array,
    p: Array,
    distance: Array,
    start: tuple[float, float],
) -> ScalingFits:
    """Fit `observed` rates of shape (replicas, points) with standard deviations `sigma` (points,).

    `p` and `distance` have shape (points,); `start` is (p_threshold, 1/ν). Levenberg-Marquardt on
    all replicas together, each with a damping of its own.
    """
    unit, scale = math.exp(np.mean(np.log(distance))), float(p.max())
    points = _Points(p / scale, np.log(distance / unit), sigma)
    theta = _first(points, observed, (start[0] / scale, start[1]))
    residual, jacobian = points.linearised(theta, observed)
    chi2 = np.sum(residual**2, axis=1)
    damping = np.full(len(observed), 1e-3)
    for _ in range(_STEPS):
        trial = theta + _step(residual, jacobian, damping)
        trial[:, 1] = np.clip(trial[:, 1], -_MOST_EXPONENT, _MOST_EXPONENT)
        new_residual, new_jacobian = points.linearised(trial, observed)
        new_chi2 = np.sum(new_residual**2, axis=1)
        better = new_chi2 <= chi2
        gain = np.where(better, chi2 - new_chi2, 0.0)
        theta[better], chi2[better] = trial[better], new_chi2[better]
        residual[better], jacobian[better] = new_residual[better], new_jacobian[better]
        settled = np.where(better, gain <= _CONVERGED * (1 + chi2), damping > 1e8)
        damping = np.clip(np.where(better, damping / 5, damping * 10), 1e-12, 1e12)
        if settled.all():
            break
    return ScalingFits(
        p_threshold=theta[:, 0] * scale,
        inverse_nu=theta[:, 1],
        coefficients=theta[:, 2:] / scale ** np.arange(3),
        chi2=chi2,
        unit=unit,
    )


@dataclass(frozen=True)
class _Points:
    """Where the rates were measured: p over its scale, ln(distance / unit), sigma; (points,)."""

    p: Array
    log_distance: Array
    sigma: Array

    def linearised(self, theta: Array, observed: Array) -> tuple[Array, Array]:
        """Residuals (replicas, points) and their gradients (replicas, points, 5), in sigmas.

        `theta` holds (p_threshold, 1/ν, A, B, C) of each replica.
        """
        threshold, exponent, a, b, c = theta.T[:, :, None]
        stretch = np.exp(exponent * self.log_distance)
        x = (self.p - threshold) * stretch
        slope = b + 2 * c * x
        ones = np.ones_like(x)
        columns = (-slope * stretch, slope * x * self.log_distance, ones, x, x**2)
        gradient = np.stack(columns, axis=2) / self.sigma[:, None]
        return (observed - (a + x * (b + x * c))) / self.sigma, gradient


def _first(points: _Points, observed: Array, start: tuple[float, float]) -> Array:
    """Parameters (replicas, 5) at the start: A, B, C solved for at its p_threshold and 1/ν."""
    x = (points.p - start[0]) * np.exp(start[1] * points.log_distance)
    design = np.stack([np.ones_like(x), x, x**2], axis=1) / points.sigma[:, None]
    linear = np.linalg.lstsq(design, (observed / points.sigma).T, rcond=None)[0].T
    theta = np.empty((len(observed), 5))
    theta[:, :2], theta[:, 2:] = start, linear
    return theta


def _step(residual: Array, jacobian: Array, damping: Array) -> Array:
    """Damped Gauss-Newton steps (replicas, 5), damped in proportion to each curvature."""
    transposed = jacobian.transpose(0, 2, 1)
    curvature = transposed @ jacobian
    diagonal = np.einsum("rii->ri", curvature)
    floor = 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    extra = damping[:, None] * diagonal + floor
    damped = curvature + extra[:, :, None] * np.eye(diagonal.shape[1])
    return np.linalg.solve(damped, transposed @ residual[:, :, None])[:, :, 0]

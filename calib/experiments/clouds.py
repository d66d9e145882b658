"""IQ clouds of two prepared states: the line that tells them apart, and how often it errs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex128]


@dataclass(frozen=True)
class Line:
    """The outcome is 1 where Re(point · exp(−i angle_rad)) > threshold; with uncertainties."""

    angle_rad: float
    threshold: float
    angle_uncertainty_rad: float = 0.0
    threshold_uncertainty: float = 0.0

    def says_one(self, points: Points) -> NDArray[np.bool_]:
        """The outcomes of points of any shape."""
        return np.real(points * np.exp(-1j * self.angle_rad)) > self.threshold

    def wrong(self, zeros: Points, ones: Points) -> NDArray[np.bool_]:
        """Which outcomes are wrong, [2, shots]: of |0⟩, then of |1⟩."""
        return np.stack([self.says_one(zeros), ~self.says_one(ones)])

    def error(self, zeros: Points, ones: Points) -> float:
        """The share of wrong outcomes, averaged over both states."""
        return float(self.wrong(zeros, ones).mean())


def separating_line(zeros: Points, ones: Points) -> Line:
    """The line midway between the clouds' middles, from points [shots] each.

    The direction joins the means, which a share of wrongly prepared or decayed qubits moves along
    it; the threshold is midway between the medians, which such a share hardly moves.

    >>> zeros, ones = np.array([-1 + 0.1j, -1 - 0.1j]), np.array([1 + 0.1j, 1 - 0.1j])
    >>> line = separating_line(zeros, ones)
    >>> line.angle_rad, line.threshold
    (0.0, 0.0)
    """
    step = complex(ones.mean() - zeros.mean())
    angle = math.atan2(step.imag, step.real)
    turned = [points * np.exp(-1j * angle) for points in (zeros, ones)]
    across = math.hypot(*(float(points.imag.std()) / math.sqrt(len(points)) for points in turned))
    middle = sum(float(np.median(points.real)) for points in turned) / 2
    # A median of n normal values has √(π/2) times the standard deviation of their mean.
    widths = [_width(points.real) * math.sqrt(math.pi / 2 / len(points)) for points in turned]
    angle_spread = across / max(abs(step), 1e-300)
    # A turn of the line moves the threshold by how far from the origin the clouds lie across it.
    sideways = sum(float(points.imag.mean()) for points in turned) / 2 * angle_spread
    return Line(angle, middle, angle_spread, math.hypot(math.hypot(*widths) / 2, sideways))


def contrast(zeros: Points, ones: Points) -> float:
    """The distance of the clouds' middles along the line, in standard deviations of one cloud."""
    line = separating_line(zeros, ones)
    turned = [np.real(points * np.exp(-1j * line.angle_rad)) for points in (zeros, ones)]
    width = sum(map(_width, turned)) / 2
    return abs(float(np.median(turned[1]) - np.median(turned[0]))) / max(width, 1e-300)


def _width(values: NDArray[np.float64]) -> float:
    """A standard deviation that tails do not widen, from the inner 68 %."""
    low, high = np.quantile(values, [0.158655, 0.841345])
    return float(high - low) / 2

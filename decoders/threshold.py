"""The threshold of a code family: where the curves of different distances cross."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from decoders.scaling_form import ScalingFits, fit_scaling_form

_PARAMETERS = 5  # p_th, 1/ν, A, B, C
_FEWEST_POINTS = 8
# The window shrinks until the fit's χ² is no rarer than this.
_ACCEPTED_P_VALUE = 0.05
_SHRINK = 0.85
# Orders the points by closeness to the crossing only; ν is 1.46 for the repetition code and 1.0
# for the surface code with noisy measurements (arXiv:quant-ph/0207088).
_NU_GUESS = 1.3
_REPLICAS = 300
# A threshold that moves by more standard errors than this when the smallest distance is left out
# is not yet that of large codes.
_SIGNIFICANT_DRIFT = 2.0


@dataclass(frozen=True)
class ThresholdPoint:
    """Errors counted at one distance and physical error rate `p`: `errors` of `shots` failed.

    The failure is that of a whole shot. Rounds must grow with distance (rounds = distance is
    usual) or be 1 for perfect measurements: at fixed rounds the curves need not cross in one point.
    """

    distance: int
    p: float
    errors: int
    shots: int


@dataclass(frozen=True)
class ThresholdFit:
    """Finite-size scaling fit P = A + B x + C x², x = (p - p_threshold) distance^(1/nu).

    `coefficients` is (A, B, C). `used` and `left_out` split the points by the window. Where
    `chi2_per_dof` is above 1 the standard errors and the interval carry the factor √(χ²/dof).
    They are statistical: how far the threshold of these distances is known. `drift` is how far it
    moves when the smallest distance used is left out, its own standard error beside it; both are
    None where only two distances are left, and finite-size corrections stay unchecked.
    """

    p_threshold: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    nu: float
    nu_standard_error: float
    coefficients: tuple[float, float, float]
    chi2_per_dof: float
    degrees_of_freedom: int
    drift: float | None
    drift_standard_error: float | None
    used: tuple[ThresholdPoint, ...] = field(repr=False)
    left_out: tuple[ThresholdPoint, ...] = field(repr=False)

    @property
    def drifts(self) -> bool:
        """Whether leaving out the smallest distance moves the threshold by over two sigma."""
        if self.drift is None or self.drift_standard_error is None:
            return False
        return abs(self.drift) > _SIGNIFICANT_DRIFT * self.drift_standard_error

    def scaled(self, p: ArrayLike, distance: ArrayLike) -> NDArray[np.float64]:
        """Scaling variable x = (p - p_threshold) distance^(1/nu); shapes broadcast."""
        difference = np.asarray(p, dtype=float) - self.p_threshold
        return difference * np.asarray(distance, dtype=float) ** (1 / self.nu)

    def rate(self, p: ArrayLike, distance: ArrayLike) -> NDArray[np.float64]:
        """Fitted logical error rate per shot; trust it inside the window of `used` only."""
        x = self.scaled(p, distance)
        a, b, c = self.coefficients
        return a + b * x + c * x**2


def fit_threshold(
    points: Sequence[ThresholdPoint], *, rng: np.random.Generator, confidence: float = 0.95
) -> ThresholdFit:
    """Fit the threshold by finite-size scaling (Wang, Harrington, Preskill, quant-ph/0207088).

    The window in p: points are ordered by |p - p×| d^(1/1.3) around the crossing p× of the smallest
    and largest distance; the farthest 15 % are dropped again and again until χ² is no rarer than
    5 % (or no more can go; then χ² says so and widens the errors). The window in distance: while χ²
    is rarer than that, or leaving out the smallest distance moves the threshold by over two
    standard errors of that move, it is left out, down to two distances. Weights are the binomial
    variances of the fitted rates; uncertainties come from 300 refits to counts drawn from the fit
    (parametric bootstrap).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    data = _Data.of(points)
    fit, is_good = _fit_window(data, confidence, rng)
    while fit.drifts or (not is_good and len(np.unique(data.distance)) > 2):
        data = data.take(np.flatnonzero(data.distance > data.distance.min()))
        try:
            fit, is_good = _fit_window(_Data.of(data.points), confidence, rng)
        except ValueError:
            break  # the larger distances alone do not say enough: drift and χ² stay in the result
    left_out = Counter(points) - Counter(fit.used)
    return replace(fit, left_out=tuple(left_out.elements()))


def _fit_window(
    data: "_Data", confidence: float, rng: np.random.Generator
) -> tuple[ThresholdFit, bool]:
    """Fit all distances of `data`, in the widest window of p that the scaling form describes.

    The second result says whether there is one: whether χ² of the last window is acceptable.
    """
    crossing = _crossing(data)
    order = np.argsort(np.abs(data.p - crossing) * data.distance ** (1 / _NU_GUESS), kind="stable")
    kept, fit = len(order), None
    while True:
        window = data.take(np.sort(order[:kept]))
        candidate = _fit(window, crossing)
        # A fit over too wide a window may leave the data: narrow it before judging.
        fit = (window, candidate) if candidate.is_inside(data) else fit
        if candidate.is_inside(data) and candidate.p_value() >= _ACCEPTED_P_VALUE:
            break
        smaller = max(_FEWEST_POINTS, int(_SHRINK * kept))
        if smaller >= kept or not _is_enough(data.take(order[:smaller]), crossing):
            break
        kept = smaller
    low, high = data.p.min(), data.p.max()
    if fit is None:
        raise ValueError(
            f"the scaling fit found no threshold between p = {low:.4g} and {high:.4g}: "
            f"add shots and values of p near the crossing at {crossing:.4g}"
        )
    result = _with_errors(*fit, confidence, rng)
    if not low < result.interval[0] <= result.interval[1] < high:
        raise ValueError(
            f"the threshold's interval [{result.interval[0]:.4g}, {result.interval[1]:.4g}] is "
            f"wider than the scan from p = {low:.4g} to {high:.4g}: add shots, or values of p"
        )
    return result, fit[1].p_value() >= _ACCEPTED_P_VALUE


@dataclass(frozen=True)
class _Data:
    """Columns of the points, arrays of shape (points,)."""

    points: tuple[ThresholdPoint, ...]
    distance: NDArray[np.float64]
    p: NDArray[np.float64]
    errors: NDArray[np.float64]
    shots: NDArray[np.float64]

    @classmethod
    def of(cls, points: Sequence[ThresholdPoint]) -> "_Data":
        """Columns of `points`, checked."""
        for point in points:
            if point.shots < 1 or not 0 <= point.errors <= point.shots:
                raise ValueError(f"errors must be between 0 and shots, shots at least 1: {point}")
            if not 0 <= point.p <= 1 or point.distance < 1:
                raise ValueError(f"p must be between 0 and 1, distance at least 1: {point}")
        distances = sorted({point.distance for point in points})
        if len(distances) < 2:
            raise ValueError(
                f"a threshold needs two or more distances (better three), got {distances}"
            )
        if len(points) < _FEWEST_POINTS:
            raise ValueError(
                f"a threshold fit has {_PARAMETERS} parameters and needs at least {_FEWEST_POINTS} "
                f"points, got {len(points)}: add values of p or distances"
            )
        return cls._of_checked(tuple(points))

    @classmethod
    def _of_checked(cls, points: tuple[ThresholdPoint, ...]) -> "_Data":
        table = np.array([(q.distance, q.p, q.errors, q.shots) for q in points], dtype=float)
        return cls(points, *table.T)

    def sigma(self, rate: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviations of the observed rates where the true ones are `rate`."""
        return np.sqrt(rate * (1 - rate) / self.shots)

    def take(self, index: NDArray[np.intp]) -> "_Data":
        """The points at `index`."""
        return _Data._of_checked(tuple(self.points[i] for i in index))


@dataclass(frozen=True)
class _Scaling:
    """A fit to the points of one window."""

    fits: ScalingFits
    degrees_of_freedom: int

    @property
    def p_threshold(self) -> float:
        """The fitted threshold."""
        return float(self.fits.p_threshold[0])

    @property
    def chi2_per_dof(self) -> float:
        """How far the points lie from the form, in binomial variances."""
        return float(self.fits.chi2[0]) / self.degrees_of_freedom

    def start(self) -> tuple[float, float]:
        """Where a fit to similar rates begins: (p_threshold, 1/ν)."""
        return self.p_threshold, float(self.fits.inverse_nu[0])

    def rate(self, data: _Data) -> NDArray[np.float64]:
        """Fitted rates at the points, kept inside (0, 1)."""
        rate = self.fits.rate(data.p, data.distance)[0]
        return np.clip(rate, 0.5 / data.shots, 1 - 0.5 / data.shots)

    def is_inside(self, data: _Data) -> bool:
        """Whether the threshold lies in the range of p and rates rise there with p."""
        inside = data.p.min() < self.p_threshold < data.p.max()
        rises = self.fits.coefficients[0, 1] > 0
        return bool(inside and self.fits.inverse_nu[0] > 0 and rises)

    def p_value(self) -> float:
        """Chance of a larger χ² if the form is right."""
        from scipy.special import chdtrc

        return float(chdtrc(self.degrees_of_freedom, self.fits.chi2[0]))


def _fit(data: _Data, crossing: float) -> _Scaling:
    """Least squares, reweighted twice with the binomial variance of the fitted rates."""
    observed = (data.errors / data.shots)[None, :]
    rate, start = (data.errors + 0.5) / (data.shots + 1), (crossing, 1 / _NU_GUESS)
    for _ in range(2):
        fits = fit_scaling_form(observed, data.sigma(rate), data.p, data.distance, start)
        scaling = _Scaling(fits, len(data.p) - _PARAMETERS)
        rate, start = scaling.rate(data), scaling.start()
    fits = fit_scaling_form(observed, data.sigma(rate), data.p, data.distance, start)
    return _Scaling(fits, len(data.p) - _PARAMETERS)


def _with_errors(
    window: _Data, scaling: _Scaling, confidence: float, rng: np.random.Generator
) -> ThresholdFit:
    """Bootstrap the accepted fit and put the result together."""
    rate = scaling.rate(window)
    drawn = rng.binomial(window.shots.astype(np.int64), rate, size=(_REPLICAS, len(rate)))
    observed = np.vstack([window.errors, drawn]) / window.shots
    refits = fit_scaling_form(
        observed[1:], window.sigma(rate), window.p, window.distance, scaling.start()
    )
    widen = math.sqrt(max(1.0, scaling.chi2_per_dof))
    tail = (1 - confidence) / 2
    ends = np.quantile(refits.p_threshold, [tail, 1 - tail]) - scaling.p_threshold
    low, high = scaling.p_threshold + widen * ends
    drifts = _drifts(window, scaling, observed)
    thresholds = np.append(scaling.p_threshold, refits.p_threshold)
    moves = None if drifts is None else drifts - thresholds
    inverse_nu, unit = float(scaling.fits.inverse_nu[0]), scaling.fits.unit
    a, b, c = scaling.fits.coefficients[0] / unit ** (inverse_nu * np.arange(3))
    return ThresholdFit(
        p_threshold=scaling.p_threshold,
        standard_error=widen * _spread(refits.p_threshold),
        interval=(float(low), float(high)),
        confidence=confidence,
        nu=1 / inverse_nu,
        nu_standard_error=widen * _spread(1 / np.maximum(refits.inverse_nu, 1e-3)),
        coefficients=(float(a), float(b), float(c)),
        chi2_per_dof=scaling.chi2_per_dof,
        degrees_of_freedom=scaling.degrees_of_freedom,
        drift=None if moves is None else float(moves[0]),
        drift_standard_error=None if moves is None else widen * _spread(moves[1:]),
        used=window.points,
        left_out=(),
    )


def _drifts(
    window: _Data, scaling: _Scaling, observed: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Thresholds without the smallest distance, where enough is left, shape (replicas,).

    `observed` (replicas, points) are the measured rates and then the drawn ones: with the same
    draws in both fits, the spread of their difference knows how much data they share.
    """
    larger = np.flatnonzero(window.distance > window.distance.min())
    rest = window.take(larger)
    if len(larger) < _FEWEST_POINTS or len(np.unique(rest.distance)) < 2:
        return None
    sigma = rest.sigma(scaling.rate(window)[larger])
    fits = fit_scaling_form(observed[:, larger], sigma, rest.p, rest.distance, scaling.start())
    return fits.p_threshold


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation from the central 68.27 %, which a stray refit cannot move."""
    low, high = np.quantile(values, [0.158655, 0.841345])
    return float(high - low) / 2


def _is_enough(data: _Data, crossing: float) -> bool:
    """Whether two or more distances keep three points each, and p both sides of the crossing."""
    distances, counts = np.unique(data.distance, return_counts=True)
    both_sides = data.p.min() < crossing < data.p.max()
    return bool(len(distances) >= 2 and np.all(counts >= 3) and both_sides)


def _crossing(data: _Data) -> float:
    """Where the smallest and the largest distance change places, from the signs of their gap.

    Below the threshold the larger distance fails less, above it more. The split of the common
    values of p that best agrees with this, in units of the standard error, marks the crossing.
    """
    small, large = data.distance.min(), data.distance.max()
    p, z = _gaps(data, small, large)
    before = np.cumsum(z)[:-1]
    after = z.sum() - before
    split = int(np.argmax(after - before))
    count = np.arange(1, len(z))
    low = before[split] / math.sqrt(count[split])
    high = after[split] / math.sqrt(len(z) - count[split])
    if low > -2 or high < 2:
        hint = "p values below" if z.sum() > 0 else "p values above"
        raise ValueError(
            f"the curves of distances {small:.0f} and {large:.0f} do not cross between "
            f"p = {p[0]:.4g} and {p[-1]:.4g} beyond the noise: add {hint} this range, or shots"
        )
    a, b = z[split], z[split + 1]
    weight = a / (a - b) if a < 0 < b else 0.5
    return float(p[split] + weight * (p[split + 1] - p[split]))


def _gaps(data: _Data, small: float, large: float) -> tuple[NDArray, NDArray]:
    """P_large - P_small in standard errors at the small distance's p inside the large one's range.

    The large distance is interpolated linearly where the two were not run at the same p.
    """
    curves = []
    for distance in (small, large):
        index = np.flatnonzero(data.distance == distance)
        index = index[np.argsort(data.p[index])]
        n, k = data.shots[index], data.errors[index]
        smooth = (k + 0.5) / (n + 1)
        curves.append((data.p[index], k / n, smooth * (1 - smooth) / n))
    (p, rate, variance), (p_large, rate_large, variance_large) = curves
    common = (p >= p_large[0]) & (p <= p_large[-1])
    if common.sum() < 2:
        raise ValueError(
            f"distances {small:.0f} and {large:.0f} share fewer than two values of p: run them "
            "over the same range"
        )
    p = p[common]
    gap = np.interp(p, p_large, rate_large) - rate[common]
    return p, gap / np.sqrt(np.interp(p, p_large, variance_large) + variance[common])

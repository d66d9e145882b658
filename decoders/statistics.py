"""What counted errors say: intervals, paired comparison, per-round rates, suppression factor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Below this many errors at a distance the delta method's normal approximation is off by more than
# about 10 % of a standard error, and `suppression_factor` draws from the posterior instead.
_FEW_ERRORS = 20
_DRAWS = 2000
# |ln Λ| beyond this (Λ above 4e8 for neighbouring distances) is a fit that ran away, not a result.
_LOG_LIMIT = 20.0


@dataclass(frozen=True)
class MemoryCounts:
    """Errors counted in one memory experiment.

    `errors` of `shots` failed; a shot is `rounds` rounds at distance `distance` and fails when any
    of its `observables` logical observables is predicted wrongly.
    """

    distance: int
    rounds: int
    errors: int
    shots: int
    observables: int = 1


@dataclass(frozen=True)
class LambdaFit:
    """Error suppression Λ = ε_d / ε_(d+2), with its uncertainty.

    `chi2` (Pearson) and `degrees_of_freedom` say whether one Λ describes all distances; the
    uncertainty is not widened where it does not. `method` is "delta" (normal approximation of
    ln Λ) or "jeffreys" (draws from the Jeffreys posterior, used when errors are few).
    """

    value: float
    standard_error: float
    interval: tuple[float, float]
    confidence: float
    chi2: float
    degrees_of_freedom: int
    method: Literal["delta", "jeffreys"]
    log_rate_at_zero: float

    def rate(self, distance: float) -> float:
        """Per-round logical error rate of the fitted line at `distance`."""
        return math.exp(self.log_rate_at_zero - distance / 2 * math.log(self.value))


def binomial_interval(
    errors: int,
    shots: int,
    *,
    confidence: float = 0.95,
    method: Literal["wilson", "exact"] = "wilson",
) -> tuple[float, float]:
    """Two-sided confidence interval of an error probability after `errors` in `shots`.

    "wilson" is the score interval (E. B. Wilson, JASA 22, 209 (1927)): coverage close to
    `confidence` on average. "exact" is Clopper-Pearson (Biometrika 26, 404 (1934)): coverage never
    below `confidence`, hence wider. Without errors "wilson" returns 0 and the exact one-sided
    bound 1 - (1 - confidence)^(1/shots), the rule of three (3/shots at 95 %), and mirrors it when
    every shot failed; "exact" stays two-sided (3.7/shots). `shots` = 0 says nothing: (0, 1).
    """
    _check_counts(errors, shots)
    _check_confidence(confidence)
    if method not in ("wilson", "exact"):
        raise ValueError(f"method must be 'wilson' or 'exact', got {method!r}")
    if shots == 0:
        return 0.0, 1.0
    if method == "exact":
        return _clopper_pearson(errors, shots, confidence)
    if errors in (0, shots):
        bound = -math.expm1(math.log1p(-confidence) / shots)
        return (0.0, bound) if errors == 0 else (1 - bound, 1.0)
    z = _normal_quantile(confidence)
    centre = errors + z * z / 2
    half = z * math.sqrt(errors * (shots - errors) / shots + z * z / 4)
    # (centre - half)(centre + half) = errors² (1 + z²/shots): no cancellation in the lower end.
    low = errors * errors * (1 + z * z / shots) / (centre + half)
    return low / (shots + z * z), (centre + half) / (shots + z * z)


def errors_for_relative_precision(relative: float, *, confidence: float = 0.95) -> int:
    """Errors to wait for until the interval's half width is `relative` times the rate.

    Errors are Poisson while rare, so the relative half width is z / √errors: 385 errors for 10 %
    at 95 %.
    """
    if not relative > 0:
        raise ValueError(f"relative precision must be above 0, got {relative}")
    _check_confidence(confidence)
    return math.ceil((_normal_quantile(confidence) / relative) ** 2)


def per_round_rate(ler: float, rounds: int, *, observables: int = 1) -> float:
    """Logical error rate per round ε from the rate per shot P after `rounds` rounds.

    One observable is flipped with x per round and two flips cancel, 1 - 2P = (1 - 2x)^rounds, so
    ε = x = (1 - (1 - 2P)^(1/rounds)) / 2. A block of k observables is treated as k independent ones
    of equal x: 1 - P = (1 - P₁)^k per shot and ε = 1 - (1 - x)^k per round, the chance that any
    flips (`sinter.shot_error_rate_to_piece_error_rate` with `values=k`). ε rises with P, so an
    interval is transformed by transforming its ends. At P of a coin toss, 1 - 2^-k, or above
    nothing is left to learn: 1 - 2^-k is returned (1/2 for one observable).
    """
    _check_rate(ler, rounds, observables)
    return float(_per_round(ler, rounds, observables))


def rate_after_rounds(rate: float, rounds: int, *, observables: int = 1) -> float:
    """Logical error rate per shot of `rounds` rounds: the inverse of `per_round_rate`."""
    _check_rate(rate, rounds, observables)
    return float(_after_rounds(rate, rounds, observables))


def mcnemar(only_a_failed: int, only_b_failed: int) -> float:
    """P-value of 'decoders a and b fail equally often' from the shots where only one failed.

    Exact and two-sided (no mid-p): the shots on which the two disagree fall to either side like
    a fair coin (Q. McNemar, Psychometrika 12, 153 (1947)).
    """
    _check_non_negative(only_a_failed=only_a_failed, only_b_failed=only_b_failed)
    from scipy.special import bdtr

    total = only_a_failed + only_b_failed
    return min(1.0, 2 * float(bdtr(min(only_a_failed, only_b_failed), total, 0.5)))


def paired_difference(
    both: int, only_a: int, only_b: int, shots: int, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Difference LER_a - LER_b on the same shots, and its interval: (difference, low, high).

    `both`, `only_a` and `only_b` count the shots on which both, only a and only b failed. Tango's
    score interval (T. Tango, Stat. Med. 17, 891 (1998); recommended by M. W. Fagerland et al.,
    Stat. Med. 33, 2850 (2014)): all Δ with |n01 - n10 - nΔ| <= z √(n (2 q̃ + Δ (1 - Δ))), q̃ being
    the most likely share of only-b failures given Δ. It uses only the disagreements (`both` is
    checked, and cancels), and stays honest when there are none.
    """
    _check_non_negative(both=both, only_a=only_a, only_b=only_b)
    _check_confidence(confidence)
    if both + only_a + only_b > shots:
        raise ValueError(
            f"both + only_a + only_b must not exceed shots = {shots}, got {both + only_a + only_b}"
        )
    if shots == 0:
        return 0.0, -1.0, 1.0
    low = -_tango_upper(only_b, only_a, shots, confidence)
    high = _tango_upper(only_a, only_b, shots, confidence)
    return (only_a - only_b) / shots, low, high


def suppression_factor(
    points: Sequence[MemoryCounts], *, rng: np.random.Generator, confidence: float = 0.95
) -> LambdaFit:
    """Suppression factor Λ from counts at two or more distances.

    Fits ln ε_d = a - (d/2) ln Λ to the per-round rates ε_d, weighted by their binomial information
    (maximum likelihood, so a distance without errors still counts). The uncertainty of ln Λ comes
    from the Fisher information (delta method) or, where a distance has fewer than 20 errors, from
    refits to draws of every failure probability from Beta(errors + 1/2, shots - errors + 1/2).
    """
    _check_confidence(confidence)
    for point in points:
        _check_counts(point.errors, point.shots)
        _check_rate(0.0, point.rounds, point.observables)
    failed = {point.distance for point in points if point.errors}
    if len(failed) < 2:
        raise ValueError(
            "Λ needs errors at two or more distances, "
            f"got errors at {sorted(failed)}: add shots or distances"
        )
    used = [point for point in points if point.shots]
    errors = np.array([point.errors for point in used], dtype=float)
    shots = np.array([point.shots for point in used], dtype=float)
    fit = _fit_log_line(used, errors[None, :])
    log_value, log_error = -2 * float(fit.slope[0]), 2 * float(fit.slope_error[0])
    if errors.min() >= _FEW_ERRORS:
        return _lambda_fit(fit, log_error, confidence)
    drawn = rng.beta(errors + 0.5, shots - errors + 0.5, size=(_DRAWS, len(used))) * shots
    logs = -2 * _fit_log_line(used, drawn).slope
    tail = (1 - confidence) / 2
    low, sigma_low, sigma_high, high = np.quantile(logs, [tail, 0.158655, 0.841345, 1 - tail])
    ends = (min(low, log_value), max(high, log_value))
    return _lambda_fit(fit, float(sigma_high - sigma_low) / 2, confidence, ends)


def suppression_from_rates(
    distances: ArrayLike, rates: ArrayLike, standard_errors: ArrayLike, *, confidence: float = 0.95
) -> LambdaFit:
    """Suppression factor Λ from per-round rates with standard errors, as papers quote them.

    `distances`, `rates` and `standard_errors` have the same shape (n,), n >= 2. Weighted least
    squares of ln ε_d on d with weights (ε/σ)²; the uncertainty by the delta method.
    """
    _check_confidence(confidence)
    d, rate, sigma = (np.asarray(a, dtype=float) for a in (distances, rates, standard_errors))
    if d.ndim != 1 or not d.shape == rate.shape == sigma.shape or len(np.unique(d)) < 2:
        raise ValueError(
            "Λ needs distances, rates and standard_errors of one shape (n,) with two or more "
            f"distances, got shapes {d.shape}, {rate.shape}, {sigma.shape}"
        )
    if not (np.all(rate > 0) and np.all(sigma > 0)):
        raise ValueError(
            "rates and standard_errors must be above 0, got "
            f"{rate.tolist()} and {sigma.tolist()}: where a distance has no errors, pass counts to "
            "suppression_factor"
        )
    weight = (rate / sigma) ** 2
    line = _solve_line(d, np.log(rate)[None, :], weight[None, :])
    chi2 = float(np.sum(weight * (np.log(rate) - line.intercept[0] - line.slope[0] * d) ** 2))
    fit = _LineFit(line.intercept, line.slope, line.slope_error, chi2, len(d) - 2)
    return _lambda_fit(fit, 2 * float(line.slope_error[0]), confidence)


@dataclass(frozen=True)
class _LineFit:
    """Straight lines ln ε = intercept + slope d; arrays of shape (replicas,)."""

    intercept: NDArray[np.float64]
    slope: NDArray[np.float64]
    slope_error: NDArray[np.float64]
    chi2: float = 0.0
    degrees_of_freedom: int = 0


def _lambda_fit(
    fit: _LineFit, log_error: float, confidence: float, ends: tuple[float, float] | None = None
) -> LambdaFit:
    """Exponentiate a fit of ln Λ; `ends` is its interval where it is not the normal one."""
    log_value = -2 * float(fit.slope[0])
    half = _normal_quantile(confidence) * log_error
    low, high = ends if ends else (log_value - half, log_value + half)
    return LambdaFit(
        value=math.exp(log_value),
        standard_error=math.exp(log_value) * log_error,
        interval=(math.exp(low), math.exp(high)),
        confidence=confidence,
        chi2=fit.chi2,
        degrees_of_freedom=fit.degrees_of_freedom,
        method="jeffreys" if ends else "delta",
        log_rate_at_zero=float(fit.intercept[0]),
    )


def _fit_log_line(points: Sequence[MemoryCounts], errors: NDArray[np.float64]) -> _LineFit:
    """Maximum-likelihood lines ln ε = a + s d for `errors` of shape (replicas, points).

    Fisher scoring: each step is a weighted least-squares fit to the linearised ln ε, with the
    information of a binomial count as weight. `chi2` is Pearson's, of the first replica.
    """
    distance, shots, rounds, k = (
        np.array(column, dtype=float)
        for column in zip(
            *((point.distance, point.shots, point.rounds, point.observables) for point in points),
            strict=True,
        )
    )
    ceiling = np.log(1 - 0.5**k) - 1e-9
    observed = np.log(_per_round((errors + 0.5) / (shots + 1), rounds, k))
    line = _solve_line(distance, np.minimum(observed, ceiling), np.maximum(errors, 0.5))
    for _ in range(60):
        log_rate = _line_at(line, distance, ceiling)
        rate = np.exp(log_rate)
        p = np.clip(_after_rounds(rate, rounds, k), 1e-300, 1 - 1e-12)
        gradient = np.maximum(rate * _after_rounds_derivative(rate, rounds, k), 1e-300)
        weight = np.maximum(shots * gradient**2 / (p * (1 - p)), 1e-12)
        step = np.clip((errors / shots - p) / gradient, -2.0, 2.0)
        previous, line = line, _solve_line(distance, log_rate + step, weight)
        if np.max(np.abs(line.slope - previous.slope)) * np.ptp(distance) < 1e-10:
            break
    p = _after_rounds(np.exp(_line_at(line, distance, ceiling)), rounds, k)[0]
    chi2 = float(np.sum((errors[0] - shots * p) ** 2 / (shots * p * (1 - p))))
    slope = np.clip(line.slope, -_LOG_LIMIT / 2, _LOG_LIMIT / 2)
    return _LineFit(line.intercept, slope, line.slope_error, chi2, len(points) - 2)


def _line_at(
    line: _LineFit, distance: NDArray[np.float64], ceiling: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log rates of shape (replicas, points), kept where they are rates of a coin or less."""
    log_rate = line.intercept[:, None] + line.slope[:, None] * distance
    return np.clip(log_rate, -700.0, ceiling)


def _solve_line(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> _LineFit:
    """Weighted least-squares lines; `x` (points,), `y` and `weight` (replicas, points)."""
    total = weight.sum(axis=1)
    mean = (weight * x).sum(axis=1) / total
    centred = x - mean[:, None]
    spread = (weight * centred**2).sum(axis=1)
    slope = (weight * centred * y).sum(axis=1) / spread
    intercept = (weight * y).sum(axis=1) / total - slope * mean
    return _LineFit(intercept, slope, 1 / np.sqrt(spread))


def _per_round(ler: ArrayLike, rounds: ArrayLike, observables: ArrayLike) -> NDArray[np.float64]:
    """`per_round_rate` on arrays; log1p and expm1 keep tiny rates exact."""
    p, k = np.asarray(ler, dtype=float), np.asarray(observables, dtype=float)
    with np.errstate(divide="ignore"):
        single = np.minimum(-np.expm1(np.log1p(-p) / k), 0.5)
        flip = -np.expm1(np.log1p(-2 * single) / rounds) / 2
    return -np.expm1(k * np.log1p(-flip))


def _after_rounds(
    rate: ArrayLike, rounds: ArrayLike, observables: ArrayLike
) -> NDArray[np.float64]:
    """`rate_after_rounds` on arrays."""
    return _per_round(rate, 1 / np.asarray(rounds, dtype=float), observables)


def _after_rounds_derivative(
    rate: NDArray[np.float64], rounds: NDArray[np.float64], observables: NDArray[np.float64]
) -> NDArray[np.float64]:
    """dP/dε, by the chain rule through the flip rates of one observable per round and per shot."""
    flip = -np.expm1(np.log1p(-rate) / observables)
    log_keep = np.log1p(-2 * flip)
    shot_flip = -np.expm1(rounds * log_keep) / 2
    ratio = np.exp((observables - 1) * (np.log1p(-shot_flip) - np.log1p(-flip)))
    return ratio * rounds * np.exp((rounds - 1) * log_keep)


def _tango_upper(plus: int, minus: int, shots: int, confidence: float) -> float:
    """Upper end of Tango's interval for (plus - minus) / shots, by bisection."""
    z = _normal_quantile(confidence)

    def excess(difference: float) -> float:
        b = (2 * shots - plus + minus) * difference - plus - minus
        c = -minus * difference * (1 - difference)
        root = math.sqrt(b * b - 8 * shots * c)
        # The positive root of 2n q² + b q + c = 0, in the form that does not cancel.
        q = (root - b) / (4 * shots) if b <= 0 else -2 * c / (root + b)
        variance = shots * (2 * q + difference * (1 - difference))
        return shots * difference - (plus - minus) - z * math.sqrt(max(variance, 0.0))

    low, high = (plus - minus) / shots, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return high


def _clopper_pearson(errors: int, shots: int, confidence: float) -> tuple[float, float]:
    """Both one-sided exact bounds at (1 + confidence)/2, as quantiles of beta distributions."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(errors, shots - errors + 1, tail)) if errors else 0.0
    high = float(betaincinv(errors + 1, shots - errors, 1 - tail)) if errors < shots else 1.0
    return low, high


def _normal_quantile(confidence: float) -> float:
    """Z with `confidence` of a standard normal variable between -z and z."""
    return -NormalDist().inv_cdf((1 - confidence) / 2)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")


def _check_non_negative(**counts: int) -> None:
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")


def _check_counts(errors: int, shots: int) -> None:
    if shots < 0:
        raise ValueError(f"shots must be at least 0, got {shots}")
    if not 0 <= errors <= shots:
        raise ValueError(f"errors must be between 0 and shots = {shots}, got {errors}")


def _check_rate(rate: float, rounds: int, observables: int) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate must be between 0 and 1, got {rate}")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    if observables < 1:
        raise ValueError(f"observables must be at least 1, got {observables}")

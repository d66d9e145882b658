"""The threshold fit on data whose threshold is known: synthetic, another package's, published."""

import dataclasses
import math

import numpy as np
import pymatching
import pytest
from scipy.optimize import curve_fit

from decoders.codes import memory_circuit
from decoders.noise import CodeCapacity, Depolarizing, Phenomenological
from decoders.shots import NumberedShots
from decoders.threshold import ThresholdPoint, fit_threshold

TRUTH = 0.1031
NU = 1.5
SCAN = tuple(np.linspace(0.088, 0.118, 7))


def quadratic(x):
    return 0.15 + 2.0 * x + 9.0 * x**2


def saturating(x):
    """From 0 to 1/2, as a logical error rate does; 0.154 at the threshold."""
    return 0.5 * (1 - np.exp(-np.exp(-1.0 + 13.0 * x)))


def synthetic(form, shots, *, distances=(5, 9, 13), scan=SCAN, rng=None, truth=TRUTH):
    """Counts at p_th = `truth`, ν = 1.5: drawn with `rng`, or else the expectation, rounded."""
    points = []
    for d in distances:
        for p in scan:
            rate = float(form((p - truth) * d ** (1 / NU)))
            errors = rng.binomial(shots, rate) if rng else round(rate * shots)
            points.append(ThresholdPoint(d, float(p), int(errors), shots))
    return points


def test_fit_of_exact_data_returns_what_made_them():
    fit = fit_threshold(synthetic(quadratic, 10**10), rng=np.random.default_rng(0))
    assert fit.p_threshold == pytest.approx(TRUTH, abs=1e-6)
    assert fit.nu == pytest.approx(NU, abs=1e-3)
    assert fit.coefficients == pytest.approx((0.15, 2.0, 9.0), rel=2e-3)
    assert fit.rate(0.11, 9) == pytest.approx(quadratic((0.11 - TRUTH) * 9 ** (1 / NU)), rel=1e-4)
    assert fit.scaled(0.11, 9) == pytest.approx((0.11 - TRUTH) * 9 ** (1 / NU), rel=1e-3)
    assert (len(fit.used), fit.left_out, fit.degrees_of_freedom) == (21, (), 16)


def test_fit_equals_scipys():
    # Least squares of the same form with the same weights by scipy.optimize.curve_fit; its
    # covariance is the linearised one, ours a bootstrap of 300: 4 % noise, 25 % is 6 sigma.
    points = synthetic(quadratic, 100_000, rng=np.random.default_rng(1))
    fit = fit_threshold(points, rng=np.random.default_rng(0))
    assert len(fit.used) == len(points)
    d, p, k, n = np.array([dataclasses.astuple(point) for point in points]).T

    def form(dp, threshold, inverse_nu, a, b, c):
        x = (dp[1] - threshold) * (dp[0] / 9) ** inverse_nu
        return a + b * x + c * x**2

    fitted = fit.rate(p, d)
    sigma = np.sqrt(fitted * (1 - fitted) / n)
    first = (0.1, 0.7, 0.15, 10.0, 100.0)
    best, covariance = curve_fit(form, (d, p), k / n, first, sigma, absolute_sigma=True)
    assert fit.p_threshold == pytest.approx(best[0], abs=2e-6)
    assert 1 / fit.nu == pytest.approx(best[1], abs=1e-3)
    widening = math.sqrt(max(1.0, fit.chi2_per_dof))  # scipy leaves this to its caller
    assert fit.standard_error == pytest.approx(math.sqrt(covariance[0, 0]) * widening, rel=0.25)
    low, high = fit.interval
    assert (high - low) / 2 == pytest.approx(1.96 * fit.standard_error, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "scan", "shots"),
    [(quadratic, SCAN, 10_000), (saturating, np.linspace(0.07, 0.14, 9), 20_000)],
)
def test_interval_covers_the_truth_without_bias(form, scan, shots):
    # 150 data sets. Coverage 0.95: binomial, below 0.87 with chance 3e-5 (scipy.stats.binom.cdf).
    # Mean pull: 0.4 is 4.9 sigma. Both leave 0.02 and 0.05 for the choice of the window.
    repeats = 150
    rng = np.random.default_rng(5)
    inside, pulls, left_out = 0, [], 0
    for _ in range(repeats):
        fit = fit_threshold(synthetic(form, shots, scan=scan, rng=rng), rng=rng)
        inside += fit.interval[0] <= TRUTH <= fit.interval[1]
        pulls.append((fit.p_threshold - TRUTH) / fit.standard_error)
        left_out += len(fit.left_out)
    assert inside / repeats >= 0.85
    assert abs(np.mean(pulls)) < 0.45
    # The pulls' spread is 1 +- 0.058: within 5 sigma, so the interval is not far too wide either.
    assert 0.7 < np.std(pulls) < 1.35
    if form is saturating:
        assert left_out > repeats  # the window is narrower than this scan


def test_confidence_scales_the_interval():
    points = synthetic(quadratic, 20_000, rng=np.random.default_rng(2))
    one = fit_threshold(points, rng=np.random.default_rng(0), confidence=0.6827)
    two = fit_threshold(points, rng=np.random.default_rng(0), confidence=0.95)
    assert one.p_threshold == two.p_threshold
    ratio = (two.interval[1] - two.interval[0]) / (one.interval[1] - one.interval[0])
    assert ratio == pytest.approx(1.96, rel=0.2)
    assert one.interval[1] - one.interval[0] == pytest.approx(2 * one.standard_error, rel=0.05)


def test_order_of_points_does_not_matter_and_the_same_seed_repeats():
    points = synthetic(saturating, 20_000, scan=np.linspace(0.07, 0.14, 9))
    fit = fit_threshold(points, rng=np.random.default_rng(0))
    assert fit_threshold(points, rng=np.random.default_rng(0)) == fit
    mixed = [points[k] for k in np.random.default_rng(1).permutation(len(points))]
    other = fit_threshold(mixed, rng=np.random.default_rng(0))
    assert other.p_threshold == pytest.approx(fit.p_threshold, abs=1e-7)
    assert set(other.used) == set(fit.used)
    assert len(fit.used) + len(fit.left_out) == len(points)
    assert set(fit.used) | set(fit.left_out) == set(points)


def test_a_distance_too_small_for_scaling_is_left_out():
    # Distance 3 crosses the others far away: its curve is shifted by 0.012, some 0.02 in rate.
    rng = np.random.default_rng(3)
    large = synthetic(quadratic, 40_000, distances=(5, 9, 13), rng=rng)
    small = synthetic(quadratic, 40_000, distances=(3,), rng=rng, truth=TRUTH - 0.012)
    fit = fit_threshold([*small, *large], rng=rng)
    assert {point.distance for point in fit.used} == {5, 9, 13}
    assert {point for point in fit.left_out if point.distance == 3} == set(small)
    # 4.5 sigma: false alarm below 1e-5.
    assert fit.p_threshold == pytest.approx(TRUTH, abs=4.5 * fit.standard_error)
    assert fit.drift is not None
    assert fit.drift_standard_error is not None
    assert not fit.drifts


def test_two_distances_leave_the_drift_unchecked():
    points = synthetic(quadratic, 100_000, distances=(5, 13), rng=np.random.default_rng(4))
    fit = fit_threshold(points, rng=np.random.default_rng(0))
    assert (fit.drift, fit.drift_standard_error, fit.drifts) == (None, None, False)


@pytest.mark.parametrize(
    ("scan", "hint"),
    [
        (np.linspace(0.05, 0.09, 6), "do not cross between p = 0.05 and 0.09.*values above"),
        (np.linspace(0.115, 0.13, 6), "do not cross between p = 0.115 and 0.13.*values below"),
    ],
)
def test_a_scan_beside_the_threshold_gives_no_number(scan, hint):
    points = synthetic(saturating, 20_000, scan=scan, rng=np.random.default_rng(6))
    with pytest.raises(ValueError, match=hint):
        fit_threshold(points, rng=np.random.default_rng(0))


def test_curves_that_coincide_give_no_number():
    # The same rates at all distances: noise alone must not look like a crossing. Chance of one:
    # each of 6 splits needs 2.3 % on either side, together below 0.4 %; the seed is fixed.
    rng = np.random.default_rng(7)
    points = [
        ThresholdPoint(d, float(p), int(rng.binomial(5_000, 0.15 + p)), 5_000)
        for d in (3, 5, 7)
        for p in SCAN
    ]
    with pytest.raises(ValueError, match=r"do not cross .* beyond the noise"):
        fit_threshold(points, rng=rng)


def test_no_errors_give_no_number():
    points = [ThresholdPoint(d, float(p), 0, 1000) for d in (3, 5, 7) for p in SCAN]
    with pytest.raises(ValueError, match=r"do not cross .* add p values above"):
        fit_threshold(points, rng=np.random.default_rng(0))


def test_an_interval_wider_than_the_scan_is_no_number():
    # Two p values each side, few shots: over these 40 data sets some cross by luck; whatever is
    # returned must lie inside the scan, with its interval.
    rng = np.random.default_rng(8)
    refused = 0
    for _ in range(40):
        points = synthetic(quadratic, 1500, distances=(3, 7), scan=SCAN[1::2] + SCAN[:1], rng=rng)
        try:
            fit = fit_threshold(points, rng=rng)
        except ValueError:
            refused += 1
            continue
        assert SCAN[0] < fit.interval[0] <= fit.p_threshold <= fit.interval[1] < SCAN[-1]
    assert refused > 10


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], r"two or more distances \(better three\), got \[\]"),
        ([ThresholdPoint(3, p, 1, 10) for p in SCAN], r"got \[3\]"),
        (
            [ThresholdPoint(d, p, 1, 10) for d in (3, 5) for p in SCAN[:3]],
            "at least 8 points, got 6",
        ),
        ([ThresholdPoint(3, 0.1, 11, 10)], "errors must be between 0 and shots"),
        ([ThresholdPoint(3, 0.1, 0, 0)], "shots at least 1"),
        ([ThresholdPoint(3, 1.1, 0, 1)], "p must be between 0 and 1"),
        (
            [ThresholdPoint(3, p, 1, 10) for p in SCAN]
            + [ThresholdPoint(5, p + 0.1, 1, 10) for p in SCAN],
            "share fewer than two values of p",
        ),
    ],
)
def test_too_little_is_refused(points, message):
    with pytest.raises(ValueError, match=message):
        fit_threshold(points, rng=np.random.default_rng(0))


def test_a_confidence_in_percent_is_refused():
    with pytest.raises(ValueError, match="confidence must be between 0 and 1, got 95"):
        fit_threshold(synthetic(quadratic, 100), rng=np.random.default_rng(0), confidence=95)


def matched(code, noise, scan, distances, shots, *, rounds=None):
    """Counts of PyMatching on numbered shots; rounds = distance where none are given."""
    points = []
    for distance in distances:
        for p in scan:
            clean = memory_circuit(code, distance=distance, rounds=rounds or distance)
            circuit = noise(float(p)).apply(clean)
            events, flips = NumberedShots(circuit, seed=1).take(0, shots)
            model = circuit.detector_error_model(decompose_errors=True)
            matching = pymatching.Matching.from_detector_error_model(model)
            answers = matching.decode_batch(
                events, bit_packed_shots=True, bit_packed_predictions=True
            )
            errors = int(np.sum(np.any(np.not_equal(answers, flips), axis=1)))
            points.append(ThresholdPoint(distance, float(p), errors, shots))
    return points


@pytest.mark.slow
def test_threshold_of_the_repetition_code_with_wrong_syndromes():
    # Minimum-weight matching in space-time at p = q is the two-dimensional random-bond Ising model
    # at T = 0: p_c = 0.1031(1) (Wang, Harrington, Preskill, arXiv:quant-ph/0207088); decoding by
    # likelihood would have 0.109. Standard error 0.0006, and codes this small miss by less than
    # that (0.0004 with three times the shots): 0.003 is 4.3 sigma more, false alarm below 1e-4.
    points = matched(
        "repetition", lambda p: Phenomenological(p=p), SCAN, (7, 11, 15, 21), shots=12_000
    )
    fit = fit_threshold(points, rng=np.random.default_rng(0))
    assert fit.p_threshold == pytest.approx(0.1031, abs=0.003)
    assert fit.standard_error < 0.0008
    # ν of the same paper's fit at T = 0 is 1.46(1); here 0.1 to 0.2, 4 sigma.
    assert fit.nu == pytest.approx(1.46, abs=0.6)


@pytest.mark.slow
def test_threshold_of_the_surface_code_under_bit_flips():
    # Perfect syndromes, matching: again the Ising model at T = 0, p_c = 0.1031(1)
    # (arXiv:quant-ph/0110143 makes the map, quant-ph/0207088 the number). 0.003 is 3.9 sigma of
    # 0.00064 and a finite-size shift of 0.0005: false alarm below 1e-4.
    points = matched(
        "unrotated-surface",
        lambda p: CodeCapacity(p=p, channel="x"),
        SCAN,
        (7, 11, 15, 19),
        12_000,
        rounds=1,
    )
    fit = fit_threshold(points, rng=np.random.default_rng(0))
    assert fit.p_threshold == pytest.approx(0.1031, abs=0.003)
    assert fit.standard_error < 0.0008


@pytest.mark.slow
def test_threshold_of_the_rotated_surface_code_with_noisy_circuits():
    # Published for matching under circuit-level depolarizing noise: 0.502(1) % to 1.140(1) %,
    # depending on measurement circuit and noise model (Stephens, arXiv:1311.5003); 0.82 % for one
    # such model (Higgott et al., arXiv:2203.04948). stim's four-parameter noise has one idle
    # location a round and flips of p, and its threshold must lie in that range with all of its
    # 99.99 % interval: false alarm below 1e-4.
    points = matched(
        "rotated-surface",
        lambda p: Depolarizing(p=p, idle="round"),
        np.linspace(0.006, 0.009, 7),
        (5, 7, 9),
        12_000,
    )
    fit = fit_threshold(points, rng=np.random.default_rng(0), confidence=0.9999)
    assert 0.00502 < fit.interval[0] < fit.p_threshold < fit.interval[1] < 0.01140
    assert fit.standard_error < 0.0004

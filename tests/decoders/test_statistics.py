"""Intervals, paired comparison, per-round rates and Λ against closed forms and other packages."""

import math

import numpy as np
import pytest
import sinter
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from decoders.statistics import (
    MemoryCounts,
    binomial_interval,
    errors_for_relative_precision,
    mcnemar,
    paired_difference,
    per_round_rate,
    rate_after_rounds,
    suppression_factor,
    suppression_from_rates,
)

# R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17, 857
# (1998), table I: errors, shots, Wilson (method 3), Clopper-Pearson (method 5).
NEWCOMBE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("errors", "shots", "wilson", "exact"), NEWCOMBE)
def test_intervals_of_newcombes_table(errors, shots, wilson, exact):
    assert binomial_interval(errors, shots) == pytest.approx(wilson, abs=5e-5)
    assert binomial_interval(errors, shots, method="exact") == pytest.approx(exact, abs=5e-5)


@given(st.integers(1, 10**9), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_intervals_equal_scipys(shots, fraction, confidence):
    errors = round(fraction * shots)
    ours = binomial_interval(errors, shots, confidence=confidence, method="exact")
    theirs = binomtest(errors, shots).proportion_ci(confidence, method="exact")
    # scipy searches for the root to an absolute 2e-12.
    assert ours == pytest.approx((theirs.low, theirs.high), rel=1e-9, abs=1e-11)
    if 0 < errors < shots:
        ours = binomial_interval(errors, shots, confidence=confidence)
        theirs = binomtest(errors, shots).proportion_ci(confidence, method="wilson")
        assert ours == pytest.approx((theirs.low, theirs.high), rel=1e-5)


def test_no_errors_give_the_rule_of_three():
    # (1 - bound)^shots = 5 %; ln 20 = 2.9957.
    low, high = binomial_interval(0, 1_000_000)
    assert low == 0
    assert high * 1e6 == pytest.approx(math.log(20), rel=1e-5)
    assert (1 - binomial_interval(0, 20)[1]) ** 20 == pytest.approx(0.05)
    assert binomial_interval(20, 20) == pytest.approx((1 - binomial_interval(0, 20)[1], 1))
    assert binomial_interval(0, 0) == (0, 1)


@pytest.mark.parametrize("p", [1e-4, 2e-3, 0.03, 0.4])
def test_intervals_cover_the_truth(p):
    # Summed over all outcomes, so without chance: exact never below 95 %, Wilson 95 % +- 4 %
    # (its known dip just above zero errors is outside these p n).
    shots = 60_000 if p < 1e-3 else 2_000
    outcomes = np.arange(shots + 1)
    weight = binom.pmf(outcomes, shots, p)
    outcomes, weight = outcomes[weight > 1e-12], weight[weight > 1e-12]

    def coverage(method):
        ends = [binomial_interval(int(k), shots, method=method) for k in outcomes]
        inside = [low <= p <= high for low, high in ends]
        return float(weight[inside].sum())

    assert coverage("exact") >= 0.95
    assert coverage("wilson") == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 2), "errors must be between 0 and shots = 2, got 3"),
        ((-1, 2), "errors must be between 0 and shots = 2, got -1"),
        ((0, -2), "shots must be at least 0, got -2"),
    ],
)
def test_impossible_counts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        binomial_interval(*arguments)
    with pytest.raises(ValueError, match="confidence must be between 0 and 1, got 95"):
        binomial_interval(1, 2, confidence=95)


def test_errors_for_ten_percent():
    assert errors_for_relative_precision(0.1) == 385  # (1.959964 / 0.1)² = 384.15
    assert errors_for_relative_precision(0.5, confidence=0.682689492) == 4
    with pytest.raises(ValueError, match="relative precision must be above 0"):
        errors_for_relative_precision(0)


@given(st.floats(1e-12, 0.49), st.integers(1, 200), st.integers(1, 12))
def test_per_round_rate_equals_sinters(ler, rounds, observables):
    theirs = sinter.shot_error_rate_to_piece_error_rate(ler, pieces=rounds, values=observables)
    # sinter subtracts from 1, so its relative error is 1e-16 / rate.
    assert per_round_rate(ler, rounds, observables=observables) == pytest.approx(
        theirs, rel=1e-9, abs=1e-14
    )


@given(st.floats(1e-12, 1), st.integers(1, 200), st.integers(1, 12))
def test_per_round_rate_is_inverted_and_monotone(ler, rounds, observables):
    coin = 1 - 0.5**observables
    rate = per_round_rate(ler, rounds, observables=observables)
    assert 0 < rate <= coin + 1e-12
    assert per_round_rate(ler * 0.9, rounds, observables=observables) <= rate
    if ler < 0.9 * coin:
        back = rate_after_rounds(rate, rounds, observables=observables)
        assert back == pytest.approx(ler, rel=1e-9)


def test_per_round_rate_by_hand():
    # Two rounds at 0.1 flip once in 2 x 0.1 x 0.9 = 0.18; three in 0.18 x 0.9 + 0.82 x 0.1 = 0.244.
    assert per_round_rate(0.18, 2) == pytest.approx(0.1)
    assert per_round_rate(0.244, 3) == pytest.approx(0.1)
    assert rate_after_rounds(0.1, 3) == pytest.approx(0.244)
    assert per_round_rate(1e-15, 10) == pytest.approx(1e-16, rel=1e-12)
    assert per_round_rate(0.0, 10) == 0
    assert [per_round_rate(p, 5) for p in (0.5, 0.7, 1.0)] == [0.5, 0.5, 0.5]
    # Two observables, each flipped in 0.18 of the shots: 1 - 0.82² = 0.3276; a round 1 - 0.9².
    assert per_round_rate(0.3276, 2, observables=2) == pytest.approx(0.19)
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        per_round_rate(0.1, 0)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_equals_scipys_binomial_test(only_a, only_b):
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-9, abs=1e-280)


def test_mcnemar_by_hand():
    assert mcnemar(1, 7) == pytest.approx(2 * (1 + 8) / 2**8)
    assert mcnemar(0, 10) == pytest.approx(2 / 2**10)
    assert mcnemar(0, 0) == 1


# Tables and Tango limits of M. W. Fagerland, S. Lydersen, P. Laake, Stat. Med. 33, 2850 (2014)
# (Bentur 2009, Cavo 2012), also in the tests of their R package contingencytables.
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((1, 1, 7, 21), (-0.286, -0.517, -0.026)),
        ((59, 6, 16, 161), (-0.0621, -0.1240, -0.0054)),
    ],
)
def test_paired_difference_of_published_tables(table, expected):
    digits = 5e-4 if table[-1] == 21 else 5e-5
    assert paired_difference(*table) == pytest.approx(expected, abs=digits)


def test_paired_difference_without_disagreement():
    # With no disagreement Tango's equation is n²Δ² = z² nΔ(1 - Δ): Δ = z²/(n + z²).
    z2 = 1.959963985**2
    difference, low, high = paired_difference(5, 0, 0, 1000)
    assert difference == 0
    assert (-low, high) == pytest.approx((z2 / (1000 + z2),) * 2)
    assert paired_difference(0, 0, 0, 0) == (0, -1, 1)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(400, 10**10))
def test_paired_difference_is_antisymmetric(only_a, only_b, shots):
    difference, low, high = paired_difference(0, only_a, only_b, shots)
    assert low <= difference <= high
    mirrored = paired_difference(0, only_b, only_a, shots)
    assert mirrored == pytest.approx((-difference, -high, -low), rel=1e-9, abs=1e-20)
    # A score interval excludes 0 exactly when McNemar's score test (b - c)²/(b + c) > z² rejects.
    if only_a + only_b:
        score = (only_a - only_b) ** 2 / (only_a + only_b)
        if abs(score - 3.8414588) > 1e-6:
            assert (low > 0 or high < 0) == (score > 3.8414588)


def test_paired_difference_covers_the_truth():
    # 4000 pairs of decoders with rates 0.004 / 0.007 alone: coverage 0.95, sd 0.0034; 5 sd each way
    # plus 0.01 for the method's own deviation: false alarm below 1e-6.
    rng = np.random.default_rng(7)
    counts = rng.multinomial(3000, [0.01, 0.004, 0.007, 0.979], size=4000)
    inside = 0
    for both, only_a, only_b, _ in counts.tolist():
        _, low, high = paired_difference(both, only_a, only_b, 3000)
        inside += low <= 0.004 - 0.007 <= high
    assert inside / 4000 == pytest.approx(0.95, abs=0.01 + 5 * 0.0034)


def test_paired_difference_refuses_more_failures_than_shots():
    with pytest.raises(ValueError, match="must not exceed shots = 5, got 6"):
        paired_difference(1, 2, 3, 5)


def counts_at(log_rates, rounds, shots):
    """Counts that are the expectation itself, rounded: the fit must return the line."""
    return [
        MemoryCounts(d, r, round(n * rate_after_rounds(math.exp(log), r)), n)
        for (d, log), r, n in zip(log_rates.items(), rounds, shots, strict=True)
    ]


def test_lambda_of_an_exact_line():
    line = {d: math.log(0.05) - d / 2 * math.log(2.14) for d in (3, 5, 7)}
    points = counts_at(line, (10, 25, 49), (10**12,) * 3)
    fit = suppression_factor(points, rng=np.random.default_rng(0))
    assert fit.value == pytest.approx(2.14, rel=1e-5)
    assert fit.rate(9) == pytest.approx(0.05 / 2.14**4.5, rel=1e-4)
    assert fit.method == "delta"
    assert fit.degrees_of_freedom == 1


def test_lambda_of_two_distances_is_the_ratio_with_propagated_error():
    # One round each: Λ = P3/P5, σ_Λ/Λ = √((1 - P3)/k3 + (1 - P5)/k5).
    points = [MemoryCounts(3, 1, 400, 10_000), MemoryCounts(5, 1, 100, 10_000)]
    fit = suppression_factor(points, rng=np.random.default_rng(0))
    relative = math.sqrt(0.96 / 400 + 0.99 / 100)
    assert fit.value == pytest.approx(4)
    assert fit.standard_error == pytest.approx(4 * relative)
    assert fit.interval == pytest.approx([4 * math.exp(s * 1.959964 * relative) for s in (-1, 1)])
    assert fit.chi2 == pytest.approx(0, abs=1e-9)
    rates = suppression_from_rates(
        [3, 5], [0.04, 0.01], [0.04 * math.sqrt(0.96 / 400), 0.01 * math.sqrt(0.99 / 100)]
    )
    assert (rates.value, rates.standard_error) == pytest.approx((fit.value, fit.standard_error))


def test_lambda_from_rates_equals_polyfit():
    d, rate = np.array([3, 5, 7, 9]), np.array([3e-3, 1.6e-3, 6e-4, 3.1e-4])
    sigma = np.array([1e-4, 5e-5, 4e-5, 3e-5])
    slope, variance = np.polyfit(d, np.log(rate), 1, w=rate / sigma, cov="unscaled")
    fit = suppression_from_rates(d, rate, sigma)
    assert fit.value == pytest.approx(math.exp(-2 * slope[0]))
    assert fit.standard_error == pytest.approx(fit.value * 2 * math.sqrt(variance[0, 0]))


@pytest.mark.parametrize(("shots", "repeats"), [(200_000, 1500), (4_000, 300)])
def test_lambda_interval_covers_the_truth(shots, repeats):
    # Coverage 0.95; 5 sd each way plus 0.02 (discreteness when errors are few): below 1e-6.
    rng = np.random.default_rng(11)
    truth, distances, rounds = 3.0, (3, 5, 7), 4
    p = [rate_after_rounds(0.02 * truth ** (-d / 2), rounds) for d in distances]
    inside = squares = 0.0
    for _ in range(repeats):
        k = rng.binomial(shots, p)
        points = [MemoryCounts(d, rounds, int(n), shots) for d, n in zip(distances, k, strict=True)]
        fit = suppression_factor(points, rng=rng)
        inside += fit.interval[0] <= truth <= fit.interval[1]
        squares += fit.chi2
    assert inside / repeats == pytest.approx(0.95, abs=0.02 + 5 * math.sqrt(0.95 * 0.05 / repeats))
    # Pearson's χ² has mean 1 and variance near 2 at one degree of freedom.
    assert squares / repeats == pytest.approx(1, abs=0.05 + 5 * math.sqrt(2 / repeats))


def test_lambda_uses_a_distance_without_errors():
    rng = np.random.default_rng(3)
    points = [MemoryCounts(3, 1, 900, 10_000), MemoryCounts(5, 1, 100, 10_000)]
    without = suppression_factor(points, rng=rng)
    fit = suppression_factor([*points, MemoryCounts(7, 1, 0, 10_000)], rng=rng)
    assert fit.method == "jeffreys"
    # About 11 errors were expected at distance 7: none seen pulls Λ up from 9.
    assert without.value == pytest.approx(9)
    assert 10 < fit.value < 14
    assert fit.interval[0] < fit.value < fit.interval[1] < 20


def test_lambda_of_a_block_of_observables():
    # k independent logical qubits at x: P = 1 - (1 - x)^k after one round.
    points = [
        MemoryCounts(d, 1, round(10**10 * (1 - (1 - x) ** 12)), 10**10, observables=12)
        for d, x in ((6, 1e-3), (12, 1e-6))
    ]
    fit = suppression_factor(points, rng=np.random.default_rng(0))
    ratio = (1 - 0.999**12) / (1 - 0.999999**12)
    assert fit.value == pytest.approx(ratio ** (1 / 3), rel=1e-5)


def test_lambda_refuses_too_little():
    with pytest.raises(ValueError, match=r"errors at two or more distances, got errors at \[3\]"):
        suppression_factor(
            [MemoryCounts(3, 1, 9, 100), MemoryCounts(5, 1, 0, 100)], rng=np.random.default_rng(0)
        )
    with pytest.raises(ValueError, match="must be above 0"):
        suppression_from_rates([3, 5], [0.1, 0.0], [0.1, 0.1])

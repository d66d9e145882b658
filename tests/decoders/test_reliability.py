"""How odds agree with errors: by hand, on odds that are true by construction, and of a decoder."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import stim
from scipy.special import expit
from scipy.stats import binom

from decoders.baselines.ensemble import EnsembleMatching
from decoders.reliability import Bin, Reliability, post_selection

LN3 = math.log(3)  # odds of being wrong in one of four


def true_odds(rng: np.random.Generator, shots: int) -> tuple[np.ndarray, np.ndarray]:
    """Odds, and flips that are as likely as these say."""
    odds = rng.normal(scale=3, size=shots)
    return odds, rng.random(shots) < expit(-odds)


def test_values_by_hand() -> None:
    """Eight answers that are wrong in one of four, three of which are; one that is certain."""
    odds = np.array([LN3] * 4 + [-LN3] * 4 + [math.inf])
    flips = np.array([True, True, False, False, True, True, True, False, False])
    found = Reliability.of(odds, flips)
    unsure, certain = found.bins
    assert unsure == Bin(1.0, 2.0, 8, unsure.predicted, 3)
    assert unsure.predicted == pytest.approx(0.25)
    assert certain == Bin(9.0, math.inf, 1, 0.0, 0)
    assert (found.answers, found.errors) == (9, 3)
    assert unsure.rate == 3 / 8
    assert found.expected_errors == pytest.approx(2)
    assert found.expected_calibration_error == pytest.approx((3 - 2) / 9)
    assert found.negative_log_likelihood == pytest.approx(
        (3 * math.log(4) + 5 * math.log(4 / 3)) / 9
    )
    assert found.brier == pytest.approx((3 * 0.75**2 + 5 * 0.25**2) / 9)


def test_odds_of_nothing_answer_that_it_does_not_flip() -> None:
    """As the decoders do, whose answer is whether odds are below zero."""
    found = Reliability.of([0.0, 0.0, -0.0], [True, False, False])
    assert (found.errors, found.expected_errors) == (1, 1.5)
    assert found.negative_log_likelihood == pytest.approx(math.log(2))


def test_the_last_bin_holds_all_beyond() -> None:
    odds = [0.5, 1.0, 1.999, 2.0, 50.0]
    found = Reliability.of(odds, [False] * 5, bins=3)
    assert [(one.least, one.most, one.answers) for one in found.bins] == [
        (0.0, 1.0, 1), (1.0, 2.0, 2), (2.0, math.inf, 2)
    ]  # fmt: skip
    assert Reliability.of(odds, [False] * 5, bins=1).bins[0].answers == 5


def test_each_observable_of_a_shot_is_an_answer() -> None:
    odds, flips = np.array([[2.5, -3.5], [4.5, 2.5]]), np.array([[False, True], [True, False]])
    both, one = Reliability.of(odds, flips), Reliability.of(odds.ravel(), flips.ravel())
    assert both == one
    assert (both.answers, both.errors) == (4, 1)


def test_what_is_certain_and_wrong_is_infinitely_surprising() -> None:
    found = Reliability.of([math.inf, -math.inf, 2.0], [True, True, False])
    assert found.negative_log_likelihood == math.inf
    assert found.bins[-1] == (9.0, math.inf, 2, 0.0, 1)
    assert found.expected_calibration_error == pytest.approx((0.5 * 2 + expit(-2.0)) / 3)


@pytest.mark.parametrize(("count", "chance"), [(1, 0.5), (7, 0.25), (40, 0.1), (1000, 1e-4)])
def test_chance_is_the_mean_deviation_of_a_binomial(count: int, chance: float) -> None:
    size = math.log((1 - chance) / chance)
    number = np.arange(count + 1)
    expected = (np.abs(number - count * chance) * binom.pmf(number, count, chance)).sum() / count
    found = Reliability.of(np.full(count, size), np.zeros(count, dtype=bool))
    assert found.expected_by_chance == pytest.approx(expected, rel=1e-9)


def test_true_odds_are_found_to_be_true() -> None:
    """The mean error is that of chance, and 95 % of intervals hold what the odds say.

    Within four and five standard errors: one in ten thousand such tests fails.
    """
    rng = np.random.default_rng(8)
    found = [Reliability.of(*true_odds(rng, 4_000)) for _ in range(200)]
    excess = [one.expected_calibration_error - one.expected_by_chance for one in found]
    assert abs(np.mean(excess)) < 4 * np.std(excess) / math.sqrt(len(found))
    assert np.mean([one.expected_calibration_error for one in found]) < 0.01
    held = [
        each.interval[0] <= each.predicted <= each.interval[1]
        for one in found
        for each in one.bins
        if each.answers * each.predicted > 10
    ]
    assert len(held) > 500
    assert abs(np.mean(held) - 0.95) < 5 * math.sqrt(0.95 * 0.05 / len(held))
    scattered = sum(one.errors - one.expected_errors for one in found)
    assert abs(scattered) < 4 * math.sqrt(sum(one.expected_errors for one in found))


@pytest.mark.parametrize("times", [2.0, 0.5])
def test_odds_that_are_not_true_are_found_out(times: float) -> None:
    """Twice the odds promise too few errors, half of them too many: by as much as they should.

    The odds alone say how many; errors scatter by their root, and four of these are allowed.
    """
    odds, flips = true_odds(np.random.default_rng(9), 40_000)
    true, found = Reliability.of(odds, flips), Reliability.of(times * odds, flips)
    expected = expit(-np.abs(odds)).mean() - expit(-times * np.abs(odds)).mean()
    assert (expected > 0) == (times > 1)
    scatter = 4 * math.sqrt(found.errors) / found.answers
    assert (found.errors - found.expected_errors) / found.answers == pytest.approx(
        expected, abs=scatter
    )
    assert found.expected_calibration_error == pytest.approx(abs(expected), abs=scatter)
    assert found.expected_calibration_error > 10 * found.expected_by_chance
    assert true.expected_calibration_error < 3 * true.expected_by_chance
    assert found.negative_log_likelihood > true.negative_log_likelihood + 0.01
    assert found.brier > true.brier
    assert found.errors == true.errors


REPETITION = stim.DetectorErrorModel("""
    error(0.3) D0 L0
    error(0.1) D0 D1
    error(0.02) D1
""")


def exact_repetition() -> dict[tuple[bool, bool], np.ndarray]:
    """P(events, kept) and P(events, flipped) of three bits, from all eight sets of errors."""
    found: dict[tuple[bool, bool], np.ndarray] = {}
    for a, b, c in itertools.product((False, True), repeat=3):
        chance = (0.3 if a else 0.7) * (0.1 if b else 0.9) * (0.02 if c else 0.98)
        found.setdefault((a ^ b, b ^ c), np.zeros(2))[int(a)] += chance
    return found


def test_matching_is_true_where_it_sees_all_answers() -> None:
    """Of three bits there are two answers to each event: their gap is the odds.

    What it errs without the least sure events is a sum over the others.
    """
    events, flips, _ = REPETITION.compile_sampler(seed=4).sample(40_000)
    compiled = EnsembleMatching().compile_decoder_for_dem(dem=REPETITION)
    gaps, exact = compiled.gaps(events), exact_repetition()
    found = Reliability.of(gaps, flips)
    wrong = sum(chances.min() for chances in exact.values())
    assert found.expected_errors / found.answers == pytest.approx(wrong, rel=0.02)
    assert found.expected_calibration_error < 3 * found.expected_by_chance
    sizes = {fired: abs(math.log(kept / flipped)) for fired, (kept, flipped) in exact.items()}
    ranked = sorted(exact, key=lambda fired: sizes[fired])
    for number, fired in enumerate(ranked):
        share = sum(exact[one].sum() for one in ranked[:number]) + 0.5 * exact[fired].sum()
        (left,) = post_selection(gaps, flips, shares=[share])
        kept = sum(exact[one].sum() for one in ranked[number:])
        rate = sum(exact[one].min() for one in ranked[number:]) / kept
        assert left.least == pytest.approx(sizes[fired], abs=0.02)
        assert 1 - left.discarded == pytest.approx(kept, abs=0.01)  # four standard deviations
        assert left.rate == pytest.approx(rate, abs=4 * math.sqrt(rate / left.kept))


def test_post_selection_by_hand() -> None:
    odds = np.array([0.5, -0.7, 2.0, -2.0, 3.0, 4.0, 5.0, -6.0, 7.0, 8.0])
    flips = np.array([True, True, False, False, False, True, False, True, False, False])
    found = post_selection(odds, flips, shares=[0.5, 0, 0.1, 0.19, 0.2])
    assert [(one.share, one.least, one.kept, one.errors) for one in found] == [
        (0.5, 4.0, 5, 1), (0, 0.5, 10, 3), (0.1, 0.7, 9, 2), (0.19, 0.7, 9, 2), (0.2, 2.0, 8, 2)
    ]  # fmt: skip
    assert (found[0].rate, found[0].discarded, found[0].shots) == (0.2, 0.5, 10)
    assert found[0].interval[0] < 0.2 < found[0].interval[1]


def test_what_is_equally_sure_goes_together_and_never_more_than_was_asked() -> None:
    """Whatever the order of the shots."""
    odds = np.array([1.0, -2.0, 2.0, 2.0, 3.0])
    flips = np.array([True, False, True, False, False])
    order = np.array([3, 2, 0, 4, 1])
    for shares in ([0.2, 0.4, 0.6], [0.8]):
        found = post_selection(odds, flips, shares=shares)
        assert found == post_selection(odds[order], flips[order], shares=shares)
    assert [(one.kept, one.least, one.errors) for one in post_selection(
        odds, flips, shares=[0.2, 0.6, 0.79, 0.8])] == [
        (4, 2.0, 2), (4, 2.0, 2), (4, 2.0, 2), (1, 3.0, 0)
    ]  # fmt: skip


@pytest.mark.parametrize("percent", [1, 29, 57, 58])
def test_shares_are_not_rounded_down(percent: int) -> None:
    """0.29 * 100 is less than 29."""
    (found,) = post_selection(np.arange(100.0), np.zeros(100, dtype=bool), shares=[0.01 * percent])
    assert found.kept == 100 - percent


def test_a_shot_is_as_sure_as_its_least_sure_observable_and_wrong_if_any_is() -> None:
    odds = np.array([[9.0, 0.1], [5.0, 5.0], [-1.0, 7.0]])
    flips = np.array([[False, False], [False, True], [True, False]])
    found = post_selection(odds, flips, shares=[0, 0.34, 0.67])
    assert [(one.least, one.kept, one.errors) for one in found] == [
        (0.1, 3, 1), (1.0, 2, 1), (5.0, 1, 1)
    ]  # fmt: skip


def test_no_shots_say_nothing() -> None:
    for odds, flips in (([], []), (np.zeros((0, 2)), np.zeros((0, 2), dtype=bool))):
        found = Reliability.of(odds, flips)
        assert (found.bins, found.answers, found.errors, found.expected_errors) == ((), 0, 0, 0)
        for value in (found.expected_calibration_error, found.expected_by_chance,
                      found.negative_log_likelihood, found.brier):  # fmt: skip
            assert math.isnan(value)
        for one in post_selection(odds, flips):
            assert (one.kept, one.errors, one.interval) == (0, 0, (0.0, 1.0))
            assert math.isnan(one.rate)
            assert math.isnan(one.discarded)


def test_infinite_odds_are_discarded_last() -> None:
    odds, flips = [math.inf, 1.0, -math.inf], [False, True, True]
    found = post_selection(odds, flips, shares=[0, 0.4, 0.9])
    assert [(one.least, one.kept, one.errors) for one in found] == [
        (1.0, 3, 1), (math.inf, 2, 0), (math.inf, 2, 0)
    ]  # fmt: skip


def test_a_column_is_one_observable() -> None:
    odds, flips = np.array([[1.0], [-2.0]]), np.array([True, True])
    assert Reliability.of(odds, flips) == Reliability.of(odds[:, 0], flips[:, None])
    assert post_selection(odds, flips) == post_selection(odds[:, 0], flips)


@pytest.mark.parametrize(
    ("odds", "flips", "says"),
    [
        ([1.0, 2.0], [True], r"got shapes \(2,\) and \(1,\): give each shot's odds"),
        (np.zeros((3, 2)), np.zeros((2, 3), dtype=bool), r"got shapes \(3, 2\) and \(2, 3\)"),
        (np.zeros((2, 2, 1)), np.zeros((2, 2, 1), dtype=bool), r"\[N, O\] or \[N\]"),
        (np.zeros((5, 0)), np.zeros((5, 0), dtype=bool), "at least one observable"),
        ([1.0], np.zeros(1, dtype=np.uint8), "flips as bool, got uint8: unpack"),
        ([1.0, math.nan], [True, False], "got nan: give 0"),
    ],
)
def test_what_cannot_be_judged_is_refused(odds: Any, flips: Any, says: str) -> None:
    for judge in (Reliability.of, post_selection):
        with pytest.raises(ValueError, match=says):
            judge(odds, flips)


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_shares_leave_some(share: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        post_selection([1.0], [True], shares=[0.1, share])
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        Reliability.of([1.0], [True], bins=0)

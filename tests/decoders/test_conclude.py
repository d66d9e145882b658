"""What a sweep's rows say together: which rows make a curve, and what is fitted to it."""

import math

import numpy as np
import pymatching
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.conclude import suppression, thresholds
from decoders.evaluate import Point, Row
from decoders.noise import CodeCapacity
from decoders.shots import NumberedShots
from decoders.statistics import LambdaFit, rate_after_rounds
from decoders.threshold import ThresholdFit

ONE_OBSERVABLE = stim.Circuit("M 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]")
SCAN = tuple(round(0.088 + 0.005 * k, 3) for k in range(7))


def row(distance, rounds, errors, shots, *, decoder="pymatching", declined=0, basis="Z", **noise):
    noise = {"noise": "depolarizing", **noise}
    return Row(
        point=Point(ONE_OBSERVABLE, "test", "repetition", distance, rounds, basis, noise),
        decoder=decoder,
        shots=shots,
        errors=errors,
        declined=declined,
        seconds_per_shot=1e-6,
        observable_errors=(errors,),
        confidence=0.95,
    )


def crossing(truth, *, rounds=lambda d: d, distances=(3, 5, 9), shots=10**6, **noise):
    """Rows whose curves cross at p = `truth`; the counts are the expectation, rounded."""
    return [
        row(d, rounds(d), round(shots * (0.15 + 1.5 * (p - truth) * d**0.7)), shots, p=p, **noise)
        for d in distances
        for p in SCAN
    ]


def fitted(conclusions):
    return {one.curve.label(): one.fit for one in conclusions}


def test_suppression_of_rows_of_known_rates():
    # Rates per round 0.02, 0.01, 0.005: Λ = 2 whatever the rounds.
    rows = [
        row(d, r, round(10**9 * rate_after_rounds(0.02 / 2 ** ((d - 3) / 2), r)), 10**9, p=0.01)
        for d, r in ((3, 3), (5, 5), (7, 7))
    ]
    (conclusion,) = suppression(rows, seed=1, confidence=0.9)
    assert isinstance(conclusion.fit, LambdaFit)
    assert conclusion.fit.value == pytest.approx(2, rel=1e-5)
    assert conclusion.fit.confidence == 0.9
    assert conclusion.rows == tuple(rows)
    assert conclusion.curve.label() == "repetition Z rounds = d depolarizing p=0.01 pymatching"


@pytest.mark.parametrize("rounds", [lambda d: 1, lambda d: d])
def test_suppression_of_code_capacity_noise_is_the_exact_one(rounds):
    # Majority vote fails when over half of d bits flip; noise comes once, so that the rounds must
    # not enter: Λ = P3 / P5. False alarm 1e-4 by the interval's confidence.
    def exact(d, p):
        return sum(math.comb(d, k) * p**k * (1 - p) ** (d - k) for k in range(d // 2 + 1, d + 1))

    rows = []
    for d in (3, 5):
        noise = CodeCapacity(p=0.1, channel="x")
        circuit = noise.apply(memory_circuit("repetition", distance=d, rounds=rounds(d)))
        events, flips = NumberedShots(circuit, seed=1).take(0, 200_000)
        matching = pymatching.Matching.from_detector_error_model(circuit.detector_error_model())
        answers = matching.decode_batch(events, bit_packed_shots=True, bit_packed_predictions=True)
        errors = int(np.count_nonzero(np.any(np.not_equal(answers, flips), axis=1)))
        capacity = {"noise": "code-capacity", "p": 0.1, "channel": "x"}
        rows.append(row(d, rounds(d), errors, 200_000, **capacity))
    (conclusion,) = suppression(rows, seed=1, confidence=0.9999)
    assert isinstance(conclusion.fit, LambdaFit)
    low, high = conclusion.fit.interval
    assert low < exact(3, 0.1) / exact(5, 0.1) < high
    assert high / low < 1.3


def test_suppression_keeps_different_experiments_apart():
    rows = [
        row(d, d, errors, 10_000, decoder=decoder, basis=basis, p=p)
        for d, errors in ((3, 400), (5, 100))
        for decoder in ("pymatching", "tesseract")
        for basis in ("X", "Z")
        for p in (0.01, 0.02)
    ]
    conclusions = suppression(rows, seed=1, confidence=0.95)
    assert len(fitted(conclusions)) == len(conclusions) == 8
    assert all(len(one.rows) == 2 for one in conclusions)


def test_suppression_keeps_schedules_of_rounds_apart():
    # 3 rounds at each distance suppress by 4, rounds = d by 3; 3 rounds at distance 3 are both.
    rates = {(3, 3): 0.02, (5, 3): 0.005, (5, 5): 0.02 / 3}
    rows = [
        row(d, r, round(10**9 * rate_after_rounds(rate, r)), 10**9, p=0.01)
        for (d, r), rate in rates.items()
    ]
    found = {one.curve.rounds: one for one in suppression(rows, seed=1, confidence=0.95)}
    fits = {rounds: one.fit for rounds, one in found.items()}
    values = {rounds: fit.value for rounds, fit in fits.items() if isinstance(fit, LambdaFit)}
    assert values == pytest.approx({"3 rounds": 4.0, "rounds = d": 3.0}, rel=1e-4)


def test_suppression_counts_declined_shots_as_wrong():
    rows = [
        row(3, 1, 300, 10_000, declined=100, p=0.01),
        row(5, 1, 50, 10_000, declined=50, p=0.01),
    ]
    (conclusion,) = suppression(rows, seed=1, confidence=0.95)
    assert isinstance(conclusion.fit, LambdaFit)
    assert conclusion.fit.value == pytest.approx(4)


def test_suppression_says_why_there_is_none():
    rows = [row(3, 3, 9, 100, p=0.01), row(5, 5, 0, 100, p=0.01)]
    (conclusion,) = suppression(rows, seed=1, confidence=0.95)
    assert conclusion.fit is None
    assert "errors at two or more distances, got errors at [3]" in conclusion.reason


def test_rows_that_belong_to_no_curve():
    single = [row(3, 3, 9, 100, p=0.01)]
    assert suppression(single, seed=1, confidence=0.95) == []
    nameless = [row(None, None, 9, 100, p=0.01), row(5, 5, 0, 0, p=0.01)]
    assert suppression([*single, *nameless], seed=1, confidence=0.95) == []
    assert thresholds(nameless, seed=1, confidence=0.95) == []


def test_thresholds_of_every_curve():
    rows = [*crossing(0.1), *crossing(0.107, decoder="tesseract")]
    found = fitted(thresholds(rows, seed=1, confidence=0.95))
    assert list(found) == [
        "repetition Z rounds = d depolarizing pymatching",
        "repetition Z rounds = d depolarizing tesseract",
    ]
    for fit, truth in zip(found.values(), (0.1, 0.107), strict=True):
        assert isinstance(fit, ThresholdFit)
        assert fit.p_threshold == pytest.approx(truth, abs=1e-4)


def test_thresholds_repeat_with_the_seed_whatever_else_is_in_the_sweep():
    alone = thresholds(crossing(0.1), seed=4, confidence=0.95)
    after = thresholds([*crossing(0.107, decoder="a"), *crossing(0.1)], seed=4, confidence=0.95)
    assert after[1].fit == alone[0].fit


def test_thresholds_keep_schedules_of_rounds_apart():
    rows = [*crossing(0.1), *crossing(0.107, rounds=lambda d: 4)]
    found = {one.curve.rounds: one.fit for one in thresholds(rows, seed=1, confidence=0.95)}
    values = {k: fit.p_threshold for k, fit in found.items() if isinstance(fit, ThresholdFit)}
    assert values == pytest.approx({"rounds = d": 0.1, "4 rounds": 0.107}, abs=2e-4)


def test_a_syndrome_rate_may_be_fixed_or_follow_p():
    tied = [row for p in SCAN for row in crossing(0.1, q=p) if row.point.p == p]
    (conclusion,) = thresholds(tied, seed=1, confidence=0.95)
    assert conclusion.curve.noise["q"] == "p"
    assert isinstance(conclusion.fit, ThresholdFit)
    assert conclusion.fit.p_threshold == pytest.approx(0.1, abs=1e-4)
    fixed = [*crossing(0.1, q=0.01), *crossing(0.107, q=0.02)]
    found = {one.curve.noise["q"]: one.fit for one in thresholds(fixed, seed=1, confidence=0.95)}
    values = {q: fit.p_threshold for q, fit in found.items() if isinstance(fit, ThresholdFit)}
    assert values == pytest.approx({"0.01": 0.1, "0.02": 0.107}, abs=2e-4)


def test_thresholds_say_why_there_is_none():
    def reason(rows):
        (conclusion,) = thresholds(rows, seed=1, confidence=0.95)
        assert conclusion.fit is None
        return conclusion.reason

    assert "two or more distances" in reason(crossing(0.1, distances=(3,)))
    assert "do not cross" in reason(crossing(0.07))
    assert "at least 8 points, got 6" in reason(crossing(0.1)[::4])
    nameless = [row(d, d, 1, 10, noise="heterogeneous") for d in (3, 5)]
    assert "noise with a strength p, got heterogeneous" in reason(nameless)

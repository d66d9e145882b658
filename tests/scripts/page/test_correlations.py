"""Pairs of detectors: against enumeration of all faults, and against shots of what is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import stim
from scipy.stats import norm, poisson

from decoders.dem import mechanisms
from scripts.page.correlations import (
    Pairs,
    normal_score,
    pairs_of,
    parities_of_pairs,
    predicted_pairs,
    window,
)
from scripts.page.detectors import Detectors

MODEL = stim.DetectorErrorModel(
    """
    error(0.04) D0
    error(0.03) D0 D1
    error(0.05) D0 D1 L0
    error(0.02) D1 D2 ^ D3
    error(0.06) D2 D3
    error(0.03) D3 L0
    error(0.04) D2
    """
)
EXTRA = stim.DetectorErrorModel(f"{MODEL}\nerror(0.01) D0 D3")
ALL = range(4)


def closed_form(events: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """p_ij as the papers write it, from means of x and of products."""
    x = weights @ events
    xy = events.T @ (events * weights[:, None])
    a, b = x[:, None], x[None, :]
    with np.errstate(invalid="ignore"):
        found = 0.5 - 0.5 * np.sqrt(1 - 4 * (xy - a * b) / (1 - 2 * a - 2 * b + 4 * xy))
    np.fill_diagonal(found, np.nan)
    return found


def enumerated(model: stim.DetectorErrorModel) -> tuple[np.ndarray, np.ndarray]:
    """Every set of faults: its events, and its probability."""
    faults = [(one.probability, sorted(one.symptoms[0])) for one in mechanisms(model)]
    events, weights = [], []
    for chosen in itertools.product((0, 1), repeat=len(faults)):
        fired, weight = np.zeros(model.num_detectors), 1.0
        for happens, (chance, flipped) in zip(chosen, faults, strict=True):
            weight *= chance if happens else 1 - chance
            fired[flipped] += happens
        events.append(fired % 2)
        weights.append(weight)
    return np.array(events), np.array(weights)


def test_the_prediction_is_that_of_all_sets_of_faults() -> None:
    wanted = closed_form(*enumerated(MODEL))
    found = predicted_pairs(MODEL, ALL)
    off = ~np.eye(4, dtype=bool)
    assert found[off] == pytest.approx(wanted[off], abs=1e-12)
    # By hand: two faults flip both, one of them an odd number of times.
    assert found[0, 1] == pytest.approx(0.03 * 0.95 + 0.05 * 0.97)
    assert predicted_pairs(MODEL, [3, 1])[0, 1] == found[3, 1]


def test_what_is_measured_is_the_closed_form() -> None:
    events, _, _ = MODEL.compile_sampler(seed=1).sample(5000)
    wanted = closed_form(events.astype(float), np.full(5000, 1 / 5000))
    found = pairs_of([events], [MODEL], ALL)
    assert found.measured == pytest.approx(wanted, abs=1e-9, nan_ok=True)
    single, double = parities_of_pairs(events)
    assert single[2] == pytest.approx(1 - 2 * events[:, 2].mean())
    assert double[0, 3] == pytest.approx(1 - 2 * (events[:, 0] ^ events[:, 3]).mean())


def test_excess_of_shots_of_the_model_is_a_normal_number() -> None:
    """Of 500 runs: standard deviations within five of theirs (false alarm below 1e-4)."""
    sampler = MODEL.compile_sampler(seed=2)
    upper = np.triu_indices(4, 1)
    runs = [pairs_of([sampler.sample(2000)[0]], [MODEL], ALL).excess[upper] for _ in range(500)]
    scores = np.array(runs)
    assert np.isfinite(scores).all()
    assert np.abs(scores.mean(axis=0)).max() < 5 / np.sqrt(500)
    assert np.abs(scores.std(axis=0) - 1).max() < 5 / np.sqrt(2 * 500)


def test_so_it_is_of_two_states_of_different_noise_and_length() -> None:
    other = stim.DetectorErrorModel(f"{MODEL}\nerror(0.1) D0 D1\nerror(0.05) D2")
    samplers = MODEL.compile_sampler(seed=6), other.compile_sampler(seed=7)
    upper = np.triu_indices(4, 1)
    scores = np.array([
        pairs_of([samplers[0].sample(2000)[0], samplers[1].sample(1200)[0]], [MODEL, other],
                 ALL).excess[upper]
        for _ in range(500)
    ])  # fmt: skip
    assert np.abs(scores.mean(axis=0)).max() < 5 / np.sqrt(500)
    assert np.abs(scores.std(axis=0) - 1).max() < 5 / np.sqrt(2 * 500)


def test_pairs_that_hardly_fire_together_are_not_judged() -> None:
    """Two that fire in a tenth of all shots each, both of them in `both` shots."""

    def scores(shots: int, both: int) -> Pairs:
        events = np.zeros((shots, 2), dtype=bool)
        events[: shots // 10, 0] = True
        events[shots // 10 - both : shots // 5 - both, 1] = True
        model = stim.DetectorErrorModel("error(0.1) D0\nerror(0.1) D1")
        return pairs_of([events], [model], range(2))

    assert np.isnan(scores(400, 4).excess[0, 1])  # 4 are expected
    assert abs(scores(600, 6).excess[0, 1]) < 0.3
    assert scores(400, 20).heard[0, 1] > 5  # by 4, in 20 shots


def test_noise_that_the_model_lacks_stands_out() -> None:
    events, _, _ = EXTRA.compile_sampler(seed=3).sample(20_000)
    pairs = pairs_of([events], [MODEL], ALL)
    upper = np.triu_indices(4, 1)
    excess = pairs.excess[upper]
    worst = int(np.argmax(excess))
    assert (upper[0][worst], upper[1][worst]) == (0, 3)
    # 200 more coincidences than expected, where their spread is about 20.
    assert excess[worst] > 5
    assert pairs.measured[0, 3] - pairs.predicted[0, 3] == pytest.approx(0.01, abs=0.004)
    # A fault on D0 and D3 changes what they do alone, not what they share with others.
    assert np.abs(np.delete(excess, worst)).max() < 5


def test_states_of_different_noise_are_not_taken_for_correlations() -> None:
    quiet, loud = (stim.DetectorErrorModel(f"error({p}) D0\nerror({p}) D1") for p in (0.03, 0.25))
    events = [model.compile_sampler(seed=4).sample(20_000)[0] for model in (quiet, loud)]
    apart = pairs_of(events, [quiet, loud], range(2))
    assert abs(apart.excess[0, 1]) < 4.5
    pooled = pairs_of([np.concatenate(events)], [quiet], range(2))
    # 0.012 of covariance, (0.22 / 2)², where shot noise is 0.0006.
    assert pooled.excess[0, 1] > 10


def test_too_few_shots_tell_nothing_and_do_not_warn() -> None:
    events, _, _ = MODEL.compile_sampler(seed=5).sample(20)
    for shots in (events, np.zeros_like(events), np.ones_like(events)):
        pairs = pairs_of([shots, shots[:0]], [MODEL, MODEL], ALL)
        assert isinstance(pairs, Pairs)
        assert np.isnan(np.diag(pairs.excess)).all()
    assert np.isnan(pairs_of([events], [MODEL], ALL).heard).all()


@pytest.mark.parametrize("mean", [5.0, 20.0, 200.0])
def test_counts_become_normal_numbers_with_the_same_tail(mean: float) -> None:
    counts = np.arange(int(mean), int(mean + 4 * np.sqrt(mean)))
    scores = normal_score((counts + 0.5 - mean) / np.sqrt(mean), np.full(len(counts), mean))
    # P(more than n) by Poisson's distribution, at the middle between n and n + 1.
    assert np.abs(scores - norm.isf(poisson.sf(counts, mean))).max() < 0.06
    assert normal_score(np.array(50.0), np.array(10.0)) > 10


def detectors_of(checks: int, rounds: int) -> Detectors:
    places = [(float(k),) for k in range(checks)] * rounds
    times = [float(t) for t in range(rounds) for _ in range(checks)]
    zeros = np.zeros(len(places))
    return Detectors(places, times, dict.fromkeys(places, ()), 100, zeros, zeros)


@pytest.mark.parametrize(
    ("checks", "rounds", "kept"),
    [(4, 5, 20), (8, 21, 120), (24, 25, 120), (300, 50, 120), (500, 1, 120), (7, 100, 119)],
)
def test_a_window_keeps_neighbours_by_check_and_then_round(
    checks: int, rounds: int, kept: int
) -> None:
    detectors = detectors_of(checks, rounds)
    found = window(detectors, 120)
    assert len(found) == kept
    spots = [(detectors.places[k], detectors.times[k]) for k in found]
    assert spots == sorted(spots)
    times = sorted({time for _, time in spots})
    assert np.diff(times).tolist() == [1.0] * (len(times) - 1)
    assert len(times) >= min(2, rounds)

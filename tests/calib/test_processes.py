"""Drift processes against closed forms: stationary laws, exact steps, exact paths, spectra."""

import itertools
import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy.stats import kstest

from calib.processes import (
    OneOverF,
    OrnsteinUhlenbeck,
    Process,
    Ramp,
    Sinusoid,
    Step,
    Telegraph,
)

SAMPLES = 200_000
# Statistical comparisons allow 5.5 standard errors: 4e-8 for a Gaussian, below 1e-5 in each test.
ERRORS = 5.5


@pytest.mark.parametrize("steps_s", [(60.0,), (20.0, 20.0, 20.0), (1.0, 59.0), (0.0, 60.0)])
def test_ornstein_uhlenbeck_is_stationary_and_forgets_alike_in_every_partition(steps_s):
    noise = OrnsteinUhlenbeck(sigma=0.3, correlation_time_s=100.0)
    rng = np.random.default_rng(1)
    first = state = noise.initial((SAMPLES,), rng)
    for dt_s in steps_s:
        state = noise.advance(state, dt_s, rng)
    a, b = noise.value(first, 0.0), noise.value(state, 60.0)
    for one in (a, b):
        assert one.var() / 0.09 == pytest.approx(1, abs=ERRORS * math.sqrt(2 / SAMPLES))
    correlation = math.exp(-0.6)
    spread = math.sqrt((1 + correlation**2) / SAMPLES)
    assert np.mean(a * b) / 0.09 == pytest.approx(correlation, abs=ERRORS * spread)


def covariance_is(path, expected):
    """Rows of `path` are moments, columns samples; a product's variance is C_ii C_jj + C_ij²."""
    found = path @ path.T / path.shape[1]
    spread = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / path.shape[1])
    return np.all(np.abs(found - expected) < ERRORS * spread)


@pytest.mark.parametrize("correlation_time_s", [0.3, 10.0, 1e6])
def test_paths_between_two_states_are_ornstein_uhlenbeck(correlation_time_s):
    noise = OrnsteinUhlenbeck(correlation_time_s=correlation_time_s)
    rng = np.random.default_rng(2)
    start = noise.initial((SAMPLES // 2, 2), rng)
    end = noise.advance(start, 20.0, rng)
    path = noise.between(start, end, 4.0, 5, rng)
    assert path.shape == (5, SAMPLES // 2, 2)
    assert np.array_equal(path[0], start)
    times_s = 4.0 * np.arange(6)
    expected = np.exp(-np.abs(times_s[:, None] - times_s) / correlation_time_s)
    whole = np.concatenate([path, end[None]]).reshape(6, -1)
    assert covariance_is(whole, expected)
    # At long memory all of this is in the increments, whose covariance is 2(1 − e^{−dt/τ}).
    increments = np.diff(whole, axis=0)
    differences = np.diff(np.diff(expected, axis=0), axis=1)
    assert covariance_is(increments, differences)


def test_paths_of_one_over_f_noise_have_the_sum_of_all_memories():
    noise = OneOverF(sigma=2.0, f_min_hz=1e-4, f_max_hz=1e-1)
    rng = np.random.default_rng(3)
    start = noise.initial((SAMPLES // 4,), rng)
    end = noise.advance(start, 300.0, rng)
    path = noise.value(noise.between(start, end, 100.0, 3, rng), 0.0)
    times_s = 100.0 * np.arange(4)
    lag = np.abs(times_s[:, None] - times_s)[..., None]
    expected = 4.0 * np.exp(-lag / noise.correlation_times_s()).mean(-1)
    assert covariance_is(np.concatenate([path, noise.value(end, 0.0)[None]]), expected)


def spectrum(noise, frequency_hz):
    """One-sided spectrum of the sum of Lorentzians, σ²/K Σ 4τ/(1 + (2πfτ)²)."""
    times_s = noise.correlation_times_s()
    lorentzians = 4 * times_s / (1 + (2 * math.pi * frequency_hz * times_s) ** 2)
    return noise.sigma**2 * lorentzians.mean()


def test_one_over_f_spectrum_is_one_over_f_within_the_stated_tolerance():
    noise = OneOverF(sigma=1.5, f_min_hz=1e-6, f_max_hz=1e2)

    def ratio(frequency_hz):
        return spectrum(noise, frequency_hz) * frequency_hz * math.log(1e8) / 1.5**2

    for frequency_hz in np.geomspace(1e-3, 1e-1, 31):
        # The band's missing tails, (2/π) atan(1e-3) each at least, and the ripple.
        assert ratio(frequency_hz) == pytest.approx(1, abs=2e-3)
    for inside_hz, edge_hz in ((1e-5, 1e-6), (1e1, 1e2)):
        # ∫ of the Lorentzians' share above the edge: (2/π) atan(f/f_edge).
        assert ratio(inside_hz) == pytest.approx(2 / math.pi * math.atan(10), abs=5e-3)
        assert ratio(edge_hz) == pytest.approx(0.5, abs=2e-3)


def test_one_over_f_noise_drawn_step_by_step_has_that_spectrum():
    noise = OneOverF(sigma=1.0, f_min_hz=1e-5, f_max_hz=1.0)
    rng = np.random.default_rng(4)
    steps, count = 4096, 200
    start = noise.initial((count,), rng)
    end = noise.advance(start, 1.0 * steps, rng)
    path = noise.value(noise.between(start, end, 1.0, steps, rng), 0.0)
    window = np.hanning(steps)[:, None]
    power = 2 * np.abs(np.fft.rfft(path * window, axis=0)) ** 2 / np.sum(window**2)
    frequency_hz = np.fft.rfftfreq(steps)
    # Decade 3e-3 to 3e-2 Hz: far from aliasing (0.5 Hz) and from the window's width (2.4e-4 Hz).
    inside = (frequency_hz > 3e-3) & (frequency_hz < 3e-2)
    flattened = power[inside].mean(1) * frequency_hz[inside] * math.log(1e5)
    slope = np.polyfit(np.log(frequency_hz[inside]), np.log(flattened), 1)[0]
    # 110 frequencies (half of them independent under the window) × 200 sequences: 1 % standard
    # error of the level; 5.5 of them, and 3 % for the tails and the window.
    assert flattened.mean() == pytest.approx(1, abs=0.085)
    # Slope: 0.07/√(55 · 0.29) = 0.02 standard error.
    assert slope == pytest.approx(0, abs=0.11)


TELEGRAPH = Telegraph(up_per_hour=30.0, down_per_hour=90.0, amount=-0.6)


def stays_up(dt_s):
    """P(up | up) and P(up | down) after a time: occupancy 1/4, relaxation rate 120 an hour."""
    left = math.exp(-120 * dt_s / 3600)
    return 0.25 + 0.75 * left, 0.25 * (1 - left)


@pytest.mark.parametrize("steps_s", [(30.0,), (10.0, 20.0), (1.0, 1.0, 28.0)])
def test_telegraph_occupancy_and_transitions_in_every_partition(steps_s):
    rng = np.random.default_rng(5)
    first = state = TELEGRAPH.initial((SAMPLES,), rng)
    for dt_s in steps_s:
        state = TELEGRAPH.advance(state, dt_s, rng)
    assert set(np.unique(TELEGRAPH.value(state, 30.0))) == {-0.6, 0.0}
    for one in (first, state):
        assert one.mean() == pytest.approx(0.25, abs=ERRORS * math.sqrt(0.1875 / SAMPLES))
    for level, expected in zip((1, 0), stays_up(30.0), strict=True):
        found = state[first == level]
        spread = math.sqrt(expected * (1 - expected) / len(found))
        assert found.mean() == pytest.approx(expected, abs=ERRORS * spread)


@pytest.mark.parametrize("dt_s", [2.0, 15.0, 200.0])
def test_telegraph_paths_have_the_markov_chains_joint_distribution(dt_s):
    rng = np.random.default_rng(6)
    start = TELEGRAPH.initial((SAMPLES,), rng)
    end = TELEGRAPH.advance(start, 3 * dt_s, rng)
    path = TELEGRAPH.between(start, end, dt_s, 3, rng)
    whole = np.concatenate([path, end[None]]).astype(int)
    after_up, after_down = stays_up(dt_s)
    for states in itertools.product((0, 1), repeat=4):
        chance = 0.25 if states[0] else 0.75
        for before, after in itertools.pairwise(states):
            up = after_up if before else after_down
            chance *= up if after else 1 - up
        count = np.sum(np.all(whole == np.array(states)[:, None], axis=0))
        # Rare sequences: Poisson with a few expected, hence the constant.
        assert abs(count - SAMPLES * chance) < ERRORS * math.sqrt(SAMPLES * chance) + 8


def test_telegraph_dwell_times_are_exponential():
    rng = np.random.default_rng(7)
    steps, dt_s = 1_000_000, 0.2
    start = TELEGRAPH.initial((1,), rng)
    end = TELEGRAPH.advance(start, steps * dt_s, rng)
    path = TELEGRAPH.between(start, end, dt_s, steps, rng)[:, 0]
    jumps = np.flatnonzero(np.diff(path))
    dwells_s, up = np.diff(jumps) * dt_s, path[jumps[:-1] + 1] > 0
    assert len(dwells_s) > 2000
    for chosen, mean_s in ((up, 3600 / 90), (~up, 3600 / 30)):
        # The grid of 0.2 s moves the distribution by 0.5 % at most, a tenth of what fails here.
        smooth = dwells_s[chosen] + dt_s * rng.uniform(-0.5, 0.5, chosen.sum())
        assert kstest(smooth, "expon", args=(0, mean_s)).pvalue > 2e-5


def test_deterministic_processes():
    rng = np.random.default_rng(8)
    for process, time_s, expected in [
        (Step(time_s=10.0, amount=3.0), 9.999, 0.0),
        (Step(time_s=10.0, amount=3.0), 10.0, 3.0),
        (Ramp(per_hour=-2.0), 5400.0, -3.0),
        (Sinusoid(amplitude=2.0, period_s=40.0), 10.0, 2.0),
        (Sinusoid(amplitude=2.0, period_s=40.0, phase_rad=math.pi / 2), 20.0, -2.0),
    ]:
        state = process.advance(process.initial((2, 3), rng), time_s, rng)
        assert process.value(state, time_s) == pytest.approx(np.full((2, 3), expected))
        path = process.between(state, state, 1.0, 4, rng)
        times_s = np.array([time_s, 0.0, 0.0, time_s]).reshape(4, 1, 1)
        assert process.value(path, times_s)[-1] == pytest.approx(np.full((2, 3), expected))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"kind": "brownian"}, "brownian"),
        ({"kind": "ornstein-uhlenbeck", "correlation_time_s": 0}, "greater than 0"),
        ({"kind": "ornstein-uhlenbeck", "correlation_time_s": "1"}, "valid number"),
        ({"kind": "ornstein-uhlenbeck", "correlation_time_s": math.inf}, "finite"),
        ({"kind": "one-over-f", "f_min_hz": 1.0, "f_max_hz": 0.1}, "f_min_hz must be below"),
        ({"kind": "telegraph", "up_per_hour": 1.0}, "down_per_hour"),
        ({"kind": "step", "time_s": 1.0, "at": 2.0}, "at"),
    ],
)
def test_wrong_configs_are_refused(config, says):
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(Process).validate_python(config)

"""Fits against closed forms, and their uncertainties against the spread of repeated draws."""

import math

import numpy as np
import pytest

from calib.experiments.fits import (
    binomial_sigma,
    cosine,
    line_zero,
    phase_slope,
    quadrature_phases,
    vertex,
)


def _draw_quadratures(phase, contrast, offset, shots, rng):
    angles = np.asarray(phase)[..., None] - np.arange(4) * math.pi / 2
    return rng.binomial(shots, offset + contrast / 2 * np.cos(angles))


@pytest.mark.parametrize("phase", [-3.0, -1.0, 0.0, 0.7, math.pi / 2, 3.1])
def test_phase_and_its_uncertainty_from_quadratures(phase):
    rng = np.random.default_rng(1)
    phases = np.full(4000, phase)
    found = quadrature_phases(_draw_quadratures(phases, 0.8, 0.55, 400, rng), 400)
    pulls = np.angle(np.exp(1j * (found.phase_rad - phase))) / found.uncertainty_rad
    # The mean of 4000 pulls has a deviation of 0.016 and their spread one of 0.011: 4.5 of each
    # fail once in 1e5.
    assert abs(pulls.mean()) < 0.08
    assert pulls.std() == pytest.approx(1, abs=0.06)
    assert found.contrast.mean() == pytest.approx(0.8, abs=0.01)


def test_without_contrast_the_phase_is_unknown():
    found = quadrature_phases([200, 201, 199, 200], 400)
    assert found.uncertainty_rad > 0.5


@pytest.mark.parametrize("slope", [-2.8, -0.5, 0.0, 1e-3, 1.9, 2.8])
def test_phase_slope_over_doubled_repetitions(slope):
    rng = np.random.default_rng(2)
    repetitions = np.array([0, 1, 2, 4, 8, 16])
    errors = []
    for _ in range(500):
        true = 0.4 + slope * repetitions
        found = quadrature_phases(_draw_quadratures(true, 0.9, 0.5, 400, rng), 400)
        fit = phase_slope(repetitions, found.phase_rad, found.uncertainty_rad)
        errors.append((fit.value - slope) / fit.uncertainty)
    # An unwrapping gone wrong would be off by π/16, some 60 standard deviations.
    assert np.abs(errors).max() < 6
    # Uncertainties are widened where χ² exceeds 1, so that pulls are somewhat narrow.
    assert 0.7 < np.std(errors) < 1.15


def test_phase_slope_of_one_number_of_repetitions():
    fit = phase_slope([1], [math.pi + 0.3], [0.01])
    assert fit.value == pytest.approx(0.3 - math.pi)
    assert fit.uncertainty == 0.01


def test_zero_of_a_line_and_its_uncertainty():
    rng = np.random.default_rng(3)
    x = np.linspace(-1, 1, 9)
    pulls = []
    for _ in range(1000):
        zero, slope = line_zero(x, 2 * (x - 0.3) + rng.normal(scale=0.1, size=9), 0.1)
        pulls.append((zero.value - 0.3) / zero.uncertainty)
        assert slope == pytest.approx(2, abs=0.35)  # six standard deviations
    assert np.std(pulls) == pytest.approx(0.92, abs=0.12)


def test_vertex_of_a_parabola_and_its_uncertainty():
    rng = np.random.default_rng(4)
    x = np.linspace(40, 50, 11)
    pulls = []
    for _ in range(1000):
        y = 0.1 + 0.005 * (x - 44.7) ** 2 + rng.normal(scale=0.005, size=11)
        where, curvature = vertex(x, y, 0.005)
        pulls.append((where.value - 44.7) / where.uncertainty)
        assert curvature == pytest.approx(0.005, abs=1.2e-3)
    assert np.std(pulls) == pytest.approx(0.92, abs=0.12)


@pytest.mark.parametrize("frequency", [0.6, 1.0, 3.7, 8.9])
@pytest.mark.parametrize("phase", [0.0, 2.0, math.pi])
def test_cosine_of_any_frequency_and_phase(frequency, phase):
    rng = np.random.default_rng(5)
    x = np.linspace(0, 1, 21)
    ones = rng.binomial(500, 0.52 + 0.45 * np.cos(2 * math.pi * frequency * x + phase))
    fit = cosine(x, ones / 500, binomial_sigma(ones, 500))
    assert abs(fit.frequency.value - frequency) < 5 * fit.frequency.uncertainty  # 6e-7 a case
    assert fit.frequency.uncertainty < 0.05

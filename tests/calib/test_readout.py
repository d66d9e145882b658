"""Readout against closed forms, an ODE solver and sampling; its landscape has an optimum."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import erfc
from scipy.stats import norm

from calib.readout import (
    Discriminator,
    ReadoutPulse,
    Resonator,
    assignment_matrix,
    dispersive_shifts_mhz,
    mean_points,
    noise_deviation,
    outcome_and_level,
    overlap_error,
    sample_iq,
    separation,
    transition_rates_per_ns,
)

QUIET = Resonator(induced_per_us=0.0)
USUAL = ReadoutPulse(0.6, 7.0, 1200.0)
# Statistical comparisons allow 5 standard errors, 6e-7 each; the number in each test is given.
ERRORS = 5.0


def masters_mean(resonator, pulse, rates, level):
    """Mean IQ point with decay: moments E[α; level n] obey linear equations, here solved by ODE."""
    centre = 2e-3 * math.pi * 1e3 * (resonator.frequency_ghz - pulse.frequency_ghz)
    chi = 2e-3 * math.pi * resonator.chi_mhz
    shifts = np.array([-chi, chi, chi * (1 + resonator.higher_shift)])
    half = 1e-3 * math.pi * resonator.kappa_mhz
    generator = rates.T - np.diag(rates.sum(1))

    def slope(_, y):
        p, m = y[:3], y[3:6]
        moved = -(half + 1j * (centre + shifts)) * m + half * pulse.amplitude * p
        return np.concatenate([generator @ p, moved + generator @ m, [m.sum()]])

    start = np.zeros(7, dtype=complex)
    start[level] = 1
    end = solve_ivp(slope, (0, pulse.duration_ns), start, rtol=1e-9, atol=1e-12).y[:, -1]
    return end[6] / pulse.duration_ns * np.exp(1j * resonator.cable_phase_rad)


@pytest.mark.parametrize("frequency_ghz", [6.9985, 7.0, 7.002])
def test_mean_points_are_the_integrated_solution_of_the_fields_equation(frequency_ghz):
    resonator = Resonator(cable_phase_rad=0.7)
    pulse = ReadoutPulse(0.4, frequency_ghz, 350.0)
    found = mean_points(resonator, pulse)
    expected = [masters_mean(resonator, pulse, np.zeros((3, 3)), level) for level in range(3)]
    assert found == pytest.approx(np.array(expected), abs=1e-8)


def test_noise_and_separation_follow_the_formula():
    # At 2|χ| = κ the steady points lie (1 ± i)/2 of the amplitude from 0: as far apart as it is
    # large, here 0.5. SNR² = D²/(2σ²) = 2ηκTD², D² in photons.
    resonator = Resonator(chi_mhz=-1.0, kappa_mhz=2.0, photons=30.0, efficiency=0.1)
    pulse = ReadoutPulse(0.5, 7.0, 1e7)
    snr = 2 * 0.1 * (2 * math.pi * 2e6) * 1e-2 * 30.0 * 0.25
    assert separation(resonator, pulse) ** 2 / 2 == pytest.approx(snr, rel=1e-4)
    longer = noise_deviation(resonator, ReadoutPulse(0.5, 7.0, 4e7))
    assert noise_deviation(resonator, pulse) / longer == pytest.approx(2)


def test_shifts_are_those_of_a_diagonalised_transmon_and_resonator():
    # Duffing levels and photons coupled by g(a†b + ab†); the cavity's pull in level n is
    # E(n, 1) − E(n, 0). Fourth order in g is left out of the formula: (g/Δ)² = 1e-4 of it.
    g, detuning, alpha, levels, photons = 20.0, -2000.0, -330.0, 6, 5
    n = np.arange(levels)
    lower = np.diag(np.sqrt(n[1:]), 1)
    cavity = np.diag(np.sqrt(np.arange(1, photons)), 1)
    hamiltonian = np.kron(np.diag(detuning * n + alpha / 2 * n * (n - 1)), np.eye(photons))
    hamiltonian += g * (np.kron(lower.T, cavity) + np.kron(lower, cavity.T))
    energies, vectors = np.linalg.eigh(hamiltonian)

    def energy(level, photon):
        return energies[np.argmax(np.abs(vectors[level * photons + photon]))]

    pulls = np.array([energy(level, 1) - energy(level, 0) for level in range(3)])
    found = dispersive_shifts_mhz(g, detuning, alpha)
    assert found == pytest.approx(pulls - pulls[:2].mean(), rel=1e-3)
    assert Resonator(chi_mhz=found[1], higher_shift=found[2] / found[1] - 1).shifts_mhz() == (
        pytest.approx(found)
    )


def test_without_decay_assignment_errors_are_the_clouds_overlap():
    amplitude = np.array([0.1, 0.2, 0.4])
    pulse = ReadoutPulse(amplitude, 7.0003, np.array([[400.0], [1500.0]]))
    matrix = assignment_matrix(QUIET, pulse, math.inf, Discriminator.midway(QUIET, pulse))
    points, noise = mean_points(QUIET, pulse), noise_deviation(QUIET, pulse)
    distance = np.abs(points[..., 1] - points[..., 0])
    expected = erfc(distance / (2 * math.sqrt(2) * noise)) / 2
    assert matrix.shape == (2, 3, 3, 2)
    assert matrix[..., 0, 1] == pytest.approx(expected, rel=1e-9)
    assert matrix[..., 1, 0] == pytest.approx(expected, rel=1e-9)
    assert overlap_error(QUIET, pulse) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("t1_us", [5.0, 50.0, 200.0])
def test_decay_during_readout_is_the_closed_mixture_of_decay_times(t1_us):
    # A resonator so fast that the point lies linearly between the clouds: from a = −d/2 (decay at
    # once) to d/2. P(0|1) = 1 − Φ(a) − ∫ e^{−rt} b φ(a + bt) dt, completing the square below.
    fast = Resonator(chi_mhz=-5e5, kappa_mhz=1e6, photons=0.01, induced_per_us=0.0, efficiency=5e-4)
    pulse = ReadoutPulse(0.5, 7.0, 1000.0)
    matrix = assignment_matrix(fast, pulse, t1_us, Discriminator.midway(fast, pulse), levels=2)
    distance, rate = float(separation(fast, pulse)), 1e-3 / t1_us
    assert 4 < distance < 9
    a, b = -distance / 2, distance / 1000.0
    square = math.exp(rate * a / b + (rate / b) ** 2 / 2)
    one = norm.cdf(a) + square * (norm.cdf(-a + rate / b) - norm.cdf(a + rate / b))
    assert matrix[1, 0] == pytest.approx(1 - one, rel=1e-6)
    assert matrix[0, 1] == pytest.approx(norm.cdf(a), rel=1e-6)


SETTINGS = [
    (USUAL, 180.0),
    (ReadoutPulse(0.9, 7.0, 1600.0), 60.0),
    (ReadoutPulse(0.5, 6.9993, 900.0), 25.0),
]


@pytest.mark.parametrize(("pulse", "t1_us"), SETTINGS)
def test_sampling_agrees_with_the_quadrature(pulse, t1_us):
    resonator, shots = Resonator(cable_phase_rad=-2.0), 200_000
    line = Discriminator.midway(resonator, pulse)
    joint = outcome_and_level(resonator, pulse, t1_us, line)
    assert joint.sum((-1, -2)) == pytest.approx(np.ones(3), abs=1e-9)
    rng = np.random.default_rng(3)
    for level in range(3):
        iq, after = sample_iq(np.full(shots, level), resonator, pulse, t1_us, rng)
        for outcome in range(2):
            for end in range(3):
                chance = joint[level, outcome, end]
                count = np.sum((line.outcome(iq) == outcome) & (after == end))
                # 54 comparisons; 8 more for counts so rare that they are Poisson, and the third
                # jump, which the quadrature leaves out: (0.06)³/6 of 200,000 shots at most.
                spread = ERRORS * math.sqrt(shots * chance * (1 - min(chance, 1))) + 8
                assert abs(count - shots * chance) < spread


@pytest.mark.parametrize("level", [0, 1, 2])
def test_sampled_points_and_levels_follow_the_master_equation_through_many_jumps(level):
    resonator = Resonator(cable_phase_rad=1.1, efficiency=0.5, critical_photons=15.0)
    pulse, t1_us, shots = ReadoutPulse(0.7, 7.0, 1000.0), 2.0, 200_000
    rates = transition_rates_per_ns(resonator, pulse, t1_us)
    assert 0.1 < rates.sum(1).max() * 1000 < 2.5  # several jumps a readout
    iq, after = sample_iq(
        np.full(shots, level), resonator, pulse, t1_us, np.random.default_rng(4 + level)
    )
    expected = masters_mean(resonator, pulse, rates, level)
    for found, mean in ((iq.real, expected.real), (iq.imag, expected.imag)):
        assert found.mean() == pytest.approx(mean, abs=ERRORS * found.std() / math.sqrt(shots))
    ends = expm((rates - np.diag(rates.sum(1))) * 1000.0)[level]
    for end, chance in enumerate(ends):  # 15 comparisons in all
        spread = ERRORS * math.sqrt(chance * (1 - chance) / shots)
        assert np.mean(after == end) == pytest.approx(chance, abs=spread)


def test_sampled_noise_without_decay_is_gaussian_around_the_mean_points():
    shots = 100_000
    levels = np.arange(shots) % 3
    iq, after = sample_iq(levels, QUIET, USUAL, math.inf, np.random.default_rng(5))
    assert np.array_equal(after, levels)
    off = (iq - mean_points(QUIET, USUAL)[levels]) / noise_deviation(QUIET, USUAL)
    for quadrature in (off.real, off.imag):  # 4 comparisons
        assert quadrature.mean() == pytest.approx(0, abs=ERRORS / math.sqrt(shots))
        assert quadrature.var() == pytest.approx(1, abs=ERRORS * math.sqrt(2 / shots))
    assert np.mean(off.real * off.imag) == pytest.approx(0, abs=ERRORS / math.sqrt(shots))


def test_levels_afterwards_are_those_of_the_rate_equation():
    rates = transition_rates_per_ns(Resonator(), USUAL, 100.0)
    joint = outcome_and_level(Resonator(), USUAL, 100.0, Discriminator.midway(Resonator(), USUAL))
    expected = expm((rates - np.diag(rates.sum(1))) * 1200.0)
    # Three jumps: (0.03)³/6.
    assert joint.sum(-2) == pytest.approx(expected, abs=1e-5)
    assert rates[1, 0] == pytest.approx(1e-5)
    assert rates[2, 1] == pytest.approx(2e-5)


def error(amplitude, offset_mhz, duration_ns, t1_us):
    """Mean of both assignment errors, midway, with the default resonator."""
    pulse = ReadoutPulse(amplitude, 7.0 + 1e-3 * offset_mhz, duration_ns)
    line = Discriminator.midway(Resonator(), pulse)
    matrix = assignment_matrix(Resonator(), pulse, t1_us, line, levels=3)
    return (matrix[..., 0, 1] + matrix[..., 1, 0]) / 2


def test_amplitude_frequency_and_duration_have_an_optimum_below_one_percent():
    for errors in (
        error(np.linspace(0.1, 1.0, 37), 0.0, 1200.0, 180.0),
        error(0.5, np.linspace(-3.0, 3.0, 25), 1200.0, 180.0),
        error(0.6, 0.0, np.linspace(200.0, 6000.0, 30), 180.0),
    ):
        best = int(np.argmin(errors))
        assert 0 < best < len(errors) - 1
        assert errors[best] < 0.5 * min(errors[0], errors[-1])
        assert 0.002 < errors[best] < 0.015
    assert np.all(error(0.6, 0.0, 1200.0, np.array([100.0, 250.0])) < 0.012)


def test_level_two_has_a_cloud_of_its_own():
    points, noise = mean_points(Resonator(), USUAL), noise_deviation(Resonator(), USUAL)
    assert np.abs(points[2] - points[:2]).min() / noise > 2.1
    longer = ReadoutPulse(0.6, 7.0, 2400.0)
    points, noise = mean_points(Resonator(), longer), noise_deviation(Resonator(), longer)
    assert np.abs(points[2] - points[:2]).min() / noise > 3.1
    line = Discriminator.midway(Resonator(), USUAL)
    assert assignment_matrix(Resonator(), USUAL, 180.0, line)[2, 1] > 0.9


def test_many_settings_in_one_call_are_the_single_ones():
    amplitude, t1_us = np.array([0.3, 0.7]), np.array([[50.0], [100.0], [200.0]])
    pulse = ReadoutPulse(amplitude, 7.0, 1000.0)
    line = Discriminator.midway(Resonator(), pulse)
    found = outcome_and_level(Resonator(), pulse, t1_us, line)
    assert found.shape == (3, 2, 3, 2, 3)
    for row, one_t1_us in enumerate((50.0, 100.0, 200.0)):
        for column, one in enumerate((0.3, 0.7)):
            alone = ReadoutPulse(one, 7.0, 1000.0)
            expected = outcome_and_level(
                Resonator(), alone, one_t1_us, Discriminator.midway(Resonator(), alone)
            )
            assert found[row, column] == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_a_longer_cable_turns_clouds_and_line_alike():
    turned = Resonator(cable_phase_rad=2.5)
    lines = [Discriminator.midway(resonator, USUAL) for resonator in (Resonator(), turned)]
    plain = assignment_matrix(Resonator(), USUAL, 180.0, lines[0])
    assert assignment_matrix(turned, USUAL, 180.0, lines[1]) == pytest.approx(plain)
    turn = np.exp(1j * np.asarray(lines[1].angle_rad)) / np.exp(1j * np.asarray(lines[0].angle_rad))
    assert turn == pytest.approx(np.exp(2.5j))


def test_a_readout_must_last():
    with pytest.raises(ValueError, match=r"duration_ns of a readout must be above 0, got -5\.0"):
        ReadoutPulse(0.5, 7.0, -5.0)

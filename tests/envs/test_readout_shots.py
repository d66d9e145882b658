"""IQ points of many qubits, against those of one, and what two clouds are said to show."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from calib.experiments.clouds import separating_line
from calib.readout import ReadoutPulse, Resonator, sample_iq
from envs.readout_shots import Clouds, sample_points

# Few jumps, many decays, many excitations to |2⟩, and a tone off the middle.
TONES = ((0.5, 7.0, 1200.0, 70.0), (0.6, 7.001, 2000.0, 1.5), (1.0, 6.9995, 1500.0, 60.0))


def arrays(index: int) -> np.ndarray:
    return np.array([tone[index] for tone in TONES])


def test_points_are_distributed_as_those_of_one_qubit():
    """Kolmogorov and Smirnov's test at 1e-6 for each of 18 samples: 2e-5 for a false alarm."""
    shots, rng = 8000, np.random.default_rng(1)
    resonator = Resonator(cable_phase_rad=np.array([0.3, -2.0, 1.0]))
    levels = np.broadcast_to(np.arange(3)[:, None], (3, 3, shots))
    pulse = ReadoutPulse(arrays(0), arrays(1), arrays(2))
    points = sample_points(levels, resonator, pulse, arrays(3), rng)
    for row, (amplitude, frequency_ghz, duration_ns, t1_us) in enumerate(TONES):
        one = Resonator(cable_phase_rad=float(np.asarray(resonator.cable_phase_rad)[row]))
        tone = ReadoutPulse(amplitude, frequency_ghz, duration_ns)
        for level in range(3):
            expected, _ = sample_iq(np.full(shots, level), one, tone, t1_us, rng)
            for part in ("real", "imag"):
                clouds = [getattr(one, part) for one in (points[row, level], expected)]
                assert np.asarray(ks_2samp(*clouds))[1] > 1e-6, (row, level, part)


def test_halves_judge_each_other_as_the_experiment_does():
    rng = np.random.default_rng(2)
    points = np.array([[[-0.3 + 0.1j], [0.2 + 0.3j]], [[0.5 + 0j], [-0.1 - 0.2j]]])
    points = points + 0.2 * (rng.standard_normal((2, 2, 40)) + 1j * rng.standard_normal((2, 2, 40)))
    clouds = Clouds.of(points)
    for row, (zeros, ones) in enumerate(points):
        said = np.zeros(2, dtype=np.int64)
        for own, other in ((slice(0, None, 2), slice(1, None, 2)),
                           (slice(1, None, 2), slice(0, None, 2))):  # fmt: skip
            line = separating_line(zeros[own], ones[own])
            said += [line.says_one(zeros[other]).sum(), line.says_one(ones[other]).sum()]
        assert clouds.ones[row].tolist() == said.tolist()
        turned = points[row] * np.exp(-1j * np.angle(ones.mean() - zeros.mean()))
        assert clouds.along[row] == pytest.approx(turned.mean(-1).real)
        assert turned.mean(-1).imag == pytest.approx(clouds.across[row])
        assert clouds.spread_along[row] == pytest.approx(turned.real.std(-1))
        assert clouds.spread_across[row] == pytest.approx(turned.imag.std(-1))


def test_where_nothing_is_to_be_seen_half_is_wrong():
    """A line judged by its own points would seem to err less. Five deviations: 6e-7."""
    rng = np.random.default_rng(3)
    points = rng.standard_normal((2000, 2, 16)) + 1j * rng.standard_normal((2000, 2, 16))
    errors = Clouds.of(points).error(16)
    assert abs(errors.mean() - 0.5) < 5 * errors.std() / np.sqrt(2000)
    own = [separating_line(*one).error(*one) for one in points[:200]]
    assert np.mean(own) < 0.46

"""The line between two IQ clouds against the closed form of equal Gaussian clouds."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from calib.experiments import readout_discrimination
from calib.experiments.clouds import contrast, separating_line

CONTROLS = {
    "q0.readout.amplitude": 0.5,
    "q0.readout.frequency_ghz": 7.0,
    "q0.readout.duration_ns": 1200.0,
    "q0.readout.angle_rad": 0.0,
    "q0.readout.threshold": 0.0,
}


def _cloud(middle, width, shots, rng):
    return middle + width * (rng.normal(size=shots) + 1j * rng.normal(size=shots))


@pytest.mark.parametrize("angle", [-2.0, 0.3, 3.0])
def test_line_between_gaussian_clouds_and_its_uncertainty(angle):
    rng = np.random.default_rng(1)
    step = 4 * np.exp(1j * angle)
    lines = [separating_line(_cloud(1 - 2j, 1, 400, rng), _cloud(1 - 2j + step, 1, 400, rng))
             for _ in range(800)]  # fmt: skip
    threshold = float(np.real((1 - 2j + step / 2) * np.exp(-1j * angle)))
    off = [math.remainder(line.angle_rad - angle, 2 * math.pi) for line in lines]
    # Spreads of 800 draws are known to 2.5 %, means to 3.5 % of them: five of each.
    assert abs(np.mean(off)) < 0.2 * lines[0].angle_uncertainty_rad
    assert np.std(off) == pytest.approx(lines[0].angle_uncertainty_rad, rel=0.2)
    # The threshold moves with the angle too, by the clouds' distance from the origin: compared
    # where the angle is that of the truth.
    at_truth = [line.threshold for line in lines]
    assert np.mean(at_truth) == pytest.approx(threshold, abs=0.02)


def test_error_of_the_line_is_that_of_gaussian_clouds():
    rng = np.random.default_rng(2)
    zeros, ones = _cloud(0, 1, 200_000, rng), _cloud(3j, 1, 200_000, rng)
    line = separating_line(zeros, ones)
    expected = NormalDist().cdf(-1.5)  # 0.0668, ± 4e-4
    assert line.error(zeros, ones) == pytest.approx(expected, abs=0.0025)
    assert contrast(zeros, ones) == pytest.approx(3, abs=0.03)


def test_qubits_that_decayed_hardly_move_the_line():
    rng = np.random.default_rng(3)
    zeros, ones = _cloud(0, 0.5, 20_000, rng), _cloud(3, 0.5, 20_000, rng)
    ones[:1000] = _cloud(0, 0.5, 1000, rng)
    assert separating_line(zeros, ones).threshold == pytest.approx(1.5, abs=0.05)


def test_discrimination_sets_the_line(measured):
    zero, one = 0.3 + 0.1j, 0.1 + 0.4j
    found = measured(readout_discrimination(), CONTROLS, {}, seed=4, cloud=(zero, one, 0.08))
    assert found.deviation.trusted
    angle, threshold = found.updates
    assert abs(angle.value - np.angle(one - zero)) < 5 * angle.uncertainty
    assert angle.uncertainty < 0.02
    middle = float(np.real((zero + one) / 2 * np.exp(-1j * angle.value)))
    assert abs(threshold.value - middle) < 5 * threshold.uncertainty
    # The line in force is Re(iq) > 0.
    wrong = NormalDist().cdf(zero.real / 0.08) + NormalDist().cdf(-one.real / 0.08)
    best = NormalDist().cdf(-abs(one - zero) / 2 / 0.08)
    assert found.deviation.value == pytest.approx(wrong / 2 - best, abs=0.03)


def test_clouds_on_top_of_each_other_are_not_trusted(measured):
    found = measured(readout_discrimination(), CONTROLS, {}, seed=5, cloud=(1j, 1j, 0.1))
    assert not found.deviation.trusted
    assert found.updates == ()

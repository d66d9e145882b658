"""The line between two IQ clouds against the closed form of equal Gaussian clouds."""

import dataclasses
import math
from statistics import NormalDist

import numpy as np
import pytest

from calib.experiments import readout_discrimination, readout_error, readout_tone
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
    # The threshold moves with the angle too, by the clouds' distance from the origin.
    thresholds = [line.threshold for line in lines]
    assert np.mean(thresholds) == pytest.approx(threshold, abs=0.02)
    assert np.std(thresholds) == pytest.approx(lines[0].threshold_uncertainty, rel=0.2)


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


def test_what_a_line_errs_beyond_another_on_the_same_points_is_known_sharply(measured):
    controls = CONTROLS | {"q0.readout.threshold": 0.06}
    found = [measured(readout_discrimination(), controls, {}, seed=seed).deviation
             for seed in range(40)]  # fmt: skip
    # Clouds at ∓1 of width 0.5: they err at 2.12 and 1.88 standard deviations, at best at 2.
    tail = NormalDist().cdf
    excess = (tail(-2.12) + tail(-1.88)) / 2 - tail(-2)
    differ = (tail(-1.88) - tail(-2)) + (tail(-2) - tail(-2.12))
    claimed = math.sqrt(differ / 2000) / 2  # 1.3e-3, where one line alone is known to 2.4e-3
    # Spreads of 40 are known to 11 %; the best line, which moves too, adds some.
    assert np.mean([one.uncertainty for one in found]) == pytest.approx(claimed, rel=0.15)
    assert np.std([one.value for one in found], ddof=1) == pytest.approx(claimed, rel=0.5)
    assert np.mean([one.value for one in found]) == pytest.approx(excess, abs=1.1e-3)


def test_what_one_tone_errs_beyond_another_is_a_difference_of_two_rates(measured):
    calibration = readout_tone("frequency_ghz", points=3, shots=4000)
    found = [measured(calibration, CONTROLS, {}, seed=seed) for seed in range(8)]
    moved = [one for one in found if len(one.updates) == 3]  # the line's two and the frequency
    assert len(moved) >= 2  # all tones are alike, so that two in three choose another
    rate = NormalDist().cdf(-2)
    for one in moved:
        # Of some 360 wrong points in all: known to 2.6 %, of which these are five.
        claimed = math.sqrt(rate * (1 - rate) / 4000)
        assert one.deviation.uncertainty == pytest.approx(claimed, rel=0.13)
        assert abs(one.deviation.value) < 5 * claimed


def test_a_readout_error_is_as_uncertain_as_its_data_say(measured):
    few = dataclasses.replace(readout_error(), shots=200)
    found = measured(few, {}, {}, seed=6, misread=(0.2, 0.3)).deviation
    # 0.25 of 400 points; the rate, known to 12 %, makes its spread uncertain by 6 %.
    assert found.uncertainty == pytest.approx(math.sqrt(0.25 / 400), rel=0.3)
    assert abs(found.value - 0.25) < 5 * found.uncertainty


def test_a_setting_that_no_tone_has_is_refused():
    with pytest.raises(ValueError, match="amplitude, frequency_ghz, duration_ns, got 'power'"):
        readout_tone("power")  # pyright: ignore[reportArgumentType]  # what is tested


def test_clouds_on_top_of_each_other_are_not_trusted(measured):
    found = measured(readout_discrimination(), CONTROLS, {}, seed=5, cloud=(1j, 1j, 0.1))
    assert not found.deviation.trusted
    assert found.updates == ()

"""What one look says of errors: angles all round, and how sure it is."""

import math

import numpy as np

from calib.device_config import DeviceConfig
from envs.estimates import Estimates
from envs.pulse_game import PulseGame

GAME = PulseGame(DeviceConfig())
ESTIMATES = Estimates(GAME)
ONCE = np.zeros(1, dtype=np.int64)


def test_an_axis_far_off_is_told_as_well_as_one_nearby():
    """Its sine alone would say 0.39 of a full move for 0.75."""
    axis = GAME.knobs.index("x.phase_rad")
    for off in (0.1, 0.4, 0.75, -0.75):
        physics, settings = GAME.typical()
        settings[0, axis] += off * math.pi / 2
        told = ESTIMATES.of(GAME.chances(physics, settings, ONCE[None])[:, 0], ONCE)
        assert abs(told[0, axis] - off) < 0.1 * abs(off)


def test_uncertainties_are_those_of_many_looks():
    """2,000 looks of 100 shots: a standard deviation is then known to 1.6 %, and linear to 10 %."""
    physics, settings = GAME.typical()
    settings[0] += 0.05 * GAME.reach
    k = np.array([2])
    chances = GAME.chances(physics, settings, k[None])[0, 0]
    shares = np.random.default_rng(5).binomial(100, chances, (2000, len(chances))) / 100
    spread = ESTIMATES.of(shares, np.repeat(k, 2000)).std(axis=0)
    said = ESTIMATES.uncertainties(chances[None], k, 100)[0]
    np.testing.assert_allclose(said, spread, rtol=0.15)

"""The batched game and the same game through Qiskit's circuits agree in distribution."""

import numpy as np
from scipy import stats

from calib.device_config import DeviceConfig
from envs.pulse import PulseCalibration
from envs.pulse_game import PulseGame
from envs.qiskit_laboratory import qiskit_laboratory


def test_counts_of_circuits_follow_the_batched_chances():
    """χ² of all circuits at all lengths: p above 1e-4, where wrong chances give 0.

    The batched chances are good to 5e-3; of 400 shots (deviation 0.025) that adds 0.04 a degree.
    """
    game, rng = PulseGame(DeviceConfig()), np.random.default_rng(11)
    physics, settings = game.draw(3, rng)
    settings[1:] = game.typical()[1]  # one far off, and two near
    settings[1:, 0] = physics["frequency_ghz"][1:]
    doublings = np.array([[0, 1, 3], [0, 2, 4], [1, 2, 5]])
    shots = np.array([400, 400, 400])
    ones = qiskit_laboratory(game)(physics, settings, doublings, shots, rng)
    chances = game.chances(physics, settings, doublings)
    z2 = (ones - 400 * chances) ** 2 / (400 * chances * (1 - chances))
    assert stats.chi2.sf(z2.sum(), z2.size) > 1e-4
    turned = np.roll(chances, 1, axis=0)  # the other devices' chances do not fit
    assert ((ones - 400 * turned) ** 2 / (400 * turned * (1 - turned))).sum() > 10 * z2.size


def test_both_stacks_play_the_same_episode_in_distribution():
    """First observations of many drawn devices, circuit by circuit (Kolmogorov and Smirnov)."""
    config = {"looks": 2, "shots": 16, "reward": {"repetitions": [1, 4], "shots": 2}}
    batched, slow = (PulseCalibration(config, stack=stack) for stack in ("batched", "qiskit"))
    many = np.array([batched.reset(seed=seed)[0] for seed in range(400)])
    few = np.array([slow.reset(seed=1000 + seed)[0] for seed in range(40)])
    for circuit in range(12):
        # 12 tests: a false alarm once in 1e4 runs.
        found = stats.ks_2samp(many[:, circuit], few[:, circuit])
        assert float(found.pvalue) > 1e-5  # pyright: ignore[reportAttributeAccessIssue] scipy's own

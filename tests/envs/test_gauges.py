"""Rewards by random sequences and by leakage: where they are least, what they see, how surely."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from calib.device_config import DeviceConfig
from envs.calibration import CalibrationConfig, Calibrations, Rules
from envs.cz import CZCalibration
from envs.cz_game import CZGame
from envs.ecr import ECRCalibration
from envs.game import Array, Game
from envs.gauges import Gauge, gauge_of
from envs.lone_qubits import level_probabilities
from envs.pulse import PulseCalibration
from envs.pulse_game import PulseGame
from envs.qiskit_laboratory import qiskit_laboratory
from envs.readout import ReadoutCalibration
from envs.rewards import Measure, Reward

PULSE = PulseGame(DeviceConfig())
FAST = PulseGame(DeviceConfig.model_validate({"timing": {"one_qubit_ns": 10.0}}))  # it leaks
MANY = 10**7  # shots without noise to speak of


def exact(gauge: Gauge, physics: Any, settings: Array) -> Array:
    """Scores [B] from so many shots that they are the chances."""
    reward = Reward(shots=MANY)
    lengths = np.tile(reward.doublings(gauge.game.longest), (len(settings), 1))
    chances = gauge.game.chances(physics, settings, lengths)
    return gauge.score(reward, np.rint(MANY * chances).astype(np.int64))


# A knob, and how far it is turned: each shows well above what the best settings score.
TURNED: list[tuple[Game, Measure, str, float]] = [
    (PULSE, "randomised", "frequency_ghz", 0.3e-3),
    (PULSE, "randomised", "sx.amplitude", 0.005),
    (PULSE, "randomised", "sx.drag_ns", 0.5),
    (PULSE, "randomised", "x.amplitude", 0.01),
    (PULSE, "randomised", "x.drag_ns", 0.3),
    (PULSE, "randomised", "x.phase_rad", 0.03),
    (FAST, "leakage", "x.drag_ns", 0.3),
    (CZGame(DeviceConfig()), "leakage", "cz.duration_ns", 0.3),
    (CZGame(DeviceConfig()), "leakage", "cz.amplitude", 0.003),
]


@pytest.mark.parametrize(("game", "measure", "knob", "turn"), TURNED)
def test_the_truth_scores_least(game: Game, measure: Measure, knob: str, turn: float):
    gauge, (physics, best) = gauge_of(game, measure), game.typical()
    scores = []
    for times in (-2, -1, 0, 1, 2):
        settings = best.copy()
        settings[0, game.knobs.index(knob)] += times * turn
        scores.append(float(exact(gauge, physics, settings)[0]))
    assert 0 <= scores[2] < 0.08
    assert scores[0] > scores[1] > scores[2] < scores[3] < scores[4]


def test_random_sequences_score_by_the_error_of_a_clifford():
    """SX too high by 6 % errs by 2/3 sin²(e/2), e = 0.06·π/2, in 16 of 24 Cliffords.

    These 12 sequences are a draw of all: they may be off by a third of that.
    """
    gauge = gauge_of(PULSE, "randomised")
    physics, settings = PULSE.typical()
    physics = {**physics, "t1_us": np.array([1e6]), "t2_us": np.array([1e6]),
               "thermal_population": np.array([1e-9]), "read_one_0": np.zeros(1),
               "read_one_1": np.ones(1)}  # fmt: skip
    assert exact(gauge, physics, settings)[0] == pytest.approx(0, abs=1e-4)
    settings[0, 1] *= 1.06
    left = 1 - 2 * (16 / 24) * (2 / 3) * math.sin(0.03 * math.pi / 2) ** 2
    expected = np.mean([1 - left ** (length + 1) for length in (1, 4, 16, 256)])
    assert exact(gauge, physics, settings)[0] == pytest.approx(expected, rel=0.33)


def test_leakage_is_the_population_of_level_2():
    """A hot and short-lived qubit climbs to level 2 while its right pulses play."""
    gauge = gauge_of(PULSE, "leakage")
    physics, settings = PULSE.draw(12, np.random.default_rng(1), 0.0)
    physics = {**physics, "t1_us": np.full(12, 10.0), "t2_us": np.full(12, 10.0),
               "thermal_population": np.full(12, 0.1)}  # fmt: skip
    found = exact(gauge, physics, settings)
    told = 2 * physics["read_one_2"] - physics["read_one_0"] - physics["read_one_1"]
    lengths = np.tile([0, 2, 4, 6], (12, 1))
    assert isinstance(gauge.game, PulseGame)
    levels = level_probabilities(
        *PULSE.tensors(physics, settings), gauge.game.sequences, torch.from_numpy(lengths)
    )[..., 2].numpy()
    climbed = levels[..., :48].mean(axis=(1, 2)) - levels[..., 48:].mean(axis=(1, 2))
    print(found / told, climbed)
    assert found / told == pytest.approx(climbed, abs=5e-4)
    assert climbed.min() > 0.005


def test_the_phases_of_a_pair_are_no_leakage():
    pairs = gauge_of(CZGame(DeviceConfig()), "leakage")
    physics, settings = pairs.game.typical()
    turned = settings + np.array([0, 0, 0.5, 0.5])
    assert exact(pairs, physics, turned) == pytest.approx(exact(pairs, physics, settings), abs=1e-6)


def test_random_sequences_see_what_repeated_blocks_do_not():
    """In 10 ns, DRAG of X that is 3 ns off turns it into nearly another gate, and blocks end well.

    The errors by the judge: 10,000 coherence limits against less than 2.
    """
    physics, right = FAST.draw(1, np.random.default_rng(5), 0.0)
    wrong = right + np.array([0, 0, 0, 0, -3.0, 0])
    assert FAST.ratios(physics, right)[0, 1] < 2
    assert FAST.ratios(physics, wrong)[0, 1] > 1000
    gauge, lengths = gauge_of(FAST, "randomised"), np.array([[0, 2, 4, 6]])
    scores = []
    for settings in (right, wrong):
        ones = np.rint(MANY * FAST.chances(physics, settings, lengths)).astype(np.int64)
        amplified = Reward(shots=MANY).score(ones, FAST.ideal)
        scores.append((amplified[0], exact(gauge, physics, settings)[0]))
    assert scores[1][0] < scores[0][0]
    assert scores[1][1] > scores[0][1] + 0.5


@pytest.mark.parametrize(("game", "measure"), [(PULSE, "randomised"), (FAST, "leakage")])
def test_scores_are_unbiased(game: PulseGame, measure: Measure):
    """The mean of 4,000 scores is within 4.5 of its standard deviations: else one time in 1e5."""
    gauge, reward = gauge_of(game, measure), Reward(shots=8)
    physics, settings = game.draw(4, np.random.default_rng(2), 0.3)
    lengths = np.tile(reward.doublings(gauge.game.longest), (4, 1))
    chances = gauge.game.chances(physics, settings, lengths)
    counts = np.random.default_rng(3).binomial(reward.shots, chances, (4000, *chances.shape))
    flat = counts.reshape(-1, *chances.shape[1:])
    scores = gauge.score(reward, flat).reshape(4000, 4)
    spread = scores.std(axis=0)
    off = (scores.mean(axis=0) - exact(gauge, physics, settings)) / (spread / math.sqrt(4000))
    assert np.abs(off).max() < 4.5


@pytest.mark.parametrize("measure", ["randomised", "leakage"])
def test_circuits_on_the_device_follow_the_batched_chances(measure: Measure):
    """χ² of all circuits: p above 1e-5, where wrong chances give 0.

    The batched chances are good to 5e-3: for 100 shots that adds 0.01 a degree where they are even.
    Rarer outcomes are not compared.
    """
    game, rng = gauge_of(PULSE, measure).game, np.random.default_rng(11)
    physics, settings = PULSE.draw(2, rng, 0.5)
    doublings = np.array([[0, 3], [2, 5]])
    ones = qiskit_laboratory(game)(physics, settings, doublings, np.array([100, 100]), rng)
    chances = game.chances(physics, settings, doublings)
    z2 = (ones - 100 * chances) ** 2 / (100 * chances * (1 - chances))
    z2 = z2[(chances > 0.05) & (chances < 0.95)]
    assert z2.size > 15
    assert stats.chi2.sf(z2.sum(), z2.size) > 1e-5


def test_measures_are_weighed():
    """Of two measures the score is the sum, each times its weight: in expectation, by 4.5 sigma."""
    measures = {"amplified": 1.0, "randomised": 0.5, "leakage": 2.0}
    reward = Reward.model_validate({"measures": measures, "repetitions": [1, 4], "shots": 64})
    rules = Rules(PULSE, CalibrationConfig(reward=reward))
    play = Calibrations(rules, 600)
    play.begin(np.ones(600, dtype=bool), np.random.default_rng(5))
    lengths = np.tile([0, 2], (600, 1))
    own = PULSE.chances(play.physics, play.settings, lengths)
    expected = np.maximum.accumulate(4 * (own - PULSE.ideal) ** 2, axis=1).mean(axis=(1, 2))
    few = Reward(repetitions=(1, 4), shots=MANY)
    others: list[tuple[Measure, float]] = [("randomised", 0.5), ("leakage", 2.0)]
    for measure, weight in others:
        gauge = gauge_of(PULSE, measure)
        ones = np.rint(MANY * gauge.game.chances(play.physics, play.settings, lengths))
        expected += weight * gauge.score(few, ones.astype(np.int64))
    off = play.score - expected
    # The larger of two noisy squares is larger on average, by 0.01 at most here.
    assert -4.5 < off.mean() / (off.std() / math.sqrt(600)) < 4.5 + 0.01 / (off.std() / 24.5)
    assert off.std() < 0.15


def test_amplified_alone_is_as_if_nothing_had_been_said():
    one, other = (PulseCalibration({"reward": {"measures": measures}})
                  for measures in ("amplified", {"amplified": 1.0}))  # fmt: skip
    for env in (one, other):
        env.reset(seed=3)
    still = np.zeros(7, dtype=np.float32)
    assert [one.step(still)[1] for _ in range(3)] == [other.step(still)[1] for _ in range(3)]


def test_both_stacks_can_be_paid_by_all_measures():
    config = {"looks": 2, "shots": 4, "reward": {
        "measures": {"amplified": 1, "randomised": 1, "leakage": 1}, "repetitions": [1],
        "shots": 2}}  # fmt: skip
    for stack in ("batched", "qiskit"):
        env = PulseCalibration(config, stack=stack)
        env.reset(seed=1)
        assert math.isfinite(env.step(np.zeros(7, dtype=np.float32))[1])


@pytest.mark.parametrize(
    ("env", "measure", "match"),
    [
        (CZCalibration, "randomised", "has amplified, leakage, got randomised"),
        (ECRCalibration, "leakage", "ecr.amplitude.* has amplified, got leakage"),
        (ReadoutCalibration, "randomised", "readout.amplitude.* has amplified, got randomised"),
        (PulseCalibration, "fidelity", "'amplified', 'randomised' or 'leakage'"),
    ],
)
def test_what_a_game_cannot_measure_is_refused(env: Any, measure: str, match: str):
    with pytest.raises(ValueError, match=match):
        env({"reward": {"measures": measure}})


def test_lengths_beyond_the_sequences_are_refused():
    with pytest.raises(ValueError, match="at most 256 in this game, got 512"):
        PulseCalibration({"reward": {"measures": "randomised", "repetitions": [512]}})

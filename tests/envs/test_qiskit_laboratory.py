"""The batched games and the same games through Qiskit's circuits agree in distribution."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from calib.device_config import DeviceConfig
from envs.calibration_env import CalibrationEnv
from envs.cz import CZCalibration
from envs.cz_game import CZGame
from envs.ecr import ECRCalibration
from envs.ecr_game import ECRGame
from envs.game import HIDDEN
from envs.pulse import PulseCalibration
from envs.pulse_game import PulseGame
from envs.qiskit_laboratory import QiskitGame, qiskit_laboratory, qiskit_points_laboratory
from envs.readout import ReadoutCalibration
from envs.readout_game import ReadoutGame

Array = NDArray[np.float64]
SHOTS = 400
# What the batched chances leave out, root mean square over a look: up to 1.4e-3 with 20,000 shots,
# but for an ECR after 8 blocks, whose tones flip the control at a phase (`envs.crossed_pairs`).
GOOD_TO = 5e-3


def p_value(z2: Array, chances: Array, samples: int = 1) -> float:
    """Of squares that are χ² but for what is left out, which makes them noncentral at most."""
    per_shot = GOOD_TO**2 / (chances * (1 - chances))
    return float(stats.ncx2.sf(z2.sum(), z2.size, (SHOTS * per_shot).sum() / samples))


def squares(ones: NDArray[np.int64], chances: Array) -> Array:
    return (ones - SHOTS * chances) ** 2 / (SHOTS * chances * (1 - chances))


# Games, and the knobs of a kind that could be taken for one another.
GAMES = [
    (PulseGame(DeviceConfig()), [(1, 3), (2, 4)]),
    (CZGame(DeviceConfig()), [(2, 3)]),
    (ECRGame(DeviceConfig.model_validate({"entangler": "ecr"})), [(2, 3)]),
]


@pytest.mark.parametrize(("game", "alike"), GAMES, ids=["pulse", "cz", "ecr"])
def test_counts_of_circuits_follow_the_batched_chances(
    game: QiskitGame, alike: list[tuple[int, int]]
):
    """χ² of all circuits at two lengths: p above 1e-5 for each game, where wrong chances give 0."""
    rng = np.random.default_rng(11)
    physics, settings = game.draw(4, rng, np.array([1.0, 1.0, 0.25, 0.25]))
    if game.gates == ("ecr",):  # the target's tone is none at first
        settings[:, 2:] += rng.uniform(-0.2, 0.2, (4, 2))
    doublings = np.array([[0, 2], [0, 1], [1, 3], [0, 2]])
    shots = np.array([SHOTS, SHOTS])
    ones = qiskit_laboratory(game)(physics, settings, doublings, shots, rng)
    chances = game.chances(physics, settings, doublings)
    assert p_value(squares(ones, chances), chances) > 1e-5
    others = np.roll(chances, 1, axis=0)  # the other devices' chances do not fit
    assert squares(ones, others).sum() > 10 * others.size
    for one, other in alike:
        mixed = settings.copy()
        mixed[:, [one, other]] = settings[:, [other, one]]
        wrong = game.chances(physics, mixed, doublings)
        assert p_value(squares(ones, wrong), wrong) < 1e-12, (game.knobs[one], game.knobs[other])


@pytest.mark.parametrize(
    "made", [PulseCalibration, CZCalibration, ECRCalibration, ReadoutCalibration]
)
def test_both_stacks_play_the_same_episode_in_distribution(made: Any):
    """Three devices, looked at, moved and looked at again: p above 1e-5 for each environment.

    Shares are compared by Anscombe's arcsines, whose variance is 1/(4n + 2) at any chance.
    """
    table = {"looks": 3, "shots": SHOTS, "reward": {"repetitions": [1], "shots": 4}}
    envs: list[CalibrationEnv] = [made(table, stack=stack) for stack in ("batched", "qiskit")]
    circuits = len(envs[0].play.rules.game.circuits)
    actions = np.random.default_rng(12).uniform(-1.0, 1.0, (3, envs[0].play.rules.actions))
    looks, truths = [], []
    for env in envs:
        seen = []
        for seed, action in enumerate(actions.astype(np.float32)):
            first, _ = env.reset(seed=seed)
            second, *_, info = env.step(action)
            seen += [first[:circuits], second[:circuits]]
            truths.append(info[HIDDEN])
        looks.append(SHOTS * (np.array(seen, dtype=np.float64) + 1) / 2)
    assert truths[:3] == truths[3:]  # the same seeds, so the same devices and moves
    batched, slow = (np.arcsin(np.sqrt((ones + 3 / 8) / (SHOTS + 3 / 4))) for ones in looks)
    pooled = (looks[0] + looks[1] + 1) / (2 * SHOTS + 2)
    z2 = (batched - slow) ** 2 * (2 * SHOTS + 1)
    assert p_value(z2, pooled, samples=2) > 1e-5
    turned = np.roll(slow, 1, axis=1)  # the other circuits' shares are not alike
    assert ((batched - turned) ** 2 * (2 * SHOTS + 1)).sum() > 10 * z2.size


def test_points_of_readouts_lie_as_the_batched_ones_do():
    """χ² of counts in 16 cells of the IQ plane, three devices: p above 1e-5, nothing left out."""
    game, rng = ReadoutGame(DeviceConfig()), np.random.default_rng(13)
    physics, settings = game.draw(3, rng)
    settings[:, 2] *= np.array([1.0, 0.5, 1.5])
    batched, slow = (sample(physics, settings, 3000, rng)
                     for sample in (game.sample, qiskit_points_laboratory(game)))  # fmt: skip
    assert batched.shape == slow.shape == (3, 2, 3000)
    freedom = 15 * 6  # at most: cells may be empty
    assert stats.chi2.sf(_two_samples(batched, slow), freedom) > 1e-5
    for axis in (0, 1):  # the other devices' and the other state's points do not fit
        assert _two_samples(batched, np.roll(slow, 1, axis=axis)) > 10 * freedom


def _two_samples(first: NDArray[np.complex128], second: NDArray[np.complex128]) -> float:
    """χ² of all pairs of clouds, in cells between the quarters of both together along each axis."""
    found = 0.0
    for clouds in zip(first.reshape(-1, 3000), second.reshape(-1, 3000), strict=True):
        parts = [(one.real, one.imag) for one in clouds]
        edges = [np.quantile(np.concatenate(axis), [0.25, 0.5, 0.75])
                 for axis in zip(*parts, strict=True)]  # fmt: skip
        cells = [4 * np.searchsorted(edges[0], real) + np.searchsorted(edges[1], imaginary)
                 for real, imaginary in parts]  # fmt: skip
        here, there = (np.bincount(one, minlength=16) for one in cells)
        found += float(((here - there) ** 2 / np.maximum(here + there, 1)).sum())
    return found


@pytest.mark.parametrize("made", [PulseCalibration, ReadoutCalibration])
def test_an_unknown_stack_is_refused(made: Any):
    with pytest.raises(ValueError, match="stack must be 'batched' or 'qiskit', got 'exact'"):
        made(stack="exact")

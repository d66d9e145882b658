"""Random Cliffords come back, and decay as theory says."""

import math

import numpy as np
import pytest
import torch

from calib.device_config import DeviceConfig
from envs.lone_qubits import level_probabilities
from envs.pulse_game import PulseGame
from envs.randomised import CLIFFORDS, RandomSequences
from envs.randomised_pulses import RandomisedPulses, random_levels
from envs.sequences import Word

_SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2


def unitary(words: tuple[Word, ...]) -> np.ndarray:
    """By the matrices of textbooks."""
    whole = np.eye(2, dtype=complex)
    for word in words:
        if isinstance(word, str):
            gate = {"sx": _SX, "x": np.array([[0, 1], [1, 0]])}[word]
        else:
            gate = np.diag([np.exp(-0.5j * word), np.exp(0.5j * word)])
        whole = gate @ whole
    return whole


def test_the_cliffords_are_a_group_of_24_with_one_pulse_at_most():
    matrices = [unitary(one.words) for one in CLIFFORDS]
    for k, one in enumerate(matrices):
        for other in matrices[:k]:
            assert abs(np.trace(one.conj().T @ other)) < 1.999  # not alike but for a phase
    products = {
        max(range(24), key=lambda k: abs(np.trace(matrices[k].conj().T @ one @ other)))
        for one in matrices[:6]
        for other in matrices
    }
    assert products == set(range(24))
    pulses = [[word for word in one.words if isinstance(word, str)] for one in CLIFFORDS]
    assert [pulses.count(kind) for kind in ([], ["sx"], ["x"])] == [4, 16, 4]


def test_every_sequence_comes_back():
    sequences = RandomSequences.drawn(20, 5, np.random.default_rng(1))
    for row in range(20):
        for k in range(6):
            returned = unitary(sequences.sequence(row, 2**k).start) @ [1, 0]
            assert abs(returned[0]) ** 2 == pytest.approx(1, abs=1e-12)


def test_in_one_call_they_are_what_they_are_word_by_word():
    game = RandomisedPulses(DeviceConfig())
    physics, settings = game.draw(3, np.random.default_rng(1), 0.3)
    doublings = np.array([[0, 3, 8], [8, 0, 5], [2, 2, 7]])
    found = game.chances(physics, settings, doublings)
    assert found.shape == (3, 3, len(game.circuits))
    read_one = np.stack([physics[f"read_one_{level}"] for level in range(3)])
    for row, lengths in enumerate(doublings):
        one = {name: values[row : row + 1] for name, values in physics.items()}
        for column, k in enumerate(lengths):
            words = [game.sequences_drawn.sequence(s, 2 ** int(k)) for s in range(12)]
            levels = level_probabilities(
                *game.tensors(one, settings[row : row + 1]), words, torch.zeros(1, 1).long()
            )[0, 0]
            expected = levels.numpy() @ read_one[:, row]
            assert found[row, column] == pytest.approx(expected, abs=2e-5)


def test_they_decay_by_the_error_of_a_clifford():
    """An SX that turns too far by e errs by 2/3 sin²(e/2), and is in 16 of 24 Cliffords.

    2,000 sequences tell the mean to some 2 % (one standard deviation, as the sequences' own errors
    scatter about as much as their mean): 12 % is a false alarm in 1e-8.
    """
    game = PulseGame(DeviceConfig())
    physics, settings = game.draw(1, np.random.default_rng(4), 0.0)
    physics = {**physics, "t1_us": np.array([1e6]), "t2_us": np.array([1e6])}
    physics["thermal_population"] = np.array([1e-9])
    sequences = RandomSequences.drawn(2000, 6, np.random.default_rng(9))
    for share in (0.03, 0.1):
        off = settings.copy()
        off[:, 1] *= 1 + share
        levels = random_levels(*game.tensors(physics, off), sequences, torch.tensor([[4, 6]]))
        error = 2 / 3 * math.sin(share * math.pi / 4) ** 2 * 16 / 24
        expected = [(1 - (1 - 2 * error) ** (2**k + 1)) / 2 for k in (4, 6)]
        found = levels[0, :, :, 1].mean(dim=1).tolist()
        assert found == pytest.approx(expected, rel=0.12)

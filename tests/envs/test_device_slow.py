"""A whole device in the batched game and on Qiskit's backend: the same outcomes and price."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import pytest
from scipy import stats

from calib.backend import DriftingBackend
from envs.device_game import DeviceGame
from envs.device_looks import EXPERIMENTS
from envs.device_slow import as_device, look
from envs.device_upkeep import UpkeepConfig

SHOTS = 400


def test_looks_show_and_cost_what_the_device_says():
    """χ² of all circuits: p above 1e-5 for each of 10 experiments, where wrong chances give 0.

    The batched chances are good to 5e-3; of 400 shots (deviation 0.025) that adds 0.04 a degree.
    """
    game, rng = DeviceGame(UpkeepConfig().devices), np.random.default_rng(12)
    physics, settings = game.draw(2, rng, np.array([1.0, 1 / 16]))
    doublings = rng.integers(0, 4, (2, len(game.targets)))
    chances = game.chances(physics, settings, doublings[:, :, None])[:, :, 0]
    backends = [DriftingBackend(as_device(game, physics, settings, row, seed=row))
                for row in range(2)]  # fmt: skip
    others: list[float] = []
    for one in (each for each in EXPERIMENTS if each.width):
        (group, *_) = game.menu.groups(one.width)
        looked = game.menu.chosen(
            np.full(2, one.width), np.full(2, group), np.zeros(doublings.shape)
        )
        played = np.zeros((2, game.circuits), dtype=bool)
        played[:, list(one.circuits)] = True
        costs_s = game.job_s(settings, doublings, SHOTS, looked, played)
        z2: list[float] = []
        for row, backend in enumerate(backends):
            before = backend.spent
            numbers = np.nonzero(looked[row])[0]
            lengths = {game.targets[n]: int(doublings[row, n]) for n in numbers}
            circuits = look(game, backend.device, one, lengths)
            result = backend.run(circuits, shots=SHOTS).result()
            spent = backend.spent - before
            assert spent.device_time_s == pytest.approx(costs_s[row], rel=1e-9)
            assert spent.shots == SHOTS * len(one.circuits)
            for place, circuit in enumerate(one.circuits):
                counts = cast("Mapping[str, int]", result.get_counts(place))
                for bit, n in enumerate(numbers):
                    ones = sum(times for key, times in counts.items() if key[::-1][bit] == "1")
                    z2.append(squared_z(ones, chances[row, n, circuit]))
                    others.append(squared_z(ones, chances[1 - row, n, circuit]))
        assert stats.chi2.sf(sum(z2), len(z2)) > 1e-5, one.name
    assert sum(others) > 10 * len(others)  # the other device's chances do not fit


def squared_z(ones: int, chance: float) -> float:
    return (ones - SHOTS * chance) ** 2 / (SHOTS * chance * (1 - chance))

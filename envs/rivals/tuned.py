"""The rivals with the settings that did best on training devices: seeds 1 to 99."""

from __future__ import annotations

import pathlib
from typing import Literal

import numpy as np

from calib.device_config import DeviceConfig
from envs.calibration import CalibrationConfig
from envs.cz_game import CZGame
from envs.held_out import as_pairs, as_pulses, lone_qubit, pair
from envs.pulse_game import PulseGame
from envs.rivals.bayesian import Bayesian
from envs.rivals.bench import Bench, Rival, Stage, search_widths
from envs.rivals.cma_es import CMAES
from envs.rivals.linear_feedback import LinearFeedback
from envs.rivals.nelder_mead import NelderMead
from envs.rivals.played import Played
from envs.rivals.random_search import RandomSearch

Kind = Literal["pulse", "cz"]
KINDS: dict[Kind, str] = {"pulse": "SX and X of one qubit", "cz": "CZ of a pair"}
# The routine takes so many times fewer shots where it need not be better than is asked.
FEWER_SHOTS: dict[Kind, int] = {"pulse": 32, "cz": 4}


def bench_of(kind: Kind, seeds: range) -> Bench:
    """Devices of these seeds, as a laboratory meets them."""
    config = DeviceConfig()
    if kind == "pulse":
        game = PulseGame(config)
        physics, settings = as_pulses([lone_qubit(seed) for seed in seeds])
        centre = settings
    else:
        game = CZGame(config)
        physics, settings = as_pairs([pair(seed) for seed in seeds])
        # A lab that simulates one pair knows by how much the textbook's pulse is too short.
        centre = settings + np.array([*game.beyond_textbook, 0.0, 0.0])
    widths = search_widths(game.knobs, settings, config.start)
    return Bench(game, physics, settings, centre, widths)


def linear_feedback(kind: Kind) -> Rival:
    """The hand-made controller."""
    if kind == "pulse":
        doublings, shots = (0, 1, 2, 3, 4, 5, 6, 6), 24
        player = LinearFeedback(PulseGame(DeviceConfig()), doublings)
    else:
        doublings, shots = (0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5), 64
        player = LinearFeedback(CZGame(DeviceConfig()), doublings)
    config = CalibrationConfig(looks=len(doublings) + 1, shots=shots)
    return Played(player, config, "linear feedback")


def agent(folder: pathlib.Path) -> Rival:
    """A trained agent, by the rules of its training."""
    from envs.agents.checkpoint import load_policy

    trained = load_policy(folder)
    config = CalibrationConfig.model_validate(trained.environment.config or {})
    return Played(trained, config, "agent")


def optimisers(kind: Kind) -> tuple[Rival, ...]:
    """Those that know nothing of the physics."""
    return (CMAES(_CMA[kind], population=14), _BAYESIAN[kind], NelderMead(_SIMPLEX[kind]),
            RandomSearch(_RANDOM[kind]))  # fmt: skip


def _zooming(
    lengths: tuple[tuple[int, ...], ...], shots: int, evaluations: int, shrink: float
) -> tuple[Stage, ...]:
    """Stages of longer and longer blocks, each in a box smaller by a factor."""
    return tuple(Stage(repetitions, shots, evaluations, shrink**number)
                 for number, repetitions in enumerate(lengths))  # fmt: skip


_CMA = {
    "pulse": (*_zooming(((1, 2), (2, 8)), 32, 350, 1.0), *_zooming(((8, 32),), 64, 700, 1.0)),
    "cz": (*_zooming(((1, 2), (1, 4), (4, 8)), 32, 280, 1.0),
           *_zooming(((8, 16),), 64, 560, 1.0)),
}  # fmt: skip
_SIX = ((1, 2), (1, 2), (1, 4), (2, 8), (4, 16), (8, 32))
_FIVE = ((1,), (1, 2), (1, 4), (2, 8), (8, 16))
_BAYESIAN = {
    "pulse": Bayesian(_zooming(_SIX, 32, 36, 0.55), begin=10, kappa=1.0,
                      lengths=(2.0, 12.0, 2.0, 12.0, 1.0, 0.6)),
    "cz": Bayesian(_zooming(_FIVE, 64, 60, 0.6), begin=15, kappa=1.0,
                   lengths=(0.5, 2.0, 1.0, 0.6)),
}  # fmt: skip
_SIMPLEX = {"pulse": _zooming(_SIX, 128, 80, 0.6), "cz": _zooming(_FIVE, 128, 60, 0.6)}
_RANDOM = {
    "pulse": _zooming(((1, 2),) * 4 + tuple(one for one in _SIX[2:] for _ in range(3)),
                      64, 160, 0.75),
    "cz": _zooming(tuple(one for one in _FIVE for _ in range(3)), 64, 96, 0.7),
}  # fmt: skip

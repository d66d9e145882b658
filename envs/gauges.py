"""What settings are scored by beside what agents look at: random sequences, and leakage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.cz_game import CZGame
from envs.cz_leakage import CZLeakage
from envs.game import Array, Game
from envs.pulse_game import PulseGame
from envs.pulse_leakage import PulseLeakage
from envs.randomised_pulses import RandomisedPulses
from envs.rewards import Measure, Reward

GaugeGame = PulseGame | CZGame


@dataclass(frozen=True)
class Gauge:
    """A game with circuits that show one thing, and how a score is made of their counts.

    "randomised", of a qubit: twice the share of random sequences that do not come back to |0⟩, mean
    over lengths. At length m that is 1 − p^m, beside errors of readout, for an error of (1 − p)/2 a
    Clifford (arXiv:1109.6887).

    "leakage", of a qubit: the population outside |0⟩ and |1⟩ after repeated pulses, as far as a
    readout of two outcomes shows it; blind to all else, it has its least where pulses leak least,
    and not where they are best, so that it is to be weighed against another measure. Of a CZ: as
    "amplified", from the circuits of leakage alone.

    `weights` [C] are those of `Reward.weighed`; None is the squared distance of `Reward.score`.
    """

    game: GaugeGame
    weights: Array | None

    def score(self, reward: Reward, ones: NDArray[np.int64]) -> Array:
        """From counts [B, lengths, C] to scores [B], not biased by shot noise."""
        if self.weights is None:
            return reward.score(ones, self.game.ideal)
        return reward.weighed(ones, self.weights)


def gauge_of(game: Game, measure: Measure) -> Gauge:
    """The gauge of a game for a measure; ValueError that names those which the game has.

    "amplified" has none, as these are the circuits that agents look at.
    """
    if isinstance(game, PulseGame) and measure == "randomised":
        random = RandomisedPulses(game.devices, game.samples)
        return Gauge(random, np.full(len(random.circuits), 2 / len(random.circuits)))
    if isinstance(game, PulseGame) and measure == "leakage":
        return Gauge(PulseLeakage(game.devices, game.samples), PulseLeakage.weights)
    if isinstance(game, CZGame) and measure == "leakage":
        return Gauge(CZLeakage(game.devices), None)
    offered = {PulseGame: "amplified, randomised, leakage", CZGame: "amplified, leakage"}
    known = next((text for kind, text in offered.items() if isinstance(game, kind)), "amplified")
    raise ValueError(
        f"reward.measures: the game of {', '.join(game.knobs)} has {known}, got {measure}"
    )

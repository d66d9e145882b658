"""What one look says of each knob's error: least squares, on the slopes of a mean device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.game import Array, Game, Numbers

_STEP = 0.02  # of a full move, for the slopes
_RIDGE = 0.03  # keeps noise out of the directions that one look hardly shows


class Estimates:
    """Linear estimates of the knobs' errors, in full moves at the length that was looked at.

    Near the best settings the chances are linear in the errors, and n times as steep after n
    repetitions. What is far from there is misjudged: an agent has to learn how far to trust this.

    >>> from calib.device_config import DeviceConfig
    >>> from envs.pulse_game import PulseGame
    >>> game = PulseGame(DeviceConfig())
    >>> estimates = Estimates(game)
    >>> physics, settings = game.typical()
    >>> settings[0, 1] += 0.1 * game.reach[1]  # SX too high by a tenth of a full move
    >>> chances = game.chances(physics, settings, np.zeros((1, 1), dtype=np.int64))[:, 0]
    >>> np.abs(estimates.of(chances, np.zeros(1, dtype=np.int64))).round(1).tolist()
    [[0.0, 0.1, 0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(self, game: Game) -> None:
        physics, settings = game.typical()
        knobs, lengths = len(game.knobs), np.arange(game.longest + 1)
        self._best = game.chances(physics, settings, lengths[None])[0]  # [lengths, C]
        turned = np.concatenate([np.eye(knobs), -np.eye(knobs)]) * _STEP
        many = {name: np.repeat(values, 2 * knobs) for name, values in physics.items()}
        weights = []
        for k in lengths:
            moved = settings + turned @ game.moves / 2**k
            seen = game.chances(many, moved, np.full((2 * knobs, 1), k))[:, 0]
            slopes = (seen[:knobs] - seen[knobs:]).T / (2 * _STEP)  # [C, K]
            weights.append(np.linalg.solve(slopes.T @ slopes + _RIDGE * np.eye(knobs), slopes.T))
        self._weights: NDArray[np.float64] = np.array(weights)

    def of(self, share: Array, doublings: Numbers) -> Array:
        """Errors [B, K] from shares of ones [B, C] at lengths [B]."""
        offset = share - self._best[doublings]
        return np.einsum("bkc,bc->bk", self._weights[doublings], offset)

    def uncertainties(self, share: Array, doublings: Numbers, shots: int) -> Array:
        """One standard deviation of each of these [B, K], from so many shots of each circuit."""
        # A share of 0 or 1 is not known to no error: half a count more and less.
        chance = (share * shots + 0.5) / (shots + 1)
        variance = chance * (1 - chance) / shots
        return np.sqrt(np.einsum("bkc,bc->bk", self._weights[doublings] ** 2, variance))

"""What one look says of each knob's error: least squares, on the slopes of a mean device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.game import Angle, Array, Game, Numbers

_STEP = 0.02  # of a full move, for the slopes
_RIDGE = 0.03  # keeps noise out of the directions that one look hardly shows
_SHARP = 4  # a power of the cosine of an angle by which estimates are blurred


class Estimates:
    """Linear estimates of the knobs' errors, in full moves at the length that was looked at.

    Near the best settings the chances are linear in the errors, and n times as steep after n
    repetitions; angles that circuits show by cosine and sine are linear all round. What is far from
    there is misjudged: an agent has to learn how far to trust this.

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
        self._signals = _Signals(game.circuits, game.angles)
        self._blurred = {game.knobs.index(knob): self._signals.number(cosine)
                         for knob, cosine in game.blurred.items()}  # fmt: skip
        physics, settings = game.typical()
        knobs, lengths = len(game.knobs), np.arange(game.longest + 1)
        self._best = self._signals.of(game.chances(physics, settings, lengths[None])[0])
        turned = np.concatenate([np.eye(knobs), -np.eye(knobs)]) * _STEP
        many = {name: np.repeat(values, 2 * knobs) for name, values in physics.items()}
        weights = []
        for k in lengths:
            moved = settings + turned @ game.moves / 2**k
            chances = game.chances(many, moved, np.full((2 * knobs, 1), k))[:, 0]
            off = self._signals.less(self._signals.of(chances), self._best[k])
            slopes = (off[:knobs] - off[knobs:]).T / (2 * _STEP)  # [S, K]
            weights.append(np.linalg.solve(slopes.T @ slopes + _RIDGE * np.eye(knobs), slopes.T))
        self._weights: NDArray[np.float64] = np.array(weights)

    def of(self, share: Array, doublings: Numbers) -> Array:
        """Errors [B, K] from shares of ones [B, C] at lengths [B]."""
        off = self._signals.less(self._signals.of(share), self._best[doublings])
        found = np.einsum("bks,bs->bk", self._weights[doublings], off)
        for knob, angle in self._blurred.items():
            found[:, knob] *= np.cos(np.minimum(np.abs(2 * off[:, angle]), np.pi / 2)) ** _SHARP
        return found

    def uncertainties(self, share: Array, doublings: Numbers, shots: int) -> Array:
        """One standard deviation of each of these [B, K], from so many shots of each circuit."""
        # A share of 0 or 1 is not known to no error: half a count more and less.
        chance = (share * shots + 0.5) / (shots + 1)
        variance = chance * (1 - chance) / shots
        slopes = self._weights[doublings] @ self._signals.slopes(chance, 1 / shots)
        return np.sqrt(np.einsum("bkc,bc->bk", slopes**2, variance))


class _Signals:
    """What is linear in errors: shares of ones, and half of angles that two circuits show.

    Half, as a small angle is twice the change of its sine's share.
    """

    def __init__(self, circuits: tuple[str, ...], angles: tuple[Angle, ...]) -> None:
        places = {name: number for number, name in enumerate(circuits)}
        used = {one for angle in angles for one in (angle.cosine, angle.sine)}
        self._alone = np.array([places[one] for one in circuits if one not in used], dtype=np.int64)
        self._cosine = np.array([places[one.cosine] for one in angles], dtype=np.int64)
        self._sine = np.array([places[one.sine] for one in angles], dtype=np.int64)
        self._cosines = [one.cosine for one in angles]
        self._differences = np.eye(len(angles))
        for number, one in enumerate(angles):
            if one.less is not None:
                self._differences[number, self._cosines.index(one.less)] = -1.0
        self._circuits = len(circuits)

    def number(self, cosine: str) -> int:
        """Which signal is the angle of this cosine."""
        return len(self._alone) + self._cosines.index(cosine)

    def of(self, share: Array) -> Array:
        """From shares of ones [..., C] to signals [..., S]."""
        x, y = 2 * share[..., self._cosine] - 1, 2 * share[..., self._sine] - 1
        angles = np.arctan2(y, x) @ self._differences.T
        return np.concatenate([share[..., self._alone], angles / 2], axis=-1)

    def less(self, first: Array, second: Array) -> Array:
        """The difference of signals, angles going all round."""
        found, alone = first - second, len(self._alone)
        found[..., alone:] = (found[..., alone:] + np.pi / 2) % np.pi - np.pi / 2
        return found

    def slopes(self, share: Array, least: float) -> Array:
        """How signals change with shares [B, C], [B, S, C]; `least` is the least squared length."""
        x, y = 2 * share[..., self._cosine] - 1, 2 * share[..., self._sine] - 1
        length = np.maximum(x**2 + y**2, least)
        alone, each = len(self._alone), np.arange(len(self._cosine))
        shown = np.zeros((len(share), len(each), self._circuits))
        shown[:, each, self._cosine] = -y / length
        shown[:, each, self._sine] = x / length
        found = np.zeros((len(share), alone + len(each), self._circuits))
        found[:, np.arange(alone), self._alone] = 1.0
        found[:, alone:] = self._differences @ shown
        return found

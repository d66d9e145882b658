"""The hand-made controller: it moves by the linear estimates, at lengths that were fixed before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.game import Array, Game

_STEP = 1e-3  # of a full move, for slopes
# Angles that a pair of circuits shows by cosine and sine, and the knobs that they tell of.
_SHOWN = {"axis": ("axis_a", "axis_b"), "a": ("phase_a_x", "phase_a_y"),
          "b": ("phase_b_x", "phase_b_y"), "a_conditional": ("conditional_a_x", "conditional_a_y"),
          "b_conditional": ("conditional_b_x", "conditional_b_y")}  # fmt: skip
_TOLD = ("x.phase_rad", "cz.amplitude", "cz.phase_a_rad", "cz.phase_b_rad")


class LinearFeedback:
    """What a lab would write in an afternoon: after each look, all knobs by their estimates.

    `doublings` are the lengths of the looks after the first, which is at one repetition. The first
    `angle_looks` looks, at one repetition too, take angles by the arc tangent, as far off as they
    may be, and the knobs that turn them by the slopes of a mean device; with `angles_alone` they
    move nothing else.
    """

    def __init__(
        self, game: Game, doublings: tuple[int, ...], angle_looks: int, angles_alone: bool = False
    ) -> None:
        self._doublings, self._angle_looks = doublings, angle_looks
        self._angles_alone = angles_alone
        self._circuits = game.circuits
        self._knobs = len(game.knobs)
        self._told = [game.knobs.index(name) for name in _TOLD if name in game.knobs]
        self._turns = np.linalg.inv(self._slopes(game))

    def act(
        self, observation: NDArray[Any], state: Any = None, starts: NDArray[np.bool_] | None = None
    ) -> tuple[Array, Any]:
        """Actions [B, K + 1] after observations [B, O]; the state counts the looks."""
        looks = 0 if state is None else int(state)
        length = 0 if looks == 0 else self._doublings[looks - 1]
        following = self._doublings[min(looks, len(self._doublings) - 1)]
        first = len(self._circuits)
        moves = observation[:, first : first + self._knobs].astype(np.float64)
        if looks < self._angle_looks:
            moves *= not self._angles_alone
            moves[:, self._told] = -seen_angles(observation, self._circuits) @ self._turns.T
        longer = np.full((len(moves), 1), np.clip((following - length) / 2, -1.0, 1.0))
        return np.concatenate([moves, longer], axis=1), looks + 1

    def _slopes(self, game: Game) -> Array:
        """How much each angle turns by a full move of each knob, at the mean device's best."""
        physics, settings = game.typical()
        columns = []
        for knob in self._told:
            seen = []
            for sign in (1, -1):
                moved = settings + sign * _STEP * game.moves[knob]
                chances = game.chances(physics, moved, np.zeros((1, 1), dtype=np.int64))[:, 0]
                seen.append(seen_angles(2 * chances - 1, self._circuits)[0])
            columns.append(_wrapped(seen[0] - seen[1]) / (2 * _STEP))
        return np.stack(columns, axis=1)


def seen_angles(shown: NDArray[Any], circuits: Sequence[str]) -> Array:
    """By what angles errors have turned qubits [B, A], from what circuits show, 2p − 1 [B, ...].

    That of X's axis; or, of a pair, the phases of a and b and the conditional phase, from both.
    """
    found = {
        name: np.arctan2(shown[:, circuits.index(sine)], shown[:, circuits.index(cosine)])
        for name, (cosine, sine) in _SHOWN.items() if sine in circuits
    }  # fmt: skip
    if "axis" in found:
        return found["axis"][:, None].astype(np.float64)
    both = [np.exp(1j * (found[f"{side}_conditional"] - found[side])) for side in "ab"]
    told = np.stack([np.angle(both[0] + both[1]), found["a"], found["b"]], axis=1)
    return told.astype(np.float64)


def _wrapped(angles: Array) -> Array:
    return (angles + np.pi) % (2 * np.pi) - np.pi

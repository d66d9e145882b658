"""Natural units: knobs of a gate in steps that make its error grow alike, and its least error."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from envs.steered.plant import Array

Errors = Callable[[Array], Array]  # of G gates with P controls each, [N, G, P] -> [N, G]

_ROUNDS = 30
_SETTLED = 1e-5  # of a step: Newton's method is at its end
_FURTHEST = 20.0  # steps in one round


class Curvature(NamedTuple):
    """An error about a point to second order: error + slopes·d + d·bends·d / 2."""

    error: Array  # [G]
    slopes: Array  # [G, P]
    bends: Array  # [G, P, P]

    @classmethod
    def of(cls, errors: Errors, at: Array, step: Array | float) -> Curvature:
        """By differences of so many a step about `at` [G, P], in units of a step, in one call."""
        count = at.shape[1]
        pairs = list(itertools.combinations(range(count), 2))
        ones = np.eye(count)
        both = np.array([ones[a] + ones[b] for a, b in pairs]).reshape(-1, count)
        offsets = np.concatenate([np.zeros((1, count)), ones, -ones, both, -both])
        found = errors(at + step * offsets[:, None, :])
        middle, up, down = found[0], found[1 : count + 1], found[count + 1 : 2 * count + 1]
        bends = np.zeros((len(at), count, count))
        squares = up + down - 2 * middle
        bends[:, range(count), range(count)] = squares.T
        together = found[2 * count + 1 :].reshape(2, len(pairs), -1).sum(axis=0) - 2 * middle
        for (a, b), sums in zip(pairs, together, strict=True):
            bends[:, a, b] = bends[:, b, a] = (sums - squares[a] - squares[b]) / 2
        return cls(middle, (up - down).T / 2, bends)


def least(errors: Errors, start: Array, step: Array | float) -> Array:
    """Where each gate errs least, [G, P], by Newton's method from a start nearby."""
    at = start
    for _ in range(_ROUNDS):
        found = Curvature.of(errors, at, step)
        change = -np.linalg.solve(found.bends, found.slopes[..., None])[..., 0]
        at = at + step * np.clip(change, -_FURTHEST, _FURTHEST)
        if np.abs(change).max() < _SETTLED:
            return at
    raise ValueError(
        "no settings were found at which gates err least: expected physics near the family's mean; "
        "use smaller spreads, or less drift"
    )


def natural_units(errors: Errors, best: Array, step: Array) -> Array:
    """What knobs a unit of each control moves, [G, P, P], in its column, for gates at their best.

    A unit off makes a P-th of the gate's least error more, on whichever control: then all P make as
    much. Each control takes back what it does by way of the knobs that stand before its own, so
    that the controls' errors add up: with B half of the bends, MᵀBM is 1/P of the least error.
    """
    found = Curvature.of(errors, best, step)
    upper = np.linalg.cholesky(found.bends / 2).mT
    sizes = np.sqrt(found.error / best.shape[1])
    return step[:, None] * np.linalg.inv(upper) * sizes[:, None, None]

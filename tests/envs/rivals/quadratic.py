"""A toy game of two knobs: each circuit shows how far one of them is from its best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from envs.game import Angle, Array, Numbers, Physics
from envs.rivals import Bench


class QuadraticGame:
    """Circuits show 0.2 + 0.7·(d/2)²·n², at most 0.9; only a judge may ask for ratios."""

    knobs: tuple[str, ...] = ("cz.amplitude", "cz.duration_ns")
    reach = np.ones(2)
    moves = np.eye(2)
    circuits: tuple[str, ...] = ("first", "second")
    angles: tuple[Angle, ...] = ()
    blurred: Mapping[str, str] = {}
    ideal = np.full(2, 0.2)
    longest = 3
    gates: tuple[str, ...] = ("cz",)

    def draw(
        self, count: int, rng: np.random.Generator, share: Array | float = 1.0
    ) -> tuple[Physics, Array]:
        truth = rng.uniform(-0.8, 0.8, (2, count))
        return {"first": truth[0], "second": truth[1]}, np.zeros((count, 2))

    def typical(self) -> tuple[Physics, Array]:
        return {"first": np.zeros(1), "second": np.zeros(1)}, np.zeros((1, 2))

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        away = settings - np.stack([physics["first"], physics["second"]], axis=1)
        turned = 2.0 ** doublings[..., None] * away[:, None] / 2
        return np.minimum(0.2 + 0.7 * turned**2, 0.9)

    def within_bounds(self, settings: Array) -> Array:
        return np.clip(settings, -1.0, 1.0)

    def ratios(self, physics: Physics, settings: Array) -> Array:
        raise AssertionError("a rival asked for the truth")


def quadratic_bench(count: int, seed: int = 1) -> Bench:
    """So many devices that start at 0, with their best within ±0.8."""
    game = QuadraticGame()
    physics, settings = game.draw(count, np.random.default_rng(seed))
    return Bench(game, physics, settings, settings, np.ones_like(settings))


def away(bench: Bench, settings: Array) -> Array:
    """How far settings [B, K] are from the best ones [B]."""
    truth = np.stack([bench.physics["first"], bench.physics["second"]], axis=1)
    return np.abs(settings - truth).max(axis=1)

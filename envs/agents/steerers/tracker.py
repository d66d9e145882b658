"""A filter on where the optimum is: an agent with memory, for drifts that outrun gradients."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from envs.agents.steerers.pairs import Measurement, Pairs
from envs.agents.steerers.steerer import Steerer, SteererRecipe, mirrored
from envs.steered.plant import Array, LightCones

_FORGETTING = 0.9  # of what the speed is estimated from, in an epoch
_SPEEDS = (1e-3, 0.7)  # units an epoch
# s², of which 1 is the units' own; one that is taken for too small makes steps too long.
_SQUARES = (0.5, 10.0)


class TrackerRecipe(SteererRecipe):
    """What it assumes at first, and how far it looks."""

    kind: Literal["tracker"] = Field(default="tracker", description="a filter on the optimum")
    local: bool = Field(default=True, description="whether detectors are told apart")
    sweep: int = Field(default=4, ge=0, description="first epochs that are wide and go half way")
    off: float = Field(default=0.7, gt=0, description="how far off controls are at first, about")
    doubt: float = Field(default=0.5, ge=0, description="by how much squared sensitivities may be "
                         "off; 0 takes the units for exact")  # fmt: skip
    widths: tuple[float, float] = Field(default=(0.02, 0.5), description="the least, the most")


class Tracker(Steerer[TrackerRecipe]):
    """Tracks the optimum as a random walk, with one variance for each control.

    In a pair mean ± δ, ln(1 − 2·rate) of every detector differs by −4 Σ w s² δ (x* − mean), w being
    its weights of the controls in reach: all detectors of all pairs together are one linear
    measurement of x*, solved for all controls at once. The speed of the walk is what makes the
    measurements as large as they are. The squared sensitivities s² are learnt from the sums of the
    pairs, whose offsets differ in size for that. The width follows from the variance P that is
    left: what both cost is least where 1/width² = 1/P + 1/(P + speed²).
    """

    recipe_class = TrackerRecipe

    def _first_width(self) -> float:
        return self.recipe.widths[1]

    def _first_memory(self, count: int) -> dict[str, Array]:
        recipe = self.recipe
        return {
            "variance": np.full(count, recipe.off**2),
            "squares": np.ones(count),
            "doubts": np.full(count, recipe.doubt**2),  # variances of the squares
            "efficiency": np.array(0.5),
            "moved": np.array([0.05**2, 1.0]),  # numerator and denominator of speed²
        }

    @property
    def speed(self) -> float:
        """How far the optimum moves in an epoch, root mean square."""
        excess, spread = self.remembered("moved")
        return float(np.sqrt(np.clip(excess / spread, _SPEEDS[0] ** 2, _SPEEDS[1] ** 2)))

    def propose(self) -> Array:
        """Half of the candidates at random on either side, and their mirror images."""
        rng, shape = self.rng(), (self.n_envs // 2, len(self.settings))
        sizes = np.sqrt(1 + 0.6 * rng.choice([-1.0, 1.0], shape))
        return self.settings + mirrored(self.width * sizes * rng.choice([-1.0, 1.0], shape))

    def roll_back(self, settings: Array) -> None:
        """Goes back, and takes all sensitivities for twice as large, steps for too long."""
        super().roll_back(settings)
        self.remember("squares", np.clip(2 * self.remembered("squares"), *_SQUARES))
        self.remember("doubts", np.full(len(settings), self.recipe.doubt**2))

    def update(self, candidates: Array, rates: Array) -> None:
        """What the epoch showed, and what is to be expected of the next."""
        cones, rates = (self.cones, rates) if self.recipe.local else _as_one(self.cones, rates)
        pairs = Pairs.of(candidates, rates, self.shots * cones.counts)
        weights = csr_array(cones.weights)
        if self.recipe.doubt:
            self._learn_squares(pairs, cones, weights)
        factors = -4 * self.remembered("squares") * pairs.offsets
        seen = Measurement(cones, weights, factors, pairs.deviations)
        self._move(seen, seen.back(pairs.differences / pairs.deviations))

    def _learn_squares(self, pairs: Pairs, cones: LightCones, weights: csr_array) -> None:
        sizes, squares, doubts = pairs.offsets**2, *map(self.remembered, ("squares", "doubts"))
        seen = Measurement(cones, weights, 2 * (sizes - sizes.mean(axis=0)), pairs.deviations)
        sums = (pairs.sums - pairs.sums.mean(axis=0)) / pairs.deviations
        right = seen.back(sums - seen.of(squares))
        self.remember("squares", np.clip(squares + seen.solved(right, doubts), *_SQUARES))
        told = self.remembered("efficiency") * seen.information()
        self.remember("doubts", 1 / (1 / doubts + told))

    def _move(self, seen: Measurement, right: Array) -> None:
        """The filter's step; `right` is Mᵀ y."""
        information = seen.information()
        probe = np.random.default_rng([1, self.epochs]).choice([-1.0, 1.0], len(right))
        self._estimate_speed(seen, right, information, probe)
        prior = self.remembered("variance") + self.speed**2
        step = seen.solved(right, prior)
        kept = _efficiency(prior, information, float(probe @ seen.solved(probe, prior)))
        self.remember("efficiency", 0.9 * self.remembered("efficiency") + 0.1 * kept)
        variance = 1 / (1 / prior + self.remembered("efficiency") * information)
        self.remember("variance", variance)
        is_sweep = self.epochs + 1 < self.recipe.sweep
        self.settings = self.settings + (0.5 if is_sweep else 1.0) * step
        least, most = self.recipe.widths
        width = np.sqrt(1 / (1 / variance + 1 / (variance + self.speed**2)))
        self.width = most if is_sweep else np.clip(width, least, most)

    def _estimate_speed(
        self, seen: Measurement, right: Array, information: Array, probe: Array
    ) -> None:
        """Speed² from Mᵀy, of variance A (variance + speed²) A + A with A = MᵀM; by a probe."""
        inverse = np.divide(1, information, out=np.zeros_like(information), where=information > 0)
        scaled = right * inverse
        spread = seen.back(seen.of(probe * inverse)) ** 2
        excess = scaled @ scaled - inverse.sum() - self.remembered("variance") @ spread
        now = np.array([excess, spread.sum()])
        self.remember("moved", _FORGETTING * self.remembered("moved") + now)


def _efficiency(prior: Array, information: Array, trace: float) -> float:
    """The share of its information that a control keeps beside the others, from the trace."""
    low, high = 1e-3, 1.0
    for _ in range(20):
        middle = np.sqrt(low * high)
        is_too_low = (1 / (1 / prior + middle * information)).sum() > trace
        low, high = (middle, high) if is_too_low else (low, middle)
    return float(low)


def _as_one(cones: LightCones, rates: Array) -> tuple[LightCones, Array]:
    """All detectors as one: their mean rate."""
    share = cones.counts / cones.counts.sum()
    merged = cones._replace(weights=share[None] @ cones.weights,
                            counts=cones.counts.sum(keepdims=True))  # fmt: skip
    return merged, rates @ share[:, None]

"""A filter on where the optimum is: an agent with memory, for drifts that outrun gradients."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy.optimize import nnls
from scipy.sparse import csr_array

from envs.agents.steerers.motion import (
    JUMP,
    PLACE,
    SPEED,
    Beliefs,
    an_epoch_on,
    behind,
    differ,
    first_beliefs,
    first_shares,
    learnt,
    motions,
    shares,
    surprised,
)
from envs.agents.steerers.pairs import Measurement, Pairs
from envs.agents.steerers.steerer import Steerer, SteererRecipe, on_both_sides
from envs.steered.plant import Array, LightCones

_FLOOR_DRIFT = 0.01  # of the floor, in an epoch
_SURE = 5.0  # standard deviations of what detections may rise by without a jump
_NOTHING = 1e-9  # of what tells
_WATCHED = 128  # controls that judge these models
_PROBES = 7340033  # a stream of random numbers of their own
# s², of which 1 is the units' own; one that is taken for too small makes steps too long.
_SQUARES = (0.5, 10.0)


class TrackerRecipe(SteererRecipe):
    """What it assumes at first, and how far it looks."""

    kind: Literal["tracker"] = Field(default="tracker", description="a filter on the optimum")
    local: bool = Field(default=True, description="whether detectors are told apart")
    sweep: int = Field(default=4, ge=0, description="first epochs that are wide and go half way")
    off: float = Field(default=0.7, gt=0, description="how far off controls are at first, about")
    doubt: float = Field(default=0.3, ge=0, description="by how much squared sensitivities may be "
                         "off; 0 takes the units for exact")  # fmt: skip
    widths: tuple[float, float] = Field(default=(0.02, 0.5), description="the least, the most")

    @field_validator("widths")
    @classmethod
    def _ordered(cls, widths: tuple[float, float]) -> tuple[float, float]:
        if not 0 < widths[0] <= widths[1]:
            raise ValueError(f"expected the least width above 0 and at most the most, got {widths}")
        return widths


class Tracker(Steerer[TrackerRecipe]):
    """Tracks where the optimum is, how fast it moves and to where it returns, for each control.

    In a pair mean ± δ, −ln(1 − 2·rate) of every detector differs by −4 Σ w s² δ (x* − mean), w
    being its weights of the controls in reach: all detectors of all pairs together are one linear
    measurement of x*, solved for all controls at once. How optima move is one of the models of
    `motion`, for each kind of control the one that foretold the measurements best. The squared
    sensitivities s² are learnt from the sums of the pairs, whose offsets differ in size for that.
    The width follows from the variance P that is left and P' that the next epoch begins with: what
    both cost is least where 1/width² = 1/P + 1/P'.
    """

    recipe_class = TrackerRecipe

    def _first_width(self) -> float:
        return self.recipe.widths[1]

    def _first_memory(self, count: int) -> dict[str, Array]:
        recipe, bank = self.recipe, motions()
        still = np.zeros(count)
        watched = first_beliefs(bank, still[: min(count, _WATCHED)], recipe.off)
        own = first_beliefs(bank.of(np.zeros(count, dtype=np.int64)), still, recipe.off)
        return {
            "means": own.means[:, 0],
            "covariances": own.covariances[:, :, 0],
            "watched_means": watched.means,
            "watched_covariances": watched.covariances,
            "likelihoods": np.zeros(watched.means.shape[1:]),
            "together": np.zeros(watched.means.shape[1:]),
            "shares": np.tile(first_shares(bank)[:, None], (1, watched.means.shape[2])),
            "squares": np.ones(count),
            "doubts": np.full(count, recipe.doubt**2),  # variances of the squares
            "efficiency": np.array(0.5),
            "floor": np.zeros(3),  # of detections, its variance, whether it is known
        }

    @property
    def speed(self) -> float:
        """How far the optimum is taken to move in an epoch, root mean square."""
        means, covariances = self.remembered("means"), self.remembered("covariances")
        return float(np.sqrt(np.mean(means[SPEED] ** 2 + covariances[SPEED, SPEED])))

    def propose(self) -> Array:
        """Half of the candidates at random on either side, and their mirror images."""
        return on_both_sides(self)

    def roll_back(self, settings: Array) -> None:
        """Goes back, and takes all sensitivities for twice as large, steps for too long."""
        super().roll_back(settings)
        self._begin_at(settings, self.recipe.off)
        if not self.recipe.doubt:
            return
        self.remember("squares", np.clip(2 * self.remembered("squares"), *_SQUARES))
        self.remember("doubts", np.full(len(settings), self.recipe.doubt**2))

    def recalibrated(self, settings: Array, leaves: float) -> None:
        """Goes on from settings that a calibration found, each about so far off its optimum."""
        self.settings = settings
        self._begin_at(self.settings, max(leaves, self.recipe.widths[0]))

    def missed(self) -> None:
        """Goes on as optima are expected to."""
        count = len(self.settings)
        self._believe(self.remembered("means")[PLACE].copy(), np.full(count, 1 / _NOTHING),
                      np.zeros(count))  # fmt: skip
        self.settings = self.remembered("means")[PLACE]

    def _begin_at(self, places: Array, spread: float) -> None:
        """Takes optima to be about there, at rest, and forgets how they moved."""
        bank, watched = motions(), self._watched()
        own = first_beliefs(bank.of(np.zeros(len(places), dtype=np.int64)), places, spread)
        every = first_beliefs(bank, places[watched], spread)
        self.remember("means", own.means[:, 0])
        self.remember("covariances", own.covariances[:, :, 0])
        self.remember("watched_means", every.means)
        self.remember("watched_covariances", every.covariances)
        self.remember("likelihoods", np.zeros(every.means.shape[1:]))
        self.remember("together", np.zeros(every.means.shape[1:]))
        self.remember("shares", np.tile(first_shares(bank)[:, None], (1, len(watched))))

    def update(self, candidates: Array, rates: Array) -> None:
        """What the epoch showed, and what is to be expected of the next."""
        cones, rates = (self.cones, rates) if self.recipe.local else _as_one(self.cones, rates)
        pairs = Pairs.of(candidates, rates, self.shots * cones.counts)
        weights = csr_array(cones.weights)
        if self.recipe.doubt:
            self._learn_squares(pairs, cones, weights)
        factors = -4 * self.remembered("squares") * pairs.offsets
        seen = Measurement(cones, weights, factors, pairs.deviations)
        risen = self._rise(pairs, cones)
        self._move(seen, seen.back(pairs.differences / pairs.deviations), risen)

    def _learn_squares(self, pairs: Pairs, cones: LightCones, weights: csr_array) -> None:
        sizes, squares, doubts = pairs.offsets**2, *map(self.remembered, ("squares", "doubts"))
        seen = Measurement(cones, weights, 2 * (sizes - sizes.mean(axis=0)), pairs.deviations)
        sums = (pairs.sums - pairs.sums.mean(axis=0)) / pairs.deviations
        right = seen.back(sums - seen.of(squares))
        self.remember("squares", np.clip(squares + seen.solved(right, doubts), *_SQUARES))
        told = self.remembered("efficiency") * seen.information()
        self.remember("doubts", 1 / (1 / doubts + told))

    def _rise(self, pairs: Pairs, cones: LightCones) -> float:
        """The variance of a jump that makes detections rise as they did; 0 if they hardly did.

        Narrow pairs tell little of where an optimum jumped to, but all detections together tell at
        once that it did: they are a floor, and what offsets and the prior make beside it.
        """
        loads = 2 * cones.curvature * self.remembered("squares")
        level = cones.counts @ pairs.sums.mean(axis=0) / 2
        counting = cones.counts**2 @ (pairs.deviations**2).sum(axis=0) / (2 * len(pairs.sums)) ** 2
        believed = float(loads @ self.remembered("covariances")[PLACE, PLACE])
        rest = level - loads @ (pairs.offsets**2).mean(axis=0) - believed
        floor, variance, is_known = self.remembered("floor")
        expected, doubt = variance + (_FLOOR_DRIFT * floor) ** 2, counting + believed**2
        if is_known and rest - floor > _SURE * np.sqrt(expected + doubt):
            self.remember("floor", np.zeros(3))
            return float((rest - floor) / loads.sum())
        gain = expected / (expected + doubt) if is_known else 1.0
        variance = gain * doubt  # which is (1 − gain) · expected too
        self.remember("floor", np.array([floor + gain * (rest - floor), variance, 1.0]))
        return 0.0

    def _move(self, seen: Measurement, right: Array, risen: float) -> None:
        """The filter's step; `right` is Mᵀ y, y being what is seen from the settings."""
        means, covariances = self.remembered("means"), self.remembered("covariances")
        right = right - seen.back(seen.of(means[PLACE] - self.settings))
        jump = np.maximum(self._jumps(seen, right, covariances[PLACE, PLACE]), risen)
        prior = covariances[PLACE, PLACE] + jump
        told = np.maximum(self._efficiency_now(seen, prior) * seen.information(), _NOTHING)
        # What each control would have measured alone, to be believed by as much.
        shift = seen.solved(right, prior)
        places = means[PLACE] + shift * (1 + 1 / (told * prior))
        # Sensitivities that are not known well stretch what is seen of how far off a control is.
        off = means[PLACE] + shift - self.settings
        stretched = self.remembered("doubts") * off**2
        self._believe(places, 1 / told + stretched, jump)
        is_sweep = self.epochs + 1 < self.recipe.sweep
        ahead = self.remembered("means")[PLACE] - self.settings
        self.settings = self.settings + (0.5 if is_sweep else 1.0) * ahead
        least, most = self.recipe.widths
        expected = self.remembered("covariances")[PLACE, PLACE]
        width = np.sqrt(1 / (1 / prior + told + 1 / expected))
        self.width = most if is_sweep else np.clip(width, least, most)

    def _jumps(self, seen: Measurement, right: Array, prior: Array) -> Array:
        """Variances by which optima jumped, [K]: what Mᵀ y shows beyond noise and the prior.

        With A = MᵀM it is of variance A prior A + A; sums of A² over kinds are taken by a probe.
        """
        probe = np.random.default_rng([_PROBES, 2, self.epochs]).choice([-1.0, 1.0], len(right))
        kinds, information = self._kinds(), seen.information()
        inverse = np.divide(1, information, out=np.zeros_like(information), where=information > 0)

        def squares(values: Array) -> Array:
            return np.array([((values * inverse)[mine] ** 2).sum() for mine in kinds])

        expected = np.array([inverse[mine].sum() for mine in kinds])
        expected += squares(seen.back(seen.of(probe * np.sqrt(prior))))
        excess = squares(right) - expected
        counts = np.array([mine.sum() for mine in kinds])
        share = np.divide(excess, expected, out=np.zeros_like(excess), where=expected > 0)
        if not _is_likelier(share, counts):
            return np.zeros_like(prior)
        spread = np.stack([squares(seen.back(seen.of(probe * mine))) for mine in kinds], axis=1)
        # Controls that are heard together do not tell as much as so many alone.
        if not _is_likelier(share, counts**2 / np.maximum(np.diag(spread), counts)):
            return np.zeros_like(prior)
        found, _ = nnls(spread, np.maximum(excess, 0.0))
        return found[self.cones.kind_of]

    def _efficiency_now(self, seen: Measurement, prior: Array) -> Array:
        """The share of its information that a control keeps beside the others, as it is known."""
        probe = np.random.default_rng([_PROBES, 1, self.epochs]).choice([-1.0, 1.0], len(prior))
        kept = _efficiency(prior, seen.information(), float(probe @ seen.solved(probe, prior)))
        # As it is now above all: with narrow candidates a control keeps more than with wide ones.
        self.remember("efficiency", (self.remembered("efficiency") + kept) / 2)
        return self.remembered("efficiency")

    def _believe(self, places: Array, variances: Array, jump: Array) -> None:
        """What measured places say of where each optimum will be, by the best model for it."""
        means, covariances = self.remembered("means"), self.remembered("covariances")
        for mine in self._kinds():
            best = motions().of(self._likeliest(mine, places, variances, jump))
            own = Beliefs(means[:, None, mine], covariances[:, :, None, mine])
            own = an_epoch_on(learnt(own, places[mine], variances[mine], jump[mine]), best)
            means[:, mine], covariances[:, :, mine] = own.means[:, 0], own.covariances[:, :, 0]

    def _likeliest(
        self, mine: NDArray[np.bool_], places: Array, variances: Array, jump: Array
    ) -> NDArray[np.int64]:
        """The number of the model that foretells each of these controls best, from now on.

        All have the same, unless those that are watched show that each of them has its own.
        """
        bank, watched = motions(), self._watched()
        judges, found = mine[watched], np.zeros(mine.sum(), dtype=np.int64)
        if not judges.any():
            everywhere = self.remembered("together").mean(axis=1) - bank.handicap[:, 0]
            return found + np.argmax(everywhere)
        places, variances = places[watched][judges], variances[watched][judges]
        means, covariances = (self.remembered(f"watched_{what}") for what in Beliefs._fields)
        every = Beliefs(means[..., judges], covariances[..., judges])
        every.covariances[PLACE, PLACE] += jump[watched][judges]
        likely, more = surprised(every, places, variances)
        every = an_epoch_on(learnt(every, places, variances, more[:, None]), bank)
        means[..., judges], covariances[..., judges] = every
        found[:] = self._best_for_all(likely.sum(axis=1), judges)
        alone = self.remembered("likelihoods")
        likely = behind(alone[:, judges] + likely)
        alone[:, judges] = likely
        share = shares(likely, self.remembered("shares")[:, judges].mean(axis=1), bank)
        self.remembered("shares")[:, judges] = share[:, None]
        if differ(likely, share):
            own = np.argmax(likely + np.log(share)[:, None], axis=0)
            found[np.searchsorted(np.flatnonzero(mine), watched[judges])] = own
        return found

    def _best_for_all(self, likely: Array, judges: NDArray[np.bool_]) -> int:
        """The number of the model that is best for all of a kind, if they have the same."""
        together = self.remembered("together")
        sums = behind(together[:, judges].mean(axis=1) + likely)
        together[:, judges] = sums[:, None]
        return int(np.argmax(sums - motions().handicap[:, 0]))

    def _kinds(self) -> list[NDArray[np.bool_]]:
        kinds = self.cones.kind_of
        return [kinds == kind for kind in range(kinds.max() + 1)]

    def _watched(self) -> NDArray[np.int64]:
        """The controls on which all models of motion are judged."""
        return np.random.default_rng(0).permutation(len(self.settings))[:_WATCHED]


def _is_likelier(share: Array, counts: Array) -> bool:
    """Whether a jump explains squares that are by these shares too large, of so many each."""
    odds = counts / 2 * (share - np.log1p(np.maximum(share, 0.0)))
    return bool((odds > JUMP)[share > 0].any())


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

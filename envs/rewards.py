"""What calibrating well is worth: scores of settings, from counts that a lab could have."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from envs.game import Array

# Errors amplified by repeated blocks, random Cliffords, or what leaves |0⟩ and |1⟩.
Measure = Literal["amplified", "randomised", "leakage"]


def _powers_of_two(lengths: tuple[int, ...]) -> tuple[int, ...]:
    if not lengths:
        raise ValueError("repetitions must be one length at least")
    for length in lengths:
        if length < 1 or length & (length - 1):
            raise ValueError(f"repetitions must be powers of two, got {length}")
    if list(lengths) != sorted(lengths):
        raise ValueError(f"repetitions must rise, got {lengths}")
    return lengths


_USUAL = (0, 2, 4)
_LEAST = 0.01  # of scores whose decades count
_Weights = Annotated[dict[Measure, Annotated[float, Field(gt=0)]], Field(min_length=1)]


class Reward(BaseModel):
    """How settings are scored: at lengths of its own, so that no choice of the agent's flatters.

    "amplified": for each of the game's circuits at each length, the squared distance of its share
    of ones from the ideal chance, in units of a half, less what shot noise adds on average; and no
    less than at any shorter length, as an error of a whole turn in n repetitions hides there and
    not before. The score is the mean over circuits and lengths: about 0 is perfect, about 1 is far
    off. What "randomised" and "leakage" measure, `envs.gauges` says. Of several measures the score
    is the sum of their own, each times its weight.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["progress", "decades", "level"] = Field(
        default="progress",
        description="what a step is paid: how much the score fell, by how many powers of ten it "
        "did (above 0.01, where shot noise is all), or minus the score",
    )
    measures: Measure | _Weights = Field(
        default="amplified",
        description="what is measured for the score: `amplified`, `randomised` or `leakage`, or a "
        "table of several with their weights",
    )
    repetitions: Annotated[tuple[int, ...], AfterValidator(_powers_of_two)] | None = Field(
        default=None,
        description="how often the blocks are repeated (default: 1, 4, 16 and the game's longest); "
        "of random sequences, how many Cliffords these have (default: 1, 4, 16 and 256)",
    )
    shots: int = Field(default=32, ge=2, description="of each circuit at each length")

    @property
    def weights(self) -> dict[Measure, float]:
        """What each measure counts for in the score."""
        return {self.measures: 1.0} if isinstance(self.measures, str) else dict(self.measures)

    def doublings(self, longest: int) -> NDArray[np.int64]:
        """The lengths as powers of two; ValueError where they are longer than the game's."""
        if self.repetitions is None:
            return np.array([k for k in _USUAL if k < longest] + [longest])
        if max(self.repetitions) > 2**longest:
            raise ValueError(
                f"reward.repetitions must be at most {2**longest} in this game, "
                f"got {max(self.repetitions)}"
            )
        return np.array([length.bit_length() - 1 for length in self.repetitions])

    def paid(self, before: Array, after: Array) -> Array:
        """What a step is paid that led from scores [B] to others."""
        if self.form == "level":
            return -after
        if self.form == "progress":
            return before - after
        return np.log10(np.maximum(before, _LEAST) / np.maximum(after, _LEAST))

    def uncertainty(self, ones: NDArray[np.int64], ideal: Array) -> Array:
        """About one standard deviation of the score of such counts, [B]."""
        chance, variance = self._chances(ones)
        each = 64 * (chance - ideal) ** 2 * variance + 32 * variance**2
        return np.sqrt(each.sum(axis=(1, 2))) / (ones.shape[1] * ones.shape[2])

    def _chances(self, ones: NDArray[np.int64]) -> tuple[Array, Array]:
        """Chances that such counts speak for, and how uncertain these are: their variances."""
        # A share of 0 or 1 is not known to no error: half a count more and less.
        chance = (ones + 0.5) / (self.shots + 1)
        return chance, chance * (1 - chance) / self.shots

    def score(self, ones: NDArray[np.int64], ideal: Array) -> Array:
        """From counts [B, lengths, C], the shortest first, to scores [B].

        >>> reward = Reward(shots=2)
        >>> reward.score(np.array([[[1, 1], [2, 0]]]), np.array([0.5, 0.5])).tolist()
        [0.0]
        """
        share = ones / self.shots
        noise = share * (1 - share) / (self.shots - 1)
        off = 4 * ((share - ideal) ** 2 - noise)
        return np.maximum.accumulate(off, axis=1).mean(axis=(1, 2))

    def weighed(self, ones: NDArray[np.int64], weights: Array) -> Array:
        """The sum of shares times weights [C], mean over lengths: from counts [B, lengths, C], [B].

        It is linear, so that shot noise adds nothing on average.
        """
        return (ones / self.shots @ weights).mean(axis=1)

"""The kinds of networks that can be trained: what each sees, what it is made of, how it decodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import sinter
from pydantic import BeforeValidator, Field

from decoders.evaluate_config import Recipe, listed
from decoders.neural.predecoder_recipe import PreDecoder
from decoders.neural.readout import Drawable, Told

if TYPE_CHECKING:
    from torch import nn

    from decoders.neural.learner import Learner
    from decoders.neural.problem import Problem
    from decoders.neural.sight import MatchingSight


class Corrector(Recipe):
    """What those networks share that correct the odds of matching."""

    members: int = Field(default=4, ge=0, le=256, description="Matchings in the ensemble, if any.")
    unsure: float = Field(
        default=6.0, gt=0, description="Shots whose gap by plain matching is larger are sure."
    )
    thorough: bool = Field(
        default=False, exclude_if=lambda thorough: not thorough,
        description="Whether it sees all such shots, and not only those that the first few of the "
        "ensemble leave open: for devices with errors that the error model lacks.",
    )  # fmt: skip
    channels: int = Field(default=24, ge=1, description="Features at each place.")
    beside: Annotated[tuple[Told, ...], BeforeValidator(listed)] = Field(
        default=(), exclude_if=lambda beside: not beside,
        description="What it sees beside events, of edges that a wrong bit makes: 'soft', what "
        "these weigh by the values read; 'leaked', whether a leaked qubit was found.",
    )  # fmt: skip

    def sight(self, problem: Problem, sampled: Drawable | None = None) -> MatchingSight:
        """What it sees, of shots of the circuit `sampled` where there are any to draw."""
        from decoders.neural.sight import MatchingSight

        return MatchingSight(
            problem, sampled, members=self.members, unsure=self.unsure,
            beside=self.beside, thorough=self.thorough,
        )  # fmt: skip

    def inputs(self, kinds: int, layers: int) -> int:
        """Numbers at each place: events, weights, answers of members, and what is beside."""
        return layers + kinds * (1 + 2 * (self.members > 0) + len(self.beside))

    def refusal(self, problem: Problem) -> str | None:
        """Why it cannot be trained on the problem, if it cannot."""
        if self.members or (problem.graph.observables == 1 and problem.graph.can_force(0)):
            return None
        return (
            "without an ensemble it can decode one observable alone, which no edge between two "
            "detectors flips: set network.members = 4"
        )

    def decoder(self, network: nn.Module, problem: Problem) -> sinter.CompiledDecoder:
        """Decodes shots of the problem with a trained network."""
        from decoders.neural.correcting import CompiledCorrection

        return CompiledCorrection(self.sight(problem), network)


class Residual(Corrector):
    """Convolutions in space and time on what an ensemble of matchings answers."""

    kind: Literal["residual"] = "residual"
    members: int = Field(default=16, ge=1, le=256, description="Matchings in the ensemble.")
    depth: int = Field(default=3, ge=1, description="Convolutions one after another.")

    def network(self, kinds: int, layers: int) -> Learner:
        """Untrained, for edges of so many kinds and detectors in so many layers."""
        from decoders.neural.networks import Convolution, Corrected

        body = Convolution(self.inputs(kinds, layers), self.channels, self.depth)
        return Corrected(body, scalars=3)


class Recurrent(Corrector):
    """A memory that takes a round at a time, for any number of rounds."""

    kind: Literal["recurrent"] = "recurrent"
    depth: int = Field(default=2, ge=1, description="Convolutions that read the memory.")

    def network(self, kinds: int, layers: int) -> Learner:
        """Untrained, for edges of so many kinds and detectors in so many layers."""
        from decoders.neural.networks import Corrected, Recurrence

        body = Recurrence(self.inputs(kinds, layers), self.channels, self.depth)
        return Corrected(body, scalars=3 if self.members else 1)


Architecture = Annotated[Residual | Recurrent | PreDecoder, Field(discriminator="kind")]

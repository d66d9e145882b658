"""The recipe of a network that decodes what it is sure of, before matching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import sinter
from pydantic import Field

from decoders.evaluate_config import Recipe

if TYPE_CHECKING:
    from torch import nn

    from decoders.neural.learner import Learner
    from decoders.neural.problem import Problem
    from decoders.neural.readout import Drawable
    from decoders.neural.sight import Sight


class PreDecoder(Recipe):
    """Convolutions on events alone take the edges that they are sure of; matching does the rest."""

    kind: Literal["pre-decoder"] = "pre-decoder"
    commit: float = Field(
        default=0.99, gt=0.5, lt=1, description="An edge this likely is taken anywhere."
    )
    possible: float = Field(
        default=0.001, gt=0, lt=0.5,
        description="Edges this likely join what has to be explained together.",
    )  # fmt: skip
    correlated: bool = Field(default=False, description="Whether what is left has correlations.")
    channels: int = Field(default=32, ge=1, description="Features at each place.")
    depth: int = Field(default=6, ge=1, description="Convolutions one after another.")

    def sight(self, problem: Problem, sampled: Drawable | None = None) -> Sight:
        """What it sees: shots of the error model, and the edges that matching chooses for them."""
        from decoders.neural.predecoding import EdgeSight

        return EdgeSight(problem)

    def refusal(self, problem: Problem) -> str | None:
        """Why it cannot be trained on the problem: it always can."""
        return None

    def network(self, kinds: int, layers: int) -> Learner:
        """Untrained, for edges of so many kinds and detectors in so many layers."""
        from decoders.neural.predecoder_network import EdgeNetwork

        return EdgeNetwork(kinds, layers, self.channels, self.depth)

    def decoder(self, network: nn.Module, problem: Problem) -> sinter.CompiledDecoder:
        """Decodes shots of the problem with a trained network."""
        from decoders.neural.predecoded import CompiledPreDecoder

        return CompiledPreDecoder(
            network, problem, commit=self.commit, possible=self.possible, correlated=self.correlated
        )

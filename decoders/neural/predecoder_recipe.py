"""The recipe of a network that decodes what it is sure of, before matching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import sinter
import stim
from pydantic import Field

from decoders.evaluate_config import Recipe

if TYPE_CHECKING:
    from torch import nn

    from decoders.neural.learner import Learner
    from decoders.neural.problem import Problem
    from decoders.neural.sight import Sight


class PreDecoder(Recipe):
    """Convolutions on events alone take the edges that they are sure of; matching does the rest."""

    kind: Literal["pre-decoder"] = "pre-decoder"
    commit: float = Field(
        default=0.99, gt=0.5, lt=1, description="An edge this likely in error is taken anywhere."
    )
    likely: float = Field(
        default=0.6, gt=0.5, lt=1,
        description="One this likely is taken where such edges explain all events nearby.",
    )  # fmt: skip
    apart: int = Field(default=4, ge=0, le=8, description="Edges away that count as nearby.")
    correlated: bool = Field(default=False, description="Whether what is left has correlations.")
    channels: int = Field(default=16, ge=1, description="Features at each place.")
    depth: int = Field(default=4, ge=1, description="Convolutions one after another.")

    def sight(self, problem: Problem, sampled: stim.Circuit | None = None) -> Sight:
        """What it sees: shots of the error model, since a circuit does not tell its errors."""
        from decoders.neural.predecoding import ErrorSight

        return ErrorSight(problem)

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
            network, problem, commit=self.commit, likely=self.likely, apart=self.apart,
            correlated=self.correlated,
        )  # fmt: skip

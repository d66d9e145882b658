"""Matching by an ensemble whose members are weighed by what their corrections cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sinter
import stim

from decoders.dem import require_graphlike

if TYPE_CHECKING:
    from decoders.ensemble import CompiledEnsemble


class EnsembleMatching(sinter.Decoder):
    """Correlated matchings on perturbed models, asked where plain matching is not sure.

    At most `members`, faults' probabilities times exp(`spread` · normal); `unsure` is the most by
    which the weights of plain matching's answers for the two values of an observable differ then.
    """

    def __init__(self, *, members: int = 16, spread: float = 0.8, unsure: float = 6.0):
        self.members, self.spread, self.unsure = members, spread, unsure

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> CompiledEnsemble:
        """The decoder for `dem`, which must be decomposed into edges."""
        from decoders.ensemble import CompiledEnsemble

        require_graphlike(dem)
        return CompiledEnsemble(dem, members=self.members, spread=self.spread, unsure=self.unsure)

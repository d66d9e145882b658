"""Decodes with a network that corrects the odds of matching where these leave a shot open."""

from __future__ import annotations

import numpy as np
import sinter
import torch
from numpy.typing import NDArray
from torch import nn

from decoders.fault_graph import Array, Bits
from decoders.neural.sight import Batch, MatchingSight

_AT_ONCE = 1024  # shots that a network sees together


class CompiledCorrection(sinter.CompiledDecoder):
    """Decodes shots, or tells the odds of each observable."""

    def __init__(self, sight: MatchingSight, network: nn.Module):
        self._sight, self._network = sight, network

    def decode_shots_bit_packed(
        self, *, bit_packed_detection_event_data: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Answers [N, ceil(O / 8)] to events [N, ceil(D / 8)]."""
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self._sight.detectors, bitorder="little"
        ).astype(bool)
        return np.packbits(self.odds(events) < 0, axis=1, bitorder="little")

    def odds(self, events: Bits) -> Array:
        """ln P(it does not flip) / P(it flips) of each observable, [N, O], of events [N, D]."""
        seen = self._sight.look(events)
        odds = seen.odds.copy()
        for at in range(0, len(seen.shots), _AT_ONCE):
            some = slice(at, at + _AT_ONCE)
            odds[seen.shots[some], seen.observables[some]] = self._corrected(seen.seen, some)
        return odds

    def _corrected(self, seen: Batch, some: slice) -> NDArray[np.float32]:
        given = {name: torch.from_numpy(value if name == "weights" else value[some])
                 for name, value in seen.items()}  # fmt: skip
        with torch.inference_mode():
            return self._network(**given).numpy()

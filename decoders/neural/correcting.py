"""Decodes with a network that corrects the odds of matching where these leave a shot open."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sinter
import torch
from numpy.typing import NDArray
from torch import nn

from decoders.fault_graph import Array, Bits
from decoders.neural.readout import Beside
from decoders.neural.sight import Batch, MatchingSight

_AT_ONCE = 1024  # shots that a network sees together

Engine = Callable[[Batch], NDArray[np.float32]]
"""Odds [M] of what is seen of M open shots."""


class CompiledCorrection(sinter.CompiledDecoder):
    """Decodes shots, or tells the odds of each observable; an `engine` may run the network."""

    def __init__(self, sight: MatchingSight, network: nn.Module, engine: Engine | None = None):
        self.sight, self._network = sight, network
        self._engine = engine or self._by_torch

    def run_by(self, engine: Engine) -> CompiledCorrection:
        """The same decoder, whose network the engine runs."""
        return CompiledCorrection(self.sight, self._network, engine)

    def decode_shots_bit_packed(
        self, *, bit_packed_detection_event_data: NDArray[np.uint8], beside: Beside | None = None
    ) -> NDArray[np.uint8]:
        """Answers [N, ceil(O / 8)] to events [N, ceil(D / 8)], with what is beside."""
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self.sight.detectors, bitorder="little"
        ).astype(bool)
        return np.packbits(
            self.odds(events, roughly=True, beside=beside) < 0, axis=1, bitorder="little"
        )

    def odds(self, events: Bits, *, roughly: bool = False, beside: Beside | None = None) -> Array:
        """ln P(it does not flip) / P(it flips) of each observable, [N, O], of events [N, D].

        `beside` is what is known beside them, if any; see decoders.neural.readout.beside_of.
        Of shots of which plain matching is sure, `roughly` tells no more than that.
        """
        detectors = self.sight.detectors
        if events.ndim != 2 or events.shape[1] != detectors:
            raise ValueError(
                f"expected events as bool [shots, {detectors}], not packed, got {events.shape}: "
                "unpack them with np.unpackbits(events, axis=1, count=..., bitorder='little')"
            )
        seen = self.sight.look(events, roughly=roughly, beside=beside)
        odds = seen.odds.copy()
        for at in range(0, len(seen.shots), _AT_ONCE):
            some = slice(at, at + _AT_ONCE)
            given = {name: value if name == "weights" else value[some]
                     for name, value in seen.seen.items()}  # fmt: skip
            odds[seen.shots[some], seen.observables[some]] = self._engine(given)
        return odds

    def _by_torch(self, seen: Batch) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._network(
                **{name: torch.from_numpy(value) for name, value in seen.items()}
            ).numpy()

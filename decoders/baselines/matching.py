"""PyMatching, plain and correlated (arXiv:2303.15933), and belief-matching (arXiv:2203.04948)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines.extras import optional_module
from decoders.dem import require_graphlike

Bits = npt.NDArray[np.uint8]


class PyMatching(sinter.Decoder):
    """Minimum-weight perfect matching; `correlated`: the edges of one error reweight each other."""

    def __init__(self, *, correlated: bool = False):
        self.correlated = correlated

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, which must be decomposed into edges."""
        import pymatching

        require_graphlike(dem)
        matching = pymatching.Matching.from_detector_error_model(
            dem, enable_correlations=self.correlated
        )
        return _CompiledPyMatching(matching, correlated=self.correlated)


class _CompiledPyMatching(sinter.CompiledDecoder):
    def __init__(self, matching: Any, *, correlated: bool):
        self._matching = matching
        self._correlated = correlated

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        # Correlations must be asked for again: without the flag the batch is decoded plainly.
        return self._matching.decode_batch(
            bit_packed_detection_event_data,
            bit_packed_shots=True,
            bit_packed_predictions=True,
            enable_correlations=self._correlated,
        )


class BeliefMatching(sinter.Decoder):
    """Belief propagation on the hyperedges; where it does not converge, matching on its beliefs.

    `iterations` is what the package itself has as its default.
    """

    def __init__(self, *, iterations: int = 20):
        self.iterations = iterations

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, whose hyperedges must be decomposed into edges (with `^`)."""
        require_graphlike(dem)
        package = optional_module("beliefmatching", extra="bp")
        return _CompiledBeliefMatching(
            package.BeliefMatching(dem, max_bp_iters=self.iterations), dem
        )


class _CompiledBeliefMatching(sinter.CompiledDecoder):
    def __init__(self, matching: Any, dem: stim.DetectorErrorModel):
        self._matching = matching
        self._detectors = dem.num_detectors

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self._detectors, bitorder="little"
        )
        # The package takes exp of log-likelihoods beyond 709; 1 / (1 + inf) = 0 is what is meant.
        with np.errstate(over="ignore"):
            flips = self._matching.decode_batch(events)
        return np.packbits(flips, axis=1, bitorder="little")

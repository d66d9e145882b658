"""Tesseract, a search for the most likely error (arXiv:2503.10988), that answers every shot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines.extras import optional_module

Bits = npt.NDArray[np.uint8]

_ORDER_SEED = 2384753  # the package's own default for its sinter decoders


class Tesseract(sinter.Decoder):
    """Beam search over errors. The defaults are the paper's short beam.

    The package's own class for sinter drops shots of low confidence, which flatters its rate; here
    they get the answer that the search has, often "nothing flipped", and count.
    """

    def __init__(self, *, beam: int = 15, orders: int = 16, queue_limit: int = 200_000):
        self.beam = beam
        self.orders = orders
        self.queue_limit = queue_limit

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, hyperedges and all."""
        tesseract = optional_module("tesseract_decoder.tesseract", extra="tesseract")
        orders = optional_module("tesseract_decoder.utils", extra="tesseract")
        config = tesseract.TesseractConfig(
            dem=dem,
            det_beam=self.beam,
            beam_climbing=self.orders > 1,
            no_revisit_dets=True,
            pqlimit=self.queue_limit,
            det_orders=orders.build_det_orders(
                dem, self.orders, orders.DetOrder.DetIndex, _ORDER_SEED
            ),
        )
        return _CompiledTesseract(tesseract.TesseractDecoder(config), dem)


class _CompiledTesseract(sinter.CompiledDecoder):
    def __init__(self, decoder: Any, dem: stim.DetectorErrorModel):
        self._decoder = decoder
        self._detectors = dem.num_detectors
        self._observables = dem.num_observables

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self._detectors, bitorder="little"
        )
        flips = np.zeros((len(events), self._observables), dtype=bool)
        found = self._decoder.decode_batch(events.astype(bool))
        flips[:, : found.shape[1]] = found  # observables that no error flips are missing in it
        return np.packbits(flips, axis=1, bitorder="little")

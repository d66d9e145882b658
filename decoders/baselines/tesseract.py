"""Tesseract, a search for the most likely error (arXiv:2503.10988), that answers every shot."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines.extras import optional_module

Bits = npt.NDArray[np.uint8]

_ORDER_SEED = 2384753  # the package's own default for its sinter decoders


class Tesseract(sinter.Decoder):
    """The paper's short beam (`beam`, `queue_limit`, `orders`), in two steps.

    The short beam searches 16 times, in 16 orders of the detectors, and keeps the best. One order
    alone finds an error as likely in nearly all shots at a seventh of the time; only where it
    gives up all 16 are tried. What the package calls low confidence after that, and drops in its
    own class for sinter, which flatters its rate, counts here with the answer "nothing flipped".
    """

    def __init__(self, *, beam: int = 15, orders: int = 16, queue_limit: int = 200_000):
        self.beam = beam
        self.orders = orders
        self.queue_limit = queue_limit

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, hyperedges and all."""
        return _CompiledTesseract(self, dem)

    def search(self, dem: stim.DetectorErrorModel, orders: int) -> Any:
        """The package's decoder with that many orders."""
        tesseract = optional_module("tesseract_decoder.tesseract", extra="tesseract")
        details = optional_module("tesseract_decoder.utils", extra="tesseract")
        config = tesseract.TesseractConfig(
            dem=dem,
            det_beam=self.beam,
            beam_climbing=orders > 1,
            no_revisit_dets=True,
            pqlimit=self.queue_limit,
            det_orders=details.build_det_orders(
                dem, orders, details.DetOrder.DetIndex, _ORDER_SEED
            ),
        )
        return tesseract.TesseractDecoder(config)


class _CompiledTesseract(sinter.CompiledDecoder):
    def __init__(self, settings: Tesseract, dem: stim.DetectorErrorModel):
        self._settings = settings
        self._dem = dem
        self._first = settings.search(dem, 1)

    @functools.cached_property
    def _second(self) -> Any:
        return self._settings.search(self._dem, self._settings.orders)

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        events = np.unpackbits(
            bit_packed_detection_event_data,
            axis=1,
            count=self._dem.num_detectors,
            bitorder="little",
        ).astype(bool)
        flips = np.zeros((len(events), self._dem.num_observables), dtype=bool)
        for shot in np.flatnonzero(events.any(axis=1)):
            found = self._first.decode(events[shot])
            if self._first.low_confidence_flag:
                found = self._second.decode(events[shot])
            flips[shot, : len(found)] = found  # observables that no error flips are not in it
        return np.packbits(flips, axis=1, bitorder="little")

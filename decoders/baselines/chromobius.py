"""Chromobius, the Möbius decoder for color codes (arXiv:2312.08813)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines.extras import optional_module
from decoders.dem import require_colors

Bits = npt.NDArray[np.uint8]


class Chromobius(sinter.Decoder):
    """Matching on the Möbius graph of a color code."""

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, whose detectors name basis and colour in a fourth coordinate."""
        require_colors(dem)
        package = optional_module("chromobius", extra="chromobius")
        return _CompiledChromobius(package.compile_decoder_for_dem(dem))


class _CompiledChromobius(sinter.CompiledDecoder):
    def __init__(self, decoder: Any):
        self._decoder = decoder

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        return self._decoder.predict_obs_flips_from_dets_bit_packed(bit_packed_detection_event_data)

"""The decoders that everybody trusts, as `sinter.Decoder`s, and how a decoder is found by name."""

from decoders.baselines.extras import MissingExtra
from decoders.baselines.neural import load_decoder
from decoders.baselines.registry import BASELINES, Baseline, sinter_decoders
from decoders.baselines.resolve import ResolvedDecoder, custom_decoders_of, resolve_decoder

__all__ = [
    "BASELINES",
    "Baseline",
    "MissingExtra",
    "ResolvedDecoder",
    "custom_decoders_of",
    "load_decoder",
    "resolve_decoder",
    "sinter_decoders",
]

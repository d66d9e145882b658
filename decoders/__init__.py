"""Floor 2, the code: circuits, noise, decoders, and the logical error rate."""

from decoders.baselines import load_decoder, sinter_decoders

__all__ = ["load_decoder", "sinter_decoders"]

"""Floor 2, the code: circuits, noise, decoders, and the logical error rate."""

from decoders.baselines import sinter_decoders

__all__ = ["sinter_decoders"]

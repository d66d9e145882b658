"""Floor 2, the code: circuits, noise, decoders, and the logical error rate."""

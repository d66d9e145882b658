"""Decoders that are trained: what they see of a code, and how."""

from decoders.neural.lattice import Lattice

__all__ = ["Lattice"]

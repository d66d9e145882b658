"""Codes: a name, distance, number of rounds and basis give a noiseless stim memory experiment."""

from decoders.codes.code import Code
from decoders.codes.registry import CODES, memory_circuit

__all__ = ["CODES", "Code", "memory_circuit"]

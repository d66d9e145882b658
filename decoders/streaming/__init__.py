"""Decoding as rounds come: windows, frames on a socket, the service, its latency."""

from decoders.streaming.framing import Correction, Final, Frame, Greeting, Kind, Malformed
from decoders.streaming.latency import Latency, Percentiles
from decoders.streaming.rounds import Rounds
from decoders.streaming.window import SlidingWindow

__all__ = [
    "Correction",
    "Final",
    "Frame",
    "Greeting",
    "Kind",
    "Latency",
    "Malformed",
    "Percentiles",
    "Rounds",
    "SlidingWindow",
]

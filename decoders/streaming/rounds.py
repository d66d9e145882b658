"""Which detectors belong to which round, and a round's bits as bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import stim

Bits = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Rounds:
    """The detectors of each round, by their numbers, smallest first."""

    detectors: tuple[npt.NDArray[np.int64], ...]

    @classmethod
    def of(cls, source: stim.Circuit | stim.DetectorErrorModel) -> Rounds:
        """By the detectors' coordinates: the time is the last one, or the third of more than three.

        What stands after the third says no place and no time (chromobius' colours). Times need
        not be whole or begin at 0: their order is what counts.

        >>> text = "DETECTOR(0, 5) D0\\nDETECTOR(0, 7) D1\\nDETECTOR(2, 5) D2"
        >>> [part.tolist() for part in Rounds.of(stim.DetectorErrorModel(text)).detectors]
        [[0, 2], [1]]
        """
        if not source.num_detectors:
            raise ValueError("there are no detectors: expected a circuit or error model with some")
        return cls.by_times(_times(source.get_detector_coordinates(), source.num_detectors))

    @classmethod
    def by_times(cls, times: Sequence[float]) -> Rounds:
        """From the time of each detector."""
        _, ranks = np.unique(np.asarray(times, dtype=float), return_inverse=True)
        return cls(tuple(np.flatnonzero(ranks == rank) for rank in range(ranks.max() + 1)))

    def __len__(self) -> int:
        return len(self.detectors)

    @property
    def bits(self) -> tuple[int, ...]:
        """Detectors a round."""
        return tuple(map(len, self.detectors))

    @property
    def num_detectors(self) -> int:
        """Of all rounds together."""
        return sum(self.bits)

    def ranks(self) -> npt.NDArray[np.int64]:
        """The round of each detector [D]."""
        ranks = np.zeros(self.num_detectors, dtype=np.int64)
        for number, detectors in enumerate(self.detectors):
            ranks[detectors] = number
        return ranks

    def split(self, events: npt.NDArray[np.uint8]) -> list[bytes]:
        """The payloads of one shot, a round each, from its events [D] of 0 and 1."""
        return [packed(events[detectors]) for detectors in self.detectors]


def _times(coordinates: Mapping[int, Sequence[float]], detectors: int) -> list[float]:
    bare = [one for one in range(detectors) if not coordinates.get(one)]
    if bare:
        raise ValueError(
            f"D{bare[0]} has no coordinates, of which the last one says its round: give every "
            "DETECTOR its (x, y, t)"
        )
    return [coordinates[one][:3][-1] for one in range(detectors)]


def packed(bits: npt.ArrayLike) -> bytes:
    """Bits as stim's b8 has them: eight a byte, the first one lowest, zeros up to the whole byte.

    >>> packed([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    b'\\x01\\x02'
    """
    return np.packbits(np.asarray(bits, dtype=np.uint8), bitorder="little").tobytes()


def unpacked(payload: bytes, bits: int) -> Bits:
    """The bits [bits] in a payload; ValueError if its length or its padding is not theirs."""
    if len(payload) != (bits + 7) // 8:
        raise ValueError(f"expected {(bits + 7) // 8} bytes for {bits} bits, got {len(payload)}")
    if bits % 8 and payload[-1] >> bits % 8:
        raise ValueError(f"the bits behind the {bits} of this payload must be 0")
    found = np.unpackbits(np.frombuffer(payload, dtype=np.uint8), bitorder="little")
    return found[:bits]

"""Randomised benchmarking of one qubit's pulses: random Cliffords, closed by their inverse."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.density import z_rotation
from calib.judge import ideal_transfer
from envs.sequences import Pulse, PulseSequence, Word

QUARTER_RAD = math.pi / 2
_PULSES: tuple[Pulse | None, ...] = (None, "sx", "x")


@dataclass(frozen=True)
class Clifford:
    """At most one pulse between virtual Zs, which are counted in quarter turns."""

    before: int
    pulse: int  # its place among none, SX and X
    after: int

    @property
    def words(self) -> tuple[Word, ...]:
        """In order of time, without what does nothing."""
        pulse = _PULSES[self.pulse]
        turns = [(self.before,), (self.after,)]
        first, last = ([QUARTER_RAD * turn for turn in one if turn] for one in turns)
        return (*first, *([] if pulse is None else [pulse]), *last)


# Every rotation of the cube on itself: an even share of them are turns by SX, 16 of 24, with four
# by X and four without a pulse.
CLIFFORDS: tuple[Clifford, ...] = (
    *(Clifford(0, 0, after) for after in range(4)),
    *(Clifford(before, 1, after) for before in range(4) for after in range(4)),
    *(Clifford(0, 2, after) for after in range(4)),
)


@dataclass(frozen=True)
class RandomSequences:
    """S sequences of 2^longest random Cliffords, and what closes each of their beginnings.

    `cliffords` [S, 2^longest] are places in `CLIFFORDS`; `inverses` [S, longest + 1] undo the first
    2^k of them. The beginnings of one sequence serve for all lengths, as for its qubit they are
    random all the same.
    """

    cliffords: NDArray[np.int64]
    inverses: NDArray[np.int64]

    @classmethod
    def drawn(cls, count: int, longest: int, rng: np.random.Generator) -> RandomSequences:
        """So many sequences, all Cliffords alike in chance.

        >>> one = RandomSequences.drawn(1, 1, np.random.default_rng(1)).sequence(0, 2)
        >>> one.block, len(one.start) > 0
        ((), True)
        """
        cliffords = rng.integers(len(CLIFFORDS), size=(count, 2**longest))
        turns, inverses = _turns(), np.empty((count, longest + 1), dtype=np.int64)
        for row, places in enumerate(cliffords):
            whole = np.eye(3, dtype=np.int64)
            for number, place in enumerate(places, start=1):
                whole = turns[place] @ whole
                if number & (number - 1) == 0:
                    inverses[row, number.bit_length() - 1] = _place(turns, whole.T)
        return cls(cliffords, inverses)

    def sequence(self, row: int, length: int) -> PulseSequence:
        """The first Cliffords of one of them, a power of two, with their inverse: no error, |0⟩."""
        places = [*self.cliffords[row, :length], self.inverses[row, length.bit_length() - 1]]
        words = [word for place in places for word in CLIFFORDS[place].words]
        return PulseSequence(f"random_{row}", tuple(words), ())


@functools.cache
def _turns() -> NDArray[np.int64]:
    """What each Clifford does to the Bloch sphere, [24, 3, 3]: whole numbers."""
    pulses = [np.eye(4), ideal_transfer("sx").numpy(), ideal_transfer("x").numpy()]
    found = [
        z_rotation(-QUARTER_RAD * one.after)[:4, :4]
        @ pulses[one.pulse]
        @ z_rotation(-QUARTER_RAD * one.before)[:4, :4]
        for one in CLIFFORDS
    ]
    return np.rint(np.array(found)[:, 1:, 1:]).astype(np.int64)


def _place(turns: NDArray[np.int64], wanted: NDArray[np.int64]) -> int:
    return int(np.flatnonzero((turns == wanted).all(axis=(1, 2)))[0])

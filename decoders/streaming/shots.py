"""A connection's shots, one after another: checks each round, and decodes as far as it can."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from decoders.streaming.framing import Correction, Final, Frame, Kind, Malformed
from decoders.streaming.plan import Plan
from decoders.streaming.rounds import packed, unpacked

Bits = npt.NDArray[np.uint8]


class Shots:
    """What one client has sent of its present shot."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._shot, self._next = 0, 0
        self._begin()

    def _begin(self) -> None:
        self._left = np.zeros((1, self._plan.rounds.num_detectors), dtype=np.uint8)
        self._flips = np.zeros((1, self._plan.observables), dtype=np.uint8)
        self._windows, self._committed = 0, 0

    def take(self, frame: Frame) -> tuple[Correction | Final | Bits, bool]:
        """What a round is answered with, and whether something was decided by it.

        Events [D] in place of an answer are of a whole shot that is to be decoded. Malformed for a
        frame that may not come now; ValueError where the decoder cannot decode what came.
        """
        plan = self._plan
        self._check(frame)
        detectors = plan.rounds.detectors[frame.round]
        try:
            self._left[0, detectors] ^= unpacked(frame.payload, len(detectors))
        except ValueError as error:
            raise Malformed(f"round {frame.round}: {error}") from None
        self._shot, self._next = frame.shot, (frame.round + 1) % len(plan.rounds)
        is_last = self._next == 0
        decided = self._decide(frame.round + 1)
        flips = packed(self._flips[0])
        if not is_last:
            return Correction(self._committed, flips), decided
        answer = Final(flips) if plan.sliding else self._left[0]
        self._begin()
        return answer, True

    def _check(self, frame: Frame) -> None:
        if frame.kind is not Kind.ROUND:
            raise Malformed(f"a client sends rounds ({Kind.ROUND.value}), got {frame.kind.name}")
        if frame.round != self._next:
            raise Malformed(f"expected round {self._next}, got round {frame.round}")
        if self._next and frame.shot != self._shot:
            raise Malformed(
                f"expected round {self._next} of shot {self._shot}, got shot {frame.shot}: the "
                "rounds of a shot come together"
            )

    def _decide(self, came: int) -> bool:
        """Decodes all windows whose rounds are there."""
        sliding, before = self._plan.sliding, self._windows
        while sliding and self._windows < len(sliding.windows):
            window = sliding.windows[self._windows]
            if window.end > came:
                break
            self._flips ^= sliding.advance(window, self._left)
            self._committed = window.decided
            self._windows += 1
        return self._windows > before

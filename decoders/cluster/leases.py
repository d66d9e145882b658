"""Leases: which shots of one work are handed out, which are back, and which count.

Workers are lost, and come back late; the table must not show it. So what counts is always a
prefix of the shots still missing, and with a limit of errors the shortest prefix that reaches it:
the same shots on any number of workers, in whatever order they answer, whoever was lost between.
What lies beyond that prefix is thrown away.

>>> leases = Leases([(0, 5000)], piece_shots=1024, max_errors=3, failed=0)
>>> first, second = leases.claim(2048), leases.claim(2048)
>>> (first.start, first.stop), (second.start, second.stop)
((0, 2048), (2048, 4096))
>>> leases.lost(first)
>>> leases.claim(2048) == first  # before anything new
True
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import itertools
import math
from collections.abc import Sequence

import sinter

from decoders.sampling import FAILED, Range, range_key

_FAR = 1.25  # errors in sight, by those needed, beyond which no more shots are handed out


@dataclasses.dataclass(frozen=True, order=True)
class Lease:
    """Shots start..stop-1, which make up the pieces first..last-1 of what is missing."""

    first: int
    last: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Counted:
    """What came of a lease: its sums, and how many shots failed in each of its pieces."""

    stats: sinter.AnonTaskStats
    failed: tuple[int, ...]


class Leases:
    """The shots of one work: `missing` is what no row of the CSV holds, cut into pieces.

    `failed` are the failures in rows that are there already. A lease never crosses from one
    missing range into the next.
    """

    def __init__(
        self, missing: Sequence[Range], *, piece_shots: int, max_errors: int | None, failed: int
    ) -> None:
        self._piece_shots, self._max_errors, self._failed = piece_shots, max_errors, failed
        self._ranges = tuple(missing)
        # The number of pieces before each range; pieces end where shot numbers are multiples.
        counts = [self._edge(stop - 1) - self._edge(start) + 1 for start, stop in self._ranges]
        self._before = [0, *itertools.accumulate(counts)]
        self._counted = self._next = 0  # pieces
        self._back: dict[int, tuple[Lease, Counted]] = {}  # by their first piece
        self._returned: list[Lease] = []
        self._out: set[Lease] = set()
        self._cut: int | None = None  # the piece with which the count ends
        self._fresh = _Sum()
        self._seen_shots = self._seen_failed = 0
        self._seen_seconds = 0.0

    @property
    def done(self) -> bool:
        """Whether all that counts is counted."""
        return self._counted == self._end or self._has_enough

    @property
    def out(self) -> int:
        """How many leases are handed out."""
        return len(self._out)

    @property
    def seconds_a_shot(self) -> float | None:
        """As far as answers have shown."""
        return self._seen_seconds / self._seen_shots if self._seen_shots else None

    @property
    def left_shots(self) -> int:
        """Shots that nobody has been given."""
        return sum(self._shots_of(k) for k in range(len(self._ranges)))

    def claim(self, wanted: int) -> Lease | None:
        """At most `wanted` shots, at least a piece; None while there is nothing to hand out.

        What was lost goes first. Where the errors in sight are enough nothing new is given out.
        """
        if self.done:
            return None
        if self._returned:
            lease = self._returned.pop(0)
        elif self._next >= self._end or self._in_sight():
            return None
        else:
            lease = self._new(wanted)
            self._next = lease.last
        self._out.add(lease)
        return lease

    def lost(self, lease: Lease) -> None:
        """No answer will come of it: it is handed out again."""
        if lease in self._out:
            self._out.remove(lease)
            if lease.last <= self._end:
                bisect.insort(self._returned, lease)

    def finish(self, lease: Lease, counted: Counted) -> None:
        """An answer; a second one to the same lease is not looked at."""
        if lease not in self._out:
            return
        self._out.remove(lease)
        self._seen_shots += counted.stats.shots
        self._seen_failed += sum(counted.failed)
        self._seen_seconds += counted.stats.seconds
        if lease.last <= self._end:
            self._back[lease.first] = lease, counted
            self._count()

    def take(self) -> sinter.AnonTaskStats | None:
        """What has come to count since the last call, as one row; None if nothing has."""
        fresh, self._fresh = self._fresh, _Sum()
        return fresh.stats()

    @property
    def _end(self) -> int:
        return self._before[-1] if self._cut is None else self._cut

    @property
    def _has_enough(self) -> bool:
        return self._max_errors is not None and self._failed >= self._max_errors

    def _edge(self, shot: int) -> int:
        return shot // self._piece_shots

    def _shots_of(self, k: int) -> int:
        """Shots of a range that nobody has been given."""
        first = max(self._next, self._before[k])
        if first >= self._before[k + 1]:
            return 0
        return self._ranges[k][1] - self._piece(k, first)[0]

    def _piece(self, k: int, piece: int) -> Range:
        """The shots of a piece, of range k."""
        start, stop = self._ranges[k]
        edge = (self._edge(start) + piece - self._before[k]) * self._piece_shots
        return max(start, edge), min(stop, edge + self._piece_shots)

    def _span(self, first: int, last: int) -> Lease:
        """Pieces of one range as a lease."""
        k = bisect.bisect_right(self._before, first) - 1
        return Lease(first, last, self._piece(k, first)[0], self._piece(k, last - 1)[1])

    def _new(self, wanted: int) -> Lease:
        k = bisect.bisect_right(self._before, self._next) - 1
        pieces = max(wanted // self._piece_shots, 1)
        return self._span(self._next, min(self._next + pieces, self._before[k + 1]))

    def _in_sight(self) -> bool:
        """Whether answers that wait and leases that are out should bring the errors needed."""
        if self._max_errors is None or not self._seen_failed:
            return False
        waiting = sum(sum(counted.failed) for _, counted in self._back.values())
        shots = sum(lease.stop - lease.start for lease in self._out)
        expected = shots * self._seen_failed / self._seen_shots
        need = self._max_errors - self._failed
        return waiting + expected > _FAR * need + 2 * math.sqrt(need)

    def _count(self) -> None:
        """Moves the prefix over the answers that are next."""
        while not self._has_enough and self._counted in self._back:
            lease, counted = self._back.pop(self._counted)
            reached = self._reached(counted)
            if reached is not None and reached < len(counted.failed):
                # It ends within this lease: that part is asked for once more, and ends the count.
                self._cut = lease.first + reached
                self._returned, self._back = [self._span(lease.first, self._cut)], {}
                return
            self._fresh.add(lease, counted.stats)
            self._failed += sum(counted.failed)
            self._counted = lease.last

    def _reached(self, counted: Counted) -> int | None:
        """After how many of its pieces there are errors enough."""
        if self._max_errors is None:
            return None
        for number, failed in enumerate(itertools.accumulate(counted.failed), 1):
            if self._failed + failed >= self._max_errors:
                return number
        return None


class _Sum:
    """Rows of adjacent leases as one."""

    def __init__(self) -> None:
        self._ranges: list[Range] = []
        self._shots = self._errors = self._discards = 0
        self._seconds = 0.0
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, lease: Lease, stats: sinter.AnonTaskStats) -> None:
        """Adds what came of a lease, whose shots are behind all others."""
        start, stop = lease.start, lease.stop
        if self._ranges and self._ranges[-1][1] == start:
            start = self._ranges.pop()[0]
        self._ranges.append((start, stop))
        self._shots += stats.shots
        self._errors += stats.errors
        self._discards += stats.discards
        self._seconds += stats.seconds
        self._counts.update(stats.custom_counts)

    def stats(self) -> sinter.AnonTaskStats | None:
        """The sum, with the shots that it holds; None of nothing."""
        if not self._ranges:
            return None
        named = {range_key(*one): 1 for one in self._ranges}
        counts = collections.Counter({**named, **self._counts})
        counts.setdefault(FAILED, 0)
        return sinter.AnonTaskStats(
            shots=self._shots, errors=self._errors, discards=self._discards,
            seconds=self._seconds, custom_counts=counts,
        )  # fmt: skip

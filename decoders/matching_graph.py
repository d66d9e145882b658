"""The edges of an error model, and how a hyperedge comes apart along them."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoders.dem import Mechanism, Part

_MOST_SPLIT_DETECTORS = 12


class MatchingGraph:
    """The edges that a model names, to split hyperedges along."""

    def __init__(self, errors: Iterable[Mechanism]):
        self._edges: dict[Part, float] = collections.defaultdict(float)
        self._at: dict[int, set[Part]] = collections.defaultdict(set)
        for mechanism in errors:
            if not (mechanism.is_graphlike and mechanism.probability):
                continue
            for part in mechanism.parts:
                p, q = self._edges[part], mechanism.probability
                self._edges[part] = p * (1 - q) + q * (1 - p)
                for detector in part[0]:
                    self._at[detector].add(part)

    def split(self, symptoms: Part) -> tuple[Part, ...]:
        """The likeliest edges that together flip just these symptoms; () where there are none."""
        if not 0 < len(symptoms[0]) <= _MOST_SPLIT_DETECTORS:
            return ()
        ways = self._covers(*symptoms)
        return max(ways, key=lambda way: math.prod(self._edges[part] for part in way), default=())

    def _covers(
        self, detectors: frozenset[int], observables: frozenset[int]
    ) -> Iterator[tuple[Part, ...]]:
        if not detectors:
            if not observables:
                yield ()
            return
        for part in sorted(self._at[min(detectors)], key=lambda part: [*map(sorted, part)]):
            if part[0] <= detectors:
                for rest in self._covers(detectors - part[0], observables ^ part[1]):
                    yield (part, *rest)

"""What a pre-decoder learns from: events on a grid, and the edges that matching chooses for them.

Sets of edges that differ by a loop which flips nothing are as good as each other. Each is written
as a cheapest one that loops of up to four edges lead to, so that what a network is asked for does
not hang on chance.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pymatching
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from decoders.dem import Part
from decoders.fault_graph import Array, Bits
from decoders.neural.problem import Problem
from decoders.neural.sight import Batch

_Joint = tuple[int, int, frozenset[int]]
"""Two detectors (the boundary is one more), and what a way between them flips."""

_Way = tuple[int, ...]
"""One or two edges in a row."""

_STEP = np.array([1e-4, 1.3e-5, 1.7e-6])  # of cost by place, so that no two ways cost the same
_TO_SPARE = 1e-9  # of cost: less than this is no gain


class Matched(NamedTuple):
    """N shots drawn: events [N, D], flips [N, O], and edges that explain the events [N, E]."""

    events: Bits
    flips: Bits
    edges: Bits


class EdgeSight:
    """Draws shots of a problem's error model, and correlated matching chooses edges for them.

    These hang on the events alone, where the errors that happened do not: a network can be surer of
    them, and correlated matching errs less than the plain one that does the rest.
    """

    def __init__(self, problem: Problem):
        self._problem, self._ways = problem, Ways.of(problem)
        self._matching = pymatching.Matching.from_detector_error_model(
            problem.graph.labelled(np.ones(len(problem.graph.faults))), enable_correlations=True
        )

    def draw(self, examples: int, seed: int) -> Batch:
        """Events [N, L, T, Y, X], "edges" [N, K, T, Y, X], "real" where there are any."""
        drawn, lattice = self.matched(examples, seed), self._problem.lattice
        return {
            "events": lattice.with_events(drawn.events),
            "edges": lattice.with_edges(drawn.edges),
            "weights": self._problem.weights,
            "real": lattice.with_edges(np.ones((1, len(lattice.edges)), dtype=bool)),
        }

    def matched(self, shots: int, seed: int) -> Matched:
        """Shots of that seed; edges are the simplest that are as good as those chosen."""
        sampler = self._problem.model.compile_sampler(seed=seed)
        events, flips = (np.asarray(bits) for bits in sampler.sample(shots)[:2])
        chosen = self._matching.decode_batch(events.astype(np.uint8), enable_correlations=True)
        return Matched(events, flips, self._ways.simplest(np.asarray(chosen).astype(bool)))


class Ways(NamedTuple):
    """R ways of one or two edges, each with a cheaper one to the same end that flips the same.

    `begun` [R, 2] are a way's edges (one edge: twice the same), `turned` [R, E] the edges that
    change when the cheaper one is taken, `gains` [R] what that saves.
    """

    begun: NDArray[np.int64]
    turned: csr_array
    gains: Array

    @classmethod
    def of(cls, problem: Problem) -> Ways:
        """All that there are in a problem's graph."""
        lattice, graph = problem.lattice, problem.graph
        places = np.unravel_index(lattice.edges, (len(lattice.kinds), *lattice.shape[1:]))
        # The same choice all over the code, whatever its size: cost is linear in the place.
        costs = np.round(graph.alone, 6) + np.stack(places[1:], axis=1) @ _STEP
        options: defaultdict[_Joint, list[_Way]] = defaultdict(list)
        for joint, way in _ways(graph.edges, graph.detectors):
            options[joint].append(way)
        rules = [(way, best) for ways in options.values()
                 for best in [min(ways, key=lambda way: costs[list(way)].sum())]
                 for way in ways if way != best]  # fmt: skip
        turned = [sorted({*way} ^ {*best}) for way, best in rules]
        gains = np.array([costs[list(way)].sum() - costs[list(best)].sum() for way, best in rules])
        begun = np.array([(way[0], way[-1]) for way, _ in rules], dtype=np.int64).reshape(-1, 2)
        return cls(begun, _sparse(turned, len(graph.edges)), gains)

    def simplest(self, edges: Bits) -> Bits:
        """Sets of edges [N, E], after cheaper ways were taken as long as there are any."""
        found = edges
        while True:
            shots, rules = self._found(found)
            if not len(shots):
                return found
            taken = csr_array((np.ones(len(shots), dtype=np.int16), (shots, rules)),
                              shape=(len(edges), len(self.gains)))  # fmt: skip
            found = found ^ parities(taken, self.turned)

    def _found(self, edges: Bits) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(shot, way) that are there, none with an edge in common; the most gainful first."""
        rows = np.arange(len(self.gains)).repeat(2)
        shape = edges.shape[1], len(self.gains)
        pairs = csr_array((np.ones(len(rows), dtype=np.int16), (self.begun.ravel(), rows)), shape)
        held = coo_array(csr_array(edges.astype(np.int16)) @ pairs)
        shots, rules = (numbers.astype(np.int64) for numbers in held.coords)
        whole = (held.data == 2) & (self.gains[rules] > _TO_SPARE)
        shots, rules = shots[whole], rules[whole]
        ranks = np.empty(len(rules), dtype=np.int64)
        ranks[np.lexsort((rules, self.gains[rules]))] = np.arange(len(rules))
        best = np.full(edges.shape, -1, dtype=np.int64)
        keys = shots[:, None], self.begun[rules]
        np.maximum.at(best, keys, ranks[:, None])
        taken = (best[keys] == ranks[:, None]).all(axis=1)
        return shots[taken], rules[taken]


def parities(chosen: Bits | csr_array, made_of: csr_array) -> Bits:
    """Which of M things are in an odd number of those chosen [N, C], by what these are made of.

    >>> parities(np.array([[True, True]]), _sparse([[0, 1], [1, 2]], 3)).astype(int)
    array([[1, 0, 1]])
    """
    held = coo_array(csr_array(chosen, dtype=np.int16) @ made_of)
    return (held.toarray() & 1).astype(bool)


def ends_of(problem: Problem) -> tuple[csr_array, csr_array]:
    """The detectors [E, D] and the observables [E, O] that edges flip."""
    graph = problem.graph
    return (
        _sparse([sorted(detectors) for detectors, _ in graph.edges], graph.detectors),
        _sparse([sorted(flipped) for _, flipped in graph.edges], graph.observables),
    )


def _ways(edges: tuple[Part, ...], boundary: int) -> Iterator[tuple[_Joint, _Way]]:
    """Every edge, and every two that meet at a detector or at the boundary."""
    at: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # node: (edge, its other end)
    for number, (detectors, flipped) in enumerate(edges):
        one, other = sorted(detectors) if len(detectors) == 2 else (*detectors, boundary)
        at[one].append((number, other))
        at[other].append((number, one))
        yield (one, other, flipped), (number,)
    for meeting in at.values():
        for (first, one), (second, other) in itertools.combinations(meeting, 2):
            if one != other:
                joint = min(one, other), max(one, other), edges[first][1] ^ edges[second][1]
                yield joint, (first, second)


def _sparse(rows: list[list[int]], columns: int) -> csr_array:
    """Ones in the columns that each row lists; entries listed twice add up."""
    lengths = [len(row) for row in rows]
    columns_of = np.array([one for row in rows for one in row], dtype=np.int64)
    where = np.repeat(np.arange(len(rows)), lengths), columns_of
    return csr_array((np.ones(sum(lengths), dtype=np.int16), where), shape=(len(rows), columns))

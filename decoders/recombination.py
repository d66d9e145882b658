"""What many answers to a shot say together: their differences are local, and chosen one by one.

Two answers with the same events differ by cycles, each of which can be taken or left by itself.
So K answers that differ in m places stand for 2^m, most of which nobody gave: the best of these is
found, and all of them are summed. With the cycles' energies ΔE from the best answer, and cycles
that touch each other in one cluster, of which at most one is taken,
ln Z = -E + sum over clusters of ln(1 + sum of exp(-ΔE)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from decoders.fault_graph import Array, FaultGraph

Numbers = NDArray[np.int64]

_ROUNDS = 4  # of exchanging the best answer for a better one
_GAIN = 1e-9
_MOST_ENERGY = 50.0
_MIX = np.int64(0x1E3779B97F4A7C15)  # spreads the numbers of groups over all 64 bits


class Entries(NamedTuple):
    """Edges of sets: `sets` and `edges` [Z], sorted by set."""

    sets: Numbers
    edges: Numbers

    def repeated(self, wanted: Numbers) -> Entries:
        """The edges of each wanted set, whose numbers are then 0, 1, ..."""
        firsts = np.searchsorted(self.sets, wanted)
        lengths = np.searchsorted(self.sets, wanted, side="right") - firsts
        begins = np.cumsum(lengths) - lengths
        places = np.arange(int(lengths.sum())) + np.repeat(firsts - begins, lengths)
        return Entries(np.repeat(np.arange(len(wanted)), lengths), self.edges[places])

    def differing(self, other: Entries, edges: int) -> Entries:
        """What is in one of the two alone, set by set."""
        keys = np.sort(np.concatenate([self.sets, other.sets]) * edges
                       + np.concatenate([self.edges, other.edges]))  # fmt: skip
        once = np.ones(len(keys), dtype=bool)
        same = keys[1:] == keys[:-1]
        once[1:] &= ~same
        once[:-1] &= ~same
        return Entries(*np.divmod(keys[once], edges))

    def matrix(self, count: int, edges: int) -> csr_array:
        """As sets of edges [count, E]."""
        starts = np.searchsorted(self.sets, np.arange(count + 1))
        ones = np.ones(len(self.edges), dtype=np.int16)
        return csr_array((ones, self.edges, starts), shape=(count, edges))


class Cycles(NamedTuple):
    """Local changes to the best answers of groups: whose, what they cost, and their edges."""

    groups: Numbers
    energies: Array
    edges: Entries


class Recombined(NamedTuple):
    """What answers say of N shots with the observable kept (0) and flipped (1).

    `logs` [2, N] are ln Z up to a constant of the model, -inf where no answer has that value. Set
    value N + n of `best` is the best answer, and edge z of `steps` is in error with a chance that
    is by `sizes[z]` higher than there.
    """

    logs: Array
    best: Entries
    steps: Entries
    sizes: Array
    edges: int

    @property
    def odds(self) -> Array:
        """ln P(kept) / P(flipped), [N]."""
        return self.logs[0] - self.logs[1]

    def chances(self, value: int) -> NDArray[np.float32]:
        """Of edges to be in error if the observable has that value, [N, E]."""
        found = np.zeros((2, self.logs.shape[1], self.edges), dtype=np.float32)
        flat = found.reshape(-1, self.edges)
        flat[self.best.sets, self.best.edges] = 1
        np.add.at(flat, self.steps, self.sizes)
        return found[value]


class Recombination:
    """Recombines answers under an error model, for one observable."""

    def __init__(self, graph: FaultGraph, observable: int):
        self._graph, self._count = graph, len(graph.edges)
        ends = [(*sorted(detectors), -1)[:2] for detectors, _ in graph.edges]
        self._ends = np.array(ends, dtype=np.int64).reshape(-1, 2)
        self._flips = graph.flips(observable)
        rng = np.random.default_rng([7_901, observable])
        self._names = rng.integers(1, 2**50, self._count)  # sums of them name cycles

    def of(self, answers: Sequence[csr_array], logs: Array, flips: Numbers) -> Recombined:
        """From K answers to each of N shots, all with that shot's events.

        `logs` [K, N] are ln P of the answers, -inf for those to be passed over, and `flips` [K, N]
        says if the observable flips.
        """
        members, shots = logs.shape
        given = np.isfinite(logs)
        solutions = _solutions(answers, given)
        own = np.concatenate([np.where(flips == value, logs, -np.inf) for value in (0, 1)], axis=1)
        there = np.flatnonzero(np.isfinite(own).any(axis=0))
        first = solutions.repeated(there % shots * members + own.argmax(axis=0)[there])
        best, cycles = self._improved(
            Entries(there[first.sets], first.edges), there, solutions, given
        )
        found = self._summed(best, cycles, there, shots)
        # Both are sums over some of all there is, but where faults join clusters: take the larger.
        told = np.logaddexp.reduce(own, axis=0).reshape(2, shots)
        return found._replace(logs=np.maximum(found.logs, told))

    def _improved(
        self, best: Entries, open_: Numbers, solutions: Entries, given: NDArray[np.bool_]
    ) -> tuple[Entries, Cycles]:
        """The best answers there are, and the cycles by which others differ from them.

        Sets of `best` are groups: a value of the observable, and a shot.
        """
        done: list[Cycles] = []
        for turn in range(_ROUNDS):
            cycles = self._cycles(best, open_, solutions, given)
            lowest = np.zeros(2 * given.shape[1])
            np.minimum.at(lowest, cycles.groups, cycles.energies)
            better = (lowest < -_GAIN) & (turn < _ROUNDS - 1)
            done.append(_chosen(cycles, ~better[cycles.groups]))
            open_ = np.flatnonzero(better)
            if not len(open_):
                break
            lowered = better[cycles.groups] & (cycles.energies == lowest[cycles.groups])
            taken = np.flatnonzero(lowered)
            taken = taken[np.unique(cycles.groups[taken], return_index=True)[1]]
            change = cycles.edges.repeated(taken)
            change = Entries(cycles.groups[taken][change.sets], change.edges)
            best = best.differing(change, self._count)
        return best, _together(done)

    def _cycles(
        self, best: Entries, open_: Numbers, solutions: Entries, given: NDArray[np.bool_]
    ) -> Cycles:
        """By which the answers to the shots of the open groups differ from the best."""
        members, shots = given.shape
        which, member = np.nonzero(given.T[open_ % shots])
        pairs = open_[which]
        change = solutions.repeated(pairs % shots * members + member).differing(
            best.repeated(pairs), self._count
        )
        labels, count = self._components(change.sets, change.edges)
        odd = np.bincount(labels, weights=self._flips[change.edges], minlength=count) % 2 == 1
        owner = np.zeros(count, dtype=np.int64)
        owner[labels] = pairs[change.sets]
        names = np.zeros(count, dtype=np.int64)
        np.add.at(names, labels, self._names[change.edges])
        _, once = np.unique(names + (owner + 1) * _MIX, return_index=True)
        once = once[~odd[once]]
        number = np.full(count, -1)
        number[once] = np.arange(len(once))
        kept = number[labels] >= 0
        order = np.argsort(number[labels[kept]], kind="stable")
        edges = Entries(number[labels[kept]][order], change.edges[kept][order])
        groups = owner[once]
        return Cycles(groups, self._energies(best, groups, edges), edges)

    def _energies(self, best: Entries, groups: Numbers, edges: Entries) -> Array:
        """What the best answers with these changes cost more than without."""
        changed = best.repeated(groups).differing(edges, self._count)
        after = self._graph.costs(changed.matrix(len(groups), self._count))
        own, which = np.unique(groups, return_inverse=True)
        before = self._graph.costs(best.repeated(own).matrix(len(own), self._count))
        return after - before[which]

    def _components(self, sets: Numbers, edges: Numbers) -> tuple[Numbers, int]:
        """Which edges hang together by detectors: a number each, and how many there are."""
        one, other = self._ends[edges].T
        detectors = self._graph.detectors
        two = other >= 0
        nodes, at = np.unique(
            np.concatenate([sets * detectors + one, sets[two] * detectors + other[two]]),
            return_inverse=True,
        )
        begins, ends = at[: len(edges)], at[len(edges) :]
        links = coo_array((np.ones(len(ends), dtype=np.int8), (begins[two], ends)),
                          shape=(len(nodes), len(nodes)))  # fmt: skip
        count, labels = connected_components(links, directed=False)
        return labels[begins].astype(np.int64), count

    def _summed(self, best: Entries, cycles: Cycles, there: Numbers, shots: int) -> Recombined:
        """Over all choices of cycles, at most one in a cluster of those that touch."""
        groups = cycles.groups[cycles.edges.sets]
        labels, clusters = self._components(groups, cycles.edges.edges)
        cluster = np.zeros(len(cycles.groups), dtype=np.int64)
        cluster[cycles.edges.sets] = labels
        shares = np.exp(-np.clip(cycles.energies, -_MOST_ENERGY, _MOST_ENERGY))
        totals = 1 + np.bincount(cluster, weights=shares, minlength=clusters)
        owner = np.zeros(clusters, dtype=np.int64)
        owner[cluster] = cycles.groups
        logs = np.full(2 * shots, -np.inf)
        logs[there] = -self._graph.costs(best.matrix(2 * shots, self._count))[there]
        logs += np.bincount(owner, weights=np.log(totals), minlength=2 * shots)
        inside = np.isin(groups * self._count + cycles.edges.edges,
                         best.sets * self._count + best.edges)  # fmt: skip
        sizes = (shares / totals[cluster])[cycles.edges.sets] * np.where(inside, -1, 1)
        steps = Entries(groups, cycles.edges.edges)
        return Recombined(logs.reshape(2, shots), best, steps, sizes, self._count)


def _solutions(answers: Sequence[csr_array], given: NDArray[np.bool_]) -> Entries:
    """All answers that are given; answer k to shot n has the number n K + k."""
    sets, edges = [], []
    for number, one in enumerate(answers):
        shots = np.repeat(np.arange(len(one.indptr) - 1), np.diff(one.indptr))
        kept = given[number][shots]
        sets.append(shots[kept] * len(given) + number)
        edges.append(one.indices[kept].astype(np.int64))
    numbers = np.concatenate(sets)
    order = np.argsort(numbers, kind="stable")
    return Entries(numbers[order], np.concatenate(edges)[order])


def _chosen(cycles: Cycles, wanted: NDArray[np.bool_]) -> Cycles:
    numbers = np.flatnonzero(wanted)
    return Cycles(cycles.groups[numbers], cycles.energies[numbers], cycles.edges.repeated(numbers))


def _together(parts: Sequence[Cycles]) -> Cycles:
    firsts = np.cumsum([0, *(len(one.groups) for one in parts)])
    return Cycles(
        np.concatenate([one.groups for one in parts]),
        np.concatenate([one.energies for one in parts]),
        Entries(np.concatenate([one.edges.sets + first
                                for one, first in zip(parts, firsts[:-1], strict=True)]),
                np.concatenate([one.edges.edges for one in parts])),
    )  # fmt: skip

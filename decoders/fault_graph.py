"""An error model as faults that are made of edges, and what a set of edges costs by them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from decoders.dem import Mechanism, Part, mechanisms, require_graphlike

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]

_MOST_PROBABILITY = 0.45  # of a perturbed fault


class FaultGraph(NamedTuple):
    """E edges, of one or two detectors each, and H faults that are several of them at once.

    A weight is ln((1 - p) / p). `alone` [E] are the weights of edges by themselves; a fault of
    several edges is by `gains` [H] cheaper than these together. `joined` [E, H] says which edges
    are a fault's, `sizes` [H] how many, and `own` which they are, one fault's after another's.
    """

    detectors: int
    observables: int
    edges: tuple[Part, ...]
    faults: tuple[tuple[float, tuple[int, ...]], ...]
    alone: Array
    joined: csr_array
    sizes: NDArray[np.int64]
    own: NDArray[np.int64]
    gains: Array

    @classmethod
    def of(cls, model: stim.DetectorErrorModel) -> FaultGraph:
        """From a model that is decomposed into edges; ValueError if it is not.

        >>> graph = FaultGraph.of(stim.DetectorErrorModel('''
        ...     error(0.1) D0 D1
        ...     error(0.01) D0 D1 ^ D2 L0'''))
        >>> [[sorted(part) for part in edge] for edge in graph.edges]
        [[[0, 1], []], [[2], [0]]]
        """
        require_graphlike(model)
        numbers: dict[Part, int] = {}
        chances: dict[tuple[int, ...], float] = {}
        for mechanism in mechanisms(model):
            parts = _parts(mechanism)
            if not parts or not mechanism.probability:
                continue
            key = tuple(sorted(numbers.setdefault(part, len(numbers)) for part in parts))
            p, q = chances.get(key, 0.0), mechanism.probability
            chances[key] = p * (1 - q) + q * (1 - p)
        several = [key for key in chances if len(key) > 1]
        alone = _alone(chances, len(numbers))
        joined = np.array([(edge, fault) for fault, key in enumerate(several) for edge in key],
                          dtype=np.int64).reshape(-1, 2)  # fmt: skip
        shape = len(numbers), len(several)
        return cls(
            model.num_detectors, model.num_observables, tuple(numbers),
            tuple((p, key) for key, p in chances.items()), alone,
            csr_array((np.ones(len(joined), dtype=np.int16), tuple(joined.T)), shape=shape),
            np.array([len(key) for key in several], dtype=np.int64), joined[:, 0],
            np.array([alone[list(key)].sum() - _weight(chances[key]) for key in several]),
        )  # fmt: skip

    def costs(self, chosen: csr_array) -> Array:
        """What N sets of edges [N, E] cost, explained by faults that do not overlap, [N].

        The faults that gain most are taken first, where they are in each other's way: it is the
        cost of an explanation, though not always of the cheapest.
        """
        held = coo_array(chosen @ self.joined)
        sets, faults = (numbers.astype(np.int64) for numbers in held.coords)
        whole = (held.data == self.sizes[faults]) & (self.gains[faults] > 0)
        together = chosen @ self.alone
        return together - self._saved(sets[whole], faults[whole], len(together))

    def _saved(self, sets: NDArray[np.int64], faults: NDArray[np.int64], count: int) -> Array:
        """The gains of faults that are taken, of candidates (set, fault)."""
        saved, edges = np.zeros(count), len(self.edges)
        firsts = np.cumsum(self.sizes) - self.sizes
        while len(sets):
            gains = self.gains[faults]
            lengths = self.sizes[faults]
            begins = np.cumsum(lengths) - lengths
            places = np.arange(lengths.sum()) + np.repeat(firsts[faults] - begins, lengths)
            keys = np.repeat(sets, lengths) * edges + self.own[places]
            names, keys = np.unique(keys, return_inverse=True)  # of edges of sets
            # By gain, and by number where gains are the same, so that one of them is the best.
            ranks = np.empty(len(sets), dtype=np.int64)
            ranks[np.lexsort((-faults, gains))] = np.arange(len(sets))
            best = np.full(len(names), -1)
            np.maximum.at(best, keys, np.repeat(ranks, lengths))
            taken = np.logical_and.reduceat(best[keys] == np.repeat(ranks, lengths), begins)
            np.add.at(saved, sets[taken], gains[taken])
            used = np.zeros(len(names), dtype=bool)
            used[keys[np.repeat(taken, lengths)]] = True
            free = ~np.logical_or.reduceat(used[keys], begins)
            sets, faults = sets[free], faults[free]
        return saved

    def can_force(self, observable: int) -> bool:
        """Whether no edge of two detectors flips it, so that it can be a detector itself."""
        return all(len(detectors) == 1 for detectors, flipped in self.edges
                   if observable in flipped)  # fmt: skip

    def concerned(self, observable: int) -> Bits:
        """Detectors that edges lead to from those that flip it, if no edge of two does, [D]."""
        forced = self.detectors
        pairs = [pair for detectors, flipped in self.edges
                 for pair in [(*detectors, *([forced] if observable in flipped else []))]
                 if len(pair) == 2]  # fmt: skip
        joined = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        shape = (forced + 1, forced + 1)
        links = coo_array((np.ones(len(joined), dtype=np.int8), tuple(joined.T)), shape)
        groups = connected_components(links, directed=False)[1]
        return groups[:forced] == groups[forced]

    def flips(self, observable: int) -> NDArray[np.int64]:
        """Which edges flip it, [E]."""
        return np.array([observable in flipped for _, flipped in self.edges], dtype=np.int64)

    def forcing(self, observable: int) -> stim.DetectorErrorModel:
        """The model with the observable as its last detector, so that its value can be given."""
        return self._rewritten(observable, None)

    def labelled(self, factors: Array, forced: int | None = None) -> stim.DetectorErrorModel:
        """The model with each edge as an observable: what matching answers are the edges it chose.

        `factors` multiply the faults' probabilities, in the order of `faults`; the observable
        `forced`, if any, is the last detector.
        """
        return self._rewritten(forced, factors)

    def _rewritten(self, forced: int | None, factors: Array | None) -> stim.DetectorErrorModel:
        found = stim.DetectorErrorModel()
        for number, (chance, key) in enumerate(self.faults):
            targets: list[object] = []
            for edge in key:
                targets += [stim.target_separator()] if targets else []
                targets += self._nodes(edge, forced)
                targets += [] if factors is None else [stim.target_logical_observable_id(edge)]
            factor = 1.0 if factors is None else float(factors[number])
            found.append("error", min(_MOST_PROBABILITY, chance * factor), targets)
        last = self.detectors - (forced is None)
        found.append("detector", [], [stim.target_relative_detector_id(last)])
        return found

    def _nodes(self, edge: int, forced: int | None) -> list[stim.DemTarget]:
        detectors, flipped = self.edges[edge]
        nodes = [*sorted(detectors), *([self.detectors] if forced in flipped else [])]
        return [stim.target_relative_detector_id(node) for node in nodes]


def _parts(mechanism: Mechanism) -> list[Part]:
    """Edges that a fault flips an odd number of times; none if it flips no detector."""
    found: dict[Part, int] = {}
    for part in mechanism.parts:
        if part[0]:
            found[part] = found.get(part, 0) + 1
    return [part for part, times in found.items() if times % 2]


def _alone(chances: dict[tuple[int, ...], float], count: int) -> Array:
    """Weights of single edges; of those that are no fault by themselves, as matching has them."""
    single, any_way = np.zeros(count), np.zeros(count)
    for key, p in chances.items():
        for edge in key:
            any_way[edge] = any_way[edge] * (1 - p) + p * (1 - any_way[edge])
        if len(key) == 1:
            single[key[0]] = p
    return _weight(np.where(single > 0, single, any_way))


def _weight(chance: Array | float) -> Array:
    return np.log((1 - np.asarray(chance)) / np.asarray(chance))


def edge_sets(answers: NDArray[np.uint8]) -> csr_array:
    """Sets of edges [N, E] from what matching answered."""
    return csr_array(answers.astype(np.int16))

"""Decodes in two steps: a network takes the edges that it is sure of, matching does the rest."""

from __future__ import annotations

import math

import numpy as np
import pymatching
import sinter
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import nn

from decoders.fault_graph import Bits
from decoders.neural.predecoding import ends_of, parities
from decoders.neural.problem import Problem

_PLACES = 100_000  # of all shots that the network sees together


class CompiledPreDecoder(sinter.CompiledDecoder):
    """Takes edges that matching would, as far as the network is sure of them, and matches the rest.

    Edges of a probability of `possible` or more join detectors to clusters. Where those more likely
    than not explain all events of a cluster, they are taken; elsewhere those of `commit` or more.
    """

    def __init__(
        self, network: nn.Module, problem: Problem, *, commit: float, possible: float,
        correlated: bool = False,
    ):  # fmt: skip
        self._network, self._problem, self._correlated = network, problem, correlated
        self._commit, self._possible = (math.log(one / (1 - one)) for one in (commit, possible))
        self._ends, self._flipped = ends_of(problem)
        ends = [sorted(detectors) for detectors, _ in problem.graph.edges]
        self._joined = np.array([(one[0], one[-1]) for one in ends], dtype=np.int64)
        self._weights = torch.from_numpy(problem.weights)
        self._edges = torch.from_numpy(problem.lattice.edges)
        self._at_once = max(1, _PLACES // math.prod(problem.lattice.shape[1:]))
        self._matching = pymatching.Matching.from_detector_error_model(
            problem.model, enable_correlations=correlated
        )

    def decode_shots_bit_packed(
        self, *, bit_packed_detection_event_data: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Answers [N, ceil(O / 8)] to events [N, ceil(D / 8)]."""
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self._problem.graph.detectors,
            bitorder="little",
        ).astype(bool)  # fmt: skip
        left, flips = self.remaining(events)
        return np.packbits(flips ^ self.matched(left), axis=1, bitorder="little")

    def remaining(self, events: Bits) -> tuple[Bits, Bits]:
        """Events [N, D] -> events that are left [N, D], and what was flipped [N, O]."""
        left = events.astype(bool)
        flips = np.zeros((len(events), self._problem.graph.observables), dtype=bool)
        for at in range(0, len(events), self._at_once):
            some = slice(at, at + self._at_once)
            taken = self.taken(left[some])
            left[some] ^= parities(taken, self._ends)
            flips[some] ^= parities(taken, self._flipped)
        return left, flips

    def taken(self, events: Bits) -> Bits:
        """Edges that are taken, [N, E], of events [N, D]."""
        odds = self.edge_odds(events)
        likely = odds > 0
        unexplained = events ^ parities(likely, self._ends)
        return likely & (~self._touched(unexplained, odds) | (odds >= self._commit))

    def _touched(self, events: Bits, odds: NDArray[np.float32]) -> Bits:
        """Edges in whose clusters there are some of the events, [N, E]."""
        nodes = events.size
        shots, edges = np.nonzero(odds >= self._possible)
        joined = self._joined[edges] + shots[:, None] * events.shape[1]
        links = coo_array((np.ones(len(joined), dtype=np.int8), tuple(joined.T)), (nodes, nodes))
        count, clusters = connected_components(links, directed=False)
        with_events = np.zeros(count, dtype=bool)
        with_events[clusters[np.flatnonzero(events)]] = True
        found = np.zeros(odds.shape, dtype=bool)
        found[shots, edges] = with_events[clusters[joined[:, 0]]]
        return found

    def edge_odds(self, events: Bits) -> NDArray[np.float32]:
        """ln odds of each edge to be in error [N, E], as the network has it."""
        grid = torch.from_numpy(self._problem.lattice.with_events(events))
        with torch.inference_mode():
            return self._network(grid, self._weights).flatten(1)[:, self._edges].numpy()

    def matched(self, events: Bits) -> Bits:
        """What matching alone says of events [N, D], [N, O]."""
        shots = events.astype(np.uint8)
        answers = self._matching.decode_batch(shots, enable_correlations=self._correlated)
        return np.asarray(answers).astype(bool)

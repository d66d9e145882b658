"""Matchings on perturbed models, whose different answers are weighed by what they cost.

Each member is correlated matching on an error model that is perturbed at random (so does arXiv
2401.12434), and answers for both values of an observable. What an answer costs under the true
model, with faults of several edges counted as one, says how likely it is: all different answers
with one value of the observable together against those with the other are the odds.
"""

from __future__ import annotations

import numpy as np
import pymatching
import sinter
import stim
from numpy.typing import NDArray

from decoders.fault_graph import Array, Bits, FaultGraph, edge_sets

_SEED = 20_401  # of the perturbations: the same model has the same decoder
_AT_ONCE = 4096  # shots, whose answers of thousands of edges fit into memory


class CompiledEnsemble(sinter.CompiledDecoder):
    """Decodes shots, or tells the odds of each observable."""

    def __init__(
        self, model: stim.DetectorErrorModel, *, members: int, spread: float, unsure: float
    ):
        graph = FaultGraph.of(model)
        self._detectors, self._unsure = model.num_detectors, unsure
        self._plain = pymatching.Matching.from_detector_error_model(model)
        self._judges = [_Judge(graph, observable, members, spread)
                        for observable in range(model.num_observables)]  # fmt: skip

    def decode_shots_bit_packed(
        self, *, bit_packed_detection_event_data: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Answers [N, ceil(O / 8)] to events [N, ceil(D / 8)]."""
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self._detectors, bitorder="little"
        ).astype(bool)
        return np.packbits(self.odds(events) < 0, axis=1, bitorder="little")

    def odds(self, events: Bits) -> Array:
        """ln P(it does not flip) / P(it flips) of each observable, [N, O], of events [N, D].

        Where plain matching is sure, by its weights.
        """
        flips, weights = self._plain.decode_batch(events, return_weights=True)
        found = np.zeros(flips.shape)
        for number, judge in enumerate(self._judges):
            if judge.can_force:
                flip = flips[:, number].astype(bool)
                other = judge.weights(events, ~flip)
                found[:, number] = np.where(flip, weights - other, other - weights)
            unsure = np.flatnonzero(np.abs(found[:, number]) <= self._unsure)
            for at in range(0, len(unsure), _AT_ONCE):
                part = unsure[at : at + _AT_ONCE]
                found[part, number] = judge.odds(events[part])
        return found


class _Judge:
    """The members for one observable.

    They are given each of its values, if that can be done; else each answers as it likes.
    """

    def __init__(self, graph: FaultGraph, observable: int, members: int, spread: float):
        rng = np.random.default_rng([_SEED, observable])
        self._graph, self.can_force = graph, graph.can_force(observable)
        self._flips = graph.flips(observable)
        self._names = rng.integers(1, 2**50, len(graph.edges))  # sums of them name sets of edges
        if self.can_force:
            self._plain = pymatching.Matching.from_detector_error_model(graph.forcing(observable))
        forced = observable if self.can_force else None
        self._members = []
        for number in range(members):
            normal = rng.normal(size=len(graph.faults)) * (number > 0)
            model = graph.labelled(np.exp(spread * normal), forced)
            self._members.append(
                pymatching.Matching.from_detector_error_model(model, enable_correlations=True)
            )

    def weights(self, events: Bits, flips: Bits) -> Array:
        """Of plain matching's answers with such values of the observable, [N]."""
        return self._plain.decode_batch(np.column_stack([events, flips]), return_weights=True)[1]

    def odds(self, events: Bits) -> Array:
        """From all different answers, [N]; infinite where there is none with the other value."""
        given = [events]
        if self.can_force:
            given = [np.column_stack([events, np.full(len(events), flip)]) for flip in (0, 1)]
        answers = [self._answers(member, one) for member in self._members for one in given]
        costs, names, flips = map(np.stack, zip(*answers, strict=True))
        order = np.argsort(names, axis=0, kind="stable")
        costs, names, flips = (np.take_along_axis(one, order, axis=0)
                               for one in (costs, names, flips))  # fmt: skip
        costs[1:][names[1:] == names[:-1]] = np.inf
        kept, flipped = (np.logaddexp.reduce(np.where(flips == value, -costs, -np.inf), axis=0)
                         for value in (0, 1))  # fmt: skip
        return kept - flipped

    def _answers(
        self, member: pymatching.Matching, given: Bits
    ) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
        """What each costs, its name, and whether the observable flips."""
        chosen = edge_sets(np.asarray(member.decode_batch(given, enable_correlations=True)))
        return self._graph.costs(chosen), chosen @ self._names, chosen @ self._flips % 2

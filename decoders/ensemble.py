"""Matchings on perturbed models, whose different answers are weighed by what they cost.

Each member is correlated matching on an error model that is perturbed at random (so does arXiv
2401.12434), and answers for both values of an observable. What an answer costs under the true
model, with faults of several edges counted as one, says how likely it is: all different answers
with one value of the observable together against those with the other are the odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pymatching
import sinter
import stim
from numpy.typing import NDArray
from scipy.sparse import csr_array

from decoders.fault_graph import Array, Bits, FaultGraph, edge_sets

_SEED = 20_401  # of the perturbations: the same model has the same decoder
_STAGES = ((4, 4.0), (16, 2.0))  # so many members are enough where odds, as logarithms, are beyond
_AT_ONCE = 4096  # shots, whose answers of thousands of edges fit into memory


class _Answers(NamedTuple):
    """What K answers to N shots cost, their names, and whether the observable flips, [K, N]."""

    costs: Array
    names: NDArray[np.int64]
    flips: NDArray[np.int64]

    @classmethod
    def together(cls, answers: Sequence[_Answers]) -> _Answers:
        """Those of several members to the same shots."""
        return cls(
            np.concatenate([one.costs for one in answers]),
            np.concatenate([one.names for one in answers]),
            np.concatenate([one.flips for one in answers]),
        )

    def of(self, shots: Bits) -> _Answers:
        """Those to some of the shots."""
        return _Answers(self.costs[:, shots], self.names[:, shots], self.flips[:, shots])

    @property
    def odds(self) -> Array:
        """ln P(kept) / P(flipped), [N], each different answer counted once."""
        logs = self.logs
        kept, flipped = (np.logaddexp.reduce(np.where(self.flips == value, logs, -np.inf), axis=0)
                         for value in (0, 1))  # fmt: skip
        return kept - flipped

    @property
    def logs(self) -> Array:
        """ln P of each, up to a constant of the model, [K, N]; -inf for one that was there."""
        order = np.argsort(self.names, axis=0, kind="stable")
        names = np.take_along_axis(self.names, order, axis=0)
        again = np.zeros(names.shape, dtype=bool)
        again[1:] = names[1:] == names[:-1]
        found = -self.costs
        repeated = np.zeros_like(again)
        np.put_along_axis(repeated, order, again, axis=0)
        found[repeated] = -np.inf
        return found


class Judged(NamedTuple):
    """What an ensemble says of one observable, of N shots, in M of which all members were asked.

    `odds` [N] and `first` [M], those of the first member alone, are ln P(kept) / P(flipped);
    `asked` [M] says which shots, and `kept` and `flipped` [M, E] with what chances the edges were
    in error, if the observable kept its value or flipped.
    """

    odds: Array
    asked: NDArray[np.int64]
    first: Array
    kept: NDArray[np.float32]
    flipped: NDArray[np.float32]


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
        found = self.gaps(events)
        for number, judge in enumerate(self._judges):
            unsure = np.abs(found[:, number]) <= self._unsure
            different, which = np.unique(events[unsure], axis=0, return_inverse=True)
            odds = [judge.odds(different[at : at + _AT_ONCE])
                    for at in range(0, len(different), _AT_ONCE)]  # fmt: skip
            found[unsure, number] = np.concatenate([*odds, []])[which]
        return found


    def gaps(self, events: Bits) -> Array:
        """Of each observable, [N, O]: what plain matching's answers with its values differ by.

        Zero for an observable that cannot be given a value.
        """
        flips, weights = self._plain.decode_batch(events, return_weights=True)
        found = np.zeros(flips.shape)
        for number, judge in enumerate(self._judges):
            if judge.can_force:
                flip = flips[:, number].astype(bool)
                other = judge.weights(events, ~flip)
                found[:, number] = np.where(flip, weights - other, other - weights)
        return found

    def judge(self, observable: int, events: Bits) -> Judged:
        """Odds of one observable with their reasons, of shots in which matching is not sure."""
        return self._judges[observable].judge(events)


class _Judge:
    """The members for one observable.

    They are given each of its values, if that can be done; else each answers as it likes.
    """

    def __init__(self, graph: FaultGraph, observable: int, members: int, spread: float):
        self._graph, self.can_force = graph, graph.can_force(observable)
        self._observable, self._most, self._spread = observable, members, spread
        self._flips = graph.flips(observable)
        # Sums of them name sets of edges.
        self._names = np.random.default_rng([_SEED, observable]).integers(
            1, 2**50, len(graph.edges)
        )
        if self.can_force:
            self._plain = pymatching.Matching.from_detector_error_model(graph.forcing(observable))
            self.can_force = self._has_both_values()
        self._members: list[pymatching.Matching] = []

    def _has_both_values(self) -> bool:
        """Whether it can flip without an event: not where events alone say if it does."""
        try:
            self.weights(np.zeros((1, self._graph.detectors), dtype=bool), np.ones(1, dtype=bool))
        except ValueError:  # no perfect matching
            return False
        return True

    def weights(self, events: Bits, flips: Bits) -> Array:
        """Of plain matching's answers with such values of the observable, [N]."""
        return self._plain.decode_batch(np.column_stack([events, flips]), return_weights=True)[1]

    def odds(self, events: Bits) -> Array:
        """From all different answers, [N]; infinite where there is none with the other value.

        More members are asked where few leave it open.
        """
        found, open_ = np.zeros(len(events)), np.arange(len(events))
        answers: list[_Answers] = []
        for members, enough in (*_STAGES, (self._most, 0.0)):
            new = range(len(answers), min(members, self._most))
            answers += [self._answers(self._asked(number, events[open_])) for number in new]
            now = _Answers.together(answers).odds
            found[open_] = now
            still = np.abs(now) < enough
            open_ = open_[still]
            answers = [one.of(still) for one in answers]
        return found

    def judge(self, events: Bits) -> Judged:
        """Odds with their reasons: all members are asked where the first few leave it open."""
        few, enough = _STAGES[0]
        sets = [self._asked(number, events) for number in range(min(few, self._most))]
        odds = _Answers.together([self._answers(one) for one in sets]).odds
        asked = np.flatnonzero(np.abs(odds) < enough)
        sets = [[one[asked] for one in found] for found in sets]
        sets += [self._asked(number, events[asked]) for number in range(len(sets), self._most)]
        answers = [self._answers(one) for one in sets]
        every = _Answers.together(answers)
        odds[asked] = every.odds
        flat = [one for found in sets for one in found]
        kept, flipped = (_chances(flat, np.where(every.flips == value, every.logs, -np.inf))
                         for value in (0, 1))  # fmt: skip
        return Judged(odds, asked, answers[0].odds, kept, flipped)

    def _asked(self, number: int, events: Bits) -> list[csr_array]:
        """The edges that a member chooses, for each value of the observable if it is given any."""
        given = [events]
        if self.can_force:
            given = [np.column_stack([events, np.full(len(events), flip)]) for flip in (0, 1)]
        return [self._sets(number, one) for one in given]

    def _answers(self, found: list[csr_array]) -> _Answers:
        return _Answers(
            np.stack([self._graph.costs(one) for one in found]),
            np.stack([one @ self._names for one in found]),
            np.stack([one @ self._flips % 2 for one in found]),
        )

    def _sets(self, number: int, given: Bits) -> csr_array:
        """The edges that a member chooses."""
        while len(self._members) <= number:
            self._members.append(self._member(len(self._members)))
        matching = self._members[number]
        return edge_sets(np.asarray(matching.decode_batch(given, enable_correlations=True)))

    def _member(self, number: int) -> pymatching.Matching:
        rng = np.random.default_rng([_SEED, self._observable, number])
        normal = rng.normal(size=len(self._graph.faults)) * (number > 0)
        model = self._graph.labelled(
            np.exp(self._spread * normal), self._observable if self.can_force else None
        )
        return pymatching.Matching.from_detector_error_model(model, enable_correlations=True)


def _chances(sets: Sequence[csr_array], logs: Array) -> NDArray[np.float32]:
    """Of edges [N, E], from K sets with ln P of each [K, N]; 0 where all are -inf."""
    most = logs.max(axis=0)
    weights = np.exp(logs - np.where(np.isfinite(most), most, 0.0))
    weights = (weights / np.maximum(weights.sum(axis=0), 1e-300)).astype(np.float32)
    found = np.zeros(sets[0].shape, dtype=np.float32)
    for chosen, weight in zip(sets, weights, strict=True):
        shots = np.repeat(np.arange(len(weight)), np.diff(chosen.indptr))
        found[shots, chosen.indices] += weight[shots]
    return found

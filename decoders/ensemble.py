"""Matchings on perturbed models, whose answers are recombined and weighed by what they cost.

Each member is correlated matching on an error model that is perturbed at random (so does arXiv
2401.12434), and answers for both values of an observable. What an answer costs under the true
model, with faults of several edges counted as one, says how likely it is: all that can be made of
the answers with one value of the observable together against those with the other are the odds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pymatching
import sinter
import stim
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from decoders.fault_graph import Array, Bits, FaultGraph, edge_sets
from decoders.recombination import Recombination, Recombined

_SEED = 20_401  # of the perturbations: the same model has the same decoder
# So many members are enough where odds, as logarithms, are beyond: for an answer, and for odds.
_STAGES_ROUGHLY = ((1, 5.0), (2, 4.0), (4, 3.0), (8, 1.0))
_STAGES = ((8, 3.0),)
_STAGES_THOROUGHLY = ((8, math.inf),)
_AT_ONCE = 4096  # shots, whose answers of thousands of edges fit into memory


class _Answers(NamedTuple):
    """K answers to N shots, as edges chosen [N, E].

    What they cost, their names, and whether the observable flips, [K, N].
    """

    sets: tuple[csr_array, ...]
    costs: Array
    names: NDArray[np.int64]
    flips: NDArray[np.int64]

    def to(self, shots: Bits) -> _Answers:
        """Those to some of the shots."""
        return _Answers(
            tuple(one[shots] for one in self.sets),
            self.costs[:, shots], self.names[:, shots], self.flips[:, shots],
        )  # fmt: skip

    def beside(self, others: _Answers) -> _Answers:
        """These and others to the same shots."""
        return _Answers(
            self.sets + others.sets,
            np.concatenate([self.costs, others.costs]),
            np.concatenate([self.names, others.names]),
            np.concatenate([self.flips, others.flips]),
        )

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

    `odds` [N] and `first` [M], those of the first few members, are ln P(kept) / P(flipped);
    `asked` [M] says which shots, and `found` what all answers to these say.
    """

    odds: Array
    asked: NDArray[np.int64]
    first: Array
    found: Recombined


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
        return np.packbits(self.odds(events, roughly=True) < 0, axis=1, bitorder="little")

    def odds(self, events: Bits, *, roughly: bool = False) -> Array:
        """ln P(it does not flip) / P(it flips) of each observable, [N, O], of events [N, D].

        Where plain matching is sure, by its weights. `roughly` is for the sign alone: it asks fewer
        members, and tells no more of sure shots than that.
        """
        found = self.gaps(events, roughly=roughly)
        for number, judge in enumerate(self._judges):
            unsure = np.abs(found[:, number]) <= self._unsure
            different, which = np.unique(events[unsure], axis=0, return_inverse=True)
            stages = _STAGES_ROUGHLY if roughly else _STAGES
            odds = [judge.judge(different[at : at + _AT_ONCE], stages).odds
                    for at in range(0, len(different), _AT_ONCE)]  # fmt: skip
            found[unsure, number] = np.concatenate([*odds, []])[which]
        return found

    def gaps(self, events: Bits, *, roughly: bool = False) -> Array:
        """Of each observable, [N, O]: what plain matching's answers with its values differ by.

        Zero for an observable that cannot be given a value. If `roughly`, those that are known to
        be above `unsure` without a second matching are a bound, which is as well above it.
        """
        enough = self._unsure if roughly else math.inf
        found = [judge.gaps(events, self._plain, enough) for judge in self._judges]
        return np.stack(found, axis=1) if found else np.zeros((len(events), 0))

    def judge(
        self, observable: int, events: Bits, *, roughly: bool = False, thoroughly: bool = False
    ) -> Judged:
        """Odds of one observable with their reasons, of shots in which matching is not sure.

        `thoroughly` asks all members of each, however sure the first few are.
        """
        stages = _STAGES_ROUGHLY if roughly else _STAGES
        return self._judges[observable].judge(events, _STAGES_THOROUGHLY if thoroughly else stages)


class _Judge:
    """The members for one observable.

    They are given each of its values, if that can be done; else each answers as it likes.
    """

    def __init__(self, graph: FaultGraph, observable: int, members: int, spread: float):
        self._graph, self._can_force = graph, graph.can_force(observable)
        self._least: float | None = None
        self._observable, self._most, self._spread = observable, members, spread
        self._flips = graph.flips(observable)
        self._recombination = Recombination(graph, observable)
        # Sums of them name sets of edges.
        self._names = np.random.default_rng([_SEED, observable]).integers(
            1, 2**50, len(graph.edges)
        )
        if self._can_force:
            self._plain = pymatching.Matching.from_detector_error_model(graph.forcing(observable))
            self._concerned = graph.concerned(observable)
            self._least = self._least_flip()
            self._can_force = self._least is not None
        self._members: list[pymatching.Matching] = []

    def _least_flip(self) -> float | None:
        """The least weight that flips it without an event; None if nothing does."""
        nothing = np.zeros((1, self._graph.detectors), dtype=bool)
        try:
            return float(self._weights(nothing, np.ones(1, dtype=bool))[0])
        except ValueError:  # no perfect matching: events alone say whether it flips
            return None

    def gaps(self, events: Bits, plain: pymatching.Matching, enough: float) -> Array:
        """Weight of the flipped answer less that of the kept one, [N], or a bound beyond `enough`.

        Two answers differ by a flip without events, so that their weights together are not less
        than the least of these: where one is light, the other is heavy.
        """
        if self._least is None:
            return np.zeros(len(events))
        concerned = events & self._concerned
        flips, weights = plain.decode_batch(concerned, return_weights=True)
        flip = flips[:, self._observable].astype(bool)
        gaps = self._least - 2 * weights
        near = np.flatnonzero((gaps <= enough) | (self._graph.alone.min() < 0))
        gaps[near] = self._weights(concerned[near], ~flip[near]) - weights[near]
        return np.where(flip, -gaps, gaps)

    def _weights(self, events: Bits, flips: Bits) -> Array:
        """Of plain matching's answers with such values of the observable, [N]."""
        return self._plain.decode_batch(np.column_stack([events, flips]), return_weights=True)[1]

    def judge(self, events: Bits, stages: Sequence[tuple[int, float]]) -> Judged:
        """From all answers; more members are asked where few leave it open, by the stages."""
        asked = np.arange(len(events))
        stages = [(members, enough) for members, enough in stages if members < self._most]
        given = self._asked(range(stages[0][0] if stages else self._most), events)
        found = self._recombined(given)
        odds, first = found.odds.copy(), found.odds
        for number, (before, enough) in enumerate(stages):
            still = np.abs(found.odds) < enough
            asked, first, given = asked[still], first[still], given.to(still)
            after = stages[number + 1][0] if number + 1 < len(stages) else self._most
            if len(asked):
                given = given.beside(self._asked(range(before, after), events[asked]))
            found = self._recombined(given)
            odds[asked] = found.odds
        return Judged(odds, asked, first, found)

    def _recombined(self, answers: _Answers) -> Recombined:
        """What answers say of both values."""
        return self._recombination.of(answers.sets, answers.logs, answers.flips)

    def _asked(self, members: Iterable[int], events: Bits) -> _Answers:
        """What members answer, for each value of the observable if it is given any."""
        given = [events]
        if self._can_force:
            given = [np.column_stack([events, np.full(len(events), flip)]) for flip in (0, 1)]
        sets = tuple(self._sets(number, one) for number in members for one in given)
        stacked = csr_array(vstack(sets, format="csr"))
        shape = len(sets), len(events)
        return _Answers(
            sets, self._graph.costs(stacked).reshape(shape),
            (stacked @ self._names).reshape(shape), (stacked @ self._flips % 2).reshape(shape),
        )  # fmt: skip

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
            np.exp(self._spread * normal), self._observable if self._can_force else None
        )
        return pymatching.Matching.from_detector_error_model(model, enable_correlations=True)

"""What networks see of shots that matching leaves open, and how such shots are drawn.

Matching is sure of nine shots in ten and right in them, so that networks need neither learn nor
decode these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from decoders.baselines.ensemble import EnsembleMatching
from decoders.ensemble import Judged
from decoders.fault_graph import Array, Bits
from decoders.neural.problem import Problem
from decoders.neural.readout import Beside, Drawable, Read, Told

Batch = Mapping[str, NDArray[Any]]
"""Arrays by name, with an example a row; "weights" has one row for all."""

_MOST_ODDS = 12.0
_AT_ONCE = 4096  # shots, whose answers of thousands of edges fit into memory
_MOST_DRAWN = 2_000_000  # shots for a batch


class Sight(Protocol):
    """Draws examples to train on: the same seed, the same examples."""

    def draw(self, examples: int, seed: int) -> Batch:
        """So many examples with what is right, none that another seed gives."""
        ...


class Open(NamedTuple):
    """What is known of N shots, and what a network sees of the M that are left open.

    `odds` [N, O] are ln P(kept) / P(flipped) by matching; example m is of the observable
    `observables[m]` of shot `shots[m]`.
    """

    odds: Array
    shots: NDArray[np.int64]
    observables: NDArray[np.int64]
    seen: Batch


class MatchingSight:
    """Sees matchings' answers: where they run in space and time, and how sure they are.

    Shots are open where plain matching's answers for the two values of an observable differ by
    less than `unsure`, and, with an ensemble of `members`, where its first few leave it open, too,
    or, if `thorough`, whatever these say.
    Without members a network sees the events and that difference alone. What it sees `beside`
    these, matching does not.
    """

    def __init__(
        self,
        problem: Problem,
        sampled: Drawable | None,
        *,
        members: int,
        unsure: float,
        beside: Sequence[Told] = (),
        thorough: bool = False,
    ):
        self._problem, self._sampled, self._members = problem, sampled, members
        self.sees = tuple(beside)
        recipe = EnsembleMatching(members=members, unsure=unsure)
        self._ensemble = recipe.compile_decoder_for_dem(dem=problem.model)
        self._unsure, self._thorough = unsure, thorough
        self._weights = problem.weights

    @property
    def detectors(self) -> int:
        """Of a shot."""
        return self._problem.model.num_detectors

    def look(self, events: Bits, *, roughly: bool = False, beside: Beside | None = None) -> Open:
        """At events [N, D], and at what is known beside.

        `roughly` asks fewer members, and tells of sure shots no more than that.
        """
        if beside is not None and len(beside.doubts) != len(events):
            raise ValueError(
                f"expected what is beside {len(events)} shots, got {len(beside.doubts)}"
            )
        odds = self._ensemble.gaps(events, roughly=roughly)
        parts: list[tuple[NDArray[np.int64], int, Batch]] = []
        for observable in range(odds.shape[1]):
            unsure = np.flatnonzero(np.abs(odds[:, observable]) <= self._unsure)
            for at in range(0, len(unsure), _AT_ONCE):
                some = unsure[at : at + _AT_ONCE]
                parts.append(self._part(events, beside, odds, observable, some, roughly))
        parts = parts or [self._part(events, beside, odds, 0, np.arange(0), roughly)]
        names = parts[0][2].keys()
        seen = {name: np.concatenate([part[name] for *_, part in parts]) for name in names}
        return Open(
            odds,
            np.concatenate([shots for shots, *_ in parts]),
            np.concatenate([np.full(len(shots), number) for shots, number, _ in parts]),
            {**seen, "weights": self._weights},
        )

    def left_open(self, events: Bits) -> NDArray[np.int64]:
        """Which of the shots [N, D] are examples."""
        if self._members and not self._thorough:
            return np.unique(self.look(events, roughly=True).shots)
        gaps = self._ensemble.gaps(events, roughly=True)
        return np.flatnonzero((np.abs(gaps) <= self._unsure).any(axis=1))

    def draw(self, examples: int, seed: int) -> Batch:
        """Open shots of the circuit, with "kept": whether the observable did not flip."""
        if self._sampled is None:
            raise ValueError("there is no circuit to draw shots of")
        sampler = self._sampled.sampler(seed)
        found: list[Batch] = []
        count = drawn = 0
        shots = 4 * examples
        while count < examples and drawn < _MOST_DRAWN:
            found.append(self.examples(sampler.sample(shots)))
            count, drawn = count + len(found[-1]["kept"]), drawn + shots
            missing = (examples - count) * drawn / max(count, 1)
            shots = int(np.clip(1.1 * missing, 256, 16_384))
        if count < examples:
            raise ValueError(
                f"of {drawn:,} shots matching leaves {count} open, fewer than a batch of "
                f"{examples}: train with more noise, or a smaller batch"
            )
        chosen = np.random.default_rng(seed).permutation(count)[:examples]
        batch = {name: np.concatenate([one[name] for one in found])[chosen]
                 for name in found[0] if name != "weights"}  # fmt: skip
        return {**batch, "weights": self._weights}

    def examples(self, read: Read) -> Batch:
        """What is open of some shots, with "kept": whether the observable did not flip."""
        seen = self.look(read.events, roughly=True, beside=read.beside)
        kept = ~read.flips[seen.shots, seen.observables]
        return {**seen.seen, "kept": kept.astype(np.float32)}

    def _part(
        self,
        events: Bits,
        beside: Beside | None,
        odds: Array,
        observable: int,
        shots: NDArray[np.int64],
        roughly: bool,
    ) -> tuple[NDArray[np.int64], int, Batch]:
        """Judges shots, and writes into `odds` what that gave."""
        gaps, lattice = odds[shots, observable], self._problem.lattice
        if not self._members:
            seen = {"scalars": gaps[:, None].astype(np.float32)}
            return shots, observable, {**seen, "events": self._grid(events, beside, shots)}
        judged = self._ensemble.judge(
            observable, events[shots], roughly=roughly, thoroughly=self._thorough
        )
        odds[shots, observable] = judged.odds
        left = shots[judged.asked]
        kept, flipped = (judged.found.chances(value) for value in (0, 1))
        return left, observable, {
            "scalars": _scalars(judged, gaps[judged.asked]),
            "edges": np.concatenate(
                [lattice.with_edges(kept - flipped), lattice.with_edges(kept + flipped)], axis=1),
            "events": self._grid(events, beside, left),
        }  # fmt: skip

    def _grid(
        self, events: Bits, beside: Beside | None, shots: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Layers of events of some shots, and then kinds of edges for each that is beside."""
        graph, lattice = self._problem.graph, self._problem.lattice
        found = [lattice.with_events(events[shots])]
        for name in self.sees:
            values = np.zeros((len(shots), len(graph.edges)))
            if beside is not None:
                values = beside.of(shots).on_edges(name, graph)
            found.append(lattice.with_edges(values))
        return np.concatenate(found, axis=1)


def _scalars(judged: Judged, gaps: Array) -> NDArray[np.float32]:
    """Odds by all members, by the first few, and by plain matching, [M, 3]."""
    every = np.stack([judged.odds[judged.asked], judged.first, gaps], axis=1)
    return np.clip(np.nan_to_num(every, nan=0.0), -_MOST_ODDS, _MOST_ODDS).astype(np.float32)

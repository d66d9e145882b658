"""Sliding-window matching: decides the rounds that are far enough in the past, and goes on.

Overlapping windows are due to Dennis et al. (quant-ph/0110143); this is the sequential form of
Skoric et al. (arXiv:2209.08552). A window of W rounds is matched as a whole. Of its matching, the
edges whose earlier end lies in the first C rounds are committed; an end beyond these rounds is
toggled there, and the next window begins C rounds later. At a window's late side edges to
detectors that have not come yet lead to the boundary.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import stim

from decoders.dem import Mechanism, Part, mechanisms, require_graphlike
from decoders.streaming.rounds import Rounds

Bits = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Window:
    """Rounds `first` to `end`, of which those before `decided` are committed.

    The matching predicts the flips of the committed edges, and behind them, as if they were
    observables, which of the detectors `handed` the committed edges toggle.
    """

    first: int
    end: int
    decided: int
    detectors: npt.NDArray[np.int64]
    handed: npt.NDArray[np.int64]
    matching: Any


class SlidingWindow:
    """A model's windows, compiled once; W >= all rounds is one window, PyMatching's own answer."""

    def __init__(
        self,
        model: stim.DetectorErrorModel,
        rounds: Rounds,
        *,
        window: int,
        commit: int,
        correlated: bool = False,
    ):
        require_graphlike(model)
        errors = [one for one in mechanisms(model) if one.probability]
        _check(errors, rounds, window, commit)
        self.rounds, self.observables = rounds, model.num_observables
        self._correlated = correlated
        self.window, self.commit = min(window, len(rounds)), min(commit, len(rounds))
        begins = _by_beginning(errors, rounds)
        made, first = [], 0
        while not made or made[-1].decided < len(rounds):
            end = min(first + window, len(rounds))
            decided = len(rounds) if end == len(rounds) else first + commit
            inside = sorted({number for begun in begins[first:end] for number in begun})
            made.append(self._compiled([errors[one] for one in inside], (first, end, decided)))
            first = decided
        self.windows: tuple[Window, ...] = tuple(made)

    def decode(self, events: Bits) -> Bits:
        """Whole shots by the same rule: events [N, D] to flips [N, O], bits of 0 and 1."""
        left, flips = events.copy(), np.zeros((len(events), self.observables), dtype=np.uint8)
        for window in self.windows:
            flips ^= self.advance(window, left)
        return flips

    def advance(self, window: Window, left: Bits) -> Bits:
        """The flips [N, O] that a window commits; toggles `left` [N, D] beyond it in place."""
        told = window.matching.decode_batch(
            left[:, window.detectors], enable_correlations=self._correlated
        )
        left[:, window.handed] ^= told[:, self.observables :]
        return told[:, : self.observables]

    def _compiled(self, errors: list[Mechanism], span: tuple[int, int, int]) -> Window:
        import pymatching

        first, end, decided = span
        detectors = np.sort(np.concatenate(self.rounds.detectors[first:end]))
        graph = _WindowModel(detectors, self.rounds.ranks(), self.observables, span)
        text = graph.model(errors)
        matching = pymatching.Matching.from_detector_error_model(
            text, enable_correlations=self._correlated
        )
        return Window(first, end, decided, detectors, np.array(graph.handed, dtype=int), matching)


class _WindowModel:
    """The error model that one window matches in."""

    def __init__(
        self,
        detectors: npt.NDArray[np.int64],
        ranks: npt.NDArray[np.int64],
        observables: int,
        span: tuple[int, int, int],
    ):
        self._numbers = {int(detector): number for number, detector in enumerate(detectors)}
        self._ranks, self._observables = ranks.tolist(), observables
        self._first, self._end, self._decided = span
        self._places: dict[int, int] = {}

    @property
    def handed(self) -> list[int]:
        """The detectors that committed edges may toggle, in the order of their marks."""
        return list(self._places)

    def model(self, errors: list[Mechanism]) -> stim.DetectorErrorModel:
        """Edges that begin in the window, with the flips and marks of those to be committed."""
        found = stim.DetectorErrorModel()
        for error in errors:
            targets: list[object] = []
            for part in error.parts:
                if edge := self._edge(part):
                    targets += [stim.target_separator(), *edge] if targets else edge
            if targets:
                found.append("error", error.probability, targets)
        found.append("detector", [], [stim.target_relative_detector_id(len(self._numbers) - 1)])
        marks = self._observables + len(self._places)
        if marks:
            found.append("logical_observable", [], [stim.target_logical_observable_id(marks - 1)])
        return found

    def _edge(self, part: Part) -> list[object]:
        """The part's targets here; [] if it is decided before, or begins beyond the window."""
        detectors, observables = part
        times = [self._ranks[one] for one in detectors]
        if not times or not self._first <= min(times) < self._end:
            return []
        edge: list[object] = [stim.target_relative_detector_id(self._numbers[one])
                for one in sorted(detectors) if one in self._numbers]  # fmt: skip
        if min(times) >= self._decided:
            return edge
        marks = sorted(observables)
        for one in sorted(detectors):
            if self._ranks[one] >= self._decided:
                marks.append(self._observables + self._places.setdefault(one, len(self._places)))
        return edge + [stim.target_logical_observable_id(mark) for mark in marks]


def _by_beginning(errors: list[Mechanism], rounds: Rounds) -> list[list[int]]:
    """Of each round, the errors that have an edge which begins in it."""
    ranks, found = rounds.ranks().tolist(), [[] for _ in range(len(rounds))]
    for number, error in enumerate(errors):
        for begin in {min(ranks[one] for one in dets) for dets, _ in error.parts if dets}:
            found[begin].append(number)
    return found


def _check(errors: list[Mechanism], rounds: Rounds, window: int, commit: int) -> None:
    if not 1 <= commit <= window:
        raise ValueError(
            f"commit must be 1 to window rounds, got commit = {commit}, window = {window}"
        )
    if window >= len(rounds):
        return
    ranks = rounds.ranks()
    ends = [list(detectors) for error in errors for detectors, _ in error.parts if detectors]
    reach = max((int(np.ptp(ranks[part])) for part in ends), default=0)
    if window - commit < reach:
        raise ValueError(
            f"an error of the model reaches over {reach} rounds, so a window must have at least "
            f"{reach} more than it commits, got window = {window}, commit = {commit}: take a "
            f"window of {commit + reach} or more, or commit less"
        )

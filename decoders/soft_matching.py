"""Matching whose edges weigh in each shot what the readout's values say (arXiv:2107.13589)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pymatching
import stim
from numpy.typing import NDArray

from decoders.dem import require_graphlike
from decoders.neural.readout import Beside

Bools = NDArray[np.bool_]
Array = NDArray[np.float64]
_MOST_WEIGHT = 14.0  # of an edge, where nothing is in doubt
_NEVER_KNOWN = 0.5 - 1e-9  # the most that a bit is usually wrong: at 1/2 its edge weighs nothing


class _Edge(NamedTuple):
    """Between two detectors, or from one to the boundary (None)."""

    ends: tuple[int, int | None]
    observables: set[int]
    weight: float


def decode_softly(model: stim.DetectorErrorModel, events: Bools, beside: Beside) -> Bools:
    """The flips of observables [N, O] in N shots, from events [N, D] and what is known beside.

    One matching, in which the edges that wrong bits make weigh otherwise in each shot. A shot
    without events needs none: nothing has flipped.
    """
    require_graphlike(model)
    matching = pymatching.Matching.from_detector_error_model(model)
    edges = _edges(matching)
    readings = [bit for bit, (detectors, _) in enumerate(beside.flipped) if detectors in edges]
    if not readings:
        raise ValueError(
            "none of the measurements flips what an edge of the error model does: "
            "expected both of the same circuit"
        )
    touched = list(dict.fromkeys(beside.flipped[bit][0] for bit in readings))
    weights = _weights(beside, readings, [edges[one] for one in touched], touched)
    flips = np.zeros((len(events), model.num_observables), dtype=np.bool_)
    for shot in np.flatnonzero(events.any(axis=1)):
        for one, weight in zip(touched, weights[shot], strict=True):
            _reweigh(matching, edges[one], weight)
        flips[shot] = matching.decode(events[shot])
    return flips


def _edges(matching: pymatching.Matching) -> dict[frozenset[int], _Edge]:
    found = dict[frozenset[int], _Edge]()
    for first, second, data in matching.edges():
        ends = [end for end in (first, second) if end is not None]
        other = ends[1] if len(ends) == 2 else None
        found[frozenset(ends)] = _Edge((ends[0], other), set(data["fault_ids"]), data["weight"])
    return found


def _weights(
    beside: Beside, readings: list[int], edges: list[_Edge], touched: list[frozenset[int]]
) -> Array:
    """What the edges weigh in each shot, [N, touched].

    With w = 2 artanh(1 − 2 p) each reading changes 1 − 2 p by (1 − 2 doubt) / (1 − 2 usual).
    """
    column = {one: number for number, one in enumerate(touched)}
    usual = np.minimum(np.asarray(beside.usual, dtype=float), _NEVER_KNOWN)
    told = np.zeros((len(beside.doubts), len(touched)))
    for bit in readings:
        with np.errstate(divide="ignore"):  # ln 0, of what is not known at all
            change = np.log1p(-2 * beside.doubts[:, bit]) - np.log1p(-2 * usual[bit])
        told[:, column[beside.flipped[bit][0]]] += change
    plain = np.tanh(np.array([edge.weight for edge in edges]) / 2)
    most = np.tanh(_MOST_WEIGHT / 2)
    return 2 * np.arctanh(np.clip(plain * np.exp(told), 0.0, most))


def _reweigh(matching: pymatching.Matching, edge: _Edge, weight: float) -> None:
    first, second = edge.ends
    if second is None:
        matching.add_boundary_edge(first, fault_ids=edge.observables, weight=weight,
                                   merge_strategy="replace")  # fmt: skip
    else:
        matching.add_edge(first, second, fault_ids=edge.observables, weight=weight,
                          merge_strategy="replace")  # fmt: skip

"""What detection events tell of an error model's faults: parities of sets of detectors.

The parity of a set S of detectors is even more often than odd by E = Π (1 − 2q), the product over
the faults that flip an odd number of S. With x = −ln(1 − 2q)/2 of each fault, u = −ln(E)/2 is the
sum of their x (as arXiv 2102.06132 and 2504.20212 have it). Here S are single detectors, pairs that
share a fault, and the faults' own detectors.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, hstack

from decoders.dem import Mechanism

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST = 2.0  # of x: a probability of 0.49
_OWN = 0.1  # of the variance of logarithms, what a fault has for itself; its kin share the rest
_DEAF = 3.0  # a set with a greater u is as often odd as even, and tells nothing
_INVERTED = 5.0  # standard deviations below 0 at which a parity contradicts all errors
_MOST_SETS = 4000  # that are looked at; those with the likeliest faults


class Known(NamedTuple):
    """F faults and M sets of detectors.

    `weights` [F] are the given x, `odd` [M, F] is 1 where a fault flips an odd number of a set,
    and `kin` [F, K] makes logarithms, up to their spread, of K normal numbers.
    """

    weights: Array
    sets: list[list[int]]
    odd: csr_array
    kin: csr_array

    def at(self, logs: Array) -> Array:
        """The x [F] where the factors have these logarithms [F]."""
        return np.minimum(self.weights * np.exp(logs), MOST)

    def with_own(self, share: float) -> Known:
        """With another share of the variance of logarithms for each fault itself."""
        faults = len(self.weights)
        own = np.sqrt(share) * eye_array(faults, format="csr")
        rest = np.sqrt((1 - share) / (1 - _OWN)) * csr_array(self.kin[:, faults:])
        return self._replace(kin=csr_array(hstack([own, rest])))

    def only(self, chosen: Bools) -> Known:
        """Of the sets, the chosen ones [M]."""
        if chosen.all():
            return self
        rows = np.flatnonzero(chosen)
        return self._replace(sets=[self.sets[row] for row in rows], odd=csr_array(self.odd[rows]))


def known_of(
    model: stim.DetectorErrorModel, faults: Sequence[Mechanism], weights: Array, common: float
) -> Known:
    """What is to be looked at, of sets that still tell something with all factors e^common."""
    sets = _sets_of_interest(faults, weights)
    odd = odd_of(sets, faults, model.num_detectors)
    heard = odd @ np.minimum(weights * np.exp(common), MOST)
    patterns: dict[bytes, int] = {}
    for row in np.flatnonzero((heard > 0) & (heard < _DEAF)):
        heard_faults = odd.indices[odd.indptr[row] : odd.indptr[row + 1]]
        patterns.setdefault(np.sort(heard_faults).tobytes(), int(row))
    rows = list(patterns.values())
    return Known(weights, [sets[row] for row in rows], odd[rows], kin_of(model, faults))


def is_sane(parities: Array, shots: int) -> Bools:
    """Whether faults can explain them: none makes a set odd more often than even.

    A set that is as often odd as even is taken for one that is not in 3 of 10 million cases.
    """
    return parities > -_INVERTED / np.sqrt(shots)


def _sets_of_interest(faults: Sequence[Mechanism], weights: Array) -> list[list[int]]:
    """Single detectors, then pairs and larger sets by how likely a fault flips all of one."""
    likely: dict[tuple[int, ...], float] = {}
    for fault, weight in zip(faults, weights, strict=True):
        detectors = tuple(sorted(fault.symptoms[0]))
        subsets = {detectors[:size] for size in (1, len(detectors))} - {()}
        subsets.update((one,) for one in detectors)
        subsets.update(itertools.combinations(detectors, 2))
        for subset in subsets:
            likely[subset] = likely.get(subset, 0.0) + weight
    ranked = sorted(likely, key=lambda subset: (len(subset) > 1, -likely[subset], subset))
    singles = sum(len(subset) == 1 for subset in ranked)
    return [list(subset) for subset in ranked[: max(_MOST_SETS, singles)]]


def odd_of(sets: Sequence[Sequence[int]], faults: Sequence[Mechanism], detectors: int) -> csr_array:
    """1 where a fault flips an odd number of a set's detectors, [M, F]."""
    flipped = [sorted(fault.symptoms[0]) for fault in faults]
    members, flips = (
        csr_array(
            (
                np.ones(sum(map(len, lists))),
                np.array([one for some in lists for one in some], dtype=np.int64),
                np.cumsum([0, *map(len, lists)]),
            ),
            shape=(len(lists), detectors),
        )
        for lists in (sets, flipped)
    )
    odd = csr_array(members @ flips.T)
    odd.data %= 2
    odd.eliminate_zeros()
    return odd


def kin_of(model: stim.DetectorErrorModel, faults: Sequence[Mechanism]) -> csr_array:
    """What faults have for themselves, by shape, by places and by their edges, [F, K]."""
    spots = _spots_of(model)
    shapes, places, edges = list[list[Hashable]](), list[list[Hashable]](), list[list[Hashable]]()
    for fault in faults:
        parts = [[spots[detector] for detector in part] for part, _ in fault.parts]
        begin = min((time for part in parts for _, time in part), default=0.0)
        shape = sorted(_shape_of(part, begin) for part in parts)
        shapes.append([(tuple(shape), frozenset(fault.symptoms[1]))])
        places.append([tuple(sorted(tuple(sorted({place for place, _ in part}))
                                    for part in parts))])  # fmt: skip
        own = [_shape_of(part, min(time for _, time in part)) for part in parts if part]
        edges.append([*own] or [()])
    shared = np.sqrt((1 - _OWN) / 3)
    parts = [np.sqrt(_OWN) * eye_array(len(faults), format="csr")]
    return csr_array(
        hstack([*parts, *(shared * _indicator(one) for one in (shapes, places, edges))])
    )


def _spots_of(model: stim.DetectorErrorModel) -> list[tuple[tuple[float, ...], float]]:
    """Place and time of each detector: the third coordinate is the time, or the last of fewer.

    One without coordinates is at a place of its own.
    """
    spots = []
    coordinates = model.get_detector_coordinates()
    for detector in range(model.num_detectors):
        found = coordinates.get(detector, [])
        at = min(len(found), 3) - 1
        place = (*found[:at], *found[at + 1 :]) if found else (float("inf"), float(detector))
        spots.append((place, found[at] if found else 0.0))
    return spots


def _shape_of(
    part: Sequence[tuple[tuple[float, ...], float]], begin: float
) -> tuple[tuple[tuple[float, ...], float], ...]:
    return tuple(sorted((place, round(time - begin, 6)) for place, time in part))


def _indicator(names: Sequence[Sequence[Hashable]]) -> csr_array:
    """Each fault's share in the names that it has, [F, K]."""
    numbers: dict[Hashable, int] = {}
    columns = [numbers.setdefault(name, len(numbers)) for some in names for name in some]
    shares = np.repeat([1 / len(some) for some in names], [len(some) for some in names])
    ends = np.cumsum([0, *map(len, names)])
    return csr_array((shares, columns, ends), shape=(len(names), len(numbers)))


def parities_of(events: Bools, sets: Sequence[Sequence[int]]) -> Array:
    """How much more often each set is even than odd, from −1 to 1, [M]."""
    fired = np.packbits(events.T, axis=1)
    odd = [np.bitwise_count(np.bitwise_xor.reduce(fired[list(one)], axis=0)).sum(dtype=np.int64)
           for one in sets]  # fmt: skip
    return 1 - 2 * np.array(odd, dtype=float) / len(events)

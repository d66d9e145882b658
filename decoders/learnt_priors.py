"""An error model's probabilities, learnt from detection events alone: no circuit is needed.

The parity of a set S of detectors is even more often than odd by E = Π (1 − 2q), the product over
the faults that flip an odd number of S. With x = −ln(1 − 2q)/2 of each fault, u = −ln(E)/2 is the
sum of their x (as arXiv 2102.06132 and 2504.20212 have it). Here S are single detectors, pairs that
share a fault, and the faults' own detectors. The parities of N shots fluctuate together: the
estimates of u have the covariance (exp(4 Σ x) − 1) / 4N, the sum over the faults that both sets
hear.

A priori the faults' factors are lognormal. They have a free factor in common; the rest is for the
most part shared by kin: faults with the same detectors at another time, with detectors at the same
places, and with the same edges. The likeliest factors are found by Gauss and Newton's steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, eye_array, hstack

from decoders.dem import Mechanism, mechanisms

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

_COMMON = 2.0  # standard deviation of what the logarithms of all factors have in common
_OWN = 0.1  # of the variance of the others, what a fault has for itself; its kin share the rest
_USUAL_SPREAD, _LEAST_SPREAD, _MOST_SPREAD = 0.5, 0.02, 2.0  # where the data are to tell it
_BELOW, _ABOVE = 6.0, 3.0  # how far a logarithm may be from the common one
_MOST = 2.0  # of x: a probability of 0.49
_DEAF = 3.0  # a set with a greater u is as often odd as even, and tells nothing
_MOST_SETS = 4000  # that are looked at; those with the likeliest faults
_STEPS = 25
_SETTLED = 1e-3  # the mean square of a step, in units of how well shots could tell a fault's rate
_SPREAD_SETTLED = 0.3  # of the logarithm of a variance
_LONGEST = 1.0  # step of a logarithm
_PROBES, _SEED = 32, 20_512  # random vectors that tell a trace
_RIDGE = 1e-8
_HELD_OUT = 5  # of so many shots, one


class Learnt(NamedTuple):
    """A model with learnt probabilities, and how well it fits.

    `factors` [F] multiply the given probabilities, in the order of the errors of the flattened
    model. `predicted` and `measured` [D] are how often the detectors fire, by the learnt model and
    in the shots. `spread` is the standard deviation of the logarithms of factors, besides what all
    have in common, that was taken a priori. The misfits are means of squared deviations of
    parities over their variance, 1 for the truth, in every fifth shot: `misfit_before` of the given
    model, `misfit_after` of one learnt from the other shots; NaN where no parity tells anything.
    """

    model: stim.DetectorErrorModel
    factors: Array
    predicted: Array
    measured: Array
    spread: float
    misfit_before: float
    misfit_after: float


class _Known(NamedTuple):
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
        return np.minimum(self.weights * np.exp(logs), _MOST)


class _Linear(NamedTuple):
    """The problem around some logarithms: what is left of u [M], its slopes, and covariances."""

    left: Array
    slopes: csr_array
    noise: Array
    shared: csr_array


def learnt_model(
    model: stim.DetectorErrorModel, events: Bools, *, spread: float | None = None
) -> Learnt:
    """The model with the probabilities that detection events [N, D] speak for.

    Its errors stay as they are, in their order and with their components; loops are unrolled. An
    error of which the shots say nothing keeps its probability but for the common factor. `spread`
    is the standard deviation of the logarithms of the others; without one, the shots tell it.

    >>> given = stim.DetectorErrorModel("error(0.02) D0 D1 L0\\nerror(0.02) D0\\nerror(0.02) D1")
    >>> device = stim.DetectorErrorModel("error(0.06) D0 D1 L0\\nerror(0.01) D0\\nerror(0.03) D1")
    >>> events, _, _ = device.compile_sampler(seed=1).sample(100_000)
    >>> [round(one.args_copy()[0], 3) for one in learnt_model(given, events).model]
    [0.058, 0.011, 0.03]
    """
    faults = list(mechanisms(model))
    _check(model, faults, events, spread)
    kept = np.arange(len(events)) % _HELD_OUT > 0
    given = np.array([fault.probability for fault in faults])
    weights = np.minimum(-np.log1p(-2 * np.minimum(given, 0.4999)) / 2, _MOST)
    singles = [[detector] for detector in range(model.num_detectors)]
    heard = _odd(singles, faults, model.num_detectors)
    measured = events.mean(axis=0)
    common = _common_factor(weights, heard, float(measured.sum() + 0.5 / len(events)))
    known = _known(model, faults, weights, common)
    rest, held = (_parities(events[which], known.sets) for which in (kept, ~kept))
    start = np.full(len(faults), common)
    first, guess = _likeliest(known, rest, int(kept.sum()), spread, start)
    both = (rest * kept.sum() + held * (~kept).sum()) / len(events)
    logs, guess = _likeliest(known, both, len(events), guess, first)
    changed = np.where(given > 0, -np.expm1(-2 * known.at(logs)) / 2, 0.0)
    return Learnt(
        _rewritten(model, changed),
        np.divide(changed, given, out=np.exp(logs), where=given > 0),
        -np.expm1(-2 * (heard @ known.at(logs))) / 2,
        measured,
        guess,
        *(_misfit(known, x, held, int((~kept).sum())) for x in (weights, known.at(first))),
    )


def _check(
    model: stim.DetectorErrorModel, faults: Sequence[Mechanism], events: Bools, spread: float | None
) -> None:
    expected = f"expected detection events as bool [shots, {model.num_detectors}]"
    if events.dtype != np.bool_ or events.ndim != 2 or events.shape[1] != model.num_detectors:
        raise ValueError(
            f"{expected}, got {events.dtype} {list(events.shape)}: unpack them, and give the model "
            "of the circuit that they are from"
        )
    if len(events) < _HELD_OUT:
        raise ValueError(f"{expected}, at least {_HELD_OUT} shots, got {len(events)}: sample more")
    if spread is not None and not spread > 0:
        raise ValueError(f"spread must be above 0, got {spread}")
    if not any(fault.probability > 0 and fault.symptoms[0] for fault in faults):
        raise ValueError(
            "expected a model with errors of a probability above 0 that flip detectors, got none: "
            "give it the noise you expect"
        )
    for fault in faults:
        if fault.probability > 0.5:
            raise ValueError(
                f"expected errors with probabilities of at most 0.5, got {fault}: put the flip "
                "itself into the circuit and leave the rest as noise"
            )


def _known(
    model: stim.DetectorErrorModel, faults: Sequence[Mechanism], weights: Array, common: float
) -> _Known:
    """What is to be looked at, of sets that still tell something with all factors e^common."""
    sets = _sets_of_interest(faults, weights)
    odd = _odd(sets, faults, model.num_detectors)
    heard = odd @ np.minimum(weights * np.exp(common), _MOST)
    patterns: dict[bytes, int] = {}
    for row in np.flatnonzero((heard > 0) & (heard < _DEAF)):
        heard_faults = odd.indices[odd.indptr[row] : odd.indptr[row + 1]]
        patterns.setdefault(np.sort(heard_faults).tobytes(), int(row))
    rows = list(patterns.values())
    return _Known(weights, [sets[row] for row in rows], odd[rows], _kin(model, faults))


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


def _odd(sets: Sequence[Sequence[int]], faults: Sequence[Mechanism], detectors: int) -> csr_array:
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


def _kin(model: stim.DetectorErrorModel, faults: Sequence[Mechanism]) -> csr_array:
    """What faults have for themselves, by shape, by places and by their edges, [F, K]."""
    spots = _spots(model)
    shapes, places, edges = list[list[Hashable]](), list[list[Hashable]](), list[list[Hashable]]()
    for fault in faults:
        parts = [[spots[detector] for detector in part] for part, _ in fault.parts]
        begin = min((time for part in parts for _, time in part), default=0.0)
        shape = sorted(_shape(part, begin) for part in parts)
        shapes.append([(tuple(shape), frozenset(fault.symptoms[1]))])
        places.append([tuple(sorted(tuple(sorted({place for place, _ in part}))
                                    for part in parts))])  # fmt: skip
        own = [_shape(part, min(time for _, time in part)) for part in parts if part]
        edges.append([*own] or [()])
    shared = np.sqrt((1 - _OWN) / 3)
    parts = [np.sqrt(_OWN) * eye_array(len(faults), format="csr")]
    return csr_array(
        hstack([*parts, *(shared * _indicator(one) for one in (shapes, places, edges))])
    )


def _spots(model: stim.DetectorErrorModel) -> list[tuple[tuple[float, ...], float]]:
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


def _shape(
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


def _parities(events: Bools, sets: Sequence[Sequence[int]]) -> Array:
    """How much more often each set is even than odd, from −1 to 1, [M]."""
    fired = np.packbits(events.T, axis=1)
    odd = [np.bitwise_count(np.bitwise_xor.reduce(fired[list(one)], axis=0)).sum(dtype=np.int64)
           for one in sets]  # fmt: skip
    return 1 - 2 * np.array(odd, dtype=float) / len(events)


def _common_factor(weights: Array, heard: csr_array, events: float) -> float:
    """The logarithm of the one factor with which as many detectors fire in a shot as did."""
    below, above = -10.0, 10.0
    for _ in range(50):
        middle = (below + above) / 2
        fire = -np.expm1(-2 * (heard @ np.minimum(weights * np.exp(middle), _MOST))) / 2
        below, above = (middle, above) if fire.sum() < events else (below, middle)
    return below


def _likeliest(
    known: _Known, parities: Array, shots: int, spread: float | None, logs: Array
) -> tuple[Array, float]:
    """The likeliest logarithms of factors [F], and the spread that they were taken to have.

    There are fewer parities than faults, or hardly more: M equations are solved, not F.
    """
    scale, common = spread or _USUAL_SPREAD, float(np.median(logs))
    for _ in range(_STEPS):
        linear = _linearised(known, parities, shots, logs)
        shared, alike = linear.shared, linear.slopes.sum(axis=1)
        matrix = linear.noise + scale**2 * (shared @ shared.T).toarray()
        matrix += _COMMON**2 * np.outer(alike, alike)
        sizes = np.sqrt(np.diag(matrix))
        matrix /= np.outer(sizes, sizes)
        matrix[np.diag_indices_from(matrix)] += _RIDGE
        factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        solved = cho_solve(factor, (linear.left + linear.slopes @ logs) / sizes) / sizes
        pull = linear.slopes.T @ solved
        after = scale**2 * (known.kin @ (known.kin.T @ pull)) + _COMMON**2 * pull.sum()
        step = np.clip(after, common - _BELOW, common + _ABOVE) - logs
        step *= _LONGEST / max(float(np.abs(step).max()), _LONGEST)
        logs = logs + step
        settled = spread is not None
        if spread is None:
            growth = _growth(shared, factor, sizes, solved)
            # The power is between MacKay's 1/2 and 1, which is quicker and need not come to rest.
            scale = float(np.clip(scale * growth**0.75, _LEAST_SPREAD, _MOST_SPREAD))
            settled = scale == _LEAST_SPREAD or abs(np.log(growth)) < _SPREAD_SETTLED
        if settled and shots * np.mean(known.at(logs) * step**2) < _SETTLED:
            break
    return logs, scale


def _linearised(known: _Known, parities: Array, shots: int, logs: Array) -> _Linear:
    x = known.at(logs)
    left = (1 - parities * np.exp(2 * (known.odd @ x))) / 2
    slopes = csr_array(known.odd * x)
    noise = np.expm1(4 * (slopes @ known.odd.T).toarray()) / (4 * shots)
    return _Linear(left, slopes, noise, csr_array(slopes @ known.kin))


def _growth(shared: csr_array, factor: tuple[Array, bool], sizes: Array, solved: Array) -> float:
    """By what to multiply the variance of factors, so that the parities become likelier.

    It is 1 where their likelihood, the factors integrated out, is greatest (MacKay's rule).
    """
    probes = np.random.default_rng(_SEED).choice([-1.0, 1.0], size=(len(sizes), _PROBES))
    answers = cho_solve(factor, probes / sizes[:, np.newaxis]) / sizes[:, np.newaxis]
    trace = ((shared.T @ probes) * (shared.T @ answers)).sum() / _PROBES
    return float(np.clip(np.sum((shared.T @ solved) ** 2) / max(trace, 1e-300), 0.05, 4.0))


def _misfit(known: _Known, x: Array, parities: Array, shots: int) -> float:
    """The mean squared deviation of parities from those of x [F], over their variance."""
    if not len(parities):
        return float("nan")
    heard = known.odd @ x
    deviations = parities - np.exp(-2 * heard)
    return float(np.mean(deviations**2 * shots / np.maximum(-np.expm1(-4 * heard), 1e-12)))


def _rewritten(model: stim.DetectorErrorModel, probabilities: Array) -> stim.DetectorErrorModel:
    """The flattened model with other probabilities [F]."""
    found, number = stim.DetectorErrorModel(), itertools.count()
    for one in model.flattened():
        if isinstance(one, stim.DemInstruction) and one.type == "error":
            # Of an error, the targets are no integers, as stim's annotations have it.
            targets: list[Any] = one.targets_copy()
            changed = [float(probabilities[next(number)])]
            one = stim.DemInstruction("error", changed, targets, tag=one.tag)
        found.append(one)
    return found

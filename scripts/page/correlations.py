"""Which detectors fire together: a map of all pairs, measured and predicted, and what stands out.

Of two detectors the probability that faults flip both an odd number of times is
p = 1/2 − 1/2 √(1 − 4(⟨xy⟩ − ⟨x⟩⟨y⟩)/(1 − 2⟨x⟩ − 2⟨y⟩ + 4⟨xy⟩)) (arXiv 2102.06132), which with
parities E = ⟨(−1)^x⟩ is 1/2 − 1/2 √(E_x E_y / E_xy).
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray
from scipy.stats import norm

from decoders.dem import circuit_model, mechanisms
from decoders.detector_parities import MOST as MOST_X
from decoders.detector_parities import odd_of
from scripts.page.detectors import MOST, Detectors, percent, short, state_files
from scripts.page.figures import Axis, Figure, HeatMap, Section, Table

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MOST_PAIRED = 2000  # detectors: their pairs fill matrices of 32 MB
_BLOCK = 1 << 20  # shots of one product; sums stay whole in float32, which is exact up to 2^24
_TOGETHER = 5.0  # times that a pair fires together, or should, for its excess to be judged
_FAR = 3.0  # standard deviations
_LISTED = 10


class Pairs(NamedTuple):
    """Of all pairs of detectors [D, D]; NaN on the diagonal and where the shots tell nothing.

    `measured` and `predicted` are probabilities that faults flip both. `excess` is measured less
    predicted in standard deviations, `heard` measured less none.
    """

    measured: Array
    predicted: Array
    excess: Array
    heard: Array


def correlations_section(folder: pathlib.Path, detectors: Detectors) -> Section:
    """Maps of all pairs and a table of those that no noise of the model explains."""
    title = "Detectors that fire together"
    try:
        circuits = [stim.Circuit.from_file(path) for path in state_files(folder, "circuit.stim")]
        paths = state_files(folder, "detection_events.b8")
    except ValueError as error:
        return Section(title, [f"Without the shots there is nothing to correlate: {error}."])
    events = [
        stim.read_shot_data_file(path=path, format="b8", num_detectors=circuit.num_detectors)
        for path, circuit in zip(paths, circuits, strict=True)
    ]
    if sum(map(len, events)) < 2 or len(detectors.places) < 2:
        return Section(title, ["It takes two detectors and two shots to correlate."])
    chosen = window(detectors, _MOST_PAIRED)
    models = [circuit_model(circuit) for circuit in circuits]
    pairs = pairs_of([one[:, chosen] for one in events], models, chosen)
    return Section(title, _words(pairs, detectors, chosen), _figures(pairs, detectors, chosen))


def pairs_of(
    events: Sequence[Bools], models: Sequence[stim.DetectorErrorModel], chosen: Sequence[int]
) -> Pairs:
    """Means over states, of their events [shots, D] of the chosen detectors and error models.

    Each state by itself: where one makes more errors than the other, as |1⟩ does, all detectors
    would seem to be correlated.
    """
    shots = np.array([len(one) for one in events], dtype=float)
    kept = [(one, model, share) for one, model, share in
            zip(events, models, shots / shots.sum(), strict=True) if share]  # fmt: skip
    size = (len(chosen), len(chosen))
    measured, predicted = np.zeros(size), np.zeros(size)
    variances, together = [np.zeros(size), np.zeros(size)], [np.zeros(size), np.zeros(size)]
    seen = np.zeros(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        for one, model, share in kept:
            single, double = parities_of_pairs(one)
            expected = predicted_pairs(model, chosen)
            measured += share * (0.5 - 0.5 * np.sqrt(np.outer(single, single) / double))
            predicted += share * expected
            seen += _together(single, double, len(one))
            for k, supposed in enumerate((expected, np.zeros(size))):
                variance, times = _shot_noise(single, supposed, len(one))
                variances[k] += share**2 * variance
                together[k] += times
        np.fill_diagonal(measured, np.nan)
        raw = [(measured - supposed) / np.sqrt(variance) for supposed, variance in
               zip((predicted, 0.0), variances, strict=True)]  # fmt: skip
        excess, heard = (
            np.where(np.maximum(times, seen) >= _TOGETHER, normal_score(one, times), np.nan)
            for one, times in zip(raw, together, strict=True)
        )
    return Pairs(measured, predicted, excess, heard)


def parities_of_pairs(events: Bools) -> tuple[Array, Array]:
    """How much more often each detector [D], and each pair [D, D], is even than odd.

    As `parities_of` of all pairs at once, by one product of matrices.
    """
    total = np.zeros((events.shape[1], events.shape[1]))
    for start in range(0, len(events), _BLOCK):
        signs = 1 - 2 * events[start : start + _BLOCK].astype(np.float32)
        total += signs.T @ signs
    return 1 - 2 * events.mean(axis=0), total / len(events)


def predicted_pairs(model: stim.DetectorErrorModel, chosen: Sequence[int]) -> Array:
    """The probability that faults flip both detectors of a pair an odd number of times, [D, D]."""
    faults = list(mechanisms(model))
    given = np.array([fault.probability for fault in faults])
    weights = np.minimum(-np.log1p(-2 * np.minimum(given, 0.4999)) / 2, MOST_X)
    flipped = odd_of([[one] for one in chosen], faults, model.num_detectors)
    return -np.expm1(-2 * ((flipped * weights) @ flipped.T).toarray()) / 2


def _shot_noise(single: Array, supposed: Array, shots: int) -> tuple[Array, Array]:
    """The variance of a pair's measured probability, and how often both are expected to fire.

    If the supposed probability [D, D] is the truth, and detectors [D] fire as they do. To first
    order in E_x, E_y and E_xy, whose covariances over shots follow from (−1)^2x = 1.
    """
    x, y = single[:, None], single[None, :]
    double = np.minimum(x * y / (1 - 2 * supposed) ** 2, 1.0)
    a_shot = (1 / x**2 + 1 / y**2 + 1 / double**2 - 1
              + 2 * double / (x * y) - 2 * y / (x * double) - 2 * x / (y * double))  # fmt: skip
    variance = (1 - 2 * supposed) ** 2 / 16 * a_shot / shots
    return np.where(a_shot > 0, variance, np.nan), _together(single, double, shots)


def _together(single: Array, double: Array, shots: int) -> Array:
    """How often both of a pair fire, by the parities, [D, D]."""
    return shots * (1 - single[:, None] - single[None, :] + double) / 4


def normal_score(deviations: Array, counts: Array) -> Array:
    """Deviations of counts with these means as those of a normal number that is as unlikely.

    Counts have skewness 1/√mean, so that chance goes far above more often than far below: 3.4
    standard deviations above a mean of 5 are no rarer than 2.9 of a normal number (Wilson and
    Hilferty's cube root, PNAS 17, 684 (1931)).
    """
    skewness = 1 / np.sqrt(counts)
    cube = np.cbrt(1 + skewness * deviations / 2)
    return 6 / skewness * (cube - 1) + skewness / 6


def window(detectors: Detectors, most: int) -> list[int]:
    """At most so many detectors, by check and then round: neighbours stay together.

    Rounds from the middle on, two at least; then the first checks.
    """
    rounds, checks = detectors.rounds, detectors.checks
    kept = min(len(rounds), max(2, most // len(checks)))
    begin = (len(rounds) - kept) // 2
    times, places = set(rounds[begin : begin + kept]), set(checks[: max(1, most // kept)])
    return sorted(
        (k for k, (place, time) in enumerate(zip(detectors.places, detectors.times, strict=True))
         if place in places and time in times),
        key=lambda k: (detectors.places[k], detectors.times[k], k),
    )[:most]  # fmt: skip


def _words(pairs: Pairs, detectors: Detectors, chosen: Sequence[int]) -> list[str]:
    first, second = np.triu_indices(len(chosen), 1)
    excess = pairs.excess[first, second]
    judged = excess[np.isfinite(excess)]
    told = (
        "A pair of detectors that fires together more often than each by itself explains shares "
        "faults: one check in neighbouring rounds where it is misread (beside the diagonal), "
        "neighbouring checks in one round where data qubits err. What is measured beyond the "
        "prediction is noise that the model does not have: crosstalk, leakage, drift, or readout "
        "that errs otherwise on |1⟩ than on |0⟩, of which decoders are given the mean."
    )
    left = len(excess) - len(judged)
    few = (f" {left:,} pairs fire together too rarely to be judged: fewer than {_TOGETHER:g} "
           "times in so many shots, and by the prediction too.") if left else ""  # fmt: skip
    part = (f"Of {len(detectors.places):,} detectors {len(chosen):,} are looked at."
            if len(chosen) < len(detectors.places) else "")  # fmt: skip
    found = "None of the pairs can be judged by so few shots."
    if len(judged):
        above, below = int((judged > _FAR).sum()), int((judged < -_FAR).sum())
        found = (
            f"Of {len(excess):,} pairs, {above:,} lie more than {_FAR:g} standard deviations above "
            f"the prediction and {below:,} below it; chance alone would make it at most about "
            f"{norm.sf(_FAR) * len(excess):.2g} each."
        )
    return [told, found + few, *([part] if part else [])]


def _figures(pairs: Pairs, detectors: Detectors, chosen: Sequence[int]) -> list[Figure]:
    at = {number: k for k, number in enumerate(chosen)}
    rows = [at[number] for number in window(detectors, MOST) if number in at]
    names = [detectors.name(chosen[k]) for k in rows]
    part = Pairs(*(one[np.ix_(rows, rows)] for one in pairs))
    few = (f" Shown are {len(rows)} of {len(detectors.places)} detectors, those of neighbouring "
           "rounds and checks.") if len(rows) < len(detectors.places) else ""  # fmt: skip
    origin = (f"{detectors.shots:,} shots, each logical state by itself. Ordered by check, then "
              f"round.{few}")  # fmt: skip
    table = _table(pairs, detectors, chosen)
    return [*_maps(part, names, origin), *([table] if table else [])]


def _maps(pairs: Pairs, names: Sequence[str], origin: str) -> list[HeatMap]:
    """Measured, predicted, and the difference."""
    is_heard = pairs.heard > _FAR
    floor = float(pairs.measured[is_heard].min()) if is_heard.any() else 0.0
    off = ~np.eye(len(names), dtype=bool)
    chances = Axis("probability that faults flip both", "log", "percent")
    shades = (
        ("Detectors that fire together, measured",
         f"Absent: less than {_FAR:g} standard deviations from none. {origin}",
         chances, np.where(is_heard, pairs.measured, np.nan), False),
        ("Detectors that fire together, predicted",
         "By the noise of the circuit that decoders are given (circuit.stim)."
         + (f" Absent: less than the least measured, {floor:.2g}." if floor else ""),
         chances, np.where(off & (pairs.predicted >= max(floor, 1e-12)), pairs.predicted, np.nan),
         False),
        ("Measured less predicted, in standard deviations",
         f"Above 0 is noise that the model does not have. Absent: too rare to be judged. {origin}",
         Axis("standard deviations"), pairs.excess, True),
    )  # fmt: skip
    return [
        HeatMap(title, caption, axis, "detector", "detector", names, names,
                [[short(one) for one in row] for row in values.tolist()], centred)
        for title, caption, axis, values, centred in shades
    ]  # fmt: skip


def _table(pairs: Pairs, detectors: Detectors, chosen: Sequence[int]) -> Table | None:
    """The pairs that exceed the prediction most."""
    first, second = np.triu_indices(len(chosen), 1)
    excess = pairs.excess[first, second]
    judged = int(np.isfinite(excess).sum())
    if not judged:
        return None
    best = np.argsort(np.where(np.isfinite(excess), -excess, np.inf), kind="stable")
    rows = []
    for k in best[: min(_LISTED, judged)].tolist():
        a, b = int(first[k]), int(second[k])
        rows.append([
            detectors.name(chosen[a]), detectors.name(chosen[b]),
            _kind(detectors, chosen[a], chosen[b]), percent(pairs.measured[a, b], 3),
            percent(pairs.predicted[a, b], 3), f"{excess[k]:+.1f}",
            f"{len(excess) * norm.sf(excess[k]):.2g}",
        ])  # fmt: skip
    return Table(
        "Pairs above the prediction",
        f"The {len(rows)} of {len(excess):,} pairs that exceed it most. By chance: how many pairs "
        "would lie so far above it or further if it were right; a pair stands out where that is "
        "far below 1.",
        ["detector", "and", "kind", "measured", "predicted", "standard deviations", "by chance"],
        rows,
    )


def _kind(detectors: Detectors, a: int, b: int) -> str:
    apart = abs(detectors.times[a] - detectors.times[b])
    rounds = "same round" if not apart else f"{apart:g} round{'s' if apart != 1 else ''} apart"
    return f"same check, {rounds}" if detectors.places[a] == detectors.places[b] else rounds

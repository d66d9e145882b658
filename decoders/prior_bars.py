"""How well learnt probabilities are known: their error bars, and what shots cannot tell.

The bars are Laplace's: the posterior around the likeliest factors. Bootstrapped bars are the same
for faults that the shots tell much of; for the others they are too narrow, as each resampled fit is
drawn to the same prior. Factors of faults that few gates make spread more than those of many, and
are less alike, so that the prior of the bars is wider than that of the fit, and leaves more to each
fault: with the fit's own, 71 to 89 % of probabilities were in intervals of 95 %; so, 92 to 98 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoders.dem import Mechanism
from decoders.detector_parities import Known, is_sane
from decoders.likeliest_factors import uncertainty

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

DOUBTS = {
    "impossible": "given with probability 0, and stays so",
    "unheard": "flips no detector, or none that tells anything",
    "inverted": "flips only detectors that fire in more than half of the shots, as no noise does",
    "silent": "none of its detectors fired: an upper bound",
    "merged": "flips the same detectors as another: of these the shots tell the sum alone",
    "wide": "known hardly better than before: near what all errors have in common",
}
"""Why a probability may be not identified, by the name that `Bars.doubts` has for it."""

LEAST_SHOTS = 100
_WIDER, _OWN = 1.5, 0.5  # than the fit's spread; of the variance, what a fault has for itself
_Z = 1.959964  # of a 95 % interval
_LITTLE = 0.1  # of a variance, told by the shots
_NARROW = 0.1  # standard deviation of a logarithm that is known well in any case


class Bars(NamedTuple):
    """Of each of F faults, how well its probability is known.

    `deviations` [F] are standard deviations of the factors' logarithms, `intervals` [F, 2] hold
    95 % of what the probabilities may be. `told` [F] is the share of the variance a priori, that
    of the common factor aside, which is gone. `doubts` are keys of DOUBTS, and "" where a
    probability is identified.
    """

    deviations: Array
    intervals: Array
    told: Array
    doubts: tuple[str, ...]


def bars_of(
    known: Known, faults: Sequence[Mechanism], events: Bools, logs: Array, spread: float
) -> Bars:
    """For the likeliest logarithms [F], from the same events [N, D]."""
    known = known.with_own(_OWN)
    deviations, before = uncertainty(known, len(events), logs, _WIDER * spread)
    ends = logs[:, np.newaxis] + _Z * deviations[:, np.newaxis] * [-1, 1]
    intervals = np.stack([-np.expm1(-2 * known.at(one)) / 2 for one in ends.T], axis=1)
    told = np.maximum(0.0, 1 - (deviations / before) ** 2)
    wide = (told < _LITTLE) & (deviations > _NARROW)
    return Bars(deviations, intervals, told, _doubts(known, faults, events, wide))


def _doubts(
    known: Known, faults: Sequence[Mechanism], events: Bools, wide: Bools
) -> tuple[str, ...]:
    fired = events.sum(axis=0)
    sane = is_sane(1 - 2 * fired / len(events), len(events))
    alike = Counter(fault.symptoms[0] for fault in faults if fault.probability)
    heard = np.diff(known.odd.tocsc().indptr) > 0
    found = []
    for number, fault in enumerate(faults):
        detectors = sorted(fault.symptoms[0])
        reasons = {
            "impossible": fault.probability == 0,
            "inverted": len(detectors) > 0 and not sane[detectors].any(),
            "unheard": not heard[number],
            "silent": not fired[detectors].any(),
            "merged": alike[fault.symptoms[0]] > 1,
            "wide": wide[number],
        }
        found.append(next((name for name, holds in reasons.items() if holds), ""))
    return tuple(found)


def refuse_useless(bars: Bars, events: Bools) -> None:
    """Raises ValueError if nothing was learnt that is worth decoding with."""
    if len(events) < LEAST_SHOTS:
        raise ValueError(
            f"expected at least {LEAST_SHOTS} shots to learn from, got {len(events)}: take 10,000"
        )
    if not events.any():
        raise ValueError(
            f"expected detection events, got none in {len(events):,} shots: a device without noise "
            "needs no error model, so look whether the file is of this circuit"
        )
    sums = [told for told, doubt in zip(bars.told, bars.doubts, strict=True) if doubt == "merged"]
    if "" in bars.doubts or max(sums, default=0.0) > _LITTLE:
        return
    (most, count), *_ = Counter(bars.doubts).most_common()
    todo = (
        "put the flip itself into the circuit, or look whether the shots are of it"
        if most == "inverted"
        else "take more shots, 10,000 at least"
    )
    raise ValueError(
        f"expected shots that tell the probability of some error, got {len(events):,} that tell "
        f"none of {len(bars.doubts):,} ({count:,} {most}: {DOUBTS[most]}): {todo}"
    )

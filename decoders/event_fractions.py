"""How often detectors fire, by an error model and in shots: a cheap look whether the two belong."""

from __future__ import annotations

import math

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.dem import mechanisms

Array = NDArray[np.float64]

_FAR = 3.0  # times
_SURE = 5.0  # standard deviations; by chance in less than one of a million cases
_FLIPPED = 4.0  # detectors that one error flips, at most, in most codes: events come together


def expected_fractions(model: stim.DetectorErrorModel) -> Array:
    """How often each detector fires, [D]: (1 − Π(1 − 2p))/2 over the errors that flip it.

    >>> expected_fractions(stim.DetectorErrorModel("error(0.1) D0\\nerror(0.1) D0 D1")).round(9)
    array([0.18, 0.1 ])
    """
    even = np.ones(model.num_detectors)
    for fault in mechanisms(model):
        even[list(fault.symptoms[0])] *= 1 - 2 * fault.probability
    return (1 - even) / 2


def fraction_doubt(model: stim.DetectorErrorModel, events: NDArray[np.uint8]) -> str | None:
    """A word where packed events [N, ceil(D / 8)] are far more, or fewer, than the model's.

    Far is a factor of three, and more than chance explains.
    """
    if not len(events) or not model.num_detectors:
        return None
    counts = np.bitwise_count(events).sum(axis=1, dtype=np.int64)
    expected, found = float(expected_fractions(model).sum()), float(counts.mean())
    most, least = max(expected, found), min(expected, found)
    # Shots may say little of their own scatter, where there are few or none have events.
    variance = max(float(counts.var()), _FLIPPED * most)
    if most <= _FAR * least or most - least <= _SURE * math.sqrt(variance / len(events)):
        return None
    shares = (value / model.num_detectors for value in (found, expected))
    return (
        "detectors fire in {:.2g} of all cases, in {:.2g} by the error model: are the shots of "
        "this circuit, and is its noise the device's? `syndrift priors` learns it from shots"
    ).format(*shares)

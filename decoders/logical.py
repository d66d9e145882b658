"""Logical errors of a memory experiment: shots of stim's, decoded by PyMatching."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pymatching
import stim

_AT_ONCE = 20_000  # shots


def error_model(circuit: stim.Circuit) -> stim.DetectorErrorModel:
    """What matching is told of a circuit: errors as edges, each as if it came alone."""
    return circuit.detector_error_model(decompose_errors=True, approximate_disjoint_errors=True)


def logical_errors(
    circuits: Sequence[stim.Circuit],
    decoder: stim.DetectorErrorModel,
    shots: int,
    seed: int,
    correlated: bool = False,
) -> int:
    """How many of so many shots, shared out over the circuits, are decoded wrongly.

    The circuits differ in their noise alone; the decoder believes its own error model.
    """
    matching = pymatching.Matching.from_detector_error_model(
        decoder, enable_correlations=correlated
    )
    wrong = 0
    for number, circuit in enumerate(circuits):
        sampler = circuit.compile_detector_sampler(seed=seed + number)
        left = shots * (number + 1) // len(circuits) - shots * number // len(circuits)
        while left:
            events, truth = sampler.sample(
                min(left, _AT_ONCE), separate_observables=True, bit_packed=True
            )
            found = matching.decode_batch(
                events, bit_packed_shots=True, bit_packed_predictions=True,
                enable_correlations=correlated,
            )  # fmt: skip
            wrong += int(np.count_nonzero(np.any(found != truth, axis=1)))
            left -= len(events)
    return wrong

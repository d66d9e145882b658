"""How often detectors fire, against stim's sampler, and when that is doubted."""

from __future__ import annotations

import numpy as np
import pytest
import stim

from decoders.event_fractions import expected_fractions, fraction_doubt


def surface(p: float) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=3, rounds=3, after_clifford_depolarization=p,
        before_measure_flip_probability=p,
    )  # fmt: skip


def test_fractions_are_those_of_sampled_shots() -> None:
    """24 detectors, each within 5 standard deviations: a false alarm in 1 of 70,000 cases."""
    model = surface(0.01).detector_error_model(decompose_errors=True)
    shots = 100_000
    events, _, _ = model.compile_sampler(seed=2).sample(shots)
    found, expected = events.mean(axis=0), expected_fractions(model)
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(expected * (1 - expected) / shots))


@pytest.mark.parametrize(
    ("made_at", "shots", "doubted"),
    [
        (0.003, 5_000, False),
        (0.006, 5_000, False),  # twice the noise: `syndrift priors` is for that
        (0.015, 5_000, True),
        (0.0003, 5_000, True),
        (0.0003, 1, False),
        (0.0, 5_000, True),
    ],
)
def test_what_is_far_off_is_doubted(made_at: float, shots: int, doubted: bool) -> None:
    sampler = surface(made_at).compile_detector_sampler(seed=3)
    events = np.asarray(sampler.sample(shots, bit_packed=True), dtype=np.uint8)
    said = fraction_doubt(surface(0.003).detector_error_model(decompose_errors=True), events)
    assert (said is not None) == doubted


def test_nothing_to_look_at_is_not_doubted() -> None:
    model = surface(0.003).detector_error_model()
    assert fraction_doubt(model, np.zeros((0, 3), dtype=np.uint8)) is None
    assert (
        fraction_doubt(stim.DetectorErrorModel("error(0.1) L0"), np.zeros((9, 0), np.uint8)) is None
    )

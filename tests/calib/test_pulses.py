"""Envelopes, DRAG and signs against closed forms."""

import math
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from calib.pulses import DragPulse, Envelope, mean_of_envelope, rotation_amplitude

RAD_PER_NS = 2e-3 * math.pi  # of one MHz


def curve(envelope: Envelope, t: float, duration: float) -> float:
    """The envelopes as the docstring defines them."""
    if envelope == "cosine":
        return math.sin(math.pi * t / duration) ** 2
    bell = math.exp(-((t - duration / 2) ** 2) / (2 * (duration / 4) ** 2))
    return (bell - math.exp(-2)) / (1 - math.exp(-2))


@pytest.mark.parametrize("envelope", ["gaussian", "cosine"])
def test_samples_follow_the_envelope_and_its_slope(envelope: Envelope) -> None:
    duration, drag, rabi, amplitude = 24.0, 0.3, 90.0, 0.4
    found = DragPulse(amplitude, drag, 0.0, 0.0, duration, envelope).samples(rabi)
    peak = RAD_PER_NS * rabi * amplitude
    for k, sample in enumerate(found.tolist()):
        t = k + 0.5
        slope = (curve(envelope, t + 1e-5, duration) - curve(envelope, t - 1e-5, duration)) / 2e-5
        assert sample.real == pytest.approx(peak * curve(envelope, t, duration), abs=1e-12)
        assert sample.imag == pytest.approx(peak * drag * slope, abs=1e-10)


@pytest.mark.parametrize("envelope", ["gaussian", "cosine"])
def test_pulses_begin_and_end_at_zero_and_peak_at_one(envelope: Envelope) -> None:
    shape = DragPulse(1.0, 0.0, 0.0, 0.0, 10.0, envelope).samples(1.0, dt_ns=1e-3).real / RAD_PER_NS
    assert shape[0].item() < 1e-3
    assert shape.max().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(shape, shape.flip(0))


@pytest.mark.parametrize("envelope", ["gaussian", "cosine"])
def test_the_rotation_is_the_integral_of_the_rabi_rate(envelope: Envelope) -> None:
    mean = quad(lambda t: curve(envelope, t, 1.0), 0, 1, epsabs=1e-12)[0]
    assert mean_of_envelope(envelope) == pytest.approx(mean, rel=1e-10)
    angles = torch.tensor([0.5, math.pi], dtype=torch.float64)
    amplitude = rotation_amplitude(angles, 80.0, 30.0, envelope)
    samples = DragPulse(amplitude, 0.4, 0.0, 0.0, 30.0, envelope).samples(80.0, dt_ns=0.01)
    torch.testing.assert_close(samples.sum(-1).real * 0.01, angles, rtol=1e-6, atol=0)
    torch.testing.assert_close(samples.sum(-1).imag, torch.zeros_like(angles))


def test_phase_and_detuning_turn_about_the_middle() -> None:
    plain = DragPulse(0.5, 0.2, 0.0, 0.0, 16.0).samples(100.0)
    turned = DragPulse(0.5, 0.2, 3.0, 0.7, 16.0).samples(100.0)
    times = torch.arange(16, dtype=torch.float64) + 0.5 - 8.0
    expected = torch.exp(1j * (0.7 - RAD_PER_NS * 3.0 * times))
    torch.testing.assert_close(turned / plain, expected)


@pytest.mark.parametrize(
    ("duration", "dt", "count"), [(32.0, 1.0, 32), (31.6, 1.0, 32), (10.4, 4.0, 3), (0.2, 1.0, 1)]
)
def test_odd_durations_stretch_the_samples(duration: float, dt: float, count: int) -> None:
    pulse = DragPulse(0.1, 0.0, 0.0, 0.0, duration)
    assert pulse.samples(100.0, dt_ns=dt).shape == (count,)
    assert pulse.step_ns(dt) * count == pytest.approx(duration, rel=1e-15)


def test_fields_broadcast_and_are_differentiable() -> None:
    rng = np.random.default_rng(3)
    values = [torch.tensor(rng.normal(size=n), requires_grad=True) for n in (3, 1, 3, 1)]

    def samples(*fields: torch.Tensor) -> torch.Tensor:
        columns = [field[:, None] for field in fields[:3]]
        amplitude, drag, detuning = columns
        return DragPulse(amplitude, drag, detuning, fields[3], 6.0).samples(
            torch.tensor([50.0, 60.0])
        )

    assert samples(*values).shape == (3, 2, 6)
    assert torch.autograd.gradcheck(samples, values)


def test_impossible_pulses_are_refused() -> None:
    with pytest.raises(ValueError, match="duration_ns must be above 0 and finite, got 0"):
        DragPulse(0.1, 0.0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="envelope must be 'gaussian' or 'cosine', got 'square'"):
        DragPulse(0.1, 0.0, 0.0, 0.0, 1.0, cast(Any, "square"))
    with pytest.raises(ValueError, match="dt_ns must be above 0 and finite, got -1"):
        DragPulse(0.1, 0.0, 0.0, 0.0, 1.0).samples(100.0, dt_ns=-1.0)

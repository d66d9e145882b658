"""Shaped one-qubit pulses (DRAG) as the samples that a waveform generator plays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Envelope = Literal["gaussian", "cosine"]

# The Gaussian's height where it is cut, at two standard deviations from its middle.
_FOOT = math.exp(-2)


@dataclass(frozen=True)
class DragPulse:
    """A pulse of one quadrature's envelope E and the other's derivative; fields broadcast, [...].

    The drive's complex Rabi rate is Ω(t) = Ω_x(t) + i·drag_ns·dΩ_x/dt, with Ω_x = 2π·rabi·amplitude
    ·E(t), then turned by exp(i·phase_rad − 2πi·detuning·(t − T/2)). Signs: phase 0 turns about +X
    and π/2 about +Y; a positive detuning plays above the drive's frequency; a positive drag_ns
    counters leakage to a level 2 of negative anharmonicity α (first order: −1/α in rad/ns spares
    level 2, half of it spares the phase; Motzoi et al., arXiv:0901.0534, Chow et al.,
    arXiv:1005.1279; played in samples of 1 ns, leakage is least between the two). The detuning
    turns about the pulse's middle, so that it leaves the axis.

    "gaussian": σ = T/4, lifted to begin and end at zero, peak 1 (mean 0.5352); "cosine": raised,
    peak 1 (mean 0.5).
    """

    amplitude: Tensor | float
    drag_ns: Tensor | float
    detuning_mhz: Tensor | float
    phase_rad: Tensor | float
    duration_ns: float
    envelope: Envelope = "gaussian"

    def __post_init__(self) -> None:
        if not 0 < self.duration_ns < math.inf:
            raise ValueError(f"duration_ns must be above 0 and finite, got {self.duration_ns}")
        if self.envelope not in ("gaussian", "cosine"):
            raise ValueError(f"envelope must be 'gaussian' or 'cosine', got {self.envelope!r}")

    def step_ns(self, dt_ns: float = 1.0) -> float:
        """The length of each sample: the duration over its number of samples.

        The number is duration/dt rounded, at least 1, so that the pulse lasts exactly
        `duration_ns` also where that is no multiple of `dt_ns`.
        """
        if not 0 < dt_ns < math.inf:
            raise ValueError(f"dt_ns must be above 0 and finite, got {dt_ns}")
        return self.duration_ns / max(1, round(self.duration_ns / dt_ns))

    def samples(self, rabi_mhz: Tensor | float, *, dt_ns: float = 1.0) -> Tensor:
        """Ω at the middle of each sample in rad/ns, complex [..., N]; they last `step_ns(dt_ns)`.

        `rabi_mhz` is the Rabi frequency of the 0–1 transition at amplitude 1 of a flat pulse.

        >>> pulse = DragPulse(0.1, 0.0, 0.0, 0.0, duration_ns=4.0, envelope="cosine")
        >>> [round(x.real, 4) for x in pulse.samples(100.0).tolist()]  # 2π·0.01·(0.146, 0.854, …)
        [0.0092, 0.0536, 0.0536, 0.0092]
        """
        step = self.step_ns(dt_ns)
        times = (torch.arange(round(self.duration_ns / step), dtype=torch.float64) + 0.5) * step
        shape, slope = _shape_and_slope(self.envelope, times, self.duration_ns)
        peak = 2e-3 * math.pi * _column(rabi_mhz) * _column(self.amplitude)
        real, imaginary = peak * shape, peak * _column(self.drag_ns) * slope
        angle = _column(self.phase_rad) - 2e-3 * math.pi * _column(self.detuning_mhz) * (
            times - self.duration_ns / 2
        )
        real, imaginary, angle = torch.broadcast_tensors(real, imaginary, angle)
        return torch.complex(real, imaginary) * torch.polar(torch.ones_like(angle), angle)


def rotation_amplitude(
    angle_rad: Tensor | float,
    rabi_mhz: Tensor | float,
    duration_ns: float,
    envelope: Envelope = "gaussian",
) -> Tensor:
    """The amplitude whose pulse area is this angle: a rotation, but for what level 2 does. [...].

    >>> round(rotation_amplitude(math.pi, 100.0, 32.0).item(), 5)
    0.29192
    """
    area = 2e-3 * math.pi * _tensor(rabi_mhz) * duration_ns * mean_of_envelope(envelope)
    return _tensor(angle_rad) / area


def mean_of_envelope(envelope: Envelope) -> float:
    """The envelope's integral over its duration: ½ for the cosine, closed form for the Gaussian."""
    if envelope == "cosine":
        return 0.5
    return (math.sqrt(math.pi / 8) * math.erf(math.sqrt(2)) - _FOOT) / (1 - _FOOT)


def _shape_and_slope(envelope: Envelope, times: Tensor, duration: float) -> tuple[Tensor, Tensor]:
    """E and dE/dt at these times, [N] each, the slope in 1/ns."""
    if envelope == "cosine":
        angle = 2 * math.pi * times / duration
        return (1 - torch.cos(angle)) / 2, math.pi / duration * torch.sin(angle)
    from_middle = (times - duration / 2) / (duration / 4)  # in standard deviations
    bell = torch.exp(-(from_middle**2) / 2)
    slope = -from_middle / (duration / 4) * bell
    return (bell - _FOOT) / (1 - _FOOT), slope / (1 - _FOOT)


def _tensor(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _column(value: Tensor | float) -> Tensor:
    return _tensor(value)[..., None]

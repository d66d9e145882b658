"""CZ on two transmons with a tunable coupler: pulse to unitary, channel and its figures."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from calib.decoherence import Decoherence, dissipator
from calib.excitations import (
    conjugation,
    exchange,
    from_groups,
    local_product,
    local_sum,
    on_elements,
    rotation,
    sectors,
    state_groups,
    transfer_from_sectors,
)
from calib.exponentials import ordered_product
from calib.ramps import half_decays, magnus_steps, ramp_heights

_RADIANS_PER_NS = 2e-3 * math.pi  # of one MHz
_RAMP_STEPS = 20  # Magnus steps on each ramp: errors of 4e-7 in the unitary for 8 ns
_RAMP_SLICES = 10  # Strang slices on each ramp, a divisor of the steps: 2e-7 for T1 = T2 = 70 µs


@dataclass(frozen=True)
class CoupledPair:
    """The truth of two transmons with a tunable coupler; fields broadcast against each other.

    a is the qubit of higher frequency, which the pulse lowers by `flux_mhz` at full amplitude;
    `coupling_mhz` is the exchange g/2π that the open coupler makes. The closed coupler makes none.
    """

    frequency_a_ghz: Tensor | float
    frequency_b_ghz: Tensor | float
    anharmonicity_a_mhz: Tensor | float
    anharmonicity_b_mhz: Tensor | float
    coupling_mhz: Tensor | float
    flux_mhz: Tensor | float


@dataclass(frozen=True)
class CouplerPulse:
    """The settings of a coupler pulse; tensors broadcast against each other and the truth.

    The envelope s(t) rises as sin²(πt/2·ramp) within `ramp_ns`, stays at 1, and falls likewise;
    a pulse shorter than two ramps is all ramp. While it lasts, H/2π has the exchange
    g·s(t)·(a†b + ab†), and a's frequency changes by −flux_mhz·(amplitude·s(t))²: quadratic, as
    at a flux sweet spot, and downwards for either sign of the amplitude. Then come
    RZ(phase_a_rad) and RZ(phase_b_rad), virtual: exp(+i·phase·n).
    """

    amplitude: Tensor | float
    duration_ns: Tensor | float
    phase_a_rad: Tensor | float = 0.0
    phase_b_rad: Tensor | float = 0.0
    ramp_ns: float = 8.0


Detunings = tuple[Tensor | float, Tensor | float]


class _Parts(NamedTuple):
    """The Hamiltonian in rad/ns where both transmons rotate with b's true frequency, each [...]."""

    still: Tensor  # its diagonal without the pulse, [..., L²]
    lowered: Tensor  # what the flat top takes off a's frequency
    coupling: Tensor  # the exchange on the flat top


class _Motion(NamedTuple):
    """The pieces of a pulse's motion: what the unitary and the channel are both made of."""

    slices: Tensor  # propagators on the rising ramp, [..., L groups, slices, L, L]
    flat: Tensor  # the Hamiltonian of the flat top in rad/ns, [..., L groups, L, L]
    flat_ns: Tensor  # its length, [...]
    ramp_ns: Tensor  # the length of a ramp, [...]
    frame: Tensor  # phases from b's true frame to both drives' frames and the virtual Z, [..., L²]


def coupler_unitary(
    pair: CoupledPair,
    pulse: CouplerPulse,
    *,
    detuning_mhz: Detunings = (0.0, 0.0),
    levels: int = 3,
) -> Tensor:
    """The pulse's unitary on states |ab⟩ = a·L + b, complex [..., L², L²].

    It is written in the frames of the two drives, whose phases are zero at the pulse's start;
    `detuning_mhz` is the true minus the drive frequency of a and of b. Differentiable in all
    tensors, the duration included.

    >>> pair = CoupledPair(5.45, 5.0, -330.0, -330.0, 10.0, 400.0)
    >>> pulse = CouplerPulse(0.54857, 45.125, phase_a_rad=-1.3663, phase_b_rad=-0.0659)
    >>> float(cz_infidelity(coupler_unitary(pair, pulse))) < 1e-5
    True
    """
    motion = _motion(pair, pulse, detuning_mhz, levels)
    rise = ordered_product(motion.slices)
    flat = torch.linalg.matrix_exp(-1j * motion.flat * motion.flat_ns[..., None, None, None])
    # H is real and symmetric at all times: the falling ramp is the rising one's transpose.
    return motion.frame[..., None] * from_groups(rise.mT @ flat @ rise, levels)


def coupler_transfer(
    pair: CoupledPair,
    pulse: CouplerPulse,
    *,
    decoherence: tuple[Decoherence, Decoherence],
    detuning_mhz: Detunings = (0.0, 0.0),
    levels: int = 3,
) -> Tensor:
    """The pulse's channel under decoherence of a and b: transfer matrix [..., L⁴, L⁴].

    The basis is `calib.channels.pair_basis`; frames as in `coupler_unitary`. The flat top is one
    exact exponential of the Lindblad generator on each sector of excitations; on the ramps,
    decoherence and motion alternate (Strang splitting).
    """
    motion = _motion(pair, pulse, detuning_mhz, levels)
    slices, flat = (
        from_groups(motion.slices.movedim(-3, -4), levels),
        from_groups(motion.flat, levels),
    )
    generators = [dissipator(one, levels) for one in decoherence]
    local = [on_elements(one, levels) for one in generators]
    half_ns = motion.ramp_ns / (2 * _RAMP_SLICES)
    anharmonicities = (pair.anharmonicity_a_mhz, pair.anharmonicity_b_mhz)
    halves = [half_decays(one, _tensor(alpha), half_ns, levels)
              for one, alpha in zip(generators, anharmonicities, strict=True)]  # fmt: skip
    before, after = ([on_elements(one[k], levels) for one in halves] for k in (0, 1))
    frame = torch.diag_embed(motion.frame)
    maps = []
    for sector in sectors(levels):
        start = local_product(before[0], before[1], sector)
        end = local_product(after[0], after[1], sector)
        turn = conjugation(slices, sector)
        rise = _between(turn, start, end)
        fall = _between(turn.mT.flip(-3), start, end)
        generator = rotation(flat, sector) + local_sum(local[0], local[1], sector)
        stay = torch.linalg.matrix_exp(generator * motion.flat_ns[..., None, None])
        maps.append(conjugation(frame, sector) @ fall @ stay @ rise)
    return transfer_from_sectors(maps, levels)


def _between(turns: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The product of end·turn·start over all slices, turns [..., slices, n, n]: [..., n, n]."""
    first, rest = turns[..., :1, :, :], turns[..., 1:, :, :]
    steps = [first @ start[..., None, :, :], rest @ (start @ end)[..., None, :, :]]
    return end @ ordered_product(torch.cat(steps, dim=-3))


def conditional_phase_rad(unitary: Tensor) -> Tensor:
    """The phase of |11⟩ beyond those of |10⟩ and |01⟩, in [0, 2π): π for a CZ. Shape [...]."""
    zero, b, a, both = _diagonal(unitary)
    return torch.angle(both * zero * a.conj() * b.conj()) % (2 * math.pi)


def local_phases_rad(unitary: Tensor) -> tuple[Tensor, Tensor]:
    """What a pulse without virtual Z turns a and b by, as RZ angles in (−π, π]; shapes [...].

    A pulse whose `phase_a_rad` and `phase_b_rad` are minus these leaves no single-qubit phase.
    """
    zero, b, a, _ = _diagonal(unitary)
    return torch.angle(a * zero.conj()), torch.angle(b * zero.conj())


def pair_leakage(unitary: Tensor) -> Tensor:
    """The population that leaves the four computational states, averaged over them. Shape [...]."""
    return 1 - _computational(unitary).abs().square().sum((-2, -1)) / 4


def swap_probability(unitary: Tensor) -> Tensor:
    """The population exchanged between |10⟩ and |01⟩, shape [...]."""
    return _computational(unitary)[..., 1, 2].abs().square()


def cz_infidelity(unitary: Tensor) -> Tensor:
    """1 − F against diag(1, 1, 1, −1) averaged over inputs, leakage counted as error. Shape [...].

    F = (|tr(V†U)|² + tr(UU†))/20 with U the computational block.
    """
    block = _computational(unitary)
    signs = torch.tensor([1.0, 1.0, 1.0, -1.0])
    overlap = (block.diagonal(dim1=-2, dim2=-1) * signs).sum(-1).abs().square()
    return 1 - (overlap + block.abs().square().sum((-2, -1))) / 20


def _computational(unitary: Tensor) -> Tensor:
    levels = math.isqrt(unitary.shape[-1])
    kept = torch.tensor([0, 1, levels, levels + 1])
    return unitary[..., kept[:, None], kept]


def _diagonal(unitary: Tensor) -> tuple[Tensor, ...]:
    return _computational(unitary).diagonal(dim1=-2, dim2=-1).unbind(-1)


def _motion(
    pair: CoupledPair, pulse: CouplerPulse, detuning_mhz: Detunings, levels: int
) -> _Motion:
    _check(pulse, levels)
    truth = [_tensor(getattr(pair, field.name)) for field in fields(pair)]
    frequency_a, frequency_b, anharmonicity_a, anharmonicity_b, coupling, flux = truth
    settings = [_tensor(getattr(pulse, field.name)) for field in fields(pulse)]
    amplitude, duration, phase_a, phase_b, ramp = settings
    detuning_a, detuning_b = map(_tensor, detuning_mhz)
    ramp = torch.minimum(ramp, duration / 2)
    # Both transmons rotate with b's true frequency: what is left is slow and stands still.
    apart = (frequency_a - frequency_b) * 1e3
    still = _stacked(apart, anharmonicity_a, anharmonicity_b) @ _diagonals(levels)
    lowered = flux * amplitude.square()
    turned = _RADIANS_PER_NS * duration
    angles = phase_a + turned * (apart - detuning_a), phase_b - turned * detuning_b
    parts = _Parts(*(_RADIANS_PER_NS * one for one in (still, lowered, coupling)))
    return _Motion(
        slices=_ramp_slices(parts, ramp, levels),
        flat=_hamiltonian(parts, torch.ones(1), levels)[..., 0, :, :],
        flat_ns=duration - 2 * ramp,
        ramp_ns=ramp,
        frame=_frame(*angles, levels),
    )


def _ramp_slices(parts: _Parts, ramp_ns: Tensor, levels: int) -> Tensor:
    """The rising ramp's propagators, [..., L groups, slices, L, L]."""
    angle = (ramp_ns / _RAMP_STEPS)[..., None, None, None, None] * _hamiltonian(
        parts, ramp_heights(_RAMP_STEPS).flatten(), levels
    )
    steps = magnus_steps(*(-1j * angle).unflatten(-3, (_RAMP_STEPS, 3)).unbind(-3))
    return ordered_product(steps.unflatten(-3, (_RAMP_SLICES, -1)))


def _hamiltonian(parts: _Parts, heights: Tensor, levels: int) -> Tensor:
    """H in rad/ns at envelope heights [times]: [..., L groups, times, L, L]."""
    states = state_groups(levels)
    still = parts.still[..., states][..., None, :]
    lowered = parts.lowered[..., None, None, None] * heights.square()[:, None]
    diagonal = still - lowered * (states // levels)[:, None, :]
    coupling = parts.coupling[..., None, None, None, None] * heights[:, None, None]
    return torch.diag_embed(diagonal) + coupling * exchange(levels)[:, None]


@functools.cache
def _diagonals(levels: int) -> Tensor:
    """n_a, n_a(n_a − 1)/2 and n_b(n_b − 1)/2 of every state, [3, L²]."""
    states = torch.arange(levels**2)
    a, b = (states // levels).double(), (states % levels).double()
    return torch.stack([a, a * (a - 1) / 2, b * (b - 1) / 2])


def _frame(angle_a: Tensor, angle_b: Tensor, levels: int) -> Tensor:
    """exp(i(θ_a n_a + θ_b n_b)), [..., L²]."""
    states = torch.arange(levels**2)
    angle = angle_a[..., None] * (states // levels) + angle_b[..., None] * (states % levels)
    return torch.exp(1j * angle)


def _stacked(*parts: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(*parts), dim=-1)


def _tensor(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _check(pulse: CouplerPulse, levels: int) -> None:
    if levels < 3:
        raise ValueError(f"levels must be at least 3 (a CZ passes through |20⟩), got {levels}")
    if bool((_tensor(pulse.duration_ns) < 0).any()):
        raise ValueError(f"duration_ns must not be negative, got {pulse.duration_ns}")
    if pulse.ramp_ns <= 0:
        raise ValueError(f"ramp_ns must be positive, got {pulse.ramp_ns}")

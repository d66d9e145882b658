"""CZ on two transmons with a tunable coupler: pulse to unitary, channel and its figures."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from calib.decoherence import Decoherence, dissipator, energy_generator
from calib.excitations import (
    conjugation,
    from_groups,
    local_product,
    local_sum,
    on_elements,
    rotation,
    sectors,
    state_groups,
    transfer_from_sectors,
)

_RADIANS_PER_NS = 2e-3 * math.pi  # of one MHz
_RAMP_STEPS = 20  # Magnus steps on each ramp: 1e-8 of the unitary at the defaults' 10 ns
_RAMP_SLICES = 10  # Strang slices on each ramp, a divisor of the above


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
    ramp_ns: float = 10.0


Detunings = tuple[Tensor | float, Tensor | float]


class _Parts(NamedTuple):
    """The Hamiltonian in rad/ns where both transmons rotate with b's true frequency, each [...]."""

    still: Tensor  # its diagonal without the pulse, [..., L²]
    lowered: Tensor  # what the flat top takes off a's frequency
    coupling: Tensor  # the exchange on the flat top


class _Motion(NamedTuple):
    """The pieces of a pulse's motion: what the unitary and the channel are both made of."""

    slices: Tensor  # propagators on the rising ramp's slices, [..., slices, L, L, L] in groups
    flat: Tensor  # the Hamiltonian of the flat top in rad/ns, [..., L, L, L] in groups
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
    >>> pulse = CouplerPulse(math.sqrt(120 / 400), 45.4)
    >>> float(pair_leakage(coupler_unitary(pair, pulse))) < 2e-4
    True
    """
    motion = _motion(pair, pulse, detuning_mhz, levels)
    rise = _in_order(motion.slices)
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
    slices, flat = from_groups(motion.slices, levels), from_groups(motion.flat, levels)
    generators = [dissipator(one, levels) for one in decoherence]
    local = [on_elements(one, levels) for one in generators]
    half_slice_ns = motion.ramp_ns / (2 * _RAMP_SLICES)
    anharmonicities = (pair.anharmonicity_a_mhz, pair.anharmonicity_b_mhz)
    before, after = zip(
        *(
            _half_decays(one, _tensor(anharmonicity), half_slice_ns, levels)
            for one, anharmonicity in zip(generators, anharmonicities, strict=True)
        ),
        strict=True,
    )
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
    return end @ _in_order(torch.cat(steps, dim=-3)[..., None, :, :])[..., 0, :, :]


def _half_decays(
    generator: Tensor, anharmonicity_mhz: Tensor, half_slice_ns: Tensor, levels: int
) -> tuple[Tensor, Tensor]:
    """One transmon's decoherence in the first and in the second half of a slice, on |m⟩⟨n|.

    The first is referred to the slice's start and the second to its end: the turning by the
    anharmonicity, which decoherence does not commute with, is done and undone. All other turning
    of a lone transmon does commute, so that Strang's error is that of the exchange alone.
    """
    number = torch.arange(levels, dtype=torch.float64)
    angle = (
        _RADIANS_PER_NS * (anharmonicity_mhz * half_slice_ns)[..., None] * number * (number - 1) / 2
    )
    both = torch.linalg.matrix_exp(
        generator * half_slice_ns[..., None, None] + energy_generator(angle)
    )
    back = torch.exp(1j * (angle[..., :, None] - angle[..., None, :])).flatten(-2)
    elements = on_elements(both, levels)
    return back[..., :, None] * elements, elements * back[..., None, :]


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
        flat=_hamiltonian(parts, torch.ones(()), levels),
        flat_ns=duration - 2 * ramp,
        ramp_ns=ramp,
        frame=_frame(*angles, levels),
    )


def _ramp_slices(parts: _Parts, ramp_ns: Tensor, levels: int) -> Tensor:
    """The rising ramp's propagators, [..., slices, L, L, L] in groups.

    Each step is a Magnus step of sixth order at three Gauss points (Blanes, Casas, Oteo and Ros,
    arXiv:0810.5488, section 5.1); the exchange turns fast against the detunings (4.9 rad/ns), and
    lower orders need far more steps.
    """
    step_ns = (ramp_ns / _RAMP_STEPS)[..., None, None, None, None, None]
    steps = torch.arange(_RAMP_STEPS, dtype=torch.float64)[:, None]
    gauss = 0.5 + torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64) * math.sqrt(0.15)
    height = torch.sin(math.pi / 2 * (steps + gauss) / _RAMP_STEPS).square()
    first, middle, last = (-1j * step_ns * _hamiltonian(parts, height, levels)).unbind(-4)
    slope = (last - first) * (math.sqrt(15) / 3)
    bend = (last - 2 * middle + first) * (10 / 3)
    one = _commutator(middle, slope)
    two = -_commutator(middle, 2 * bend + one) / 60
    total = middle + bend / 12 + _commutator(one - 20 * middle - bend, slope + two) / 240
    pieces = _exponential(total)
    return _in_order(pieces.unflatten(-4, (_RAMP_SLICES, -1)))


def _hamiltonian(parts: _Parts, height: Tensor, levels: int) -> Tensor:
    """H in rad/ns at envelope heights [*times]: [..., *times, L, L, L] in groups."""
    states = state_groups(levels)
    excitations = (states // levels).double()
    shape = (..., *[None] * height.ndim, slice(None), slice(None))
    diagonal = (
        parts.still[..., states][shape]
        - excitations
        * (parts.lowered[(..., *[None] * height.ndim)] * height.square())[..., None, None]
    )
    exchange = (parts.coupling[(..., *[None] * height.ndim)] * height)[..., None, None, None]
    return torch.diag_embed(diagonal) + exchange * _exchange(levels)


@functools.cache
def _diagonals(levels: int) -> Tensor:
    """n_a, n_a(n_a − 1)/2 and n_b(n_b − 1)/2 of every state, [3, L²]."""
    states = torch.arange(levels**2)
    a, b = (states // levels).double(), (states % levels).double()
    return torch.stack([a, a * (a - 1) / 2, b * (b - 1) / 2])


@functools.cache
def _exchange(levels: int) -> Tensor:
    """a†b + ab† in groups, [L, L, L]."""
    lower = torch.diag(torch.arange(1, levels, dtype=torch.float64).sqrt(), 1)
    lift = torch.kron(lower.T.contiguous(), lower)
    states = state_groups(levels)
    return (lift + lift.T)[states[:, :, None], states[:, None, :]]


def _exponential(matrix: Tensor) -> Tensor:
    """exp of many small matrices [..., n, n]: the Taylor polynomial of degree 9, scaled.

    To 1e-11; on matrices of this size three times as fast as torch.linalg.matrix_exp.
    """
    norm = float(matrix.detach().abs().sum(-1).max())
    squarings = max(0, math.ceil(math.log2(max(norm, 1e-9) / 0.4)))
    a = matrix / 2**squarings
    one = torch.eye(a.shape[-1], dtype=torch.float64)
    a2 = a @ a
    a3 = a2 @ a
    high = one / 720 + a / 5040 + a2 / 40320 + a3 / 362880
    middle = one / 6 + a / 24 + a2 / 120 + a3 @ high
    result = one + a + a2 / 2 + a3 @ middle
    for _ in range(squarings):
        result = result @ result
    return result


def _commutator(a: Tensor, b: Tensor) -> Tensor:
    return a @ b - b @ a


def _frame(angle_a: Tensor, angle_b: Tensor, levels: int) -> Tensor:
    """exp(i(θ_a n_a + θ_b n_b)), [..., L²]."""
    states = torch.arange(levels**2)
    angle = angle_a[..., None] * (states // levels) + angle_b[..., None] * (states % levels)
    return torch.exp(1j * angle)


def _in_order(steps: Tensor) -> Tensor:
    """The product of steps [..., time, k, n, n], the first one rightmost: [..., k, n, n]."""
    while steps.shape[-4] > 1:
        odd, rest = steps.split([steps.shape[-4] % 2, steps.shape[-4] // 2 * 2], dim=-4)
        steps = torch.cat([odd, rest[..., 1::2, :, :, :] @ rest[..., ::2, :, :, :]], dim=-4)
    return steps[..., 0, :, :, :]


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

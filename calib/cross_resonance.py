"""Cross resonance on two coupled transmons: tones to unitaries and channels, the echoed gate."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from calib.channels import pair_basis, transfer_matrix_of_unitary
from calib.decoherence import Decoherence, dissipator, idle_transfer, lowering
from calib.excitations import exchange, from_groups, state_groups
from calib.exponentials import matrix_exponential, ordered_product
from calib.ramps import half_decays, magnus_steps, ramp_heights

_RADIANS_PER_NS = 2e-3 * math.pi  # of one MHz
_RAMP_STEPS = 32  # Magnus steps on each ramp: errors of 5e-8 in the unitary for 20 ns
_RAMP_SLICES = 16  # slices on each ramp, a divisor of the steps: 1e-6 for T1 = T2 = 80 µs

Detunings = tuple[Tensor | float, Tensor | float]


@dataclass(frozen=True)
class CrossResonancePair:
    """The truth of two transmons with a fixed exchange; fields broadcast against each other.

    The frequencies are the dressed ones, E₁₀ − E₀₀ and E₀₁ − E₀₀, the anharmonicities the bare
    ones, and the control is the upper of the two, less than its anharmonicity above the target.
    A drive line of amplitude 1 makes the Rabi frequency `rabi_…_mhz`. The share `crosstalk` of
    the field on the control reaches the target as well, turned by `crosstalk_phase_rad`.
    """

    frequency_control_ghz: Tensor | float
    frequency_target_ghz: Tensor | float
    anharmonicity_control_mhz: Tensor | float
    anharmonicity_target_mhz: Tensor | float
    coupling_mhz: Tensor | float
    rabi_control_mhz: Tensor | float
    rabi_target_mhz: Tensor | float
    crosstalk: Tensor | float = 0.0
    crosstalk_phase_rad: Tensor | float = 0.0


@dataclass(frozen=True)
class CrossResonanceTone:
    """The settings of a tone at the target's drive frequency; tensors broadcast.

    The control's line plays amplitude·exp(i·phase_rad), the target's line, against what the
    target feels directly, cancel_amplitude·exp(i·cancel_phase_rad). Phase 0 is the X axis. The
    envelope rises as sin²(πt/2·ramp) within `ramp_ns`, stays at 1, and falls likewise; a tone
    shorter than two ramps is all ramp.
    """

    amplitude: Tensor | float
    phase_rad: Tensor | float
    cancel_amplitude: Tensor | float
    cancel_phase_rad: Tensor | float
    duration_ns: Tensor | float
    ramp_ns: float = 20.0

    def reversed_sign(self) -> CrossResonanceTone:
        """The tone with both fields turned by π: the second half of the echo."""
        return replace(
            self,
            phase_rad=self.phase_rad + math.pi,
            cancel_phase_rad=self.cancel_phase_rad + math.pi,
        )


class Dressed(NamedTuple):
    """The undriven pair in its own eigenstates, labelled by the bare states they come from."""

    energies_mhz: Tensor  # of state |ct⟩ = c·L + t above |00⟩, [..., L²]
    states: Tensor  # the eigenstates as columns in the bare states, real [..., L², L²]


class _Motion(NamedTuple):
    """The pieces of a tone's motion in the dressed states, rotating with the target's drive."""

    slices: Tensor  # propagators of the rising ramp, in its order, [..., slices, L², L²]
    fall: Tensor  # and of the falling ramp
    flat: Tensor  # the Hamiltonian of the flat top in rad/ns, [..., L², L²]
    flat_ns: Tensor
    ramp_ns: Tensor
    frame: Tensor  # phases to the frame of the control's own drive, [..., L²]


def dressed(pair: CrossResonancePair, *, levels: int = 3) -> Dressed:
    """The eigenstates that an idle pair has, and that all gates here act on.

    The exchange conserves excitations, so that one excitation is a 2×2 problem: the bare
    frequencies are mean ± √(Δ² − 4J²)/2 of the dressed ones with Δ their difference, exactly.
    """
    control, target, alpha_c, alpha_t, coupling, *_ = _truth(pair)
    apart = (control - target) * 1e3
    if bool((apart <= 2 * coupling.abs()).any()):
        raise ValueError(
            "the control's frequency must exceed the target's by more than 2·coupling_mhz, got "
            f"{apart.min().item():.6g} MHz: swap the two, or lower coupling_mhz"
        )
    shift = (apart - (apart.square() - 4 * coupling.square()).sqrt()) / 2
    numbers = torch.arange(levels**2)
    c, t = (numbers // levels).double(), (numbers % levels).double()
    parts = torch.stack([c, t, c * (c - 1) / 2, t * (t - 1) / 2])
    rates = (control * 1e3 - shift, target * 1e3 + shift, alpha_c, alpha_t)
    bare = torch.stack(torch.broadcast_tensors(*rates), dim=-1) @ parts
    groups = state_groups(levels)
    matrix = torch.diag_embed(bare[..., groups]) + coupling[..., None, None, None] * exchange(
        levels
    )
    energies, vectors = torch.linalg.eigh(matrix)
    # Levels repel: eigenvalues keep the order of the bare energies, which labels them.
    rank = bare[..., groups].argsort(-1).argsort(-1).expand(energies.shape)
    energies = energies.gather(-1, rank)
    vectors = vectors.gather(-1, rank[..., None, :].expand(vectors.shape))
    signs = vectors.diagonal(dim1=-2, dim2=-1).detach().sign()
    states = from_groups(vectors * signs[..., None, :], levels)
    ordered = matrix.new_zeros(*matrix.shape[:-3], levels**2)
    ordered[..., groups] = energies
    return Dressed(ordered, states)


def static_zz_mhz(pair: CrossResonancePair, *, levels: int = 3) -> Tensor:
    """The always-on ZZ, E₁₁ − E₁₀ − E₀₁ + E₀₀ in MHz, [...].

    To fourth order 2J²(α_c + α_t)/((Δ + α_c)(Δ − α_t)), with Δ the control's frequency above the
    target's.

    >>> pair = CrossResonancePair(5.1, 5.0, -330.0, -330.0, 2.0, 50.0, 50.0)
    >>> round(float(static_zz_mhz(pair)), 3)
    0.053
    """
    return _beyond_local(dressed(pair, levels=levels).energies_mhz)[..., levels + 1]


def cross_resonance_unitary(
    pair: CrossResonancePair,
    tone: CrossResonanceTone,
    *,
    detuning_mhz: Detunings = (0.0, 0.0),
    levels: int = 3,
) -> Tensor:
    """One tone's unitary on dressed states |ct⟩ = c·L + t, complex [..., L², L²].

    It is written in the frames of the two drives, whose phases are zero at the tone's start;
    `detuning_mhz` is the true minus the drive frequency of control and target. Differentiable in
    all tensors, the duration included.
    """
    motion = _motion(pair, tone, detuning_mhz, levels)
    flat = torch.linalg.matrix_exp(-1j * motion.flat * motion.flat_ns[..., None, None])
    turn = ordered_product(motion.fall) @ flat @ ordered_product(motion.slices)
    return motion.frame[..., None] * turn


def cross_resonance_transfer(
    pair: CrossResonancePair,
    tone: CrossResonanceTone,
    *,
    decoherence: tuple[Decoherence, Decoherence],
    detuning_mhz: Detunings = (0.0, 0.0),
    levels: int = 3,
) -> Tensor:
    """One tone's channel under decoherence of control and target: [..., L⁴, L⁴].

    The basis is `calib.channels.pair_basis` on dressed states, and decoherence acts between
    dressed levels, as it does on idle qubits. The flat top is one exact exponential of the
    Lindblad generator; on the ramps, decoherence and motion alternate (Strang splitting).
    """
    motion = _motion(pair, tone, detuning_mhz, levels)
    elements = pair_basis(levels)
    one = torch.eye(levels**2, dtype=torch.float64)
    local = [dissipator(each, levels) for each in decoherence]
    lost = _kron(local[0], one) + _kron(one, local[1])
    generator = _rotation(motion.flat, levels) + lost
    stay = matrix_exponential(generator * motion.flat_ns[..., None, None])
    alphas = map(_tensor, (pair.anharmonicity_control_mhz, pair.anharmonicity_target_mhz))
    decay = tuple(zip(local, alphas, strict=True))
    rise, fall = (
        _ramp_channel(transfer_matrix_of_unitary(steps, elements), decay, motion.ramp_ns, levels)
        for steps in (motion.slices, motion.fall)
    )
    frame = transfer_matrix_of_unitary(torch.diag_embed(motion.frame), elements)
    return frame @ fall @ stay @ rise


def _ramp_channel(
    turns: Tensor, decay: tuple[tuple[Tensor, Tensor], ...], ramp_ns: Tensor, levels: int
) -> Tensor:
    """A ramp's channel from its slices' turns, [..., L⁴, L⁴], and both (dissipator, α).

    Strang's splitting at two lengths of slices, extrapolated to length zero (Richardson): what is
    left is of fourth order.
    """
    found = []
    for joined in (1, 2):
        steps = ordered_product(turns.unflatten(-3, (-1, joined)))
        half_ns = ramp_ns / (2 * steps.shape[-3])
        halves = [half_decays(*one, half_ns, levels) for one in decay]
        before, after = (_kron(halves[0][k], halves[1][k])[..., None, :, :] for k in (0, 1))
        found.append(ordered_product(after @ steps @ before))
    return (4 * found[0] - found[1]) / 3


@dataclass(frozen=True)
class ControlFlip:
    """The X pulse amid the echo: what it does to the control, and how long it takes.

    `action` is the control's unitary [..., L, L] for `echoed_unitary`, and its transfer matrix
    [..., L², L²] for `echoed_transfer`.
    """

    action: Tensor
    duration_ns: Tensor | float


def echoed_unitary(
    pair: CrossResonancePair,
    tone: CrossResonanceTone,
    flip: ControlFlip,
    *,
    detuning_mhz: Detunings = (0.0, 0.0),
    levels: int = 3,
) -> Tensor:
    """Tone, X on the control, tone of reversed sign: complex [..., L², L²].

    Tuned up, it is (X⊗1 − Y⊗X)/√2 with the control's factor first: X on the control after
    exp(−iπ/4 Z⊗X). That is Qiskit's ECR with the control as its first qubit, which Qiskit, writing
    its first qubit last, calls (IX − XY)/√2. The target idles and ZZ acts during the flip.
    """
    first, second = (
        cross_resonance_unitary(pair, one, detuning_mhz=detuning_mhz, levels=levels)
        for one in (tone, tone.reversed_sign())
    )
    idle, half_zz = _around_flip(pair, flip, detuning_mhz, levels)
    turn = _kron(flip.action, torch.diag_embed(idle))
    return second @ (half_zz[..., :, None] * turn * half_zz[..., None, :]) @ first


def echoed_transfer(
    pair: CrossResonancePair,
    tone: CrossResonanceTone,
    flip: ControlFlip,
    *,
    decoherence: tuple[Decoherence, Decoherence],
    detuning_mhz: Detunings = (0.0, 0.0),
    levels: int = 3,
) -> Tensor:
    """The channel of `echoed_unitary` under decoherence, [..., L⁴, L⁴]."""
    first, second = (
        cross_resonance_transfer(
            pair, one, decoherence=decoherence, detuning_mhz=detuning_mhz, levels=levels
        )
        for one in (tone, tone.reversed_sign())
    )
    energies = dressed(pair, levels=levels).energies_mhz
    _, half_zz = _around_flip(pair, flip, detuning_mhz, levels)
    idle = idle_transfer(
        flip.duration_ns, decoherence[1], detuning_mhz=detuning_mhz[1],
        anharmonicity_mhz=energies[..., 2] - 2 * energies[..., 1], levels=levels,
    )  # fmt: skip
    zz = transfer_matrix_of_unitary(torch.diag_embed(half_zz), pair_basis(levels))
    return second @ zz @ _kron(flip.action, idle) @ zz @ first


def _around_flip(
    pair: CrossResonancePair, flip: ControlFlip, detuning_mhz: Detunings, levels: int
) -> tuple[Tensor, Tensor]:
    """Phases of the idle target, [..., L], and of half the ZZ's time, [..., L²]."""
    energies = dressed(pair, levels=levels).energies_mhz
    number = torch.arange(levels)
    driven = (energies[..., 1] - _tensor(detuning_mhz[1]))[..., None] * number
    angle = _RADIANS_PER_NS * _tensor(flip.duration_ns)[..., None]
    idle = torch.exp(-1j * angle * (energies[..., :levels] - driven))
    return idle, torch.exp(-0.5j * angle * _beyond_local(energies))


def _beyond_local(energies: Tensor) -> Tensor:
    """E_ct − E_c0 − E_0t + E_00 of every state, [..., L²]."""
    levels = math.isqrt(energies.shape[-1])
    grid = energies.unflatten(-1, (levels, levels))
    return (grid - grid[..., :, :1] - grid[..., :1, :] + grid[..., :1, :1]).flatten(-2)


def _motion(
    pair: CrossResonancePair, tone: CrossResonanceTone, detuning_mhz: Detunings, levels: int
) -> _Motion:
    _check(tone, levels)
    control, target = _tensor(pair.frequency_control_ghz), _tensor(pair.frequency_target_ghz)
    detuning_control, detuning_target = map(_tensor, detuning_mhz)
    duration = _tensor(tone.duration_ns)
    ramp = torch.minimum(_tensor(tone.ramp_ns), duration / 2)
    states = torch.arange(levels**2)
    apart = (control - target) * 1e3 - detuning_control + detuning_target  # of the drives
    itself = dressed(pair, levels=levels)
    driven = target * 1e3 - detuning_target
    turning = driven[..., None] * (states // levels + states % levels)
    still = torch.diag_embed(_RADIANS_PER_NS * (itself.energies_mhz - turning)).to(torch.complex128)
    drive = _drive(pair, tone, itself.states, levels)

    def at(heights: Tensor) -> Tensor:
        return still[..., None, :, :] + heights[:, None, None] * drive[..., None, :, :]

    scale = -1j * (ramp / _RAMP_STEPS)[..., None, None, None]
    gauss = [scale * at(one) for one in ramp_heights(_RAMP_STEPS).T]
    rise = magnus_steps(*gauss)
    fall = magnus_steps(*(one.flip(-3) for one in reversed(gauss)))
    angle = (_RADIANS_PER_NS * apart * duration)[..., None] * (states // levels)
    return _Motion(
        *(ordered_product(one.unflatten(-3, (_RAMP_SLICES, -1))) for one in (rise, fall)),
        flat=at(torch.ones(1))[..., 0, :, :],
        flat_ns=duration - 2 * ramp,
        ramp_ns=ramp,
        frame=torch.exp(1j * angle),
    )


def _drive(
    pair: CrossResonancePair, tone: CrossResonanceTone, states: Tensor, levels: int
) -> Tensor:
    """What the flat top's fields add to the Hamiltonian, rad/ns, complex [..., L², L²]."""
    *_, rabi_control, rabi_target, share, share_phase = _truth(pair)
    amplitude, phase, cancel_amplitude, cancel_phase = (
        _tensor(getattr(tone, field.name)) for field in fields(tone)[:4]
    )
    on_control = rabi_control * amplitude * torch.exp(1j * phase)
    on_target = rabi_target * cancel_amplitude * torch.exp(1j * cancel_phase)
    on_target = on_target + share * torch.exp(1j * share_phase) * on_control
    one = torch.eye(levels, dtype=torch.complex128)
    total = torch.zeros((), dtype=torch.complex128)
    for field, bare in ((on_control, torch.kron(lowering(levels), one)),
                        (on_target, torch.kron(one, lowering(levels)))):  # fmt: skip
        raising = (states.mT @ bare.real @ states).mT
        total = total + (_RADIANS_PER_NS / 2 * field)[..., None, None] * raising
    return total + total.mH


def _rotation(hamiltonian: Tensor, levels: int) -> Tensor:
    """−i[H, ·] in `pair_basis`, real [..., L⁴, L⁴]."""
    parts = torch.einsum("bij,...ji->...b", pair_basis(levels), hamiltonian).real
    size = levels**4
    return (parts @ _structure(levels)).unflatten(-1, (size, size))


@functools.cache
def _structure(levels: int) -> Tensor:
    """−i tr(B_i [B_b, B_j]), real [L⁴, L⁸]: b, then i and j."""
    elements = pair_basis(levels)
    size = len(elements)
    products = (elements[:, None] @ elements).reshape(size**2, -1)  # B_b B_j
    traces = (products @ elements.mT.reshape(size, -1).T).reshape(size, size, size)
    return (2 * traces.imag).transpose(1, 2).reshape(size, -1)


def _kron(first: Tensor, second: Tensor) -> Tensor:
    """The Kronecker product of batches, [..., m·n, m·n]."""
    whole = first[..., :, None, :, None] * second[..., None, :, None, :]
    return whole.flatten(-4, -3).flatten(-2)


def _truth(pair: CrossResonancePair) -> tuple[Tensor, ...]:
    return tuple(_tensor(getattr(pair, field.name)) for field in fields(pair))


def _tensor(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _check(tone: CrossResonanceTone, levels: int) -> None:
    if levels < 3:
        raise ValueError(f"levels must be at least 3 (|2⟩ makes cross resonance), got {levels}")
    if bool((_tensor(tone.duration_ns) < 0).any()):
        raise ValueError(f"duration_ns must not be negative, got {tone.duration_ns}")
    if tone.ramp_ns <= 0:
        raise ValueError(f"ramp_ns must be positive, got {tone.ramp_ns}")

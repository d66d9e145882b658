"""The channels of cross-resonance tones on many pairs at once, on computational states."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from calib.channels import pair_basis
from calib.cross_resonance import CrossResonancePair, CrossResonanceTone, dressed
from calib.decoherence import Decoherence, idle_transfer, lowering
from calib.exponentials import ordered_product
from calib.ramps import magnus_steps, ramp_heights

LEVELS = 3
_RADIANS_PER_NS = 2e-3 * math.pi  # of one MHz
_RAMP_STEPS = 8  # Magnus steps on a ramp
_COMPUTATIONAL = torch.tensor([0, 1, 3, 4])  # of the states c·L + t


def tone_unitary(
    pair: CrossResonancePair, tone: CrossResonanceTone, detuning_mhz: tuple[Tensor, Tensor],
    dtype: torch.dtype = torch.complex128,
) -> Tensor:  # fmt: skip
    """As `calib.cross_resonance.cross_resonance_unitary`, with fewer steps: complex [B, L², L²].

    All fields are [B], but for the ramp; tones must be at least two ramps long. The ramps are made
    in the precision asked for, the flat top, whose phases are hundreds of radians, in double.
    """
    duration_ns = torch.as_tensor(tone.duration_ns)
    still, drive, frame_mhz = _hamiltonian(pair, tone, detuning_mhz)
    heights = ramp_heights(_RAMP_STEPS)
    scale = -1j * tone.ramp_ns / _RAMP_STEPS
    gauss = [(scale * (still[:, None] + one[:, None, None] * drive[:, None])).to(dtype)
             for one in heights.T]  # fmt: skip
    rise = ordered_product(magnus_steps(*gauss)).to(still.dtype)
    fall = ordered_product(magnus_steps(*(one.flip(-3) for one in reversed(gauss))))
    flat_ns = (duration_ns - 2 * tone.ramp_ns)[..., None, None]
    flat = torch.linalg.matrix_exp(-1j * (still + drive) * flat_ns)
    frame = torch.exp(1j * _RADIANS_PER_NS * frame_mhz * duration_ns[..., None])
    return frame[..., None] * (fall.to(still.dtype) @ flat @ rise)


def computational_transfer(unitary: Tensor) -> Tensor:
    """The transfer matrix on the computational states, float64 [B, 16, 16], from [B, L², L²].

    What leaks, some 1e-6 a tone, is lost.
    """
    kept = unitary[:, _COMPUTATIONAL[:, None], _COMPUTATIONAL]
    both = (
        (kept[:, :, None, :, None] * kept.conj()[:, None, :, None, :]).flatten(-4, -3).flatten(-2)
    )
    return (_ELEMENTS.mH @ both @ _ELEMENTS).real


_ELEMENTS = pair_basis(2).flatten(1).T.contiguous()  # each column an element, row by row


def reversed_sign(unitary: Tensor) -> Tensor:
    """The unitary [B, L², L²] of a tone with both fields turned by π.

    They change the parity of the excitations, which an idle pair keeps.
    """
    number = torch.arange(LEVELS**2)
    parity = 1.0 - 2 * ((number // LEVELS + number % LEVELS) % 2)
    return parity[:, None] * unitary * parity


def waits(
    duration_ns: Tensor | float, decoherence: tuple[Decoherence, Decoherence], levels: int = 2
) -> Tensor:
    """Decoherence of both qubits alone for so long, in the frames of their drives, [B, 16, 16].

    With three levels, what is heated from |1⟩ to |2⟩ is lost; with two it is not.
    """
    first, second = (idle_transfer(duration_ns, one, levels=levels)[..., :4, :4]
                     for one in decoherence)  # fmt: skip
    return kron(first, second)


def kron(first: Tensor, second: Tensor) -> Tensor:
    """The Kronecker products of batches, [B, m·n, m·n]."""
    whole = first[..., :, None, :, None] * second[..., None, :, None, :]
    return whole.flatten(-4, -3).flatten(-2)


def _hamiltonian(
    pair: CrossResonancePair, tone: CrossResonanceTone, detuning_mhz: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """H without and with full drive in rad/ns [B, L², L²], and the turn to the frames [B, L²]."""
    control, target = (torch.as_tensor(one) * 1e3 for one in
                       (pair.frequency_control_ghz, pair.frequency_target_ghz))  # fmt: skip
    itself = dressed(pair, levels=LEVELS)
    states = torch.arange(LEVELS**2)
    driven = target - detuning_mhz[1]
    turning = driven[..., None] * (states // LEVELS + states % LEVELS)
    still = torch.diag_embed(_RADIANS_PER_NS * (itself.energies_mhz - turning))
    on_control = torch.polar(
        torch.as_tensor(pair.rabi_control_mhz) * tone.amplitude, torch.as_tensor(tone.phase_rad)
    )
    on_target = torch.polar(
        torch.as_tensor(pair.rabi_target_mhz) * tone.cancel_amplitude,
        torch.as_tensor(tone.cancel_phase_rad),
    )
    share = torch.polar(torch.as_tensor(pair.crosstalk), torch.as_tensor(pair.crosstalk_phase_rad))
    fields = (on_control, on_target + share * on_control)
    one = torch.eye(LEVELS, dtype=torch.complex128)
    bare = (torch.kron(lowering(LEVELS), one), torch.kron(one, lowering(LEVELS)))
    total = torch.zeros_like(still, dtype=torch.complex128)
    for field, operator in zip(fields, bare, strict=True):
        raising = (itself.states.mT @ operator.real @ itself.states).mT
        total = total + (_RADIANS_PER_NS / 2 * field)[..., None, None] * raising
    apart = (control - target) - detuning_mhz[0] + detuning_mhz[1]
    return still.to(torch.complex128), total + total.mH, apart[..., None] * (states // LEVELS)

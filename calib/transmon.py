"""One driven transmon: from a pulse's samples to its propagator or its channel, in batches."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from calib.decoherence import (
    Decoherence,
    Rates,
    commutator_generator,
    energy_generator,
    generator_of_rates,
    lowering,
)
from calib.exponentials import ladder_propagator, matrix_exponential, ordered_product
from calib.threads import one_thread

# Numbers in one piece of work, so that memory is bounded and most of it stays in the cache.
_UNITARY_PIECE = 2**16
_CHANNEL_PIECE = 2**16


@one_thread()
def propagator(
    samples: Tensor,
    *,
    dt_ns: float,
    detuning_mhz: Tensor | float,
    anharmonicity_mhz: Tensor | float,
    levels: int = 3,
) -> Tensor:
    """The unitary of a pulse, complex [..., L, L], in the frame of the drive's frequency.

    `samples` [..., N] are complex Rabi rates Ω in rad/ns, each constant for `dt_ns`;
    `detuning_mhz` (qubit minus drive) and `anharmonicity_mhz` broadcast against their batch [...].
    The exact time-ordered product for H = δ n + α n(n−1)/2 + (Ω a† + Ω* a)/2. Differentiable in
    every tensor. Memory stays bounded: large batches run in pieces, recomputed by gradients.

    >>> half_turn = torch.full((10,), 0.1 * math.pi, dtype=torch.complex128)
    >>> u = propagator(half_turn, dt_ns=1.0, detuning_mhz=0, anharmonicity_mhz=-300, levels=2)
    >>> round(u[1, 0].imag.item(), 12)  # −i X
    -1.0
    """
    _check(samples, dt_ns, levels)
    energies = _energies(detuning_mhz, anharmonicity_mhz, levels) * dt_ns

    def piece(samples: Tensor, energies: Tensor) -> Tensor:
        return ladder_propagator(energies, samples * (dt_ns / 2))

    size = _UNITARY_PIECE // (levels**2 * samples.shape[-1])
    return _in_pieces(piece, size, (samples, 1), (energies, 1))


@one_thread()
def drive_transfer(
    samples: Tensor,
    *,
    dt_ns: float,
    detuning_mhz: Tensor | float,
    anharmonicity_mhz: Tensor | float,
    decoherence: Decoherence,
    levels: int = 3,
) -> Tensor:
    """The Lindblad channel of a pulse, real [..., L², L²] in `basis(levels)`.

    Arguments as of `propagator`; also the fields of `decoherence` broadcast against the batch. Each
    sample's generator is exponentiated as a whole, so that nothing but the sampling is approximate.
    """
    _check(samples, dt_ns, levels)
    energies = _energies(detuning_mhz, anharmonicity_mhz, levels) * dt_ns
    rates = decoherence.rates_per_ns()
    along_x, along_y = _drive_generators(levels)

    def piece(samples: Tensor, energies: Tensor, *rates: Tensor) -> Tensor:
        rest = energy_generator(energies) + dt_ns * generator_of_rates(Rates(*rates), levels)
        field = (samples * dt_ns)[..., None, None]
        steps = field.real * along_x + field.imag * along_y + rest[:, None]
        return ordered_product(matrix_exponential(steps))

    size = _CHANNEL_PIECE // (levels**4 * samples.shape[-1])
    batched = ((samples, 1), (energies, 1), *((rate, 0) for rate in rates))
    return _in_pieces(piece, size, *batched)


def _in_pieces(function: Callable[..., Tensor], size: int, *batched: tuple[Tensor, int]) -> Tensor:
    """The function of (tensor, number of own dimensions) with batches broadcast to [B], in pieces.

    Where gradients are wanted, several pieces are run again in the backward pass instead of
    keeping all that they computed.
    """
    shape = torch.broadcast_shapes(*(one.shape[: one.dim() - own] for one, own in batched))
    flat = []
    for one, own in batched:
        rest = one.shape[one.dim() - own :]
        flat.append(one.expand((*shape, *rest)).reshape(-1, *rest))
    parts = list(zip(*(one.split(max(1, size)) for one in flat), strict=True))
    if len(parts) == 1:
        done = function(*parts[0])
    elif torch.is_grad_enabled() and any(one.requires_grad for one in flat):
        done = torch.cat([checkpoint(function, *part, use_reentrant=False) for part in parts])
    else:
        done = torch.cat([function(*part) for part in parts])
    return done.reshape(*shape, *done.shape[1:])


def _check(samples: Tensor, dt_ns: float, levels: int) -> None:
    if samples.dim() < 1 or samples.shape[-1] < 1:
        raise ValueError(f"samples must have the shape [..., N ≥ 1], got {tuple(samples.shape)}")
    if not samples.is_complex():
        raise ValueError(f"samples must be complex Rabi rates in rad/ns, got {samples.dtype}")
    if not 0 < dt_ns < math.inf:
        raise ValueError(f"dt_ns must be above 0 and finite, got {dt_ns}")
    if levels < 2:
        raise ValueError(f"levels must be at least 2, got {levels}")


def _energies(
    detuning_mhz: Tensor | float, anharmonicity_mhz: Tensor | float, levels: int
) -> Tensor:
    """δ n + α n(n−1)/2 in rad/ns, [..., L]."""
    number = torch.arange(levels, dtype=torch.float64)
    detuning = torch.as_tensor(detuning_mhz, dtype=torch.float64)[..., None]
    anharmonicity = torch.as_tensor(anharmonicity_mhz, dtype=torch.float64)[..., None]
    return 2e-3 * math.pi * (detuning * number + anharmonicity * number * (number - 1) / 2)


@functools.cache
def _drive_generators(levels: int) -> tuple[Tensor, Tensor]:
    """−i[(a + a†)/2, ·] and −i[i(a† − a)/2, ·]: what the drive's real and imaginary parts do."""
    a = lowering(levels)
    return commutator_generator((a + a.mH) / 2), commutator_generator(1j * (a.mH - a) / 2)

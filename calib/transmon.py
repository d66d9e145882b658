"""One driven transmon: from a pulse's samples to its propagator and its channel, in batches."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from calib.decoherence import (
    Decoherence,
    commutator_generator,
    dissipator,
    energy_generator,
    lowering,
)


def propagator(
    samples: Tensor,
    *,
    dt_ns: float,
    detuning_mhz: Tensor | float,
    anharmonicity_mhz: Tensor | float,
    levels: int = 3,
) -> Tensor:
    """The unitary of a pulse of piecewise constant samples, complex [..., L, L]."""
    energies = _energies(detuning_mhz, anharmonicity_mhz, levels)
    a = lowering(levels)
    drive = samples[..., None, None] * a.mH / 2
    hamiltonian = torch.diag_embed(energies)[..., None, :, :] + drive + drive.mH
    return _product(torch.linalg.matrix_exp(-1j * dt_ns * hamiltonian))


def drive_transfer(
    samples: Tensor,
    *,
    dt_ns: float,
    detuning_mhz: Tensor | float,
    anharmonicity_mhz: Tensor | float,
    decoherence: Decoherence,
    levels: int = 3,
) -> Tensor:
    """The Lindblad channel of a pulse, real [..., L², L²]."""
    rest = energy_generator(_energies(detuning_mhz, anharmonicity_mhz, levels))
    rest = rest + dissipator(decoherence, levels)
    along_x, along_y = _drive_generators(levels)
    moving = samples.real[..., None, None] * along_x + samples.imag[..., None, None] * along_y
    return _product(torch.linalg.matrix_exp(dt_ns * (rest[..., None, :, :] + moving)))


def _energies(
    detuning_mhz: Tensor | float, anharmonicity_mhz: Tensor | float, levels: int
) -> Tensor:
    number = torch.arange(levels, dtype=torch.float64)
    detuning = 2e-3 * math.pi * torch.as_tensor(detuning_mhz, dtype=torch.float64)[..., None]
    alpha = 2e-3 * math.pi * torch.as_tensor(anharmonicity_mhz, dtype=torch.float64)[..., None]
    return detuning * number + alpha * number * (number - 1) / 2


def _product(steps: Tensor) -> Tensor:
    """The last step times … times the first, over the axis before the matrices."""
    while (count := steps.shape[-3]) > 1:
        paired = steps[..., 1:count:2, :, :] @ steps[..., 0 : count - 1 : 2, :, :]
        steps = torch.cat([paired, steps[..., -1:, :, :]], -3) if count % 2 else paired
    return steps[..., 0, :, :]


@functools.cache
def _drive_generators(levels: int) -> tuple[Tensor, Tensor]:
    """−i[(a + a†)/2, ·] and −i[i(a† − a)/2, ·]: what the drive's real and imaginary parts do."""
    a = lowering(levels)
    return commutator_generator((a + a.mH) / 2), commutator_generator(1j * (a.mH - a) / 2)

"""Smooth ramps of a pulse: the envelope, time steps of sixth order, decoherence between them."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from calib.channels import basis, transfer_matrix_of_unitary
from calib.decoherence import energy_generator


@functools.cache
def ramp_heights(steps: int) -> Tensor:
    """The rising ramp sin²(πx/2), 0 ≤ x ≤ 1, at three Gauss points a step, [steps, 3]."""
    starts = torch.arange(steps, dtype=torch.float64)[:, None]
    gauss = 0.5 + torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64) * math.sqrt(0.15)
    return torch.sin(math.pi / 2 * (starts + gauss) / steps).square()


def magnus_steps(first: Tensor, middle: Tensor, last: Tensor) -> Tensor:
    """A step's propagator from −iH·dt at its three Gauss points, each complex [..., n, n].

    The Magnus expansion to sixth order with three commutators (Blanes, Casas, Oteo and Ros,
    arXiv:0810.5488).
    """
    slope = (last - first) * (math.sqrt(15) / 3)
    bend = (last - 2 * middle + first) * (10 / 3)
    one = _commutator(middle, slope)
    two = _commutator(middle, 2 * bend + one) / -60
    total = middle + bend / 12 + _commutator(one - 20 * middle - bend, slope + two) / 240
    return torch.linalg.matrix_exp(total)


def half_decays(
    generator: Tensor, anharmonicity_mhz: Tensor, half_ns: Tensor, levels: int
) -> tuple[Tensor, Tensor]:
    """One transmon's decoherence in both halves of a slice of time, each [..., L², L²].

    `generator` is its dissipator in `basis(levels)`. The first half is referred to the slice's
    start and the second to its end: the turning by the anharmonicity, which decoherence does not
    commute with, is done and undone. All other turning of a lone transmon does commute, so that
    Strang's splitting errs by the coupling and the drive alone.
    """
    number = torch.arange(levels, dtype=torch.float64)
    angle = (2e-3 * math.pi * anharmonicity_mhz * half_ns)[..., None] * number * (number - 1) / 2
    both = torch.linalg.matrix_exp(generator * half_ns[..., None, None] + energy_generator(angle))
    back = transfer_matrix_of_unitary(torch.diag_embed(torch.exp(1j * angle)), basis(levels))
    return back @ both, both @ back


def _commutator(a: Tensor, b: Tensor) -> Tensor:
    return a @ b - b @ a

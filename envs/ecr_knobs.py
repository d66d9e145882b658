"""The coordinates in which an ECR gate's tones are tuned, and the settings that they stand for."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from calib.cross_resonance import CrossResonanceTone

Array = NDArray[np.float64]

# The target's own tone, as a share of the control's and along it, that turns a typical target once
# round: ZX keeps its effect along that tone, and what disturbs in other directions averages out
# (rotary echo: N. Sundaresan et al., arXiv:2007.02925).
ROTARY = 0.27

# The gate's axis is where the target's field points. So that it stays there when `cancel_across`
# turns that field, both tones are turned back by this much, in rad per unit.
_TURNED_BACK = 3.5

KNOBS = ("ecr.amplitude", "ecr.axis_rad", "ecr.cancel_along", "ecr.cancel_across")
CONTROLS = ("ecr.amplitude", "ecr.phase_rad", "ecr.cancel_amplitude", "ecr.cancel_phase_rad")


def in_controls(settings: Array) -> Array:
    """Settings [B, 4] by `KNOBS` as values of `CONTROLS`, [B, 4].

    The cancellation is a share of the tone, along its phase and across it, so that a move of the
    tone's height or of the axis takes it along.

    >>> in_controls(np.array([[0.2, 0.1, 0.0, 0.0], [0.2, 0.0, 0.3, 0.0]])).round(3).tolist()
    [[0.2, 0.1, 0.0, 0.1], [0.2, 0.0, 0.06, 0.0]]
    """
    share = settings[:, 2] + 1j * settings[:, 3]
    phase_rad = settings[:, 1] - _TURNED_BACK * settings[:, 3]
    return np.stack([
        settings[:, 0], wrapped(phase_rad),
        settings[:, 0] * np.abs(share), wrapped(phase_rad + np.angle(share)),
    ], axis=1)  # fmt: skip


def tone_of(settings: Array, tone_ns: Array) -> CrossResonanceTone:
    """The tone that these settings [B, 4] play."""
    height, phase_rad, cancel, cancel_phase_rad, duration_ns = (
        torch.from_numpy(np.ascontiguousarray(one)) for one in (*in_controls(settings).T, tone_ns)
    )
    return CrossResonanceTone(height, phase_rad, cancel, cancel_phase_rad, duration_ns)


def wrapped(angle_rad: Array) -> Array:
    """The same angle in [−π, π)."""
    return (angle_rad + math.pi) % (2 * math.pi) - math.pi

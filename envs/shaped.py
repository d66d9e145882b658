"""A pulse's envelope as a waveform generator holds it: corrections of every piece of it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from envs.game import Array

_LEAST = 8
_PULSES = ("sx", "x")
_QUADRATURES = ("i", "q")
_TURN_RAD = 0.6  # what full moves of all pieces turn a gate by, where their signs are random


def checked_pieces(pieces: int, duration_ns: float) -> int:
    """The number of pieces; ValueError unless a pulse has as many samples, of about 1 ns."""
    most = max(1, round(duration_ns))
    if not _LEAST <= pieces <= most:
        raise ValueError(
            f"samples must be {_LEAST} to {most}, as a pulse of {duration_ns:g} ns has {most}, "
            f"got {pieces}"
        )
    return pieces


def sample_knobs(pieces: int) -> tuple[str, ...]:
    """The knobs' names: SX before X, in-phase before quadrature, in order of time.

    >>> sample_knobs(8)[::9]
    ('sx.sample_i_00', 'sx.sample_q_01', 'x.sample_i_02', 'x.sample_q_03')
    """
    digits = max(2, len(str(pieces - 1)))
    return tuple(f"{pulse}.sample_{quadrature}_{piece:0{digits}d}" for pulse in _PULSES
                 for quadrature in _QUADRATURES for piece in range(pieces))  # fmt: skip


def sample_reach(pieces: int, rabi_mhz: float, duration_ns: float) -> Array:
    """Full moves of all of them, as fractions of full scale, [4 × pieces]."""
    piece_rad = 2e-3 * math.pi * rabi_mhz * duration_ns / pieces  # at full scale
    return np.full(4 * pieces, _TURN_RAD / (math.sqrt(pieces) * piece_rad))


def within_full_scale(samples: Array, sx_amplitude: Array, x_amplitude: Array) -> Array:
    """Corrections [B, 4 × pieces] of at most what the pulses' heights [B] leave of full scale."""
    half = samples.shape[1] // 2
    room = 1 - np.abs(np.stack([sx_amplitude, x_amplitude], axis=1))
    most = np.repeat(room, half, axis=1)
    return np.clip(samples, -most, most)


def corrections(samples: Array) -> Tensor:
    """Of SX and of X as complex fractions of full scale, [2, B, pieces], from [B, 4 × pieces]."""
    table = torch.from_numpy(np.ascontiguousarray(samples)).unflatten(1, (2, 2, -1))
    return torch.complex(table[:, :, 0], table[:, :, 1]).transpose(0, 1)


def shaped(samples: Tensor, pieces: Tensor, rabi_mhz: Tensor) -> Tensor:
    """Rabi rates in rad/ns [2, B, N] with corrections [2, B, pieces], each held for its time."""
    count = samples.shape[-1]
    piece = torch.arange(count) * pieces.shape[-1] // count
    return samples + 2e-3 * math.pi * rabi_mhz[:, None] * pieces[..., piece]

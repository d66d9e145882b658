"""What a cross-resonance tone and its echo do wrong, knob by knob, and the settings without it."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calib.threads import one_thread
from envs.crossed_pairs import CrossedPairs
from envs.ecr_knobs import tone_of
from envs.ecr_maps import reversed_sign, tone_unitary

Array = NDArray[np.float64]
_ROUNDS = 15
_RIDGE = 1e-3
_STEPS = np.array([1e-4, 1e-4, 1e-4, 1e-4])  # for derivatives; the height's is relative
_MOST = np.array([0.1, 0.5, 0.05, 0.03])  # one step of Newton's method goes no further


@one_thread()
def best_knobs(pairs: CrossedPairs, tone_ns: Array, guess: Array) -> Array:
    """Where `knob_errors` are least, [B, 4] by `envs.ecr_knobs`, from a guess.

    By Newton's method with a little damping; a few pairs have no settings without all four.
    """
    values, best = guess.copy(), guess.copy()
    least = np.full(len(guess), np.inf)
    size = np.ones((len(guess), 4))
    size[:, 0] = guess[:, 0]
    for _ in range(_ROUNDS):
        here = knob_errors(pairs, tone_ns, values)
        length = np.linalg.norm(here, axis=1)
        better = length < least
        best[better], least = values[better], np.minimum(least, length)
        columns = [(knob_errors(pairs, tone_ns, values + size * step) - here) / step.sum()
                   for step in _STEPS * np.eye(4)]  # fmt: skip
        jacobian = np.stack(columns, axis=2)
        square = jacobian.swapaxes(1, 2) @ jacobian + _RIDGE * np.eye(4)
        change = np.linalg.solve(square, jacobian.swapaxes(1, 2) @ here[..., None])[..., 0]
        values = values - size * np.clip(change, -_MOST, _MOST)
        if least.max() < 1e-4:
            break
    return best


def knob_errors(pairs: CrossedPairs, tone_ns: Array, values: Array) -> Array:
    """In rad: what the echo turns the target beyond exp(−iπ/4 ZX) as ZX, ZY, ZZ and IZ, [B, 4].

    The Zs are half the differences between the turns with the control in |0⟩ and |1⟩, the I half
    their sum.
    """
    tone = tone_of(values, tone_ns)
    first = tone_unitary(pairs.crossing, tone, pairs.detuning_mhz)
    back = reversed_sign(first)
    zero, one = torch.tensor([0, 1]), torch.tensor([3, 4])
    blocks = {(name, c): unitary[:, kept[:, None], kept] for name, unitary in
              (("first", first), ("back", back)) for c, kept in ((0, zero), (1, one))}  # fmt: skip
    echo = [_turn(blocks["back", 1 - c] @ blocks["first", c]) for c in (0, 1)]
    conditional = (echo[0] - echo[1]) / 2
    plain = (echo[0] + echo[1]) / 2
    found = torch.stack([conditional[:, 0] - math.pi / 2, conditional[:, 1], conditional[:, 2],
                         plain[:, 2]], dim=1)  # fmt: skip
    return found.numpy()


def _turn(unitary: Tensor) -> Tensor:
    """The rotation vectors [B, 3] of 2×2 matrices that are unitary but for a phase and leakage."""
    scaled = unitary / torch.linalg.det(unitary).sqrt()[:, None, None]
    cosine = (scaled[:, 0, 0] + scaled[:, 1, 1]).real / 2
    scaled = scaled * torch.where(cosine < 0, -1.0, 1.0)[:, None, None]
    sine = torch.stack([-(scaled[:, 1, 0] + scaled[:, 0, 1]).imag,
                        (scaled[:, 1, 0] - scaled[:, 0, 1]).real,
                        (scaled[:, 1, 1] - scaled[:, 0, 0]).imag], dim=1) / 2  # fmt: skip
    length = sine.norm(dim=1)
    angle = 2 * torch.atan2(length, cosine.abs())
    return sine * (angle / length.clamp(min=1e-12))[:, None]

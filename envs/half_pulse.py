"""The coupler pulse that exchanges |11⟩ and |20⟩, from the settings of a CZ: half of its cycle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calib.pair import CoupledPair, CouplerPulse, coupler_unitary

Array = NDArray[np.float64]
Number = TypeVar("Number", float, Tensor)

_STEPS = np.array([[1e-5], [1e-3]])  # of amplitude and duration_ns, for derivatives
_MOST = np.array([[0.01], [1.0]])  # one step of Newton's method goes no further
_ROUNDS = 25


@dataclass(frozen=True)
class HalfPulse:
    """Its amplitude and length as quadratic forms in those of the CZ, a and d: the coefficients of
    1, a, d, a², a·d and d².

    They are what a maker of experiments finds once by simulation of pairs like those to be
    calibrated. An error of the CZ's length makes half that error here, which adds to its own.
    """

    amplitude: tuple[float, ...]
    duration_ns: tuple[float, ...]

    def amplitude_of(self, amplitude: Number, duration_ns: Number) -> Number:
        """The half pulse's amplitude."""
        return _sum(self.amplitude, amplitude, duration_ns)

    def duration_of(self, amplitude: Number, duration_ns: Number) -> Number:
        """The half pulse's length in ns."""
        return _sum(self.duration_ns, amplitude, duration_ns)


def _sum(coefficients: tuple[float, ...], amplitude: Number, duration_ns: Number) -> Number:
    constant, *slopes = coefficients
    a, d, aa, ad, dd = slopes
    straight = constant + a * amplitude + d * duration_ns
    bent = (aa * amplitude + ad * duration_ns) * amplitude + dd * duration_ns * duration_ns
    return straight + bent


def best_settings(pair: CoupledPair) -> Array:
    """Amplitude and duration_ns of a CZ without leakage or wrong conditional phase, [2, B]."""
    guess = np.stack([_textbook_amplitude(pair), _cycle_ns(pair) + _EXTRA_NS])

    def errors(values: Array) -> Array:
        unitary = _without_frame(pair, values)
        block, single = _exchanging(unitary), _overlap(unitary)
        conditional = torch.angle(-block[:, 0, 0] * single)
        return np.stack([conditional.numpy(), _symmetric(block)[:, 1, 0].imag.numpy()])

    return _newton(errors, guess)


def fitted_half_pulse(pair: CoupledPair) -> tuple[HalfPulse, Array]:
    """The quadratic forms that suit these pairs best, and the settings of their CZs, [2, B]."""
    best = best_settings(pair)

    def errors(values: Array) -> Array:
        stays = _symmetric(_exchanging(_without_frame(pair, values)))[:, 0, 0]
        return np.stack([stays.real.numpy(), stays.imag.numpy()])

    halves = _newton(errors, np.stack([best[0], best[1] - _cycle_ns(pair) / 2]))
    a, d = best
    table = np.stack([np.ones(best.shape[1]), *best, a * a, a * d, d * d], axis=1)
    forms = np.linalg.lstsq(table, halves.T, rcond=None)[0]
    amplitude, duration_ns = (tuple(map(float, form)) for form in forms.T)
    return HalfPulse(amplitude, duration_ns), best


_EXTRA_NS = 9.8  # of a CZ beyond a full cycle of |11⟩ and |20⟩, for ramps of 8 ns


def _textbook_amplitude(pair: CoupledPair) -> Array:
    apart_mhz = 1e3 * (_numpy(pair.frequency_a_ghz) - _numpy(pair.frequency_b_ghz))
    return np.sqrt((apart_mhz + _numpy(pair.anharmonicity_a_mhz)) / _numpy(pair.flux_mhz))


def _cycle_ns(pair: CoupledPair) -> Array:
    return 1e3 / (2 * math.sqrt(2) * _numpy(pair.coupling_mhz))


def _numpy(value: Tensor | float) -> Array:
    return torch.as_tensor(value, dtype=torch.float64).numpy()


def _without_frame(pair: CoupledPair, values: Array) -> Tensor:
    """The unitary [B, L², L²] where both transmons rotate with b's true frequency."""
    amplitude, duration_ns = torch.from_numpy(values)
    apart = torch.as_tensor(pair.frequency_a_ghz) - torch.as_tensor(pair.frequency_b_ghz)
    return coupler_unitary(
        pair, CouplerPulse(amplitude, duration_ns), detuning_mhz=(1e3 * apart, 0.0)
    )


def _exchanging(unitary: Tensor) -> Tensor:
    """Its block on |11⟩ and |20⟩, [B, 2, 2]."""
    kept = torch.tensor([4, 6])
    return unitary[:, kept[:, None], kept]


def _overlap(unitary: Tensor) -> Tensor:
    """The phase that |11⟩ would have without an exchange with |20⟩, taken back, [B]."""
    return (unitary[:, 3, 3] * unitary[:, 1, 1] * unitary[:, 0, 0].conj()).conj()


def _symmetric(block: Tensor) -> Tensor:
    """The block divided by a phase: [[a, ib], [ib, a*]] with b real, as H is real at all times.

    Its sign is such that the larger of Re a and b is positive.
    """
    scaled = block / torch.linalg.det(block).sqrt()[:, None, None]
    stays, moves = scaled[:, 0, 0].real, scaled[:, 1, 0].imag
    sign = torch.where(stays.abs() > moves.abs(), stays.sign(), moves.sign())
    return scaled * sign[:, None, None]


def _newton(errors: Callable[[Array], Array], values: Array) -> Array:
    """Where both errors [2, B] are zero."""
    for _ in range(_ROUNDS):
        here = errors(values)
        columns = [(errors(values + step) - here) / step.sum()
                   for step in (_STEPS * np.eye(2)[:, [k]] for k in range(2))]  # fmt: skip
        jacobian = np.stack(columns, axis=1).T  # [B, knob, error]
        change = np.linalg.solve(jacobian.swapaxes(1, 2), here.T[..., None])[..., 0].T
        values = values - np.clip(change, -_MOST, _MOST)
        if np.abs(change).max() < 1e-7:
            return values
    raise ValueError(
        "no CZ without leakage was found for pairs like these: expected couplings of about 10 MHz "
        "and ramps much shorter than the pulse"
    )

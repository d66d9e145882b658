"""IQ points of many qubits' readouts at once, and what a lab computes from two clouds of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.readout import (
    ReadoutPulse,
    Resonator,
    mean_points,
    noise_deviation,
    transition_rates_per_ns,
)

Array = NDArray[np.float64]
Points = NDArray[np.complex128]
Levels = NDArray[np.int64]
_LEVELS = 3


def sample_points(
    levels: Levels, resonator: Resonator, pulse: ReadoutPulse, t1_us: Array,
    rng: np.random.Generator,
) -> Points:  # fmt: skip
    """One point for each shot of B qubits that begin in these levels, [B, ...].

    The physics of `calib.readout.sample_iq`, but each qubit with a setting of its own: `pulse`,
    `t1_us` and what varies of `resonator` are [B].
    """
    rates = transition_rates_per_ns(resonator, pulse, t1_us, levels=_LEVELS)
    leaving = rates.sum(-1)
    qubit = np.broadcast_to(_column(np.arange(len(levels)), levels.ndim), levels.shape)
    points = mean_points(resonator, pulse, levels=_LEVELS)[qubit, levels]
    wait_ns = _waits_ns(leaving[qubit, levels], rng)
    duration_ns = np.asarray(pulse.duration_ns, dtype=np.float64)
    jumped = wait_ns < _column(duration_ns, levels.ndim)
    motion = _Motion.of(resonator, pulse)
    points[jumped] = motion.after_jumps(qubit[jumped], levels[jumped], wait_ns[jumped], rates, rng)
    noise = rng.standard_normal((*levels.shape, 2)).view(np.complex128)[..., 0]
    return points + noise * _column(noise_deviation(resonator, pulse), levels.ndim)


@dataclass(frozen=True)
class _Motion:
    """The fields' motion α' = −λ (α − s) by level, as `calib.readout` has it: [B, L] or [B]."""

    rate: Points
    steady: Points
    duration_ns: Array
    turn: Points

    @classmethod
    def of(cls, resonator: Resonator, pulse: ReadoutPulse) -> _Motion:
        centre, kappa, phase, amplitude, tone, duration_ns = (
            np.asarray(value, dtype=np.float64).reshape(-1, 1)
            for value in (resonator.frequency_ghz, resonator.kappa_mhz, resonator.cable_phase_rad,
                          pulse.amplitude, pulse.frequency_ghz, pulse.duration_ns)
        )  # fmt: skip
        offset_mhz = 1e3 * (centre - tone) + resonator.shifts_mhz(_LEVELS)
        half = 1e-3 * math.pi * kappa
        rate = half + 2e-3j * math.pi * offset_mhz
        steady = amplitude * half / rate
        return cls(rate, steady, duration_ns[:, 0], np.exp(1j * phase[:, 0]))

    def after_jumps(
        self, qubit: Levels, level: Levels, wait_ns: Array, rates: Array, rng: np.random.Generator
    ) -> Points:
        """The points [n] of shots whose qubits leave their level after this time, without noise."""
        leaving = rates.sum(-1)
        now, left_ns = level.copy(), self.duration_ns[qubit]
        integral = np.zeros(len(qubit), dtype=np.complex128)
        field, active = integral.copy(), np.arange(len(qubit))
        while len(active):
            where = (qubit[active], now[active])
            passed_ns = np.minimum(wait_ns, left_ns[active])
            rate, steady = self.rate[where], self.steady[where]
            off, decayed = field - steady, 1 - np.exp(-rate * passed_ns)
            integral[active] += steady * passed_ns + off * decayed / rate
            left_ns[active] -= passed_ns
            goes_on = left_ns[active] > 0
            active, field = active[goes_on], (field - off * decayed)[goes_on]
            here, at = qubit[active], now[active]
            falls = rng.random(len(active)) * leaving[here, at] < rates[here, at, at - 1] * (at > 0)
            now[active] = np.where(falls, at - 1, at + 1)
            wait_ns = _waits_ns(leaving[here, now[active]], rng)
        return integral / self.duration_ns[qubit] * self.turn[qubit]


def _column(values: NDArray, axes: int) -> NDArray:
    return values.reshape(-1, *[1] * (axes - 1))


def _waits_ns(rates_per_ns: Array, rng: np.random.Generator) -> Array:
    with np.errstate(divide="ignore"):
        return rng.standard_exponential(rates_per_ns.shape) / rates_per_ns


@dataclass(frozen=True)
class Clouds:
    """What B pairs of clouds show; states in the order |0⟩, |1⟩.

    `ones` are the outcomes 1 of all shots [B, 2]: of each half by the line that is fitted to the
    other half, so that no point is judged by a line that it drew. The rest is of all shots, seen
    along the direction from the one mean to the other: the means along it [B, 2], both means across
    it [B], and the standard deviations along and across [B, 2].
    """

    ones: Levels
    along: Array
    across: Array
    spread_along: Array
    spread_across: Array

    @classmethod
    def of(cls, points: Points) -> Clouds:
        """From points [B, 2, shots], an even number of shots and at least four."""
        halves = points[..., ::2], points[..., 1::2]
        ones = sum(_says_one(seen, *_line(fitted)).sum(-1)
                   for fitted, seen in (halves, halves[::-1]))  # fmt: skip
        turned = _turned(points, _direction(points))
        means = turned.mean(-1)
        return cls(np.asarray(ones), means.real, means.imag.mean(-1), turned.real.std(-1),
                   turned.imag.std(-1))  # fmt: skip

    def error(self, shots: int) -> Array:
        """The share of wrong outcomes, averaged over both states, [B]."""
        share = self.ones / shots
        return (share[:, 0] + 1 - share[:, 1]) / 2


def _direction(points: Points) -> Points:
    """The unit vector from the mean of |0⟩ to that of |1⟩, [B]."""
    step = points[:, 1].mean(-1) - points[:, 0].mean(-1)
    return np.exp(1j * np.angle(step))


def _turned(points: Points, direction: Points) -> Points:
    return points * direction.conj()[:, None, None]


def _line(points: Points) -> tuple[Points, Array]:
    """As `calib.experiments.clouds.separating_line`: across the means, midway of the medians."""
    direction = _direction(points)
    return direction, np.median(_turned(points, direction).real, axis=-1).mean(-1)


def _says_one(points: Points, direction: Points, threshold: Array) -> NDArray[np.bool_]:
    return _turned(points, direction).real > threshold[:, None, None]

"""Stochastic processes in time: exact steps of any length, exact paths between two states."""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Array: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = tuple[int, ...]

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]

_FROZEN = ConfigDict(frozen=True, extra="forbid")
_HOUR_S = 3600.0
_COMPONENTS_PER_DECADE = 2


class OrnsteinUhlenbeck(BaseModel):
    """Noise that forgets: Gaussian, mean 0, autocovariance sigma² exp(−|t|/correlation_time_s).

    Every process has the same four pure methods. A state is an array of the process's shape (1/f
    noise has one more axis at the end), `initial` draws it from the stationary distribution where
    there is one, `advance` carries it on by a step of any length without discretisation error,
    `between` fills in the path between two states, and `value` reads it.

    >>> noise = OrnsteinUhlenbeck(sigma=2.0, correlation_time_s=600.0)
    >>> rng = np.random.default_rng(1)
    >>> state = noise.advance(noise.initial((20, 5), rng), 60.0, rng)
    >>> noise.value(state, 60.0).shape
    (20, 5)
    """

    model_config = _FROZEN

    kind: Literal["ornstein-uhlenbeck"] = Field(
        default="ornstein-uhlenbeck", description="selects Gaussian noise with one memory time"
    )
    sigma: Positive = Field(default=1.0, description="stationary standard deviation")
    correlation_time_s: Positive = Field(description="time after which 1/e of a deviation is left")

    def initial(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Draw a state of this shape from the stationary distribution, in units of sigma."""
        return rng.standard_normal(shape)

    def advance(self, state: Array, dt_s: float, rng: np.random.Generator) -> Array:
        """Draw the state dt_s later: x → a x + √(1 − a²) ξ with a = exp(−dt/τ), exactly."""
        return _relaxed(state, np.asarray(dt_s / self.correlation_time_s), rng)

    def between(
        self, start: Array, end: Array, dt_s: float, steps: int, rng: np.random.Generator
    ) -> Array:
        """Draw the path from `start` to `end`, which lie `steps` · dt_s apart: [steps, *shape].

        The path holds the states at 0, dt_s, ..., (steps − 1) dt_s.
        """
        return _relaxed_between(start, end, dt_s / self.correlation_time_s, steps, rng)

    def value(self, state: Array, time_s: float | Array) -> Array:
        """Read the deviation off a state, or off a path of states."""
        return self.sigma * state


class OneOverF(BaseModel):
    """1/f noise between two frequencies: flat below f_min_hz, falling as 1/f² above f_max_hz.

    The sum of two Ornstein–Uhlenbeck processes a decade, with equal variances and with corner
    frequencies 1/(2πτ) spread evenly in log f. Its one-sided spectrum in the middle of the band
    is sigma²/ln(f_max/f_min)/f: within 0.1 % far from the edges, −7 % one decade inside an edge,
    half at the edge. Each decade contributes sigma²/log10(f_max/f_min) to the variance.
    """

    model_config = _FROZEN

    kind: Literal["one-over-f"] = Field(
        default="one-over-f", description="selects Gaussian noise with a 1/f spectrum"
    )
    sigma: Positive = Field(default=1.0, description="standard deviation of the whole band")
    f_min_hz: Positive = Field(default=1e-6, description="where the spectrum turns flat")
    f_max_hz: Positive = Field(default=1e-1, description="where it starts to fall as 1/f²")

    @model_validator(mode="after")
    def _check_band(self) -> OneOverF:
        if not self.f_min_hz < self.f_max_hz:
            raise ValueError(
                f"f_min_hz must be below f_max_hz = {self.f_max_hz:g}, got {self.f_min_hz:g}"
            )
        return self

    def correlation_times_s(self) -> Array:
        """Memory times of the components, longest first, [K]."""
        decades = math.log10(self.f_max_hz / self.f_min_hz)
        count = max(1, math.ceil(_COMPONENTS_PER_DECADE * decades))
        corners_hz = self.f_min_hz * 10 ** (decades * (np.arange(count) + 0.5) / count)
        return 1 / (2 * math.pi * corners_hz)

    def initial(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Draw a state [*shape, K] from the stationary distribution, of unit variances."""
        return rng.standard_normal((*shape, len(self.correlation_times_s())))

    def advance(self, state: Array, dt_s: float, rng: np.random.Generator) -> Array:
        """Draw the state dt_s later, exactly."""
        return _relaxed(state, dt_s / self.correlation_times_s(), rng)

    def between(
        self, start: Array, end: Array, dt_s: float, steps: int, rng: np.random.Generator
    ) -> Array:
        """Draw the path between two states `steps` · dt_s apart, [steps, *shape, K]."""
        elapsed = dt_s / self.correlation_times_s()
        paths = [
            _relaxed_between(start[..., k], end[..., k], float(one), steps, rng)
            for k, one in enumerate(elapsed)
        ]
        return np.stack(paths, axis=-1)

    def value(self, state: Array, time_s: float | Array) -> Array:
        """Read the deviation off a state, or off a path of states."""
        return self.sigma / math.sqrt(state.shape[-1]) * state.sum(-1)


class Telegraph(BaseModel):
    """Jumps between 0 and `amount` after exponentially distributed dwell times.

    So a two-level system that moves in and out of resonance acts on a qubit (arXiv:1809.01043,
    arXiv:1901.05352). The share of time spent up is up/(up + down).
    """

    model_config = _FROZEN

    kind: Literal["telegraph"] = Field(
        default="telegraph", description="selects jumps between two values"
    )
    up_per_hour: Positive = Field(description="rate of jumps from 0 to `amount`")
    down_per_hour: Positive = Field(description="rate of jumps from `amount` back to 0")
    amount: Number = Field(default=1.0, description="deviation while up")

    @property
    def occupancy(self) -> float:
        """The share of time spent up."""
        return self.up_per_hour / (self.up_per_hour + self.down_per_hour)

    # A jump process of two levels is the same as: at rate up + down, toss anew with P(up) =
    # occupancy. The state then is the outcome of the last toss, which makes exact steps of any
    # length one toss, and whole paths a matter of finding the last toss before each moment.

    def initial(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Draw a state of this shape, 1 where up and 0 where down."""
        return self._tossed(shape, rng)

    def advance(self, state: Array, dt_s: float, rng: np.random.Generator) -> Array:
        """Draw the state dt_s later, exactly."""
        tossed = rng.random(state.shape) < -math.expm1(-self._tosses_in(dt_s))
        return np.where(tossed, self._tossed(state.shape, rng), state)

    def between(
        self, start: Array, end: Array, dt_s: float, steps: int, rng: np.random.Generator
    ) -> Array:
        """Draw the path between two states `steps` · dt_s apart, [steps, *shape]."""
        last = self._last_toss(start, end, dt_s, steps, rng)
        step = np.arange(1, steps + 1).reshape(-1, *[1] * start.ndim)
        shape = (steps, *start.shape)
        tosses = (rng.random(shape) < -math.expm1(-self._tosses_in(dt_s))) & (step < last)
        outcomes = np.concatenate([start[None], self._tossed(shape, rng)])
        latest = np.maximum.accumulate(np.where(tosses, step, 0), axis=0)
        path = np.take_along_axis(outcomes, latest, axis=0)
        path = np.where(step < last, path, np.where(last > 0, end, start))
        return np.concatenate([start[None], path[:-1]])

    def value(self, state: Array, time_s: float | Array) -> Array:
        """Read the deviation off a state, or off a path of states."""
        return self.amount * state

    def _tossed(self, shape: Shape, rng: np.random.Generator) -> Array:
        return (rng.random(shape) < self.occupancy).astype(float)

    def _tosses_in(self, dt_s: float) -> float:
        return (self.up_per_hour + self.down_per_hour) / _HOUR_S * dt_s

    def _last_toss(
        self, start: Array, end: Array, dt_s: float, steps: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """The step (1 to `steps`) in which the last toss fell, given both ends; 0 for none."""
        untouched = math.exp(-self._tosses_in(dt_s * steps))
        outcome = np.where(end > 0, self.occupancy, 1 - self.occupancy)
        none = untouched / (untouched + (1 - untouched) * outcome)
        quiet = (start == end) & (rng.random(start.shape) < none)
        # Counted backwards from the end, the step of the last toss is geometric, cut at `steps`.
        depth = -np.log1p(-rng.random(start.shape) * (1 - untouched)) / self._tosses_in(dt_s)
        back = np.minimum(depth.astype(np.int64), steps - 1)
        return np.where(quiet, 0, steps - back)


class _Deterministic(BaseModel):
    """A process that knows only the time: its state stays, and keeps the shape."""

    model_config = _FROZEN

    def initial(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Return zeros of this shape; nothing is drawn."""
        return np.zeros(shape)

    def advance(self, state: Array, dt_s: float, rng: np.random.Generator) -> Array:
        """Return the state as it is."""
        return state

    def between(
        self, start: Array, end: Array, dt_s: float, steps: int, rng: np.random.Generator
    ) -> Array:
        """Return the state so many times, [steps, *shape]; not to be written to."""
        return np.broadcast_to(start, (steps, *start.shape))


class Step(_Deterministic):
    """One change at a given time: 0 before, `amount` from then on."""

    kind: Literal["step"] = Field(default="step", description="selects a single change")
    time_s: Number = Field(description="time of the change")
    amount: Number = Field(default=1.0, description="deviation from then on")

    def value(self, state: Array, time_s: float | Array) -> Array:
        """Return the deviation at this time, in the state's shape."""
        return state + np.where(np.asarray(time_s) >= self.time_s, self.amount, 0.0)


class Ramp(_Deterministic):
    """A steady change, 0 at time 0.

    >>> ramp = Ramp(per_hour=2.0)
    >>> ramp.value(np.zeros(2), 1800.0).tolist()
    [1.0, 1.0]
    """

    kind: Literal["ramp"] = Field(default="ramp", description="selects a steady change")
    per_hour: Number = Field(default=1.0, description="change in an hour")

    def value(self, state: Array, time_s: float | Array) -> Array:
        """Return the deviation at this time, in the state's shape."""
        return state + self.per_hour / _HOUR_S * np.asarray(time_s)


class Sinusoid(_Deterministic):
    """A periodic change, such as the laboratory's temperature over a day."""

    kind: Literal["sinusoid"] = Field(default="sinusoid", description="selects a periodic change")
    amplitude: Number = Field(default=1.0, description="largest deviation")
    period_s: Positive = Field(description="time of one period")
    phase_rad: Number = Field(default=0.0, description="phase at time 0, of a sine")
    random_phase: bool = Field(
        default=False, description="whether each parameter's phase is drawn, from all of them"
    )

    def initial(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Return what is added to the phase: nothing, or drawn from 0 to 2π."""
        return rng.uniform(0.0, 2 * math.pi, shape) if self.random_phase else np.zeros(shape)

    def value(self, state: Array, time_s: float | Array) -> Array:
        """Return the deviation at this time, in the state's shape."""
        turns = 2 * math.pi * np.asarray(time_s) / self.period_s
        return self.amplitude * np.sin(turns + self.phase_rad + state)


Process = Annotated[
    OrnsteinUhlenbeck | OneOverF | Telegraph | Step | Ramp | Sinusoid,
    Field(discriminator="kind"),
]
"""Any process, for a field of a pydantic model: `kind` tells which."""


def _relaxed(state: Array, elapsed: Array, rng: np.random.Generator) -> Array:
    """A stationary process of unit variance, `elapsed` correlation times later."""
    fresh = np.sqrt(-np.expm1(-2 * elapsed)) * rng.standard_normal(state.shape)
    return np.exp(-elapsed) * state + fresh


def _relaxed_between(
    start: Array, end: Array, elapsed: float, steps: int, rng: np.random.Generator
) -> Array:
    """A path of the same process with both ends given, a step being `elapsed` long.

    A free path from `start` misses `end` by some Δ; adding the share Cov(x_k, x_n)/Var(x_n) of Δ
    to its k-th state gives the conditional distribution, because all is Gaussian.
    """
    from scipy.signal import lfilter

    noise = math.sqrt(-math.expm1(-2 * elapsed)) * rng.standard_normal((steps, *start.shape))
    decay = math.exp(-elapsed)
    free, _ = lfilter([1.0], [1.0, -decay], noise, axis=0, zi=decay * start[None])
    step = np.arange(1, steps).reshape(-1, *[1] * start.ndim)
    share = np.exp(-(steps - step) * elapsed) * np.expm1(-2 * step * elapsed)
    share /= math.expm1(-2 * steps * elapsed)
    return np.concatenate([start[None], free[:-1] + share * (end - free[-1])])

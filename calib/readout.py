"""Dispersive readout of a transmon: IQ points of each level, noise, decay, assignment errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]
Points: TypeAlias = NDArray[np.complex128]
Levels: TypeAlias = NDArray[np.int64]

_FIRST_JUMP_NODES = 16
_SECOND_JUMP_NODES = 6


@dataclass(frozen=True)
class Resonator:
    """A readout resonator and its line. Fields are numbers, or arrays that broadcast [...].

    Level 0 shifts the resonator by −χ, level 1 by +χ, each further one by `higher_shift` · χ more
    than the one below: 2 for a qubit far from the resonator, less where it is near (see
    `dispersive_shifts_mhz`). For a qubit below its resonator χ is negative.

    `photons` is what unit amplitude makes on resonance, and `critical_photons` where dispersive
    theory ends, (Δ/2g)². `induced_per_us` is the rate of 0 → 1 there.
    `efficiency` η sets the noise: two points a distance D apart in √photons are told apart after
    a time T with SNR² = D²/(2σ²) = 2ηκT D² (A. Blais et al., arXiv:2005.12667, section V).
    """

    frequency_ghz: ArrayLike = 7.0
    chi_mhz: ArrayLike = -1.0
    kappa_mhz: ArrayLike = 2.0
    photons: ArrayLike = 40.0
    critical_photons: ArrayLike = 40.0
    induced_per_us: ArrayLike = 2.0
    efficiency: ArrayLike = 0.05
    cable_phase_rad: ArrayLike = 0.0
    higher_shift: ArrayLike = 1.3

    def shifts_mhz(self, levels: int = 3) -> Array:
        """Return the resonator's shift for each level, [..., L]."""
        chi, higher = _arrays(self.chi_mhz, self.higher_shift)
        upper = [chi * (1 + higher * (level - 1)) for level in range(1, levels)]
        return np.stack(np.broadcast_arrays(-chi, *upper), axis=-1)


@dataclass(frozen=True)
class ReadoutPulse:
    """A square readout tone, integrated as long as it lasts. Numbers, or arrays that broadcast.

    `amplitude` is a fraction of the generator's full scale, in [−1, 1].
    """

    amplitude: ArrayLike
    frequency_ghz: ArrayLike
    duration_ns: ArrayLike

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.duration_ns) > 0):
            raise ValueError(f"duration_ns of a readout must be above 0, got {self.duration_ns}")


@dataclass(frozen=True)
class Discriminator:
    """A line in the IQ plane: the outcome is 1 where Re(iq · exp(−i angle_rad)) > threshold."""

    angle_rad: ArrayLike
    threshold: ArrayLike

    def outcome(self, iq: Points | complex) -> Levels:
        """Return the outcomes 0 or 1 of IQ points of any shape that broadcasts."""
        return (self.projection(iq) > np.asarray(self.threshold)).astype(np.int64)

    def projection(self, iq: Points | complex) -> Array:
        """Return where points lie along the direction from 0 to 1."""
        return np.real(np.asarray(iq) * np.exp(-1j * np.asarray(self.angle_rad)))

    @classmethod
    def midway(cls, resonator: Resonator, pulse: ReadoutPulse) -> Discriminator:
        """Return the line midway between the points of levels 0 and 1: the best without decay."""
        points = mean_points(resonator, pulse, levels=2)
        zero, one = points[..., 0], points[..., 1]
        angle_rad = np.angle(one - zero)
        return cls(angle_rad, ((zero + one) / 2 * np.exp(-1j * angle_rad)).real)


def dispersive_shifts_mhz(
    coupling_mhz: ArrayLike, detuning_mhz: ArrayLike, anharmonicity_mhz: ArrayLike, levels: int = 3
) -> Array:
    """Shifts of the resonator by a transmon's levels, [..., L], about the mean of levels 0 and 1.

    Second order in the coupling g (J. Koch et al., arXiv:cond-mat/0703002, section III):
    s_n = g² [n/(Δ + (n − 1)α) − (n + 1)/(Δ + nα)] with Δ = f_qubit − f_resonator.

    >>> dispersive_shifts_mhz(80.0, -2000.0, -330.0).round(3).tolist()
    [0.453, -0.453, -1.022]
    """
    g, delta, alpha = _arrays(coupling_mhz, detuning_mhz, anharmonicity_mhz)
    shifts = [
        g**2 * (n / (delta + (n - 1) * alpha) - (n + 1) / (delta + n * alpha))
        for n in range(levels)
    ]
    stacked = np.stack(np.broadcast_arrays(*shifts), axis=-1)
    return stacked - stacked[..., :2].mean(-1, keepdims=True)


def mean_points(resonator: Resonator, pulse: ReadoutPulse, *, levels: int = 3) -> Points:
    """Integrated IQ points of qubits that stay in their level, [..., L].

    The unit is the steady response on resonance to unit amplitude. The resonator rings up from
    vacuum.

    >>> pulse = ReadoutPulse(amplitude=0.5, frequency_ghz=7.0, duration_ns=1e6)
    >>> mean_points(Resonator(), pulse).round(2).tolist()
    [(0.25-0.25j), (0.25+0.25j), (0.08+0.18j)]
    """
    motion = _Motion.of(resonator, pulse, levels)
    duration_ns = motion.duration_ns[..., None]
    _, integral = motion.segment(slice(None), np.zeros(()), duration_ns)
    return integral / duration_ns * motion.turn[..., None]


def noise_deviation(resonator: Resonator, pulse: ReadoutPulse) -> Array:
    """Standard deviation of each quadrature of an integrated point, in its units, [...]."""
    efficiency, kappa, photons, duration_ns = _arrays(
        resonator.efficiency, resonator.kappa_mhz, resonator.photons, pulse.duration_ns
    )
    return 1 / np.sqrt(4 * efficiency * 2e-3 * math.pi * kappa * photons * duration_ns)


def separation(resonator: Resonator, pulse: ReadoutPulse) -> Array:
    """Distance between the points of levels 0 and 1 in standard deviations of the noise, [...]."""
    points = mean_points(resonator, pulse, levels=2)
    return np.abs(points[..., 1] - points[..., 0]) / noise_deviation(resonator, pulse)


def overlap_error(resonator: Resonator, pulse: ReadoutPulse) -> Array:
    """Share of points on the wrong side midway, if nothing decayed: erfc(separation/√8)/2."""
    from scipy.special import erfc

    return erfc(separation(resonator, pulse) / math.sqrt(8)) / 2


def sample_iq(
    levels: Levels,
    resonator: Resonator,
    pulse: ReadoutPulse,
    t1_us: float,
    rng: np.random.Generator,
    *,
    transmon_levels: int = 3,
) -> tuple[Points, Levels]:
    """Read out qubits in these levels [shots]: their IQ points, and their levels afterwards.

    Resonator, pulse and t1_us are one setting. Each qubit jumps at random times with the rates of
    `transition_rates_per_ns`, and the resonator's field follows from one response to the next.
    """
    motion = _Motion.of(resonator, pulse, transmon_levels)
    rates = transition_rates_per_ns(resonator, pulse, t1_us, levels=transmon_levels)
    leaving = rates.sum(-1)
    duration_ns = float(motion.duration_ns)
    wait_ns = _waits_ns(leaving[levels], rng)
    points = mean_points(resonator, pulse, levels=transmon_levels)[levels]
    after = levels.astype(np.int64)
    jumped = np.flatnonzero(wait_ns < duration_ns)
    integral = np.zeros(len(jumped), dtype=complex)
    active, wait_ns = np.arange(len(jumped)), wait_ns[jumped]
    left_ns = np.full(len(jumped), duration_ns)
    field = np.zeros(len(jumped), dtype=complex)
    while len(active):
        now = after[jumped[active]]
        passed_ns = np.minimum(wait_ns, left_ns)
        field, area = motion.segment(now, field, passed_ns)
        integral[active] += area
        left_ns = left_ns - passed_ns
        moves = left_ns > 0
        active, left_ns, field, now = active[moves], left_ns[moves], field[moves], now[moves]
        down = rng.random(len(active)) * leaving[now] < rates[now, np.maximum(now - 1, 0)]
        after[jumped[active]] = np.where(down, now - 1, now + 1)
        wait_ns = _waits_ns(leaving[after[jumped[active]]], rng)
    points[jumped] = integral / duration_ns * motion.turn
    noise = rng.standard_normal((2, len(levels))) * noise_deviation(resonator, pulse)
    return points + noise[0] + 1j * noise[1], after


def transition_rates_per_ns(
    resonator: Resonator, pulse: ReadoutPulse, t1_us: ArrayLike, *, levels: int = 3
) -> Array:
    """Rates of jumps between levels while the tone plays, [..., from L, to L], 0 on the diagonal.

    Level n decays with n/T1. Photons excite it with (n + 1) · `induced_per_us` (n̄/n_crit)⁴, n̄
    being the number of photons that its own response holds: a stand-in for measurement-induced
    state transitions (D. Sank et al., arXiv:1606.05721), which set in steeply and limit the
    amplitude on real devices; the fourth power is a choice, not a fit.
    """
    motion = _Motion.of(resonator, pulse, levels)
    t1, photons, critical, induced = _arrays(
        t1_us, resonator.photons, resonator.critical_photons, resonator.induced_per_us
    )
    relative = (photons / critical)[..., None] * np.abs(motion.steady) ** 2
    up = 1e-3 * induced[..., None] * relative**4 * np.arange(1, levels + 1)
    down = 1e-3 / t1[..., None] * np.arange(levels)
    up, down = np.broadcast_arrays(up, down)
    rates = np.zeros((*up.shape, levels))
    low = np.arange(levels - 1)
    rates[..., low, low + 1] = up[..., :-1]
    rates[..., low + 1, low] = down[..., 1:]
    return rates


def assignment_matrix(
    resonator: Resonator,
    pulse: ReadoutPulse,
    t1_us: ArrayLike,
    discriminator: Discriminator,
    *,
    levels: int = 3,
) -> Array:
    """Probability of each outcome given the level at the start, [..., L, 2].

    By quadrature, not by sampling; see `outcome_and_level` for its accuracy.
    """
    return outcome_and_level(resonator, pulse, t1_us, discriminator, levels=levels).sum(-1)


def outcome_and_level(
    resonator: Resonator,
    pulse: ReadoutPulse,
    t1_us: ArrayLike,
    discriminator: Discriminator,
    *,
    levels: int = 3,
) -> Array:
    """Joint probability of outcome and level afterwards, given the level before, [..., L, 2, L].

    Integrates over the times of the first two jumps; a qubit that jumped twice stays where it is,
    which is wrong by the chance of three jumps, (duration · rate)³/6. The quadrature itself is
    good to 1e-5 at T1 = 180 µs and 5e-5 at 30 µs, for durations up to 3 µs.
    """
    story = _Story.of(resonator, pulse, t1_us, discriminator, levels)
    batch = story.noise.shape
    found = np.zeros((*batch, levels, 2, levels))
    for level in range(levels):
        for end, chance in story.ends(level):
            one = chance * story.outcome_one(end)
            nodes = tuple(range(one.ndim - len(batch)))
            found[..., level, 1, end.level] += one.sum(nodes)
            found[..., level, 0, end.level] += (chance - one).sum(nodes)
    return found


@dataclass(frozen=True)
class _Motion:
    """The resonator's field α in a frame turning with the tone, in units of its full response.

    α' = −λ_n (α − s_n) while the qubit is in level n: λ_n = κ/2 + 2πi (f_n − f_tone) [..., L] per
    ns, s_n = amplitude · κ/2/λ_n [..., L].
    """

    rate: Points
    steady: Points
    duration_ns: Array
    turn: Points

    @classmethod
    def of(cls, resonator: Resonator, pulse: ReadoutPulse, levels: int) -> _Motion:
        amplitude, tone_ghz, duration_ns = _arrays(
            pulse.amplitude, pulse.frequency_ghz, pulse.duration_ns
        )
        centre_ghz, kappa, phase = _arrays(
            resonator.frequency_ghz, resonator.kappa_mhz, resonator.cable_phase_rad
        )
        offset_mhz = 1e3 * (centre_ghz - tone_ghz)[..., None] + resonator.shifts_mhz(levels)
        half = 1e-3 * math.pi * kappa[..., None]
        rate = half + 2e-3j * math.pi * offset_mhz
        return cls(rate, amplitude[..., None] * half / rate, duration_ns, np.exp(1j * phase))

    def segment(
        self, level: int | slice | Levels, field: Points | Array, passed_ns: Array
    ) -> tuple[Points, Points]:
        """The field after some time in a level, and its integral over that time."""
        rate, steady = self.rate[..., level], self.steady[..., level]
        off, decayed = field - steady, 1 - np.exp(-rate * passed_ns)
        return field - off * decayed, steady * passed_ns + off * decayed / rate


@dataclass(frozen=True)
class _Moment:
    """A qubit that has just come to a level; arrays of shape [*nodes, *batch]."""

    level: int
    time_ns: Array
    field: Points
    area: Points
    chance: Array


@dataclass(frozen=True)
class _Story:
    """All that can happen during a readout; everything broadcast to one batch shape."""

    motion: _Motion
    rates: Array
    discriminator: Discriminator
    noise: Array

    @classmethod
    def of(
        cls,
        resonator: Resonator,
        pulse: ReadoutPulse,
        t1_us: ArrayLike,
        discriminator: Discriminator,
        levels: int,
    ) -> _Story:
        motion = _Motion.of(resonator, pulse, levels)
        rates = transition_rates_per_ns(resonator, pulse, t1_us, levels=levels)
        noise = noise_deviation(resonator, pulse)
        line = _arrays(discriminator.angle_rad, discriminator.threshold)
        one_of_each = (rates[..., 0, 0], noise, motion.steady[..., 0], motion.turn, *line)
        shape = np.broadcast_shapes(*(array.shape for array in one_of_each))
        motion = _Motion(
            np.broadcast_to(motion.rate, (*shape, levels)),
            np.broadcast_to(motion.steady, (*shape, levels)),
            np.broadcast_to(motion.duration_ns, shape),
            np.broadcast_to(motion.turn, shape),
        )
        rates = np.broadcast_to(rates, (*shape, levels, levels))
        return cls(motion, rates, discriminator, np.broadcast_to(noise, shape))

    def ends(self, level: int) -> Iterator[tuple[_Moment, Array]]:
        """Each way a readout can go: its last jump (or its start), and its probability."""
        zeros = np.zeros(self.noise.shape)
        start = _Moment(level, zeros, zeros.astype(complex), zeros.astype(complex), zeros + 1)
        yield start, self._stays(start)
        for once in self._jumps(start, _FIRST_JUMP_NODES):
            yield once, self._stays(once)
            for twice in self._jumps(once, _SECOND_JUMP_NODES):
                yield twice, twice.chance

    def outcome_one(self, last: _Moment) -> Array:
        """Probability of outcome 1 if nothing happens after this."""
        from scipy.special import ndtr

        duration_ns = self.motion.duration_ns
        _, area = self.motion.segment(last.level, last.field, duration_ns - last.time_ns)
        point = (last.area + area) / duration_ns * self.motion.turn
        above = self.discriminator.projection(point) - np.asarray(self.discriminator.threshold)
        return ndtr(above / self.noise)

    def _stays(self, moment: _Moment) -> Array:
        leaving = self.rates[..., moment.level, :].sum(-1)
        return moment.chance * np.exp(-leaving * (self.motion.duration_ns - moment.time_ns))

    def _jumps(self, moment: _Moment, nodes: int) -> Iterator[_Moment]:
        """The next jump, to each neighbouring level, at Gauss–Legendre times; nodes lead."""
        roots, weights = np.polynomial.legendre.leggauss(nodes)
        column = (-1, *[1] * moment.time_ns.ndim)
        left_ns = self.motion.duration_ns - moment.time_ns
        passed_ns = left_ns * (roots.reshape(column) + 1) / 2
        rates = self.rates[..., moment.level, :]
        density = moment.chance * np.exp(-rates.sum(-1) * passed_ns)
        density = density * left_ns * weights.reshape(column) / 2
        field, area = self.motion.segment(moment.level, moment.field, passed_ns)
        for level in (moment.level - 1, moment.level + 1):
            if 0 <= level < rates.shape[-1]:
                yield _Moment(
                    level,
                    moment.time_ns + passed_ns,
                    field,
                    moment.area + area,
                    density * rates[..., level],
                )


def _arrays(*values: ArrayLike) -> tuple[Array, ...]:
    return tuple(np.asarray(value, dtype=float) for value in values)


def _waits_ns(rates_per_ns: Array, rng: np.random.Generator) -> Array:
    """Exponential waiting times, infinite where nothing happens."""
    with np.errstate(divide="ignore"):
        return rng.standard_exponential(rates_per_ns.shape) / rates_per_ns

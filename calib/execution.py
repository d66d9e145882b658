"""Runs circuits on a device: schedules them, lets time pass, computes channels, draws shots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from calib import exact, trajectories, twirled
from calib.always_on import split_idles
from calib.device import Device
from calib.exact import Outcomes, Readout, Situation
from calib.play_channels import Moments, channels, static_zz_khz, thermal_populations
from calib.readout import Discriminator, ReadoutPulse, sample_iq
from calib.schedule import Measure, Play, Timeline, gate_play, timeline
from calib.topology import Pair
from calib.truth import Truth, resonator

_Simulator: TypeAlias = Callable[
    [Timeline, tuple[int, ...], Situation, Outcomes, np.random.Generator], None
]


@dataclass(frozen=True)
class Spent:
    """What experiments have cost so far."""

    jobs: int = 0
    circuits: int = 0
    shots: int = 0
    device_time_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.jobs + other.jobs,
            self.circuits + other.circuits,
            self.shots + other.shots,
            self.device_time_s + other.device_time_s,
        )

    def __sub__(self, other: Spent) -> Spent:
        return self + Spent(-other.jobs, -other.circuits, -other.shots, -other.device_time_s)


def execute(
    device: Device,
    circuits: Sequence[QuantumCircuit],
    shots: int,
    rng: np.random.Generator,
    *,
    exact_qubits: int = 5,
) -> tuple[list[Outcomes], Spent]:
    """One job: every circuit's outcomes, and what it cost; the device's clock has moved on.

    A circuit meets the physics of the moment at which its first shot begins.
    """
    timing = device.config.timing
    plans = [timeline(circuit, device.controls, device.pairs, timing) for circuit in circuits]
    begin_s, times_s = device.time_s, []
    device.advance(timing.job_overhead_s)
    for plan in plans:
        device.advance(timing.circuit_overhead_s)
        times_s.append(device.time_s)
        device.advance(shots * (plan.duration_ns * 1e-9 + timing.repetition_delay_us * 1e-6))
    spent = Spent(1, len(plans), shots * len(plans), device.time_s - begin_s)
    return _Job(device, plans, times_s, exact_qubits).outcomes(shots, rng), spent


class _Job:
    """The circuits of a job, with the channels of all that they play at their moments."""

    def __init__(
        self, device: Device, plans: Sequence[Timeline], times_s: Sequence[float], exact_qubits: int
    ) -> None:
        self.device, self.exact_qubits = device, exact_qubits
        first_of_tick: dict[int, float] = {}
        for time in times_s:
            first_of_tick.setdefault(device.tick(time), time)
        numbers = {tick: number for number, tick in enumerate(first_of_tick)}
        self.moment_of = [numbers[device.tick(time)] for time in times_s]
        self.moments = device.moments(list(first_of_tick.values()))
        self.zz = [_zz_rad_per_ns(device, self.moments, k) for k in range(len(numbers))]
        self.groups = [exact.components(plan, device.pairs, exact_qubits) for plan in plans]
        self.plans = [
            # Twirled, the phases of a wait must stay in one piece.
            plan if max(map(len, groups), default=0) > exact_qubits
            else split_idles(plan, self.zz[moment])
            for plan, groups, moment in zip(plans, self.groups, self.moment_of, strict=True)
        ]  # fmt: skip
        self.channels = channels(
            [
                (moment, event.action)
                for moment, plan in zip(self.moment_of, self.plans, strict=True)
                for event in plan.events
                if isinstance(event.action, Play)
            ],
            self.moments,
        )

    def outcomes(self, shots: int, rng: np.random.Generator) -> list[Outcomes]:
        return [self._circuit(k, shots, rng) for k in range(len(self.plans))]

    def _circuit(self, k: int, shots: int, rng: np.random.Generator) -> Outcomes:
        plan, moment = self.plans[k], self.moment_of[k]
        outcomes = Outcomes.empty(shots, plan.clbits)
        played = {event.action for event in plan.events if isinstance(event.action, Play)}
        found = {play: self.channels[moment, play] for play in played}
        situation = _situation(self.device, self.moments.truths[moment], self.zz[moment], found)
        for group in self.groups[k]:
            self._simulator(plan, group)(plan, group, situation, outcomes, rng)
        return outcomes

    def _simulator(self, plan: Timeline, group: tuple[int, ...]) -> _Simulator:
        if len(group) > self.exact_qubits:
            return twirled.run
        at_the_end = exact.reads_at_the_end(exact.events_of(plan, group))
        return exact.run if at_the_end else trajectories.run


def _situation(
    device: Device,
    truth: Truth,
    zz: Mapping[Pair, float],
    played: dict[Play, NDArray[np.float64]],
) -> Situation:
    gates = {
        gate_play(knob.name.split(".")[0], knob.qubits, device.controls): knob.name.split(".")[0]
        for knob in device.controls
        if knob.name in ("sx.amplitude", "x.amplitude", "cz.amplitude", "ecr.amplitude")
    }
    return Situation(thermal_populations(truth), zz, played, _readout(device, truth), gates)


def _zz_rad_per_ns(device: Device, moments: Moments, moment: int) -> dict[Pair, float]:
    is_fixed = device.config.entangler == "ecr"  # the coupling cannot be turned off
    truth = moments.truths[moment]
    zz_khz = static_zz_khz(moments, moment) if is_fixed else truth.pair["zz_khz"]
    return dict(zip(device.pairs, (zz_khz * 2e-6 * np.pi).tolist(), strict=True))


def _readout(device: Device, truth: Truth) -> Readout:
    """How this device reads a qubit out now, with the discriminators in force."""

    def read(
        measure: Measure, levels: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.complex128], NDArray[np.bool_], NDArray[np.int64]]:
        qubit = measure.qubits[0]
        pulse = ReadoutPulse(measure.amplitude, measure.frequency_ghz, measure.duration_ns)
        t1_us = float(truth.qubit["t1_us"][qubit])
        iq, after = sample_iq(levels, resonator(truth, qubit), pulse, t1_us, rng)
        return iq, discriminator(device, qubit).outcome(iq).astype(np.bool_), after

    return read


def discriminator(device: Device, qubit: int) -> Discriminator:
    """How outcomes of a qubit are told apart at the settings in force."""
    return Discriminator(
        device.controls.of("readout.angle_rad", qubit),
        device.controls.of("readout.threshold", qubit),
    )

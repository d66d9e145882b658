"""Runs circuits on a device: schedules them, lets time pass, computes channels, draws shots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from calib import exact, trajectories, twirled
from calib.always_on import idle_on, reads_at_the_end, split_idles
from calib.device import Device
from calib.exact import Outcomes, Readout, Situation
from calib.play_channels import Moments, channels, static_zz_khz, thermal_populations
from calib.readout import Discriminator, ReadoutPulse, sample_iq
from calib.schedule import Event, Measure, Play, Timeline, gate_play, timeline, unfold_echoes
from calib.threads import one_thread
from calib.topology import Pair
from calib.truth import Truth, resonator

_Simulator: TypeAlias = Callable[
    [Sequence[Event], tuple[int, ...], Situation, Outcomes, np.random.Generator], None
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


@one_thread()
def execute(
    device: Device,
    circuits: Sequence[QuantumCircuit],
    shots: int,
    rng: np.random.Generator,
    *,
    exact_qubits: int = 5,
    repetition_delay_s: float | None = None,
) -> tuple[list[Outcomes], Spent]:
    """One job: every circuit's outcomes, and what it cost; the device's clock has moved on.

    A circuit meets the physics of the moment at which its first shot begins. After each shot the
    device waits `repetition_delay_s`, by default what its config says. A job that is refused
    takes no time.
    """
    exact.check_exact_qubits(exact_qubits)
    timing = device.config.timing
    if repetition_delay_s is None:
        repetition_delay_s = timing.repetition_delay_us * 1e-6
    plans = [timeline(circuit, device.controls, device.pairs, timing) for circuit in circuits]
    time_s, times_s = device.time_s + timing.job_overhead_s, []
    for plan in plans:
        time_s += timing.circuit_overhead_s
        times_s.append(time_s)
        time_s += shots * (plan.duration_ns * 1e-9 + repetition_delay_s)
    outcomes = _Job(device, plans, times_s, exact_qubits).outcomes(shots, rng)
    spent = Spent(1, len(plans), shots * len(plans), time_s - device.time_s)
    device.advance(spent.device_time_s)
    return outcomes, spent


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
        self.plans = plans
        self.groups = [exact.components(plan, device.pairs, exact_qubits) for plan in plans]
        self.events = [  # of each circuit's sets of qubits
            [self._prepared(*part, self.zz[moment])
             for part in zip(groups, exact.split(plan, groups), strict=True)]
            for plan, groups, moment in zip(plans, self.groups, self.moment_of, strict=True)
        ]  # fmt: skip
        played = [{event.action: None for part in parts for event in part} for parts in self.events]
        self.plays = [[one for one in each if isinstance(one, Play)] for each in played]
        self.channels = channels(
            [(moment, play) for moment, plays in zip(self.moment_of, self.plays, strict=True)
             for play in plays],
            self.moments,
        )  # fmt: skip
        self.gates = _calibrated_gates(device)

    def outcomes(self, shots: int, rng: np.random.Generator) -> list[Outcomes]:
        return [self._circuit(k, shots, rng) for k in range(len(self.plans))]

    def _prepared(
        self, group: tuple[int, ...], events: list[Event], zz: dict[Pair, float]
    ) -> list[Event]:
        """A set's events as they are simulated."""
        if len(group) > self.exact_qubits:
            return events  # twirled, the phases of a wait must stay in one piece
        zz = _within(zz, group)
        return split_idles(idle_on(unfold_echoes(events), zz), zz)

    def _circuit(self, k: int, shots: int, rng: np.random.Generator) -> Outcomes:
        moment = self.moment_of[k]
        truth, zz = self.moments.truths[moment], self.zz[moment]
        outcomes = Outcomes.empty(shots, self.plans[k].clbits)
        found = {play: self.channels[moment, play] for play in self.plays[k]}
        situation = Situation(
            thermal_populations(truth), zz, found, _readout(self.device, truth), self.gates,
            self.moments.drive_frequency_ghz,
        )  # fmt: skip
        for group, events in zip(self.groups[k], self.events[k], strict=True):
            self._simulator(events, group, zz)(events, group, situation, outcomes, rng)
        return outcomes

    def _simulator(
        self, events: list[Event], group: tuple[int, ...], zz: dict[Pair, float]
    ) -> _Simulator:
        if len(group) > self.exact_qubits:
            return twirled.run
        return exact.run if reads_at_the_end(events, _within(zz, group)) else trajectories.run


def _within(zz: dict[Pair, float], group: tuple[int, ...]) -> dict[Pair, float]:
    return {pair: rate for pair, rate in zz.items() if set(pair) <= set(group)}


def _calibrated_gates(device: Device) -> dict[Play, str]:
    return {
        gate_play(knob.name.split(".")[0], knob.qubits, device.controls): knob.name.split(".")[0]
        for knob in device.controls
        if knob.name in ("sx.amplitude", "x.amplitude", "cz.amplitude", "ecr.amplitude")
    }


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

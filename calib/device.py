"""The device: hidden physics that drifts, control parameters, and a clock."""

from __future__ import annotations

import math
import threading

import numpy as np

from calib.controls import Controls, Knob
from calib.device_config import DeviceConfig
from calib.drift import Trajectory
from calib.play_channels import Moments
from calib.starting_point import miscalibrated, textbook_controls
from calib.topology import Graph, Pair
from calib.truth import PAIR_PARAMETERS, QUBIT_PARAMETERS, Truth, draw_truth

# What a device's seed draws, each use from a stream of its own; 4 is the drift's.
_SHOTS, _PHYSICS, _START = 1, 2, 3


class Device:
    """A superconducting processor that a laptop can hold.

    Whoever calibrates sees `graph`, `pairs`, `controls` and what experiments show
    (`calib.backend.DriftingBackend`); `truth` is for judging. Physics is a function of the
    config's seed and of time alone: two calibrators with different schedules meet the same
    device and the same drift. Time passes with `advance`, which the backend calls.

    >>> device = Device(DeviceConfig(seed=7))
    >>> device.pairs
    ((1, 0), (1, 2), (3, 2), (3, 4))
    >>> device.controls.of("x.duration_ns", 0)
    32.0
    """

    def __init__(self, config: DeviceConfig) -> None:
        physics, start = (np.random.default_rng([config.seed, use]) for use in (_PHYSICS, _START))
        self.config = config
        self.graph: Graph = config.topology.graph()
        self._nominal, self.pairs = draw_truth(config, physics)
        self._trajectory = _trajectory(config, self.graph, self.pairs)
        textbook = textbook_controls(self.truth(0.0), self.pairs, config)
        self._controls = Controls(miscalibrated(textbook, config.start, start))
        self.time_s = 0.0
        self.lock = threading.RLock()  # held while a job runs
        self._noise: dict[int, np.random.Generator] = {}

    @property
    def controls(self) -> Controls:
        """The settings in force."""
        return self._controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        # What was computed from the ones before is stale, however often these have changed.
        controls.version = max(controls.version, self._controls.version) + 1
        self._controls = controls

    @property
    def name(self) -> str:
        """The device's name, under which its calibration history stands."""
        return self.config.name

    @property
    def qubits(self) -> int:
        """How many qubits it has."""
        return self.graph.qubits

    def truth(self, time_s: float | None = None) -> Truth:
        """The physics at a time (now, if none is given): hidden from calibrators, for judging."""
        return self._nominal.drifted(self._trajectory.at(self._time(time_s)))

    def tick(self, time_s: float | None = None) -> int:
        """The number of the interval of time in which the physics stays the same."""
        return self._trajectory.tick(self._time(time_s)) if self.config.drift else 0

    def moments(self, times_s: list[float], controls: Controls | None = None) -> Moments:
        """The physics at several times, under the drive frequencies in force now, or given."""
        controls = self.controls if controls is None else controls
        frequencies = [controls[Knob("frequency_ghz", (q,))] for q in range(self.qubits)]
        return Moments([self.truth(time) for time in times_s], self.pairs,
                       np.array(frequencies), self.config.envelope)  # fmt: skip

    def shot_noise(self, stream: int = 0) -> np.random.Generator:
        """The random numbers of shots, drawn on by all that runs on this device."""
        if stream not in self._noise:
            seeds = [self.config.seed, _SHOTS] + [stream] * (stream > 0)
            self._noise[stream] = np.random.default_rng(seeds)
        return self._noise[stream]

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"time only goes on: seconds must be at least 0, got {seconds}")
        self.time_s += seconds

    def _time(self, time_s: float | None) -> float:
        return self.time_s if time_s is None else time_s


def _trajectory(config: DeviceConfig, graph: Graph, pairs: tuple[Pair, ...]) -> Trajectory:
    single: list[tuple[int, ...]] = [(qubit,) for qubit in range(graph.qubits)]
    targets = dict.fromkeys(QUBIT_PARAMETERS, single)
    targets |= {name: list(pairs) for name in PAIR_PARAMETERS}
    return Trajectory(config.drift, targets, config.seed)

"""Drift of many devices at once, each with a clock of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calib.drift import Deviation, Drift, Target, Trajectory
from calib.processes import OneOverF, OrnsteinUhlenbeck, Process, Telegraph
from envs.game import Array

_HOUR_S = 3600.0


class DeviceDrift:
    """The drifts of a device's recipe, for B devices that are looked at whenever it pleases them.

    `calib.drift.Trajectory` makes one device's physics a function of its seed and the time; here
    states are carried on by exact steps of any length, [B], drawn from the generator passed in.
    States are one array [B, targets] an entry (1/f noise: one axis more at the end).

    >>> noise = OrnsteinUhlenbeck(correlation_time_s=600.0)
    >>> entry = Drift(process=noise, absolute={"frequency_ghz": 1e-6})
    >>> drift, rng = DeviceDrift([entry], {"frequency_ghz": [(0,), (1,)]}), np.random.default_rng(1)
    >>> states = drift.advanced(drift.begun(3, rng), np.array([0.0, 60.0, 3600.0]), rng)
    >>> drift.deviations(states, np.array([0.0, 60.0, 3600.0]))["frequency_ghz"].absolute.shape
    (3, 2)
    """

    def __init__(self, drifts: Sequence[Drift], targets: Mapping[str, Sequence[Target]]) -> None:
        Trajectory(drifts, targets, seed=0)  # refuses what it does not know
        self.drifts = tuple(drifts)
        self._sizes = {name: len(of_name) for name, of_name in targets.items()}
        self._places = [
            {name: _places(drift, targets[name]) for name in drift.parameters} for drift in drifts
        ]

    def begun(self, count: int, rng: np.random.Generator) -> list[Array]:
        """States of so many devices, drawn from the stationary distributions."""
        return [
            drift.process.initial((count, self._width(number)), rng)
            for number, drift in enumerate(self.drifts)
        ]

    def advanced(
        self, states: Sequence[Array], seconds: Array, rng: np.random.Generator
    ) -> list[Array]:
        """The states so many seconds [B] later."""
        return [
            _advanced(drift.process, state, seconds, rng)
            for drift, state in zip(self.drifts, states, strict=True)
        ]

    def deviations(self, states: Sequence[Array], time_s: Array) -> dict[str, Deviation]:
        """How far each parameter that drifts is from its nominal value at times [B], by name."""
        found: dict[str, Deviation] = {}
        for drift, state, places in zip(self.drifts, states, self._places, strict=True):
            value = drift.process.value(state, time_s[:, None])
            for name, where in places.items():
                if name not in found:
                    shape = (len(time_s), self._sizes[name])
                    found[name] = Deviation(np.zeros(shape), np.zeros(shape))
                found[name].absolute[:, where] += drift.absolute.get(name, 0.0) * value
                found[name].log_relative[:, where] += drift.relative.get(name, 0.0) * value
        return found

    def _width(self, number: int) -> int:
        if self.drifts[number].shared:
            return 1
        return len(next(iter(self._places[number].values())))


def _places(drift: Drift, targets: Sequence[Target]) -> list[int]:
    """Where in a parameter's list of targets an entry acts."""
    asked = drift.pairs if drift.qubits is None else [(qubit,) for qubit in drift.qubits]
    if asked is None:
        return list(range(len(targets)))
    numbers = {frozenset(target): number for number, target in enumerate(targets)}
    return [numbers[frozenset(one)] for one in asked]


def _advanced(process: Process, state: Array, seconds: Array, rng: np.random.Generator) -> Array:
    """A state [B, ...] so many seconds [B] later, without discretisation error."""
    later = seconds.reshape(-1, *[1] * (state.ndim - 1))
    if isinstance(process, Telegraph):
        # Tossed anew at the rate up + down: see `calib.processes.Telegraph`.
        tosses = (process.up_per_hour + process.down_per_hour) / _HOUR_S * later
        untouched = rng.random(state.shape) < np.exp(-tosses)
        return np.where(untouched, state, process.initial(state.shape, rng))
    if isinstance(process, OrnsteinUhlenbeck):
        left = np.exp(-later / process.correlation_time_s)
    elif isinstance(process, OneOverF):
        left = np.exp(-later / process.correlation_times_s())
    else:
        return state  # what knows only the time
    return left * state + np.sqrt(1 - left**2) * rng.standard_normal(state.shape)

"""Control parameters: the knobs of a device, by name and qubits, and how they are changed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import NamedTuple


class Knob(NamedTuple):
    """One control parameter: a name from `QUBIT_KNOBS` or `PAIR_KNOBS`, of a qubit or a pair."""

    name: str
    qubits: tuple[int, ...]

    def __str__(self) -> str:
        return f"{'-'.join(f'q{qubit}' for qubit in self.qubits)}.{self.name}"


# What each knob is; the unit is the name's end, and an amplitude is a fraction of full scale.
QUBIT_KNOBS: Mapping[str, str] = {
    "frequency_ghz": "drive frequency, the rotation of the qubit's frame",
    "sx.amplitude": "height of the SX pulse",
    "sx.drag_ns": "DRAG coefficient of the SX pulse",
    "sx.detuning_mhz": "detuning of the SX pulse from the drive frequency",
    "sx.phase_rad": "axis of the SX pulse",
    "sx.duration_ns": "length of the SX pulse",
    "x.amplitude": "height of the X pulse",
    "x.drag_ns": "DRAG coefficient of the X pulse",
    "x.detuning_mhz": "detuning of the X pulse from the drive frequency",
    "x.phase_rad": "axis of the X pulse",
    "x.duration_ns": "length of the X pulse",
    "readout.amplitude": "height of the readout tone",
    "readout.frequency_ghz": "frequency of the readout tone",
    "readout.duration_ns": "length of the readout tone and of the integration",
    "readout.angle_rad": "direction in the IQ plane along which outcomes are told apart",
    "readout.threshold": "where along that direction an outcome becomes 1",
}
PAIR_KNOBS: Mapping[str, Mapping[str, str]] = {
    "cz": {
        "cz.amplitude": "height of the coupler pulse",
        "cz.duration_ns": "length of the coupler pulse",
        "cz.phase_a_rad": "virtual Z on the first qubit after the pulse",
        "cz.phase_b_rad": "virtual Z on the second qubit after the pulse",
    },
    "ecr": {
        "ecr.amplitude": "height of the cross-resonance tone on the control",
        "ecr.phase_rad": "phase of the cross-resonance tone",
        "ecr.cancel_amplitude": "height of the cancellation tone on the target",
        "ecr.cancel_phase_rad": "phase of the cancellation tone",
        "ecr.duration_ns": "length of each of the two cross-resonance tones",
    },
}


@dataclass(frozen=True)
class Update:
    """A proposed value of a knob: what an experiment, an agent or a hand concluded.

    `uncertainty` is one standard deviation, or None where none is known.
    """

    knob: Knob
    value: float
    uncertainty: float | None
    source: str


class Controls(MutableMapping[Knob, float]):
    """The settings in force on a device: a mapping from knobs to values, with a fixed set of keys.

    >>> controls = Controls({Knob("x.amplitude", (0,)): 0.4})
    >>> controls.apply([Update(Knob("x.amplitude", (0,)), 0.41, 0.001, "rabi")])
    >>> controls[Knob("x.amplitude", (0,))]
    0.41
    """

    def __init__(self, values: Mapping[Knob, float]) -> None:
        for knob, value in values.items():
            if not isinstance(knob, Knob):
                raise ValueError(_expected_a_knob(knob, _EXAMPLE))
            _check(knob, value)
        self._values = {knob: float(value) for knob, value in values.items()}
        self.version = 0  # grows with each change: what was computed from older settings is stale

    def __getitem__(self, knob: Knob) -> float:
        try:
            return self._values[knob]
        except KeyError:
            raise KeyError(self._unknown(knob)) from None

    def __setitem__(self, knob: Knob, value: float) -> None:
        if knob not in self._values:
            raise ValueError(self._unknown(knob))
        _check(knob, value)
        if self._values[knob] != value:
            self._values[knob] = float(value)
            self.version += 1

    def __delitem__(self, knob: Knob) -> None:
        raise TypeError(f"{knob} cannot be deleted: a device's knobs are fixed")

    def __iter__(self) -> Iterator[Knob]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def of(self, name: str, *qubits: int) -> float:
        """The value of one knob by name and qubits."""
        return self[Knob(name, qubits)]

    def apply(self, updates: list[Update]) -> None:
        """Puts proposed values in force, all or none."""
        for update in updates:
            if update.knob not in self._values:
                raise ValueError(self._unknown(update.knob))
            _check(update.knob, update.value)
        for update in updates:
            self[update.knob] = update.value

    def _unknown(self, knob: object) -> str:
        known = {str(one): one for one in self._values}
        near = difflib.get_close_matches(str(knob), known, n=1)
        if not isinstance(knob, Knob):
            return _expected_a_knob(knob, known[near[0]] if near else _EXAMPLE)
        meant = f"; did you mean {near[0]}?" if near else ""
        return f"this device has no knob {knob}{meant}"


_EXAMPLE = Knob("x.amplitude", (0,))


def _expected_a_knob(given: object, example: Knob) -> str:
    return f'expected a Knob such as Knob("{example.name}", {example.qubits}), got {given!r}'


def _check(knob: Knob, value: float) -> None:
    """Refuses what no electronics could play."""
    if not math.isfinite(value):
        raise ValueError(f"{knob} must be a finite number, got {value}")
    if knob.name.endswith("amplitude") and abs(value) > 1:
        raise ValueError(f"{knob} must be within ±1, the full scale, got {value:.6g}")
    if knob.name.endswith(("duration_ns", "frequency_ghz")) and value <= 0:
        raise ValueError(f"{knob} must be above 0, got {value:.6g}")

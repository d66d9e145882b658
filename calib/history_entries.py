"""What a calibration history consists of: changes, entries, and moments to look back from."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from calib.controls import PAIR_KNOBS, QUBIT_KNOBS, Knob, Update

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KNOB = re.compile(r"(q\d+(?:-q\d+)*)\.(\S+)")
_KNOWN = [*QUBIT_KNOBS, *(name for knobs in PAIR_KNOBS.values() for name in knobs)]


@dataclass(frozen=True)
class DeviceTime:
    """A moment on a simulated device's own clock, in seconds."""

    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:g}s"


Moment = int | datetime | DeviceTime
"""A change's number (the state right after it; 0 is before all), a time, or a device time."""


@dataclass(frozen=True)
class Change:
    """One change-set: what was put in force together, when, and from where.

    `utc` is the wall clock's time; `device_time_s` the device's own, None for real hardware.
    `restores` is set where the change is an undo: the number of the change it went back to.
    """

    id: int
    utc: datetime
    device_time_s: float | None
    run: str
    comment: str
    restores: int | None


@dataclass(frozen=True)
class Entry:
    """One value of one knob.

    `uncertainty` is one standard deviation or None. `change` put the value in force; `measured`
    is the change that first recorded it: the same one, unless an undo brought the value back.
    `previous` is the value before. A value of None says that an undo withdrew the knob: it went
    back to before the knob's first value.
    """

    knob: Knob
    value: float | None
    uncertainty: float | None
    source: str
    change: Change
    measured: Change
    previous: float | None


Verdict = Literal["in tolerance", "corrected", "rolled back", "out of tolerance", "not trusted",
                  "not resolved"]  # fmt: skip
VERDICTS: Mapping[Verdict, str] = {
    "in tolerance": "what was found is small enough: nothing was moved",
    "corrected": "knobs were moved by what was found; coarse experiments (rabi) stop at that",
    "rolled back": "an agent's settings measured worse: those before are in force again",
    "out of tolerance": "what was found is too large, and the experiment has no knob to move",
    "not trusted": "the data make no sense, or ask for what cannot be played: nothing was moved",
    "not resolved": "a quick look at few shots did not settle it: the full measurement follows",
}
"""What each verdict means, in a line."""


@dataclass(frozen=True)
class Finding:
    """What an experiment found on one qubit or pair, and how it was judged.

    `deviation` and `uncertainty` (one standard deviation) are in `unit`; None where the data gave
    no finite number.
    """

    node: str
    target: tuple[int, ...]
    verdict: Verdict
    deviation: float | None
    uncertainty: float | None
    unit: str


@dataclass(frozen=True, kw_only=True)
class Check(Finding):
    """A finding in the history. `change` was the newest change-set when it was written down."""

    id: int
    utc: datetime
    device_time_s: float | None
    run: str
    change: int


def differences(
    before: Mapping[Knob, Entry], after: Mapping[Knob, Entry]
) -> dict[Knob, tuple[Entry | None, Entry | None]]:
    """The knobs in which two states differ, each with its entry before and after.

    Two entries are the same when they stem from the same measurement.
    """
    differing = {}
    for knob in sorted(before.keys() | after.keys(), key=knob_order):
        old, new = before.get(knob), after.get(knob)
        if old is None or new is None or old.measured.id != new.measured.id:
            differing[knob] = (old, new)
    return differing


def knob_order(knob: Knob) -> tuple[int, tuple[int, ...], int, str]:
    """The order of knobs in tables: qubits before pairs, by number, then as `controls` has them."""
    place = _KNOWN.index(knob.name) if knob.name in _KNOWN else len(_KNOWN)
    return len(knob.qubits), knob.qubits, place, knob.name


def parse_knob(text: str) -> Knob:
    """The knob that `str` writes so.

    >>> parse_knob("q0-q1.cz.amplitude")
    Knob(name='cz.amplitude', qubits=(0, 1))
    """
    found = _KNOB.fullmatch(text)
    if found is None:
        raise ValueError(f"a knob is written as q0.x.amplitude or q0-q1.cz.amplitude, got {text!r}")
    return Knob(found[2], tuple(int(qubit[1:]) for qubit in found[1].split("-")))


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC."""
    if moment.tzinfo is None:
        raise ValueError(f"a time needs its zone, such as tzinfo=timezone.utc, got {moment}")
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The time so many microseconds after 1970, in UTC."""
    return EPOCH + count * _MICROSECOND


def check_update(update: Update) -> Update:
    """The update with plain numbers; ValueError if it cannot be recorded."""
    knob = Knob(str(update.knob.name), tuple(int(qubit) for qubit in update.knob.qubits))
    if parse_knob(str(knob)) != knob:
        raise ValueError(f"knob {update.knob!r} cannot be recorded: its name is no plain one")
    value = float(update.value)
    if not math.isfinite(value):
        raise ValueError(f"{knob} must be a finite number, got {value}")
    uncertainty = None if update.uncertainty is None else float(update.uncertainty)
    if uncertainty is not None and not (math.isfinite(uncertainty) and uncertainty >= 0):
        raise ValueError(f"the uncertainty of {knob} must be at least 0 or None, got {uncertainty}")
    if not update.source:
        raise ValueError(f"the source of {knob} is empty: name the experiment, the agent or `hand`")
    return Update(knob, value, uncertainty, str(update.source))


def check_finding(found: Finding) -> Finding:
    """The finding with plain numbers; ValueError if it cannot be recorded."""
    if not found.node:
        raise ValueError("a check needs the name of its experiment, got an empty one")
    target = tuple(int(qubit) for qubit in found.target)
    if not target or min(target) < 0:
        raise ValueError(f"a check of {found.node} needs its qubits, got {found.target}")
    if found.verdict not in get_args(Verdict):
        raise ValueError(
            f"the verdict on {found.node} must be one of {', '.join(get_args(Verdict))}, "
            f"got {found.verdict!r}"
        )
    return replace(
        found,
        target=target,
        deviation=_finite(found.deviation),
        uncertainty=_finite(found.uncertainty),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def check_device_time(seconds: float | None) -> float | None:
    """A device time as a plain number; ValueError if it is not finite."""
    if seconds is not None and not math.isfinite(seconds):
        raise ValueError(f"device_time_s must be a finite number or None, got {seconds}")
    return None if seconds is None else float(seconds)

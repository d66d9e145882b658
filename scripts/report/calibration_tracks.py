"""What the pictures of a calibration history draw: a track a knob, one time axis, their ranges."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Literal

from calib.controls import Knob
from calib.history import Entry
from calib.history_entries import knob_order

Clock = Literal["wall", "device"]

_UNITS_S = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
# A knob's unit by the end of its name: the power of ten of what it counts, and that unit's sign.
_BASES = {"_ghz": (9, "Hz"), "_mhz": (6, "Hz"), "_ns": (-9, "s"), "_rad": (0, "rad")}
_PREFIXES = {9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "µ", -9: "n", -12: "p", -15: "f"}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclasses.dataclass(frozen=True)
class Track:
    """One knob's entries, with what is drawn of each: its time and its distance from the present.

    `reference` is the value in force (the last one there was); `differences` count from it, None
    where an undo withdrew the knob.
    """

    knob: Knob
    entries: tuple[Entry, ...]
    times: tuple[float, ...]
    reference: float
    differences: tuple[float | None, ...]

    @property
    def owner(self) -> str:
        """The qubit or pair: q0 or q0-q1."""
        return str(self.knob).split(".")[0]


@dataclasses.dataclass(frozen=True)
class TimeAxis:
    """The time axis that all panels share: matplotlib's days of UTC, or device time in a unit."""

    clock: Clock
    label: str
    unit_s: float
    low: float
    high: float
    undos: tuple[float, ...]


def tracks_of(entries: Sequence[Entry], axis: TimeAxis) -> list[Track]:
    """A track for each knob; none for one of which only its withdrawal is left."""
    by_knob: dict[Knob, list[Entry]] = {}
    for entry in entries:
        by_knob.setdefault(entry.knob, []).append(entry)
    found = []
    for knob, own in by_knob.items():
        values = [entry.value for entry in own]
        reference = next((value for value in reversed(values) if value is not None), None)
        if reference is None:
            continue
        differences = tuple(None if value is None else value - reference for value in values)
        times = tuple(_time(entry, axis.clock, axis.unit_s) for entry in own)
        found.append(Track(knob, tuple(own), times, reference, differences))
    return found


def in_order(tracks: Sequence[Track]) -> list[Track]:
    """Qubits before pairs, by number."""
    return sorted(tracks, key=lambda track: knob_order(track.knob))


def moves(track: Track) -> bool:
    """Whether the knob had more than one value, or was withdrawn."""
    return len(set(track.differences)) > 1


def _time(entry: Entry, clock: Clock, unit_s: float) -> float:
    if clock == "device":
        return (entry.change.device_time_s or 0.0) / unit_s
    from matplotlib.dates import date2num

    return float(date2num(entry.change.utc))


def time_axis(entries: Sequence[Entry], clock: Clock | None) -> TimeAxis:
    """The axis that holds all entries; `clock` None takes the device's where all have its time."""
    untimed = any(entry.change.device_time_s is None for entry in entries)
    if clock == "device" and untimed:
        raise ValueError("not every entry has a device time: draw over the wall clock's")
    clock = clock or ("wall" if untimed else "device")
    first = min(entry.change.utc for entry in entries)
    last = max(entry.change.utc for entry in entries)
    since = "" if first.date() == last.date() else "from "
    unit_s, label = 1.0, f"time (UTC), {since}{first:%Y-%m-%d}"
    if clock == "device":
        seconds = [_time(entry, clock, 1.0) for entry in entries]
        span = max(seconds) - min(seconds)
        unit_s, unit = next((u for u in _UNITS_S if span >= 2 * u[0]), _UNITS_S[-1])
        label = f"device time ({unit})"
    times = [_time(entry, clock, unit_s) for entry in entries]
    least = 1 / 1440 if clock == "wall" else 1.0  # an axis of no length cannot be drawn
    margin = 0.03 * max(max(times) - min(times), least)
    undos = {_time(e, clock, unit_s) for e in entries if e.change.restores is not None}
    low, high = min(times) - margin, max(times) + margin
    return TimeAxis(clock, label, unit_s, low, high, tuple(sorted(undos)))


def from_first_shown(tracks: Sequence[Track], axis: TimeAxis) -> TimeAxis:
    """The axis without a long empty beginning, in which all values are beyond their scale."""
    shown = [time for track in tracks for time, beyond in zip(track.times, off_scale([track]),
             strict=True) if beyond is False]  # fmt: skip
    first = min(shown, default=axis.low)
    if first - axis.low < 0.5 * (axis.high - axis.low):
        return axis
    return dataclasses.replace(axis, low=first - 0.06 * (axis.high - first))


def off_scale(tracks: Sequence[Track]) -> list[bool | None]:
    """Which entries of the tracks of one panel are beyond its scale; None where withdrawn."""
    low, high = y_range(tracks)
    differences = [d for track in tracks for d in track.differences]
    return [None if d is None else not low <= d <= high for d in differences]


def y_range(tracks: Sequence[Track]) -> tuple[float, float]:
    """All the values with their bars, unless the first rough ones would dwarf what came later.

    A first guess may be off by far more than all later moves: where the first third of the
    entries is more than five times as far out as the rest, the rest gives the range.
    """
    full = _spread([pair for track in tracks for pair in _with_bars(track)])
    late = _spread([pair for track in tracks
                    for pair in _with_bars(track)[len(track.entries) // 3 :]])  # fmt: skip
    low, high = late if full[1] - full[0] > 5 * (late[1] - late[0]) > 0 else full
    room = 0.14 * (high - low)
    return low - room, high + room


def _with_bars(track: Track) -> list[tuple[float, float]]:
    pairs = zip(track.entries, track.differences, strict=True)
    return [(d, entry.uncertainty or 0.0) for entry, d in pairs if d is not None]


def _spread(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    # A bar much longer than usual (a fit that learnt little) may leave the panel.
    bars = [bar for _, bar in pairs if bar > 0]
    usual = 3 * statistics.median(bars) if bars else 0.0
    ends = [d + sign * min(bar, usual) for d, bar in pairs for sign in (-1, 1)]
    return (min(ends), max(ends)) if ends else (0.0, 0.0)


def common_exponent(tracks: Sequence[Track]) -> int:
    """The power of ten, a multiple of three, in which the panels' axes count."""
    ranges = [y_range([track]) for track in tracks if moves(track)]
    largest = max((max(abs(low), abs(high)) for low, high in ranges), default=0.0)
    if largest == 0:
        return 0
    power = 3 * math.floor(math.log10(largest) / 3 + 1e-9)
    return 0 if power == -3 and largest >= 0.02 else power


def unit_text(name: str, exponent: int) -> str:
    """The unit of a knob's axis that counts in 10^exponent of what its name says: kHz, mrad, ps."""
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}" if exponent else ""
    if name.endswith("amplitude"):
        return f"{power} of full scale".strip()
    for ending, (base, sign) in _BASES.items():
        if name.endswith(ending) and base + exponent in _PREFIXES:
            return _PREFIXES[base + exponent] + sign
        if name.endswith(ending):
            return f"{power} {_PREFIXES[base]}{sign}"
    return power

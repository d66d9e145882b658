"""A calibration history's rows: what is selected, under which condition, and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from calib.controls import Knob
from calib.history_entries import (
    Change,
    DeviceTime,
    Entry,
    Moment,
    from_microseconds,
    microseconds,
    parse_knob,
)

CHANGE = "{0}.id, {0}.utc_us, {0}.device_time_s, {0}.run, {0}.comment, {0}.restores"
ENTRY = f"""
    k.name, e.value, e.uncertainty, e.source,
    (SELECT p.value FROM entries p WHERE p.knob = e.knob AND p.change < e.change
     ORDER BY p.change DESC LIMIT 1),
    {CHANGE.format("c")}, {CHANGE.format("m")}
"""


def moment_column(moment: Moment) -> tuple[str, int | float]:
    """The column of `changes` that a moment speaks of, and the value there."""
    if isinstance(moment, DeviceTime):
        return "device_time_s", moment.seconds
    if isinstance(moment, datetime):
        return "utc_us", microseconds(moment)
    if isinstance(moment, bool) or not isinstance(moment, int):
        raise TypeError(f"a moment is the number of a change, a datetime with its zone, or a "
                        f"DeviceTime, got {moment!r}")  # fmt: skip
    return "id", moment


def since_condition(moment: Moment | None) -> tuple[str, list[int | float]]:
    """The condition, on changes `c`, that they are not before a moment; and its parameters."""
    if moment is None:
        return "TRUE", []
    column, value = moment_column(moment)
    return f"c.{column} >= ?", [value]


def change_of(row: tuple[Any, ...]) -> Change:
    """A change from a row of `CHANGE`."""
    number, utc_us, device_time_s, run, comment, restores = row
    return Change(number, from_microseconds(utc_us), device_time_s, run, comment, restores)


def entries_of(rows: Iterator[tuple[Any, ...]] | Sequence[tuple[Any, ...]]) -> list[Entry]:
    """Entries from rows of `ENTRY`; those of one change share one object."""
    changes: dict[int, Change] = {}
    knobs: dict[str, Knob] = {}
    found = []
    for row in rows:
        for part in (row[5:11], row[11:17]):
            if part[0] not in changes:
                changes[part[0]] = change_of(part)
        if row[0] not in knobs:
            knobs[row[0]] = parse_knob(row[0])
        name, value, uncertainty, source, previous = row[:5]
        change, measured = changes[row[5]], changes[row[11]]
        found.append(Entry(knobs[name], value, uncertainty, source, change, measured, previous))
    return found

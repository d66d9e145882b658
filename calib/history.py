"""Calibration history: every value a knob ever had, what is in force, and undo."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from calib import history_export
from calib.controls import Knob, Update
from calib.history_checks import add_check, checks_of, latest_check_time, latest_checks_of
from calib.history_entries import (
    Change,
    Check,
    DeviceTime,
    Entry,
    Finding,
    Moment,
    Verdict,
    check_device_time,
    check_finding,
    check_update,
    differences,
    knob_order,
    microseconds,
    parse_knob,
)
from calib.history_file import Access, open_file, plain_errors, transaction
from calib.history_rows import CHANGE, ENTRY, change_of, entries_of, moment_column, since_condition

__all__ = [
    "Change",
    "Check",
    "DeviceTime",
    "Entry",
    "Finding",
    "History",
    "Moment",
    "differences",
    "parse_knob",
]


def _now() -> datetime:
    return datetime.now(UTC)


class History:
    """The calibration history in one SQLite file (or ":memory:"): a log that only ever grows.

    Values are recorded in change-sets, each committed as a whole and safe on the disk when
    `record` returns; they are numbered 1, 2, 3 ... over all devices of the file. Any number of
    processes may read while one writes; writers wait for each other. An object belongs to the
    thread that made it: another thread or a forked process opens its own on the same path.

    >>> with History(":memory:") as history:
    ...     knob = Knob("x.amplitude", (0,))
    ...     first = history.record("lab", [Update(knob, 0.40, 1e-3, "rabi")], run="a")
    ...     second = history.record("lab", [Update(knob, 0.45, None, "hand")], run="b")
    ...     undone = history.undo("lab", to=first)
    ...     history.values("lab"), [entry.value for entry in history.entries("lab")]
    ({Knob(name='x.amplitude', qubits=(0,)): 0.4}, [0.4, 0.45, 0.4])
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        access: Access = "create",
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.path = path
        self._clock = clock
        with plain_errors(path):
            self._connection = open_file(path, access)

    def __enter__(self) -> History:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; nothing more can be asked of this object."""
        self._connection.close()

    def record(
        self,
        device: str,
        updates: Sequence[Update],
        *,
        run: str,
        device_time_s: float | None = None,
        comment: str = "",
    ) -> int:
        """Puts values in force as one change-set, all or none; returns its number.

        `run` says where they come from, such as a run's folder ("" for none); `device_time_s` is
        the simulated device's clock. When this returns, the change-set is on the disk.
        """
        if not device:
            raise ValueError("a device needs a name, got an empty one")
        if not updates:
            raise ValueError("a change-set needs at least one update, got none")
        checked = [check_update(update) for update in updates]
        if len({update.knob for update in checked}) < len(checked):
            raise ValueError("a change-set takes one value a knob, got two for one knob")
        device_time_s = check_device_time(device_time_s)
        with self._writing():
            self._connection.execute("INSERT OR IGNORE INTO devices (name) VALUES (?)", [device])
            owner = self._device_id(device)
            change = self._new_change(owner, device_time_s, run, comment, None)
            rows = [(self._knob_id(owner, update.knob), change, update.value,
                     update.uncertainty, update.source, change)
                    for update in checked]  # fmt: skip
            self._add_entries(rows)
        return change

    def undo(
        self,
        device: str,
        *,
        to: Moment | None = None,
        steps: int | None = None,
        run: str = "",
        device_time_s: float | None = None,
        comment: str = "",
    ) -> int:
        """Puts back in force what was in force at a moment, or `steps` (1) change-sets ago.

        The undo is a change-set of its own, and so can be undone like any other; knobs that had
        no value then are withdrawn. Values keep their source and the change that measured them.
        Returns the number of the new change-set. Without `device_time_s` the latest known device
        time is taken.
        """
        device_time_s = check_device_time(device_time_s)
        with self._writing():
            owner = self._device_id(device)
            target = self._target(owner, to, steps)
            moved = differences(self._state(owner, None), self._state(owner, target))
            if not moved:
                raise ValueError(f"nothing to undo: what change {target} left is in force already")
            if device_time_s is None:
                device_time_s = self._latest_device_time(owner)
            change = self._new_change(owner, device_time_s, run, comment, target)
            rows = [(self._knob_id(owner, knob), change, new.value, new.uncertainty, new.source,
                     new.measured.id)
                    if new else (self._knob_id(owner, knob), change, None, None, "undo", change)
                    for knob, (_, new) in moved.items()]  # fmt: skip
            self._add_entries(rows)
        return change

    def check(
        self, device: str, found: Finding, *, run: str, device_time_s: float | None = None
    ) -> int:
        """Writes down what an experiment found, whether or not a knob was moved for it.

        The device must have values already. When this returns, the check is on the disk; its
        number is returned. Checks are numbered apart from change-sets.
        """
        found, device_time_s = check_finding(found), check_device_time(device_time_s)
        with self._writing():
            owner = self._device_id(device)
            return add_check(self._connection, owner, found, self._clock(), device_time_s, run)

    def checks(
        self, device: str, *, since: Moment | None = None, newest: int | None = None
    ) -> list[Check]:
        """The checks of a device, the oldest first; arguments as for `entries`."""
        if newest is not None and newest < 1:
            raise ValueError(f"newest must be at least 1, got {newest}")
        with self._reading():
            return checks_of(self._connection, self._device_id(device), since, newest)

    def latest_checks(
        self, device: str, verdict: Verdict | None = None
    ) -> dict[tuple[str, tuple[int, ...]], Check]:
        """The last check (with one verdict) of each experiment, by its name and its qubits."""
        with self._reading():
            return latest_checks_of(self._connection, self._device_id(device), verdict)

    def device_time_s(self, device: str) -> float | None:
        """The device's own clock at its newest change or check; None if it has none."""
        with self._reading():
            return self._latest_device_time(self._device_id(device))

    def undo_target(
        self, device: str, *, to: Moment | None = None, steps: int | None = None
    ) -> int:
        """The change to which `undo` would go back with the same arguments; 0 is before all."""
        with self._reading():
            return self._target(self._device_id(device), to, steps)

    def devices(self) -> list[str]:
        """The names of the devices in the file, in the order in which they came."""
        with self._reading():
            rows = self._connection.execute("SELECT name FROM devices ORDER BY id").fetchall()
        return [name for (name,) in rows]

    def knobs(self, device: str) -> list[Knob]:
        """Every knob of a device that ever had a value: qubits before pairs, by number."""
        with self._reading():
            rows = self._connection.execute(
                "SELECT name FROM knobs WHERE device = ?", [self._device_id(device)]
            ).fetchall()
        return sorted((parse_knob(name) for (name,) in rows), key=knob_order)

    def changes(self, device: str, *, since: Moment | None = None) -> list[Change]:
        """The change-sets of a device, the oldest first; with `since` from that one or time on."""
        with self._reading():
            condition, given = since_condition(since)
            rows = self._connection.execute(
                f"SELECT {CHANGE.format('c')} FROM changes c "
                f"WHERE c.device = ? AND {condition} ORDER BY c.id",
                [self._device_id(device), *given],
            ).fetchall()
        return [change_of(row) for row in rows]

    def in_force(self, device: str, *, at: Moment | None = None) -> dict[Knob, Entry]:
        """The entry in force of each knob, now or `at` a moment; knobs without a value are absent.

        At a time, that is the state after the newest change-set which is not later than it.
        Raises ValueError for a device that the file does not know (see `devices`).
        """
        with self._reading():
            owner = self._device_id(device)
            return self._state(owner, None if at is None else self._cut(owner, at))

    def values(self, device: str, *, at: Moment | None = None) -> dict[Knob, float]:
        """The values in force alone, as `Controls` takes them."""
        state = self.in_force(device, at=at)
        return {knob: entry.value for knob, entry in state.items() if entry.value is not None}

    def entries(
        self,
        device: str,
        knobs: Collection[Knob] | None = None,
        *,
        since: Moment | None = None,
        newest: int | None = None,
    ) -> list[Entry]:
        """The log of a device, the oldest entry first: of some knobs, or all.

        `since` leaves out what is older than a change or a time; `newest` keeps so many entries.
        """
        if newest is not None and newest < 1:
            raise ValueError(f"newest must be at least 1, got {newest}")
        with self._reading():
            owner = self._device_id(device)
            condition, given = since_condition(since)
            if knobs is not None:
                ids = [self._existing_knob_id(owner, knob) for knob in knobs]
                condition += f" AND e.knob IN ({', '.join(map(str, ids))})"
            # CROSS JOIN: SQLite keeps this order, so that a limit ends the walk down the log.
            rows = self._connection.execute(
                f"SELECT {ENTRY} FROM changes c CROSS JOIN entries e ON e.change = c.id "
                "JOIN knobs k ON k.id = e.knob JOIN changes m ON m.id = e.measured "
                f"WHERE c.device = ? AND {condition} ORDER BY c.id DESC, e.knob DESC LIMIT ?",
                [owner, *given, -1 if newest is None else newest],
            ).fetchall()
        return entries_of(reversed(rows))

    def export(self, device: str, *, at: Moment | None = None) -> dict[str, Any]:
        """What is or was in force, as plain data: see `calib.history_export` for its texts."""
        with self._reading():
            owner = self._device_id(device)
            cut = self._newest(owner) if at is None else self._cut(owner, at)
            return history_export.state_data(device, cut, self._state(owner, cut))

    def export_log(self, device: str) -> dict[str, Any]:
        """The whole log of a device as plain data."""
        return history_export.log_data(device, self.entries(device))

    # What follows runs inside a transaction.

    def _state(self, owner: int, cut: int | None) -> dict[Knob, Entry]:
        """What is in force after change `cut`, or now."""
        limit = "" if cut is None else "AND change <= :cut"
        rows = self._connection.execute(
            f"SELECT {ENTRY} FROM knobs k CROSS JOIN entries e ON e.knob = k.id AND e.change = "
            f"(SELECT max(change) FROM entries WHERE knob = k.id {limit}) "
            "JOIN changes c ON c.id = e.change JOIN changes m ON m.id = e.measured "
            "WHERE k.device = :owner AND e.value IS NOT NULL",
            {"owner": owner, "cut": cut},
        ).fetchall()
        found = sorted(entries_of(rows), key=lambda entry: knob_order(entry.knob))
        return {entry.knob: entry for entry in found}

    def _cut(self, owner: int, moment: Moment) -> int:
        """The newest change of the device that is not later than a moment; 0 if there is none."""
        if isinstance(moment, int):
            (newest,) = self._connection.execute("SELECT max(id) FROM changes").fetchone()
            if not 0 <= moment <= newest:
                raise ValueError(f"there is no change {moment}: they go from 1 to {newest}, "
                                 "and 0 is before all")  # fmt: skip
        column, value = moment_column(moment)
        row = self._connection.execute(
            f"SELECT id FROM changes WHERE device = ? AND {column} <= ? ORDER BY id DESC LIMIT 1",
            [owner, value],
        ).fetchone()
        return row[0] if row else 0

    def _target(self, owner: int, to: Moment | None, steps: int | None) -> int:
        if to is not None and steps is not None:
            raise ValueError("an undo takes either a moment or a number of steps, got both")
        if to is not None:
            return self._cut(owner, to)
        steps = 1 if steps is None else steps
        rows = self._connection.execute(
            "SELECT id FROM changes WHERE device = ? ORDER BY id DESC LIMIT ?", [owner, steps + 1]
        ).fetchall()
        if not 1 <= steps <= len(rows):
            most = self._count(owner)
            raise ValueError(f"steps must be from 1 to the {most} change-sets there are, "
                             f"got {steps}")  # fmt: skip
        return rows[steps][0] if steps < len(rows) else 0

    def _count(self, owner: int) -> int:
        statement = "SELECT count(*) FROM changes WHERE device = ?"
        return self._connection.execute(statement, [owner]).fetchone()[0]

    def _newest(self, owner: int) -> int:
        statement = "SELECT max(id) FROM changes WHERE device = ?"
        return self._connection.execute(statement, [owner]).fetchone()[0]

    def _latest_device_time(self, owner: int) -> float | None:
        row = self._connection.execute(
            "SELECT device_time_s FROM changes WHERE device = ? AND device_time_s IS NOT NULL "
            "ORDER BY id DESC LIMIT 1", [owner]).fetchone()  # fmt: skip
        checked_s = latest_check_time(self._connection, owner)
        known = [time_s for time_s in (row and row[0], checked_s) if time_s is not None]
        return max(known, default=None)

    def _new_change(
        self, owner: int, device_time_s: float | None, run: str, comment: str, restores: int | None
    ) -> int:
        cursor = self._connection.execute(
            "INSERT INTO changes (device, utc_us, device_time_s, run, comment, restores) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [owner, microseconds(self._clock()), device_time_s, run, comment, restores],
        )
        assert cursor.lastrowid is not None  # an INSERT has one
        return cursor.lastrowid

    def _add_entries(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _device_id(self, name: str) -> int:
        row = self._connection.execute("SELECT id FROM devices WHERE name = ?", [name]).fetchone()
        if row:
            return row[0]
        known = [n for (n,) in self._connection.execute("SELECT name FROM devices ORDER BY id")]
        raise ValueError(f"{self.path} has no device {name!r}{_nearest(name, known)}; "
                         f"it has: {', '.join(known) or 'none yet'}")  # fmt: skip

    def _knob_id(self, owner: int, knob: Knob) -> int:
        """The knob's number, given now if it has none yet."""
        self._connection.execute(
            "INSERT OR IGNORE INTO knobs (device, name) VALUES (?, ?)", [owner, str(knob)]
        )
        return self._existing_knob_id(owner, knob)

    def _existing_knob_id(self, owner: int, knob: Knob) -> int:
        statement = "SELECT id FROM knobs WHERE device = ? AND name = ?"
        row = self._connection.execute(statement, [owner, str(knob)]).fetchone()
        if row:
            return row[0]
        rows = self._connection.execute("SELECT name FROM knobs WHERE device = ?", [owner])
        known = [name for (name,) in rows]
        raise ValueError(f"the history has no knob {knob}{_nearest(str(knob), known)}")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with plain_errors(self.path), transaction(self._connection):
            yield

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """All questions inside are answered from one and the same state."""
        with plain_errors(self.path), transaction(self._connection, "DEFERRED"):
            yield


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""

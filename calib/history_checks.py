"""The checks in a calibration history: what experiments found, also where nothing was changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from calib.history_entries import Check, Finding, Moment, Verdict, from_microseconds, microseconds
from calib.history_rows import moment_column

_COLUMNS = (
    "id, node, target, verdict, deviation, uncertainty, unit, utc_us, device_time_s, run, change"
)
Target = tuple[int, ...]

# All of these run inside a transaction; `owner` is the device's number.


def add_check(
    connection: sqlite3.Connection,
    owner: int,
    found: Finding,
    utc: datetime,
    device_time_s: float | None,
    run: str,
) -> int:
    """Writes a check down, as one made on the newest change; returns its number."""
    cursor = connection.execute(
        "INSERT INTO checks (device, node, target, verdict, deviation, uncertainty, unit, utc_us, "
        "device_time_s, run, change) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, max(id) FROM changes "
        "WHERE device = ?",
        [owner, found.node, _text(found.target), found.verdict, found.deviation, found.uncertainty,
         found.unit, microseconds(utc), device_time_s, run, owner],
    )  # fmt: skip
    assert cursor.lastrowid is not None  # an INSERT has one
    return cursor.lastrowid


def checks_of(
    connection: sqlite3.Connection, owner: int, since: Moment | None, newest: int | None
) -> list[Check]:
    """The checks of a device, the oldest first."""
    if not _has_checks(connection):
        return []
    condition, given = "TRUE", []
    if since is not None:
        column, value = moment_column(since)
        condition, given = f"{'change' if column == 'id' else column} >= ?", [value]
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM checks WHERE device = ? AND {condition} ORDER BY id DESC LIMIT ?",
        [owner, *given, -1 if newest is None else newest],
    ).fetchall()
    return [_check(row) for row in reversed(rows)]


def latest_checks_of(
    connection: sqlite3.Connection, owner: int, verdict: Verdict | None
) -> dict[tuple[str, Target], Check]:
    """The last check (with one verdict) of each node on each target, by node and target."""
    if not _has_checks(connection):
        return {}
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM checks WHERE id IN (SELECT max(id) FROM checks WHERE device = ? "
        "AND (? IS NULL OR verdict = ?) GROUP BY node, target) ORDER BY id",
        [owner, verdict, verdict],
    ).fetchall()
    return {(check.node, check.target): check for check in map(_check, rows)}


def latest_check_time(connection: sqlite3.Connection, owner: int) -> float | None:
    """The device's clock at its newest check that tells it."""
    if not _has_checks(connection):
        return None
    row = connection.execute(
        "SELECT device_time_s FROM checks WHERE device = ? AND device_time_s IS NOT NULL "
        "ORDER BY id DESC LIMIT 1", [owner]).fetchone()  # fmt: skip
    return row[0] if row else None


def _has_checks(connection: sqlite3.Connection) -> bool:
    """Whether the file can hold checks: one of schema 1 that was opened to read cannot."""
    return connection.execute("PRAGMA user_version").fetchone()[0] > 1


def _text(target: Sequence[int]) -> str:
    return "-".join(f"q{qubit}" for qubit in target)


def _check(row: tuple[Any, ...]) -> Check:
    number, node, target, verdict, deviation, uncertainty, unit, utc_us, time_s, run, change = row
    qubits = tuple(int(qubit[1:]) for qubit in target.split("-"))
    return Check(node, qubits, verdict, deviation, uncertainty, unit, id=number, run=run,
                 utc=from_microseconds(utc_us), device_time_s=time_s, change=change)  # fmt: skip

"""The SQLite file of a calibration history: its schema, and how it is opened safely."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Literal

Access = Literal["read", "write", "create"]

MEMORY = ":memory:"
SCHEMA_VERSION = 2
_APPLICATION_ID = 0x73796E64  # "synd": tells our files from other programs' SQLite files
_MAGIC = b"SQLite format 3\0"
BUSY_TIMEOUT_S = 30.0

# `changes` are numbered 1, 2, 3 ... over all devices; nothing is ever deleted: there are no gaps.
# An entry without a value says that an undo withdrew the knob; `measured` is the change that first
# recorded the value. The order index holds all that a search by time reads.
_CHANGES = """
CREATE TABLE devices (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE knobs (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices,
    name TEXT NOT NULL,
    UNIQUE (device, name)
);
CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices,
    utc_us INTEGER NOT NULL,
    device_time_s REAL,
    run TEXT NOT NULL,
    comment TEXT NOT NULL,
    restores INTEGER
);
CREATE TABLE entries (
    knob INTEGER NOT NULL REFERENCES knobs,
    change INTEGER NOT NULL REFERENCES changes,
    value REAL,
    uncertainty REAL,
    source TEXT NOT NULL,
    measured INTEGER NOT NULL REFERENCES changes,
    PRIMARY KEY (knob, change)
) WITHOUT ROWID;
CREATE INDEX changes_in_order ON changes (device, id, utc_us, device_time_s);
CREATE INDEX entries_by_change ON entries (change);
"""
# Since version 2. `change` is the device's newest change-set when the check was written down.
_CHECKS = """
CREATE TABLE checks (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES devices,
    change INTEGER NOT NULL REFERENCES changes,
    node TEXT NOT NULL,
    target TEXT NOT NULL,
    verdict TEXT NOT NULL,
    deviation REAL,
    uncertainty REAL,
    unit TEXT NOT NULL,
    utc_us INTEGER NOT NULL,
    device_time_s REAL,
    run TEXT NOT NULL
);
CREATE INDEX checks_in_order ON checks (device, node, target, id);
"""


def _growing(*tables: str) -> str:
    """Triggers that forbid to change or delete rows."""
    return "".join(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'a history is only ever added to'); END;\n"
        for table in tables
        for verb in ("UPDATE", "DELETE")
    )


# What brings a file of a version to the next one; 0 is an empty file.
_STEPS = {
    0: _CHANGES + _growing("devices", "knobs", "changes", "entries"),
    1: _CHECKS + _growing("checks"),
}


def open_file(path: str | os.PathLike[str], access: Access) -> sqlite3.Connection:
    """A connection in autocommit mode to a history's file; one clear ValueError if it is none.

    "create" makes the file where there is none, "write" and "read" do not; "read" changes nothing.
    """
    if os.fspath(path) == MEMORY:
        return _prepared(sqlite3.connect(MEMORY, isolation_level=None))
    file = pathlib.Path(path)
    _check_place(file, access)
    try:
        return _open_to_read(file) if access == "read" else _opened(file, "mode=rwc")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise
        raise ValueError(f"{file}: cannot be opened to {access}: {error}") from None
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{file}: not a calibration history: {error}{_rescue(error)}") from None


def _check_place(file: pathlib.Path, access: Access) -> None:
    """Refuses what is plainly wrong before SQLite touches anything."""
    if file.is_dir():
        raise ValueError(f"{file}: expected a calibration history, got a folder")
    if not file.exists():
        if access != "create":
            raise ValueError(f"{file}: no such calibration history: give another by --history, or "
                             "make one with `syndrift calibrate`")  # fmt: skip
        if not file.absolute().parent.is_dir():
            raise ValueError(f"{file}: its folder does not exist: make it first")
        return
    with file.open("rb") as opened:
        head = opened.read(len(_MAGIC))
    if head and head != _MAGIC:  # SQLite takes a short text file for an empty database
        raise ValueError(f"{file}: not a calibration history (not an SQLite file)")


def _open_to_read(file: pathlib.Path) -> sqlite3.Connection:
    # "rw" with writing forbidden: a connection opened as "ro" leaves its -wal and -shm behind.
    for query in ("mode=rw", "mode=ro"):
        with contextlib.suppress(sqlite3.OperationalError):
            connection = _opened(file, query)
            connection.execute("PRAGMA query_only=ON")
            return connection
    # In a folder that we cannot write to, a WAL database opens only as immutable; that is sound
    # while it has no -wal file, that is while nobody has it open to write.
    return _opened(file, "mode=ro" if _has_wal(file) else "mode=ro&immutable=1")


def _opened(file: pathlib.Path, query: str) -> sqlite3.Connection:
    """A connection to a file that was found to be a history, or made one."""
    uri = f"{file.absolute().as_uri()}?{query}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    try:
        with transaction(connection, "DEFERRED"):
            found = _is_history(connection, file)
        if query == "mode=rwc":
            return _prepared(connection)
        if not found:
            raise ValueError(f"{file}: holds no calibration history yet")
    except BaseException:
        connection.close()
        raise
    return connection


def _has_wal(file: pathlib.Path) -> bool:
    wal = file.with_name(f"{file.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _is_history(connection: sqlite3.Connection, file: pathlib.Path) -> bool:
    """Whether the database is a history; False if empty, ValueError if it is something else."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and version == 0 and tables == 0:
        return False
    if application != _APPLICATION_ID:
        raise ValueError(f"{file}: not a calibration history (another program's SQLite file)")
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"{file}: written by a newer syndrift (schema {version}, this one reads "
            f"{SCHEMA_VERSION}): update syndrift"
        )
    return True


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection with safe settings, and the newest schema in place."""
    # WAL: readers see the last commit while a writer is at work. FULL: a commit that was
    # acknowledged has reached the disk.
    _begin_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()  # another may be quicker
        for step in range(version, SCHEMA_VERSION):
            for statement in _statements(_STEPS[step]):
                connection.execute(statement)
        if version < SCHEMA_VERSION:
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    return connection


def _statements(script: str) -> Iterator[str]:
    """The statements one by one: `executescript` would commit the transaction around it."""
    statement = ""
    for line in script.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _begin_wal(connection: sqlite3.Connection) -> None:
    """Switches to write-ahead logging; SQLite's own patience does not cover this step."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            return  # a file system without shared memory: slower for many, and just as safe


@contextlib.contextmanager
def transaction(
    connection: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
) -> Iterator[None]:
    """All or none of what happens inside; "DEFERRED" for reading one and the same state."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def plain_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns SQLite's errors into a RuntimeError that names the file and what to do."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a use in another thread or after closing: a mistake in the code
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise RuntimeError(
                f"{path}: another process has been writing for {BUSY_TIMEOUT_S:g} s: try again"
            ) from error
        raise RuntimeError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise RuntimeError(f"{path}: {error}{_rescue(error)}") from error


def _rescue(error: sqlite3.DatabaseError) -> str:
    """What to do about a damaged file."""
    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:  # the low byte is the kind
        return ""
    return ("; the file is damaged: take a backup, or begin anew with another --history "
            "(`sqlite3 FILE .recover` may save parts of it)")  # fmt: skip

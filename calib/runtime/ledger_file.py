"""The SQLite file of a job ledger: its schema, how it is opened, and who may send."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
from collections.abc import Iterator

from calib.history_file import BUSY_TIMEOUT_S, Access, transaction

_SCHEMA_VERSION = 1
_APPLICATION_ID = 0x73796E6A  # "synj": tells a ledger from a history and from others' files
_MAGIC = b"SQLite format 3\0"

# Times are microseconds since 1970, UTC. Circuits and snapshots of properties are stored once,
# however many jobs share them. `service_job` is the service's id of a job.
_SCHEMA = """
CREATE TABLE deployments (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    service TEXT NOT NULL,
    backend TEXT NOT NULL,
    about TEXT NOT NULL,
    estimate TEXT NOT NULL,
    ceiling_seconds REAL,
    created_us INTEGER NOT NULL
);
CREATE TABLE circuits (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, qpy BLOB NOT NULL);
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    utc_us INTEGER NOT NULL,
    properties BLOB NOT NULL
);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    deployment INTEGER NOT NULL REFERENCES deployments,
    position INTEGER NOT NULL,
    tag TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    service_job TEXT,
    shots INTEGER NOT NULL,
    options TEXT NOT NULL,
    estimate_seconds REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    seconds_charged REAL,
    error TEXT,
    sending_us INTEGER,
    sent_us INTEGER,
    ended_us INTEGER,
    at_sending INTEGER REFERENCES snapshots,
    at_fetching INTEGER REFERENCES snapshots,
    UNIQUE (deployment, position)
);
CREATE TABLE job_circuits (
    job INTEGER NOT NULL REFERENCES jobs,
    position INTEGER NOT NULL,
    circuit INTEGER NOT NULL REFERENCES circuits,
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs,
    circuit INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX results_in_order ON results (job, circuit, id);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs,
    utc_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    note TEXT
);
"""


def open_ledger(path: pathlib.Path, access: Access) -> sqlite3.Connection:
    """A connection in autocommit mode; one clear ValueError if the file is no ledger.

    "create" makes the file (and its folder) where there is none; "write" and "read" do not.
    """
    _check_place(path, access)
    query = "mode=rwc" if access == "create" else "mode=rw"
    try:
        return _opened(path, query, access)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise RuntimeError(f"{path}: another process has been writing for "
                               f"{BUSY_TIMEOUT_S:g} s: try again") from None  # fmt: skip
        raise ValueError(f"{path}: cannot be opened to {access}: {error}") from None
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path}: not a job ledger, or damaged: {error}: give another --ledger "
                         "(`sqlite3 FILE .recover` may save parts of it)") from None  # fmt: skip


def _check_place(path: pathlib.Path, access: Access) -> None:
    if path.is_dir():
        raise ValueError(f"{path}: expected a job ledger, got a folder")
    if not path.exists():
        if access != "create":
            raise ValueError(f"{path}: no such job ledger: give another by --ledger, or make one "
                             "with `syndrift deploy ... --submit`")  # fmt: skip
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        return
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head and head != _MAGIC:  # SQLite takes a short text file for an empty database
        raise ValueError(f"{path}: not a job ledger (not an SQLite file)")


def _opened(path: pathlib.Path, query: str, access: Access) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{query}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    try:
        if not _is_ledger(connection, path):
            if access == "read":
                raise ValueError(f"{path}: holds no jobs yet")
            _create(connection, path)
        if access == "read":
            connection.execute("PRAGMA query_only=ON")
        # FULL: what was committed is on the disk, so that a job is never sent with a tag that a
        # power cut forgets.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_ledger(connection: sqlite3.Connection, path: pathlib.Path) -> bool:
    """Whether the database is a ledger; False if empty, ValueError if it is something else."""
    with transaction(connection, "DEFERRED"):
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and version == 0 and tables == 0:
        return False
    if application != _APPLICATION_ID:
        raise ValueError(f"{path}: not a job ledger (another program's SQLite file, or a "
                         "calibration history)")  # fmt: skip
    if version > _SCHEMA_VERSION:
        raise ValueError(f"{path}: written by a newer syndrift (schema {version}, this one reads "
                         f"{_SCHEMA_VERSION}): update syndrift")  # fmt: skip
    return True


def _create(connection: sqlite3.Connection, path: pathlib.Path) -> None:
    # WAL: `syndrift jobs` reads while another process sends. SQLite's patience does not cover the
    # switch to it; so one opener does both steps, while others wait here.
    with only_one(path, "opening", patient=True):
        if _is_ledger(connection, path):
            return  # another was quicker
        connection.execute("PRAGMA journal_mode=WAL")
        with transaction(connection):
            for statement in _SCHEMA.strip().split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")


@contextlib.contextmanager
def only_one(path: str | os.PathLike[str], doing: str, *, patient: bool = False) -> Iterator[None]:
    """Holds a ledger for one purpose; ValueError while another process does.

    By SQLite's own lock on a file beside the ledger's (as calib.lock): it ends with the process,
    however that ends. The file stays: whoever removed it would let a third process lock a new one
    while a second still holds the old.
    """
    lock = sqlite3.connect(
        f"{os.fspath(path)}.{doing.replace(' ', '-')}.lock",
        timeout=BUSY_TIMEOUT_S if patient else 0,
        isolation_level=None,
    )
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise ValueError(f"{path}: cannot be locked: {error}") from None
            raise ValueError(f"{path}: another process is {doing} just now: wait for it, or stop "
                             "it, then try again") from None  # fmt: skip
        yield
    finally:
        lock.close()

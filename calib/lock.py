"""One calibrator a device: two would move the same knobs by what the other has made stale."""

from __future__ import annotations

import hashlib
import os
import pathlib
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def alone(history: str | os.PathLike[str], device: str) -> Generator[None]:
    """Holds a device of a history's file; ValueError while another process does.

    By SQLite's own lock on a file beside the history's: it ends with the process, however that
    ends, and works wherever the history does.
    """
    digest = hashlib.sha256(device.encode()).hexdigest()[:8]
    path = pathlib.Path(f"{os.fspath(history)}.{digest}.lock")
    if not path.parent.is_dir():
        raise ValueError(f"{history}: its folder does not exist: make it first")
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise ValueError(
            f"{device} is being calibrated by another process, into {history}: wait for it, or "
            f"give another device.name or --history ({error})"
        ) from None
    try:
        yield
    finally:
        connection.close()
        path.unlink(missing_ok=True)

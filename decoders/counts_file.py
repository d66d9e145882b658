"""The CSV of a collection, in sinter's format: read in one pass, appended to by one process."""

from __future__ import annotations

import collections
import contextlib
import csv
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import sinter

_HEADER = (sinter.CSV_HEADER + "\n").encode()
_COLUMNS = [name.strip() for name in sinter.CSV_HEADER.split(",")]


def read_rows(csv_path: pathlib.Path) -> list[sinter.TaskStats]:
    """The rows one by one, as they were appended (sinter's own reader gives only their sums)."""
    with csv_path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        try:
            header = [name.strip() for name in next(lines, _COLUMNS)]
            if header != _COLUMNS:
                raise ValueError(f"expected the columns {', '.join(_COLUMNS)}")
            return [_row(cells) for cells in lines if cells]
        except (ValueError, TypeError, KeyError, AssertionError) as error:
            reason = str(error) or "counts that cannot be"
            raise ValueError(f"{csv_path}: not a results file of sinter's ({reason})") from error


def _row(cells: Sequence[str]) -> sinter.TaskStats:
    if len(cells) != len(_COLUMNS):
        raise ValueError(f"a row has {len(cells)} columns: {','.join(cells)[:60]}")
    values = dict(zip(_COLUMNS, cells, strict=True))
    return sinter.TaskStats(
        strong_id=values["strong_id"],
        decoder=values["decoder"],
        json_metadata=json.loads(values["json_metadata"]),
        shots=int(values["shots"]),
        errors=int(values["errors"]),
        discards=int(values["discards"]),
        seconds=float(values["seconds"]),
        custom_counts=collections.Counter(json.loads(values["custom_counts"] or "{}")),
    )


@contextlib.contextmanager
def only_writer(csv_path: pathlib.Path) -> Iterator[Callable[[sinter.TaskStats], None]]:
    """Opens the CSV for appending whole rows, as the only process that does.

    A row goes out in one write, so that a kill leaves it whole or not at all; should a machine
    that lost power leave half a row, it is cut off here: that batch was not finished.
    """
    csv_path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(csv_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        lock(descriptor, csv_path)
        _mend(descriptor, csv_path)
        yield lambda row: _write_whole(descriptor, (row.to_csv_line() + "\n").encode())
    finally:
        os.close(descriptor)


def _mend(descriptor: int, csv_path: pathlib.Path) -> None:
    """Leaves a file of whole rows under the header; touches nothing that is not ours."""
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    if text and not text.startswith(_HEADER) and not _HEADER.startswith(text):
        raise ValueError(f"{csv_path}: not a results file of sinter's: it has another first line")
    if len(text) < len(_HEADER):
        os.ftruncate(descriptor, 0)
        _write_whole(descriptor, _HEADER)
        return
    last = text[text.rfind(b"\n") + 1 :]
    if not last:
        return
    try:  # an editor may have taken only the line's end
        (cells,) = csv.reader([last.decode()])
        _row(cells)
        _write_whole(descriptor, b"\n")
    except (ValueError, TypeError, KeyError, AssertionError):
        os.ftruncate(descriptor, len(text) - len(last))


def lock(descriptor: int, path: pathlib.Path) -> None:
    """Takes an open file for this process alone, until it is closed; ValueError if it is taken."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; two writers there are the user's to avoid.
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"{path}: another syndrift is writing to it; wait for it or give another --out"
        ) from None


def _write_whole(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

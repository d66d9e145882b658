"""The history's file: what is refused, many readers and writers at once, SIGKILL at any moment."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import get_args

import pytest

from calib import history_file
from calib.controls import Knob, Update
from calib.history import History

AMPLITUDE = Knob("x.amplitude", (0,))
UPDATES = [Update(AMPLITUDE, 0.4, None, "hand")]


# Files that are no history, and places that cannot hold one.


def _written(path: pathlib.Path) -> pathlib.Path:
    with History(path) as history:
        history.record("lab", UPDATES, run="")
    return path


def _sqlite(path: pathlib.Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_what_is_no_history_is_refused_and_left_alone(tmp_path: pathlib.Path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "noise").write_bytes(random.Random(1).randbytes(5000))
    (tmp_path / "torn").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    _sqlite(tmp_path / "other", "CREATE TABLE notes (text)")
    _sqlite(_written(tmp_path / "newer"), "PRAGMA user_version = 99")
    for name, says in {
        "text": "not a calibration history",
        "noise": "not a calibration history",
        "torn": "not a calibration history",
        "other": "another program's SQLite file",
        "newer": "written by a newer syndrift",
    }.items():
        before = (tmp_path / name).read_bytes()
        for access in get_args(history_file.Access):
            with pytest.raises(ValueError, match=says) as raised:
                History(tmp_path / name, access=access)
            assert "\n" not in str(raised.value)
            assert str(tmp_path / name) in str(raised.value)
        assert (tmp_path / name).read_bytes() == before


def test_a_damaged_history_is_said_to_be_one_with_what_to_do(tmp_path: pathlib.Path):
    content = _written(tmp_path / "h.sqlite").read_bytes()
    advice = r"the file is damaged: take a backup, or begin anew with another --history .*\.recover"
    (tmp_path / "short").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"not a calibration history: .*malformed; {advice}"):
        History(tmp_path / "short", access="read")
    # The first page, the schema, is whole; the tables are not.
    (tmp_path / "torn").write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with (
        History(tmp_path / "torn", access="read") as history,
        pytest.raises(RuntimeError, match=f"torn: .*malformed; {advice}") as raised,
    ):
        history.values("lab")
    assert "\n" not in str(raised.value)


def test_places_where_there_is_no_history(tmp_path: pathlib.Path):
    for access in ("read", "write"):
        with pytest.raises(ValueError, match="no such calibration history"):
            History(tmp_path / "none.sqlite", access=access)
    with pytest.raises(ValueError, match="expected a calibration history, got a folder"):
        History(tmp_path)
    with pytest.raises(ValueError, match="its folder does not exist"):
        History(tmp_path / "none" / "h.sqlite")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no calibration history yet"):
        History(tmp_path / "empty", access="read")
    with History(tmp_path / "empty") as history:  # an empty file may become one
        assert history.devices() == []


@pytest.fixture
def read_only_folder() -> Iterator[pathlib.Path]:
    """A folder with a history in which we may only read: as root we step down to nobody."""
    folder = pathlib.Path(tempfile.mkdtemp())
    _written(folder / "h.sqlite")
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_read_only_folder_can_be_read_from_but_not_written_to(read_only_folder: pathlib.Path):
    with History(read_only_folder / "h.sqlite", access="read") as history:
        assert history.values("lab") == {AMPLITUDE: 0.4}
    for name in ("h.sqlite", "new.sqlite"):
        with pytest.raises(ValueError, match=f"{name}: cannot be opened to create") as raised:
            History(read_only_folder / name)
        assert "\n" not in str(raised.value)


def test_a_reader_changes_nothing(tmp_path: pathlib.Path):
    path = _written(tmp_path / "h.sqlite")
    before = path.read_bytes()
    with (
        History(path, access="read") as history,
        pytest.raises(RuntimeError, match="readonly database"),
    ):
        history.record("lab", UPDATES, run="")
    assert path.read_bytes() == before


def test_nothing_can_be_changed_or_deleted_even_by_others(tmp_path: pathlib.Path):
    path = _written(tmp_path / "h.sqlite")
    for statement in ("DELETE FROM entries", "UPDATE entries SET value = 1", "DELETE FROM changes",
                      "UPDATE changes SET run = ''", "DELETE FROM devices"):  # fmt: skip
        with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
            _sqlite(path, statement)


# Many at once.


def test_a_writer_that_waits_too_long_is_told_so(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    path = _written(tmp_path / "h.sqlite")
    monkeypatch.setattr(history_file, "BUSY_TIMEOUT_S", 0.05)
    with History(path) as history, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RuntimeError, match=r"another process has been writing for 0\.05 s"):
            history.record("lab", UPDATES, run="")
        assert history.values("lab") == {AMPLITUDE: 0.4}  # readers do not wait
        other.rollback()
        assert history.record("lab", UPDATES, run="") == 2


def test_another_thread_opens_its_own(tmp_path: pathlib.Path):
    path = _written(tmp_path / "h.sqlite")
    found: list[object] = []

    def look(history: History) -> None:
        try:
            found.append(history.devices())
        except sqlite3.ProgrammingError as error:
            found.append(error)
        with History(path, access="read") as own:
            found.append(own.devices())

    with History(path) as history:
        thread = threading.Thread(target=look, args=[history])
        thread.start()
        thread.join()
    assert isinstance(found[0], sqlite3.ProgrammingError)
    assert found[1] == ["lab"]


# Writes change-sets of three equal values, 1, 2, 3 ..., and says each one's number once it is safe.
WRITER = """
import sys
from calib.controls import Knob, Update
from calib.history import History
path, device, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
knobs = [Knob("x.amplitude", (qubit,)) for qubit in range(3)]
with History(path) as history:
    for value in range(1, count + 1):
        change = history.record(device, [Update(knob, value, None, "w") for knob in knobs], run="r")
        print(change, flush=True)
"""


def start_writer(path: pathlib.Path, device: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), device, str(count)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=pathlib.Path(history_file.__file__).parents[1],
    )  # fmt: skip


def check_whole(path: pathlib.Path) -> int:
    """Holds a file to whole change-sets, numbered without gaps; returns how many there are."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        numbers = [n for (n,) in connection.execute("SELECT id FROM changes ORDER BY id")]
        assert numbers == list(range(1, len(numbers) + 1))
        groups = connection.execute(
            "SELECT count(*), count(DISTINCT value) FROM entries GROUP BY change"
        ).fetchall()
        assert groups == [(3, 1)] * len(numbers)
    return len(numbers)


def test_sigkill_at_any_moment_loses_no_acknowledged_change(tmp_path: pathlib.Path):
    path, moments, kept = tmp_path / "h.sqlite", random.Random(7), 0
    for attempt in range(20):
        process = start_writer(path, "lab", 1_000_000)
        assert process.stdout is not None
        if attempt:  # the first is killed wherever it is, perhaps while it makes the file
            process.stdout.readline()
        time.sleep(moments.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, err
        last = int(out.split()[-1]) if out.split() else kept + (attempt > 0)
        with History(path) as history:  # also mends what was left behind
            written = check_whole(path)
            assert last <= written <= last + 1
            if written:
                newest = history.entries("lab", newest=1)[0].value
                assert set(history.values("lab").values()) == {newest}
        kept = written
    assert kept >= 19  # each but the first was killed after at least one commit


def test_a_killed_writer_leaves_what_a_reader_can_read_at_once(tmp_path: pathlib.Path):
    path = tmp_path / "h.sqlite"
    process = start_writer(path, "lab", 1_000_000)
    assert process.stdout is not None
    for _ in range(10):
        process.stdout.readline()
    process.kill()
    process.communicate(timeout=60)
    with History(path, access="read") as history:
        assert len(history.changes("lab")) >= 10


@pytest.mark.parametrize("same_device", [True, False])
def test_two_writers_at_once_lose_nothing(tmp_path: pathlib.Path, same_device: bool):
    path = tmp_path / "h.sqlite"
    devices = ["lab", "lab" if same_device else "other"]
    writers = [start_writer(path, device, 500) for device in devices]
    acknowledged = []
    for writer in writers:
        out, err = writer.communicate(timeout=120)
        assert writer.returncode == 0, err
        acknowledged.append([int(word) for word in out.split()])
        assert len(acknowledged[-1]) == 500
    assert sorted(acknowledged[0] + acknowledged[1]) == list(range(1, 1001))
    assert check_whole(path) == 1000
    with History(path, access="read") as history:
        for device, numbers in zip(devices, acknowledged, strict=True):
            mine = [e.value for e in history.entries(device) if e.change.id in set(numbers)]
            assert mine == [float(value) for value in range(1, 501) for _ in range(3)]


def test_readers_see_whole_change_sets_while_one_writes(tmp_path: pathlib.Path):
    path = _written(tmp_path / "h.sqlite")
    writer = start_writer(path, "busy", 400)
    assert writer.stdout is not None
    writer.stdout.readline()
    seen: list[int] = []
    with History(path, access="read") as one, History(path, access="read") as two:
        while writer.poll() is None:
            for reader in (one, two):
                state = reader.in_force("busy")
                assert len(state) == 3
                assert len({entry.change.id for entry in state.values()}) == 1
                seen.append(state[AMPLITUDE].change.id)
                assert len(reader.entries("busy", newest=9)) in (3, 6, 9)
        writer.communicate()
        assert seen == sorted(seen)
        assert len(set(seen)) > 1
        assert one.values("busy")[AMPLITUDE] == 400

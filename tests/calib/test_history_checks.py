"""Checks in the history: what is kept of them, their order, the upgrade of older files, SIGKILL."""

import contextlib
import math
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

import pytest

from calib import history_file
from calib.controls import Knob, Update
from calib.history import Check, DeviceTime, Finding, History
from calib.history_entries import VERDICTS, Verdict

AMPLITUDE = Knob("x.amplitude", (0,))
BEGUN = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
GOOD = Finding("rabi", (0,), "in tolerance", 0.01, 0.002, "rad")
OFF = Finding("cz_phase", (1, 0), "corrected", -0.3, 0.02, "rad")
LOST = Finding("rabi", (0,), "not trusted", math.nan, math.inf, "rad")


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "h.sqlite"


def record(history: History, value: float, device: str = "lab") -> int:
    return history.record(device, [Update(AMPLITUDE, value, None, "hand")], run="")


def test_what_was_found_is_read_back(path: pathlib.Path):
    hours = iter(range(9))
    with History(path, clock=lambda: BEGUN + timedelta(hours=next(hours))) as history:
        record(history, 0.4)
        assert history.check("lab", GOOD, run="runs/a", device_time_s=10.5) == 1
        record(history, 0.5)
        assert history.check("lab", OFF, run="") == 2
    with History(path, access="read") as history:
        assert history.checks("lab") == [
            Check("rabi", (0,), "in tolerance", 0.01, 0.002, "rad", id=1, run="runs/a", change=1,
                  utc=BEGUN + timedelta(hours=1), device_time_s=10.5),
            Check("cz_phase", (1, 0), "corrected", -0.3, 0.02, "rad", id=2, run="", change=2,
                  utc=BEGUN + timedelta(hours=3), device_time_s=None),
        ]  # fmt: skip


def test_numbers_that_are_none_are_kept_as_none(path: pathlib.Path):
    with History(path) as history:
        record(history, 0.4)
        history.check("lab", LOST, run="")
        (check,) = history.checks("lab")
        assert (check.deviation, check.uncertainty) == (None, None)


def test_the_latest_of_each_experiment_on_each_target(path: pathlib.Path):
    with History(path) as history:
        record(history, 0.4)
        for time_s, found in enumerate((GOOD, OFF, GOOD, LOST)):
            history.check("lab", found, run="", device_time_s=float(time_s))
        record(history, 0.7, "other")
        history.check("other", GOOD, run="", device_time_s=99.0)
        latest = history.latest_checks("lab")
        assert {key: check.id for key, check in latest.items()} == {
            ("cz_phase", (1, 0)): 2, ("rabi", (0,)): 4
        }  # fmt: skip
        passed = history.latest_checks("lab", "in tolerance")
        assert {key: check.id for key, check in passed.items()} == {("rabi", (0,)): 3}
        assert [check.id for check in history.checks("lab", newest=2)] == [3, 4]
        assert [check.id for check in history.checks("lab", since=DeviceTime(1.0))] == [2, 3, 4]
        assert [check.id for check in history.checks("other")] == [5]
        record(history, 0.5)
        assert history.checks("lab", since=3) == []
        assert len(history.checks("lab", since=1)) == 4


def test_the_clock_is_that_of_the_newest_change_or_check(path: pathlib.Path):
    updates = [Update(AMPLITUDE, 0.4, None, "hand")]
    with History(path) as history:
        history.record("lab", updates, run="", device_time_s=5.0)
        assert history.device_time_s("lab") == 5.0
        history.check("lab", GOOD, run="", device_time_s=7.5)
        assert history.device_time_s("lab") == 7.5
        history.record("lab", updates, run="", device_time_s=8.0)
        assert history.device_time_s("lab") == 8.0
        record(history, 0.4, "other")
        assert history.device_time_s("other") is None


def test_every_verdict_can_be_kept(path: pathlib.Path):
    verdicts: tuple[Verdict, ...] = get_args(Verdict)
    assert {"in tolerance", "corrected", "not trusted", "not resolved"} <= set(verdicts)
    assert list(VERDICTS) == list(verdicts)  # each is explained
    with History(path) as history:
        record(history, 0.4)
        for verdict in verdicts:
            history.check("lab", Finding("rabi", (0,), verdict, 0.1, 0.2, "rad"), run="")
        assert [check.verdict for check in history.checks("lab")] == list(verdicts)


def test_a_check_that_cannot_be_kept_is_refused_and_nothing_is_written(path: pathlib.Path):
    with History(path) as history:
        record(history, 0.4)
        for found, says in (
            (Finding("", (0,), "corrected", 0.0, 0.0, ""), "name of its experiment"),
            (Finding("rabi", (), "corrected", 0.0, 0.0, ""), "needs its qubits"),
            (Finding("rabi", (0,), cast(Any, "fine"), 0.0, 0.0, ""), "got 'fine'"),
        ):
            with pytest.raises(ValueError, match=says):
                history.check("lab", found, run="")
        with pytest.raises(ValueError, match="device_time_s"):
            history.check("lab", GOOD, run="", device_time_s=math.nan)
        with pytest.raises(ValueError, match="no device 'lap'; did you mean lab"):
            history.check("lap", GOOD, run="")
        with pytest.raises(ValueError, match="newest must be at least 1"):
            history.checks("lab", newest=0)
        assert history.checks("lab") == []


def test_checks_are_only_ever_added_to(path: pathlib.Path):
    with History(path) as history:
        record(history, 0.4)
        history.check("lab", GOOD, run="")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in ("DELETE FROM checks", "UPDATE checks SET verdict = 'corrected'"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
                connection.execute(statement)


def as_version_1(path: pathlib.Path) -> None:
    """Makes the file what version 1 of the schema was: the same without checks."""
    with History(path) as history:
        record(history, 0.4)
        record(history, 0.5)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE checks")  # its triggers and its index go with it
        connection.execute("PRAGMA user_version = 1")


def schema(path: pathlib.Path) -> tuple[list[tuple[str, str]], int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return rows, version


def test_a_file_of_version_1_is_read_as_it_is_and_upgraded_when_written_to(path: pathlib.Path):
    as_version_1(path)
    before = path.read_bytes()
    with History(path, access="read") as history:
        assert history.values("lab") == {AMPLITUDE: 0.5}
        assert history.checks("lab") == []
        assert history.latest_checks("lab") == {}
        assert history.device_time_s("lab") is None
    assert path.read_bytes() == before
    with History(path, access="write") as history:
        assert [entry.value for entry in history.entries("lab")] == [0.4, 0.5]
        assert history.check("lab", GOOD, run="") == 1
    with History(path.with_name("new.sqlite")) as history:
        record(history, 0.4)
    assert schema(path) == schema(path.with_name("new.sqlite"))
    assert schema(path)[1] == history_file.SCHEMA_VERSION == 2


def test_an_upgrade_that_fails_leaves_version_1(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    as_version_1(path)
    before = schema(path)
    broken = {**history_file._STEPS, 1: history_file._STEPS[1] + "CREATE TABLE changes (id);\n"}
    with monkeypatch.context() as patch:
        patch.setattr(history_file, "_STEPS", broken)
        with pytest.raises(ValueError, match="already exists"):
            History(path)
    assert schema(path) == before
    with History(path) as history:
        assert history.values("lab") == {AMPLITUDE: 0.5}
    assert schema(path)[1] == 2


# One change-set, then checks 1, 2, 3 ..., each with its own number as its device time.
WRITER = """
import sys
from calib.controls import Knob, Update
from calib.history import Finding, History
found = Finding("rabi", (0,), "in tolerance", 0.0, 0.1, "rad")
with History(sys.argv[1]) as history:
    history.record("lab", [Update(Knob("x.amplitude", (0,)), 0.4, None, "hand")], run="")
    number = len(history.checks("lab"))
    while True:
        number += 1
        print(history.check("lab", found, run="r", device_time_s=number), flush=True)
"""


def test_sigkill_at_any_moment_loses_no_acknowledged_check(path: pathlib.Path):
    as_version_1(path)  # so that the first kill may fall into the upgrade
    moments, kept = random.Random(3), 0
    for attempt in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=pathlib.Path(history_file.__file__).parents[1],
        )  # fmt: skip
        assert process.stdout is not None
        if attempt > 2:
            process.stdout.readline()
        time.sleep(moments.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, err
        # The pipe may end in half a line; a whole one ends with its newline.
        whole = [int(line) for line in out.splitlines(keepends=True) if line.endswith("\n")]
        last = whole[-1] if whole else kept
        with History(path) as history:
            checks = history.checks("lab")
        assert [check.device_time_s for check in checks] == [float(c.id) for c in checks]
        assert last <= len(checks) <= last + 1 + (attempt > 2 and not whole)
        kept = len(checks)
        assert schema(path)[1] == 2
    assert kept >= 7  # each of the last seven wrote at least one

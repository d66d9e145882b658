"""The ledger gives back what it was given, refuses what is no ledger, and keeps one order."""

from __future__ import annotations

import contextlib
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from qiskit.circuit import ClassicalRegister, Instruction, QuantumCircuit, QuantumRegister

from calib.history import History
from calib.runtime import (
    JobState,
    Ledger,
    Limits,
    Order,
    Outcome,
    RunOptions,
    estimate,
    split,
)
from tests.calib.runtime.scripted import (
    ScriptedService,
    World,
    assert_sound,
    circuits,
    planned,
    resumed,
)

ABOUT = {"memory": "surface:3", "placement": [3, 4, 5], "predicted": {"ler": 4.9e-3}}
OPTIONS = RunOptions("both", "batch", 150.0, False, True, False, 300, 7)


def test_a_deployment_comes_back_as_it_was_planned(path: pathlib.Path):
    now = datetime(2026, 11, 21, 10, 45, 1, 234567, tzinfo=UTC)
    probe, *others = circuits(5)
    orders = split(others, 100, Limits(max_circuits=3), OPTIONS, "torino", probes=(probe,))
    cost = estimate(orders, seconds_per_execution=[1e-3] * 6)
    with Ledger.open(path, clock=lambda: now) as ledger:
        added = ledger.add("first", "ibm", "torino", ABOUT, orders, cost, 60.0)
    with Ledger.open(path, "read") as ledger:
        assert ledger.deployments() == [added]
        assert ledger.deployment(1) == added
        assert (added.about, added.estimate, added.ceiling_seconds) == (ABOUT, cost, 60.0)
        assert (added.name, added.service, added.backend) == ("first", "ibm", "torino")
        assert added.created == now
        back = ledger.orders(1)
        assert back == orders  # circuits compare by their instructions
        assert [one.name for one in back[1].circuits] == ["circuit-0", "circuit-3", "circuit-4"]
        assert back[0].circuits[0] is back[1].circuits[0]
        for row, order in zip(ledger.jobs(1), orders, strict=True):
            assert (row.tag, row.shots, row.circuits) == (order.tag, 100, 3)
            assert (row.state, row.attempts, row.service_job) == (JobState.planned, 0, None)
            assert row.options == OPTIONS
            assert row.calibration_changed is None
            assert row.seconds == 0.0
        assert ledger.outcomes(1) == [[], []]
        with pytest.raises(ValueError, match=r"has no deployment 3; it has: 1"):
            ledger.jobs(3)


def test_what_is_shared_is_stored_once(path: pathlib.Path):
    planned(path, jobs=4)
    planned(path, jobs=4)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM circuits").fetchone() == (5,)
        assert connection.execute("SELECT count(*) FROM job_circuits").fetchone() == (16,)


def test_a_devices_own_instructions_come_back(path: pathlib.Path):
    """Fast measurements as IBM's are: an instruction of their own, with parts of registers."""
    registers = QuantumRegister(2, "q"), ClassicalRegister(1, "a"), ClassicalRegister(2, "b")
    circuit = QuantumCircuit(*registers, metadata={"measurements": [0, 2]})
    circuit.append(Instruction("measure_2", 1, 1, []), [0], [1])
    circuit.delay(80, 1, unit="dt")
    circuit.measure(1, 2)
    order = Order("tag", "kingston", (circuit,), 5)
    cost = estimate([order], seconds_per_execution=[1e-3])
    with Ledger.open(path) as ledger:
        ledger.add("fast", "ibm", "kingston", {}, [order], cost, None)
        (back,) = ledger.orders(1)[0].circuits
    assert [one.operation.name for one in back.data] == ["measure_2", "delay", "measure"]
    assert [back.find_bit(bit).registers[0][0].name for bit in back.clbits] == ["a", "b", "b"]
    assert back.metadata == {"measurements": [0, 2]}
    assert back == circuit


def test_the_steps_of_a_job_with_their_times_and_results(path: pathlib.Path):
    times = (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=k) for k in range(1000))
    number = planned(path, jobs=1)
    rng = np.random.default_rng(1)
    outcomes = [Outcome(rng.integers(0, 8, (20, 1), dtype=np.uint8)) for _ in range(2)]
    with Ledger.open(path, "write", clock=lambda: next(times)) as ledger:
        (job,) = ledger.jobs(number)
        assert ledger.begin_sending(job.id, {"t1": 1})
        assert not ledger.begin_sending(job.id, {"t1": 1})
        assert ledger.jobs(number)[0].seconds == job.estimate_seconds
        ledger.sent(job.id, "abc", "found")
        ledger.moved(job.id, JobState.running)
        ledger.store(job.id, outcomes, properties={"t1": 2})
        ledger.charged(job.id, 3.5)
        # What comes late changes nothing.
        ledger.moved(job.id, JobState.failed, "late")
        ledger.store(job.id, [None, None], error="late")
        ledger.sent(job.id, "xyz")
        ledger.put_back(job.id, "late")
        assert ledger.cancel_planned(number) == 0
        (job,) = ledger.jobs(number)
        assert (job.state, job.service_job, job.error) == (JobState.fetched, "abc", None)
        assert (job.attempts, job.seconds, job.calibration_changed) == (1, 3.5, True)
        assert job.sending is not None
        assert job.sent is not None
        assert job.ended is not None
        assert job.sending < job.sent < job.ended
        assert ledger.properties(job) == ({"t1": 1}, {"t1": 2})
        assert [(event.state, event.note) for event in ledger.events(number)] == [
            ("sending", None), ("queued", "found"), ("running", None), ("fetched", None),
        ]  # fmt: skip
        ((first, second),) = ledger.outcomes(number)
    np.testing.assert_array_equal(first.bits, outcomes[0].bits)  # type: ignore[arg-type]
    np.testing.assert_array_equal(second.bits, outcomes[1].bits)  # type: ignore[arg-type]


def test_plans_that_make_no_sense_are_refused(path: pathlib.Path):
    orders = [Order("a", "device", tuple(circuits(1)), 10)]
    cost = estimate(orders, seconds_per_execution=[1e-3])
    other = [Order("b", "another", tuple(circuits(1)), 10)]
    with Ledger.open(path) as ledger:
        for some, ceiling, says in (
            ([], None, "at least one order"),
            (orders * 2, None, "of 1 jobs, got 2 orders"),
            (other, None, "on one backend, device, got one for another"),
            (orders, -1.0, "ceiling must not be negative, got -1.0"),
        ):
            with pytest.raises(ValueError, match=says):
                ledger.add("x", "ibm", "device", {}, some, cost, ceiling)
        assert ledger.deployments() == []


def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path: pathlib.Path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "torn").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    History(tmp_path / "history").close()
    planned(tmp_path / "newer")
    with contextlib.closing(sqlite3.connect(tmp_path / "newer")) as connection:
        connection.execute("PRAGMA user_version = 99")
    for name, says in {
        "text": "not an SQLite file",
        "torn": "not a job ledger, or damaged",
        "history": "or a calibration history",
        "newer": "written by a newer syndrift",
    }.items():
        before = (tmp_path / name).read_bytes()
        for access in ("create", "write", "read"):
            with pytest.raises(ValueError, match=says) as raised:
                Ledger.open(tmp_path / name, access)
            assert "\n" not in str(raised.value)
        assert (tmp_path / name).read_bytes() == before


def test_places_where_there_is_no_ledger(tmp_path: pathlib.Path):
    for access in ("read", "write"):
        with pytest.raises(ValueError, match=r"none.sqlite: no such job ledger: .* --submit"):
            Ledger.open(tmp_path / "none.sqlite", access)
    with pytest.raises(ValueError, match="expected a job ledger, got a folder"):
        Ledger.open(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no jobs yet"):
        Ledger.open(tmp_path / "empty", "read")
    Ledger.open(tmp_path / "runs" / "deep" / "jobs.sqlite").close()  # makes its folder
    with Ledger.open(tmp_path / "runs" / "deep" / "jobs.sqlite", "read") as ledger:
        with pytest.raises(RuntimeError, match="readonly"):
            ledger.set_ceiling(1, 5.0)
        assert ledger.deployments() == []


def test_many_open_a_new_ledger_at_once(path: pathlib.Path):
    found: list[int] = []

    def add() -> None:
        found.append(planned(path, jobs=1))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 9))


KILLED = """
import os, pathlib, signal, sys
from calib.runtime import Ledger, runner
from tests.calib.runtime.scripted import ScriptedService, World
path, where = pathlib.Path(sys.argv[1]), sys.argv[2]
service = ScriptedService(World())
mark = path.with_name("sent")
create = service._create
def killed_before_or_after(order):
    if where == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    create(order)
    mark.write_text(order.tag)
    os.kill(os.getpid(), signal.SIGKILL)
service._create = killed_before_or_after
runner.Runner(Ledger.open(path), service).submit(1)
"""


@pytest.mark.parametrize("where", ["before", "after"])
def test_sigkill_leaves_the_tag_and_no_lock(where: str, path: pathlib.Path):
    """What a real kill leaves on the disk is what the runner's tests assume."""
    planned(path)
    root = pathlib.Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), where], cwd=root, timeout=120,
                          capture_output=True)  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger.open(path) as ledger:
        first, *others = ledger.jobs(1)
        assert first.state is JobState.sending
        assert {job.state for job in others} == {JobState.planned}
        if where == "after":
            assert path.with_name("sent").read_text() == first.tag
    service = ScriptedService(World())
    if where == "after":
        with Ledger.open(path, "read") as ledger:
            service._create(ledger.orders(1)[0])
    assert resumed(path, 1, service).states == {JobState.fetched: 3}
    assert_sound(path, 1, service)

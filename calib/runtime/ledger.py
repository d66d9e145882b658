"""The ledger of jobs: what was planned, what was sent, what it cost, and what came back."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shlex
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from calib.history_file import BUSY_TIMEOUT_S, Access, transaction
from calib.runtime.circuit_bytes import from_bytes, to_bytes
from calib.runtime.credentials import redacted
from calib.runtime.estimate import Estimate
from calib.runtime.ledger_file import open_ledger
from calib.runtime.ledger_rows import (
    DEPLOYMENT,
    JOB,
    Deployment,
    Event,
    JobRow,
    deployment_of,
    job_of,
    microseconds,
    moment,
)
from calib.runtime.order import AT_SERVICE, ENDED, JobState, Order, Outcome
from calib.runtime.outcome_bytes import outcome_of, pieces_of

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit


def _now() -> datetime:
    return datetime.now(UTC)


USUAL = "runs/jobs.sqlite"  # where the verbs keep their ledger, unless told otherwise


def jobs_command(ledger: pathlib.Path, deployments: object = "", what: str = "") -> str:
    """The command that does something with deployments of a ledger, or lists them all."""
    words = ["syndrift jobs", str(deployments), what, ledger_option(ledger)]
    return f"`{' '.join(filter(None, words))}`"


def ledger_option(ledger: pathlib.Path) -> str:
    """The option that names a ledger, nothing where it is the usual one."""
    usual = ledger.resolve() == pathlib.Path(USUAL).resolve()
    return "" if usual else f"--ledger {shlex.quote(str(ledger))}"


class Ledger:
    """All deployments and their jobs in one SQLite file; each method is one whole transaction.

    What a method wrote is on the disk when it returns, so that a process may be killed between any
    two lines. Any number of processes may use the file at once; an object belongs to the thread
    that made it. Texts of errors are freed of credentials before they are written.
    """

    def __init__(
        self, path: pathlib.Path, connection: sqlite3.Connection, clock: Callable[[], datetime]
    ) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        access: Access = "create",
        *,
        clock: Callable[[], datetime] = _now,
    ) -> Ledger:
        """The ledger in a file; "create" makes it where there is none."""
        file = pathlib.Path(path)
        return cls(file, open_ledger(file, access), clock)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def command(self, deployments: object, what: str) -> str:
        """The command that does something with deployments of this ledger, to be shown."""
        return jobs_command(self.path, deployments, what)

    def close(self) -> None:
        """Closes the file; nothing more can be asked of this object."""
        self._connection.close()

    # What is planned.

    def add(
        self,
        name: str,
        service: str,
        backend: str,
        about: Mapping[str, Any],
        orders: Sequence[Order],
        estimate: Estimate,
        ceiling_seconds: float | None,
    ) -> Deployment:
        """Writes down a deployment whose jobs are all planned, in this order."""
        _check_plan(backend, orders, estimate, ceiling_seconds)
        text = json.dumps(dict(about))
        with self._writing():
            cursor = self._connection.execute(
                "INSERT INTO deployments (name, service, backend, about, estimate, "
                "ceiling_seconds, created_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [name, service, backend, text, json.dumps(dataclasses.asdict(estimate)),
                 ceiling_seconds, self._now_us()],
            )  # fmt: skip
            number = cursor.lastrowid or 0
            known: dict[int, int] = {}  # by the object: a probe is the same one in every job
            for position, order in enumerate(orders):
                self._add_job(number, position, order, estimate.seconds_by_job[position], known)
        return self.deployment(number)

    def set_ceiling(self, deployment: int, ceiling_seconds: float | None) -> None:
        """Another ceiling for what is sent from now on."""
        _check_ceiling(ceiling_seconds)
        with self._writing():
            self._connection.execute("UPDATE deployments SET ceiling_seconds = ? WHERE id = ?",
                                     [ceiling_seconds, deployment])  # fmt: skip

    # What is known.

    def deployments(self) -> list[Deployment]:
        """All of them, the oldest first."""
        rows = self._all(f"SELECT {DEPLOYMENT} FROM deployments ORDER BY id")
        return [deployment_of(row) for row in rows]

    def deployment(self, deployment: int) -> Deployment:
        """One of them; ValueError with the known numbers if there is no such."""
        rows = self._all(f"SELECT {DEPLOYMENT} FROM deployments WHERE id = ?", deployment)
        if not rows:
            known = ", ".join(str(one.id) for one in self.deployments()) or "none"
            raise ValueError(f"{self.path} has no deployment {deployment}; it has: {known}")
        return deployment_of(rows[0])

    def jobs(self, deployment: int) -> list[JobRow]:
        """The deployment's jobs in order."""
        self.deployment(deployment)
        query = f"SELECT {JOB} FROM jobs WHERE deployment = ? ORDER BY position"
        return [job_of(row) for row in self._all(query, deployment)]

    def orders(self, deployment: int) -> list[Order]:
        """What each job runs; a circuit that several jobs share is one and the same object."""
        backend = self.deployment(deployment).backend
        seen: dict[int, QuantumCircuit] = {}
        return [self._order(job, backend, seen) for job in self.jobs(deployment)]

    def order(self, job: JobRow) -> Order:
        """What one job runs."""
        return self._order(job, self.deployment(job.deployment).backend, {})

    def outcomes(self, deployment: int) -> list[list[Outcome]]:
        """For each job one outcome a circuit, or an empty list where nothing was fetched.

        Of a job that is `partial`, circuits without results have an empty Outcome.
        """
        return [self.outcomes_of(job) for job in self.jobs(deployment)]

    def outcomes_of(self, job: JobRow) -> list[Outcome]:
        """One outcome a circuit of a job; an empty list if nothing was fetched."""
        if job.state not in (JobState.fetched, JobState.partial):
            return []
        pieces: list[list[tuple[str, bytes]]] = [[] for _ in range(job.circuits)]
        for circuit, kind, data in self._all(
            "SELECT circuit, kind, data FROM results WHERE job = ? ORDER BY circuit, id", job.id
        ):
            pieces[circuit].append((kind, data))
        return [outcome_of(some) for some in pieces]

    def properties(self, job: JobRow) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The backend's reported properties when the job was sent, and when it was fetched."""
        ((before, after),) = self._all("SELECT at_sending, at_fetching FROM jobs WHERE id = ?",
                                       job.id)  # fmt: skip
        return self._snapshot(before), self._snapshot(after)

    def events(self, deployment: int) -> list[Event]:
        """Every step of every job, in the order in which they were written."""
        rows = self._all("SELECT job, events.utc_us, events.state, note FROM events "
                         "JOIN jobs ON jobs.id = job WHERE deployment = ? ORDER BY events.id",
                         deployment)  # fmt: skip
        return [Event(job, moment(utc_us) or _now(), JobState(state), note)
                for job, utc_us, state, note in rows]  # fmt: skip

    # The steps of a job, for the runner. Each says in which states it is allowed.

    def begin_sending(self, job: int, properties: Mapping[str, Any]) -> bool:
        """Takes a planned job for sending; False if it is planned no more (cancelled, taken)."""
        with self._writing():
            taken = self._step(job, JobState.sending, (JobState.planned,), error=None)
            if taken:
                self._connection.execute(
                    "UPDATE jobs SET attempts = attempts + 1, sending_us = ?, at_sending = ? "
                    "WHERE id = ?", [self._now_us(), self._add_snapshot(properties), job],
                )  # fmt: skip
        return taken

    def send_again(self, job: int, why: str) -> None:
        """One more attempt at a job that the service surely does not have."""
        with self._writing():
            if self._step(job, JobState.sending, (JobState.sending,), error=None, note=why):
                self._connection.execute("UPDATE jobs SET attempts = attempts + 1, sending_us = ? "
                                         "WHERE id = ?", [self._now_us(), job])  # fmt: skip

    def put_back(self, job: int, why: str) -> None:
        """A job that surely was not sent is planned again."""
        with self._writing():
            self._step(job, JobState.planned, (JobState.sending,), error=why)

    def sent(self, job: int, service_job: str, note: str | None = None) -> None:
        """The service has the job under this id."""
        with self._writing():
            if self._step(job, JobState.queued, (JobState.sending,), error=None, note=note):
                self._connection.execute(
                    "UPDATE jobs SET service_job = ?, sent_us = ? WHERE id = ?",
                    [service_job, self._now_us(), job],
                )

    def moved(self, job: int, state: JobState, error: str | None = None) -> None:
        """A job at the service is in another state, or has ended without results."""
        with self._writing():
            self._step(job, state, (JobState.sending, *AT_SERVICE, JobState.lost), error=error)

    def store(
        self,
        job: int,
        outcomes: Sequence[Outcome | None],
        *,
        properties: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Writes a job's results; with an `error` they are partial. A second time is no harm."""
        state = JobState.fetched if error is None else JobState.partial
        with self._writing():
            if not self._step(job, state, (*AT_SERVICE, JobState.lost), error=error):
                return
            for circuit, outcome in enumerate(outcomes):
                self._connection.executemany(
                    "INSERT INTO results (job, circuit, kind, data) VALUES (?, ?, ?, ?)",
                    ((job, circuit, *piece) for piece in pieces_of(outcome or Outcome())),
                )
            if properties is not None:
                self._connection.execute("UPDATE jobs SET at_fetching = ? WHERE id = ?",
                                         [self._add_snapshot(properties), job])  # fmt: skip

    def charged(self, job: int, seconds: float) -> None:
        """The service says what it charged."""
        with self._writing():
            self._connection.execute("UPDATE jobs SET seconds_charged = ? WHERE id = ?",
                                     [seconds, job])  # fmt: skip

    def cancel_planned(self, deployment: int) -> int:
        """Jobs that were not sent never will be; returns how many those were."""
        with self._writing():
            planned = self._all("SELECT id FROM jobs WHERE deployment = ? AND state = ?",
                                deployment, JobState.planned)  # fmt: skip
            for (job,) in planned:
                self._step(job, JobState.cancelled, (JobState.planned,),
                           error="cancelled before it was sent")  # fmt: skip
        return len(planned)

    # Beneath.

    def _step(
        self,
        job: int,
        state: JobState,
        allowed: Sequence[JobState],
        *,
        error: str | None,
        note: str | None = None,
    ) -> bool:
        """Sets a job's state if it is in an allowed one; whether it was."""
        error, note = error and redacted(error), note and redacted(note)
        marks = ", ".join("?" * len(allowed))
        ended_us = self._now_us() if state in ENDED else None
        done = self._connection.execute(
            f"UPDATE jobs SET state = ?, error = ?, ended_us = ? WHERE id = ? "
            f"AND state IN ({marks})", [state, error, ended_us, job, *allowed],
        )  # fmt: skip
        if done.rowcount:
            self._connection.execute(
                "INSERT INTO events (job, utc_us, state, note) VALUES (?, ?, ?, ?)",
                [job, self._now_us(), state, note or error],
            )
        return bool(done.rowcount)

    def _add_job(
        self, deployment: int, position: int, order: Order, seconds: float, known: dict[int, int]
    ) -> None:
        cursor = self._connection.execute(
            "INSERT INTO jobs (deployment, position, tag, state, shots, options, "
            "estimate_seconds) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [deployment, position, order.tag, JobState.planned, order.shots,
             json.dumps(dataclasses.asdict(order.options)), seconds],
        )  # fmt: skip
        for place, circuit in enumerate(order.circuits):
            if id(circuit) not in known:
                known[id(circuit)] = self._add_circuit(circuit)
            self._connection.execute("INSERT INTO job_circuits VALUES (?, ?, ?)",
                                     [cursor.lastrowid, place, known[id(circuit)]])  # fmt: skip

    def _add_circuit(self, circuit: QuantumCircuit) -> int:
        data = to_bytes(circuit)
        return self._once("circuits", "qpy", data, "")

    def _add_snapshot(self, properties: Mapping[str, Any]) -> int:
        data = json.dumps(dict(properties), sort_keys=True, default=str).encode()
        return self._once("snapshots", "properties", data, f", {self._now_us()}")

    def _once(self, table: str, column: str, data: bytes, time_us: str) -> int:
        """The row of these bytes, new only where nothing of the same digest is there."""
        digest = hashlib.sha256(data).hexdigest()
        columns = f"digest, {column}" + (", utc_us" if time_us else "")
        self._connection.execute(
            f"INSERT OR IGNORE INTO {table} ({columns}) VALUES (?, ?{time_us})",
            [digest, zlib.compress(data)],
        )
        ((number,),) = self._all(f"SELECT id FROM {table} WHERE digest = ?", digest)
        return number

    def _order(self, job: JobRow, backend: str, seen: dict[int, QuantumCircuit]) -> Order:
        rows = self._all("SELECT circuit FROM job_circuits WHERE job = ? ORDER BY position", job.id)
        for (number,) in rows:
            if number not in seen:
                ((data,),) = self._all("SELECT qpy FROM circuits WHERE id = ?", number)
                seen[number] = from_bytes(zlib.decompress(data))
        circuits = tuple(seen[number] for (number,) in rows)
        return Order(job.tag, backend, circuits, job.shots, job.options)

    def _snapshot(self, number: int | None) -> dict[str, Any] | None:
        rows = self._all("SELECT properties FROM snapshots WHERE id = ?", number)
        return json.loads(zlib.decompress(rows[0][0])) if rows else None

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._plain_errors():
            return self._connection.execute(query, values).fetchall()

    def _now_us(self) -> int:
        return microseconds(self._clock())

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._plain_errors(), transaction(self._connection):
            yield

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a use in another thread or after closing: a mistake in the code
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise RuntimeError(f"{self.path}: another process has been writing for "
                                   f"{BUSY_TIMEOUT_S:g} s: try again") from None  # fmt: skip
            raise RuntimeError(f"{self.path}: {error}") from None


def _check_plan(
    backend: str, orders: Sequence[Order], estimate: Estimate, ceiling_seconds: float | None
) -> None:
    if not orders:
        raise ValueError("a deployment needs at least one order, got none")
    if len(estimate.seconds_by_job) != len(orders):
        raise ValueError(f"the estimate is of {len(estimate.seconds_by_job)} jobs, "
                         f"got {len(orders)} orders: estimate these")  # fmt: skip
    for order in orders:
        if order.backend != backend:
            raise ValueError(f"all orders of a deployment run on one backend, {backend}, got one "
                             f"for {order.backend}")  # fmt: skip
    _check_ceiling(ceiling_seconds)


def _check_ceiling(ceiling_seconds: float | None) -> None:
    if ceiling_seconds is not None and not ceiling_seconds >= 0:
        raise ValueError(f"the ceiling must not be negative, got {ceiling_seconds} s")

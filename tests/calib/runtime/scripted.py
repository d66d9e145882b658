"""A service that fails by script in the ways of the real one, and counts what it was sent."""

from __future__ import annotations

import pathlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit

from calib.runtime import (
    Busy,
    Expired,
    JobFailed,
    JobState,
    Ledger,
    Limits,
    Order,
    Outcome,
    PartialResult,
    Progress,
    Refused,
    Runner,
    RunOptions,
    Transient,
    UnknownJob,
    estimate,
    split,
)


class Killed(BaseException):
    """The process ends here: nothing after this line happens, and nothing catches it."""


class World:
    """Time, which passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def clock(self) -> float:
        return self.now_s


def result_of(circuit: QuantumCircuit, shots: int) -> Outcome:
    """The same bits for the same circuit, whoever asks."""
    rng = np.random.default_rng(zlib.crc32(f"{circuit.name} {shots}".encode()))
    bits = rng.integers(0, 2, (shots, len(circuit.clbits)), dtype=np.uint8)
    return Outcome(np.packbits(bits, axis=1, bitorder="little"))


class ScriptedService:
    """`faults` by method: the fault of each call in turn, None for none; then no more faults.

    submit: lost_before, lost_after (the job exists), busy, refused, refused_after (the job
    exists), expired, kill_before, kill_after. find, state, properties, fetch: lost, busy,
    expired, kill_before, kill_after, unknown. fetch also: partial. Any: recalibrated. `ends` gives
    how the n-th job ends if not well: failed, cancelled. `lag_s` is how long `find` does not see a
    new job. Every error's text holds the `secret`.
    """

    name = "scripted"

    def __init__(
        self,
        world: World,
        faults: Mapping[str, Sequence[str | None]] | None = None,
        *,
        ends: Mapping[int, str] | None = None,
        lag_s: float = 0.0,
        queue_s: float = 5.0,
        run_s: float = 3.0,
        secret: str = "",
    ) -> None:
        self.world, self.lag_s, self.queue_s, self.run_s = world, lag_s, queue_s, run_s
        self.faults: Mapping[str, Sequence[str | None]] = dict(faults or {})
        self._calls: Counter[str] = Counter()
        self.ends, self.secret = dict(ends or {}), secret
        self.jobs: dict[str, tuple[Order, float]] = {}
        self.created: Counter[str] = Counter()
        self.calibration = 0
        self.expired = False
        self.cancelled: set[str] = set()
        self.during_submit: Callable[[], None] = lambda: None

    def limits(self, backend: str) -> Limits:
        return Limits()

    def properties(self, backend: str) -> Mapping[str, Any]:
        return self._with_faults("properties", lambda: {"calibrated": self.calibration})

    def submit(self, order: Order) -> str:
        return self._with_faults("submit", lambda: self._create(order))

    def find(self, tag: str) -> str | None:
        return self._with_faults("find", lambda: self._listed(tag))

    def state(self, job_id: str) -> JobState:
        return self._with_faults("state", lambda: self._state(job_id))

    def fetch(self, job_id: str, order: Order) -> list[Outcome]:
        return self._with_faults("fetch", lambda: self._results(job_id, order))

    def cancel(self, job_id: str) -> None:
        self._with_faults("cancel", lambda: self.cancelled.add(job_id))

    def seconds_charged(self, job_id: str) -> float | None:
        return self._with_faults("seconds_charged", lambda: 1.5)

    def fail(self, faults: Mapping[str, Sequence[str | None]]) -> None:
        """Other faults, from the next call on."""
        self.faults, self._calls = dict(faults), Counter()

    def renew(self) -> None:
        """The user logs in again."""
        self.expired = False

    def _with_faults(self, method: str, effect: Callable[[], Any]) -> Any:
        if self.expired:
            raise Expired(f"401: token {self.secret} expired")
        kinds = self.faults.get(method, ())
        kind = kinds[self._calls[method]] if self._calls[method] < len(kinds) else None
        self._calls[method] += 1
        if kind == "expired":
            self.expired = True
            raise Expired(f"401: token {self.secret} expired")
        before = {"lost": Transient, "lost_before": Transient, "refused": Refused,
                  "unknown": UnknownJob}  # fmt: skip
        if kind in before:
            raise before[kind](f"{method}: {kind}, apikey={self.secret}")
        if kind == "busy":
            raise Busy(f"429 for {self.secret}", 7.0)
        if kind == "kill_before":
            raise Killed
        done = effect()
        if kind == "kill_after":
            raise Killed
        if kind == "lost_after":
            raise Transient(f"the answer got lost, Bearer {self.secret}")
        if kind == "refused_after":
            raise Refused(f"an answer that is not understood, to {self.secret}")
        if kind == "recalibrated":
            self.calibration += 1
        if kind == "partial":
            raise PartialResult("the first circuit's results came", [done[0], None])
        return done

    def _create(self, order: Order) -> str:
        self.during_submit()
        job_id = f"job-{len(self.jobs)}"
        self.jobs[job_id] = order, self.world.now_s
        self.created[order.tag] += 1
        return job_id

    def _listed(self, tag: str) -> str | None:
        seen_s = self.world.now_s - self.lag_s
        listed = (job_id for job_id, (order, made_s) in self.jobs.items()
                  if order.tag == tag and made_s <= seen_s)  # fmt: skip
        return next(listed, None)

    def _state(self, job_id: str) -> JobState:
        age_s = self.world.now_s - self.jobs[job_id][1]
        end = self.ends.get(int(job_id.split("-")[1]), "done")
        if job_id in self.cancelled:
            return JobState.cancelled
        if age_s < self.queue_s:
            return JobState.queued
        return JobState.running if age_s < self.queue_s + self.run_s else JobState(end)

    def _results(self, job_id: str, order: Order) -> list[Outcome]:
        state = self._state(job_id)
        if state is not JobState.done:
            raise JobFailed(f"Error 8000: the device's controls gave up, key {self.secret}")
        assert order.tag == self.jobs[job_id][0].tag
        return [result_of(circuit, order.shots) for circuit in order.circuits]


class KillingLedger(Ledger):
    """Dies before the n-th write begins, or just after it was committed."""

    writes_left: int | None = None
    dies_after = False

    def _writing(self) -> Any:
        return _DeadlyWrite(self, super()._writing())


class _DeadlyWrite:
    def __init__(self, ledger: KillingLedger, inner: Any) -> None:
        self._ledger, self._inner = ledger, inner

    def __enter__(self) -> None:
        self._last = self._ledger.writes_left == 0
        if self._ledger.writes_left is not None:
            self._ledger.writes_left -= 1
        if self._last and not self._ledger.dies_after:
            raise Killed
        self._inner.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)
        if self._last:
            raise Killed


def circuits(many: int, clbits: int = 3) -> list[QuantumCircuit]:
    """Small circuits, told apart by their names."""
    made = []
    for number in range(many):
        circuit = QuantumCircuit(clbits, clbits, name=f"circuit-{number}")
        circuit.x(number % clbits)
        circuit.measure(range(clbits), range(clbits))
        made.append(circuit)
    return made


def planned(path: pathlib.Path, jobs: int = 3, ceiling_seconds: float | None = None) -> int:
    """A deployment of so many jobs, each a probe and one circuit, 20 shots; its number."""
    probe = QuantumCircuit(3, 3, name="probe")
    probe.x(0)
    probe.measure(range(3), range(3))
    orders = split(circuits(jobs), 20, Limits(max_circuits=2), RunOptions(), "device",
                   probes=(probe,))  # fmt: skip
    assert len(orders) == jobs
    cost = estimate(orders, seconds_per_execution=[0.1] * 2 * jobs, overhead_seconds=1.0)
    with Ledger.open(path) as ledger:
        return ledger.add("memory", "scripted", "device", {"ideal": "H 0"}, orders, cost,
                          ceiling_seconds).id  # fmt: skip


def run_once(
    path: pathlib.Path,
    deployment: int,
    service: ScriptedService,
    *,
    kill_at: int | None = None,
    dies_after: bool = False,
    seed: int = 0,
    said: list[str] | None = None,
) -> Progress | None:
    """One process: submits, waits, fetches; None if it was killed."""
    ledger = KillingLedger.open(path)
    assert isinstance(ledger, KillingLedger)
    ledger._connection.execute("PRAGMA synchronous=OFF")  # no power is cut here: spares the disk
    ledger.writes_left, ledger.dies_after = kill_at, dies_after
    runner = Runner(
        ledger, service, sleep=service.world.sleep, clock=service.world.clock, patience_s=300.0,
        lag_s=60.0, rng=np.random.default_rng(seed), say=(said if said is not None else []).append,
    )  # fmt: skip
    try:
        progress = runner.submit(deployment)
        return progress if progress.stopped else runner.advance(deployment, wait=True)
    except Killed:
        return None
    finally:
        ledger.close()


def resumed(
    path: pathlib.Path, deployment: int, service: ScriptedService, *, most: int = 40, **how: Any
) -> Progress:
    """Starts the process again, logging in anew where asked, until every job has ended."""
    for number in range(most):
        progress = run_once(path, deployment, service, seed=number, **(how if number == 0 else {}))
        if progress is not None and progress.finished:
            return progress
        service.renew()
    raise AssertionError(f"not finished after {most} processes")


def assert_sound(path: pathlib.Path, deployment: int, service: ScriptedService) -> None:
    """No tag was sent twice; whatever is fetched is what the circuits give without failures."""
    with Ledger.open(path, "read") as ledger:
        rows, orders = ledger.jobs(deployment), ledger.orders(deployment)
        results = ledger.outcomes(deployment)
    assert set(service.created.values()) <= {1}
    for row, order, outcomes in zip(rows, orders, results, strict=True):
        if row.state is JobState.fetched:
            assert service.created[row.tag] == 1
            for circuit, outcome in zip(order.circuits, outcomes, strict=True):
                wanted = result_of(circuit, order.shots)
                assert outcome.bits is not None
                assert wanted.bits is not None
                np.testing.assert_array_equal(outcome.bits, wanted.bits)
        else:
            assert row.error, f"job {row.position} is {row.state} without a reason"

"""How work is split into jobs that a service accepts, and what they will cost, before sending."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calib.runtime.circuit_bytes import to_bytes
from calib.runtime.order import Limits, Order, RunOptions

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

OPEN_PLAN_SECONDS = 600.0  # of device time, in 28 days
# A guess of what a job costs beyond its executions (loading, first calibration of readout): jobs
# of few shots were charged about so much. `seconds_charged` of earlier jobs tells better.
OVERHEAD_SECONDS = 2.0
_BASE64 = 4 / 3  # circuits travel as base64 text of their QPY bytes


@dataclass(frozen=True)
class Estimate:
    """What a deployment is expected to cost; `seconds_by_job` is in the orders' order."""

    jobs: int
    executions: int
    seconds: float
    seconds_by_job: tuple[float, ...]
    quota_share: float

    def __str__(self) -> str:
        many = "job" if self.jobs == 1 else "jobs"
        share = 100 * self.quota_share
        return (f"{self.jobs:,} {many}, {self.executions:,} executions, about {self.seconds:,.0f} s"
                f" of device time: {share:,.{0 if share > 10 else 1}f} % of the open plan's "
                f"{OPEN_PLAN_SECONDS:g} s in 28 days")  # fmt: skip


def estimate(
    orders: Sequence[Order],
    *,
    seconds_per_execution: Sequence[float],
    overhead_seconds: float = OVERHEAD_SECONDS,
    quota_seconds: float = OPEN_PLAN_SECONDS,
) -> Estimate:
    """The cost of orders; `seconds_per_execution` has one entry a circuit, over all orders.

    That is `[time(circuit) for order in orders for circuit in order.circuits]`, each the time from
    one shot to the next: the circuit's duration and the repetition delay. `overhead_seconds` is
    what every job costs beside its executions.
    """
    wanted = sum(len(order.circuits) for order in orders)
    if len(seconds_per_execution) != wanted:
        raise ValueError(f"seconds_per_execution must have one entry for each of the {wanted} "
                         f"circuits of all orders, got {len(seconds_per_execution)}")  # fmt: skip
    _check_times(seconds_per_execution)
    times = iter(seconds_per_execution)
    by_job = tuple(
        overhead_seconds + order.shots * sum(next(times) for _ in order.circuits)
        for order in orders
    )
    seconds = math.fsum(by_job)
    executions = sum(order.executions for order in orders)
    return Estimate(len(orders), executions, seconds, by_job, seconds / quota_seconds)


def split(
    circuits: Sequence[QuantumCircuit],
    shots: int,
    limits: Limits,
    options: RunOptions,
    backend: str,
    *,
    probes: Sequence[QuantumCircuit] = (),
    seconds_per_execution: Sequence[float] | None = None,
) -> list[Order]:
    """As few jobs as the limits allow, each circuit `shots` times in all; a new tag each.

    Every job begins with the probes, which run as often as its circuits do (a job has one number
    of shots). Where a circuit's shots do not fit in one job, all jobs have nearly equal shots.
    `seconds_per_execution`, one entry for each of [*probes, *circuits], enforces the limit on a
    job's time. Orders hold the very objects that were given.
    """
    if not circuits:
        raise ValueError("expected at least one circuit to split into jobs, got none")
    if shots < 1:
        raise ValueError(f"shots must be at least 1, got {shots}")
    everything = [*probes, *circuits]
    if seconds_per_execution is not None and len(seconds_per_execution) != len(everything):
        raise ValueError(f"seconds_per_execution must have one entry for each of "
                         f"{len(probes)} probes and {len(circuits)} circuits, got "
                         f"{len(seconds_per_execution)}")  # fmt: skip
    times = seconds_per_execution or [0.0] * len(everything)
    _check_times(times)
    sizes = [math.ceil(_BASE64 * len(to_bytes(circuit))) for circuit in everything]
    room = _Room(limits, options, len(probes), sum(times[: len(probes)]), sum(sizes[: len(probes)]))
    loads = list(zip(times[len(probes) :], sizes[len(probes) :], strict=True))
    parts = room.parts(loads, shots)
    orders = []
    for part in range(parts):
        each = shots // parts + (part < shots % parts)
        for group in room.groups(loads, each):
            chosen = (*probes, *(circuits[k] for k in group))
            orders.append(Order(str(uuid.uuid4()), backend, chosen, each, options))
    return orders


def _check_times(times: Sequence[float]) -> None:
    for time_s in times:
        if not 0 <= time_s < math.inf:
            raise ValueError(f"seconds_per_execution must be finite and not negative, got {time_s}")


class _Room:
    """What fits in a job that already holds the probes; loads are (seconds a shot, bytes)."""

    def __init__(
        self, limits: Limits, options: RunOptions, probes: int, probe_s: float, probe_bytes: int
    ) -> None:
        self._limits = limits
        self._probes, self._probe_s, self._probe_bytes = probes, probe_s, probe_bytes
        allowed = (limits.max_seconds, options.max_seconds)
        self._max_s = min((value for value in allowed if value is not None), default=math.inf)

    def fits(self, loads: Sequence[tuple[float, int]], shots: int) -> bool:
        """Whether these circuits fit in one job with so many shots."""
        return self._why_not(loads, shots) is None

    def parts(self, loads: Sequence[tuple[float, int]], shots: int) -> int:
        """Into how many jobs the shots of one circuit must be split."""
        for number, load in enumerate(loads):
            why = self._why_not([load], 1)
            if why:
                raise ValueError(f"circuit {number} does not fit in a job even with one shot: {why}"
                                 "; take a smaller circuit, or another backend")  # fmt: skip
        most = min(self._most_shots(load, shots) for load in loads)
        return math.ceil(shots / most)

    def groups(self, loads: Sequence[tuple[float, int]], shots: int) -> list[list[int]]:
        """The circuits' numbers, job by job, in order."""
        groups: list[list[int]] = [[]]
        for number, load in enumerate(loads):
            if groups[-1] and not self.fits([*(loads[k] for k in groups[-1]), load], shots):
                groups.append([])
            groups[-1].append(number)
        return groups

    def _most_shots(self, load: tuple[float, int], shots: int) -> int:
        """The most shots with which this circuit alone fits, by halving."""
        low, high = 1, shots
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.fits([load], middle) else (low, middle - 1)
        return low

    def _why_not(self, loads: Sequence[tuple[float, int]], shots: int) -> str | None:
        limits, circuits = self._limits, self._probes + len(loads)
        seconds = shots * (self._probe_s + sum(time_s for time_s, _ in loads))
        size = self._probe_bytes + sum(size for _, size in loads)
        for found, most, unit in (
            (circuits, limits.max_circuits, "circuits, probes among them"),
            (shots, limits.max_shots, "shots"),
            (circuits * shots, limits.max_executions, "executions"),
            (size, limits.max_input_bytes, "bytes of input"),
            (seconds, self._max_s, "seconds"),
        ):
            if most is not None and found > most:
                return f"{found:,.10g} {unit}, at most {most:,.10g} are allowed"
        return None

"""What is asked of a service that runs circuits, what comes back, and what a service can do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

Measured = Literal["bits", "soft", "both"]
Mode = Literal["job", "batch", "session"]


@dataclass(frozen=True)
class RunOptions:
    """How a job's circuits are run.

    `measured` "soft" asks for kerneled IQ values, "both" for bits and IQ. `rep_delay_us` None is
    the backend's own delay between shots. `max_seconds` is the service's own limit of a job's
    execution time. `seed` is for local services alone.
    """

    measured: Measured = "bits"
    mode: Mode = "job"
    rep_delay_us: float | None = None
    init_qubits: bool = True
    twirl_gates: bool = False
    twirl_measure: bool = False
    max_seconds: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.measured not in ("bits", "soft", "both"):
            raise ValueError(f"measured must be bits, soft or both, got {self.measured!r}")
        if self.mode not in ("job", "batch", "session"):
            raise ValueError(f"mode must be job, batch or session, got {self.mode!r}")
        if self.rep_delay_us is not None and not 0 <= self.rep_delay_us < math.inf:
            raise ValueError(f"rep_delay_us must not be negative, got {self.rep_delay_us}")
        if self.max_seconds is not None and self.max_seconds < 1:
            raise ValueError(f"max_seconds must be at least 1, got {self.max_seconds}")
        if self.twirl_measure and self.measured != "bits":
            raise ValueError("IQ values cannot be twirled: leave out twirl_measure, or take "
                             "measured=bits")  # fmt: skip


@dataclass(frozen=True)
class Order:
    """What one job runs: each circuit `shots` times, all in the backend's own gates.

    The job is found again by its `tag`, a uuid. Outcomes are in the order of circuit.clbits.
    """

    tag: str
    backend: str
    circuits: tuple[QuantumCircuit, ...]
    shots: int
    options: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        if not self.tag:
            raise ValueError("an order needs a tag (a uuid), got an empty one")
        if self.shots < 1:
            raise ValueError(f"an order needs at least 1 shot, got {self.shots}")
        if not self.circuits:
            raise ValueError("an order needs at least one circuit, got none")
        for number, circuit in enumerate(self.circuits):
            if not circuit.clbits:
                raise ValueError(f"circuit {number} of an order has no classical bits: it would "
                                 "measure nothing")  # fmt: skip

    @property
    def executions(self) -> int:
        """Circuits times shots: what services count and charge."""
        return len(self.circuits) * self.shots


@dataclass(frozen=True)
class Outcome:
    """What one circuit gave.

    bits: uint8 [shots, ceil(clbits / 8)], packed little-endian as stim's b8, or None.
    iq: complex64 [shots, clbits], in the device's arbitrary units, or None.
    Bits are in the order of circuit.clbits. Without either nothing came for this circuit.
    """

    bits: NDArray[np.uint8] | None = None
    iq: NDArray[np.complex64] | None = None


class JobState(StrEnum):
    """Where a job stands.

    planned: not sent. sending: the tag is written down, whether the service has it is not known.
    queued, running, done: as the service says. fetched: all results are in the ledger. partial:
    some circuits' results are, and there will be no more. failed, cancelled: ended without
    results. lost: the service no longer knows the job, or its results could not be read; every
    `advance` asks for it again.
    """

    planned = "planned"
    sending = "sending"
    queued = "queued"
    running = "running"
    done = "done"
    fetched = "fetched"
    partial = "partial"
    failed = "failed"
    cancelled = "cancelled"
    lost = "lost"


AT_SERVICE = (JobState.queued, JobState.running, JobState.done)
ENDED = (
    JobState.fetched, JobState.partial, JobState.failed, JobState.cancelled, JobState.lost
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """The most that one job may be; None where there is no limit.

    The defaults are those of IBM's service: executions are circuits times shots.
    """

    max_circuits: int | None = None
    max_shots: int | None = None
    max_executions: int | None = 10_000_000
    max_input_bytes: int | None = 50_000_000
    max_seconds: float | None = 10_800.0


class Service(Protocol):
    """Something that runs orders; each method may raise one of calib.runtime.errors."""

    name: str

    def limits(self, backend: str) -> Limits:
        """The most that one job may be."""
        ...

    def properties(self, backend: str) -> Mapping[str, Any]:
        """The reported properties and when they were calibrated, as JSON has it."""
        ...

    def submit(self, order: Order) -> str:
        """Sends a job; returns the service's id of it."""
        ...

    def find(self, tag: str) -> str | None:
        """The id of the job with this tag, if the service has one."""
        ...

    def state(self, job_id: str) -> JobState:
        """Where the job stands: queued, running, done, failed or cancelled."""
        ...

    def fetch(self, job_id: str, order: Order) -> list[Outcome]:
        """What the circuits gave, in the order's order; JobFailed with the reason if it failed."""
        ...

    def cancel(self, job_id: str) -> None:
        """Asks the service to stop the job; nothing if it has ended."""
        ...

    def seconds_charged(self, job_id: str) -> float | None:
        """Device time that is charged for the job, None while the service does not know."""
        ...


@runtime_checkable
class HoldsSession(Protocol):
    """A service that keeps a batch or session open while jobs are sent."""

    def release(self) -> None:
        """Says that no more jobs come: what was sent runs on, idle time is no longer charged."""
        ...

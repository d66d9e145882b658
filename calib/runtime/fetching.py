"""Asks how sent jobs stand, and brings their results into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calib.runtime.errors import (
    JobFailed,
    PartialResult,
    Refused,
    ServiceError,
    UnknownJob,
)
from calib.runtime.ledger import Ledger
from calib.runtime.ledger_rows import JobRow
from calib.runtime.order import AT_SERVICE, ENDED, JobState, Order, Outcome, Service
from calib.runtime.progress import Patience

_TRIES = 3  # at a partial result (the rest may follow) or an unknown job (lists may lag)


class Fetching:
    """The part of a runner that only reads from the service."""

    def __init__(
        self,
        ledger: Ledger,
        service: Service,
        patience: Patience,
        properties: Callable[[str, str], Mapping[str, Any]],
    ) -> None:
        self._ledger, self._service = ledger, service
        self._patience, self._properties = patience, properties

    def look(self, deployment: int, *, lost_too: bool = False) -> None:
        """One look at every job that is at the service; `lost_too` asks for lost ones again."""
        wanted = (*AT_SERVICE, JobState.lost) if lost_too else AT_SERVICE
        for job in self._ledger.jobs(deployment):
            if job.state in wanted and job.service_job is not None:
                self._look(job, job.service_job)

    def learn_charges(self, deployment: int) -> None:
        """Asks what ended jobs were charged, where that is not known yet; failures wait."""
        for job in self._ledger.jobs(deployment):
            if job.state not in ENDED or job.service_job is None or job.seconds_charged is not None:
                continue
            try:
                seconds = self._service.seconds_charged(job.service_job)
            except ServiceError as error:
                self._patience.say(f"what job {job.position} was charged: {error}")
                continue
            if seconds is not None:
                self._ledger.charged(job.id, seconds)

    def _look(self, job: JobRow, job_id: str) -> None:
        try:
            state = self._state(job, job_id)
            if state in (JobState.done, JobState.failed):
                if state is JobState.done and job.state is not JobState.done:
                    self._ledger.moved(job.id, JobState.done)
                self._fetch(job, job_id, failed=state is JobState.failed)
            elif state is JobState.cancelled:
                self._ledger.moved(job.id, state, "cancelled at the service, not from here")
            elif state is not job.state:
                self._ledger.moved(job.id, state)
        except UnknownJob as error:
            self._ledger.moved(job.id, JobState.lost, str(error))
        except JobFailed as error:
            self._ledger.moved(job.id, JobState.failed, str(error))
        except Refused as error:
            self._patience.say(f"job {job.position}: {error}")

    def _state(self, job: JobRow, job_id: str) -> JobState:
        """How the job stands; a job that is unknown is asked for a few times."""
        doing, pauses = f"asking for job {job.position}", self._patience.begin()
        for _ in range(_TRIES - 1):
            try:
                return self._asked(job, doing, lambda: self._service.state(job_id))
            except UnknownJob:
                pauses.sleep()
        return self._asked(job, doing, lambda: self._service.state(job_id))

    def _fetch(self, job: JobRow, job_id: str, *, failed: bool) -> None:
        """Brings the results, or the reason why there are none, into the ledger."""
        order = self._ledger.order(job)
        properties = self._properties(order.backend, self._go_on(job))
        doing, pauses = f"fetching job {job.position}", self._patience.begin()
        outcomes: Sequence[Outcome | None] = ()
        error = None
        for number in range(_TRIES):
            if number:
                pauses.sleep()
            try:
                outcomes = self._asked(job, doing, lambda: self._service.fetch(job_id, order))
                outcomes, error = _checked(outcomes, order)
            except PartialResult as partial:
                outcomes, error = _checked(partial.outcomes, order)
                error = f"{partial}; {error}" if error else str(partial)
            if error is None or failed:
                break
        if failed and error is None:  # a failed job that has results is no failure
            error = "the service calls it failed"
        if not any(outcomes):  # a later version may read what this one cannot: ask again then
            state = JobState.failed if failed else JobState.lost
            self._ledger.moved(job.id, state, f"no result could be read: {error}")
            return
        self._ledger.store(job.id, outcomes, properties=properties, error=error)
        self._tell_change(job)

    def _tell_change(self, job: JobRow) -> None:
        (now,) = (one for one in self._ledger.jobs(job.deployment) if one.id == job.id)
        if now.calibration_changed:
            self._patience.say(
                f"job {job.position}: the backend was calibrated between sending and fetching; the "
                "ledger has its properties at both times"
            )

    def _asked(self, job: JobRow, doing: str, call: Callable[[], Any]) -> Any:
        return self._patience.asked(call, doing, self._go_on(job))

    def _go_on(self, job: JobRow) -> str:
        return f"nothing is lost: {self._ledger.command(job.deployment, '--wait')} goes on"


def _checked(
    outcomes: Sequence[Outcome | None], order: Order
) -> tuple[list[Outcome | None], str | None]:
    """The outcomes that have the shapes they should, and what is wrong with the others."""
    wanted = len(order.circuits)
    wrong = [] if len(outcomes) == wanted else [f"{len(outcomes)} results for {wanted} circuits"]
    kept: list[Outcome | None] = []
    for number, circuit in enumerate(order.circuits):
        outcome = outcomes[number] if number < len(outcomes) else None
        why = _why_wrong(outcome, order.shots, len(circuit.clbits), order.options.measured)
        kept.append(None if why else outcome)
        if why:
            wrong.append(f"circuit {number}: {why}")
    return kept, "; ".join(wrong) or None


def _why_wrong(outcome: Outcome | None, shots: int, clbits: int, measured: str) -> str | None:
    if outcome is None:
        return "no result"
    for name, values, shape, asked in (
        ("bits", outcome.bits, (shots, -(-clbits // 8)), measured in ("bits", "both")),
        ("IQ values", outcome.iq, (shots, clbits), measured in ("soft", "both")),
    ):
        if asked and values is None:
            return f"no {name}, which were asked for"
        if values is not None and values.shape != shape:
            return f"{name} of the shape {values.shape}, expected {shape}"
    return None

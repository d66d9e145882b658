"""What a ledger's rows say: deployments, jobs, and the steps a job went through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from calib.runtime.estimate import Estimate
from calib.runtime.order import JobState, RunOptions

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DEPLOYMENT = "id, name, service, backend, about, estimate, ceiling_seconds, created_us"
JOB = (
    "id, deployment, position, tag, state, service_job, shots, options, estimate_seconds, attempts,"
    " seconds_charged, error, sending_us, sent_us, ended_us, at_sending, at_fetching,"
    " (SELECT count(*) FROM job_circuits WHERE job = jobs.id)"
)


@dataclass(frozen=True)
class Deployment:
    """Jobs that belong together; `about` is whatever the one who planned them wrote there."""

    id: int
    name: str
    service: str
    backend: str
    about: Mapping[str, Any]
    estimate: Estimate
    ceiling_seconds: float | None
    created: datetime


@dataclass(frozen=True)
class JobRow:
    """One job as the ledger has it; `position` counts the deployment's jobs from 0.

    `calibration_changed` says whether the reported properties differ between sending and
    fetching, None before both are known. Times are UTC; `ended` is when the ledger learnt it.
    """

    id: int
    deployment: int
    position: int
    tag: str
    state: JobState
    service_job: str | None
    shots: int
    circuits: int
    options: RunOptions
    estimate_seconds: float
    attempts: int
    seconds_charged: float | None
    error: str | None
    sending: datetime | None
    sent: datetime | None
    ended: datetime | None
    calibration_changed: bool | None

    @property
    def seconds(self) -> float:
        """Seconds to reckon with: charged, else estimated; none for what was never sent."""
        if self.seconds_charged is not None:
            return self.seconds_charged
        never_sent = self.service_job is None and self.state is not JobState.sending
        return 0.0 if never_sent else self.estimate_seconds


@dataclass(frozen=True)
class Event:
    """A step of a job, as it was written down."""

    job: int
    utc: datetime
    state: JobState
    note: str | None


def microseconds(moment: datetime) -> int:
    """Since 1970, exact."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(utc_us: int | None) -> datetime | None:
    """The time that `microseconds` gave."""
    return None if utc_us is None else _EPOCH + timedelta(microseconds=utc_us)


def deployment_of(row: tuple[Any, ...]) -> Deployment:
    """A row of the columns DEPLOYMENT."""
    number, name, service, backend, about, estimate, ceiling, created_us = row
    values = json.loads(estimate)
    values["seconds_by_job"] = tuple(values["seconds_by_job"])
    return Deployment(
        number, name, service, backend, json.loads(about), Estimate(**values), ceiling,
        _EPOCH + timedelta(microseconds=created_us),
    )  # fmt: skip


def job_of(row: tuple[Any, ...]) -> JobRow:
    """A row of the columns JOB."""
    (number, deployment, position, tag, state, service_job, shots, options, expected_s, attempts,
     charged, error, sending_us, sent_us, ended_us, before, after, circuits) = row  # fmt: skip
    return JobRow(
        id=number, deployment=deployment, position=position, tag=tag, state=JobState(state),
        service_job=service_job, shots=shots, circuits=circuits,
        options=RunOptions(**json.loads(options)), estimate_seconds=expected_s,
        attempts=attempts, seconds_charged=charged, error=error, sending=moment(sending_us),
        sent=moment(sent_us), ended=moment(ended_us),
        calibration_changed=None if before is None or after is None else before != after,
    )  # fmt: skip

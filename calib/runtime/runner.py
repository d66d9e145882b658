"""Brings a ledger's jobs to a service and their results back, whatever happens on the way.

Before a job is sent its tag is in the ledger as `sending`; its id is written as soon as the service
has answered. Whoever finds a job in `sending` (after a kill, or a lost answer) asks the service for
the tag, and sends only what it surely does not have: nothing is paid for twice.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np

from calib.runtime.ceiling import beyond_ceiling
from calib.runtime.credentials import redacted
from calib.runtime.errors import (
    Busy,
    Expired,
    Refused,
    ServiceError,
    Transient,
    UnknownJob,
)
from calib.runtime.fetching import Fetching
from calib.runtime.ledger import Ledger
from calib.runtime.ledger_file import only_one
from calib.runtime.ledger_rows import JobRow
from calib.runtime.order import AT_SERVICE, HoldsSession, JobState, Order, Service
from calib.runtime.progress import Patience, Progress, Stopped, progress_of

_LAG_S = 60.0
_PROPERTIES_AGE_S = 600.0  # reported properties change hourly at most


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


class Runner:
    """Sends, polls, fetches and cancels the jobs of one ledger at one service.

    `patience_s`: how long one thing is tried again while the network or the service fails.
    `lag_s`: how long the service's list of jobs may lag behind (None: its `listing_lag_s` if it
    says, else a minute): a job whose sending was cut off counts as never sent only if its tag was
    not found over that long. `rng` draws the jitter of
    pauses alone, no result depends on it. Texts go to `say`, one line each.
    """

    def __init__(
        self,
        ledger: Ledger,
        service: Service,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = 600.0,
        lag_s: float | None = None,
        rng: np.random.Generator | None = None,
        say: Callable[[str], None] = _to_stderr,
    ) -> None:
        self._ledger, self._service = ledger, service
        self._lag_s = getattr(service, "listing_lag_s", _LAG_S) if lag_s is None else lag_s
        rng = np.random.default_rng() if rng is None else rng
        self._patience = Patience(patience_s=patience_s, sleep=sleep, clock=clock, rng=rng, say=say)
        self._fetching = Fetching(ledger, service, self._patience, self._properties)
        self._seen: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._option = "--resume"  # of `syndrift jobs`: it does again what was last asked for

    def submit(self, deployment: int) -> Progress:
        """Sends every job that is not sent, up to the ceiling; does not wait for results.

        ValueError while another process sends jobs of the same deployment.
        """
        self._check_service(deployment)
        self._option = "--resume"
        stopped = None
        with self._alone(deployment):
            try:
                for job in self._ledger.jobs(deployment):
                    if job.state in (JobState.planned, JobState.sending):
                        self._bring(job)
            except (Stopped, ServiceError) as stop:
                stopped = redacted(str(stop))
            finally:
                self._release()
        return progress_of(deployment, self._ledger.jobs(deployment), stopped)

    def advance(self, deployment: int, *, wait: bool) -> Progress:
        """Asks for every job that is at the service, and fetches what is done.

        With `wait` until every job that was sent has ended. Other processes may do the same.
        """
        self._check_service(deployment)
        self._option = "--wait"
        stopped = None
        pauses = self._patience.begin()
        try:
            self._adopt(deployment)
            self._fetching.look(deployment, lost_too=True)
            said = ""
            while wait and any(job.state in AT_SERVICE for job in self._ledger.jobs(deployment)):
                now = str(progress_of(deployment, self._ledger.jobs(deployment)))
                if now != said:
                    self._patience.say(f"deployment {deployment}: {now}")
                said = now
                pauses.sleep()
                self._fetching.look(deployment)
            self._fetching.learn_charges(deployment)
        except (Stopped, ServiceError) as stop:
            stopped = redacted(str(stop))
        return progress_of(deployment, self._ledger.jobs(deployment), stopped)

    def cancel(self, deployment: int) -> Progress:
        """Cancels what has not ended; what was done meanwhile can still be fetched."""
        self._check_service(deployment)
        self._option = "--cancel"
        stopped = None
        self._ledger.cancel_planned(deployment)  # also stops a process that is just sending
        with self._alone(deployment):
            try:
                for job in self._ledger.jobs(deployment):
                    if job.state is JobState.sending and not self._found(job):
                        self._ledger.moved(job.id, JobState.cancelled,
                                           "cancelled; the service never had it")  # fmt: skip
                for job in self._ledger.jobs(deployment):
                    if job.state in (JobState.queued, JobState.running):
                        self._cancel(job)
                self._fetching.learn_charges(deployment)
            except (Stopped, ServiceError) as stop:
                stopped = redacted(str(stop))
        return progress_of(deployment, self._ledger.jobs(deployment), stopped)

    # Sending.

    def _bring(self, job: JobRow) -> None:
        """Sends one job, or finds that it was sent."""
        order = self._ledger.order(job)
        if job.state is JobState.planned:
            self._check_ceiling(job)
            properties = self._properties(order.backend, self._go_on(job.deployment))
            if not self._ledger.begin_sending(job.id, properties):
                return  # cancelled by another process
        elif self._found(job):
            return
        else:
            self._check_ceiling(job)
            self._ledger.send_again(job.id, "the service does not have its tag: sent again")
        self._send(job, order)

    def _send(self, job: JobRow, order: Order) -> None:
        """Calls the service until it has the job, surely once."""
        pauses, doing = self._patience.begin(), f"sending job {job.position}"
        while True:
            try:
                job_id = self._service.submit(order)
            except Transient as error:
                if not isinstance(error, Busy) and self._found(job):
                    return
                why = str(error)
                if not pauses.rest(error, doing):
                    self._ledger.put_back(job.id, why)
                    raise Stopped(f"{doing}: {why}; it was not sent; "
                                  f"{self._go_on(job.deployment)}") from None  # fmt: skip
                self._ledger.send_again(job.id, f"sent again after: {why}")
            except Expired as error:  # it stays in `sending`: only the service can tell
                raise Stopped(f"{doing}: {error}; {self._go_on(job.deployment)}") from None
            except ServiceError as error:
                self._refused(job, doing, error)
                return
            else:
                self._ledger.sent(job.id, job_id)
                return

    def _refused(self, job: JobRow, doing: str, error: ServiceError) -> None:
        """A refusal ends the sending, unless the service took the job all the same.

        It stays in `sending`: the error may have come after the job was made, and lists may lag.
        Going on looks for it again before anything is sent.
        """
        if self._looked(job):
            return
        self._ledger.moved(job.id, JobState.sending, str(error))
        raise Stopped(f"{doing}: {error}; no job after it was sent; when that is mended, "
                      f"{self._go_on(job.deployment)}") from None  # fmt: skip

    def _found(self, job: JobRow) -> bool:
        """Whether the service has a job in `sending`, asked for as long as its list may lag."""
        pauses, waited_s = self._patience.begin(), 0.0
        while not self._looked(job):
            if waited_s >= self._lag_s:
                return False
            waited_s = pauses.sleep()
        return True

    def _looked(self, job: JobRow) -> bool:
        """One look for a job's tag; if it is there, its id is written down."""
        job_id = self._patience.asked(
            lambda: self._service.find(job.tag),
            f"looking for job {job.position}, which may have been sent,",
            f"it stays written down as `sending` and is not sent again before it was looked for: "
            f"{self._go_on(job.deployment)}",
        )
        if job_id is not None:
            self._ledger.sent(job.id, job_id, "found by its tag")
        return job_id is not None

    def _adopt(self, deployment: int) -> None:
        """One look for jobs in `sending`, unless another process is just sending them."""
        if not any(job.state is JobState.sending for job in self._ledger.jobs(deployment)):
            return
        with ExitStack() as held:
            try:
                held.enter_context(self._alone(deployment))
            except ValueError:
                return
            for job in self._ledger.jobs(deployment):
                if job.state is JobState.sending:
                    self._looked(job)

    def _cancel(self, job: JobRow) -> None:
        job_id, doing = job.service_job or "", f"cancelling job {job.position}"
        go_on = self._go_on(job.deployment)
        try:
            self._patience.asked(lambda: self._service.cancel(job_id), doing, go_on)
            state = self._patience.asked(lambda: self._service.state(job_id), doing, go_on)
        except UnknownJob as error:
            self._ledger.moved(job.id, JobState.lost, str(error))
            return
        except Refused as error:
            self._patience.say(f"{doing}: {error}")
            return
        if state is JobState.cancelled:
            self._ledger.moved(job.id, state, "cancelled on request")

    # What both need.

    def _check_ceiling(self, job: JobRow) -> None:
        why = beyond_ceiling(self._ledger, job)
        if why:
            raise Stopped(why)

    def _properties(self, backend: str, go_on: str) -> Mapping[str, Any]:
        """The reported properties, at most ten minutes old."""
        read_s, properties = self._seen.get(backend, (0.0, None))
        if properties is None or self._patience.now() - read_s > _PROPERTIES_AGE_S:
            properties = self._patience.asked(
                lambda: self._service.properties(backend), f"reading {backend}'s properties", go_on
            )
            self._seen[backend] = (self._patience.now(), properties)
        return properties

    def _check_service(self, deployment: int) -> None:
        wanted = self._ledger.deployment(deployment).service
        if wanted != self._service.name:
            raise ValueError(f"deployment {deployment} belongs to the service {wanted}, got "
                             f"{self._service.name}")  # fmt: skip

    def _release(self) -> None:
        if isinstance(self._service, HoldsSession):
            try:
                self._service.release()
            except ServiceError as error:
                self._patience.say(f"the batch or session could not be closed: {error}; it closes "
                                   "by itself when it is idle")  # fmt: skip

    def _alone(self, deployment: int) -> AbstractContextManager[None]:
        return only_one(self._ledger.path, f"sending deployment {deployment}")

    def _go_on(self, deployment: int) -> str:
        return f"{self._ledger.command(deployment, self._option)} goes on"

"""IBM's quantum computers as a service of ours; with `calibrator` all that imports the runtime.

Accounts are QiskitRuntimeService's own (saved ones, and environment variables): nothing here takes,
keeps or writes a token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from calib.runtime.credentials import guard_logs, redacted
from calib.runtime.errors import JobFailed, Refused, Transient, UnknownJob
from calib.runtime.ibm_circuits import check_runs_on, outcomes_of
from calib.runtime.ibm_errors import translated
from calib.runtime.order import JobState, Limits, Order, Outcome

if TYPE_CHECKING:
    from qiskit.providers import BackendV2
    from qiskit_ibm_runtime.options_models import SamplerOptions

_STATES = {
    "INITIALIZING": JobState.queued,
    "QUEUED": JobState.queued,
    "RUNNING": JobState.running,
    "DONE": JobState.done,
    "ERROR": JobState.failed,
    "FAILED": JobState.failed,
    "CANCELLED": JobState.cancelled,
}
_RESULT_TIMEOUT_S = 120.0


class IbmService:
    """The runtime's sampler, in job, batch or session mode.

    `service` is a QiskitRuntimeService, made from the default account on first use if None; the
    runtime's local service (fake backends) keeps its jobs in memory, as long as this object lives.
    """

    name = "ibm"

    def __init__(self, service: Any = None) -> None:
        self._given = service
        self._backends: dict[str, Any] = {}
        self._modes: dict[tuple[str, str], Any] = {}
        self._local_jobs: dict[str, Any] = {}
        self._local_tags: dict[str, str] = {}
        guard_logs()

    def __repr__(self) -> str:
        return "IbmService()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an IbmService is not pickled or copied, since it holds credentials: make "
                        "a new one with IbmService() where it is needed")  # fmt: skip

    def backend(self, name: str) -> BackendV2:
        """The backend itself, to transpile for; it holds credentials: never pickle or store it."""
        with translated():
            return self._backend(name)

    def limits(self, backend: str) -> Limits:
        """The service's limits, and the backend's own on shots and circuits."""
        with translated():
            chosen = self._backend(backend)
            configuration = chosen.configuration()
            return Limits(
                max_circuits=getattr(chosen, "max_circuits", None),
                max_shots=getattr(configuration, "max_shots", None),
            )

    def properties(self, backend: str) -> Mapping[str, Any]:
        """What the backend reports now: `calibrated`, `calibration_id`, `properties`."""
        with translated():
            chosen = self._backend(backend)
            found = chosen.properties(refresh=True)
            data = {} if found is None else json.loads(json.dumps(found.to_dict(), default=str))
            return {
                "backend": backend,
                "calibrated": data.get("last_update_date"),
                "calibration_id": getattr(chosen, "calibration_id", None),
                "properties": data,
            }

    def submit(self, order: Order) -> str:
        """Sends one job; what the device would refuse is refused before anything is sent."""
        with translated():
            backend = self._backend(order.backend)
            self._check(order, backend)
            job = self._run(order, backend)
            job_id = job.job_id()
            if self._is_local:
                self._local_jobs[job_id], self._local_tags[order.tag] = job, job_id
            return job_id

    def find(self, tag: str) -> str | None:
        """The job with this tag in any instance of the account; the oldest if there are several."""
        with translated():
            if self._is_local:
                return self._local_tags.get(tag)
            service = self._service
            for instance in (None, *(one.get("crn") for one in service.instances())):
                where = {} if instance is None else {"instance": instance}
                found = service.jobs(limit=None, job_tags=[tag], descending=False, **where)
                if found:
                    return found[0].job_id()
            return None

    def state(self, job_id: str) -> JobState:
        """How the job stands; what ran longer than its limit counts as failed."""
        with translated():
            return self._state_of(self._job(job_id))

    def fetch(self, job_id: str, order: Order) -> list[Outcome]:
        """The outcomes of a job that is done; JobFailed with the device's reason."""
        with translated():
            job = self._job(job_id)
            state = self._state_of(job)
            if state is JobState.failed:
                raise JobFailed(redacted(job.error_message() or "the service gives no reason"))
            if state is not JobState.done:
                raise JobFailed(f"the job is {state}: there are no results")
            results = job.result() if self._is_local else job.result(timeout=_RESULT_TIMEOUT_S)
            if results is None:
                raise Transient("the service says that the job is done, but has no results yet")
            return outcomes_of(results, order)

    def cancel(self, job_id: str) -> None:
        """Cancels a job that has not ended."""
        with translated():
            job = self._job(job_id)
            if self._state_of(job) in (JobState.queued, JobState.running):
                job.cancel()

    def seconds_charged(self, job_id: str) -> float | None:
        """Device seconds charged; None while the service is still reckoning."""
        with translated():
            usage = self._job(job_id).metrics().get("usage", {})
            seconds = usage.get("qpu_charge_time_seconds")
            pending = usage.get("status", "pending") == "pending"
            return None if pending or seconds is None else float(seconds)

    def release(self) -> None:
        """Closes the batch or session that this object opened: jobs in it run to their end."""
        modes, self._modes = self._modes, {}
        with translated():
            for mode in modes.values():
                mode.close()

    # Beneath.

    @property
    def _service(self) -> Any:
        if self._given is None:
            try:
                from qiskit_ibm_runtime import QiskitRuntimeService
            except ImportError:
                raise ImportError("the IBM service needs qiskit-ibm-runtime: "
                                  "pip install 'syndrift[ibm]'") from None  # fmt: skip
            guard_logs()  # the import made more loggers
            self._given = QiskitRuntimeService()
            guard_logs()
        return self._given

    @property
    def _is_local(self) -> bool:
        return bool(getattr(self._service, "is_local", False))

    def _backend(self, name: str) -> Any:
        if name not in self._backends:
            self._backends[name] = self._service.backend(name)
        return self._backends[name]

    def _job(self, job_id: str) -> Any:
        if not self._is_local:
            return self._service.job(job_id)
        if job_id not in self._local_jobs:
            raise UnknownJob(f"{job_id}: local jobs end with the process that ran them")
        return self._local_jobs[job_id]

    @staticmethod
    def _state_of(job: Any) -> JobState:
        status = job.status()
        said = str(getattr(status, "name", status)).upper()
        if said not in _STATES and said.startswith("CANCELLED"):  # "CANCELLED - RAN TOO LONG"
            return JobState.failed
        if said not in _STATES:
            raise Transient(f"the service says {said!r} of the job, which is not understood")
        return _STATES[said]

    def _check(self, order: Order, backend: Any) -> None:
        if self._is_local and order.options.measured != "bits":
            raise Refused("the runtime's local mode returns bits where IQ values are asked for: "
                          "take measured=bits, or the service stim")  # fmt: skip
        for number, circuit in enumerate(order.circuits):
            check_runs_on(circuit, backend.target, number)

    def _run(self, order: Order, backend: Any) -> Any:
        from qiskit_ibm_runtime.executor_sampler import Sampler

        guard_logs()
        mode = self._mode(order, backend)
        options = self._options(order)
        if order.options.measured == "both":
            return self._run_both(order, backend, mode, options)
        sampler = Sampler(mode=mode, options=options)
        return sampler.run([(circuit,) for circuit in order.circuits], shots=order.shots)

    @staticmethod
    def _run_both(order: Order, backend: Any, mode: Any, options: SamplerOptions) -> Any:
        """Bits and IQ at once, which the executor knows and the sampler does not."""
        from qiskit_ibm_runtime import Executor
        from qiskit_ibm_runtime.executor_sampler.prepare import prepare

        pubs = [(circuit,) for circuit in order.circuits]
        program, executor_options = prepare(pubs, options, order.shots, backend=backend)
        program.meas_level = "both"
        program.passthrough_data = None  # else the result is taken for the sampler's
        return Executor(mode=mode, options=executor_options).run(program)

    def _mode(self, order: Order, backend: Any) -> Any:
        """The backend itself, or the batch or session that is open on it."""
        from qiskit_ibm_runtime import Batch, Session

        kind = order.options.mode
        if kind == "job":
            return backend
        key = (kind, order.backend)
        if key not in self._modes:
            self._modes[key] = (Batch if kind == "batch" else Session)(backend=backend)
        return self._modes[key]

    def _options(self, order: Order) -> SamplerOptions:
        from qiskit_ibm_runtime.options_models import SamplerOptions

        chosen = order.options
        delay_us = chosen.rep_delay_us
        return SamplerOptions.model_validate(
            {
                "max_execution_time": chosen.max_seconds,
                "environment": {"job_tags": [order.tag]},
                "execution": {
                    "init_qubits": chosen.init_qubits,
                    "rep_delay": None if delay_us is None else delay_us * 1e-6,
                    "meas_type": "kerneled" if chosen.measured == "soft" else "classified",
                },
                "twirling": {
                    "enable_gates": chosen.twirl_gates,
                    "enable_measure": chosen.twirl_measure,
                },
                "simulator": {"seed_simulator": chosen.seed} if self._is_local else {},
            }
        )

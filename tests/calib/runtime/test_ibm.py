"""IBM's service: the same code on its local mode, and each call on a stub of the service."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit
from qiskit.compiler import transpile
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

from calib.runtime import (
    IbmService,
    JobFailed,
    JobState,
    Ledger,
    Order,
    Refused,
    Runner,
    RunOptions,
    Transient,
    UnknownJob,
    estimate,
    split,
)
from tests.calib.runtime.one_fake import OneFake, one_hot


def test_the_local_mode_end_to_end(path: pathlib.Path):
    """About 6 s, nearly all of it imports. Manila misreads 2 to 10 % of its bits."""
    service = IbmService(OneFake())
    circuit = transpile(one_hot(), FakeManilaV2(), optimization_level=1,
                        initial_layout=[0, 1, 2, 3])  # fmt: skip
    bell = QuantumCircuit(2, 2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure([0, 1], [1, 0])
    bell = transpile(bell, FakeManilaV2(), initial_layout=[0, 1], optimization_level=1)
    limits = service.limits("fake_manila")
    assert limits.max_shots == FakeManilaV2().configuration().max_shots
    for options in (RunOptions(seed=1), RunOptions(mode="batch", twirl_gates=True,
                                                   twirl_measure=True, seed=1)):  # fmt: skip
        orders = split([bell], 1001, limits, options, "fake_manila", probes=(circuit,))
        cost = estimate(orders, seconds_per_execution=[2.5e-4] * 2)
        with Ledger.open(path) as ledger:
            number = ledger.add("bell", "ibm", "fake_manila", {}, orders, cost, 60.0).id
            runner = Runner(ledger, service, sleep=lambda seconds: time.sleep(0.05))
            progress = runner.submit(number)
            assert progress.stopped is None
            assert service.find(orders[0].tag) == ledger.jobs(number)[0].service_job
            progress = runner.advance(number, wait=True)
            assert progress.states == {JobState.fetched: 1}
            assert progress.seconds_charged == 0.0
            (job,) = ledger.jobs(number)
            before, after = ledger.properties(job)
            assert before == after
            assert before is not None
            assert before["calibrated"].startswith("20")
            assert not job.calibration_changed
            ((probe, pair),) = ledger.outcomes(number)
        ones = unpacked(probe.bits, 5).mean(axis=0)
        assert list(ones > 0.5) == [False, True, False, True, False]
        both = unpacked(pair.bits, 2)
        assert np.mean(both[:, 0] == both[:, 1]) > 0.8
        assert 0.4 < both.mean() < 0.6  # 1,001 shots: seven standard deviations


def unpacked(bits: Any, clbits: int) -> np.ndarray:
    assert bits is not None
    assert bits.shape == (1001, -(-clbits // 8))
    return np.unpackbits(bits, axis=1, count=clbits, bitorder="little")


def test_local_jobs_end_with_their_process_and_give_no_iq():
    service = IbmService(OneFake())
    with pytest.raises(UnknownJob, match="local jobs end with the process"):
        service.state("abc")
    circuit = transpile(one_hot(), FakeManilaV2(), optimization_level=1)
    with pytest.raises(Refused, match=r"take measured=bits, or the service stim"):
        service.submit(Order("a", "fake_manila", (circuit,), 10, RunOptions("soft")))
    with pytest.raises(Refused, match="no backend fake_osaka"):
        service.limits("fake_osaka")


# The calls, on a stub of the service.


class StubJob:
    def __init__(self, status: str, **answers: Any) -> None:
        self._status, self._answers = status, answers
        self.cancels = 0

    def job_id(self) -> str:
        return "d4abc"

    def status(self) -> str:
        return self._status

    def error_message(self) -> str:
        return "Error 6073: no such control"

    def result(self, timeout: float) -> Any:
        return self._answers.get("result")

    def metrics(self) -> dict[str, Any]:
        return {"usage": self._answers.get("usage", {})}

    def cancel(self) -> None:
        self.cancels += 1


class StubService:
    """Two instances; a job is only in the list of the second."""

    def __init__(self, job: StubJob) -> None:
        self._job, self.asked = job, []

    def job(self, job_id: str) -> StubJob:
        return self._job

    def instances(self) -> list[dict[str, str]]:
        return [{"crn": "crn:first"}, {"crn": "crn:second"}]

    def jobs(self, **asked: Any) -> list[StubJob]:
        self.asked.append(asked)
        return [self._job] if asked.get("instance") == "crn:second" else []


@pytest.mark.parametrize(
    ("status", "state"),
    [("INITIALIZING", "queued"), ("QUEUED", "queued"), ("RUNNING", "running"), ("DONE", "done"),
     ("ERROR", "failed"), ("CANCELLED", "cancelled"), ("CANCELLED - RAN TOO LONG", "failed")],
)  # fmt: skip
def test_states(status: str, state: str):
    assert IbmService(StubService(StubJob(status))).state("d4abc") == state


def test_a_state_that_is_not_understood_is_asked_for_again():
    with pytest.raises(Transient, match="'PAUSED' of the job, which is not understood"):
        IbmService(StubService(StubJob("PAUSED"))).state("d4abc")


def test_a_tag_is_looked_for_in_every_instance():
    stub = StubService(StubJob("QUEUED"))
    assert IbmService(stub).find("my-tag") == "d4abc"
    assert [one.get("instance") for one in stub.asked] == [None, "crn:first", "crn:second"]
    assert all(one["job_tags"] == ["my-tag"] for one in stub.asked)


def test_fetching_what_is_not_there():
    order = Order("a", "device", (QuantumCircuit(1, 1),), 10)
    for job, error, says in (
        (StubJob("ERROR"), JobFailed, "Error 6073"),
        (StubJob("CANCELLED"), JobFailed, "the job is cancelled"),
        (StubJob("DONE"), Transient, "has no results yet"),
    ):
        with pytest.raises(error, match=says):
            IbmService(StubService(job)).fetch("d4abc", order)


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [({}, None), ({"status": "pending", "qpu_charge_time_seconds": 3}, None),
     ({"status": "final", "qpu_charge_time_seconds": 3}, 3.0)],
)  # fmt: skip
def test_charges_are_unknown_while_they_are_reckoned(usage: dict, seconds: float | None):
    assert IbmService(StubService(StubJob("DONE", usage=usage))).seconds_charged("x") == seconds


def test_only_what_has_not_ended_is_cancelled():
    for status, cancels in (("QUEUED", 1), ("RUNNING", 1), ("DONE", 0), ("CANCELLED", 0)):
        job = StubJob(status)
        IbmService(StubService(job)).cancel("d4abc")
        assert job.cancels == cancels


def test_the_options_are_the_samplers():
    service = IbmService(SimpleNamespace(is_local=False))
    options = service._options(
        Order("my-tag", "device", (QuantumCircuit(1, 1),), 10,
              RunOptions("soft", rep_delay_us=150.0, init_qubits=False, twirl_gates=True,
                         max_seconds=300, seed=5))
    )  # fmt: skip
    assert options.environment.job_tags == ["my-tag"]
    assert options.max_execution_time == 300
    assert options.execution.meas_type == "kerneled"
    assert options.execution.rep_delay == pytest.approx(150e-6)
    assert not options.execution.init_qubits
    assert options.twirling.enable_gates
    assert not options.twirling.enable_measure
    assert options.simulator.seed_simulator is None  # a seed is for local services


def test_a_batch_is_opened_once_and_closed(monkeypatch: pytest.MonkeyPatch):
    made: list[Any] = []

    class Mode:
        def __init__(self, backend: Any) -> None:
            made.append(self)
            self.closed = 0

        def close(self) -> None:
            self.closed += 1

    monkeypatch.setattr("qiskit_ibm_runtime.Batch", Mode)
    service = IbmService(SimpleNamespace(is_local=False))
    order = Order("a", "device", (QuantumCircuit(1, 1),), 10, RunOptions(mode="batch"))
    assert service._mode(order, "backend") is service._mode(order, "backend")
    service.release()
    service.release()
    assert [one.closed for one in made] == [1]


def test_bits_and_iq_are_asked_of_the_executor(monkeypatch: pytest.MonkeyPatch):
    """The program that would be sent: both kinds of results, and no sampler's post-processing."""
    sent: list[Any] = []

    def run(self: Any, program: Any, dry_run: bool = False) -> str:
        sent.append((program, self.options))
        return "job"

    monkeypatch.setattr("qiskit_ibm_runtime.Executor.run", run)
    backend = FakeManilaV2()
    circuit = transpile(one_hot(), backend, optimization_level=1)
    order = Order("my-tag", "fake_manila", (circuit,), 10, RunOptions("both"))
    service = IbmService(OneFake())
    assert service._run(order, backend) == "job"
    ((program, options),) = sent
    assert program.meas_level == "both"
    assert program.shots == 10
    assert program._semantic_role is None
    sent_as = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].encoder(program, options)
    assert json.loads(sent_as.model_dump_json())["quantum_program"]["meas_level"] == "both"
    assert options.environment.job_tags == ["my-tag"]


def test_importing_the_package_does_not_import_the_runtime():
    code = "import sys, calib.runtime; print([m for m in sys.modules if m.startswith('qiskit')])"
    root = pathlib.Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"

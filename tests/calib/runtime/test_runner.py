"""Whatever a service does: no job is lost, none is sent twice, no result differs."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any

import numpy as np
import pytest

from calib.runtime import JobState, Ledger, Runner
from tests.calib.runtime.scripted import (
    Killed,
    ScriptedService,
    World,
    assert_sound,
    planned,
    resumed,
    run_once,
)

FETCHED = {JobState.fetched: 3}
# name: (faults by method, other settings of the service, states at the end)
FAILURES: dict[str, tuple[dict[str, list[str | None]], dict[str, Any], dict[JobState, int]]] = {
    "nothing": ({}, {}, FETCHED),
    "long queue": ({}, {"queue_s": 100_000.0}, FETCHED),
    "time-out, job created": ({"submit": [None, "lost_after"]}, {}, FETCHED),
    "time-out, job not created": ({"submit": [None, "lost_before"]}, {}, FETCHED),
    "time-out while looking": ({"submit": ["lost_after"], "find": ["lost"] * 4}, {}, FETCHED),
    "listing lags": ({"submit": ["lost_after"] * 3}, {"lag_s": 50.0}, FETCHED),
    "lost while polling": ({"state": [None, "lost", "lost", None, "lost"]}, {}, FETCHED),
    "unknown for a moment": ({"state": ["unknown", "unknown"]}, {}, FETCHED),
    "lost while fetching": ({"fetch": ["lost", "lost", None, "lost"]}, {}, FETCHED),
    "cancelled by others": (
        {}, {"ends": {1: "cancelled"}}, {JobState.fetched: 2, JobState.cancelled: 1}),
    "failed on the device": (
        {}, {"ends": {2: "failed"}}, {JobState.fetched: 2, JobState.failed: 1}),
    "partial for a moment": ({"fetch": ["partial", "partial"]}, {}, FETCHED),
    "partial for good": (
        {"fetch": ["partial"] * 3}, {}, {JobState.fetched: 2, JobState.partial: 1}),
    "expired while sending": ({"submit": [None, "expired"]}, {}, FETCHED),
    "expired while looking": ({"submit": ["lost_after"], "find": ["expired"]}, {}, FETCHED),
    "expired while fetching": ({"fetch": [None, "expired"]}, {}, FETCHED),
    "refused, then mended": ({"submit": [None, "refused"]}, {}, FETCHED),
    "taken, but called refused": ({"submit": [None, "refused_after"]}, {}, FETCHED),
    "taken, but called refused, listing lags": (
        {"submit": [None, "refused_after"]}, {"lag_s": 50.0}, FETCHED),
    "rate limit": ({"submit": ["busy"] * 3, "state": ["busy"], "fetch": ["busy"]}, {}, FETCHED),
    "properties lost": ({"properties": ["lost", "busy"]}, {}, FETCHED),
    "killed before sending": ({"submit": ["kill_before", None, "kill_before"]}, {}, FETCHED),
    "killed after sending": ({"submit": ["kill_after", None, "kill_after"]}, {}, FETCHED),
    "killed after sending, listing lags": (
        {"submit": ["kill_after"] * 3}, {"lag_s": 50.0}, FETCHED),
    "killed while looking": (
        {"submit": ["lost_after"], "find": ["kill_after", "kill_before"]}, {}, FETCHED),
    "killed while fetching": ({"fetch": ["kill_before", "kill_after"]}, {}, FETCHED),
    "charges unknown": ({"seconds_charged": ["lost", "unknown", "busy"]}, {}, FETCHED),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_every_kind_of_failure_is_survived(name: str, path: pathlib.Path):
    faults, settings, wanted = FAILURES[name]
    service = ScriptedService(World(), faults, **settings)
    deployment = planned(path)
    progress = resumed(path, deployment, service)
    assert progress.states == wanted
    assert len(service.created) == 3
    assert_sound(path, deployment, service)


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_each_write_in_turn(after: bool, path: pathlib.Path):
    kill_at = 0
    for kill_at in range(100):
        service = ScriptedService(World(), {"submit": [None, "lost_after"]}, lag_s=20.0)
        deployment = planned(path)
        first = run_once(path, deployment, service, kill_at=kill_at, dies_after=after)
        if first is not None:
            break
        assert resumed(path, deployment, service).states == FETCHED
        assert_sound(path, deployment, service)
    assert kill_at >= 3 * 4  # sending, sent, done, fetched, charged: of three jobs


METHODS = ("submit", "find", "state", "fetch", "properties", "seconds_charged")
KINDS = {
    "submit": ("lost_before", "lost_after", "busy", "expired", "refused", "refused_after",
               "kill_before", "kill_after", "recalibrated"),
    "fetch": ("lost", "busy", "expired", "kill_before", "kill_after", "partial"),
}  # fmt: skip
ANY = ("lost", "busy", "expired", "kill_before", "kill_after", "recalibrated")


@pytest.mark.parametrize("block", range(6))
def test_failures_mixed_at_random(block: int, tmp_path: pathlib.Path):
    """50 stories a block: every method fails a third of the time, the process dies at writes."""
    path = tmp_path / "jobs.sqlite"
    for seed in range(50 * block, 50 * block + 50):
        rng = np.random.default_rng(seed)
        faults: dict[str, list[str | None]] = {
            method: [str(rng.choice(KINDS.get(method, ANY))) if rng.random() < 0.35 else None
                     for _ in range(25)]
            for method in METHODS
        }  # fmt: skip
        service = ScriptedService(
            World(), faults, lag_s=float(rng.choice([0.0, 20.0])),
            ends={0: "failed"} if rng.random() < 0.2 else {},
        )  # fmt: skip
        deployment = planned(path)
        kill_at = int(rng.integers(0, 15)) if rng.random() < 0.7 else None
        progress = resumed(path, deployment, service, kill_at=kill_at,
                           dies_after=bool(rng.random() < 0.5), most=100)  # fmt: skip
        assert progress.jobs == 3
        assert set(progress.states) <= {JobState.fetched, JobState.failed, JobState.partial}
        assert len(service.created) == 3
        assert_sound(path, deployment, service)


def runner(ledger: Ledger, service: ScriptedService, **settings: Any) -> Runner:
    settings = {"say": lambda text: None, "rng": np.random.default_rng(1)} | settings
    return Runner(ledger, service, sleep=service.world.sleep, clock=service.world.clock, **settings)


def test_two_processes_never_send_the_same_jobs(path: pathlib.Path):
    service = ScriptedService(World())
    deployment = planned(path)
    refused = []

    def another() -> None:
        service.during_submit = lambda: None
        with Ledger.open(path) as theirs:
            for act in ("submit", "cancel"):
                with pytest.raises(ValueError, match="another process is sending deployment 1"):
                    getattr(runner(theirs, service), act)(deployment)
                refused.append(act)
            # Looking is allowed: it leaves alone the job that is just being sent.
            assert runner(theirs, service).advance(deployment, wait=False).states[
                JobState.sending] == 1  # fmt: skip

    service.during_submit = another
    with Ledger.open(path) as ledger:
        progress = runner(ledger, service).submit(deployment)
        assert refused == ["submit", "cancel"]
        # The other's --cancel was refused for the job on its way, and kept the rest from going.
        assert progress.states == {JobState.queued: 1, JobState.cancelled: 2}
    assert len(service.created) == 1


def test_the_ceiling_stops_before_it_is_passed(path: pathlib.Path):
    """A job is expected to take 1 + 20 · 0.2 = 5 s, and is charged 1.5 s."""
    service = ScriptedService(World())
    deployment = planned(path, jobs=5, ceiling_seconds=10.0)
    with Ledger.open(path) as ledger:
        assert [job.estimate_seconds for job in ledger.jobs(deployment)] == [5.0] * 5
        mine = runner(ledger, service)
        progress = mine.submit(deployment)
        assert len(service.created) == 2
        assert progress.stopped is not None
        assert "ceiling of 10 s" in progress.stopped
        where = f"--ledger {ledger.path}`"
        assert f"`syndrift jobs 1 --resume --ceiling 25 {where} sends all" in progress.stopped
        assert f"`syndrift jobs 1 --wait {where} before it" in progress.stopped
        assert mine.submit(deployment).states == progress.states
        assert mine.advance(deployment, wait=True).seconds_charged == 3.0
        assert mine.submit(deployment).states[JobState.queued] == 1  # 3 + 5 <= 10 < 3 + 5 + 5
        mine.advance(deployment, wait=True)
        ledger.set_ceiling(deployment, 14.5)
        progress = mine.submit(deployment)
        assert progress.stopped is None
        assert progress.seconds_expected == 3 * 1.5 + 2 * 5.0
    assert_fetched_rest(path, deployment, service)


def assert_fetched_rest(path: pathlib.Path, deployment: int, service: ScriptedService) -> None:
    progress = resumed(path, deployment, service)
    assert progress.states == {JobState.fetched: 5}
    assert_sound(path, deployment, service)


def test_while_nothing_can_be_looked_up_nothing_is_sent_again(path: pathlib.Path):
    service = ScriptedService(World(), {"submit": ["lost_before"], "find": ["lost"] * 1000})
    deployment = planned(path)
    for _ in range(3):
        progress = run_once(path, deployment, service)
        assert progress is not None
        assert progress.states == {JobState.sending: 1, JobState.planned: 2}
        assert progress.stopped is not None
        assert "stays written down as `sending`" in progress.stopped
        assert "gave up after 300 s; " in progress.stopped
    assert not service.created
    service.fail({})
    assert resumed(path, deployment, service).states == FETCHED
    assert_sound(path, deployment, service)


def test_a_change_of_calibration_is_flagged_with_both_snapshots(path: pathlib.Path):
    service = ScriptedService(World(), {"fetch": [None, "recalibrated"]}, queue_s=2000.0)
    deployment, said = planned(path), []
    progress = run_once(path, deployment, service, said=said)
    assert progress is not None
    with Ledger.open(path, "read") as ledger:
        jobs = ledger.jobs(deployment)
        # Properties are read again after ten minutes: jobs 0 to 2 are fetched in one look.
        assert [job.calibration_changed for job in jobs] == [False] * 3
    service.calibration = 7
    other = planned(path)
    service.world.sleep(1000.0)
    service.fail({"submit": [None, None, "recalibrated"]})
    progress = run_once(path, other, service, said=said)
    assert progress is not None
    assert progress.recalibrated == 3
    with Ledger.open(path, "read") as ledger:
        for job in ledger.jobs(other):
            assert job.calibration_changed
            assert ledger.properties(job) == ({"calibrated": 7}, {"calibrated": 8})
    assert sum("was calibrated between sending and fetching" in text for text in said) == 3


def test_cancelling_ends_every_job_and_forgets_none(path: pathlib.Path):
    service = ScriptedService(World(), {"submit": [None, "kill_after"]}, queue_s=50.0)
    deployment = planned(path, jobs=4)
    assert run_once(path, deployment, service) is None
    with Ledger.open(path) as ledger:
        progress = runner(ledger, service).cancel(deployment)
        assert progress.states == {JobState.cancelled: 4}
        assert progress.finished
        errors = [job.error for job in ledger.jobs(deployment)]
        assert errors == ["cancelled on request"] * 2 + ["cancelled before it was sent"] * 2
        assert service.cancelled == {"job-0", "job-1"}
        assert runner(ledger, service).submit(deployment).states == progress.states
    assert len(service.created) == 2


def test_what_stops_a_cancelling_does_not_advise_to_send(path: pathlib.Path):
    service = ScriptedService(World(), {"submit": ["kill_after"], "find": ["lost"] * 1000})
    deployment = planned(path)
    assert run_once(path, deployment, service) is None
    with Ledger.open(path) as ledger:
        mine = runner(ledger, service)
        for act, option in ((mine.cancel, "--cancel"), (mine.submit, "--resume")):
            stopped = act(deployment).stopped
            assert stopped is not None
            assert f"`syndrift jobs 1 {option} --ledger {ledger.path}` goes on" in stopped
            assert stopped.count("`syndrift") == 1


def test_a_ceiling_that_is_advised_suffices(path: pathlib.Path):
    """Jobs of 5 s, of which one is charged 1.5 s: 1.5 + 4 · 5 = 21.5 s are needed, 22 advised."""
    service = ScriptedService(World())
    deployment = planned(path, jobs=5, ceiling_seconds=5.0)
    with Ledger.open(path) as ledger:
        mine = runner(ledger, service)
        mine.submit(deployment)
        mine.advance(deployment, wait=True)
        stopped = mine.submit(deployment).stopped
        assert stopped is not None
        assert "--resume --ceiling 22 " in stopped
        assert "--wait" not in stopped  # all charges are known
        ledger.set_ceiling(deployment, 22.0)
        assert mine.submit(deployment).stopped is None
    assert len(service.created) == 5


def test_what_was_done_before_it_was_cancelled_is_fetched(path: pathlib.Path):
    service = ScriptedService(World())
    deployment = planned(path)
    with Ledger.open(path) as ledger:
        mine = runner(ledger, service)
        mine.submit(deployment)
        service.world.sleep(100.0)
        service.cancel = lambda job_id: None  # too late
        mine.cancel(deployment)
        assert mine.advance(deployment, wait=True).states == FETCHED


def test_a_job_that_the_service_forgot_is_asked_for_again_on_request(path: pathlib.Path):
    service = ScriptedService(World(), {"state": ["unknown"] * 3})
    deployment = planned(path, jobs=1)
    with Ledger.open(path) as ledger:
        mine = runner(ledger, service)
        mine.submit(deployment)
        assert mine.advance(deployment, wait=False).states == {JobState.lost: 1}
        assert mine.advance(deployment, wait=True).states == {JobState.fetched: 1}


def test_results_of_a_wrong_shape_are_not_taken_for_good(path: pathlib.Path):
    service = ScriptedService(World())
    deployment = planned(path, jobs=1)
    honest = service.fetch
    service.fetch = lambda job_id, order: honest(job_id, order)[:1]
    progress = run_once(path, deployment, service)
    assert progress is not None
    assert progress.states == {JobState.partial: 1}
    with Ledger.open(path, "read") as ledger:
        (job,) = ledger.jobs(deployment)
        assert job.error == "1 results for 2 circuits; circuit 1: no result"
        ((first, second),) = ledger.outcomes(deployment)
        assert first.bits is not None
        assert second.bits is None


def test_results_that_cannot_be_read_are_asked_for_again(path: pathlib.Path):
    service = ScriptedService(World())
    deployment = planned(path, jobs=1)
    honest = service.fetch
    service.fetch = lambda job_id, order: []
    progress = run_once(path, deployment, service)
    assert progress is not None
    assert progress.states == {JobState.lost: 1}
    with Ledger.open(path, "read") as ledger:
        assert "no result could be read: 0 results for 2" in (
            ledger.jobs(deployment)[0].error or ""
        )
    service.fetch = honest
    progress = run_once(path, deployment, service)
    assert progress is not None
    assert progress.states == {JobState.fetched: 1}
    assert_sound(path, deployment, service)


def test_pauses_grow_with_jitter_and_obey_the_service(path: pathlib.Path):
    slept: list[float] = []
    service = ScriptedService(World(), {"submit": ["busy"] + ["lost_before"] * 2})
    deployment = planned(path, jobs=1)
    with Ledger.open(path) as ledger:
        Runner(ledger, service, sleep=slept.append, clock=lambda: 0.0, lag_s=0.0,
               rng=np.random.default_rng(2), say=lambda text: None).submit(deployment)  # fmt: skip
    rng = np.random.default_rng(2)
    wanted = [scale * (0.5 + rng.random()) for scale in (1, 2, 4)]
    assert slept == [7.0, *wanted[1:]]  # the service asked for seven seconds


def test_the_wrong_service_is_refused(path: pathlib.Path):
    service = ScriptedService(World())
    deployment = planned(path)
    service.name = "ibm"
    with (
        Ledger.open(path) as ledger,
        pytest.raises(ValueError, match="belongs to the service scripted, got ibm"),
    ):
        runner(ledger, service).submit(deployment)


def test_a_session_is_released_after_sending_and_after_a_stop(path: pathlib.Path):
    class Holding(ScriptedService):
        released = 0

        def release(self) -> None:
            self.released += 1

    service = Holding(World(), {"submit": [None, "refused", None, "kill_before"]})
    deployment = planned(path)
    for _ in range(2):
        run_once(path, deployment, service)
    assert service.released == 2
    with contextlib.suppress(Killed), Ledger.open(path) as ledger:
        runner(ledger, service).submit(deployment)
    assert service.released == 3

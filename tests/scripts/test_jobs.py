"""`syndrift jobs`: lists, resumes, waits, cancels, decodes, and says what to do next."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from calib.runtime import JobState, Ledger, Runner
from scripts import jobs
from scripts.main import VERBS, main
from tests.calib.runtime.scripted import ScriptedService, World, planned

ORIGINAL = jobs.service_of  # the fixture puts a scripted service in its place
LEDGER = pathlib.Path("runs/jobs.sqlite")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def service(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedService:
    """A scripted service behind `decoders.deploy`, in a folder with a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(VERBS, "jobs", "what was sent, how it stands, and its results")
    service = ScriptedService(World())
    defaults = Runner.__init__.__kwdefaults__
    assert defaults is not None
    for name, stand_in in (("sleep", service.world.sleep), ("clock", service.world.clock)):
        monkeypatch.setitem(defaults, name, stand_in)
    monkeypatch.setattr("scripts.jobs.service_of", lambda deployment: service)

    def decoded(
        ledger: Ledger, numbers: Any, out: Any, decoders: Any = (), *, pictures: bool, report: bool
    ):
        assert all(any(ledger.outcomes(number)) for number in numbers)
        results = [{"deployment": number, "report": report} for number in numbers]
        return {"text": f"decoded {numbers} into {out} by {decoders}, pictures {pictures}",
                "results": results}  # fmt: skip

    monkeypatch.setattr("scripts.deployment_results.decoded_together", decoded)
    return service


def found(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, Any]:
    assert main(["jobs", *arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def states(data: dict[str, Any]) -> list[str]:
    return [job["state"] for one in data["deployments"] for job in one["jobs"]]


def test_from_planned_to_decoded(capsys: pytest.CaptureFixture[str], service: ScriptedService):
    planned(LEDGER)
    assert main(["jobs"]) == 0
    out = capsys.readouterr().out
    assert "1  memory  scripted  device" in out
    assert "3 planned" in out
    assert "1: `syndrift jobs 1 --resume` sends what was not sent" in out
    assert main(["jobs", "1", "--resume"]) == 0
    out = capsys.readouterr().out
    assert out.count("queued") == 4
    assert "job-2" in out
    assert "`syndrift jobs 1 --wait` fetches the results and decodes them" in out
    data = found(capsys, "1", "--wait", "--report")
    assert data["decoded"] == {"results": [{"deployment": 1, "report": True}]}
    assert states(data) == ["fetched"] * 3
    assert data["deployments"][0]["seconds_charged"] == 4.5
    assert data["stopped"] == []
    arguments = ["--decoder", "tesseract", "--out", "here", "--no-pictures"]
    assert main(["jobs", "1", "--fetch", *arguments]) == 0  # decodes again, asks for nothing
    out = capsys.readouterr().out
    assert "decoded [1] into here by ['tesseract'], pictures False" in out
    assert "3 fetched; 4.5 charged, no ceiling" in out
    data = found(capsys)
    assert [one["id"] for one in data["deployments"]] == [1]
    assert sum(service.created.values()) == 3


def test_what_stops_is_said_and_resumed(
    capsys: pytest.CaptureFixture[str], service: ScriptedService
):
    planned(LEDGER, ceiling_seconds=6.0)
    service.fail({"submit": ["expired"]})
    assert main(["jobs", "1", "--resume", "--wait"]) == 1
    streams = capsys.readouterr()
    assert "stopped: sending job 0: 401" in streams.err
    assert "`syndrift jobs" not in streams.out  # what stopped says how to go on, once
    assert "1 sending" in streams.out
    service.renew()
    data = found(capsys, "1", "--resume", "--wait", status=1)
    assert "the ceiling of 6 s is reached" in data["stopped"][0]
    # Each of three jobs is expected to take 1 + 20 · 2 · 0.1 = 5 s.
    assert "`syndrift jobs 1 --resume --ceiling 15` sends all" in data["stopped"][0]
    assert main(["jobs", "1"]) == 0
    assert data["stopped"][0] in capsys.readouterr().out
    assert states(data) == ["queued", "planned", "planned"]
    assert data["deployments"][0]["jobs"][0]["attempts"] == 2
    data = found(capsys, "1", "--resume", "--ceiling", "15", "--wait")
    assert not data["stopped"]
    assert states(data) == ["fetched"] * 3
    assert set(service.created.values()) == {1}


def test_failures_are_shown_and_give_status_one(
    capsys: pytest.CaptureFixture[str], service: ScriptedService
):
    planned(LEDGER)
    service.ends = {0: "failed"}
    assert main(["jobs", "1", "--resume", "--fetch"]) == 0  # all still in the queue
    assert "decoded" not in capsys.readouterr().out
    service.world.sleep(100.0)
    assert main(["jobs", "1", "--fetch"]) == 1
    assert "decoded [1] into" in capsys.readouterr().out
    assert main(["jobs", "1"]) == 0
    assert "the device's controls gave up" in capsys.readouterr().out
    assert main(["jobs"]) == 0
    assert "1: job 0 failed: Error 8000" in capsys.readouterr().out


def test_several_are_decoded_together(capsys: pytest.CaptureFixture[str], service: ScriptedService):
    for _ in range(3):
        planned(LEDGER, jobs=1)
    service.ends = {1: "cancelled"}
    data = found(capsys, "1", "2", "3", "1", "--resume", "--wait")
    assert states(data) == ["fetched", "cancelled", "fetched"]
    assert data["decoded"] == {"results": [{"deployment": one, "report": False} for one in (1, 3)]}
    assert main(["jobs", "1", "3"]) == 0
    assert capsys.readouterr().out.count("deployment ") == 2


def test_where_nothing_is_to_be_done_that_is_said(
    capsys: pytest.CaptureFixture[str], service: ScriptedService
):
    planned(LEDGER)
    assert main(["jobs", "1", "--resume"]) == 0
    assert "note" not in capsys.readouterr().err
    assert main(["jobs", "1", "--resume", "--wait"]) == 0
    said = "note: deployment 1: nothing to send: all jobs were sent\n"
    assert capsys.readouterr().err.startswith(said)
    assert main(["jobs", "1", "--cancel"]) == 0
    assert capsys.readouterr().err == "note: deployment 1: nothing to cancel: all have ended\n"
    planned(LEDGER)
    assert main(["jobs", "2", "--cancel"]) == 0
    assert not capsys.readouterr().err
    assert main(["jobs", "2", "--resume"]) == 0
    assert "nothing to send: what was not sent is cancelled" in capsys.readouterr().err
    assert sum(service.created.values()) == 3


def test_more_charged_than_expected_is_warned_of(
    capsys: pytest.CaptureFixture[str], service: ScriptedService, monkeypatch: pytest.MonkeyPatch
):
    """Each of three jobs is expected to take 5 s."""
    planned(LEDGER)
    planned(LEDGER)
    monkeypatch.setattr(service, "seconds_charged", lambda job_id: 6.0)  # 1.2 times: no more
    assert main(["jobs", "1", "--resume", "--wait"]) == 0
    assert "warning" not in capsys.readouterr().err
    monkeypatch.setattr(service, "seconds_charged", lambda job_id: 6.1)
    assert main(["jobs", "2", "--resume", "--wait"]) == 0
    capsys.readouterr()
    assert main(["jobs"]) == 0
    assert capsys.readouterr().err == (
        "warning: deployment 2 was charged 18.3 s for 3 jobs, 1.2 times the 15 s that were "
        "estimated\n"
    )


@pytest.mark.parametrize("name", ["stim", "aer"])
def test_jobs_that_run_here_are_free(
    name: str, capsys: pytest.CaptureFixture[str], service: ScriptedService
):
    service.name = name
    number = planned(LEDGER)
    with Ledger.open(LEDGER, "write") as ledger:
        ledger._connection.execute("UPDATE deployments SET service = ?", [name])
    assert main(["jobs"]) == 0
    assert "free (a device: ~15)" in capsys.readouterr().out
    assert main(["jobs", str(number), "--cancel"]) == 0
    for arguments in ([], [str(number)]):
        capsys.readouterr()
        assert main(["jobs", *arguments]) == 0
        out = capsys.readouterr().out
        assert "free" in out
        assert "~" not in out


def test_hints_name_the_ledger_where_it_is_not_the_usual(
    capsys: pytest.CaptureFixture[str], service: ScriptedService
):
    planned(pathlib.Path("my jobs.sqlite"), ceiling_seconds=6.0)
    given = ["--ledger", "my jobs.sqlite"]
    for arguments, status in ((["1"], 0), (["1", "--resume"], 1), (["1"], 0), (["--wait"], 2)):
        assert main(["jobs", *arguments, *given]) == status
        streams = capsys.readouterr()
        hints = (streams.out + streams.err).split("`")[1::2]
        assert hints
        assert all(hint.endswith(" --ledger 'my jobs.sqlite'") for hint in hints)
        assert arguments == ["--wait"] or all("jobs 1 --" in hint for hint in hints)
    Ledger.open("new.sqlite").close()
    assert main(["jobs", "--ledger", "new.sqlite"]) == 0
    assert "`syndrift deploy ... --submit --ledger new.sqlite`" in capsys.readouterr().out


def test_times_are_said_to_be_utc(capsys: pytest.CaptureFixture[str], service: ScriptedService):
    planned(LEDGER)
    with Ledger.open(LEDGER, "read") as ledger:
        when = f"{ledger.deployment(1).created:%Y-%m-%d %H:%M}"
    assert main(["jobs"]) == 0
    assert "planned (UTC)" in capsys.readouterr().out
    assert main(["jobs", "1"]) == 0
    assert f"planned {when} UTC" in capsys.readouterr().out
    data = found(capsys, "1", "--resume", "--wait")["deployments"][0]
    for text in (data["planned_utc"], data["jobs"][0]["sent_utc"], data["jobs"][0]["ended_utc"]):
        assert text.endswith("+00:00")


def test_cancelling(capsys: pytest.CaptureFixture[str], service: ScriptedService):
    planned(LEDGER)
    assert main(["jobs", "1", "--resume"]) == 0
    capsys.readouterr()
    data = found(capsys, "1", "--cancel")
    assert states(data) == [JobState.cancelled] * 3
    assert len(service.cancelled) == 3


def test_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], service: ScriptedService, monkeypatch: pytest.MonkeyPatch
):
    planned(LEDGER)

    def interrupted(job_id: str) -> JobState:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "state", interrupted)
    assert main(["jobs", "1", "--resume", "--wait"]) == 130
    assert "`syndrift jobs 1 --resume --wait` does, too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no such job ledger: give another by --ledger"),
        (["--wait"], "which deployment?"),
        (["1", "--cancel", "--resume"], "--cancel goes alone"),
        (["1", "--ceiling", "5"], "--ceiling is for --resume"),
        (["1", "--decoder", "tesseract"], "--decoder is for decoding: add --fetch or --wait"),
        (["1", "--out", "here"], "--out is for decoding"),
        (["1", "--fetch", "--wait"], "not allowed with argument"),
        (["first"], "invalid int value: 'first'"),
    ],
)
def test_bad_usage(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert main(["jobs", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_number_that_is_not_there(capsys: pytest.CaptureFixture[str]):
    planned(LEDGER)
    assert main(["jobs", "7", "--wait"]) == 2
    assert "has no deployment 7; it has: 1" in capsys.readouterr().err


def test_an_empty_ledger(capsys: pytest.CaptureFixture[str]):
    Ledger.open(LEDGER).close()
    assert main(["jobs"]) == 0
    assert "no deployments yet" in capsys.readouterr().out


def test_no_token_in_what_is_printed(
    capsys: pytest.CaptureFixture[str], service: ScriptedService, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "canary-4f1c")
    service.secret = "canary-4f1c"
    planned(LEDGER)
    service.fail({"submit": ["lost_after", "refused"], "state": ["expired"], "fetch": ["lost"]})
    for _ in range(4):
        for arguments in (["--resume", "--wait"], ["--resume", "--wait", "--json"], []):
            main(["jobs", "1", *arguments])
            main(["jobs"])
        service.renew()
    streams = capsys.readouterr()
    assert "[redacted]" in streams.err
    assert "canary" not in streams.out + streams.err
    for file in pathlib.Path().rglob("*"):
        assert file.is_dir() or b"canary" not in file.read_bytes()


def test_services_are_made_from_the_deployment(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    from calib.runtime import IbmService
    from decoders.deploy.local import StimService

    planned(LEDGER)
    with Ledger.open(LEDGER, "read") as ledger:
        deployment = ledger.deployment(1)
    ibm = dataclasses.replace(deployment, service="ibm")
    assert isinstance(ORIGINAL(ibm), IbmService)
    assert not capsys.readouterr().err
    (tmp_path / ".qiskit").mkdir()
    (tmp_path / ".qiskit" / "qiskit-ibm.json").write_text('{"default": {"token": "x"}}')
    (tmp_path / ".qiskit" / "qiskit-ibm.json").chmod(0o644)
    ORIGINAL(ibm)
    assert "warning: " in capsys.readouterr().err
    about = {"config": {"backend": "fake_torino", "memory": ["repetition:3"], "service": "stim"}}
    stim = dataclasses.replace(deployment, service="stim", about=about)
    assert isinstance(ORIGINAL(stim), StimService)


def test_without_an_account_the_first_login_is_explained(tmp_path: pathlib.Path):
    """In a process of its own: the runtime looks up the home when it is imported."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("QISKIT_IBM")}
    asked = ["deploy", "--backend", "ibm_x", "--service", "ibm", "--memory", "surface:3"]
    done = subprocess.run([sys.executable, "-m", "scripts.main", *asked], cwd=ROOT, text=True,
                          capture_output=True, env={**env, "HOME": str(tmp_path)})  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("syndrift: error: no IBM Quantum account is known")
    assert 'save_account(token="<API key>")' in done.stderr
    assert done.stderr.count("\n") == 1

"""A planted token is found in no file, stream or log that a run leaves."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import os
import pathlib
import pickle
import urllib.parse

import numpy as np
import pytest

from calib.runtime import (
    IbmService,
    JobState,
    Ledger,
    Runner,
    accounts_file_warning,
    guard_logs,
    redacted,
)
from tests.calib.runtime.scripted import ScriptedService, World, assert_sound, planned

IN_ENVIRONMENT = "canary-env-4f1c/+x=Zq"
SAVED = "canary-saved-93be/+y=Wk"


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A home with a saved account, and another token in the environment."""
    home = tmp_path / "home"
    (home / ".qiskit").mkdir(parents=True)
    account = {"default": {"channel": "ibm_quantum_platform", "token": SAVED,
                           "proxies": {"password_ntlm": "canary-proxy"}}}  # fmt: skip
    (home / ".qiskit" / "qiskit-ibm.json").write_text(json.dumps(account))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("QISKIT_IBM_TOKEN", IN_ENVIRONMENT)
    return home


@pytest.mark.usefixtures("home")
def test_secrets_are_taken_out_in_every_form():
    for secret in (IN_ENVIRONMENT, SAVED, "canary-proxy"):
        for form in (
            secret,
            urllib.parse.quote(secret, safe=""),
            base64.b64encode(secret.encode()).decode(),
        ):
            said = redacted(f"could not log in with {form}: try again")
            assert "canary" not in said
            assert form not in said
            assert said.startswith("could not log in with [redacted]")
            assert said.endswith(": try again")
    for text in (
        "Authorization: Bearer eyJhbGciOi.J9eyJz-dWI_iOiI",
        "grant_type=apikey&apikey=Abcdefgh12345",
        "{'access_token': 'eyJhbGciOi'}",
        '{"refresh_token": "eyJhbGciOi"}',
    ):
        said = redacted(text)
        assert "[redacted]" in said
        assert "eyJ" not in said
        assert "Abcdef" not in said
    assert redacted("job 3 of 5: token bucket is empty") == "job 3 of 5: token bucket is empty"


def test_without_accounts_nothing_is_changed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("QISKIT_IBM_TOKEN", raising=False)
    assert redacted("nothing to hide") == "nothing to hide"
    assert accounts_file_warning() is None
    (tmp_path / ".qiskit").mkdir()
    (tmp_path / ".qiskit" / "qiskit-ibm.json").write_text("{ torn")
    assert redacted("nothing to hide") == "nothing to hide"


def test_a_readable_accounts_file_is_warned_of(home: pathlib.Path):
    path = home / ".qiskit" / "qiskit-ibm.json"
    path.chmod(0o644)
    warning = accounts_file_warning()
    assert warning is not None
    assert "(mode 0644): chmod 600" in warning
    assert SAVED not in warning
    path.chmod(0o600)
    assert accounts_file_warning() is None


@pytest.mark.usefixtures("home")
def test_logs_and_their_tracebacks_hold_no_secret(capfd: pytest.CaptureFixture[str]):
    import qiskit_ibm_runtime  # noqa: F401 - sets up a handler of its own, on standard error

    IbmService()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    early = logging.getLogger("qiskit_ibm_runtime.early")
    guard_logs()
    loggers = (logging.getLogger("qiskit_ibm_runtime"), early, logging.getLogger("urllib3"))
    late = logging.getLogger("qiskit_ibm_runtime.late")  # has no filter, its parent's handler has
    try:
        late.warning("late with %s", SAVED)
        for logger in loggers:
            logger.addHandler(handler)
            logger.warning("sent %s to %s", SAVED, "the service")
            try:
                raise ValueError(f"bad key {IN_ENVIRONMENT}")
            except ValueError:
                logger.exception("failed with %s", IN_ENVIRONMENT, stack_info=True)
            logger.removeHandler(handler)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    text, streams = stream.getvalue(), capfd.readouterr()
    assert "canary" not in text + streams.out + streams.err
    assert text.count("sent [redacted] to the service") == 3
    assert text.count("ValueError: bad key [redacted]") == 3


def test_the_service_is_not_pickled_copied_or_shown():
    service = IbmService(object())
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"not pickled or copied, since it holds credentials"):
            act(service)
    assert repr(service) == "IbmService()"


def run_with_errors(path: pathlib.Path, secret: str) -> None:
    """Several processes; all texts that they give are printed."""
    service = ScriptedService(
        World(),
        {"submit": ["lost_after", "busy", "lost_before", "refused"], "find": ["lost"],
         "state": [None, "lost"], "fetch": ["lost", "expired"]},
        ends={1: "failed"}, secret=secret,
    )  # fmt: skip
    world, deployment = service.world, planned(path)
    for _ in range(5):
        with Ledger.open(path) as ledger:
            runner = Runner(ledger, service, sleep=world.sleep, clock=world.clock,
                            rng=np.random.default_rng(1))  # fmt: skip
            print(runner.submit(deployment).stopped)
            print(runner.advance(deployment, wait=True).stopped)
        service.renew()
    with Ledger.open(path, "read") as ledger:
        states = [job.state for job in ledger.jobs(deployment)]
        assert states == [JobState.fetched, JobState.failed, JobState.fetched]
        print(ledger.jobs(deployment), ledger.events(deployment))
    assert_sound(path, deployment, service)


def test_a_run_full_of_errors_leaves_the_token_nowhere(
    home: pathlib.Path, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    run.mkdir()
    path = run / "jobs.sqlite"
    log = logging.FileHandler(run / "log.txt")
    logging.getLogger().addHandler(log)
    try:
        for secret in (SAVED, IN_ENVIRONMENT):
            run_with_errors(path, secret)
    finally:
        logging.getLogger().removeHandler(log)
        log.close()
    streams = capfd.readouterr()
    assert "[redacted]" in streams.out
    assert "[redacted]" in streams.err
    left = [streams.out.encode(), streams.err.encode()]
    left += [file.read_bytes() for file in run.rglob("*") if file.is_file()]
    assert len(left) >= 4
    for content in left:
        assert b"canary" not in content
    with Ledger.open(path, "read") as ledger:
        errors = [job.error or "" for job in ledger.jobs(1)]
    assert errors[1] == "Error 8000: the device's controls gave up, key [redacted]"
    assert os.environ["HOME"] == str(home)

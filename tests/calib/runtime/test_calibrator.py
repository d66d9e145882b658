"""IBM's Calibrator: sent in a session by who may, else refused with a reason. Nothing is sent."""

from typing import Any

import pytest
from qiskit_ibm_runtime import Session
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from calib.runtime.calibrator import press_calibrator
from calib.runtime.errors import Refused, Transient


class OpenSession(Session):
    """A session on a device, as far as it is asked."""

    def __init__(self) -> None:
        self.service_is_local = False

    @property
    def service(self) -> Any:
        return type("Service", (), {"is_local": self.service_is_local})()


class Button:
    """In the place of the runtime's Calibrator: what `run` does is set by each test."""

    raises: Exception | None = None

    def __init__(self, session: Any) -> None:
        self.session = session

    def run(self) -> Any:
        if self.raises:
            raise self.raises
        return type("Job", (), {"job_id": lambda _: "d4abc"})()


class RuntimeProgramNotFound(Exception):
    """Named as the runtime's own."""


def pressed(monkeypatch: pytest.MonkeyPatch, raises: Exception | None = None) -> str:
    monkeypatch.setattr("qiskit_ibm_runtime.Calibrator", Button)
    monkeypatch.setattr(Button, "raises", raises)
    return press_calibrator(OpenSession())


def test_the_job_that_was_sent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pressed(monkeypatch) == "d4abc"


def test_without_a_session_it_is_refused() -> None:
    with pytest.raises(Refused, match=r"inside a session alone.*got FakeManilaV2"):
        press_calibrator(FakeManilaV2())


def test_on_a_fake_backend_it_is_refused_as_the_runtime_does() -> None:
    """Which raises ValueError by itself; ours says what stands for it."""
    with pytest.raises(Refused, match=r"no local mode.*fake_manila.*recalibration"):
        press_calibrator(Session(backend=FakeManilaV2()))


def test_who_is_not_entitled_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="entitled accounts only"):
        pressed(monkeypatch, RuntimeProgramNotFound("calibrate"))
    denied = Exception("forbidden")
    vars(denied)["status_code"] = 403
    with pytest.raises(Refused, match="entitled accounts only"):
        pressed(monkeypatch, denied)


def test_a_lost_connection_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Transient, match="no route"):
        pressed(monkeypatch, OSError("no route"))

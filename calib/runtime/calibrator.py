"""The runtime's own Calibrator: it calibrates a backend anew, for accounts entitled to it."""

from __future__ import annotations

from typing import Any

from calib.runtime.credentials import guard_logs
from calib.runtime.errors import Refused
from calib.runtime.ibm_errors import translated


def press_calibrator(session: Any) -> str:
    """Sends one calibration of the session's backend; the id of its job.

    `session` is an open `qiskit_ibm_runtime.Session` on a real backend. While the job runs, nothing
    else of the session does, and its seconds are charged. Refused where it cannot work: outside a
    session, on fake backends, or where the account is not entitled to it.
    """
    try:
        from qiskit_ibm_runtime import Calibrator, Session
    except ImportError:
        raise ImportError("the Calibrator needs qiskit-ibm-runtime: "
                          "pip install 'syndrift[ibm]'") from None  # fmt: skip
    guard_logs()
    if not isinstance(session, Session):
        raise Refused("the Calibrator runs inside a session alone: expected an open "
                      f"qiskit_ibm_runtime.Session, got {type(session).__name__}: open one with "
                      "Session(backend=...)")  # fmt: skip
    if getattr(session.service, "is_local", False):
        raise Refused("the Calibrator has no local mode: expected a session on a real backend, got "
                      f"one on {session.backend()}; here, `recalibration` of a recipe of "
                      "`syndrift steer` stands for it")  # fmt: skip
    with translated():
        try:
            return Calibrator(session).run().job_id()
        except Exception as error:
            if getattr(error, "status_code", None) in (403, 404) or _is_unknown(error):
                raise Refused("this account may not run the Calibrator: IBM grants it to entitled "
                              "accounts only; ask IBM, or go on without it") from None  # fmt: skip
            raise


def _is_unknown(error: Exception) -> bool:
    """Whether the service says that it has no such program, for this account."""
    return "RuntimeProgramNotFound" in {kind.__name__ for kind in type(error).__mro__}

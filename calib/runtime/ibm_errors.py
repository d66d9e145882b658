"""What IBM's service and the network beneath it raise, as errors of ours.

Told apart by the names of their classes and by HTTP status, so that nothing of the runtime, of
requests or of IBM's SDK need be imported to look at an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from calib.runtime.credentials import redacted
from calib.runtime.errors import (
    Busy,
    Expired,
    JobFailed,
    NoAccount,
    Refused,
    ServiceError,
    Transient,
    UnknownJob,
)

_LOG_IN = ("log in again: QiskitRuntimeService.save_account(..., overwrite=True) in Python, or set "
           "QISKIT_IBM_TOKEN in the environment")  # fmt: skip
_FIRST_LOGIN = (
    "no IBM Quantum account is known on this computer. First make one, and an API key, at "
    "https://quantum.cloud.ibm.com. Then save the key, once, in Python: `from qiskit_ibm_runtime "
    'import QiskitRuntimeService; QiskitRuntimeService.save_account(token="<API key>")`; or put '
    "it into the environment variable QISKIT_IBM_TOKEN. Then give the same command again. Fake "
    "backends, such as fake_torino, need no account: leave --service ibm out"
)
_EXPIRED = {"IBMNotAuthorizedError", "IBMAccountError", "AccountsError", "InvalidAccountError"}
_FAILED = {"RuntimeJobFailureError", "RuntimeJobMaxTimeoutError"}
_REFUSED = {"IBMInputValueError", "QiskitBackendNotFoundError", "RuntimeProgramNotFound",
            "RuntimeInvalidStateError", "ValueError", "TypeError"}  # fmt: skip
# Anything else that these raise (lost connections, time-outs, answers that make no sense) may work
# the next time: a wrong guess costs a few more attempts, and `find` guards against sending twice.
_PASSING = {"IBMError", "QiskitError", "RequestException", "HTTPError", "ApiException", "OSError"}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns what is raised inside into one of our errors, without credentials in its text.

    The original is not shown with it: its text, too, may hold credentials.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:
        ours = _ours(error)
        if ours is None:
            raise  # a mistake in the code, ours or the runtime's
        raise ours from None


def _ours(error: Exception) -> ServiceError | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    text = redacted(" ".join(str(error).split()) or type(error).__name__)
    status = _status(error)
    if "AccountNotFoundError" in names:
        return NoAccount(_FIRST_LOGIN)
    if "RuntimeJobNotFound" in names:
        return UnknownJob(text)
    if names & _FAILED:
        return JobFailed(text)
    # IBM Cloud answers 400 to a key that it does not know (any more).
    unknown_key = status == 400 and "api key" in text.lower()
    if names & _EXPIRED or status == 401 or unknown_key:
        return Expired(f"{text}: {_LOG_IN}")
    if status is not None:
        return _by_status(status, text, error)
    if names & _PASSING and not names & _REFUSED:
        return Transient(text)
    return Refused(text) if names & _REFUSED else None


def _by_status(status: int, text: str, error: Exception) -> ServiceError:
    if status == 429:
        return Busy(text, _retry_after_s(error))
    if status in (408, 425) or not 400 <= status < 500:  # -1: no answer at all
        return Transient(text)
    return Refused(text)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those from which it was made: the runtime hides the status in them.

    One of ours ends it: that is another call's, which we were handling when this one was made.
    """
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None or isinstance(seen, ServiceError):
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def _status(error: BaseException) -> int | None:
    """The HTTP status, -1 where a request had no answer, None if no request is behind it."""
    for one in _chain(error):
        for holder in (one, getattr(one, "response", None)):
            for name in ("status_code", "code"):
                found = getattr(holder, name, None)
                if isinstance(found, int) and (found == -1 or 100 <= found < 600):
                    return found
    return None


def _retry_after_s(error: BaseException) -> float | None:
    for one in _chain(error):
        headers = getattr(getattr(one, "response", None), "headers", None) or {}
        with contextlib.suppress(TypeError, ValueError):
            return float(str(headers.get("Retry-After")))
    return None

"""What the runtime, requests and IBM's SDK raise becomes one of our errors."""

from __future__ import annotations

import pytest
import requests
from ibm_cloud_sdk_core import ApiException
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime.accounts import AccountNotFoundError
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import (
    IBMInputValueError,
    IBMNotAuthorizedError,
    IBMRuntimeError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobNotFound,
    RuntimeJobTimeoutError,
)

from calib.runtime import (
    Busy,
    Expired,
    JobFailed,
    NoAccount,
    Refused,
    Transient,
    UnknownJob,
    redacted,
)
from calib.runtime.ibm_errors import translated


def answered(status: int, text: str = "no", headers: dict | None = None) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    return requests.HTTPError(text, response=response)


def wrapped(status: int, headers: dict | None = None) -> Exception:
    """As the runtime wraps an answer: the status is in the hidden context alone."""
    try:
        try:
            raise RequestsApiError("no", status) from answered(status, headers=headers)
        except RequestsApiError as error:
            raise IBMRuntimeError(f"Failed to run program: {error}") from None
    except IBMRuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (wrapped(400), Refused),
        (wrapped(401), Expired),
        (wrapped(403), Refused),
        (wrapped(408), Transient),
        (wrapped(429), Busy),
        (wrapped(500), Transient),
        (wrapped(503), Transient),
        (wrapped(-1), Transient),
        (RequestsApiError("connection reset"), Transient),
        (IBMNotAuthorizedError("expired"), Expired),
        (AccountNotFoundError("no account"), NoAccount),
        (ApiException(400, message="Provided API key could not be found"), Expired),
        (ApiException(503, message="try later"), Transient),
        (requests.ConnectionError("no route"), Transient),
        (requests.Timeout("too slow"), Transient),
        (TimeoutError("too slow"), Transient),
        (RuntimeJobTimeoutError("too slow"), Transient),
        (RuntimeJobNotFound("no job"), UnknownJob),
        (RuntimeJobFailureError("broken"), JobFailed),
        (RuntimeInvalidStateError("ended"), Refused),
        (IBMInputValueError("bad pub"), Refused),
        (QiskitBackendNotFoundError("no backend"), Refused),
        (IBMRuntimeError("something odd"), Transient),
    ],
    ids=lambda value: f"{type(value).__name__} {value}" if isinstance(value, Exception) else "",
)
def test_what_the_runtime_raises_becomes_one_of_ours(
    error: Exception, ours: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ours) as raised, translated():
        raise error
    assert type(raised.value) is ours
    assert raised.value.__suppress_context__  # a traceback does not show the original


def test_a_mistake_in_the_code_stays_one():
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError


def test_when_the_service_wants_to_be_asked_again():
    with pytest.raises(Busy) as raised, translated():
        raise wrapped(429, {"Retry-After": "30"})
    assert raised.value.after_s == 30.0


def test_an_earlier_error_of_another_call_is_not_looked_at():
    with pytest.raises(Transient) as raised:  # noqa: PT012 - the first error must be in the making
        try:
            with translated():
                raise wrapped(401)
        except Expired:
            with translated():
                raise requests.ConnectionError("no route") from None
    assert type(raised.value) is Transient


def test_without_an_account_the_way_to_one_is_told_in_order():
    with pytest.raises(NoAccount) as raised, translated():
        raise AccountNotFoundError("no account")
    said = str(raised.value)
    steps = ("https://quantum.cloud.ibm.com", "QiskitRuntimeService.save_account(token=",
             "QISKIT_IBM_TOKEN", "same command again", "fake_torino")  # fmt: skip
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    assert redacted(said) == said  # the place-holder is not taken for a key
    assert isinstance(raised.value, Expired)  # the runner stops, and a job stays written down
    assert isinstance(raised.value, ValueError)  # at the border: exit status 2

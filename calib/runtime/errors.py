"""What can go wrong between us and a service, by what there is to do about it.

The texts go to the ledger and to the terminal: a service takes its secrets out of them before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calib.runtime.order import Outcome


class ServiceError(RuntimeError):
    """What a service could not do; the text says what to do about it."""


class Transient(ServiceError):
    """It may work in a while: network, time-out, a service under maintenance.

    From `submit` this leaves open whether the job exists: `find` tells.
    """


class Busy(Transient):
    """The rate limit: nothing was done; `after_s` is when the service wants to be asked again."""

    def __init__(self, text: str, after_s: float | None = None) -> None:
        super().__init__(text)
        self.after_s = after_s


class Refused(ServiceError):
    """It will never work as it stands."""


class Expired(ServiceError):
    """The credentials are no longer, or not yet, good: log in again; nothing is lost."""


class NoAccount(Expired, ValueError):
    """There are no credentials at all; the text says how one comes by them, from the beginning."""


class UnknownJob(ServiceError):
    """The service has no job of this id (any more)."""


class JobFailed(ServiceError):
    """The job ended without results; the text is the service's reason."""


class PartialResult(ServiceError):
    """Some circuits' outcomes came: one entry for each circuit, None where nothing came."""

    def __init__(self, text: str, outcomes: Sequence[Outcome | None]) -> None:
        super().__init__(text)
        self.outcomes = tuple(outcomes)

"""How far a deployment has come, and how patiently a service is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from calib.runtime.credentials import redacted
from calib.runtime.errors import Busy, Expired, Transient
from calib.runtime.ledger_rows import JobRow
from calib.runtime.order import ENDED, JobState

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Progress:
    """Where a deployment's jobs stand; `stopped` says why no more was done, and how to go on."""

    deployment: int
    states: dict[JobState, int]
    seconds_charged: float
    seconds_expected: float
    recalibrated: int
    stopped: str | None = None

    @property
    def jobs(self) -> int:
        """All of them."""
        return sum(self.states.values())

    @property
    def finished(self) -> bool:
        """Whether every job has ended, one way or another."""
        return all(state in ENDED for state in self.states)

    @property
    def complete(self) -> bool:
        """Whether every result is in the ledger."""
        return set(self.states) == {JobState.fetched}

    def __str__(self) -> str:
        return ", ".join(f"{many:,} {state}" for state, many in sorted(self.states.items()))


def progress_of(deployment: int, jobs: Sequence[JobRow], stopped: str | None = None) -> Progress:
    """Counted from the ledger's rows."""
    return Progress(
        deployment=deployment,
        states=dict(Counter(job.state for job in jobs)),
        seconds_charged=sum(job.seconds_charged or 0.0 for job in jobs),
        seconds_expected=sum(job.seconds for job in jobs),
        recalibrated=sum(bool(job.calibration_changed) for job in jobs),
        stopped=stopped,
    )


class Stopped(Exception):
    """No more can be done now; the text is for the user, nothing is lost."""


class Patience:
    """Asks again what failed in passing, ever less often; gives up after `patience_s`.

    Pauses double from one second to a minute, each times a random factor in [0.5, 1.5), so that
    many clients do not come back in step after an outage.
    """

    def __init__(
        self,
        *,
        patience_s: float,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        rng: np.random.Generator,
        say: Callable[[str], None],
    ) -> None:
        self.patience_s = patience_s
        self._sleep, self._clock, self._rng, self._say = sleep, clock, rng, say

    def asked(self, call: Callable[[], Answer], doing: str, go_on: str) -> Answer:
        """The answer of a call that has no effect; Stopped when patience or the login runs out."""
        pauses = self.begin()
        while True:
            try:
                return call()
            except Transient as error:
                if not pauses.rest(error, doing):
                    raise Stopped(f"{doing}: {redacted(str(error))}; gave up after "
                                  f"{self.patience_s:g} s; {go_on}") from None  # fmt: skip
            except Expired as error:
                raise Stopped(f"{doing}: {redacted(str(error))}; {go_on}") from None

    def begin(self) -> Pauses:
        """A new row of pauses, the first a short one."""
        return Pauses(self)

    def rest(self, seconds: float) -> None:
        """Sleeps."""
        self._sleep(seconds)

    def now(self) -> float:
        """Seconds on the clock."""
        return self._clock()

    def jitter(self) -> float:
        """A factor in [0.5, 1.5)."""
        return 0.5 + self._rng.random()

    def say(self, text: str) -> None:
        """Tells the user, without secrets."""
        self._say(redacted(text))


class Pauses:
    """The pauses between attempts at one thing."""

    _LONGEST_S = 60.0

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._begun = patience.now()
        self._slept = 0.0
        self._next_s = 1.0

    def rest(self, error: Transient, doing: str) -> bool:
        """Waits before the next attempt; False if that would take longer than the patience."""
        asked_s = error.after_s if isinstance(error, Busy) else None
        pause_s = max(self._next_s * self._patience.jitter(), asked_s or 0.0)
        gone_s = max(self._slept, self._patience.now() - self._begun)
        if gone_s + pause_s > self._patience.patience_s:
            return False
        self._patience.say(f"{doing}: {error}; again in {pause_s:.0f} s")
        self.sleep(pause_s)
        return True

    def sleep(self, pause_s: float | None = None) -> float:
        """Sleeps for the next pause, or the one given; returns how long in all."""
        pause_s = self._next_s * self._patience.jitter() if pause_s is None else pause_s
        self._patience.rest(pause_s)
        self._slept += pause_s
        self._next_s = min(2 * self._next_s, self._LONGEST_S)
        return self._slept

"""How long a compiled decoder takes: for one shot at a time, and in batches."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import numpy.typing as npt
import sinter

Bits = npt.NDArray[np.uint8]

_MOST_CALLS = 20_000
_FEWEST_SINGLE_SHOTS = 20
_WARM_UP_CALLS = 10
_BATCH_SHOTS = 1024


@dataclasses.dataclass(frozen=True)
class DecodeTimes:
    """Times in seconds; 99 of 100 single shots take at most `single_p99_seconds`.

    `single_shots` and `batched_shots` say how many shots the figures rest on.
    """

    single_median_seconds: float
    single_p99_seconds: float
    batched_seconds_per_shot: float
    single_shots: int
    batched_shots: int


def decode_times(
    compiled: sinter.CompiledDecoder,
    events: Bits,
    *,
    batch_shots: int | None = None,
    budget_seconds: float = 1.0,
) -> DecodeTimes:
    """Times `compiled` on bit-packed `events` [shots, bytes], going round them as often as needed.

    Half of the budget goes to single shots, half to batches; a few calls of each kind come before
    and are not counted. However slow the decoder is, 20 single shots and one batch are timed.
    Batches have `batch_shots` shots; by default 1,024, or as many as single shots fit the budget.
    """
    if events.ndim != 2 or events.dtype != np.uint8 or not len(events):
        raise ValueError(
            "timing needs bit-packed detection events, uint8[shots, bytes] with at least one shot, "
            f"got {events.dtype}{events.shape}"
        )
    if batch_shots is not None and batch_shots < 1:
        raise ValueError(f"batch_shots must be at least 1, got {batch_shots}")
    # Each call gets memory of its own, as it would from a control system.
    singles = [np.ascontiguousarray(row[np.newaxis]) for row in events[:_MOST_CALLS]]
    seconds = budget_seconds / 2
    single = _call_times(compiled, singles, seconds, fewest=_FEWEST_SINGLE_SHOTS)
    if batch_shots is None:
        batch_shots = min(_BATCH_SHOTS, max(int(seconds / np.mean(single)), 1))
    batch_shots = min(batch_shots, len(events))
    batches = [
        np.ascontiguousarray(events[start : start + batch_shots])
        for start in range(0, len(events) - batch_shots + 1, batch_shots)
    ]
    batched = _call_times(compiled, batches, seconds, fewest=1)
    return DecodeTimes(
        single_median_seconds=float(np.median(single)),
        single_p99_seconds=float(np.quantile(single, 0.99, method="higher")),
        batched_seconds_per_shot=sum(batched) / (len(batched) * batch_shots),
        single_shots=len(single),
        batched_shots=len(batched) * batch_shots,
    )


def _call_times(
    compiled: sinter.CompiledDecoder, calls: Sequence[Bits], seconds: float, *, fewest: int
) -> list[float]:
    """The duration of each call, for `seconds` or `fewest` calls, whichever is more."""
    begun = perf_counter()
    for events in itertools.islice(itertools.cycle(calls), _WARM_UP_CALLS):
        compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        if perf_counter() - begun > seconds / 10:
            break
    durations: list[float] = []
    begun = perf_counter()
    for events in itertools.islice(itertools.cycle(calls), _MOST_CALLS):
        start = perf_counter()
        compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        stop = perf_counter()
        durations.append(stop - start)
        if stop - begun >= seconds and len(durations) >= fewest:
            break
    return durations

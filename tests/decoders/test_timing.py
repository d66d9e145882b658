"""Decode times: of a decoder whose times are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import sinter

from decoders.baselines import resolve_decoder
from decoders.timing import decode_times
from tests.decoders import conformance

Bits = npt.NDArray[np.uint8]


class Clocked(sinter.CompiledDecoder):
    """Moves a clock of its own on by what it is told to take; the first call takes longer."""

    def __init__(self, *, per_call: float, per_shot: float, first: float = 0.0):
        self.per_call, self.per_shot, self.first = per_call, per_shot, first
        self.now = 100.0
        self.sizes: list[int] = []

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        shots = len(bit_packed_detection_event_data)
        marked = int(bit_packed_detection_event_data[:, 0].sum())  # ten times as long
        self.now += self.per_call + (shots + 9 * marked) * self.per_shot
        self.now += 0 if self.sizes else self.first
        self.sizes.append(shots)
        return np.zeros((shots, 1), dtype=np.uint8)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clocked]:
    """Makes a decoder whose clock `decode_times` reads."""

    def make(**times: float) -> Clocked:
        decoder = Clocked(**times)
        monkeypatch.setattr("decoders.timing.perf_counter", lambda: decoder.now)
        return decoder

    return make


def test_known_times(clocked: Callable[..., Clocked]) -> None:
    decoder = clocked(per_call=2e-3, per_shot=1e-3, first=5.0)
    events = np.zeros((100, 3), dtype=np.uint8)
    events[:3, 0] = 1  # 3 shots of 100 take 2 + 10 ms, the others 2 + 1 ms
    times = decode_times(decoder, events, batch_shots=50, budget_seconds=6.0)
    assert times.single_median_seconds == pytest.approx(3e-3)
    assert times.single_p99_seconds == pytest.approx(12e-3)
    # Two batches of 50, with all three slow shots in the first: (2 * 2 + 100 + 27) ms for both.
    assert times.batched_seconds_per_shot == pytest.approx(131e-3 / 100, rel=0.02)
    assert set(decoder.sizes) == {1, 50}
    # Three seconds each, at 3.27 ms a single shot and 1.31 ms a batched one on average.
    assert times.single_shots == pytest.approx(3 / 3.27e-3, rel=0.02)
    assert times.batched_shots == pytest.approx(3 / 1.31e-3, rel=0.05)


def test_slow_decoders_are_timed_on_a_few_shots_all_the_same(
    clocked: Callable[..., Clocked],
) -> None:
    decoder = clocked(per_call=1.0, per_shot=0.0)
    events = np.zeros((5, 1), dtype=np.uint8)
    times = decode_times(decoder, events, batch_shots=5, budget_seconds=0.01)
    assert (times.single_shots, times.batched_shots) == (20, 5)
    assert times.single_median_seconds == times.single_p99_seconds == pytest.approx(1.0)
    assert times.batched_seconds_per_shot == pytest.approx(0.2)
    assert len(decoder.sizes) == (1 + 20) + (1 + 1)  # each kind with one call to warm up


def test_batches_of_a_slow_decoder_keep_to_the_budget(clocked: Callable[..., Clocked]) -> None:
    decoder = clocked(per_call=0.0, per_shot=0.01)
    decode_times(decoder, np.zeros((1000, 1), dtype=np.uint8), budget_seconds=1.0)
    assert max(decoder.sizes) in (49, 50)  # half a second's worth, give or take a rounding


def test_batches_are_no_larger_than_the_shots(clocked: Callable[..., Clocked]) -> None:
    decoder = clocked(per_call=0.0, per_shot=1e-3)
    decode_times(decoder, np.zeros((30, 1), dtype=np.uint8), budget_seconds=1.0)
    assert set(decoder.sizes) == {1, 30}


def test_a_baseline() -> None:
    circuit = conformance.circuit_for("graphlike")
    model = circuit.detector_error_model(decompose_errors=True)
    events = conformance.drawn(model, 2000, np.random.default_rng(2))
    compiled = resolve_decoder("pymatching").decoder.compile_decoder_for_dem(dem=model)
    times = decode_times(compiled, events, budget_seconds=0.2)
    # One call's overhead alone is microseconds; in a batch it is shared by 1,024 shots.
    assert times.batched_seconds_per_shot < times.single_median_seconds < 0.01


@pytest.mark.parametrize(
    "events", [np.zeros((0, 3), np.uint8), np.zeros(3, np.uint8), np.zeros((3, 3), bool)]
)
def test_events_that_do_not_fit(events: npt.NDArray) -> None:
    with pytest.raises(ValueError, match="timing needs bit-packed detection events"):
        decode_times(Clocked(per_call=0, per_shot=0), events)


def test_batches_of_nothing() -> None:
    with pytest.raises(ValueError, match="batch_shots must be at least 1, got 0"):
        decode_times(Clocked(per_call=0, per_shot=0), np.zeros((1, 1), np.uint8), batch_shots=0)

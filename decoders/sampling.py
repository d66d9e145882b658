"""The sinter sampler behind every count: numbered shots, whole batches, several decoders at once.

sinter hands at most 1,024 shots to a decoder and starts from one; through its `Sampler` interface
a decoder gets the batch it wants instead. sinter has no seeds; here each call takes the next
numbered shots from a ledger that the workers share, so that no shot is drawn twice and each row of
the CSV says which it holds.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines import custom_decoders_of, resolve_decoder
from decoders.shots import SHARD_SHOTS, Bits, NumberedShots

if TYPE_CHECKING:
    from decoders.published import RecordedShots, ShotFile

Range = tuple[int, int]

_FIRST_BATCH_SHOTS = 16
_TARGET_SECONDS = 2.0
_ERRORS_SHARE = 0.02  # of a task's max_errors, that one batch is expected to bring
_MOST_BATCH_BYTES = 64 * 2**20
_RANGE_KEY = "shots"
FAILED = "failed"  # the custom count of shots that erred or were declined, by which tasks stop
_ERRED, _DECLINED = 1, 2
_LETTERS = "oED"


def range_key(start: int, stop: int) -> str:
    """The custom count under which a row of the CSV names its shots, e.g. `shots[0:1024]`."""
    return f"{_RANGE_KEY}[{start}:{stop}]"


def ranges_of(custom_counts: Mapping[str, int]) -> Iterator[Range]:
    """The ranges of shots that a row (or a sum of rows) holds; twice if it counts them twice."""
    for key, count in custom_counts.items():
        if key.startswith(_RANGE_KEY + "["):
            start, stop = key[len(_RANGE_KEY) + 1 : -1].split(":")
            for _ in range(count):
                yield int(start), int(stop)


class ShotLedger:
    """Which shots of which task are still to be drawn; shared by the workers of one collection."""

    def __init__(self, pending: Mapping[str, Sequence[Range]]):
        self._pending = {key: tuple(ranges) for key, ranges in pending.items()}
        self._index = {key: k for k, key in enumerate(self._pending)}
        context = multiprocessing.get_context("spawn")  # as sinter starts its workers
        self._taken: Any = context.Array("q", max(len(self._pending), 1))

    def claim(self, strong_id: str, wanted: int, *, exactly: bool = False) -> Range:
        """The next at most `wanted` shots of a task; unless `exactly`, cut at a shard's edge.

        Then it is also at most a quarter of what is left, so that towards the end no worker is
        idle while another has a large batch.
        """
        slot = self._index[strong_id]
        with self._taken.get_lock():
            offset = self._taken[slot]
            if not exactly:
                left = sum(stop - start for start, stop in self._pending[strong_id]) - offset
                wanted = min(wanted, max(left // 4, SHARD_SHOTS))
            for start, stop in self._pending[strong_id]:
                if offset < stop - start:
                    first = start + offset
                    last = min(first + wanted, stop)
                    edge = last - last % SHARD_SHOTS
                    last = edge if last < stop and edge > first and not exactly else last
                    self._taken[slot] += last - first
                    return first, last
                offset -= stop - start
        raise RuntimeError(f"task {strong_id} has no shots left to draw: sinter asked for too many")


class DecoderFailed(RuntimeError):
    """A decoder raised; the message names it and what it raised."""


@contextlib.contextmanager
def _named(decoder: str, doing: str) -> Iterator[None]:
    """Names the decoder in whatever it raises, in an exception that every process can read."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DecoderFailed(
            f"decoder {decoder} failed {doing}: {type(error).__name__}: {reason}"
        ) from error


@dataclasses.dataclass(frozen=True)
class Panelist:
    """One decoder of a panel: resolved from `spec` in the worker, so that it need not be picklable.

    `error_model` is what it is compiled for; None means the task's own.
    """

    name: str
    spec: str
    error_model: stim.DetectorErrorModel | None = None


class PanelSampler(sinter.Sampler):
    """Puts the same numbered shots through a panel of decoders (often a panel of one).

    Without a ledger it can only count shots that it is told (`counted`).
    `max_errors` says by strong id where a task stops, so that batches do not overshoot it far;
    `recorded` which tasks take shots from files in place of drawing them.

    A panel of one gives sinter's own columns: `errors` are wrong answers, `discards` are shots
    that the decoder declined. A larger panel counts how the decoders did together: the custom
    count `outcome[oED]` is the number of shots that the first decoder got right (o), on which the
    second erred (E) and the third declined (D); `errors` are the shots on which not all were right.
    """

    def __init__(
        self,
        panel: Sequence[Panelist],
        ledger: ShotLedger | None,
        *,
        seed: int,
        custom_functions: Sequence[str] = (),
        max_errors: Mapping[str, int] | None = None,
        recorded: Mapping[str, RecordedShots] | None = None,
    ):
        self.panel = tuple(panel)
        self.max_errors = dict(max_errors or {})
        self.recorded = dict(recorded or {})
        self.ledger = ledger
        self.seed = seed
        self.custom_functions = tuple(custom_functions)

    def compiled_sampler_for_task(self, task: sinter.Task) -> CompiledPanel:
        """Compiles every decoder of the panel for the task."""
        _leave_with_parent()
        return CompiledPanel(self, task)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        _leave_ctrl_c_to_the_parent()


class CompiledPanel(sinter.CompiledSampler):
    """A panel compiled for one task; each `sample` call is one range of shots, one CSV row."""

    def __init__(self, sampler: PanelSampler, task: sinter.Task):
        if task.circuit is None or task.detector_error_model is None:
            raise ValueError("a task needs its circuit and its detector error model")
        self._sampler = sampler
        self._strong_id = task.strong_id()
        recorded = sampler.recorded.get(self._strong_id)
        self._shots = recorded or NumberedShots(task.circuit, seed=sampler.seed)
        self._observables = task.circuit.num_observables
        custom = custom_decoders_of(sampler.custom_functions)
        self._seats: list[_Seat | _AnsweredSeat] = []
        for panelist in sampler.panel:
            if recorded and (answers := recorded.answered_by(panelist.spec)):
                self._seats.append(_AnsweredSeat(panelist.name, answers))
                continue
            resolved = resolve_decoder(panelist.spec, custom=custom)
            models = [panelist.error_model or task.detector_error_model]
            if recorded is not None and recorded.odd_model is not None:
                models.append(recorded.odd_model)
            with _named(panelist.name, "compiling"):
                compiled = [resolved.decoder.compile_decoder_for_dem(dem=dem) for dem in models]
            self._seats.append(_Seat(panelist.name, tuple(compiled), resolved.batch_shots))
        self._batch_shots = max(seat.batch_shots or 1 for seat in self._seats)
        self._ramp_shots = _FIRST_BATCH_SHOTS
        self._max_errors = sampler.max_errors.get(self._strong_id)
        self._drawn_shots, self._drawn_errors = 0, 0
        shot_bytes = (task.circuit.num_detectors + 7) // 8
        self.most_shots = max(_MOST_BATCH_BYTES // max(shot_bytes, 1), SHARD_SHOTS)

    def handles_throttling(self) -> bool:
        """The panel sizes its own batches; sinter's ramp from one shot would undo that."""
        return True

    def sample(self, suggested_shots: int) -> sinter.AnonTaskStats:
        """Draws and decodes the next range of the task's shots, never more than suggested."""
        ledger = self._sampler.ledger
        if ledger is None:
            raise ValueError("a sampler without a ledger counts only shots that it is told")
        batch = self._batch_shots
        wanted = min(self._ramp_shots, self._shots_before_a_stop(), self.most_shots)
        wanted = max(wanted // batch, 1) * batch  # whole batches, of the size that was asked for
        start, stop = ledger.claim(self._strong_id, min(wanted, suggested_shots), exactly=batch > 1)
        stats, _ = self.counted(start, stop)
        stats.custom_counts[range_key(start, stop)] = 1
        if stats.seconds < 0.3 * _TARGET_SECONDS:
            self._ramp_shots = min(self._ramp_shots * 4, self.most_shots)
        elif stats.seconds > 1.3 * _TARGET_SECONDS and self._ramp_shots > _FIRST_BATCH_SHOTS:
            self._ramp_shots //= 2
        self._drawn_shots += stats.shots
        self._drawn_errors += stats.custom_counts[FAILED]
        return stats

    def counted(self, start: int, stop: int) -> tuple[sinter.AnonTaskStats, npt.NDArray[np.bool_]]:
        """Draws and decodes shots start..stop-1: the counts, and which of them failed."""
        begun = time.monotonic()
        events, flips = self._shots.take(start, stop)
        counts: collections.Counter[str] = collections.Counter()
        outcomes = np.stack(
            [self._verdicts(seat, start, (events, flips), counts) for seat in self._seats]
        )
        failed = np.asarray(outcomes.any(axis=0))
        return _stats(outcomes, counts, time.monotonic() - begun), failed

    def _shots_before_a_stop(self) -> int:
        """Shots in which a small share of the errors that the task waits for is expected."""
        if self._max_errors is None:
            return self.most_shots
        rate = (self._drawn_errors + 1) / (self._drawn_shots + 1)
        return max(int(_ERRORS_SHARE * self._max_errors / rate), _FIRST_BATCH_SHOTS)

    def _verdicts(
        self,
        seat: _Seat | _AnsweredSeat,
        first: int,
        shots: tuple[Bits, Bits],
        counts: collections.Counter[str],
    ) -> npt.NDArray[np.uint8]:
        """One seat's verdict on each shot (right, erred, declined), its time and per-bit errors."""
        events, flips = shots
        begun = time.perf_counter()
        with _named(seat.name, "decoding"):
            answers = seat.decode(events, first)
        counts[f"decode_us[{seat.name}]"] += round((time.perf_counter() - begun) * 1e6)
        verdicts, wrong_bits = judge(
            answers, flips, decoder=seat.name, observables=self._observables
        )
        if self._observables > 1:
            bits = np.unpackbits(wrong_bits, axis=1, count=self._observables, bitorder="little")
            declined = np.count_nonzero(verdicts == _DECLINED)
            for k, errors in enumerate(bits.sum(axis=0, dtype=np.int64)):
                counts[f"observable_errors[{seat.name}][{k}]"] += int(errors) + int(declined)
        return verdicts


@dataclasses.dataclass(frozen=True)
class _Seat:
    """A decoder of a panel, fed in the batches it asks for; compiled twice, for even and odd shots,
    where these have different error models.
    """

    name: str
    compiled: tuple[sinter.CompiledDecoder, ...]
    batch_shots: int | None

    def decode(self, events: Bits, first: int) -> Bits:
        """Answers to events of the shots numbered from `first`."""
        if len(self.compiled) == 1:
            return self._in_batches(self.compiled[0], events)
        halves = [
            self._in_batches(self.compiled[(first + k) % 2], np.ascontiguousarray(events[k::2]))
            for k in range(min(2, len(events)))
        ]
        answers = np.zeros((len(events), max(half.shape[1] for half in halves)), dtype=np.uint8)
        for k, half in enumerate(halves):
            answers[k::2, : half.shape[1]] = half
        return answers

    def _in_batches(self, compiled: sinter.CompiledDecoder, events: Bits) -> Bits:
        step = self.batch_shots or len(events)
        answers = [
            compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events[k : k + step])
            for k in range(0, len(events), step)
        ]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)


@dataclasses.dataclass(frozen=True)
class _AnsweredSeat:
    """A decoder whose answers stand in a file beside the recorded shots."""

    name: str
    answers: ShotFile
    batch_shots: None = None

    def decode(self, events: Bits, first: int) -> Bits:
        """The answers to the shots numbered from `first`."""
        return self.answers.read(first, first + len(events))


def judge(
    answers: Any, flips: Bits, *, decoder: str, observables: int | None = None
) -> tuple[npt.NDArray[np.uint8], Bits]:
    """Right (0), erred (1) or declined (2) for each shot, and the observable bits it got wrong.

    An answer may have one byte more than the observables need: nonzero there means that the
    decoder declines the shot (sinter's convention). Declined shots have no wrong bits.
    """
    shots, width = flips.shape
    good = isinstance(answers, np.ndarray) and answers.dtype == np.uint8 and answers.ndim == 2
    if not good or answers.shape[0] != shots or answers.shape[1] not in (width, width + 1):
        got = (
            f"{answers.dtype}{answers.shape}" if isinstance(answers, np.ndarray) else repr(answers)
        )
        raise ValueError(
            f"decoder {decoder} must answer with uint8({shots}, {width}), "
            f"or one column more to decline shots, got {got}"
        )
    spare = (observables or 0) % 8
    if spare and np.any(answers[:, width - 1] >> spare):
        raise ValueError(f"decoder {decoder} sets bits beyond its {observables} observables")
    declined = np.any(answers[:, width:], axis=1)
    wrong_bits = np.where(declined[:, np.newaxis], np.uint8(0), answers[:, :width] ^ flips)
    erred = np.any(wrong_bits, axis=1)
    verdicts = np.where(declined, _DECLINED, np.where(erred, _ERRED, 0))
    return verdicts.astype(np.uint8), wrong_bits


def _stats(
    outcomes: npt.NDArray[np.uint8], counts: collections.Counter[str], seconds: float
) -> sinter.AnonTaskStats:
    """Verdicts [seats, shots] as sinter counts them."""
    seats, shots = outcomes.shape
    counts[FAILED] = int(np.count_nonzero(outcomes.any(axis=0)))
    if seats == 1:
        errors = int(np.count_nonzero(outcomes == _ERRED))
        discards = int(np.count_nonzero(outcomes == _DECLINED))
    else:
        errors, discards = counts[FAILED], 0
        unusual = outcomes[:, outcomes.any(axis=0)]
        patterns, multiplicity = np.unique(unusual, axis=1, return_counts=True)
        for pattern, number in zip(patterns.T, multiplicity, strict=True):
            letters = "".join(_LETTERS[verdict] for verdict in pattern)
            counts[f"outcome[{letters}]"] += int(number)
    return sinter.AnonTaskStats(
        shots=shots, errors=errors, discards=discards, seconds=seconds, custom_counts=counts
    )


def outcomes_of(total: sinter.TaskStats | sinter.AnonTaskStats, seats: int) -> dict[str, int]:
    """How often each pattern of right (o), erred (E), declined (D) came; all-right included."""
    if seats == 1:
        outcomes = {"E": total.errors, "D": total.discards}
    else:
        outcomes = {
            key[len("outcome[") : -1]: number
            for key, number in total.custom_counts.items()
            if key.startswith("outcome[")
        }
    outcomes["o" * seats] = total.shots - sum(outcomes.values())
    return outcomes


def _leave_ctrl_c_to_the_parent() -> None:
    """In a worker, from the moment that it gets the sampler: the parent stops it in good order."""
    if multiprocessing.current_process().name != "MainProcess":
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@functools.cache
def _leave_with_parent() -> None:
    """Ends a worker when its parent is gone: sinter's workers wait for messages for ever."""
    parent = multiprocessing.parent_process()  # known only when the worker has begun to work
    if parent is None:
        return

    def leave() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()

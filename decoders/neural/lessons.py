"""The examples of a training: batch k is always the same, whoever draws it, and all are new.

Other processes draw while one trains; each draws every so-manieth batch, and the order stays.
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing as mp
import queue
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
import stim

from decoders.dem import checked_model, mechanisms
from decoders.neural.decoder_file import Judgement
from decoders.neural.lattice import Kind
from decoders.neural.problem import Problem
from decoders.neural.readout import Beside, Readout, Sampled
from decoders.neural.sight import Batch, Sight
from decoders.neural.start import start_of
from decoders.neural.training_config import TrainingConfig
from decoders.points import Point, points_of
from decoders.shots import Bits, NumberedShots, circuit_key, shard_seed

_AHEAD = 4  # batches that wait for the one who trains
_PATIENCE_S = 5.0  # between two looks whether a drawing process is alive


class HeldOutShots(NamedTuple):
    """Events and flips, packed as `NumberedShots` gives them, and what is beside events, if any."""

    events: Bits
    flips: Bits
    beside: Beside | None


class Lessons:
    """What a config's batches are drawn from; ValueError if it cannot be trained on them.

    Where there is a readout, the points' circuits have its errors, too.
    """

    def __init__(self, config: TrainingConfig):
        self._config = config
        bare = list(points_of(config))
        self._sampled = [Sampled(point.circuit, config.readout) for point in bare]
        self.points: list[Point] = [_hardened(point, config.readout) for point in bare]
        models = [checked_model("graphlike", point.circuit).error_model for point in self.points]
        self._prepare(models)
        events = [sum(one.probability * len(one.symptoms[0]) for one in mechanisms(model))
                  for model in models]  # fmt: skip
        self._easiest_first = np.argsort(events, kind="stable")
        self._sights: dict[int, Sight] = {}

    def _prepare(self, models: Sequence[stim.DetectorErrorModel]) -> None:
        """Brings the points' error models into one form, that of the start where there is one."""
        first = [Problem.of(model) for model in models]
        self.start = start_of(self._config, first)
        kinds = {kind for problem in first for kind in problem.lattice.kinds}
        self.kinds: tuple[Kind, ...] = tuple(sorted(kinds, key=_order))
        if self.start is not None:
            self.kinds = self.start.header.kinds
        self.layers = first[0].lattice.shape[0]
        for point, problem in zip(self.points, first, strict=True):
            _check(self._config, point, problem, self.layers)
        self.problems = [Problem.of(model, self.kinds) for model in models]

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self._config.steps

    @property
    def judged_every(self) -> int:
        """Batches between two judgements."""
        return max(1, self._config.held_out.every // self._config.batch)

    @property
    def digest(self) -> str | None:
        """Tells recorded shots from others; none of those that are drawn."""
        return None

    def is_over(self, judgements: Sequence[Judgement]) -> bool:
        """Whether to stop before the last step, which what is drawn anew never asks for."""
        return False

    def choice(self, number: int) -> tuple[int, int]:
        """Of which point's circuit batch `number` is, and its seed."""
        config = self._config
        rng = np.random.default_rng([config.seed, number])
        early = config.curriculum * config.steps
        count = len(self.points)
        known = min(count, math.ceil(count * (number + 1) / early)) if early else count
        point = int(self._easiest_first[rng.integers(known)])
        return point, int(rng.integers(2**63))

    def batch(self, number: int) -> Batch:
        """Batch `number`."""
        point, seed = self.choice(number)
        if point not in self._sights:
            self._sights[point] = self._sight(point)
        return self._sights[point].draw(self._config.batch, seed)

    def held_out(self) -> list[HeldOutShots]:
        """Shots of each point that no batch has."""
        each = -(-self._config.held_out.shots // len(self.points))
        return [self._held_out(point, each) for point in range(len(self.points))]

    def _held_out(self, point: int, shots: int) -> HeldOutShots:
        circuit, readout = self._sampled[point]
        if readout is None:
            events, flips = NumberedShots(circuit, seed=self._config.seed).take(0, shots)
            return HeldOutShots(events, flips, None)
        seed = shard_seed(circuit_key(circuit), self._config.seed, 0)
        read = self._sampled[point].sampler(seed).sample(shots)
        events, flips = (np.packbits(bits, axis=1, bitorder="little") for bits in read[:2])
        return HeldOutShots(events, flips, read.beside)

    def from_(self, first: int, every: int = 1) -> Generator[Batch]:
        """Batches from number `first` to the last, or `every` so-manieth, drawn by the workers."""
        numbers = range(first, self._config.steps, every)
        if not self._config.workers:
            yield from map(self.batch, numbers)
            return
        context = mp.get_context("spawn")
        count = self._config.workers
        queues = [context.Queue(_AHEAD) for _ in range(count)]
        arguments = [(self._config, numbers[k::count], queues[k]) for k in range(count)]
        workers = [context.Process(target=_draw, args=one, daemon=True) for one in arguments]
        for worker in workers:
            worker.start()
        try:
            for k in range(len(numbers)):
                yield _next(queues[k % count], workers[k % count])
        finally:
            for worker in workers:
                worker.terminate()

    def _sight(self, point: int) -> Sight:
        return self._config.network.sight(self.problems[point], self._sampled[point])


def lessons_of(config: TrainingConfig) -> Lessons:
    """Drawn or recorded, as the config says."""
    if config.data is None:
        return Lessons(config)
    from decoders.neural.recorded_lessons import RecordedLessons

    return RecordedLessons(config, config.data)


def _hardened(point: Point, readout: Readout | None) -> Point:
    """The point, whose circuit has the readout's errors."""
    if readout is None:
        return point
    return dataclasses.replace(point, circuit=readout.hard(point.circuit))


def _check(config: TrainingConfig, point: Point, problem: Problem, layers: int) -> None:
    if problem.lattice.shape[0] != layers:
        raise ValueError(
            f"{point.source}: up to {problem.lattice.shape[0]} detectors share a place, and "
            f"{layers} in the first circuit: train them apart"
        )
    reason = config.network.refusal(problem)
    if reason:
        raise ValueError(f"{point.source}: {reason}")


def _next(waiting: Any, worker: Any) -> Batch:
    while True:
        try:
            found = waiting.get(timeout=_PATIENCE_S)
        except queue.Empty:
            if not worker.is_alive():
                raise RuntimeError("a process that draws shots has died") from None
            continue
        if isinstance(found, Exception):
            raise found
        return found


def _draw(config: TrainingConfig, numbers: range, into: Any) -> None:
    """In a process of its own, which ends with the one who asked, however that one ends."""
    try:
        lessons = Lessons(config)
        for number in numbers:
            if not _handed_over(lessons.batch(number), into):
                return
    except Exception as error:  # whatever it is, it is raised where it is waited for
        _handed_over(error, into)


def _handed_over(found: Batch | Exception, into: Any) -> bool:
    """Whether there is still someone to take it."""
    asking = mp.parent_process()
    while asking is None or asking.is_alive():
        try:
            into.put(found, timeout=_PATIENCE_S)
        except queue.Full:
            continue
        return True
    into.cancel_join_thread()  # what nobody takes is not waited for
    return False


def _order(kind: Kind) -> tuple[Any, ...]:
    return kind.layer, kind.other or (), kind.flipped

"""Examples from recorded shots: some to train on in several passes, some to select, some to judge.

Which shot is in which part hangs on the seed alone, at random, so that what alternates or drifts in
the recording is in all parts alike. The error model is learnt from the events of training.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.dem import checked_model
from decoders.evaluate_config import DataRecipe
from decoders.fault_graph import Bits
from decoders.learnt_priors import learnt_model
from decoders.neural.architectures import Corrector
from decoders.neural.decoder_file import Judgement
from decoders.neural.lessons import HeldOutShots, Lessons
from decoders.neural.readout import Read
from decoders.neural.sight import Batch
from decoders.neural.training_config import RecordedRecipe, TrainingConfig
from decoders.points import Point
from decoders.published import chosen_experiments
from decoders.published_works import recorded_point

_AT_ONCE = 4096  # shots that are looked at together
_SPLIT, _ORDER, _DRAWN = range(3)  # uses of the seed

_Of = tuple[int, NDArray[np.int64] | None]
"""A batch: of which experiment, and which shots, None if they are drawn."""


class Parts(NamedTuple):
    """Numbers of an experiment's shots, none of which is in two parts."""

    training: NDArray[np.int64]
    selecting: NDArray[np.int64]
    judging: NDArray[np.int64]

    @classmethod
    def of(cls, shots: int, recipe: RecordedRecipe, seed: Sequence[int]) -> Parts:
        """At random, each in order."""
        numbers = np.random.default_rng(seed).permutation(shots)
        ends = np.round(np.cumsum([recipe.judging, recipe.selecting]) * shots).astype(int)
        judging, selecting, training = (np.sort(one) for one in np.split(numbers, ends))
        return cls(training, selecting, judging)


class ModelShots:
    """Shots of an error model under a seed, as a sampler gives them."""

    def __init__(self, model: stim.DetectorErrorModel):
        self._model = model

    def sampler(self, seed: int) -> _OfModel:
        """The same seed, the same shots."""
        return _OfModel(self._model.compile_sampler(seed=seed))


class _OfModel:
    def __init__(self, sampler: stim.CompiledDemSampler):
        self._sampler = sampler

    def sample(self, shots: int) -> Read:
        """The next so many."""
        events, flips = (np.asarray(bits) for bits in self._sampler.sample(shots)[:2])
        return Read(events, flips, None)


class RecordedLessons(Lessons):
    """What a training on recorded shots sees; ValueError if it cannot be trained on them.

    `given` are the circuits' own error models, `problems` have those that are believed.
    """

    def __init__(self, config: TrainingConfig, recipe: RecordedRecipe):
        self._config, self._recipe = config, recipe
        experiments = chosen_experiments(DataRecipe(folder=recipe.folder, where=recipe.where))
        self.points: list[Point] = [recorded_point(one) for one in experiments]
        self.given = [_given(point) for point in self.points]
        self._prepare(self.given)  # before anything that takes long
        self._shots = [_all_shots(point) for point in self.points]
        self.parts = [Parts.of(len(shots[0]), recipe, [config.seed, number, _SPLIT])
                      for number, shots in enumerate(self._shots)]  # fmt: skip
        for point, (_, flips), parts in zip(self.points, self._shots, self.parts, strict=True):
            _check_shots(point, flips, parts, config.batch)
        if recipe.priors == "learnt":
            with one_thread():  # to the same bits, however many there are when it is gone on with
                self._prepare([learnt_model(model, self._of(number, "training")[0]).model
                               for number, model in enumerate(self.given)])  # fmt: skip
        assert isinstance(config.network, Corrector)  # the config's own check
        self._recorded = [config.network.sight(problem, ModelShots(problem.model))
                          for problem in self.problems]  # fmt: skip
        self._open: list[NDArray[np.int64]] | None = None
        self._now = 0, list[_Of]()  # the pass that batches are taken from

    @property
    def digest(self) -> str:
        """Tells the files from others."""
        return "-".join(point.recorded.digest for point in self.points if point.recorded)

    @property
    def steps(self) -> int:
        """Batches of all passes."""
        return min(self._config.steps, self._recipe.passes * self.judged_every)

    @property
    def judged_every(self) -> int:
        """Batches of a pass, with those that are drawn."""
        if not self._now[1]:
            self._now = 0, self._pass(0)
        return len(self._now[1])

    def is_over(self, judgements: Sequence[Judgement]) -> bool:
        """Whether the last few passes gained nothing."""
        losses = [one.held_out_loss for one in judgements if one.held_out_loss is not None]
        since = len(losses) - 1 - int(np.argmin(losses)) if losses else 0
        return since >= self._recipe.patience

    def batch(self, number: int) -> Batch:
        """Batch `number`."""
        which, at = divmod(number, self.judged_every)
        if self._now[0] != which:
            self._now = which, self._pass(which)
        point, shots = self._now[1][at]
        sight = self._recorded[point]
        if shots is None:
            rng = np.random.default_rng([self._config.seed, number, _DRAWN])
            return sight.draw(self._config.batch, int(rng.integers(2**63)))
        events, flips = (bits[shots] for bits in self._shots[point])
        return sight.examples(Read(events, flips, None))

    def from_(self, first: int, every: int = 1) -> Generator[Batch]:
        """Batches from number `first` to the last; by no other process, as none needs long."""
        yield from map(self.batch, range(first, self.steps, every))

    def held_out(self) -> list[HeldOutShots]:
        """The shots that select, of each experiment."""
        return [self.part(number, "selecting") for number in range(len(self.points))]

    def part(self, point: int, name: str) -> HeldOutShots:
        """One part of an experiment's shots, packed."""
        events, flips = (np.packbits(bits, axis=1, bitorder="little")
                         for bits in self._of(point, name))  # fmt: skip
        return HeldOutShots(events, flips, None)

    def _of(self, point: int, name: str) -> tuple[Bits, Bits]:
        shots = getattr(self.parts[point], name)
        events, flips = self._shots[point]
        return events[shots], flips[shots]

    def _pass(self, number: int) -> list[_Of]:
        """The batches of a pass, in its order."""
        rng = np.random.default_rng([self._config.seed, number, _ORDER])
        size = self._config.batch
        found: list[_Of] = []
        for point, shots in enumerate(self._open_shots()):
            mixed = rng.permutation(shots)
            found += [(point, mixed[at : at + size])
                      for at in range(0, len(mixed) - size + 1, size)]  # fmt: skip
        share = self._recipe.drawn
        drawn = round(len(found) * share / (1 - share))
        found += [(int(point), None) for point in rng.integers(len(self.points), size=drawn)]
        return [found[at] for at in rng.permutation(len(found))]

    def _open_shots(self) -> list[NDArray[np.int64]]:
        """Of each experiment, the shots of training that matching leaves open."""
        if self._open is None:
            self._open = [self._opened(number) for number in range(len(self.points))]
        return self._open

    def _opened(self, point: int) -> NDArray[np.int64]:
        shots = self.parts[point].training
        events = self._of(point, "training")[0]
        found = [at + self._recorded[point].left_open(events[at : at + _AT_ONCE])
                 for at in range(0, len(shots), _AT_ONCE)]  # fmt: skip
        left = shots[np.concatenate([*found, np.arange(0)])]
        if len(left) < self._config.batch:
            raise ValueError(
                f"{self.points[point].source}: of {len(shots):,} shots to train on matching leaves "
                f"{len(left):,} open, fewer than a batch of {self._config.batch}: record more "
                "shots, or set a smaller batch or a larger network.unsure"
            )
        return left


def _given(point: Point) -> stim.DetectorErrorModel:
    """The circuit's own error model, of edges; ValueError if it has none."""
    if point.circuit == point.circuit.without_noise():
        raise ValueError(
            f"{point.source}: the circuit has no noise, which tells which errors there are: give "
            "it the noise you expect"
        )
    return checked_model("graphlike", point.circuit).error_model


def _all_shots(point: Point) -> tuple[Bits, Bits]:
    """Events [N, D] and flips [N, O]."""
    assert point.recorded is not None  # as all points here are
    packed: Any = point.recorded.take(0, point.recorded.shots)
    counts = point.circuit.num_detectors, point.circuit.num_observables
    events, flips = (np.unpackbits(bits, axis=1, count=count, bitorder="little").astype(bool)
                     for bits, count in zip(packed, counts, strict=True))  # fmt: skip
    return events, flips


def _check_shots(point: Point, flips: Bits, parts: Parts, batch: int) -> None:
    """ValueError if there are too few shots, or if they teach nothing."""
    if len(parts.training) < batch or not min(map(len, parts)):
        sizes = ", ".join(f"{len(part):,} {name}" for name, part in parts._asdict().items())
        raise ValueError(
            f"{point.source}: of {len(flips):,} shots ({sizes}) there are fewer to train on than a "
            f"batch of {batch}, or none for another part: record more shots, or set a smaller batch"
        )
    if not flips.any():
        raise ValueError(
            f"{point.source}: no observable flips in {len(flips):,} shots, which teach nothing "
            "then: obs_flips_actual must say what the observables did"
        )

"""Trains a network on shots that are drawn while it learns, beside matching on the same shots."""

from __future__ import annotations

import copy
import functools
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import sinter
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from decoders.baselines import resolve_decoder
from decoders.neural.correcting import CompiledCorrection
from decoders.neural.decoder_file import OURS, FineTuning, Judgement
from decoders.neural.fine_tuning import concluded, loss_of
from decoders.neural.learner import Learner
from decoders.neural.lessons import HeldOutShots, Lessons, lessons_of
from decoders.neural.ranks import ALONE, Ranks, Share
from decoders.neural.start import begin_from
from decoders.neural.training_config import TrainingConfig
from decoders.neural.training_state import TrainingState

STATE, LOG = "state.safetensors", "tensorboard"
RIVALS = ("pymatching", "pymatching-correlated")
_KEEP_EVERY_S = 120.0

OnStep = Callable[[float, str], None]


class Trained(NamedTuple):
    """What a training came to; on recorded shots, once it has ended, with how good it is."""

    config: TrainingConfig
    lessons: Lessons
    network: Learner
    step: int
    judgements: tuple[Judgement, ...]
    seconds: float
    fine_tuning: FineTuning | None = None


OnJudged = Callable[[Trained], None]


class HeldOut:
    """Shots that no training sees, decoded by matching once and by the network as it learns."""

    def __init__(self, lessons: Lessons, config: TrainingConfig):
        self._problems = lessons.problems
        self._network = config.network.network(len(lessons.kinds), lessons.layers).eval()
        self._ours = [config.network.decoder(self._network, one) for one in lessons.problems]
        self.given = lessons.held_out()
        self.shots = sum(len(one.events) for one in self.given)
        self.errors = {name: sum(self._rival(name)) for name in RIVALS}

    def judged(self, network: nn.Module) -> int:
        """The network's errors."""
        self._network.load_state_dict(network.state_dict())
        return sum(map(self._errors, self._ours, self.given))

    def loss(self, network: nn.Module) -> float:
        """The network's, in nats an observable of a shot."""
        self._network.load_state_dict(network.state_dict())
        found = [loss_of(ours, given) for ours, given in zip(self._ours, self.given, strict=True)]
        return float(np.concatenate(found).mean())

    def _rival(self, name: str) -> list[int]:
        decoder = resolve_decoder(name).decoder
        return [self._errors(decoder.compile_decoder_for_dem(dem=problem.model), given)
                for problem, given in zip(self._problems, self.given, strict=True)]  # fmt: skip

    @staticmethod
    def _errors(compiled: sinter.CompiledDecoder, given: HeldOutShots) -> int:
        """On shots of which it gets what it can use."""
        if isinstance(compiled, CompiledCorrection):
            answers = compiled.decode_shots_bit_packed(
                bit_packed_detection_event_data=given.events, beside=given.beside
            )
        else:
            answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=given.events)
        return int((answers != given.flips).any(axis=1).sum())


class _Judge(NamedTuple):
    """Who judges, and writes it down."""

    config: TrainingConfig
    held_out: HeldOut
    log: SummaryWriter

    @staticmethod
    def of(
        config: TrainingConfig, lessons: Lessons, folder: pathlib.Path, state: TrainingState
    ) -> _Judge:
        """Of what no batch has."""
        log = SummaryWriter(str(folder / LOG), purge_step=state.step + 1)
        return _Judge(config, HeldOut(lessons, config), log)

    def judged(self, state: TrainingState) -> Judgement:
        """The network's average, as it is now."""
        config, held_out = self.config, self.held_out
        errors = {**held_out.errors, OURS: held_out.judged(state.average)}
        loss = None if config.data is None else held_out.loss(state.average)
        return Judgement(
            step=state.step, examples=state.step * config.batch, seconds=state.seconds,
            loss=state.loss, shots=held_out.shots, errors=errors, held_out_loss=loss,
        )  # fmt: skip


def train(
    config: TrainingConfig,
    folder: pathlib.Path,
    *,
    ranks: Ranks = ALONE,
    on_step: OnStep = lambda fraction, words: None,
    on_judged: OnJudged = lambda trained: None,
    until: int | None = None,
) -> Trained:
    """Trains to the config's end, or to step `until`; goes on with what is in `folder`.

    Of several `ranks` the first judges and writes; all have the same weights after each step.
    """
    lessons, state, device = _begun(config, folder, ranks)
    last = lessons.steps if until is None else min(until, lessons.steps)
    if (state.step < last and not lessons.is_over(state.judgements)) or _is_due(lessons, state):
        judge = _Judge.of(config, lessons, folder, state) if ranks.is_first else None
        drawn = lessons.from_(state.step + ranks.rank, ranks.count)
        batches = ranks.shares(drawn, lessons.steps - state.step)
        try:
            kept = time.monotonic()
            while True:
                if _is_due(lessons, state):
                    state.judge(ranks.from_first(functools.partial(_judged, judge, state)))
                    if judge is not None:
                        _log(judge.log, state)
                        on_judged(_trained(config, lessons, state))
                if state.step >= last or lessons.is_over(state.judgements):
                    break
                _learn(state, batches, device, ranks)
                on_step(state.step / lessons.steps, _words(state))
                if ranks.is_first and time.monotonic() - kept > _KEEP_EVERY_S:
                    state.save(folder / STATE)
                    kept = time.monotonic()
        finally:
            batches.close()
            if judge is not None:
                judge.log.close()
                if state.is_whole:
                    state.save(folder / STATE)
    trained = _trained(config, lessons, state)
    has_ended = state.step == lessons.steps or lessons.is_over(state.judgements)
    is_to_conclude = has_ended and ranks.is_first
    return trained._replace(fine_tuning=concluded(trained)) if is_to_conclude else trained


def _trained(config: TrainingConfig, lessons: Lessons, state: TrainingState) -> Trained:
    kept = copy.deepcopy(state.average if state.best is None else state.best).cpu().eval()
    return Trained(config, lessons, kept, state.step, tuple(state.judgements), state.seconds)


def _begun(
    config: TrainingConfig, folder: pathlib.Path, ranks: Ranks
) -> tuple[Lessons, TrainingState, str]:
    cores = (os.cpu_count() or 1) // ranks.here
    torch.set_num_threads(config.threads or max(1, cores - config.workers))
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    ranks.check_batch(config.batch)
    lessons = lessons_of(config)
    state = TrainingState(
        config, untrained(config, lessons).to(device), steps=lessons.steps, digest=lessons.digest
    )
    if ranks.is_first and (folder / STATE).exists():
        state.load(folder / STATE)
    state.share(ranks)
    folder.mkdir(parents=True, exist_ok=True)
    return lessons, state, device


def untrained(config: TrainingConfig, lessons: Lessons) -> Learner:
    """The network that a training begins with: the start's, if there is one."""
    torch.manual_seed(config.seed)
    network = config.network.network(len(lessons.kinds), lessons.layers)
    if lessons.start is not None:
        begin_from(network, lessons.start)
    return network


def _learn(state: TrainingState, batches: Iterator[Share], device: str, ranks: Ranks) -> None:
    """From the next batch, or all shares of it; the time includes what it is waited for."""
    begun = time.monotonic()
    mine = next(batches)
    given = on_device(mine.batch, device)
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        loss = state.network.loss(given)
    loss = loss * mine.part
    loss.backward()
    state.descend(ranks.added(loss, state.network.parameters()))
    state.seconds += time.monotonic() - begun


def _judged(judge: _Judge | None, state: TrainingState) -> Judgement:
    """By the one who judges."""
    if judge is None:
        raise RuntimeError("only the first rank judges")
    return judge.judged(state)


def _words(state: TrainingState) -> str:
    """How it goes, for the progress bar."""
    if not state.judgements:
        return f"loss {state.loss:.4f}"
    last = state.judgements[-1]
    rates = ", ".join(f"{name} {errors / last.shots:.3%}" for name, errors in last.errors.items())
    return f"loss {state.loss:.4f}; {rates}"


def on_device(batch: Mapping[str, NDArray[Any]], device: str) -> dict[str, Tensor]:
    """Arrays as tensors there."""
    return {name: torch.from_numpy(np.ascontiguousarray(value)).to(device)
            for name, value in batch.items()}  # fmt: skip


def _is_due(lessons: Lessons, state: TrainingState) -> bool:
    """Whether this step is to be judged, as the first and the last are, and was not yet."""
    is_one = state.step % lessons.judged_every == 0 or state.step == lessons.steps
    return is_one and not (state.judgements and state.judgements[-1].step == state.step)


def _log(log: SummaryWriter, state: TrainingState) -> None:
    last = state.judgements[-1]
    log.add_scalar("loss", last.loss, last.step)
    for name, errors in last.errors.items():
        log.add_scalar(f"logical error rate/{name}", errors / last.shots, last.step)

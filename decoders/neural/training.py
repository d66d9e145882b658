"""Trains a network on shots that are drawn while it learns, beside matching on the same shots."""

from __future__ import annotations

import copy
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
from decoders.neural.decoder_file import OURS, Judgement
from decoders.neural.learner import Learner
from decoders.neural.lessons import HeldOutShots, Lessons
from decoders.neural.sight import Batch
from decoders.neural.training_config import TrainingConfig
from decoders.neural.training_state import TrainingState

STATE, LOG = "state.safetensors", "tensorboard"
RIVALS = ("pymatching", "pymatching-correlated")
_KEEP_EVERY_S = 120.0

OnStep = Callable[[float, str], None]


class Trained(NamedTuple):
    """What a training came to."""

    config: TrainingConfig
    lessons: Lessons
    network: Learner
    step: int
    judgements: tuple[Judgement, ...]
    seconds: float


OnJudged = Callable[[Trained], None]


class HeldOut:
    """Shots that no training sees, decoded by matching once and by the network as it learns."""

    def __init__(self, lessons: Lessons, config: TrainingConfig):
        each = -(-config.held_out.shots // len(lessons.points))
        self.shots = each * len(lessons.points)
        self._problems = lessons.problems
        self._network = config.network.network(len(lessons.kinds), lessons.layers).eval()
        self._ours = [config.network.decoder(self._network, one) for one in lessons.problems]
        self.given = [lessons.held_out(number, each) for number in range(len(lessons.points))]
        self.errors = {name: sum(self._rival(name)) for name in RIVALS}

    def judged(self, network: nn.Module) -> int:
        """The network's errors."""
        self._network.load_state_dict(network.state_dict())
        return sum(map(self._errors, self._ours, self.given))

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


def train(
    config: TrainingConfig,
    folder: pathlib.Path,
    *,
    on_step: OnStep = lambda fraction, words: None,
    on_judged: OnJudged = lambda trained: None,
    until: int | None = None,
) -> Trained:
    """Trains to the config's end, or to step `until`; goes on with what is in `folder`."""
    lessons, state, device = _begun(config, folder)
    last = config.steps if until is None else min(until, config.steps)
    if state.step < last or _is_due(config, state):
        held_out = HeldOut(lessons, config)
        log = SummaryWriter(str(folder / LOG), purge_step=state.step + 1)
        batches = lessons.from_(state.step)
        try:
            kept = time.monotonic()
            while True:
                if _is_due(config, state):
                    _judge(config, state, held_out)
                    _log(log, state)
                    on_judged(_trained(config, lessons, state))
                if state.step >= last:
                    break
                _learn(state, batches, device)
                on_step(state.step / config.steps, _words(state))
                if time.monotonic() - kept > _KEEP_EVERY_S:
                    state.save(folder / STATE)
                    kept = time.monotonic()
        finally:
            batches.close()
            log.close()
            if state.is_whole:
                state.save(folder / STATE)
    return _trained(config, lessons, state)


def _trained(config: TrainingConfig, lessons: Lessons, state: TrainingState) -> Trained:
    average = copy.deepcopy(state.average).cpu().eval()
    return Trained(config, lessons, average, state.step, tuple(state.judgements), state.seconds)


def _begun(config: TrainingConfig, folder: pathlib.Path) -> tuple[Lessons, TrainingState, str]:
    torch.set_num_threads(config.threads or max(1, (os.cpu_count() or 1) - config.workers))
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    lessons = Lessons(config)
    torch.manual_seed(config.seed)
    network = config.network.network(len(lessons.kinds), lessons.layers)
    state = TrainingState(config, network.to(device))
    if (folder / STATE).exists():
        state.load(folder / STATE)
    folder.mkdir(parents=True, exist_ok=True)
    return lessons, state, device


def _learn(state: TrainingState, batches: Iterator[Batch], device: str) -> None:
    """From the next batch; the time includes what it is waited for."""
    begun = time.monotonic()
    given = on_device(next(batches), device)
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        loss = state.network.loss(given)
    loss.backward()
    state.descend(float(loss.detach()))
    state.seconds += time.monotonic() - begun


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


def _is_due(config: TrainingConfig, state: TrainingState) -> bool:
    """Whether this step is to be judged, as the first and the last are, and was not yet."""
    every = max(1, config.held_out.every // config.batch)
    is_one = state.step % every == 0 or state.step == config.steps
    return is_one and not (state.judgements and state.judgements[-1].step == state.step)


def _log(log: SummaryWriter, state: TrainingState) -> None:
    last = state.judgements[-1]
    log.add_scalar("loss", last.loss, last.step)
    for name, errors in last.errors.items():
        log.add_scalar(f"logical error rate/{name}", errors / last.shots, last.step)


def _judge(config: TrainingConfig, state: TrainingState, held_out: HeldOut) -> None:
    errors = {**held_out.errors, OURS: held_out.judged(state.average)}
    state.judge(Judgement(
        step=state.step, examples=state.step * config.batch, seconds=state.seconds,
        loss=state.loss, shots=held_out.shots, errors=errors,
    ))  # fmt: skip

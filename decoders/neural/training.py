"""Trains a network on shots that are drawn while it learns, beside matching on the same shots."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoders.baselines import resolve_decoder
from decoders.neural.architectures import Architecture
from decoders.neural.lessons import Lessons
from decoders.neural.sight import Batch
from decoders.neural.training_config import TrainingConfig
from decoders.neural.training_state import Judgement, TrainingState
from decoders.shots import NumberedShots

STATE = "state.safetensors"
RIVALS = ("pymatching", "pymatching-correlated")
_KEEP_EVERY_S = 120.0

OnJudged = Callable[[Judgement], None]
OnStep = Callable[[float, str], None]


class Trained(NamedTuple):
    """What a training came to."""

    config: TrainingConfig
    lessons: Lessons
    network: nn.Module
    judgements: tuple[Judgement, ...]
    seconds: float


class HeldOut:
    """Shots that no training sees, decoded by matching once and by the network as it learns."""

    def __init__(self, lessons: Lessons, config: TrainingConfig):
        each = -(-config.held_out.shots // len(lessons.points))
        self.shots = each * len(lessons.points)
        self._network, self._problems = config.network, lessons.problems
        self._given = [NumberedShots(point.circuit, seed=config.seed).take(0, each)
                       for point in lessons.points]  # fmt: skip
        self.errors = {name: sum(self._rival(name)) for name in RIVALS}

    def judged(self, network: nn.Module) -> int:
        """The network's errors."""
        return sum(
            self._errors(self._network.decoder(network, problem), given)
            for problem, given in zip(self._problems, self._given, strict=True)
        )

    def _rival(self, name: str) -> list[int]:
        decoder = resolve_decoder(name).decoder
        return [self._errors(decoder.compile_decoder_for_dem(dem=problem.model), given)
                for problem, given in zip(self._problems, self._given, strict=True)]  # fmt: skip

    @staticmethod
    def _errors(compiled: Any, given: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> int:
        events, flips = given
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        return int((answers != flips).any(axis=1).sum())


def train(
    config: TrainingConfig,
    folder: pathlib.Path,
    *,
    on_step: OnStep = lambda fraction, words: None,
    on_judged: OnJudged = lambda judgement: None,
    until: int | None = None,
) -> Trained:
    """Trains to the config's end, or to step `until`; goes on with what is in `folder`."""
    lessons, state, device = _begun(config, folder)
    held_out = HeldOut(lessons, config)
    last = config.steps if until is None else min(until, config.steps)
    kept = begun = time.monotonic()
    before, losses = state.seconds, [0.0][:0]
    batches = lessons.from_(state.step)
    try:
        while state.step < last:
            losses.append(_learn(state, next(batches), device))
            state.seconds = before + time.monotonic() - begun
            on_step(state.step / config.steps, f"loss {np.mean(losses[-50:]):.4f}")
            if _is_due(config, state.step):
                state.judgements.append(_judge(config, state, held_out, losses))
                on_judged(state.judgements[-1])
                losses.clear()
            if time.monotonic() - kept > _KEEP_EVERY_S:
                state.save(folder / STATE)
                kept = time.monotonic()
    finally:
        batches.close()
        state.save(folder / STATE)
    found = tuple(state.judgements)
    return Trained(config, lessons, state.average.cpu().eval(), found, state.seconds)


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


def _learn(state: TrainingState, batch: Batch, device: str) -> float:
    given = on_device(batch, device)
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        loss: Tensor = state.network.loss(given)  # type: ignore[operator]
    loss.backward()
    state.descend()
    return float(loss.detach())


def on_device(batch: Mapping[str, NDArray[Any]], device: str) -> dict[str, Tensor]:
    """Arrays as tensors there."""
    return {name: torch.from_numpy(np.ascontiguousarray(value)).to(device)
            for name, value in batch.items()}  # fmt: skip


def _is_due(config: TrainingConfig, step: int) -> bool:
    """Whether a judgement comes after this step: at the end, too."""
    every = max(1, config.held_out.every // config.batch)
    return step % every == 0 or step == config.steps


def _judge(
    config: TrainingConfig, state: TrainingState, held_out: HeldOut, losses: list[float]
) -> Judgement:
    average = state.average.cpu().eval()
    errors = {**held_out.errors, "this one": held_out.judged(average)}
    state.average.to(next(state.network.parameters()).device)
    return Judgement(
        step=state.step, examples=state.step * config.batch, seconds=state.seconds,
        loss=float(np.mean(losses)), shots=held_out.shots, errors=errors,
    )  # fmt: skip

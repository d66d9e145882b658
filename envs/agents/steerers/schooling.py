"""Trains the rule of the learnt steerer on many simulated devices, through what they show.

    nice -n 5 .venv/bin/python -m envs.agents.steerers.schooling --seed 1 --out FILE

made the shipped `weights/learnt.npz`. Devices begin off their optimum or at it, and drift in all
manners (`simulated.drawn`). A rollout steers a batch of them for some windows of epochs; after each
window the weights go down the slope of the mean logarithm of each device's excess detections, of
all candidates that were tried, so that exploring is paid for and slow drifts count as much as fast
ones. Devices of its own say which weights are kept. What was stopped goes on from FILE.part.npz.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from calib.threads import one_thread
from envs.agents.steerers.rule import Memory, Rule
from envs.agents.steerers.simulated import Code, Devices, drawn
from envs.steered.memory import MemoryRecipe

_TRAINING, _CHECKING, _BEGINNING = 51, 52, 53  # what the seed is used for
_BOUND = 5.0  # of settings
_LEAST = 1e-4  # excess that is as good as none
_STEEPEST = 0.5  # norm of gradients
_LAST_RATE = 0.02  # of the first


class School(BaseModel):
    """How long, on how many devices, how fast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=1, ge=0, lt=2**31, description="of weights, devices and shots")
    memory: MemoryRecipe = Field(default=MemoryRecipe(), description="the code of all devices")
    parameters: tuple[int, ...] = Field(
        default=(1, 1, 1, 1, 1, 1, 1, 2), description="controls a gate, rollout by rollout"
    )
    rollouts: int = Field(default=200, ge=1, description="batches of devices")
    devices: int = Field(default=40, ge=1, description="of a batch")
    window: int = Field(default=40, ge=1, description="epochs between two steps of the weights")
    windows: int = Field(default=5, ge=1, description="of a rollout")
    rate: float = Field(default=3e-3, gt=0, description="Adam's, at first; falls as a cosine")
    check_every: int = Field(default=10, ge=1, description="rollouts between two checks")


class Pupil(NamedTuple):
    """What is being trained, and the weights that checked best."""

    rule: Rule
    adam: torch.optim.Adam
    best: dict[str, Any]  # `flat` weights and their `loss`


def schooled(
    school: School,
    part: pathlib.Path | None = None,
    say: Callable[[str], None] = lambda words: None,
) -> Rule:
    """The rule that checked best; goes on from `part`, where it stands."""
    codes = {count: Code.of(school.memory, count) for count in set(school.parameters)}
    pupil, first = _begun(school, part)
    for rollout in range(first, school.rollouts):
        code = codes[school.parameters[rollout % len(school.parameters)]]
        losses = _rollout(pupil, school, code, rollout)
        words = f"rollout {rollout + 1} of {school.rollouts}: " + " ".join(
            f"{one:.2f}" for one in losses
        )
        if (rollout + 1) % school.check_every == 0 or rollout + 1 == school.rollouts:
            loss = checked(pupil.rule, codes.get(1, code), school)
            if loss < pupil.best["loss"]:
                pupil.best.update(loss=loss, flat=pupil.rule.flat())
            words += f"; checked {loss:.3f}, best {pupil.best['loss']:.3f}"
            _save(pupil, school, rollout + 1, part)
        say(words)
    return Rule.of(pupil.best["flat"])


def steered(
    rule: Rule, code: Code, devices: Devices, epochs: range, state: tuple[Tensor, Memory],
    rng: torch.Generator,
) -> tuple[Tensor, tuple[Tensor, Memory]]:  # fmt: skip
    """The excess of all that was tried [T, N]; settings and memory from before to after."""
    settings, memory = state
    lost, shape = [], (len(devices.shots), devices.pairs, code.controls)
    for epoch in epochs:
        sizes = (1 + 0.6 * _signs(shape, settings, rng)).sqrt()
        offsets = memory.width[:, None] * sizes * _signs(shape, settings, rng)
        off = torch.cat([offsets, -offsets], 1) + (settings - devices.optimum[epoch])[:, None]
        rates = code.rates(off, devices.squares)
        trials = devices.shots[:, None, None] * code.counts
        noise = torch.randn(rates.shape, generator=rng, dtype=rates.dtype)
        shown = rates + noise * (rates * (1 - rates) / trials).sqrt().detach()
        probe = _signs(tuple(settings.shape), settings, rng)
        seen = code.seen(offsets, shown, devices.shots, memory.variance, probe)
        lost.append(code.excess(rates))
        settings, memory = rule(memory, settings, seen, float(epoch))
        settings = settings.clamp(-_BOUND, _BOUND)
    return torch.stack(lost), (settings, memory)


def checked(rule: Rule, code: Code, school: School) -> float:
    """The loss over the last three quarters of a rollout, on devices that train nothing."""
    epochs = school.window * school.windows
    devices = drawn(code, school.devices, epochs, _numpy(school, _CHECKING, 0))
    with torch.no_grad():
        lost, _ = steered(rule, code, devices, range(epochs), _blank(code, devices),
                          _torch(school, _CHECKING, 0))  # fmt: skip
    return float((lost[epochs // 4 :].mean(0) + _LEAST).log().mean())


def _rollout(pupil: Pupil, school: School, code: Code, rollout: int) -> list[float]:
    epochs = school.window * school.windows
    devices = drawn(code, school.devices, epochs, _numpy(school, _TRAINING, rollout))
    rng, state = _torch(school, _TRAINING, rollout), _blank(code, devices)
    losses = []
    for begun in range(0, epochs, school.window):
        span = range(begun, begun + school.window)
        lost, (settings, memory) = steered(pupil.rule, code, devices, span, state, rng)
        state = settings.detach(), Memory(*(one.detach() for one in memory))
        loss = (lost.mean(0) + _LEAST).log().mean()
        pupil.adam.zero_grad()
        loss.backward()
        share = (rollout + begun / epochs) / school.rollouts
        for group in pupil.adam.param_groups:
            group["lr"] = school.rate * max(_LAST_RATE, 0.5 * (1 + np.cos(np.pi * share)))
        norm = torch.nn.utils.clip_grad_norm_(pupil.rule.parameters(), _STEEPEST)
        if torch.isfinite(norm):  # a device that ran away teaches nothing
            pupil.adam.step()
        losses.append(float(loss.detach()))
    return losses


def _begun(school: School, part: pathlib.Path | None) -> tuple[Pupil, int]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(_numpy(school, _BEGINNING, 0).integers(2**62)))
        rule = Rule()
    adam = torch.optim.Adam(rule.parameters(), lr=school.rate)
    pupil = Pupil(rule, adam, {"loss": np.inf, "flat": rule.flat()})
    if part is None or not part.exists():
        return pupil, 0
    with np.load(part, allow_pickle=False) as kept:
        if str(kept["school"]) != school.model_dump_json():
            raise ValueError(f"{part} is of another training: expected {school.model_dump_json()}, "
                             f"got {kept['school']}; remove it, or name another FILE")  # fmt: skip
        arrays = {name: kept[name] for name in kept.files}
    rule.load_state_dict(Rule.of(arrays["flat"]).state_dict())
    state = adam.state_dict()
    moments = zip(*(Rule.of(arrays[name]).parameters() for name in ("first", "second")),
                  strict=True)  # fmt: skip
    state["state"] = {
        number: {"step": torch.tensor(float(arrays["steps"])), "exp_avg": first.float(),
                 "exp_avg_sq": second.float()}
        for number, (first, second) in enumerate(moments)
    }  # fmt: skip
    adam.load_state_dict(state)
    pupil.best.update(loss=float(arrays["best_loss"]), flat=arrays["best"])
    return pupil, int(arrays["rollouts"])


def _save(pupil: Pupil, school: School, rollouts: int, part: pathlib.Path | None) -> None:
    if part is None:
        return
    states = list(pupil.adam.state_dict()["state"].values())
    first, second = (np.concatenate([one[name].double().numpy().ravel() for one in states])
                     for name in ("exp_avg", "exp_avg_sq"))  # fmt: skip
    beside = part.with_suffix(".new.npz")
    np.savez(
        beside, school=school.model_dump_json(), rollouts=rollouts, flat=pupil.rule.flat(),
        first=first, second=second, steps=float(states[0]["step"]),
        best=pupil.best["flat"], best_loss=pupil.best["loss"],
    )  # fmt: skip
    beside.replace(part)


def _blank(code: Code, devices: Devices) -> tuple[Tensor, Memory]:
    shape, dtype = (len(devices.shots), code.controls), code.nominal.dtype
    return torch.zeros(shape, dtype=dtype), Memory.blank(*shape, dtype=dtype)


def _signs(shape: tuple[int, ...], like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randint(0, 2, shape, generator=rng).to(like.dtype) * 2 - 1


def _numpy(school: School, use: int, number: int) -> np.random.Generator:
    return np.random.default_rng([school.seed, use, number])


def _torch(school: School, use: int, number: int) -> torch.Generator:
    seed = np.random.default_rng([school.seed, use, number, 1]).integers(2**62)
    return torch.Generator().manual_seed(int(seed))


@one_thread()
def main() -> None:
    """Trains, and writes the weights."""
    parser = argparse.ArgumentParser(description="trains the rule of the learnt steerer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rollouts", type=int, default=School().rollouts)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="an .npz file")
    options = parser.parse_args()
    school = School(seed=options.seed, rollouts=options.rollouts)
    part = options.out.with_suffix(".part.npz")
    rule = schooled(school, part, lambda words: print(words, flush=True))
    rule.float().write(options.out)
    part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()

"""Plays steered codes that are halted to be recalibrated, and counts what they lose."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from decoders.student import half_width
from envs.agents.steerers import AnySteerer, make_steerer
from envs.agents.steerers.judge import Judge
from envs.agents.steerers.schedule import Schedule, ScheduleRecipe
from envs.agents.vector import AsVecEnv
from envs.steered.plant import Array
from envs.steering import SurfaceCodeSteeringVector

EPOCH_S, LEAVES = 60.0, 0.2
_ANY = TypeAdapter(AnySteerer)


class Lost(NamedTuple):
    """Of one run: the mean loss of an epoch, that of one nobody touches, and the time halted."""

    loss: float
    untouched: float
    halted: float


class Length(NamedTuple):
    """Of a run: its epochs, the shots of each, and the rounds of a shot."""

    epochs: int
    shots: int
    rounds: int

    def played(
        self, config: dict[str, Any], recipe: dict[str, Any], seed: int, halts: int | None
    ) -> tuple[Array, Array]:
        """A run with a schedule of such halts, or without: its last three quarters.

        What the judge expects there [E, 4], and the part of each epoch that was halted [E].
        """
        tried = 40 if recipe["kind"] == "tracker" else 2  # of settings that are all the same
        cycles = self.rounds * self.shots // tried
        config = config | {"epoch_s": EPOCH_S, "cycles": cycles}
        env = AsVecEnv(SurfaceCodeSteeringVector(tried, config))
        model = make_steerer(_ANY.validate_python(recipe), env, seed)
        env.seed(seed)
        judge = Judge(rounds=self.rounds)
        parts: list[BaseCallback] = [judge]
        if halts is not None:
            parts.append(Schedule(ScheduleRecipe(halts_epochs=halts, leaves=LEAVES)))
        model.learn(tried * self.epochs, CallbackList(parts))
        late = slice(self.epochs // 4, None)
        return np.array(judge.expected)[late], np.array(judge.halted)[late]


def lost(found: Array, floor: Array | float, halted: Array) -> Lost:
    """Detections above a floor, as a share of it; an epoch halted costs 1."""
    excess = found[:, [0, 2]] / floor - 1
    loss = float(np.mean(np.where(halted, halted, excess[:, 0])))
    return Lost(loss, float(excess[:, 1].mean()), float(halted.mean()))


def calibrated(every: int | None, halts: int) -> dict[str, Any]:
    """Calibrated every so many epochs, or once before the run."""
    again = {"halts_epochs": 0} if every is None else {"every_epochs": every, "halts_epochs": halts}
    return {"kind": "calibration", "leaves": LEAVES, **again}


def best_interval(
    intervals: Iterable[int | None], halts: int, runs: Callable[[dict[str, Any]], Sequence[Lost]]
) -> int | None:
    """Of the intervals that are longer than a halt, the one that loses least in its runs."""
    return min(
        (every for every in intervals if every is None or every > halts),
        key=lambda every: statistics.mean(run.loss for run in runs(calibrated(every, halts))),
    )


def cell(values: Sequence[float], runs: Sequence[Lost] = ()) -> str:
    """The mean, half its interval, and the time halted."""
    half = f"±{half_width(values):.3f}" if len(values) > 1 else ""
    share = f" ({100 * statistics.mean(one.halted for one in runs):.1f})" if runs else ""
    return f"{statistics.mean(values):.3f}{half}{share}"

"""When is a backend's own Calibrator worth pressing, and who should decide it?

    .venv/bin/python benchmarks/when_is_the_calibrator_worth_pressing.py [--quick]

Rotated surface code, distance 3, 5 rounds, on the fake Nighthawk backend (simulated; nothing ran on
IBM's devices, whose Calibrator has no local mode). Both phases and the angle of each CZ and the
angle of each SX drift, with an amplitude of 2 units: a gate's reported error times 5 at the most.
An epoch is a minute, of 100,000 shots; the Calibrator takes 2 or 10 minutes and leaves each angle
0.2 units off (both are assumed). It plays pulses, so all 89 angles are its own. Loss is counted in
epochs without the code: an epoch that ran costs its detections above those of the hidden
optimum, as a share of these; an epoch halted costs 1. Means of the last three quarters of 400
epochs; in brackets the share of time halted, in %.

- never: not pressed but once before the run.
- every N: pressed every N epochs, of 10, 20, 40, 80, 160 and never (-) the N that lost least on
  seeds 9601 and 9602.
- by the rule: `recalibration` of `syndrift steer`, from detection rates alone.
- steered: the default steerer turns what the target has gates for (rz), 48 angles, and nobody
  presses.

Seeds 9701 to 9704, on which nothing was tuned; after the mean stands half the width of its 95 %
interval over seeds; 'rule − every N' is the paired difference.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from calib.threads import one_thread
from decoders.student import half_width
from envs.agents.steerers import AnySteerer, make_steerer
from envs.agents.steerers.judge import Judge
from envs.agents.steerers.schedule import Schedule, ScheduleRecipe
from envs.agents.vector import AsVecEnv
from envs.steering import SteeringConfig, SurfaceCodeSteeringVector
from scripts.run_folder import machine
from scripts.table import aligned

EPOCHS, EPOCH_S, SHOTS, LEAVES, ROUNDS = 400, 60.0, 100_000, 0.2, 5
SEEDS, TUNING = (9701, 9702, 9703, 9704), (9601, 9602)
HALTS = (2, 10)
EVERY = (10, 20, 40, 80, 160, None)
DRIFTS: dict[str, dict[str, Any]] = {
    "waves of 5 h": {"kind": "sinusoid", "period_s": 18_000.0, "random_phase": True},
    "wandering, 3 h": {"kind": "ornstein-uhlenbeck", "correlation_time_s": 10_800.0},
}
MEMORY = {"distance": 3, "rounds": ROUNDS}
PLANT = {"kind": "angles", "backend": "fake_nighthawk"}
_ANY = TypeAdapter(AnySteerer)


class Lost(NamedTuple):
    """Of one run: the mean loss of an epoch, and the time halted."""

    loss: float
    halted: float


def played(name: str, recipe: dict[str, Any], seed: int, halts: int | None) -> Lost:
    """One run, with the rule of such halts or without."""
    steers = recipe["kind"] == "tracker"
    tried = 40 if steers else 2  # of settings that are all the same
    config = {
        "memory": MEMORY,
        "plant": PLANT | {"fractional": None if steers else True},
        "drift": [{"process": DRIFTS[name], "absolute": {"optimum": 2.0}}],
        "epoch_s": EPOCH_S, "cycles": ROUNDS * SHOTS // tried,
    }  # fmt: skip
    env = AsVecEnv(SurfaceCodeSteeringVector(tried, config))
    model = make_steerer(_ANY.validate_python(recipe), env, seed)
    env.seed(seed)
    judge = Judge(rounds=ROUNDS)
    parts: list[BaseCallback] = [judge]
    if halts is not None:
        parts.append(Schedule(ScheduleRecipe(halts_epochs=halts, leaves=LEAVES)))
    model.learn(tried * EPOCHS, CallbackList(parts))
    late = slice(EPOCHS // 4, None)
    found, halted = np.array(judge.expected)[late], np.array(judge.halted)[late]
    floor = _floor()
    excess = found[:, 0] / floor - 1
    return Lost(float(np.mean(np.where(halted, halted, excess))), float(halted.mean()))


def _floor() -> float:
    """Detections a cycle with every angle taken back."""
    config = {"memory": MEMORY, "plant": PLANT | {"fractional": True}}
    plant = SteeringConfig.model_validate(config).made()
    still = np.zeros((1, len(plant.controls)))
    return float((plant.rates(still, 0.0) @ plant.cones.counts)[0] / ROUNDS)


def pressed(every: int | None, halts: int) -> dict[str, Any]:
    """Pressed every so many epochs, or once before the run."""
    again = {"halts_epochs": 0} if every is None else {"every_epochs": every, "halts_epochs": halts}
    return {"kind": "calibration", "leaves": LEAVES, **again}


def best_interval(name: str, halts: int, seeds: Sequence[int]) -> int | None:
    """What loses least on these seeds."""
    losses = {
        every: statistics.mean(played(name, pressed(every, halts), seed, None).loss
                               for seed in seeds)
        for every in EVERY if every is None or every > halts
    }  # fmt: skip
    return min(losses, key=lambda every: losses[every])


def cell(values: Sequence[float], runs: Sequence[Lost] = ()) -> str:
    """The mean, half its interval, and the time halted."""
    half = f"±{half_width(values):.3f}" if len(values) > 1 else ""
    share = f" ({100 * statistics.mean(one.halted for one in runs):.1f})" if runs else ""
    return f"{statistics.mean(values):.3f}{half}{share}"


def rows(name: str, lengths: Sequence[int], seeds: Sequence[int],
         tuning: Sequence[int]) -> list[list[str]]:  # fmt: skip
    """The lines of one drift, one for each length of a halt."""
    never = [played(name, pressed(None, 1), seed, None) for seed in seeds]
    steered = [played(name, {"kind": "tracker"}, seed, None) for seed in seeds]
    found = []
    for halts in lengths:
        every = best_interval(name, halts, tuning)
        fixed = [played(name, pressed(every, halts), seed, None) for seed in seeds]
        rule = [played(name, pressed(None, halts), seed, halts) for seed in seeds]
        more = [a.loss - b.loss for a, b in zip(rule, fixed, strict=True)]
        found.append([name, f"{halts}", cell([one.loss for one in never]), f"{every or '-'}",
                      cell([one.loss for one in fixed], fixed),
                      cell([one.loss for one in rule], rule), cell(more),
                      cell([one.loss for one in steered])])  # fmt: skip
    return found


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one seed, one drift, one length")
    quick = parser.parse_args().quick
    names = list(DRIFTS)[:1] if quick else list(DRIFTS)
    seeds, tuning, halts = (SEEDS[:1], TUNING[:1], HALTS[:1]) if quick else (SEEDS, TUNING, HALTS)
    print(f"{machine()['cpu']}; loss an epoch; seeds {seeds[0]} to {seeds[-1]}\n")
    header = ["drift", "minutes", "never", "N", "every N", "by the rule", "rule − every N",
              "steered"]  # fmt: skip
    print(aligned(header, [row for name in names for row in rows(name, halts, seeds, tuning)]))


if __name__ == "__main__":
    main()

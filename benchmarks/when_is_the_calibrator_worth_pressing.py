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
from collections.abc import Sequence
from typing import Any

import numpy as np
from _halts import Length, Lost, best_interval, calibrated, cell, lost

from calib.threads import one_thread
from envs.steering import SteeringConfig
from scripts.run_folder import machine
from scripts.table import aligned

LENGTH = Length(epochs=400, shots=100_000, rounds=5)
SEEDS, TUNING = (9701, 9702, 9703, 9704), (9601, 9602)
HALTS = (2, 10)
EVERY = (10, 20, 40, 80, 160, None)
DRIFTS: dict[str, dict[str, Any]] = {
    "waves of 5 h": {"kind": "sinusoid", "period_s": 18_000.0, "random_phase": True},
    "wandering, 3 h": {"kind": "ornstein-uhlenbeck", "correlation_time_s": 10_800.0},
}
MEMORY = {"distance": 3, "rounds": LENGTH.rounds}
PLANT = {"kind": "angles", "backend": "fake_nighthawk"}


def played(name: str, recipe: dict[str, Any], seed: int, halts: int | None) -> Lost:
    """One run, with the rule of such halts or without."""
    config = {
        "memory": MEMORY,
        "plant": PLANT | {"fractional": None if recipe["kind"] == "tracker" else True},
        "drift": [{"process": DRIFTS[name], "absolute": {"optimum": 2.0}}],
    }
    found, halted = LENGTH.played(config, recipe, seed, halts)
    return lost(found, _floor(), halted)


def _floor() -> float:
    """Detections a cycle with every angle taken back."""
    config = {"memory": MEMORY, "plant": PLANT | {"fractional": True}}
    plant = SteeringConfig.model_validate(config).made()
    still = np.zeros((1, len(plant.controls)))
    return float((plant.rates(still, 0.0) @ plant.cones.counts)[0] / LENGTH.rounds)


def rows(name: str, lengths: Sequence[int], seeds: Sequence[int],
         tuning: Sequence[int]) -> list[list[str]]:  # fmt: skip
    """The lines of one drift, one for each length of a halt."""
    never = [played(name, calibrated(None, 1), seed, None) for seed in seeds]
    steered = [played(name, {"kind": "tracker"}, seed, None) for seed in seeds]
    found = []
    for halts in lengths:
        every = best_interval(
            EVERY, halts, lambda recipe: [played(name, recipe, seed, None) for seed in tuning]
        )
        fixed = [played(name, calibrated(every, halts), seed, None) for seed in seeds]
        rule = [played(name, calibrated(None, halts), seed, halts) for seed in seeds]
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

"""When is a full recalibration worth halting the code for, and who should decide it?

    .venv/bin/python benchmarks/when_is_a_recalibration_worth_a_halt.py [--quick]

Rotated surface code, distance 3, 41 controls, 10 rounds, floor p = 0.001; an epoch is 144,000 shots
in all. Optima drift as sinusoids of amplitude 1 (a gate's error doubles) with a phase for each
control, of so many epochs; or all jump between 0 and 2 at once (a gate's error times 5), once in so
many epochs in the mean. A calibration halts the code for 1, 5 or 20 epochs and leaves each control
0.2 off. Loss is counted in epochs without the code: an epoch that ran costs its detections above
those of the hidden optimum, as a share of these, of all candidates that are tried; an epoch halted
costs 1. Means of the last three quarters of 800 epochs; in brackets the share of time halted, in %.

- untouched: no calibration but the one before the run.
- every N: calibrated every N epochs; of 5, 10, 20, 50, 100, 200 and never again (-) the N that lost
  least on seeds 9301 and 9302.
- when worth it: `recalibration` of `syndrift steer` on a device that is left alone in between.
- steered: the default steerer, 40 candidates an epoch.
- steered, halted when worth it: `recalibration` beside it.

Seeds 9401 to 9405, on which nothing was tuned; after the mean stands half the width of its 95 %
interval over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from _halts import EPOCH_S, Length, Lost, best_interval, calibrated, cell, lost

from calib.threads import one_thread
from scripts.run_folder import machine
from scripts.table import aligned

LENGTH = Length(epochs=800, shots=144_000, rounds=10)
SEEDS, TUNING = (9401, 9402, 9403, 9404, 9405), (9301, 9302)
HALTS = (1, 5, 20)
EVERY = (5, 10, 20, 50, 100, 200, None)


def waves(period: int) -> dict[str, Any]:
    """Each control at a phase of its own."""
    process = {"kind": "sinusoid", "period_s": EPOCH_S * period, "random_phase": True}
    return {"process": process, "absolute": {"optimum": 1.0}}


def jumps(apart: int) -> dict[str, Any]:
    """All controls at once, there and back."""
    rate = 3600.0 / EPOCH_S / apart
    process = {"kind": "telegraph", "up_per_hour": rate, "down_per_hour": rate, "amount": 2.0}
    return {"process": process, "absolute": {"optimum": 1.0}, "shared": True}


DRIFTS = {
    "waves of 1,000": waves(1000),
    "waves of 300": waves(300),
    "waves of 100": waves(100),
    "waves of 30": waves(30),
    "jumps, 200 apart": jumps(200),
    "jumps, 50 apart": jumps(50),
}


def played(drift: dict[str, Any], recipe: dict[str, Any], seed: int, halts: int | None) -> Lost:
    """One run, with a schedule of such halts or without."""
    found, halted = LENGTH.played({"drift": [drift]}, recipe, seed, halts)
    return lost(found, found[:, 3:], halted)


def rows(
    name: str, lengths: Sequence[int], seeds: Sequence[int], tuning: Sequence[int]
) -> list[list[str]]:
    """The lines of one drift, one for each length of a halt."""
    drift, tracker, found = DRIFTS[name], {"kind": "tracker"}, []
    alone = [played(drift, tracker, seed, None) for seed in seeds]
    for halts in lengths:
        every = best_interval(
            EVERY, halts, lambda recipe: [played(drift, recipe, seed, None) for seed in tuning]
        )
        others = [
            [played(drift, recipe, seed, stops) for seed in seeds]
            for recipe, stops in ((calibrated(every, halts), None),
                                  (calibrated(None, halts), halts), (tracker, halts))
        ]  # fmt: skip
        fixed, worth, both = (cell([one.loss for one in runs], runs) for runs in others)
        found.append([name, f"{halts}", cell([one.untouched for one in alone]), f"{every or '-'}",
                      fixed, worth, cell([one.loss for one in alone]), both])  # fmt: skip
    return found


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one seed, three drifts, one halt")
    quick = parser.parse_args().quick
    names = list(DRIFTS)[::2] if quick else list(DRIFTS)
    seeds, tuning, halts = (SEEDS[:1], TUNING[:1], HALTS[1:2]) if quick else (SEEDS, TUNING, HALTS)
    print(f"{machine()['cpu']}; loss an epoch; seeds {seeds[0]} to {seeds[-1]}\n")
    header = ["drift", "halts", "untouched", "N", "every N", "when worth it", "steered",
              "steered, halted when worth it"]  # fmt: skip
    print(aligned(header, [row for name in names for row in rows(name, halts, seeds, tuning)]))


if __name__ == "__main__":
    main()

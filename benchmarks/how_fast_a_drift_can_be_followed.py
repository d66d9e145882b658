"""How fast may the optimum move for steering to be worth its exploring?

    .venv/bin/python benchmarks/how_fast_a_drift_can_be_followed.py [--quick]

Rotated surface code, distance 3, 41 controls, 10 rounds, floor p = 0.001; the optimum of each
control is a sinusoid of amplitude 1 (its gate's error doubles) with a phase of its own. An epoch is
40 candidates x 36,000 cycles, as published; 300 epochs or three periods, at most 1,000, of which
the last three quarters count. The score is (N - N untouched) / (N at the optimum - N untouched), N
being the detection events to be expected of all candidates that are tried; in brackets that of the
settings held best. 0 is where steering is worth as much as it costs. Published (arXiv:2511.08493):
crosses 0 at a period of about 150. Seeds 9001 to 9005, on which no setting was chosen; after the
mean stands half the width of its 95 % interval over seeds.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
from pydantic import TypeAdapter

from calib.threads import one_thread
from decoders.student import half_width
from envs.agents.steerers import AnySteerer, make_steerer
from envs.agents.steerers.judge import Judge, score
from envs.agents.vector import AsVecEnv
from envs.steering import SurfaceCodeSteeringVector
from scripts.run_folder import machine
from scripts.table import aligned

PERIODS = (1000, 300, 150, 75, 50, 30, 20, 15, 10, 8)
SEEDS = (9001, 9002, 9003, 9004, 9005)
STEERERS = {
    "tracker": {"kind": "tracker"},
    "published form": {"kind": "local-credit"},
    "published, Adam": {"kind": "local-credit", "optimiser": "adam", "rate": 1e-3, "steps": 20},
    "published, no local credit": {"kind": "local-credit", "local": False},
    "SPSA, local credit": {"kind": "spsa"},
    "SPSA, no local credit": {"kind": "spsa", "local": False},
    "CMA-ES": {"kind": "cma-es"},
    "stock PPO": {"kind": "ppo"},
    "recalibrated every 20, 1 halted": {"kind": "calibration", "every_epochs": 20},
}
SLOW = {"published, Adam", "stock PPO"}  # on some periods and two seeds alone
SOME = (300, 75, 30)
_ANY = TypeAdapter(AnySteerer)


def played(recipe: dict[str, object], period: int, seed: int, epochs: int) -> tuple[float, float]:
    """The scores of what was tried, and of what was held best."""
    wave = {"kind": "sinusoid", "period_s": 60.0 * period, "random_phase": True}
    config = {"drift": [{"process": wave, "absolute": {"optimum": 1.0}}], "epoch_s": 60.0}
    env = AsVecEnv(SurfaceCodeSteeringVector(40, config))
    model = make_steerer(_ANY.validate_python(recipe), env, seed)
    env.seed(seed)
    judge = Judge(rounds=10)
    model.learn(40 * epochs, judge)
    expected = np.array(judge.expected)[epochs // 4 :]
    return score(expected), score(expected, "steered")


def cell(recipe: dict[str, object], period: int, seeds: tuple[int, ...], most: int) -> str:
    """The mean over seeds, half its interval, and the mean of the settings held best."""
    epochs = min(most, max(300, 3 * period))
    tried, held = zip(*(played(recipe, period, seed, epochs) for seed in seeds), strict=True)
    mean = statistics.mean(tried)
    half = ""
    if len(tried) > 2:
        half = f"±{half_width(tried):.2f}"
    return f"{mean:.2f}{half} ({statistics.mean(held):.2f})"


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one seed, three periods")
    quick = parser.parse_args().quick
    periods, seeds = (SOME, SEEDS[:1]) if quick else (PERIODS, SEEDS)
    print(f"{machine()['cpu']}; periods in epochs; seeds {seeds[0]} to {seeds[-1]}\n")
    rows: list[list[str]] = []
    for name, recipe in STEERERS.items():
        own = seeds[:2] if name in SLOW else seeds
        some = SOME if name in SLOW else periods
        rows.append([name, *(cell(recipe, period, own, 1000) if period in some else "-"
                             for period in periods)])  # fmt: skip
    print(aligned(["", *map(str, periods)], rows))
    print(f"\n{', '.join(sorted(SLOW))}: seeds {seeds[0]} and {seeds[:2][-1]} alone, no interval")


if __name__ == "__main__":
    main()

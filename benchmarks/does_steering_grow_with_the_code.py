"""Does it take longer to steer a larger code, with thousands of controls?

    .venv/bin/python benchmarks/does_steering_grow_with_the_code.py [--quick]

Rotated surface code, 10 rounds, floor p = 0.001, P controls for each of (2d² - 1) one-qubit and
(4d² - 4d) two-qubit gates, all of which begin off, so that every gate errs twice as often as it
need. An epoch is 40 candidates x 100,000 cycles. Counted are the epochs until the mean error of all
gates at the settings held best is within 1/0.95 of its floor (1/L is linear in the error, so that
L/L* = 0.95); the median of seeds 9101 to 9103, with the least and the most, on which no setting was
chosen. `> N`: never in N epochs. Without local credit a steerer is told one reward, or takes all
detectors as one. Beside them the seconds an epoch, and at last the cost of the largest case alone.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from stable_baselines3.common.callbacks import BaseCallback

from calib.threads import one_thread
from envs.agents.steerers import AnySteerer, make_steerer
from envs.agents.steerers.judge import tried_settings
from envs.agents.vector import AsVecEnv
from envs.steered.analytic import Analytic
from envs.steering import SurfaceCodeSteeringVector
from scripts.run_folder import machine
from scripts.table import aligned

SEEDS = (9101, 9102, 9103)
DISTANCES = (3, 5, 7, 9, 11, 15)
NEAR = 0.95
# name -> recipe, controls a gate, distances, most epochs
CASES: dict[str, tuple[dict[str, Any], int, tuple[int, ...], int]] = {
    "tracker, P = 1": ({"kind": "tracker"}, 1, DISTANCES, 60),
    "tracker, P = 10": ({"kind": "tracker"}, 10, DISTANCES, 100),
    "tracker, P = 30": ({"kind": "tracker"}, 30, DISTANCES, 300),
    "published form, P = 1": ({"kind": "local-credit"}, 1, DISTANCES, 60),
    "published form, P = 10": ({"kind": "local-credit", "width": 0.3}, 10, (3, 7, 11), 200),
    "published, Adam, P = 1": (
        {"kind": "local-credit", "optimiser": "adam", "rate": 1e-3, "steps": 20}, 1, (3, 7), 200),
    "SPSA, P = 1": ({"kind": "spsa"}, 1, DISTANCES, 60),
    "SPSA, P = 10": ({"kind": "spsa"}, 10, DISTANCES, 200),
    "tracker, one detector, P = 1": ({"kind": "tracker", "local": False}, 1, (3, 5, 7, 9), 300),
    "published, no local credit, P = 1": (
        {"kind": "local-credit", "local": False}, 1, (3, 5, 7, 9), 300),
    "SPSA, no local credit, P = 1": ({"kind": "spsa", "local": False}, 1, (3, 5, 7, 9), 300),
    "CMA-ES, separable, P = 1": ({"kind": "cma-es", "separable": True}, 1, (3, 5, 7, 9), 300),
    "CMA-ES, P = 1": ({"kind": "cma-es"}, 1, (3, 5, 7), 300),
    "stock PPO, P = 1": ({"kind": "ppo"}, 1, (3, 7), 300),
}  # fmt: skip
_ANY = TypeAdapter(AnySteerer)


class _UntilNear(BaseCallback):
    """Stops once the settings held best are near the optimum."""

    def _on_step(self) -> bool:
        experiment = self.training_env.get_attr("experiment", 0)[0]
        plant: Analytic = experiment.plant
        held = getattr(self.model, "settings", None)
        if held is None:
            held = tried_settings(self.locals).mean(axis=0)
        floor = plant.errors(plant.optimum(0.0)[None], 0.0).mean()
        return bool(floor / plant.errors(held[None], 0.0).mean() < NEAR)


def made(recipe: dict[str, Any], distance: int, controls: int, seed: int) -> Any:
    """A steerer on a device whose gates all err twice as often as they need."""
    config = {
        "memory": {"distance": distance, "rounds": 10}, "cycles": 100_000,
        "plant": {"kind": "analytic", "parameters": controls, "start_off": 1.0},
    }  # fmt: skip
    env = AsVecEnv(SurfaceCodeSteeringVector(40, config))
    model = make_steerer(_ANY.validate_python(recipe), env, seed)
    env.seed(seed)
    return model


def epochs_to_near(model: Any, most: int) -> tuple[int | None, float]:
    """Epochs until it is near, if ever, and seconds an epoch."""
    begun = time.perf_counter()
    model.learn(40 * most, _UntilNear())
    done = model.num_timesteps // 40
    seconds = (time.perf_counter() - begun) / done
    return (done - 1 if done < most else None), seconds


def cell(recipe: dict[str, Any], distance: int, controls: int, most: int, seeds: Any) -> str:
    """Median, least and most of the epochs, and seconds."""
    found, seconds = zip(*(epochs_to_near(made(recipe, distance, controls, seed), most)
                           for seed in seeds), strict=True)  # fmt: skip
    time_each = f"{1e3 * statistics.median(seconds):.0f} ms"
    if None in found:
        return f"> {most} ({time_each})"
    ends = f" [{min(found)}, {max(found)}]" if len(found) > 1 else ""
    return f"{statistics.median(found):g}{ends} ({time_each})"


def cost() -> str:
    """500 epochs at distance 15 with 38,670 controls."""
    model = made({"kind": "tracker"}, 15, 30, SEEDS[0])
    begun = time.perf_counter()
    model.learn(40 * 500)
    minutes = (time.perf_counter() - begun) / 60
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (f"tracker, d = 15, {len(model.settings):,} controls, 500 epochs: {minutes:.1f} minutes "
            f"on one thread, at most {gigabytes:.1f} GB")  # fmt: skip


@one_thread()
def main() -> None:
    """Prints the table, and the cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one seed, distances 3 and 7")
    quick = parser.parse_args().quick
    distances, seeds = ((3, 7), SEEDS[:1]) if quick else (DISTANCES, SEEDS)
    print(f"{machine()['cpu']}; seeds {seeds[0]} to {seeds[-1]}\n")
    rows: list[list[str]] = []
    for name, (recipe, controls, own, most) in CASES.items():
        if quick and (controls > 10 or recipe["kind"] == "ppo"):
            continue
        rows.append([name, *(cell(recipe, distance, controls, most, seeds)
                             if distance in own else "-" for distance in distances)])  # fmt: skip
    print(aligned(["epochs (time of each)", *(f"d = {one}" for one in distances)], rows))
    if not quick:
        print(f"\n{cost()}")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()

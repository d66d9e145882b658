"""Does a rule that was learnt on many devices steer devices it never saw better than one by hand?

    .venv/bin/python benchmarks/does_training_over_many_devices_help.py [--quick]

The shipped weights of `learnt`, which were trained at distance 3 alone (the run is on top of
envs/agents/steerers/schooling.py), beside the filter `tracker`, the published form `local-credit`
with Newton's steps, and `spsa`. Rotated surface codes, 10 rounds, floor p = 0.001, 40 candidates x
36,000 cycles an epoch, one control a gate unless said. "score": 300 epochs, of which the last three
quarters count; (N - N untouched) / (N at the optimum - N untouched), N being the detection events
to be expected of all candidates that are tried; optima are sinusoids of amplitude 1 with phases of
their own and one period for all, given in epochs, or as the row says. "epochs to 0.95": from
doubled errors, until the settings held have a mean gate error of at most 1/0.95 of the floor's.
"lost to a step": all optima jump by 1 at epoch 100; the excess of all that is tried over the 30
epochs from then, in epochs of doubled errors, where less is better. Seeds 9301 to 9305, on which
nothing was chosen; after the mean stands half the width of its 95 % interval over seeds; p is of a
paired t-test.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter
from scipy import stats

from calib.threads import one_thread
from decoders.student import half_width
from envs.agents.steerers import AnySteerer, make_steerer
from envs.agents.steerers.judge import Judge, score
from envs.agents.vector import AsVecEnv
from envs.steered.plant import Array
from envs.steering import SurfaceCodeSteeringVector
from scripts.run_folder import machine
from scripts.table import aligned

SEEDS = (9301, 9302, 9303, 9304, 9305)
KINDS = ("learnt", "tracker", "local-credit", "spsa")
PERIODS = {3: (300, 75, 30, 15, 8), 5: (15, 75, 8, 30, 300), 7: (15, 75, 8)}
_ANY = TypeAdapter(AnySteerer)
_UNIT = {"optimum": 1.0}
_EPOCHS, _STEP, _AFTER = 300, 100, 30


class Question(NamedTuple):
    """A row: what is steered, for how long, and what is counted of the judge's epochs [E, 4]."""

    name: str
    config: dict[str, Any]
    epochs: int
    counted: Callable[[Array], float]


def late_score(expected: Array) -> float:
    """Of what was tried, in the last three quarters."""
    return score(expected[len(expected) // 4 :])


def epochs_to(expected: Array) -> float:
    """How many epochs were learnt from until the settings held are good enough."""
    _, steered, untouched, best = expected.T
    is_good = 1 / (1 + (steered - best) / (untouched - best)) >= 0.95
    return float(np.argmax(is_good)) if is_good.any() else float(len(expected))


def lost(expected: Array) -> float:
    """The excess after the step, in epochs of what it costs an untouched device."""
    tried, _, untouched, best = expected[_STEP:].T
    return float(((tried - best) / (untouched - best)).sum())


def waves(period: float, **more: Any) -> dict[str, Any]:
    """Sinusoids."""
    wave = {"kind": "sinusoid", "period_s": 60.0 * period, "random_phase": True}
    return {"process": wave, "absolute": _UNIT} | more


def own_periods() -> list[dict[str, Any]]:
    """At distance 3, one-qubit gates and pairs with periods of their own, 10 to 100 epochs."""
    controls = SurfaceCodeSteeringVector(2, {}).controls
    gates = [tuple(map(int, name[1:].split(".")[0].split("-"))) for name in controls]
    periods = np.random.default_rng(1).permutation(np.geomspace(10, 100, len(gates)))
    return [waves(period, **({"qubits": gate} if len(gate) == 1 else {"pairs": [gate]}))
            for gate, period in zip(gates, periods, strict=True)]  # fmt: skip


def questions() -> list[Question]:
    """All rows."""
    off = {"start_off": 1.0}
    walk = {"kind": "ornstein-uhlenbeck", "correlation_time_s": 1800.0, "sigma": 0.7}
    step = {"kind": "step", "time_s": 60.0 * (_STEP + 1)}  # the first look was at 0
    return [
        *_followed(3),
        *(Question(f"epochs to 0.95, distance {distance}",
                   {"memory": {"distance": distance}, "plant": off}, 40, epochs_to)
          for distance in PERIODS),
        Question("epochs to 0.95, four controls a gate", {"plant": off | {"parameters": 4}}, 60,
                 epochs_to),
        Question("lost to a step", {"drift": [{"process": step, "absolute": _UNIT}]},
                 _STEP + _AFTER, lost),
        Question("score, a period for each gate", {"drift": own_periods()}, _EPOCHS, late_score),
        Question("score, walks of 30 epochs", {"drift": [{"process": walk, "absolute": _UNIT}]},
                 _EPOCHS, late_score),
        Question("score, period 75, s² off by 0.3",
                 {"drift": [waves(75)], "plant": {"spread": 0.3}}, _EPOCHS, late_score),
        Question("score, period 75, four controls a gate",
                 {"drift": [waves(75)], "plant": {"parameters": 4}}, _EPOCHS, late_score),
        *_followed(5),
        *_followed(7),
    ]  # fmt: skip


def _followed(distance: int) -> list[Question]:
    return [Question(f"score, period {period}, distance {distance}",
                     {"memory": {"distance": distance}, "drift": [waves(period)]}, _EPOCHS,
                     late_score)
            for period in PERIODS[distance]]  # fmt: skip


def played(kind: str, question: Question, seed: int) -> float:
    """One run."""
    env = AsVecEnv(SurfaceCodeSteeringVector(40, question.config))
    model = make_steerer(_ANY.validate_python({"kind": kind}), env, seed)
    env.seed(seed)
    judge = Judge(rounds=10)
    model.learn(40 * question.epochs, judge)
    return question.counted(np.array(judge.expected))


def row(question: Question, seeds: tuple[int, ...]) -> list[str]:
    """The means of all kinds, and by how much the first two differ."""
    found = {kind: [played(kind, question, seed) for seed in seeds] for kind in KINDS}
    differences = [a - b for a, b in zip(found["learnt"], found["tracker"], strict=True)]
    p_value = "-"
    if len(set(differences)) > 1:
        tested: Any = stats.ttest_1samp(differences, 0.0)
        p_value = f"{tested.pvalue:.2g}"
    return [question.name, *map(_mean, found.values()), _mean(differences, "+"), p_value]


def _mean(values: list[float], sign: str = "") -> str:
    half = ""
    if len(values) > 1:
        half = f" ± {half_width(values):.3f}"
    return f"{statistics.mean(values):{sign}.3f}{half}"


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one seed, few rows, distance 3")
    quick = parser.parse_args().quick
    asked = questions()
    if quick:
        asked = [one for one in asked if "period 15, distance 3" in one.name or "lost" in one.name]
    seeds = SEEDS[:1] if quick else SEEDS
    print(f"{machine()['cpu']}; seeds {seeds[0]} to {seeds[-1]}\n")
    rows: list[list[str]] = []
    for one in asked:
        rows.append(row(one, seeds))
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)  # it takes an hour
    print(aligned(["", *KINDS, "learnt - tracker", "p"], rows))


if __name__ == "__main__":
    main()

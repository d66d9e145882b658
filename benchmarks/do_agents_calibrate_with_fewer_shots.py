"""Do trained agents calibrate unseen devices with fewer shots than other methods?

    .venv/bin/python benchmarks/do_agents_calibrate_with_fewer_shots.py [--quick]

Fifty devices of one qubit and fifty pairs, seeds 7001 to 7050, that nobody has trained or tuned on.
They start as far off as the config's `start` says (amplitudes and DRAG, drive frequency, the axis
of X; of the pairs the CZ alone, its phases by up to pi, beside SX and X as a one-qubit calibration
leaves them); readout is right. All but the routine measure the same circuits of the environment,
and pay for every shot. The optimisers score settings as the environment's reward does, at lengths
that grow from stage to stage; their settings were tuned on seeds 1 to 99. Linear feedback is made
by hand: it moves by the environment's own linear estimates. The routine is that of
`syndrift calibrate`, without its readout nodes, as it stands and with a part of its shots. A device
is calibrated when no gate errs by more than 1.2 times its coherence limit: the judge knows the
truth.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import time
import warnings
from typing import NamedTuple

import numpy as np

from envs.game import WITHIN
from envs.held_out import lone_qubit, pair
from envs.rivals.bench import Rival, Trace, merged
from envs.rivals.conventional import Upkeep, cz_nodes, maintained, pulse_nodes
from envs.rivals.tuned import (
    FEWER_SHOTS,
    KINDS,
    Kind,
    agent,
    bench_of,
    linear_feedback,
    optimisers,
)
from envs.rivals.verdict import SHARE, Verdict, verdict
from scripts.run_folder import machine
from scripts.table import aligned

SEEDS = range(7001, 7051)
BUDGET_SHOTS = 5_000_000
MOMENTS = 200  # of a trace that are judged
WEIGHTS = pathlib.Path(__file__).parent.parent / "envs" / "agents" / "weights"


class Result(NamedTuple):
    """One method on all devices; `spent` are the shots of each until it says that it is done."""

    name: str
    verdict: Verdict
    spent: list[int]
    seconds: float


def rivals(kind: Kind) -> list[Rival]:
    """All but the routine; the agent where there is one."""
    trained = [agent(WEIGHTS / kind)] if (WEIGHTS / kind).is_dir() else []
    return [*trained, linear_feedback(kind), *optimisers(kind)]


def play(kind: Kind, number: int, count: int) -> Result:
    """One rival on the first so many devices."""
    warnings.simplefilter("ignore")
    bench, rival = bench_of(kind, SEEDS[:count]), rivals(kind)[number]
    begun = time.perf_counter()
    trace = rival.run(bench, BUDGET_SHOTS, np.random.default_rng([SEEDS[0], number]))
    seconds = time.perf_counter() - begun
    return Result(rival.name, verdict(bench, _thinned(trace)), [int(trace.shots[-1])], seconds)


def _thinned(trace: Trace) -> Trace:
    if len(trace.shots) <= MOMENTS:
        return trace
    kept = np.unique(np.linspace(0, len(trace.shots) - 1, MOMENTS).astype(int))
    return Trace(trace.shots[kept], trace.settings[kept])


def keep(kind: Kind, seed: int, fewer: int) -> tuple[Upkeep, float]:
    """The routine on one device, and how many seconds it took."""
    warnings.simplefilter("ignore")
    device = (lone_qubit if kind == "pulse" else pair)(seed)
    nodes = (pulse_nodes if kind == "pulse" else cz_nodes)(fewer)
    begun = time.perf_counter()
    kept = maintained(device, nodes, bench_of(kind, range(seed, seed + 1)).game.knobs)
    return kept, time.perf_counter() - begun


def routine(kind: Kind, fewer: int, kept: list[tuple[Upkeep, float]]) -> Result:
    """What the routine did on all devices."""
    bench = bench_of(kind, SEEDS[: len(kept)])
    trace = merged([one.steps for one, _ in kept])
    name = "routine" if fewer == 1 else f"routine, 1/{fewer} of its shots"
    found = verdict(bench, _thinned(trace))
    return Result(name, found, [one.shots for one, _ in kept], sum(took for _, took in kept))


class Begun(NamedTuple):
    """The methods of one kind, at work: what will be each rival's result, and each device's."""

    rivals: list[concurrent.futures.Future[Result]]
    routine: dict[int, list[concurrent.futures.Future[tuple[Upkeep, float]]]]


def begin(kind: Kind, count: int, pool: concurrent.futures.Executor) -> Begun:
    """Sets all methods to work, the agent or the hand-made one first."""
    waiting = [pool.submit(play, kind, number, count) for number in range(len(rivals(kind)))]
    keeping = {fewer: [pool.submit(keep, kind, seed, fewer) for seed in SEEDS[:count]]
               for fewer in (1, FEWER_SHOTS[kind])}  # fmt: skip
    return Begun(waiting, keeping)


def results(kind: Kind, begun: Begun) -> list[Result]:
    """What all methods did, in the order in which they began."""
    found = [routine(kind, fewer, [one.result() for one in each])
             for fewer, each in begun.routine.items()]  # fmt: skip
    return [one.result() for one in begun.rivals] + found


def row(one: Result, budget_shots: int) -> tuple[str, ...]:
    """A line of the table."""
    judged, count = one.verdict, one.verdict.ratios.shape[1]
    low, high = judged.interval()
    until, each = judged.shots_to_calibrate(), float(np.median(judged.shots_of_each()))
    moment = judged.after(budget_shots)
    early = 0 if moment is None else judged.good(moment)
    last = judged.ratios[-1]
    return (
        one.name, f"{until:,}" if until is not None else "never",
        f"{each:,.0f}" if np.isfinite(each) else "never", f"{np.median(one.spent):,.0f}",
        f"{judged.good()}/{count} [{low:.0%}, {high:.0%}]", f"{early}/{count}",
        f"{np.median(last):.3f}", f"{last.max():.3g}", f"{one.seconds:.0f}",
    )  # fmt: skip


def show(kind: Kind, found: list[Result]) -> None:
    """The table of one kind of gate."""
    budget_shots = found[0].spent[0]
    header = ("method", f"shots until {SHARE:.0%} are", "half are", "shots spent",
              f"within {WITHIN} at the end [95%]", f"after {budget_shots:,}", "median ratio",
              "worst", "seconds")  # fmt: skip
    print(f"\n{KINDS[kind]}, shots of each device")
    print(aligned(header, [row(one, budget_shots) for one in found]))


def main() -> None:
    """Runs all methods on both kinds of gate and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="six devices of each kind")
    count = 6 if parser.parse_args().quick else len(SEEDS)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        at_work: dict[Kind, Begun] = {kind: begin(kind, count, pool) for kind in KINDS}
        for kind, begun in at_work.items():
            show(kind, results(kind, begun))
    print(f"\nseeds {SEEDS[0]} to {SEEDS[count - 1]}; intervals: Wilson; {machine()}")


if __name__ == "__main__":
    main()

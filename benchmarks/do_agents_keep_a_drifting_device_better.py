"""Do trained agents keep a drifting device better than the routine, at no more device time?

    .venv/bin/python benchmarks/do_agents_keep_a_drifting_device_better.py [--quick] [--done FILE]

Devices of two qubits, seeds 6001 to 6004, that nobody has trained or tuned on, with the drift of
configs/calibrate.toml, for 24 hours after each was brought up by whoever keeps it. The routine is
that of `syndrift calibrate`, all of its fine experiments anew at each interval; with agents, they
stand in the same routine in the places of the experiments whose knobs they set. The figure is the
infidelity over the coherence limit, averaged over time and gates: between two rounds it is taken to
go on a straight line. The judge knows the truth. The p values are of t-tests on the same devices,
that the agents' ratio is not below, and their share of time not below, that of the routine at its
best interval. It takes hours: with --done, what was done is kept in a file and not done again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import pathlib
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import stats

from calib.backend import DriftingBackend
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.judge import gate_errors
from calib.routine import Node, Routine
from calib.standard_routine import standard_nodes
from scripts.run_folder import machine
from scripts.table import aligned

SEEDS = range(6001, 6005)
MINUTES = {"agents": (10, 15, 30, 60), "routine": (15, 30, 60, 120)}
HOURS = 24.0
RECIPE = pathlib.Path(__file__).parent.parent / "configs" / "calibrate.toml"


class Run(NamedTuple):
    """Who keeps which device, how often he measures, and for how long."""

    who: str
    minutes: int
    seed: int
    hours: float


class Kept(NamedTuple):
    """One device over its hours: the mean of all gates' ratios, and the share of time measured."""

    ratio: float
    busy: float


def device(seed: int) -> Device:
    """Two coupled qubits under the drift of the recipe."""
    table = tomllib.loads(RECIPE.read_text(encoding="utf-8"))["device"]
    line = {"kind": "line", "qubits": 2}
    return Device(DeviceConfig.model_validate(table | {"seed": seed, "topology": line}))


def nodes(who: str, every_s: float) -> Sequence[Node]:
    """The graph, in which all that is fine is due at each round."""
    if who == "agents":
        from envs.agents.graph import nodes_with_agents
        from envs.agents.shipped import find_agent, shipped_agents

        graph = nodes_with_agents(DeviceConfig(), [find_agent(name) for name in shipped_agents()])
    else:
        graph = standard_nodes("cz")
    return [replace(node, max_age_s=0.9 * every_s) if node.verify else node for node in graph]


def keep(who: str, minutes: int, seed: int, hours: float) -> Kept:
    """Brings a device up and keeps it."""
    warnings.simplefilter("ignore")
    kept = device(seed)
    routine = Routine(DriftingBackend(kept), nodes(who, 60 * minutes))
    routine.maintain()
    begun_s, spent_s = kept.time_s, routine.log.spent.device_time_s
    times, ratios = [kept.time_s], [_ratio(kept)]
    while kept.time_s < begun_s + 3600 * hours:
        kept.advance(60 * minutes)
        for round_is_over in (False, True):
            if round_is_over:
                routine.maintain()
            times.append(kept.time_s)
            ratios.append(_ratio(kept))
    busy_s = routine.log.spent.device_time_s - spent_s
    lasted_s = times[-1] - times[0]
    return Kept(float(np.trapezoid(ratios, times)) / lasted_s, busy_s / lasted_s)


def _ratio(kept: Device) -> float:
    return float(np.mean([error.ratio for error in gate_errors(kept)]))


def runs(seeds: Sequence[int], hours: float, done: pathlib.Path | None) -> dict[Run, Kept]:
    """Keeps all devices in all ways, but for what a file has; the longest runs first."""
    known = _read(done) if done is not None and done.exists() else {}
    wanted = [Run(who, minutes, seed, hours) for seed in seeds
              for who, intervals in MINUTES.items() for minutes in intervals]  # fmt: skip
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        waiting = {pool.submit(keep, *run): run for run in wanted if run not in known}
        for future in concurrent.futures.as_completed(waiting):
            run = waiting[future]
            known[run] = future.result()
            if done is not None:
                with done.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([*run, *known[run]]) + "\n")
    return {run: known[run] for run in wanted}


def _read(done: pathlib.Path) -> dict[Run, Kept]:
    lines = [json.loads(line) for line in done.read_text(encoding="utf-8").splitlines()]
    return {Run(*line[:4]): Kept(*line[4:]) for line in lines}


def rows(found: dict[Run, Kept]) -> list[tuple[str, ...]]:
    """A line for each way; the routine's best interval is that of the least ratio."""

    def of(who: str, minutes: int) -> np.ndarray:
        return np.array([kept for run, kept in found.items() if run[:2] == (who, minutes)])

    best = min((of("routine", minutes) for minutes in MINUTES["routine"]),
               key=lambda kept: kept[:, 0].mean())  # fmt: skip
    table = []
    for who, intervals in MINUTES.items():
        for minutes in intervals:
            ratios, busy = of(who, minutes).T
            low, high = stats.t.interval(0.95, len(ratios) - 1, ratios.mean(), stats.sem(ratios))
            less = [stats.ttest_rel(mine, other, alternative="less").pvalue
                    for mine, other in zip((ratios, busy), best.T, strict=True)]  # fmt: skip
            told = [f"{p:.1g}" for p in less] if who == "agents" else ["", ""]
            table.append(
                (
                    who,
                    str(minutes),
                    f"{ratios.mean():.3f} [{low:.3f}, {high:.3f}]",
                    f"{ratios.max():.3f}",
                    told[0],
                    f"{busy.mean():.2%}",
                    told[1],
                )
            )
    return table


def main() -> None:
    """Keeps all devices in all ways and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two devices for two hours")
    parser.add_argument("--done", type=pathlib.Path, help="a file that grows with each run")
    options = parser.parse_args()
    seeds, hours = (SEEDS[:2], 2.0) if options.quick else (SEEDS, HOURS)
    header = ("kept by", "every minutes", "mean ratio over time [95%]", "worst device", "p",
              "share of time measured", "p")  # fmt: skip
    print(aligned(header, rows(runs(seeds, hours, options.done))))
    print(f"\nseeds {seeds[0]} to {seeds[-1]}, {hours:g} hours each; {machine()}")


if __name__ == "__main__":
    main()

"""`syndrift steer`: a simulated code that runs without a stop is steered by its own detectors."""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scripts.options import add_overrides, add_report, write_report

if TYPE_CHECKING:
    from envs.agents.steerers.course import Course, SteerConfig

EPILOG = """\
examples:
  syndrift steer configs/steer_smoke.toml            distance 3, in seconds
  syndrift steer configs/steer.toml                  distance 5, beside other ways to steer it
  syndrift steer configs/steer.toml --set steerer.kind=local-credit --seed 2
  syndrift steer configs/steer.toml --set environment.memory.distance=7 --no-pictures
  syndrift steer configs/steer_smoke.toml --over environment.memory.distance=3,5,7 --seeds 3
  syndrift steer configs/steer.toml --over environment.drift.0.process.period_s=18000,9000,4500
  syndrift steer configs/steer.toml --over steerer.kind=tracker,spsa --set rivals={}

All of it is simulated. The steerer sees detection rates alone. `exploring` is what the experiment
pays with all candidates that are tried, `steered` the settings held best, `untouched` those that
it began with, `best` the hidden optimum; the score is 0 where nothing was won by steering and 1
where all was. The method is that of arXiv:2511.08493, whose authors declare patent applications on
it.

The run's folder holds epochs.csv, ler.csv, knobs.csv, and the state of each steerer: a run that was
stopped, or killed, goes on from the last of these with the same command.

With --over the same run is made at each value of one key (a number in a key is an entry of a list,
as in --set), with --seeds several times each. Its folder holds one run's folder for each of them,
over.csv, over.json, and the pictures over (the score against the key) and convergence. What is
finished is not run again: with more values, or more seeds, it goes on too. The pictures of one of
the runs: `syndrift steer RUN/config.toml --out RUN`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=pathlib.Path, help="a .toml file")
    add_overrides(parser, "steerer.kind=spsa")
    parser.add_argument("--seed", type=int, help="same as --set seed=SEED")
    parser.add_argument("--over", action="append", default=[], metavar="KEY=V1,V2,...",
                        help="the same run at each of these values, in one table and two "
                        "pictures, e.g. environment.memory.distance=3,5,7")  # fmt: skip
    parser.add_argument("--seeds", type=int, metavar="N",
                        help="with --over: each value with the seeds SEED to SEED+N-1")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--history", type=pathlib.Path, metavar="PATH",
                        help="a calibration history for angles of an IBM backend")  # fmt: skip
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures out")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Steers, prints what it was worth, and draws it."""
    from scripts.extras import need_extra

    need_extra("`syndrift steer`", "agents", "gymnasium", "stable_baselines3", "torch")
    if options.over:
        from scripts.steer_over import run_over

        return run_over(options)
    if options.seeds is not None:
        raise ValueError("--seeds repeats what --over sweeps: give --over KEY=V1,V2, or --seed")
    return _run_once(options)


def _run_once(options: argparse.Namespace) -> int:
    from envs.agents.steerers.course import SteerConfig
    from scripts import run_folder
    from scripts.config_file import load
    from scripts.steered_run import MAY_CHANGE, check_environment, open_steered, steered

    seed = [] if options.seed is None else [f"seed={options.seed}"]
    config = load(options.config, SteerConfig, [*options.overrides, *seed])
    usual = run_folder.default_folder(options.config.stem, config, may_change=MAY_CHANGE)
    folder = options.out or usual
    check_environment(str(options.config), config)
    if options.history and config.environment.plant.kind != "angles":
        raise ValueError("--history takes angles steered on an IBM backend: expected a recipe with "
                         "plant.kind = 'angles', such as configs/steer_ibm.toml")  # fmt: skip
    open_steered(config, folder)
    courses, result = steered(config, folder)
    if options.history:
        _record(options.history, config, courses["steerer"], str(folder))
    if not options.no_pictures:
        from scripts.report.steering_pictures import draw

        draw(courses, config, folder)
    if options.json:
        print(json.dumps(result))
    else:
        print(_summary(courses, config, result))
        what = "tables" if options.no_pictures else "tables and pictures"
        print(f"\nseed {config.seed}; simulated; {what} in {folder}")
    write_report(folder, options)
    return 0


def _record(path: pathlib.Path, config: SteerConfig, course: Course, run: str) -> None:
    """The settings held at the end, as angles in the backend's calibration history."""
    from calib.history import History
    from envs.steered.angles import Angles
    from envs.steered.corrections import record

    plant = config.environment.made()
    assert isinstance(plant, Angles)  # its kind was looked at
    with History(path) as history:
        record(history, plant, course.settings[-1], config.steerer.kind, run=run,
               device_time_s=float(course.times_s[-1]))  # fmt: skip


def _summary(courses: Mapping[str, Course], config: SteerConfig, result: Mapping[str, Any]) -> str:
    from scripts.steering_tables import table, warnings

    kind = f"steered by {config.steerer.kind}: {result['controls']:,} controls"
    lines = [f"{config.title}\n", table(courses, config), f"\n{kind}, {config.epochs:,} epochs of "
             f"{config.candidates} candidates x {config.environment.shots:,} shots"]  # fmt: skip
    return "\n".join([*lines, *warnings(courses["steerer"], config)])

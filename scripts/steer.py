"""`syndrift steer`: a simulated code that runs without a stop is steered by its own detectors."""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envs.agents.steerers.course import Course, SteerConfig

EPILOG = """\
examples:
  syndrift steer configs/steer_smoke.toml            distance 3, in seconds
  syndrift steer configs/steer.toml                  distance 5, beside other ways to steer it
  syndrift steer configs/steer.toml --set steerer.kind=local-credit --seed 2
  syndrift steer configs/steer.toml --set environment.memory.distance=7 --no-pictures

All of it is simulated. The steerer sees detection rates alone. `exploring` is what the experiment
pays with all candidates that are tried, `steered` the settings held best, `untouched` those that
it began with, `best` the hidden optimum; the score is 0 where nothing was won by steering and 1
where all was. The method is that of arXiv:2511.08493, whose authors declare patent applications on
it.

The run's folder holds epochs.csv, ler.csv, knobs.csv, and the state of each steerer: a run that was
stopped, or killed, goes on from the last of these with the same command.
"""

_MAY_CHANGE = ("title", "checkpoint_every_epochs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=pathlib.Path, help="a .toml file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="another value for a key, e.g. steerer.kind=spsa (repeatable)",
    )
    parser.add_argument("--seed", type=int, help="same as --set seed=SEED")
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures out")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Steers, prints what it was worth, and draws it."""
    _need_agents_extra()
    from envs.agents.steerers.course import SteerConfig
    from scripts import run_folder
    from scripts.config_file import load

    seed = [] if options.seed is None else [f"seed={options.seed}"]
    config = load(options.config, SteerConfig, [*options.overrides, *seed])
    usual = run_folder.default_folder(options.config.stem, config, may_change=_MAY_CHANGE)
    folder = options.out or usual
    _check_environment(options.config, config)
    circuit = config.environment.memory.circuit
    inputs = [] if circuit is None else [circuit]
    run_folder.open_run(folder, "steer", config, may_change=_MAY_CHANGE, inputs=inputs)
    with run_folder.resumable(folder):
        courses = _courses(config, folder)
    result = _written(courses, config, folder)
    if not options.no_pictures:
        from scripts.report.steering_pictures import draw

        draw(courses, config, folder)
    if options.json:
        print(json.dumps(result))
    else:
        print(_summary(courses, config, result))
        print(f"\nseed {config.seed}; simulated; tables and pictures in {folder}")
    return 0


def _need_agents_extra() -> None:
    try:
        import gymnasium
        import stable_baselines3
        import torch
    except ImportError as error:
        raise ImportError(
            f"`syndrift steer` needs {error.name}: pip install 'syndrift[agents]'"
        ) from error
    del gymnasium, stable_baselines3, torch


def _check_environment(source: pathlib.Path, config: SteerConfig) -> None:
    """Refuses what cannot be steered before a file is written."""
    try:
        plant = config.environment.made().drawn(config.seed)
        if config.ler and not plant.circuit.num_observables:
            raise ValueError("the circuit has no observable, so no logical errors: set ler = false")
    except ValueError as error:
        raise ValueError(f"{source}: environment: {error}") from None


def _courses(config: SteerConfig, folder: pathlib.Path) -> dict[str, Course]:
    """The steerer's course and its rivals', by name, each with its own state in the folder."""
    from envs.agents.steerers.course import steer
    from scripts.progress import progress_bar

    found: dict[str, Course] = {}
    for name, recipe in {"steerer": config.steerer, **config.rivals}.items():
        with progress_bar(name if name in config.rivals else recipe.kind) as bar:
            found[name] = steer(config, recipe, folder / f"{name}.npz", bar)
    return found


def _written(
    courses: Mapping[str, Course], config: SteerConfig, folder: pathlib.Path
) -> dict[str, Any]:
    """All tables, and what stands in the JSON."""
    from scripts.steering_tables import epoch_rows, figures, knob_rows, ler_rows
    from scripts.table import write_csv

    write_csv(folder / "epochs.csv", epoch_rows(courses))
    write_csv(folder / "knobs.csv", knob_rows(courses["steerer"]))
    if config.ler:
        write_csv(folder / "ler.csv", ler_rows(courses))
    result = {
        "title": config.title, "seed": config.seed, "epochs": config.epochs,
        "simulated": True, "controls": len(courses["steerer"].controls),
        "steerers": {name: figures(one) for name, one in courses.items()}, "run": str(folder),
    }  # fmt: skip
    (folder / "steering.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _summary(courses: Mapping[str, Course], config: SteerConfig, result: Mapping[str, Any]) -> str:
    from scripts.steering_tables import table, warnings

    kind = f"steered by {config.steerer.kind}: {result['controls']:,} controls"
    lines = [f"{config.title}\n", table(courses, config), f"\n{kind}, {config.epochs:,} epochs of "
             f"{config.candidates} candidates x {config.environment.shots:,} shots"]  # fmt: skip
    return "\n".join([*lines, *warnings(courses["steerer"], config)])

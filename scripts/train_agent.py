"""`syndrift train-agent`: an agent that learns to calibrate, from a config file to a folder."""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scripts.options import add_overrides, add_report, write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from envs.agents.config import TrainConfig
    from envs.agents.evaluation import Evaluation
    from envs.agents.model_card import Trained
    from scripts.report.style import Palette

EPILOG = """\
examples:
  syndrift train-agent configs/agent_pulse_smoke.toml        a first taste, in half a minute
  syndrift train-agent configs/agent_pulse.toml              an agent for one qubit's pulses
  syndrift train-agent configs/agent_pulse.toml --seed 2 --out runs/second
  syndrift train-agent configs/agent_pulse.toml --set steps=20000000      longer: it goes on

The run's folder holds best/ (the agent to use), last/ (with which training goes on), the logs of
TensorBoard, and model_card.md. A training that was stopped, or killed, goes on from last/ with the
same command; --resume refuses to begin a new one. With more steps, a rate that falls linearly
falls anew from where these put it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=pathlib.Path, help="a .toml file")
    add_overrides(parser, "algorithm.gamma=0.9")
    parser.add_argument("--seed", type=int, help="same as --set seed=SEED")
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="only go on with what is there")
    parser.add_argument("--no-pictures", action="store_true", help="leave the picture out")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Trains, prints how the agent came along, and how good it is on devices it never met."""
    from scripts.extras import need_extra

    need_extra("`syndrift train-agent`", "agents",
               "gymnasium", "sb3_contrib", "stable_baselines3", "torch")  # fmt: skip
    from envs.agents.config import TrainConfig
    from envs.agents.training import MAY_CHANGE, train
    from scripts import run_folder
    from scripts.config_file import load
    from scripts.progress import progress_bar

    seed = [] if options.seed is None else [f"seed={options.seed}"]
    config = load(options.config, TrainConfig, [*options.overrides, *seed])
    usual = run_folder.default_folder(options.config.stem, config, may_change=MAY_CHANGE)
    folder = options.out or usual
    if options.resume:
        _check_begun(folder)
    _check_environment(options.config, config)
    run_folder.open_run(folder, "train-agent", config, may_change=MAY_CHANGE)
    with progress_bar("training") as bar:
        trained = train(config, folder, bar, run_folder.commit())
    result = {**_as_json(trained), "agent": str(folder / "best"), "run": str(folder)}
    (folder / "training.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _write_table(trained, folder)
    if not options.no_pictures:
        _draw(trained, folder)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{config.title}\n\n{evaluation_table(trained.record.evaluations)}\n")
        print(_conclusion(trained))
        print(f"\nseed {config.seed}; the agent is in {folder / 'best'}, its card in {folder}")
    write_report(folder, options)
    return 0


def _check_begun(folder: pathlib.Path) -> None:
    from envs.agents.checkpoint import CHECKPOINT
    from envs.agents.training import LAST

    if not (folder / LAST / CHECKPOINT).exists():
        raise ValueError(
            f"{folder}: there is no training to go on with; without --resume one begins"
        )


def _check_environment(source: pathlib.Path, config: TrainConfig) -> None:
    """Refuses an environment that cannot be made, before a file is written."""
    from envs.agents.environments import config_model
    from envs.agents.training import check
    from scripts.config_file import validate

    try:
        check(config)
    except ValueError as error:
        model = config_model(config.environment) if error.__cause__ else None
        if model is not None:  # it says better what is wrong, and what is valid
            table = dict(config.environment.config or {})
            validate(table, model, source=f"{source}: environment.config")
        raise ValueError(f"{source}: {error}") from None


def evaluation_table(evaluations: Sequence[Evaluation]) -> str:
    """How the agent came along: each judgement on held-out devices."""
    from scripts.table import aligned

    judged = any(one.calibrated is not None for one in evaluations)
    header = ["steps", "mean return", "95 % interval"]
    header += ["within 1.2 of the limit", "95 % interval", "median ratio"] if judged else []
    return aligned(header, [_cells(one) for one in evaluations])


def _cells(one: Evaluation) -> list[str]:
    cells = [f"{one.steps:,}", f"{one.mean_return:.4g}", _interval(one.return_interval)]
    if one.calibrated_share is not None and one.calibrated_interval and one.median_ratio:
        low, high = (100 * end for end in one.calibrated_interval)
        cells += [f"{100 * one.calibrated_share:.1f} %", f"[{low:.1f}, {high:.1f}] %",
                  f"{one.median_ratio:.4g}"]  # fmt: skip
    return cells


def _interval(interval: tuple[float, float]) -> str:
    return f"[{interval[0]:.4g}, {interval[1]:.4g}]"


def _conclusion(trained: Trained) -> str:
    final = trained.final
    text = (f"best after {trained.best.steps:,} steps; on {final.devices:,} new devices: "
            f"mean return {final.mean_return:.4g} {_interval(final.return_interval)}")  # fmt: skip
    cells = _cells(final)[3:]
    if cells:
        text += f", {cells[0]} {cells[1]} within 1.2 of the limit, median ratio {cells[2]}"
    return text


def _as_json(trained: Trained) -> dict[str, Any]:
    config, record = trained.config, trained.record
    return {
        "title": config.title,
        "environment": config.environment.id,
        "algorithm": config.algorithm.kind,
        "steps": record.steps,
        "seconds": record.seconds,
        "seed": config.seed,
        "final": trained.final.model_dump(mode="json"),
        "best": trained.best.model_dump(mode="json"),
        "evaluations": [one.model_dump(mode="json") for one in record.evaluations],
    }


def _write_table(trained: Trained, folder: pathlib.Path) -> None:
    from scripts.table import write_csv

    rows = []
    for one in trained.record.evaluations:
        row = one.model_dump(mode="json")
        for key in ("return_interval", "calibrated_interval", "median_interval"):
            low, high = row.pop(key) or (None, None)
            row |= {f"{key}_low": low, f"{key}_high": high}
        rows.append(row)
    write_csv(folder / "evaluations.csv", rows)


def _draw(trained: Trained, folder: pathlib.Path) -> list[pathlib.Path]:
    from scripts.report.style import Labels, save

    judged, config = trained.record.evaluations, trained.config
    share, final = trained.final.calibrated_share, trained.final
    good = f"return {final.mean_return:.3g}" if share is None else f"{100 * share:.1f} % calibrated"
    title = f"After {trained.best.steps:,} steps the agent is at its best: {good}"
    labels = Labels(
        title,
        f"Judged on {final.devices:,} held-out devices at each point; the band and the bars hold "
        f"95 %. The title's figure is of new ones. {config.title}, {config.algorithm.kind}, "
        f"seed {config.seed}.",
    )
    rows = [{"steps": one.steps, "mean_return": one.mean_return,
             "calibrated_share": one.calibrated_share} for one in judged]  # fmt: skip
    return save(lambda figure, palette: _paint(judged, figure, palette),
                folder / "learning", labels, rows)  # fmt: skip


def _paint(judged: Sequence[Evaluation], figure: Figure, palette: Palette) -> None:
    """The return, and where it is known the share of calibrated devices, over the steps."""
    from scripts.report.style import plain_grid

    steps = [one.steps for one in judged]
    shares = [(one.calibrated_share, one.calibrated_interval) for one in judged]
    panels = figure.subplots(2 if shares[0][0] is not None else 1, sharex=True, squeeze=False)
    axes = panels[0, 0]
    low, high = zip(*(one.return_interval for one in judged), strict=True)
    axes.fill_between(steps, low, high, color=palette.kinds[0], alpha=0.25, lw=0)
    axes.plot(steps, [one.mean_return for one in judged], "o-", color=palette.kinds[0])
    axes.set_ylabel("mean return")
    if len(panels) > 1:
        points = [(value, ends) for value, ends in shares if value is not None and ends]
        panels[1, 0].errorbar(
            steps, [100 * value for value, _ in points], color=palette.good, marker="o",
            yerr=[[100 * (value - ends[0]) for value, ends in points],
                  [100 * (ends[1] - value) for value, ends in points]],
        )  # fmt: skip
        panels[1, 0].set_ylabel("within 1.2 of the limit (%)")
    panels[-1, 0].set_xlabel("steps of training")
    for one in panels[:, 0]:
        plain_grid(one)

"""`syndrift calibrate`: bring a device up from a guess, and keep it in tolerance."""

from __future__ import annotations

import argparse
import json
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scripts.options import add_overrides, add_report, write_report

if TYPE_CHECKING:
    from calib.campaign import Campaign, CampaignConfig
    from calib.judge import GateError
    from calib.routine import Node
    from scripts.settings_changed import Setting

EPILOG = """\
examples:
  syndrift calibrate configs/calibrate_smoke.toml            two qubits, in half a minute
  syndrift calibrate configs/calibrate.toml                  five qubits that drift, for a day
  syndrift calibrate configs/calibrate.toml --set device.seed=7 --out runs/device-7
  syndrift calibrate configs/calibrate_smoke.toml --agent pulse --agent cz    by trained agents
  syndrift calibration checks --device line-of-five          afterwards: what was found, and when
  syndrift calibration history --device line-of-five --out runs/pictures

Every change and every check is in the calibration history (--history) before the next experiment
begins. A device that the history knows goes on where it was stopped, or killed, and measures only
what is due. There it has its name, with the seed unless that is 1: line-of-five#7.
"""

_MAY_CHANGE = ("title", "hours", "every_minutes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=pathlib.Path, help="a .toml file")
    add_overrides(parser, "device.seed=7")
    parser.add_argument("--agent", action="append", default=[], metavar="NAME_OR_FOLDER",
                        dest="agents", help="a trained agent in place of experiments: pulse or "
                        "cz, or the folder of one of yours (repeatable)")  # fmt: skip
    parser.add_argument("--seed", type=int, help="same as --set device.seed=SEED")
    parser.add_argument("--history", type=pathlib.Path, metavar="PATH",
                        help="the history's file (default: calibration.sqlite)")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures out")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Calibrates, prints the gates before and after, the knobs, and what it cost."""
    from scripts import run_folder
    from scripts.calibration import DEFAULT_HISTORY
    from scripts.extras import need_extra

    need_extra("`syndrift calibrate`", "device", "qiskit_experiments", "torch")

    config = _config(options)
    usual = run_folder.default_folder(options.config.stem, config, may_change=_MAY_CHANGE)
    folder = options.out or usual
    path = options.history or DEFAULT_HISTORY
    _check_device(options.config, config, path)
    campaign, changed = _calibrated(config, folder, path)
    pictures = [] if options.no_pictures else _draw(campaign, config, folder)
    result = _write(campaign, changed, config, folder, path)
    if options.json:
        print(json.dumps(result))
    else:
        print(_summary(campaign, changed, config))
        print(f"\nseed {config.device.seed}; history of {result['device']} in {path}; tables"
              f"{' and pictures' if pictures else ''} in {folder}")  # fmt: skip
    write_report(folder, options)
    return 1 if campaign.log.failed else 0


def _config(options: argparse.Namespace) -> CampaignConfig:
    """The recipe, with what the options say in place of its own."""
    from calib.campaign import CampaignConfig
    from scripts.config_file import load

    seed = [] if options.seed is None else [f"device.seed={options.seed}"]
    agents = [f"agents={json.dumps(options.agents)}"] if options.agents else []
    return load(options.config, CampaignConfig, [*options.overrides, *seed, *agents])


def _calibrated(
    config: CampaignConfig, folder: pathlib.Path, path: pathlib.Path
) -> tuple[Campaign, list[Setting]]:
    """Begins the run in this folder, or goes on with it: what came out, and the knobs."""
    from calib.campaign import history_name, run_campaign
    from calib.history import History
    from calib.journal import Journal
    from calib.lock import alone
    from scripts import run_folder
    from scripts.progress import progress_bar
    from scripts.settings_changed import settings_changed

    nodes, agents = _nodes(config)
    device = history_name(config.device)
    with alone(path, device):
        run_folder.open_run(folder, "calibrate", config, may_change=_MAY_CHANGE, inputs=agents)
        with (
            run_folder.resumable(path),
            History(path) as history,
            progress_bar("calibrating") as bar,
        ):
            journal = Journal(folder / "journal.jsonl")
            campaign = run_campaign(config, history, str(folder), bar, journal, nodes)
            changed = settings_changed(history, device, str(folder), campaign.log.steps, nodes)
    return campaign, changed


def _check_device(source: pathlib.Path, config: CampaignConfig, path: pathlib.Path) -> None:
    """Refuses a device that cannot be made or is not the history's, before a file is written."""
    from calib.campaign import is_known
    from calib.device import Device
    from calib.history import History

    try:
        Device(config.device)  # its seed draws the physics; its drift and its gates must suit
    except ValueError as error:
        raise ValueError(f"{source}: device: {error}") from None
    if path.exists():
        with History(path) as history:
            is_known(config.device, history)


def _nodes(config: CampaignConfig) -> tuple[Sequence[Node], list[pathlib.Path]]:
    """The routine's graph, with the recipe's agents in the places of what they stand for.

    And the file of each agent that changes with anything of it: a run that goes on has the same.
    """
    from calib.standard_routine import standard_nodes
    from scripts.extras import need_extra

    if not config.agents:
        return standard_nodes(config.device.entangler), []
    need_extra("an agent", "agents", "gymnasium", "sb3_contrib", "stable_baselines3", "torch")
    from envs.agents.checkpoint import CHECKPOINT
    from envs.agents.graph import nodes_with_agents
    from envs.agents.shipped import agent_folder, find_agent

    nodes = nodes_with_agents(config.device, [find_agent(name) for name in config.agents])
    return nodes, [agent_folder(name) / CHECKPOINT for name in config.agents]


def _summary(campaign: Campaign, changed: Sequence[Setting], config: CampaignConfig) -> str:
    from scripts.settings_changed import settings_table

    parts = [config.title, gate_table(campaign)]
    if any(one.new != one.old for one in changed):
        parts.append(settings_table(changed))
    return "\n\n".join([*parts, _cost(campaign)])


def gate_table(campaign: Campaign) -> str:
    """Every gate's true error before and after, beside what coherence allows."""
    from scripts.table import aligned, rate

    rows = [
        (one.gate, _qubits(one.qubits), rate(was.infidelity), rate(one.infidelity),
         rate(one.coherence_limit), f"{one.ratio:.2f}", rate(one.leakage))
        for was, one in zip(campaign.before, campaign.after, strict=True)
    ]  # fmt: skip
    header = ("gate", "on", "infidelity at start", "now", "coherence limit", "ratio", "leakage")
    return aligned(header, rows)


def _cost(campaign: Campaign) -> str:
    first, total = campaign.bring_up, campaign.log.spent
    text = (f"brought up with {first.shots:,} shots in {first.device_time_s / 60:.1f} minutes of "
            "device time")  # fmt: skip
    if not first.shots:
        text = "nothing was due to be measured at the start"
    if total.shots > first.shots:
        text += (f"; kept with {total.shots - first.shots:,} more "
                 f"in {(total.device_time_s - first.device_time_s) / 60:.1f} minutes")  # fmt: skip
    text += f"; {campaign.log.experiments} experiments in all"
    for name, target in sorted(campaign.log.failed):
        text += f"\nnote: {name} on {_qubits(target)} did not come within tolerance"
    return text


def _qubits(qubits: Sequence[int]) -> str:
    return "-".join(f"q{qubit}" for qubit in qubits)


def _as_json(campaign: Campaign) -> dict[str, Any]:
    log = campaign.log
    return {
        "gates": [
            {**_gate_json(one), "infidelity_at_start": was.infidelity}
            for was, one in zip(campaign.before, campaign.after, strict=True)
        ],
        "shots": log.spent.shots,
        "circuits": log.spent.circuits,
        "jobs": log.spent.jobs,
        "device_time_s": log.spent.device_time_s,
        "bring_up_shots": campaign.bring_up.shots,
        "bring_up_device_time_s": campaign.bring_up.device_time_s,
        "experiments": log.experiments,
        "experiments_by_name": dict(Counter(step.node for step in log.steps)),
        "not_in_tolerance": [[name, list(target)] for name, target in sorted(log.failed)],
    }


def _gate_json(error: GateError) -> dict[str, Any]:
    return {"gate": error.gate, "qubits": list(error.qubits), "infidelity": error.infidelity,
            "coherence_limit": error.coherence_limit, "ratio": error.ratio,
            "leakage": error.leakage}  # fmt: skip


def _write(
    campaign: Campaign, changed: Sequence[Setting], config: CampaignConfig,
    folder: pathlib.Path, history: pathlib.Path,
) -> dict[str, Any]:  # fmt: skip
    """Writes the figures and the tables; returns the figures as `--json` prints them."""
    from calib.campaign import history_name
    from scripts.settings_changed import settings_rows
    from scripts.table import write_csv

    settings = settings_rows(changed)
    result = {**_as_json(campaign), "settings": settings, "device": history_name(config.device),
              "seed": config.device.seed, "history": str(history),
              "run": str(folder)}  # fmt: skip
    (folder / "calibration.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    write_csv(folder / "settings.csv", settings)
    write_csv(folder / "steps.csv", [
        {"device_time_s": step.device_time_s, "experiment": step.node,
         "on": _qubits(step.target), "verdict": step.verdict, "deviation": step.deviation,
         "uncertainty": step.uncertainty, "unit": step.unit}
        for step in campaign.log.steps
    ])  # fmt: skip
    write_csv(folder / "looks.csv", [
        {"device_time_s": look.device_time_s, "settings": settings, **_gate_json(error),
         "qubits": _qubits(error.qubits)}
        for look in campaign.looks
        for settings, errors in (("maintained", look.maintained), ("left alone", look.left_alone))
        for error in errors
    ])  # fmt: skip
    return result


def _draw(campaign: Campaign, config: CampaignConfig, folder: pathlib.Path) -> list[pathlib.Path]:
    from scripts.report.gate_pictures import draw_gates, draw_upkeep

    origin = f"Device {config.device.name}, seed {config.device.seed}"
    drawn = draw_gates(
        campaign.before, campaign.after, folder / "gates", origin, campaign.log.failed
    )
    if len(campaign.looks) > 1:
        drawn += draw_upkeep(campaign.looks, folder / "upkeep", origin)
    return drawn

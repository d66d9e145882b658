"""The routine's graph with agents in it: each does the work of the experiments it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from calib.routine import Node
from calib.standard_routine import standard_nodes
from envs.agents.checkpoint import Agent
from envs.agents.node import AgentCalibration
from envs.calibration import CalibrationConfig
from envs.cz_game import CZGame
from envs.pulse_game import PulseGame

# By the environment's name: the game, and the nodes whose knobs its agents set.
_GAMES = {
    "syndrift/PulseCalibration-v0": (PulseGame, (
        "spectroscopy", "rabi", "ramsey", "rough_drag_x", "rough_drag_sx", "axis",
        "fine_frequency", "fine_drag_x", "fine_drag_sx", "fine_amplitude_x", "fine_amplitude_sx",
        "fine_drag_x_again", "half_angle",
    )),
    "syndrift/CZCalibration-v0": (CZGame, (
        "cz_resonance", "cz_cycle", "cz_leakage", "cz_amplitude", "cz_phases",
    )),
}  # fmt: skip


def nodes_with_agents(
    entangler: Literal["cz", "ecr"], agents: Sequence[Agent], *, every_s: float = 1800.0
) -> tuple[Node, ...]:
    """The standard nodes, those that an agent stands for being replaced by it.

    What an agent found is good for `every_s` of device time. ValueError where an agent is of no
    use on such a device, or two are for the same knobs.
    """
    nodes = standard_nodes(entangler)
    for agent in agents:
        nodes = _replaced(nodes, agent, every_s)
    return nodes


def agent_calibration(agent: Agent) -> AgentCalibration:
    """What an agent does on a device, by the environment that it was trained in."""
    name = agent.environment.id
    if name not in _GAMES:
        raise ValueError(f"an agent of {name} cannot calibrate a device; those of "
                         f"{', '.join(_GAMES)} can")  # fmt: skip
    game, _ = _GAMES[name]
    config = CalibrationConfig.model_validate(agent.environment.config or {})
    short = name.partition("/")[2].partition("Calibration")[0].lower()
    return AgentCalibration(f"agent_{short}", agent, game(config.devices))


def _replaced(nodes: Sequence[Node], agent: Agent, every_s: float) -> tuple[Node, ...]:
    calibration = agent_calibration(agent)
    gone = _GAMES[agent.environment.id][1]
    old = [node for node in nodes if node.name in gone]
    if not old:
        raise ValueError(f"{calibration.name} finds nothing to do: a device of this gate has none "
                         f"of {', '.join(gone)}, or another agent does them")  # fmt: skip
    needs = dict.fromkeys(need for node in old for need in node.needs if need not in gone)
    kept = [node for node in nodes if node.name not in gone]
    # What stood before the first of them, and what the last of them needed, comes before it.
    before = {nodes[k].name for k in range(list(nodes).index(old[0]))}
    mine = Node(calibration, tuple(need for need in needs if need in before), every_s)
    changed = [replace(node, needs=_with(node.needs, gone, mine.name)) for node in kept]
    place = sum(node.name in before for node in changed)
    return (*changed[:place], mine, *changed[place:])


def _with(needs: Sequence[str], gone: Sequence[str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name if need in gone else need for need in needs))

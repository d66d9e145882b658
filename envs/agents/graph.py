"""The routine's graph with agents in it: each does the work of the experiments it stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from calib.device_config import DeviceConfig
from calib.routine import Node
from calib.standard_routine import standard_nodes
from envs.agents.checkpoint import Agent
from envs.agents.node import AgentCalibration
from envs.calibration import CalibrationConfig
from envs.cz_game import CZGame
from envs.pulse_game import PulseGame

# By the environment's name: the game, the score that is near enough to that of the best settings
# (1.07 and 1.14 of the coherence limit, then, in the median), and the nodes whose knobs its agents
# set.
_GAMES = {
    "syndrift/PulseCalibration-v0": (PulseGame, 0.015, (
        "spectroscopy", "rabi", "ramsey", "rough_drag_x", "rough_drag_sx", "axis",
        "fine_frequency", "fine_drag_x", "fine_drag_sx", "fine_amplitude_x", "fine_amplitude_sx",
        "fine_drag_x_again", "half_angle",
    )),
    "syndrift/CZCalibration-v0": (CZGame, 0.02, (
        "cz_resonance", "cz_cycle", "cz_leakage", "cz_amplitude", "cz_phases",
    )),
}  # fmt: skip

# How far a device's lengths may be from those of the training, in shares of them. At the corners of
# this an agent for pulses, an earlier one, brought 967 or more of 1,000 drawn qubits within 1.2 of
# the limit, as it did with readout four times as long. With half of the one-qubit length it was
# 611, with three times of it 26, with half of the readout 589.
_SHARES = {"one_qubit_ns": (0.75, 1.25), "readout_ns": (0.75, math.inf)}
# Tolerances of a score. Readout minds errors beyond, of several times the coherence limit.
_LARGE = 20.0
_REMEDY = "train one with the device's, in environment.config.devices, or leave it out"


def nodes_with_agents(
    device: DeviceConfig, agents: Sequence[Agent], *, every_s: float = 1800.0
) -> tuple[Node, ...]:
    """The standard nodes of such a device, those that an agent stands for being replaced by it.

    What an agent found is good for `every_s` of device time. ValueError where an agent is of no
    use on such a device or was trained for others, or two are for the same knobs.
    """
    nodes = standard_nodes(device.entangler)
    calibrations = [agent_calibration(agent) for agent in agents]
    for number, calibration in enumerate(calibrations):
        if calibration.name in [other.name for other in calibrations[:number]]:
            raise ValueError(f"two agents for the same knobs, those of {calibration.name}: give "
                             "one of them")  # fmt: skip
        _check_trained_for(calibration, device)
        nodes = _replaced(nodes, calibration, every_s)
    return nodes


def agent_calibration(agent: Agent) -> AgentCalibration:
    """What an agent does on a device, by the environment that it was trained in."""
    name = agent.environment.id
    if name not in _GAMES:
        raise ValueError(f"an agent of {name} cannot calibrate a device; those of "
                         f"{', '.join(_GAMES)} can")  # fmt: skip
    game, tolerance, _ = _GAMES[name]
    short = name.partition("/")[2].partition("Calibration")[0].lower()
    return AgentCalibration(f"agent_{short}", agent, game(_devices(agent)), tolerance)


def _devices(agent: Agent) -> DeviceConfig:
    """What the agent was trained on."""
    table = agent.environment.config or {}
    if table.get("samples") is not None:
        raise ValueError("an agent that turns the samples of envelopes cannot calibrate a device, "
                         "whose controls hold none: train one without `samples`")  # fmt: skip
    return CalibrationConfig.model_validate(table).devices


def _check_trained_for(calibration: AgentCalibration, device: DeviceConfig) -> None:
    """Refuses a device whose pulses are others than those of the training."""
    trained, name = _devices(calibration.agent), calibration.name
    if device.envelope != trained.envelope:
        raise ValueError(f"{name} was trained for {trained.envelope} pulses and the device has "
                         f"{device.envelope} ones: {_REMEDY}")  # fmt: skip
    for length, (least, most) in _SHARES.items():
        known_ns, given_ns = (getattr(one.timing, length) for one in (trained, device))
        if not least * known_ns <= given_ns <= most * known_ns:
            raise ValueError(f"{name} was trained for timing.{length} = {known_ns:g} and the "
                             f"device has {given_ns:g}: {_REMEDY}")  # fmt: skip


def _replaced(
    nodes: Sequence[Node], calibration: AgentCalibration, every_s: float
) -> tuple[Node, ...]:
    gone = _GAMES[calibration.agent.environment.id][2]
    old = [node for node in nodes if node.name in gone]
    if not old:
        raise ValueError(f"{calibration.name} finds nothing to do: a device of this gate has none "
                         f"of {', '.join(gone)}")  # fmt: skip
    needs = dict.fromkeys(need for node in old for need in node.needs if need not in gone)
    kept = [node for node in nodes if node.name not in gone]
    # What stood before the first of them, and what the last of them needed, comes before it.
    before = {nodes[k].name for k in range(list(nodes).index(old[0]))}
    mine = Node(calibration, tuple(need for need in needs if need in before), every_s,
                look=False, large=_LARGE)  # fmt: skip
    changed = [_rewired(node, old, mine.name) for node in kept]
    place = sum(node.name in before for node in changed)
    return (*changed[:place], mine, *changed[place:])


def _rewired(node: Node, gone: Sequence[Node], name: str) -> Node:
    """A node that needs this one for those that are gone; small changes are nothing to it if it
    needed coarse ones alone.
    """
    fine = {one.name: one.verify for one in gone}
    lost = [need for need in node.needs if need in fine]
    if not lost:
        return node
    needs = dict.fromkeys(name if need in lost else need for need in node.needs)
    loose = () if any(fine[need] for need in lost) else (name,)
    return replace(node, needs=tuple(needs), loose=loose)

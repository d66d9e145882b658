"""A trained agent as a node of the routine: what it sets, and what its guard refuses."""

from typing import Any

import numpy as np
import pytest

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.judge import gate_errors
from calib.routine import Routine
from envs.agents.graph import agent_calibration, nodes_with_agents
from envs.agents.shipped import find_agent, shipped_agents


class Stubborn:
    """An agent that always moves alike."""

    def __init__(self, move: float) -> None:
        self.trained, self.move = find_agent("pulse"), move
        self.environment = self.trained.environment

    def act(self, observation: Any, state: Any = None, starts: Any = None) -> tuple[Any, Any]:
        actions = np.zeros((len(observation), 7))
        actions[:, :-1] = self.move
        return actions, None


def qubits(count: int, **start: float) -> Device:
    """Uncoupled qubits, readout right."""
    lone = {"kind": "couplings", "qubits": count, "pairs": []}
    return Device(DeviceConfig.model_validate(
        {"seed": 4, "topology": lone, "start": {"readout": False, **start}}))  # fmt: skip


def routine_of(device: Device, agent: Any) -> Routine:
    nodes = [
        node for node in nodes_with_agents(DeviceConfig(), [agent]) if node.name == "agent_pulse"
    ]
    return Routine(DriftingBackend(device), [node.__class__(node.calibration) for node in nodes])


def test_the_shipped_agent_calibrates_qubits_that_it_has_never_seen() -> None:
    device = qubits(2)
    routine = routine_of(device, find_agent("pulse"))
    log = routine.maintain()
    assert not log.failed
    assert max(error.ratio for error in gate_errors(device)) < 1.2
    assert {step.verdict for step in log.steps} == {"corrected", "in tolerance"}
    # The guard twice, and eleven of twelve looks: the guard sees what the last move did.
    assert log.spent.jobs == 13
    assert log.spent.shots < 40_000


def test_what_is_within_tolerance_is_left_alone() -> None:
    device = qubits(1)
    routine_of(device, find_agent("pulse")).maintain()
    before = dict(device.controls)
    log = routine_of(device, find_agent("pulse")).maintain()
    assert [step.verdict for step in log.steps] == ["in tolerance"]
    assert dict(device.controls) == before


@pytest.mark.parametrize("move", [0.02, -0.5])
def test_what_measures_worse_is_rolled_back(move: float) -> None:
    device = qubits(1, amplitude=0.002, frequency_mhz=0.05, drag_ns=0.0, axis_rad=0.0)
    before, recorded = dict(device.controls), []
    routine = routine_of(device, Stubborn(move))
    routine.record = recorded.append
    log = routine.maintain()
    assert [step.verdict for step in log.steps] == ["rolled back"]
    assert dict(device.controls) == before
    assert recorded == []


def test_no_knob_leaves_what_a_full_move_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    device = qubits(1)
    first = dict(device.controls)
    seen: list[dict[Knob, float]] = []
    run = DriftingBackend.run

    def watched(backend: DriftingBackend, *circuits: Any, **options: Any) -> Any:
        seen.append(dict(device.controls))
        return run(backend, *circuits, **options)

    monkeypatch.setattr(DriftingBackend, "run", watched)
    routine_of(device, Stubborn(1.0)).maintain()
    calibration = agent_calibration(find_agent("pulse"))
    assert len(seen) == 13
    for name, reach in zip(calibration.knobs, calibration.game.reach, strict=True):
        values = [one[Knob(name, (0,))] for one in seen]
        if name.endswith("amplitude"):
            assert max(np.abs(values)) <= 1
        if not name.endswith("_rad"):
            assert max(abs(value - first[Knob(name, (0,))]) for value in values) <= 1.001 * reach


def test_an_action_that_is_no_number_is_not_trusted() -> None:
    device = qubits(1)
    before = dict(device.controls)
    log = routine_of(device, Stubborn(float("nan"))).maintain()
    assert {step.verdict for step in log.steps} == {"not trusted"}
    assert dict(device.controls) == before


@pytest.mark.parametrize("axis_rad", [-2.8, 2.0])
def test_an_axis_beyond_a_quarter_turn_is_taken_as_its_opposite(axis_rad: float) -> None:
    """X about an axis and about its opposite are one gate: training knows the nearer one alone."""
    device = qubits(1)
    device.controls[Knob("x.phase_rad", (0,))] = axis_rad
    log = routine_of(device, find_agent("pulse")).maintain()
    assert not log.failed
    assert max(error.ratio for error in gate_errors(device)) < 1.2


def test_settings_are_as_before_when_the_agent_is_interrupted() -> None:
    device = qubits(1)
    before = dict(device.controls)

    class Failing(Stubborn):
        def act(self, observation: Any, state: Any = None, starts: Any = None) -> tuple[Any, Any]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        routine_of(device, Failing(0.0)).maintain()
    assert dict(device.controls) == before


def test_the_graph_has_an_agent_in_the_place_of_what_it_does() -> None:
    graph = nodes_with_agents(DeviceConfig(), [find_agent("pulse")])
    nodes = {node.name: node for node in graph}
    assert "fine_amplitude_x" not in nodes
    assert nodes["agent_pulse"].needs == ("readout_discrimination",)
    assert nodes["cz_resonance"].needs == ("agent_pulse",)
    assert nodes["readout_frequency_ghz"].needs == ("agent_pulse",)
    with pytest.raises(ValueError, match="two agents for the same knobs, those of agent_pulse"):
        nodes_with_agents(DeviceConfig(), [find_agent("pulse")] * 2)
    if "cz" in shipped_agents():
        with pytest.raises(ValueError, match="finds nothing to do"):
            nodes_with_agents(DeviceConfig(entangler="ecr"), [find_agent("cz")])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"envelope": "cosine"}, "trained for gaussian pulses and the device has cosine ones"),
        ({"timing": {"one_qubit_ns": 57.0}}, "trained for timing.one_qubit_ns = 32 and the .* 57:"),
        ({"timing": {"one_qubit_ns": 16.0}}, "trained for timing.one_qubit_ns = 32 and the .* 16:"),
        ({"timing": {"readout_ns": 600.0}}, "trained for timing.readout_ns = 1200 and the .* 600:"),
    ],
)
def test_a_device_unlike_those_of_the_training_is_refused(table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        nodes_with_agents(DeviceConfig.model_validate(table), [find_agent("pulse")])
    assert "\n" not in str(error.value)


def test_a_device_much_like_those_of_the_training_is_not() -> None:
    """The lengths of fake_marrakesh."""
    like = DeviceConfig.model_validate({"timing": {"one_qubit_ns": 36.0, "readout_ns": 2584.0}})
    assert "agent_pulse" in {node.name for node in nodes_with_agents(like, [find_agent("pulse")])}


def test_an_agent_of_samples_is_refused() -> None:
    """A device's controls have no knobs for them."""
    agent: Any = Stubborn(0.0)
    agent.environment = agent.environment.model_copy(update={"config": {"samples": 8}})
    with pytest.raises(ValueError, match="train one without `samples`"):
        agent_calibration(agent)


def test_an_agent_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no agent 'nobody': it is neither a folder nor one"):
        find_agent("nobody")

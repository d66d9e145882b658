"""The routine as a rival: its nodes, what it spends, and what it leaves."""

from __future__ import annotations

import numpy as np

from calib.judge import gate_errors
from calib.standard_routine import standard_nodes
from envs.held_out import as_pulses, lone_qubit
from envs.pulse_game import PulseGame
from envs.rivals.conventional import cz_nodes, maintained, pulse_nodes


def test_the_nodes_are_those_of_the_routine_without_readout() -> None:
    standard = {node.name: node for node in standard_nodes("cz")}
    pulse, pairs = pulse_nodes(), cz_nodes(4)
    assert {node.name for node in (*pulse, *pairs)} == {
        name for name in standard if not name.startswith("readout")
    }
    needs = {node.name: node.needs for node in pulse}
    assert needs["spectroscopy"] == ()
    assert needs["fine_frequency"] == ("axis",)
    assert needs["fine_drag_x"] == standard["fine_drag_x"].needs
    assert all(node.calibration.shots == standard[node.name].calibration.shots for node in pulse)
    assert all(
        node.calibration.shots == standard[node.name].calibration.shots // 4 for node in pairs
    )


def test_it_calibrates_a_qubit_and_notes_each_change() -> None:
    device = lone_qubit(11)
    start = as_pulses([lone_qubit(11)])[1][0]
    kept = maintained(device, pulse_nodes(16), PulseGame.knobs)
    assert kept.failed == 0
    shots = [spent for spent, _ in kept.steps]
    assert shots == sorted(shots)
    assert (shots[0], shots[-1]) == (0, kept.shots)
    assert np.array_equal(kept.steps[0][1], start)
    assert np.array_equal(kept.steps[-1][1], as_pulses([device])[1][0])
    assert max(one.ratio for one in gate_errors(device)) < 1.2

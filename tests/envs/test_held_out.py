"""Devices in the games' terms: their gates err as the judge of devices says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from calib.backend import DriftingBackend
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.judge import gate_errors
from calib.topology import Line
from envs.cz_game import CZGame
from envs.held_out import Given, as_pairs, as_pulses, lone_qubit, pair
from envs.pulse_game import PulseGame


def test_pulses_err_as_on_the_device() -> None:
    devices = [lone_qubit(seed) for seed in (11, 12)]
    found = PulseGame(DeviceConfig()).ratios(*as_pulses(devices))
    truth = [[one.ratio for one in gate_errors(device)] for device in devices]
    assert found == pytest.approx(np.array(truth), rel=3e-4)


def test_a_cz_errs_as_on_the_device_beside_pulses_that_are_nearly_right() -> None:
    devices = [pair(seed) for seed in (11, 12)]
    found = CZGame(DeviceConfig()).ratios(*as_pairs(devices))
    errors = [gate_errors(device) for device in devices]
    assert found[:, 0] == pytest.approx([one[-1].ratio for one in errors], rel=3e-4)
    assert max(one.ratio for device in errors for one in device[:-1]) < 2.5
    start = Device(DeviceConfig(seed=11, topology=Line(qubits=2))).controls
    for name in CZGame.knobs:
        assert devices[0].controls.of(name, *devices[0].pairs[0]) == start.of(
            name, *devices[0].pairs[0]
        )


@pytest.mark.parametrize(("made", "told", "game"), [
    (lone_qubit, as_pulses, PulseGame), (pair, as_pairs, CZGame),
])  # fmt: skip
def test_readout_is_that_of_the_device(
    made: Callable[[int], Device], told: Callable[..., tuple], game: type
) -> None:
    device = made(11)
    physics, _ = told([device])
    drawn, _ = game(DeviceConfig()).draw(1, np.random.default_rng(1))
    assert set(drawn) <= set(physics)
    side, qubit = ("", 0) if game is PulseGame else ("_a", device.pairs[0][0])
    from qiskit.circuit import QuantumCircuit

    circuit = QuantumCircuit(device.qubits, 1)
    circuit.measure(qubit, 0)
    shots = 40_000
    result = DriftingBackend(device).run(circuit, shots=shots).result()
    counts = result.get_counts(0)
    assert isinstance(counts, dict)
    ones = counts.get("1", 0)
    thermal = float(physics[f"thermal_population{side}"][0])
    low, high = (float(physics[f"read_one_{level}{side}"][0]) for level in (0, 1))
    expected = low + thermal * (high - low)
    # Five standard deviations: a false alarm in 2 million, three levels' worth of rest aside.
    assert abs(ones / shots - expected) < 5 * np.sqrt(expected / shots) + thermal**2


def test_a_game_of_given_devices_draws_them_and_is_the_game_otherwise() -> None:
    game = PulseGame(DeviceConfig())
    physics, settings = as_pulses([lone_qubit(seed) for seed in (11, 12)])
    given = Given(game, physics, settings)
    rng = np.random.default_rng(1)
    assert np.array_equal(given.draw(2, rng)[1], settings)
    assert np.array_equal(given.ratios(physics, settings), game.ratios(physics, settings))
    with pytest.raises(ValueError, match="expected all 2 devices at once, got 1"):
        given.draw(1, rng)
    with pytest.raises(ValueError, match="share must be 1"):
        given.draw(2, rng, 0.5)

"""Envelopes that are turned piece by piece: the same pulses in another way, and no more."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from scipy.linalg import expm

from calib.density import diagonals
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.judge import gate_errors
from calib.pulses import mean_of_envelope
from envs.game import HIDDEN
from envs.gauges import gauge_of
from envs.lone_qubits import gate_transfers
from envs.pulse import PulseCalibration
from envs.pulse_game import PulseGame


def test_without_corrections_the_chances_are_those_of_the_plain_game():
    plain, shaped = PulseGame(DeviceConfig()), PulseGame(DeviceConfig(), samples=8)
    physics, settings = plain.draw(7, np.random.default_rng(1))
    same_physics, more = shaped.draw(7, np.random.default_rng(1))
    np.testing.assert_array_equal(more[:, :6], settings)
    assert more.shape == (7, 6 + 4 * 8)
    assert not more[:, 6:].any()
    doublings = np.tile(np.arange(7), (7, 1))
    np.testing.assert_array_equal(
        plain.chances(physics, settings, doublings), shaped.chances(same_physics, more, doublings)
    )
    more[:, 6:] = 1e-12  # too little to be seen, and yet sample by sample
    found = shaped.chances(physics, more, doublings)
    assert found == pytest.approx(plain.chances(physics, settings, doublings), abs=2e-4)


def test_corrections_do_what_the_schroedinger_equation_says():
    """Each sample's exponential in turn, for a qubit that does not decay."""
    game, pieces = PulseGame(DeviceConfig(), samples=8), 8
    physics, settings = game.draw(2, np.random.default_rng(2), 0.0)
    long = {"t1_us": np.full(2, 1e6), "t2_us": np.full(2, 1e6), "thermal_population": np.zeros(2)}
    rng = np.random.default_rng(3)
    settings[:, 5] = 0.0
    settings[:, 6:] = rng.uniform(-0.05, 0.05, (2, 4 * pieces))
    times = np.arange(32) + 0.5
    bell = np.exp(-(((times - 16) / 8) ** 2) / 2)
    envelope = (bell - math.exp(-2)) / (1 - math.exp(-2))
    slope = -(times - 16) / 64 * bell / (1 - math.exp(-2))
    lower = np.diag(np.sqrt([1.0, 2.0]), 1)
    gates = gate_transfers(*game.tensors({**physics, **long}, settings))
    for row in range(2):
        for gate, (height, drag_ns), first in (
            (0, settings[row, 1:3], 6),
            (1, settings[row, 3:5], 22),
        ):
            extra = settings[row, first : first + 16].repeat(4).reshape(2, 32)
            rate = height * (envelope + 1j * drag_ns * slope) + extra[0] + 1j * extra[1]
            whole = np.eye(3, dtype=complex)
            for value in 2e-3 * math.pi * physics["rabi_mhz"][row] * rate:
                alpha = 2e-3 * math.pi * physics["anharmonicity_mhz"][row]
                drive = value * lower.conj().T + np.conj(value) * lower
                whole = expm(-1j * (np.diag([0, 0, alpha]) + drive / 2)) @ whole
            populations = np.abs(whole[:, 0]) ** 2
            assert shown(gates[gate][row]) == pytest.approx(populations, abs=1e-4)


def shown(transfer: torch.Tensor) -> Any:
    """The levels after a gate on |0⟩."""
    table = diagonals(3)
    return table @ transfer.double().numpy() @ table[0]


def test_a_pulse_with_a_sample_in_its_middle_is_that_of_the_device():
    """15 samples: by `calib.judge`, which plays them all; its ratio is exact to 1e-3 or so."""
    config = {"seed": 3, "topology": {"kind": "couplings", "qubits": 3, "pairs": []},
              "timing": {"one_qubit_ns": 15.0}, "start": {"axis_rad": 0.0}}  # fmt: skip
    device = Device(DeviceConfig.model_validate(config))
    game = PulseGame(device.config)
    physics = device.truth().qubit
    settings = np.array([[device.controls.of(name, q) for name in game.knobs] for q in range(3)])
    found = game.ratios(physics, settings)
    errors = {(one.gate, one.qubits[0]): one.ratio for one in gate_errors(device)}
    expected = [[errors[gate, q] for gate in ("sx", "x")] for q in range(3)]
    assert found == pytest.approx(np.array(expected), rel=0.01)


def test_pieces_take_back_what_the_height_is_too_much():
    """SX 4 % too high, of a Gaussian whose mean is 0.535: that much less in phase in each piece."""
    game = PulseGame(DeviceConfig(), samples=16)
    gauge, (physics, settings) = gauge_of(game, "randomised"), game.typical()
    lengths = np.array([[4, 6]])

    def score() -> float:
        return 2 * float(gauge.game.chances(physics, settings, lengths).mean())

    right = score()
    settings[0, 1] *= 1.04
    wrong = score()
    in_phase = [n for n, name in enumerate(game.knobs) if name.startswith("sx.sample_i_")]
    assert len(in_phase) == 16
    settings[0, in_phase] -= 0.04 / 1.04 * settings[0, 1] * mean_of_envelope("gaussian")
    assert wrong > right + 0.015
    assert score() == pytest.approx(right, abs=1e-3)


def test_pieces_stay_within_what_the_height_leaves():
    game = PulseGame(DeviceConfig(), samples=8)
    settings = game.typical()[1]
    settings[0, 1], settings[0, 3], settings[0, 6:] = 0.6, -0.9, -2.0
    found = game.within_bounds(settings)[0]
    assert found[6:22] == pytest.approx(-0.4)
    assert found[22:] == pytest.approx(-0.1)


def test_the_environment_has_them_as_knobs():
    config = {"samples": 8, "looks": 3, "reward": {"measures": "randomised"}}
    env = gymnasium.make("envs:syndrift/PulseCalibration-v0", config=config)
    check_env(env.unwrapped)
    assert env.action_space.shape == (6 + 32 + 1,)
    _, info = env.reset(seed=1)
    assert info[HIDDEN]["settings"]["x.sample_q_07"] == 0.0
    up = np.zeros(39, dtype=np.float32)
    up[6] = 1.0  # a full move of one of 8 pieces of 4 ns, 100 MHz at full scale, at one repetition
    *_, info = env.step(up)
    turned_rad = 2e-3 * math.pi * 100 * 4.0 * info[HIDDEN]["settings"]["sx.sample_i_00"]
    assert turned_rad == pytest.approx(0.6 / math.sqrt(8))


def test_what_cannot_be_is_refused():
    for samples in (7, 33):
        with pytest.raises(ValueError, match="samples"):
            PulseCalibration({"samples": samples})
    with pytest.raises(ValueError, match="samples must be 8 to 10, as a pulse of 10 ns has 10"):
        PulseGame(DeviceConfig.model_validate({"timing": {"one_qubit_ns": 10.0}}), samples=11)
    with pytest.raises(ValueError, match="cannot play samples"):
        PulseCalibration({"samples": 8}, stack="qiskit")

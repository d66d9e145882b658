"""Devices that no agent has trained on, as a laboratory meets them, in the terms of the games."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calib.controls import Knob, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.readout import Discriminator, ReadoutPulse, assignment_matrix
from calib.truth import QUBIT_PARAMETERS, resonator
from envs.cz_game import CZGame
from envs.game import Array, Game, Numbers, Physics
from envs.given_pulses import GIVEN, given_pulses, left_over
from envs.pulse_game import PulseGame
from envs.readout_lines import READ_ONE

# Random numbers of what a one-qubit calibration leaves; a device's own seed draws all else.
_LEFT = 5
_SIDES = ("a", "b")


def lone_qubit(seed: int) -> Device:
    """A device of one qubit that starts as far off as `Start` says; its readout is right."""
    lone = {"kind": "couplings", "qubits": 1, "pairs": []}
    table = {"seed": seed, "topology": lone, "start": {"readout": False}}
    return Device(DeviceConfig.model_validate(table))


def pair(seed: int) -> Device:
    """A device of two qubits: their X and SX are nearly right, their CZ is off as `Start` says.

    Nearly right: as `envs.given_pulses` has it, normal around the textbook's settings.
    """
    line = {"kind": "line", "qubits": 2}
    table = {"seed": seed, "topology": line, "start": {"readout": False}}
    device = Device(DeviceConfig.model_validate(table))
    rng = np.random.default_rng([seed, _LEFT])
    for qubit in range(2):
        physics = {name: values[[qubit]] for name, values in device.truth().qubit.items()}
        given = given_pulses(device.config, physics, left_over(1, rng))
        device.controls.apply([
            Update(Knob(knob, (qubit,)), float(given[name][0]), None, "held out")
            for name, knob in GIVEN.items()
        ])  # fmt: skip
    return device


def as_pulses(devices: Sequence[Device]) -> tuple[Physics, Array]:
    """Physics [B] each and settings [B, K] of `PulseGame`: the first qubit of each device."""
    physics = _stacked([_qubit(device, 0) for device in devices])
    settings = [[device.controls.of(name, 0) for name in PulseGame.knobs] for device in devices]
    return physics, np.array(settings)


def as_pairs(devices: Sequence[Device]) -> tuple[Physics, Array]:
    """Physics [B] each and settings [B, K] of `CZGame`: the first pair of each device.

    The game has no ZZ beside the CZ; a `Device` has, some kHz.
    """
    rows = []
    for device in devices:
        row = {name: float(values[0]) for name, values in device.truth().pair.items()}
        for side, qubit in zip(_SIDES, device.pairs[0], strict=True):
            given = {name: device.controls.of(knob, qubit) for name, knob in GIVEN.items()}
            found = _qubit(device, qubit) | given
            row |= {f"{name}_{side}": value for name, value in found.items()}
        rows.append(row)
    settings = [[device.controls.of(name, *device.pairs[0]) for name in CZGame.knobs]
                for device in devices]  # fmt: skip
    return _stacked(rows), np.array(settings)


def _qubit(device: Device, qubit: int) -> dict[str, float]:
    """The physics of one qubit, with what its readout shows of each level."""
    truth = device.truth()
    found = {name: float(truth.qubit[name][qubit]) for name in QUBIT_PARAMETERS}
    names = ("amplitude", "frequency_ghz", "duration_ns", "angle_rad", "threshold")
    values = [device.controls.of(f"readout.{name}", qubit) for name in names]
    tone, line = ReadoutPulse(*values[:3]), Discriminator(*values[3:])
    read_one = assignment_matrix(resonator(truth, qubit), tone, found["t1_us"], line)[..., 1]
    found |= dict(zip(READ_ONE, np.asarray(read_one).tolist(), strict=True))
    return found | {"readout_amplitude": values[0], "readout_ghz": values[1]}


def _stacked(rows: Sequence[Physics | dict[str, float]]) -> dict[str, Array]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


class Given:
    """A game whose devices are these: what it draws are they, in order, all at once."""

    def __init__(self, game: Game, physics: Physics, settings: Array) -> None:
        self._game, self._physics, self._settings = game, physics, settings
        self.knobs, self.reach, self.moves = game.knobs, game.reach, game.moves
        self.circuits, self.ideal = game.circuits, game.ideal
        self.angles, self.blurred = game.angles, game.blurred
        self.longest, self.gates = game.longest, game.gates

    def draw(
        self, count: int, rng: np.random.Generator, share: Array | float = 1.0
    ) -> tuple[Physics, Array]:
        """The devices; ValueError if it is not all of them, or they are to start nearer."""
        if count != len(self._settings):
            raise ValueError(f"expected all {len(self._settings)} devices at once, got {count}")
        if np.any(np.asarray(share) != 1):
            raise ValueError("share must be 1, as these devices start as they are")
        return self._physics, self._settings.copy()

    def typical(self) -> tuple[Physics, Array]:
        """Of the game's family."""
        return self._game.typical()

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """As the game has them."""
        return self._game.chances(physics, settings, doublings)

    def within_bounds(self, settings: Array) -> Array:
        """As the game has them."""
        return self._game.within_bounds(settings)

    def ratios(self, physics: Physics, settings: Array) -> Array:
        """As the game has them."""
        return self._game.ratios(physics, settings)

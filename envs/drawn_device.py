"""Drawn qubits as a `Device`: the same physics and settings, with a clock and a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calib.controls import Knob, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.readout import Discriminator, ReadoutPulse
from calib.truth import QUBIT_PARAMETERS, resonator
from envs.game import Physics, without_spread


def drawn_device(
    family: DeviceConfig, qubits: Sequence[Physics], settings: Mapping[Knob, float], *, seed: int
) -> Device:
    """A device of these uncoupled qubits, one number a name each, with these settings in force.

    Readout has the tone of the drawn qubit and the line midway between its clouds.
    """
    values = {
        number: {name: float(physics[name]) for name in QUBIT_PARAMETERS}
        for number, physics in enumerate(qubits)
    }
    lone = {"kind": "couplings", "qubits": len(qubits), "pairs": []}
    config = without_spread(family).model_dump(exclude={"pair"}) | {
        "seed": seed, "topology": lone, "qubits": values,
    }  # fmt: skip
    device = Device(DeviceConfig.model_validate(config))
    in_force = dict(settings)
    for number, physics in enumerate(qubits):
        in_force |= _readout(device, number, physics)
    updates = [Update(knob, value, None, "drawn") for knob, value in in_force.items()]
    device.controls.apply(updates)
    return device


def _readout(device: Device, qubit: int, physics: Physics) -> dict[Knob, float]:
    tone = ReadoutPulse(float(physics["readout_amplitude"]), float(physics["readout_ghz"]),
                        device.controls.of("readout.duration_ns", qubit))  # fmt: skip
    line = Discriminator.midway(resonator(device.truth(), qubit), tone)
    found = {
        "readout.amplitude": float(np.asarray(tone.amplitude)),
        "readout.frequency_ghz": float(np.asarray(tone.frequency_ghz)),
        "readout.angle_rad": float(np.asarray(line.angle_rad)),
        "readout.threshold": float(np.asarray(line.threshold)),
    }
    return {Knob(name, (qubit,)): value for name, value in found.items()}

"""A device at good settings, for the tests of what runs on it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.execution import resonator
from calib.readout import Discriminator, ReadoutPulse

WELL = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "phase_rad": 0, "axis_rad": 0,
        "duration_ns": 0, "readout": False}  # fmt: skip


def well_calibrated(qubits: int = 2, *, exact_qubits: int = 5, **config: Any) -> DriftingBackend:
    config = {"seed": 7, "topology": {"kind": "line", "qubits": qubits}, "start": WELL} | config
    device = Device(DeviceConfig.model_validate(config))
    for qubit in range(device.qubits):
        names = ("amplitude", "frequency_ghz", "duration_ns")
        pulse = ReadoutPulse(*(device.controls.of(f"readout.{name}", qubit) for name in names))
        line = Discriminator.midway(resonator(device.truth(), qubit), pulse)
        device.controls[Knob("readout.angle_rad", (qubit,))] = np.asarray(line.angle_rad).item()
        device.controls[Knob("readout.threshold", (qubit,))] = np.asarray(line.threshold).item()
    return DriftingBackend(device, exact_qubits=exact_qubits)


@pytest.fixture
def make_backend() -> Callable[..., DriftingBackend]:
    return well_calibrated

"""SX and X pulses as a one-qubit calibration leaves them: given, where another gate is tuned."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from calib.device_config import DeviceConfig
from calib.pulses import rotation_amplitude
from calib.threads import one_thread
from calib.truth import drawn
from envs.game import Physics
from envs.lone_qubits import LoneQubits, Settings

Array = NDArray[np.float64]

QUBIT = ("frequency_ghz", "anharmonicity_mhz", "t1_us", "t2_us", "thermal_population", "rabi_mhz")
# Columns of a game's physics, and the knobs of a device that they are.
GIVEN = {
    "drive_ghz": "frequency_ghz",
    "sx_amplitude": "sx.amplitude",
    "sx_drag_ns": "sx.drag_ns",
    "x_amplitude": "x.amplitude",
    "x_drag_ns": "x.drag_ns",
    "x_phase_rad": "x.phase_rad",
}
# What a one-qubit calibration leaves, one standard deviation each, cut at three: in the middle, X
# then errs by 1.13 and SX by 1.04 of their coherence limits.
_AMPLITUDE_LEFT, _FREQUENCY_LEFT_MHZ, _DRAG_LEFT_NS, _AXIS_LEFT_RAD = 0.003, 0.02, 0.03, 0.003


def drawn_qubits(config: DeviceConfig, count: int, rng: np.random.Generator) -> dict[str, Array]:
    """The physics of so many qubits of the lower group by the names of `QUBIT`, [count] each."""
    physics = {name: drawn(getattr(config.qubit, name), count, rng) for name in QUBIT}
    physics["t2_us"] = np.minimum(physics["t2_us"], 2 * physics["t1_us"])
    return physics


@one_thread()
def given_pulses(
    config: DeviceConfig, physics: Physics, off: Array, side: str = ""
) -> dict[str, Array]:
    """The settings of SX and X by the names of `GIVEN`, [B] each; all names end in `side`.

    `off` [6, B] says how far each is off, in standard deviations of what a calibration leaves.
    """
    timing, envelope = config.timing, config.envelope
    rabi_mhz = torch.from_numpy(physics["rabi_mhz" + side])
    sx, x = (rotation_amplitude(angle, rabi_mhz, timing.one_qubit_ns, envelope).numpy()
             for angle in (math.pi / 2, math.pi))  # fmt: skip
    drag_ns = -0.5 / (2e-3 * math.pi * physics["anharmonicity_mhz" + side])
    values = (
        physics["frequency_ghz" + side] + 1e-3 * _FREQUENCY_LEFT_MHZ * off[0],
        sx * (1 + _AMPLITUDE_LEFT * off[1]), drag_ns + _DRAG_LEFT_NS * off[2],
        x * (1 + _AMPLITUDE_LEFT * off[3]), drag_ns + _DRAG_LEFT_NS * off[4],
        _AXIS_LEFT_RAD * off[5],
    )  # fmt: skip
    return {name + side: value for name, value in zip(GIVEN, values, strict=True)}


def left_over(count: int, rng: np.random.Generator) -> Array:
    """Errors for `given_pulses`, normal and cut at three, [6, count]."""
    return np.clip(rng.standard_normal((len(GIVEN), count)), -3, 3)


def qubits_of(physics: Physics, side: str = "") -> LoneQubits:
    """The qubits whose columns end in `side`, as tensors."""
    return LoneQubits(*(torch.from_numpy(physics[name + side]) for name in QUBIT))


def settings_of(config: DeviceConfig, physics: Physics, side: str = "") -> Settings:
    """Their given pulses, as tensors."""
    columns = [torch.from_numpy(physics[name + side]) for name in GIVEN]
    return Settings(*columns, duration_ns=config.timing.one_qubit_ns, envelope=config.envelope)

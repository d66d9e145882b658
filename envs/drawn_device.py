"""Drawn qubits as a `Device`: the same physics and settings, with a clock and a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calib.controls import Knob, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.readout import Discriminator, ReadoutPulse
from calib.topology import Pair
from calib.truth import PAIR_PARAMETERS, QUBIT_PARAMETERS, resonator
from envs.game import Array, Physics, without_spread
from envs.given_pulses import GIVEN

# What a drawn qubit has in force, where the game that drew it gives it.
_IN_FORCE = {
    **GIVEN,
    "readout_amplitude": "readout.amplitude",
    "readout_ghz": "readout.frequency_ghz",
}


def drawn_device(
    family: DeviceConfig, qubits: Sequence[Mapping[str, Array | float]],
    settings: Mapping[Knob, float], *, seed: int,
    pairs: Mapping[Pair, Mapping[str, float]] | None = None,
) -> Device:  # fmt: skip
    """A device of these qubits, one number a name each, with these settings in force.

    `pairs` are those that are coupled, with their physics; none if not given. What a qubit lacks is
    the family's mean, its settings the textbook's. Readout has the line midway between the clouds.
    """
    coupled = pairs or {}
    of_qubits = {
        number: {name: float(physics[name]) for name in QUBIT_PARAMETERS if name in physics}
        for number, physics in enumerate(qubits)
    }
    of_pairs = {f"{a}-{b}": dict(values) for (a, b), values in coupled.items()}
    graph = {"kind": "couplings", "qubits": len(qubits), "pairs": list(coupled)}
    config = without_spread(family).model_dump(exclude={"pair"}) | {
        "seed": seed, "topology": graph, "qubits": of_qubits, "pairs": of_pairs,
    }  # fmt: skip
    device = Device(DeviceConfig.model_validate(config))
    in_force = {
        Knob(knob, (number,)): float(physics[name])
        for number, physics in enumerate(qubits)
        for name, knob in _IN_FORCE.items()
        if name in physics
    }
    _apply(device, in_force | dict(settings))
    for number in range(len(qubits)):
        _apply(device, _line(device, number))
    return device


def drawn_qubit(
    family: DeviceConfig, physics: Physics, row: int, settings: Mapping[str, float], *, seed: int
) -> Device:
    """A device of one qubit, its settings by the names of knobs."""
    values = {name: float(column[row]) for name, column in physics.items()}
    in_force = {Knob(name, (0,)): value for name, value in settings.items()}
    return drawn_device(family, [values], in_force, seed=seed)


def drawn_pair(
    family: DeviceConfig, physics: Physics, row: int, settings: Mapping[Knob, float], *, seed: int
) -> Device:
    """A device of one pair: the columns that end in _a are qubit 0's, those in _b qubit 1's.

    While nothing is played the pair has no ZZ but what its coupling makes, as in the games.
    """
    values = {name: float(column[row]) for name, column in physics.items()}
    qubits = [
        {name.removesuffix(side): one for name, one in values.items() if name.endswith(side)}
        for side in ("_a", "_b")
    ]
    pair = {name: values[name] for name in PAIR_PARAMETERS if name in values}
    if family.entangler == "cz":
        pair["zz_khz"] = 0.0
    return drawn_device(family, qubits, settings, seed=seed, pairs={(0, 1): pair})


def _line(device: Device, qubit: int) -> dict[Knob, float]:
    """The line midway between the clouds of the tone in force."""
    tone = ReadoutPulse(*(device.controls.of(f"readout.{name}", qubit)
                          for name in ("amplitude", "frequency_ghz", "duration_ns")))  # fmt: skip
    line = Discriminator.midway(resonator(device.truth(), qubit), tone)
    return {
        Knob("readout.angle_rad", (qubit,)): float(np.asarray(line.angle_rad)),
        Knob("readout.threshold", (qubit,)): float(np.asarray(line.threshold)),
    }


def _apply(device: Device, settings: Mapping[Knob, float]) -> None:
    device.controls.apply([Update(knob, value, None, "drawn") for knob, value in settings.items()])

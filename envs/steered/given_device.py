"""A device that is given, rather than drawn: what is in force on it, and the code on its qubits."""

from __future__ import annotations

import pathlib

import numpy as np
import stim

from calib.campaign import as_left
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.truth import Truth
from decoders.noise.instructions import instructions_in


def begun(config: DeviceConfig, history: pathlib.Path | None) -> Device:
    """The device with the settings in force by its history, or as it begins by itself."""
    if history is None:
        return Device(config)
    if not history.exists():
        raise ValueError(
            f"plant.history: {history}: no such calibration history; `syndrift calibrate` of the "
            "same [device] makes one (configs/calibrate_patch.toml for configs/steer_patch.toml)"
        )
    return as_left(config, history)


def frames(device: Device) -> Truth:
    """What the pulses in force refer to: the drives' frequencies, and DRAG as it was set."""
    truth, qubits = device.truth(), range(device.qubits)
    drag_ns = np.array([device.controls.of("sx.drag_ns", qubit) for qubit in qubits])
    driven = np.array([device.controls.of("frequency_ghz", qubit) for qubit in qubits])
    with np.errstate(divide="ignore"):  # without DRAG, as for an infinite anharmonicity
        drawn = -0.5 / (2e-3 * np.pi * drag_ns)
    return Truth({**truth.qubit, "frequency_ghz": driven, "anharmonicity_mhz": drawn}, truth.pair)


def check_couplings(device: Device, family: DeviceConfig) -> None:
    """Refuses a device whose qubits are not coupled as the memory's are."""
    graph = family.topology.graph()
    coupled = tuple((min(pair), max(pair)) for pair in device.pairs)
    if (device.qubits, coupled) != (graph.qubits, graph.pairs):
        pairs = ", ".join(f"[{a}, {b}]" for a, b in graph.pairs)
        raise ValueError(
            f"plant.device has {device.qubits} qubits and {len(coupled)} couplings that are not "
            "those of the memory, whose qubits are numbered in their order: expected topology = "
            f'{{ kind = "couplings", qubits = {graph.qubits}, pairs = [{pairs}] }}'
        )


def renumbered(circuit: stim.Circuit) -> stim.Circuit:
    """The circuit on qubits 0, 1, 2, ... in the order of those that it uses."""
    flat = instructions_in(circuit)
    used = sorted({target.value for one in flat for target in one.targets_copy()
                   if target.is_qubit_target})  # fmt: skip
    number = {qubit: k for k, qubit in enumerate(used)}
    found = stim.Circuit()
    for one in circuit.flattened():
        assert isinstance(one, stim.CircuitInstruction)  # flat: there are no blocks
        targets = [number[target.value] if target.is_qubit_target else target
                   for target in one.targets_copy()]  # fmt: skip
        found.append(one.name, targets, one.gate_args_copy())
    return found

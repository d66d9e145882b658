"""The slow path, as a check: a drawn device and its looks on Qiskit's backend."""

from __future__ import annotations

from collections.abc import Mapping

from qiskit.circuit import QuantumCircuit

from calib.controls import Knob
from calib.device import Device
from envs.device_game import DeviceGame
from envs.device_looks import Experiment, Target
from envs.drawn_device import drawn_device
from envs.game import Array, Physics
from envs.sequences import side_by_side


def as_device(game: DeviceGame, physics: Physics, settings: Array, row: int, seed: int) -> Device:
    """One of the game's devices as it is now: coupled, without drift and ZZ between idle qubits."""
    still = game.devices.model_copy(update={"drift": ()})
    coupled = {"coupling_mhz", "flux_mhz"}
    values = {name: each[row] for name, each in physics.items()}
    qubits = [{name: each[qubit] for name, each in values.items() if name not in coupled}
              for qubit in range(game.qubits)]  # fmt: skip
    pairs = {pair: {"zz_khz": 0.0, **{name: float(values[name][number]) for name in coupled}}
             for number, pair in enumerate(game.pairs)}  # fmt: skip
    return drawn_device(still, qubits, _knobs(game, settings[row]), seed=seed, pairs=pairs)


def look(
    game: DeviceGame, device: Device, experiment: Experiment, lengths: Mapping[Target, int]
) -> list[QuantumCircuit]:
    """An experiment's circuits on these targets at once, with their lengths as powers of two.

    The classical bits are the targets', in order.
    """
    alone = [
        game.of(target).qiskit_circuits(device.controls, target, 2**k)
        for target, k in lengths.items()
    ]
    return [
        side_by_side(device.qubits, list(lengths), [circuits[number] for circuits in alone])
        for number in experiment.circuits
    ]


def _knobs(game: DeviceGame, settings: Array) -> dict[Knob, float]:
    """The settings [T, K] of one device, by knob."""
    return {
        Knob(name, target): float(settings[number, column])
        for number, target in enumerate(game.targets)
        for column, name in enumerate(game.of(target).knobs)
    }

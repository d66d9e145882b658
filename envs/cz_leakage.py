"""The CZ game with those of its circuits alone that show leakage."""

from __future__ import annotations

from qiskit.circuit import QuantumCircuit

from calib.controls import Controls
from calib.device_config import DeviceConfig
from envs.cz_game import CZGame
from envs.game import Array, Numbers, Physics


class CZLeakage(CZGame):
    """A pair whose CZ is looked at by the circuits that turn |20⟩'s amplitude into b's outcome."""

    _columns = tuple(n for n, one in enumerate(CZGame.circuits) if one.startswith("leakage_"))
    circuits = tuple(one for one in CZGame.circuits if one.startswith("leakage_"))
    ideal = CZGame.ideal[list(_columns)]

    def __init__(self, devices: DeviceConfig) -> None:
        super().__init__(devices)
        self._whole = CZGame(devices)

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """The chance that each circuit reads 1, [B, L, C]."""
        return self._whole.chances(physics, settings, doublings)[..., self._columns]

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """The sequences, with the settings of this pair."""
        every = self._whole.qiskit_circuits(controls, qubits, repetitions)
        return [every[n] for n in self._columns]

"""How good the gates are in truth: infidelity, coherence limit, leakage, Pauli error rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from calib import channels as ch
from calib.controls import Controls
from calib.decoherence import coherence_limit
from calib.density import z_rotation
from calib.device import Device
from calib.play_channels import channels
from calib.schedule import Play, gate_play


@dataclass(frozen=True)
class GateError:
    """One gate's true errors at the settings in force, per use of the gate.

    `infidelity` is averaged over input states and counts leakage; `coherence_limit` is that of
    qubits which merely idle for as long, which no setting of the controls can beat by much. It
    counts T1 and T2 but neither heating (1 % more at the default temperature) nor that a CZ passes
    through |20⟩, where dephasing acts more (4 to 11 % more at the defaults). It grows with the
    pulse's length: a longer pulse may have the better ratio and the worse gate.
    `pauli` has the twirled probabilities in the order I, X, Y, Z (IXYZ⊗IXYZ for a pair).
    """

    gate: str
    qubits: tuple[int, ...]
    infidelity: float
    coherence_limit: float
    leakage: float
    pauli: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Infidelity over the coherence limit."""
        return self.infidelity / self.coherence_limit


def gate_errors(
    device: Device, *, controls: Controls | None = None, time_s: float | None = None
) -> list[GateError]:
    """Every gate's errors, for judging: this uses what calibrators cannot see.

    With the settings in force now on the physics of now, unless others are given.

    Only rotations about axes that differ can be told apart: turning all pulses of a qubit by one
    angle changes nothing that is measured. So each qubit is judged in the frame in which the
    axis of its SX is X.
    """
    controls = device.controls if controls is None else controls
    gates = [(gate, (q,)) for q in range(device.qubits) for gate in ("sx", "x")]
    gates += [(device.config.entangler, pair) for pair in device.pairs]
    plays = [gate_play(gate, qubits, controls) for gate, qubits in gates]
    moments = device.moments([device.time_s if time_s is None else time_s], controls)
    found = channels([(0, play) for play in plays], moments)
    frames = {
        qubits[0]: _frame(torch.from_numpy(found[0, play]))
        for (gate, qubits), play in zip(gates, plays, strict=True)
        if gate == "sx"
    }
    errors = []
    for (gate, qubits), play in zip(gates, plays, strict=True):
        decoherences = [moments.decoherence([0], [qubit]) for qubit in qubits]
        transfer = _in_frames(torch.from_numpy(found[0, play]), [frames[q] for q in qubits])
        limit = float(coherence_limit(play.duration_ns, decoherences))
        errors.append(_error(gate, qubits, play, transfer, limit))
    return errors


def _error(
    gate: str, qubits: tuple[int, ...], play: Play, transfer: Tensor, limit: float
) -> GateError:
    block = ch.computational_block(transfer, qubits=len(qubits))
    ideal = ideal_transfer(gate)
    return GateError(
        gate, qubits, float(ch.average_gate_infidelity(block, ideal)), limit,
        float(ch.leakage(block)), tuple(ch.pauli_twirl(block, ideal).tolist()),
    )  # fmt: skip


def ideal_transfer(gate: str) -> Tensor:
    """The Pauli transfer matrix of the gate that is meant, [4ⁿ, 4ⁿ]."""
    unitary = torch.tensor(_IDEAL[gate], dtype=torch.complex128)
    elements = ch.basis(2) if len(unitary) == 2 else ch.pair_basis(2)
    return ch.transfer_matrix_of_unitary(unitary, elements)


_H = 1 / math.sqrt(2)
_IDEAL = {
    "x": [[0, 1], [1, 0]],
    "sx": [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]],
    "cz": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, -1]],
    # (XI − YX)/√2, the control first (Qiskit writes its first qubit last: IX − XY).
    "ecr": [[0, 0, _H, 1j * _H], [0, 0, 1j * _H, _H], [_H, -1j * _H, 0, 0], [-1j * _H, _H, 0, 0]],
}


def _frame(sx: Tensor) -> float:
    """The angle in the equator of a rotation's axis, from the antisymmetric part of its matrix."""
    return math.atan2(float(sx[1, 3] - sx[3, 1]), float(sx[3, 2] - sx[2, 3]))


def _in_frames(transfer: Tensor, angles: list[float]) -> Tensor:
    """The channel as seen from frames turned by these angles, one a qubit."""
    turn = torch.from_numpy(z_rotation(angles[0]))
    for angle in angles[1:]:
        turn = torch.kron(turn, torch.from_numpy(z_rotation(angle)))
    return turn @ transfer @ turn.mT

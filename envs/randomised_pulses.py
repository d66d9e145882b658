"""The pulse game with randomised benchmarking in place of its circuits, for many qubits at once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit
from torch import Tensor

from calib.controls import Controls
from calib.density import diagonals, z_rotation
from calib.device_config import DeviceConfig
from calib.play_channels import resting_levels
from calib.threads import one_thread
from envs.lone_qubits import LoneQubits, Settings, gate_transfers
from envs.pulse_game import PulseGame
from envs.randomised import CLIFFORDS, QUARTER_RAD, RandomSequences

SEQUENCES_A_LENGTH = 12
_LONGEST = 8  # 256 Cliffords: a pulse 1.2 times its coherence limit shows there
_SEED = 24  # of the sequences, which are the same in every look


class RandomisedPulses(PulseGame):
    """A qubit whose SX and X are looked at by random sequences of 2^k Cliffords and their inverses.

    The sequences are the same for all devices and all looks: then two scores differ by what the
    settings do and by shot noise, not by which sequences were drawn, and a lab compiles them once
    (as in arXiv:1403.0035, which tunes gates by randomised benchmarking).
    """

    longest = _LONGEST

    def __init__(self, devices: DeviceConfig, samples: int | None = None) -> None:
        super().__init__(devices, samples)
        rng = np.random.default_rng(_SEED)
        self.sequences_drawn = RandomSequences.drawn(SEQUENCES_A_LENGTH, self.longest, rng)
        self.circuits = tuple(f"random_{row}" for row in range(SEQUENCES_A_LENGTH))
        self.ideal = np.zeros(SEQUENCES_A_LENGTH)

    def _levels(self, qubits: LoneQubits, settings: Settings, doublings: Tensor) -> Tensor:
        return random_levels(qubits, settings, self.sequences_drawn, doublings)

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """The sequences of so many Cliffords, a power of two."""
        drawn = (self.sequences_drawn.sequence(row, repetitions)
                 for row in range(SEQUENCES_A_LENGTH))  # fmt: skip
        return [one.circuit(1, controls, qubits[0]) for one in drawn]


@one_thread()
def random_levels(
    qubits: LoneQubits, settings: Settings, sequences: RandomSequences, doublings: Tensor
) -> Tensor:
    """The chances of the levels after each closed sequence, float32 [B, L, S, 3].

    The first 2^k Cliffords are played, k being the entries of `doublings`, int64 [B, L]. All states
    go on together: each step computes what either pulse would do, and then takes for each sequence
    its own, turned by virtual Zs: these are quarter turns, so that they swap and negate numbers.
    """
    sx, x = gate_transfers(qubits, settings)
    words = torch.cat([sx, x], dim=1)  # [B, 18, 9]
    levels = torch.from_numpy(resting_levels(qubits.thermal_population.numpy())).float()
    state = (levels @ _DIAGONALS)[..., None].repeat(1, 1, len(sequences.cliffords))
    pulses, after, before = (_TABLE[sequences.cliffords.T, column] for column in range(3))
    index, sign = _choices(pulses, after + np.roll(before, -1, axis=0))
    wanted, which = doublings.unique(return_inverse=True)
    last_steps, shown = (2**wanted - 1).tolist(), []
    for step in range(last_steps[-1] + 1):
        played = _played(words, state)
        if step in last_steps:
            places = sequences.inverses[:, step.bit_length()]
            shown.append(_closed(words, played, (pulses[step], after[step]), places))
        state = (played.index_select(1, index[step]) * sign[step]).view_as(state)
    rows = torch.arange(len(state))[:, None]
    return torch.stack(shown)[which, rows].transpose(-1, -2)


def _closed(
    words: Tensor,
    played: Tensor,
    last: tuple[NDArray[np.int64], NDArray[np.int64]],
    places: NDArray[np.int64],
) -> Tensor:
    """The levels [B, 3, S] when the inverses at these places follow the last Clifford's pulse."""
    pulses, after = last
    pulse, _, before = (_TABLE[places, column] for column in range(3))
    index, sign = _choices(pulses, after + before)
    state = (played.index_select(1, index) * sign).view(len(words), 9, -1)
    index, _ = _choices(pulse, np.zeros_like(pulse))
    return _DIAGONALS @ _played(words, state).index_select(1, index).view_as(state)


def _played(words: Tensor, state: Tensor) -> Tensor:
    """What no pulse, SX and X make of states [B, 9, S], in a row: [B, 27 × S]."""
    return torch.cat([state, words @ state], dim=1).flatten(1)


def _choices(pulses: NDArray[np.int64], turns: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Which of the numbers [27 × S] make the states [9 × S], and their signs; [..., 9 × S]."""
    count = pulses.shape[-1]
    source, sign = _SOURCES[turns % 4], _SIGNS[turns % 4]  # [..., S, 9]
    rows = 9 * pulses[..., None] + source
    index = (rows * count + np.arange(count)[:, None]).swapaxes(-1, -2)
    flat = (*pulses.shape[:-1], 9 * count)
    return (torch.from_numpy(index.reshape(flat).copy()),
            torch.from_numpy(sign.swapaxes(-1, -2).reshape(flat).copy()))  # fmt: skip


_TABLE = np.array([(one.pulse, one.after, one.before) for one in CLIFFORDS])
_DIAGONALS = torch.from_numpy(diagonals(3).astype(np.float32))
_QUARTERS = np.rint([z_rotation(-QUARTER_RAD * turn) for turn in range(4)])  # [4, 9, 9]
_SOURCES = np.abs(_QUARTERS).argmax(axis=2)
_SIGNS = _QUARTERS.sum(axis=2).astype(np.float32)

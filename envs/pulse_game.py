"""The pulse game: the frequency, height, DRAG and axis of one qubit's X and SX."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit
from torch import Tensor

from calib import channels as ch
from calib.controls import Controls
from calib.decoherence import Decoherence, coherence_limit
from calib.density import z_rotation
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.judge import ideal_transfer
from calib.pulses import rotation_amplitude
from calib.threads import one_thread
from calib.truth import drawn
from envs.drawn_device import drawn_qubit
from envs.game import Angle, Array, Numbers, Physics, without_spread
from envs.lone_qubits import (
    LoneQubits,
    Settings,
    frames,
    gate_transfers,
    level_probabilities,
)
from envs.readout_lines import READ_ONE, ReadoutLines
from envs.sequences import SEQUENCES, PulseSequence
from envs.shaped import (
    checked_pieces,
    corrections,
    sample_knobs,
    sample_reach,
    within_full_scale,
)

_QUBIT = ("frequency_ghz", "anharmonicity_mhz", "t1_us", "t2_us", "thermal_population", "rabi_mhz")
_STOCK = 256  # readout lines
_KNOBS = ("frequency_ghz", "sx.amplitude", "sx.drag_ns", "x.amplitude", "x.drag_ns", "x.phase_rad")
# About 0.6 rad a gate each, but for DRAG of X and the axis: as far as they may be off.
_REACH = np.array([3e-3, 0.05, 4.0, 0.05, 2.5, math.pi / 2])


class PulseGame:
    """A qubit by itself: its X and SX pulses, of one length, from a start that is off.

    `devices` says what the qubits are (its spreads are the randomisation) and how far off their
    settings begin: each error is uniform within the size that `start` has.

    With `samples`, also the envelopes of SX and of X are turned, each cut into so many pieces of
    equal length: what is added to the in-phase and the quadrature of a piece, as a fraction of full
    scale, in the frame of the pulse's axis; at first nothing. This is the form that a waveform
    generator's memory has, one waveform a gate.

    >>> game = PulseGame(DeviceConfig())
    >>> physics, settings = game.draw(3, np.random.default_rng(1))
    >>> game.chances(physics, settings, np.zeros((3, 1), dtype=np.int64)).shape
    (3, 1, 12)
    """

    knobs: tuple[str, ...] = _KNOBS
    reach = _REACH
    moves = np.diag(_REACH)
    sequences: tuple[PulseSequence, ...] = SEQUENCES
    circuits: tuple[str, ...] = tuple(one.name for one in SEQUENCES)
    angles: tuple[Angle, ...] = tuple(
        Angle(f"{name}_a", f"{name}_b")
        for name in ("frequency", "axis", "drag_x", "drag_sx", "phase_sx")
    )
    blurred: Mapping[str, str] = {}
    longest = 6
    width = 1
    gates: tuple[str, ...] = ("sx", "x")

    def __init__(self, devices: DeviceConfig, samples: int | None = None) -> None:
        self.devices, self.samples = devices, samples
        if samples is not None:
            one_qubit_ns = devices.timing.one_qubit_ns
            pieces = checked_pieces(samples, one_qubit_ns)
            self.knobs = (*_KNOBS, *sample_knobs(pieces))
            reach = sample_reach(pieces, devices.qubit.rabi_mhz.mean, one_qubit_ns)
            self.reach = np.concatenate([_REACH, reach])
            self.moves = np.diag(self.reach)
        self.ideal = _ideal()
        self._lines: ReadoutLines | None = None

    def draw(
        self, count: int, rng: np.random.Generator, share: Array | float = 1.0
    ) -> tuple[Physics, Array]:
        """So many qubits, and settings near the textbook's."""
        config = self.devices
        physics = {name: drawn(getattr(config.qubit, name), count, rng) for name in _QUBIT}
        physics["t2_us"] = np.minimum(physics["t2_us"], 2 * physics["t1_us"])
        physics = {**physics, **self._readout().draw(physics["t1_us"], rng)}
        return physics, self._start(physics, rng, share)

    def typical(self) -> tuple[Physics, Array]:
        """The mean qubit at the textbook's settings."""
        mean = PulseGame(without_spread(self.devices), self.samples)
        return mean.draw(1, np.random.default_rng(0))

    def _readout(self) -> ReadoutLines:
        if self._lines is None:  # not while an environment is only described
            self._lines = ReadoutLines(self.devices, _STOCK, np.random.default_rng(_STOCK))
        return self._lines

    def _start(
        self, physics: Mapping[str, Array], rng: np.random.Generator, share: Array | float
    ) -> Array:
        start = self.devices.start
        count = len(physics["rabi_mhz"])
        off = share * rng.uniform(-1.0, 1.0, (len(_KNOBS), count))
        drag_ns = -0.5 / (2e-3 * math.pi * physics["anharmonicity_mhz"])
        sx, x = (self._height(angle, physics["rabi_mhz"]) for angle in (math.pi / 2, math.pi))
        return self.within_bounds(np.stack([
            physics["frequency_ghz"] + 1e-3 * start.frequency_mhz * off[0],
            sx * (1 + start.amplitude * off[1]),
            drag_ns + start.drag_ns * off[2],
            x * (1 + start.amplitude * off[3]),
            drag_ns + start.drag_ns * off[4],
            start.axis_rad * off[5],
            *np.zeros((len(self.knobs) - len(_KNOBS), count)),
        ], axis=1))  # fmt: skip

    def _height(self, angle_rad: float, rabi_mhz: Array) -> Array:
        duration_ns = self.devices.timing.one_qubit_ns
        rabi = torch.from_numpy(rabi_mhz)
        found = rotation_amplitude(angle_rad, rabi, duration_ns, self.devices.envelope)
        return torch.as_tensor(found).numpy()

    @one_thread()
    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """The chance that each circuit reads 1, [B, L, C]."""
        levels = self._levels(*self.tensors(physics, settings), torch.from_numpy(doublings))
        read_one = np.stack([physics[name] for name in READ_ONE], axis=-1)
        found = np.einsum("blcn,bn->blc", levels.numpy(), read_one)
        return np.clip(found, 0.0, 1.0)

    def _levels(self, qubits: LoneQubits, settings: Settings, doublings: Tensor) -> Tensor:
        """The chances of the levels after each circuit, [B, L, C, 3]."""
        return level_probabilities(qubits, settings, self.sequences, doublings)

    def device(self, physics: Physics, settings: Array, row: int, seed: int) -> Device:
        """A `Device` of one qubit with the physics and the settings of one row."""
        in_force = dict(zip(self.knobs, settings[row].tolist(), strict=True))
        return drawn_qubit(self.devices, physics, row, in_force, seed=seed)

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """The sequences, with the settings of this qubit."""
        return [one.circuit(repetitions, controls, qubits[0]) for one in self.sequences]

    def within_bounds(self, settings: Array) -> Array:
        """Pulses within full scale, and the axis as an angle in [−π/2, π/2)."""
        found = settings.copy()
        found[:, [1, 3]] = np.clip(found[:, [1, 3]], -1.0, 1.0)
        found[:, 5] = (found[:, 5] + math.pi / 2) % math.pi - math.pi / 2
        samples = found[:, len(_KNOBS) :]
        samples[:] = within_full_scale(samples, found[:, 1], found[:, 3])
        return found

    @one_thread()
    def ratios(self, physics: Physics, settings: Array) -> Array:
        """Infidelity over the coherence limit of SX and X [B, 2], in the frame of each SX."""
        qubits, pulses = self.tensors(physics, settings)
        sx, x = (ch.computational_block(one.to(torch.float64), qubits=1)
                 for one in gate_transfers(qubits, pulses))  # fmt: skip
        turn = frames(sx)
        limit = coherence_limit(self.devices.timing.one_qubit_ns,
                                [Decoherence(qubits.t1_us, qubits.t2_us)])  # fmt: skip
        found = [
            ch.average_gate_infidelity(turn @ one @ turn.mT, ideal_transfer(gate)) / limit
            for gate, one in zip(self.gates, (sx, x), strict=True)
        ]
        return torch.stack(found, dim=1).numpy()

    def tensors(self, physics: Physics, settings: Array) -> tuple[LoneQubits, Settings]:
        """The qubits and their pulses, for `envs.lone_qubits`."""
        qubits = LoneQubits(*(torch.from_numpy(physics[name]) for name in _QUBIT))
        columns = torch.from_numpy(np.ascontiguousarray(settings[:, : len(_KNOBS)].T))
        samples = settings[:, len(_KNOBS) :]
        return qubits, Settings(*columns, duration_ns=self.devices.timing.one_qubit_ns,
                                envelope=self.devices.envelope,
                                shape=corrections(samples) if samples.any() else None)  # fmt: skip


def _ideal() -> NDArray[np.float64]:
    """The chances of |1⟩ after each sequence of perfect gates, [C]."""
    gates = {"sx": ideal_transfer("sx").numpy(), "x": ideal_transfer("x").numpy(),
             "delay": np.eye(4)}  # fmt: skip
    chances = []
    for one in SEQUENCES:
        state = np.array([1.0, 0.0, 0.0, 1.0])
        for word in (*one.start, *one.block, *one.end):
            turn = gates[word] if isinstance(word, str) else z_rotation(-word)[:4, :4]
            state = turn @ state
        chances.append((1 - state[3]) / 2)
    return np.array(chances)

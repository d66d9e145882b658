"""Many qubits without neighbours: their pulses and what circuits on them show, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from calib.channels import basis, transfer_matrix_of_unitary
from calib.controls import Controls
from calib.decoherence import Decoherence, idle_transfer
from calib.density import diagonals, z_rotation
from calib.exponentials import ordered_product
from calib.play_channels import resting_levels
from calib.pulses import DragPulse, Envelope
from calib.threads import one_thread
from calib.transmon import propagator
from calib.truth import Truth
from envs.sequences import Pulse, PulseSequence, Word

_PULSES: tuple[Pulse, ...] = ("sx", "x", "half_x")
_SLICES = 4  # of each pulse, with decoherence between them: 1e-4 in a probability after 200 pulses


@dataclass(frozen=True)
class LoneQubits:
    """The hidden physics of B qubits: float64, [B] each."""

    frequency_ghz: Tensor
    anharmonicity_mhz: Tensor
    t1_us: Tensor
    t2_us: Tensor
    thermal_population: Tensor
    rabi_mhz: Tensor

    @classmethod
    def of(cls, truth: Truth) -> LoneQubits:
        """The qubits of a device, as if none had a neighbour."""
        return cls(*(torch.from_numpy(truth.qubit[one.name]) for one in fields(cls)))


@dataclass(frozen=True)
class Settings:
    """The knobs of X and SX, float64, [B] each; the pulses' length and envelope are common."""

    frequency_ghz: Tensor
    sx_amplitude: Tensor
    sx_drag_ns: Tensor
    x_amplitude: Tensor
    x_drag_ns: Tensor
    x_phase_rad: Tensor
    duration_ns: float = 32.0
    envelope: Envelope = "gaussian"

    @classmethod
    def of(cls, controls: Controls, qubits: int, envelope: Envelope = "gaussian") -> Settings:
        """The settings in force on a device, whose pulses must all be as long."""
        columns = [
            torch.tensor([controls.of(name, q) for q in range(qubits)], dtype=torch.float64)
            for name in ("frequency_ghz", "sx.amplitude", "sx.drag_ns", "x.amplitude", "x.drag_ns",
                         "x.phase_rad", "sx.duration_ns", "x.duration_ns")
        ]  # fmt: skip
        durations_ns = set(torch.cat(columns[6:]).tolist())
        if len(durations_ns) > 1:
            raise ValueError(f"pulses must be as long as one another, got {sorted(durations_ns)}")
        return cls(*columns[:6], duration_ns=durations_ns.pop(), envelope=envelope)


@one_thread()
def level_probabilities(
    qubits: LoneQubits, settings: Settings, sequences: Sequence[PulseSequence], doublings: Tensor
) -> Tensor:
    """The chances of the levels after each sequence, float32 [B, sequences, 3].

    Blocks are repeated 2^k times, k being each qubit's entry of `doublings`, int64 [B]; their
    powers come by squaring. Decoherence and motion alternate in slices (Strang splitting).
    """
    words = _words(qubits, settings)
    blocks = list(dict.fromkeys(one.block for one in sequences))
    powered = _powers([_product(block, words) for block in blocks], doublings)
    powers = dict(zip(blocks, powered, strict=True))
    levels = resting_levels(qubits.thermal_population.numpy()).astype(np.float32)
    rest = torch.from_numpy(levels) @ _DIAGONALS
    found = []
    for one in sequences:
        state = _product(one.start, words) @ rest[..., None]
        state = _product(one.end, words) @ powers[one.block] @ state
        found.append((_DIAGONALS @ state)[..., 0])
    return torch.stack(found, dim=1)


_DIAGONALS = torch.from_numpy(diagonals(3).astype(np.float32))


def _words(qubits: LoneQubits, settings: Settings) -> dict[Word, Tensor]:
    """The transfer matrices of all pulses and of a wait, [B, 9, 9]."""
    detuning_mhz = 1e3 * (qubits.frequency_ghz - settings.frequency_ghz)
    height = torch.stack([settings.sx_amplitude, settings.x_amplitude, settings.x_amplitude / 2])
    drag_ns = torch.stack([settings.sx_drag_ns, settings.x_drag_ns, settings.x_drag_ns])
    phase = settings.x_phase_rad
    phase_rad = torch.stack([torch.zeros_like(phase), phase, phase])
    pulse = DragPulse(height, drag_ns, 0.0, phase_rad, settings.duration_ns, settings.envelope)
    samples = torch.stack(pulse.samples(qubits.rabi_mhz).tensor_split(_SLICES, dim=-1))
    unitary = propagator(
        samples, dt_ns=pulse.step_ns(), detuning_mhz=detuning_mhz,
        anharmonicity_mhz=qubits.anharmonicity_mhz,
    )  # fmt: skip
    surroundings = Decoherence(qubits.t1_us, qubits.t2_us, qubits.thermal_population)
    half = idle_transfer(settings.duration_ns / _SLICES / 2, surroundings)
    slices = half @ transfer_matrix_of_unitary(unitary, basis(3)) @ half
    played = ordered_product(slices.movedim(0, -3))
    words: dict[Word, Tensor] = dict(zip(_PULSES, played.to(torch.float32), strict=True))
    words["delay"] = idle_transfer(
        settings.duration_ns, surroundings, detuning_mhz=detuning_mhz,
        anharmonicity_mhz=qubits.anharmonicity_mhz,
    ).to(torch.float32)  # fmt: skip
    return words


def _product(sequence: tuple[Word, ...], words: dict[Word, Tensor]) -> Tensor:
    """The channel of words in order of time, [B, 9, 9]."""
    product = torch.eye(9).expand_as(words["x"])
    for word in sequence:
        turn = words[word] if isinstance(word, str) else _virtual_z(word)
        product = turn @ product
    return product


def _virtual_z(angle_rad: float) -> Tensor:
    return torch.from_numpy(z_rotation(-angle_rad).astype(np.float32))


def _powers(blocks: Sequence[Tensor], doublings: Tensor) -> Tensor:
    """Each block to the power 2^k of its qubit, [blocks, B, 9, 9]."""
    powers = torch.stack(list(blocks))
    for k in range(int(doublings.max()) if len(doublings) else 0):
        more = torch.nonzero(doublings > k)[:, 0]
        once = powers[:, more]
        powers[:, more] = once @ once
    return powers

"""Many qubits without neighbours: their pulses and what circuits on them show, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from calib.channels import basis
from calib.controls import Controls
from calib.decoherence import Decoherence, idle_transfer
from calib.density import diagonals, z_rotation
from calib.play_channels import resting_levels
from calib.pulses import DragPulse, Envelope
from calib.threads import one_thread
from calib.transmon import propagator
from calib.truth import Truth
from envs.sequences import Pulse, PulseSequence, Word
from envs.shaped import shaped

_PULSES: tuple[Pulse, ...] = ("sx", "x")


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
    """The knobs of X and SX, float64, [B] each; the pulses' length and envelope are common.

    `shape` are corrections of their envelopes as in `envs.shaped`, or None.
    """

    frequency_ghz: Tensor
    sx_amplitude: Tensor
    sx_drag_ns: Tensor
    x_amplitude: Tensor
    x_drag_ns: Tensor
    x_phase_rad: Tensor
    duration_ns: float = 32.0
    envelope: Envelope = "gaussian"
    shape: Tensor | None = None

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
    """The chances of the levels after each sequence, float32 [B, L, sequences, 3].

    Blocks are repeated 2^k times, k being the entries of `doublings`, int64 [B, L]; their powers
    come by squaring. Decoherence and motion alternate in slices (Strang splitting).
    """
    words = _words(qubits, settings)
    blocks = list(dict.fromkeys(one.block for one in sequences))
    powers = _powers([_product(block, words) for block in blocks], doublings)
    levels = resting_levels(qubits.thermal_population.numpy()).astype(np.float32)
    rest = torch.from_numpy(levels) @ _DIAGONALS
    starts = {one.start: (_product(one.start, words) @ rest[..., None])[:, None]
              for one in sequences}  # fmt: skip
    states = {(start, block): powers[blocks.index(block)] @ starts[start]
              for start, block in {(one.start, one.block) for one in sequences}}  # fmt: skip
    ends = {one.end: (_DIAGONALS @ _product(one.end, words))[:, None] for one in sequences}
    found = [(ends[one.end] @ states[one.start, one.block])[..., 0] for one in sequences]
    return torch.stack(found, dim=2)


@one_thread()
def gate_transfers(qubits: LoneQubits, settings: Settings) -> tuple[Tensor, Tensor]:
    """The channels of SX and X, float32 [B, 9, 9] each."""
    words = _words(qubits, settings)
    return words["sx"], words["x"]


_DIAGONALS = torch.from_numpy(diagonals(3).astype(np.float32))


def _words(qubits: LoneQubits, settings: Settings) -> dict[Word, Tensor]:
    """The transfer matrices of all pulses and of a wait, [B, 9, 9].

    Decoherence comes before, between and after the halves of each pulse (Strang): 5e-3 in a
    probability after 200 pulses.
    """
    detuning_mhz = 1e3 * (qubits.frequency_ghz - settings.frequency_ghz)
    phase = torch.stack([torch.zeros_like(settings.x_phase_rad), settings.x_phase_rad])
    axis = torch.exp(1j * phase[..., None] * torch.arange(3))
    first, second = (axis[..., None] * one * axis.conj()[..., None, :]
                     for one in _halves(qubits, settings, detuning_mhz))  # fmt: skip
    surroundings = Decoherence(qubits.t1_us, qubits.t2_us, qubits.thermal_population)
    quarter = idle_transfer(settings.duration_ns / 4, surroundings).to(torch.float32)
    played = quarter @ _transfer(second) @ (quarter @ quarter) @ _transfer(first) @ quarter
    words: dict[Word, Tensor] = dict(zip(_PULSES, played, strict=True))
    words["delay"] = idle_transfer(
        settings.duration_ns, surroundings, detuning_mhz=detuning_mhz,
        anharmonicity_mhz=qubits.anharmonicity_mhz,
    ).to(torch.float32)  # fmt: skip
    return words


def _halves(qubits: LoneQubits, settings: Settings, detuning_mhz: Tensor) -> tuple[Tensor, Tensor]:
    """The propagators of both halves of SX and X about the X axis, complex [2, B, 3, 3].

    A DRAG pulse's second half is its first one backwards, with the other quadrature's sign turned:
    H(T − t) = H(t)*, so that its propagator is the transpose. Not so where its shape was corrected,
    or where a sample lies in the middle.
    """
    height = torch.stack([settings.sx_amplitude, settings.x_amplitude])
    drag_ns = torch.stack([settings.sx_drag_ns, settings.x_drag_ns])
    pulse = DragPulse(height, drag_ns, 0.0, 0.0, settings.duration_ns, settings.envelope)
    samples = pulse.samples(qubits.rabi_mhz)

    def played(part: Tensor) -> Tensor:
        return propagator(part, dt_ns=pulse.step_ns(), detuning_mhz=detuning_mhz,
                          anharmonicity_mhz=qubits.anharmonicity_mhz)  # fmt: skip

    middle = samples.shape[-1] // 2
    if settings.shape is None and samples.shape[-1] % 2 == 0:
        rising = played(samples[..., :middle])
        return rising, rising.mT
    if settings.shape is not None:
        samples = shaped(samples, settings.shape, qubits.rabi_mhz)
    return played(samples[..., :middle]), played(samples[..., middle:])


def _transfer(unitary: Tensor) -> Tensor:
    """The transfer matrices of unitaries, float32 [..., 9, 9]: U ⊗ U* between `basis`."""
    one = unitary.to(torch.complex64)
    both = (one[..., :, None, :, None] * one.conj()[..., None, :, None, :]).flatten(-4, -3)
    return (_ELEMENTS.mH @ both.flatten(-2) @ _ELEMENTS).real


_ELEMENTS = basis(3).flatten(1).T.to(torch.complex64)  # each column an element, row by row


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
    """Each block to the powers 2^k of its qubit, [blocks, B, L, 9, 9]."""
    once = torch.stack(list(blocks))
    found = once[:, :, None].repeat(1, 1, doublings.shape[1], 1, 1)
    for k in range(1, int(doublings.max()) + 1 if doublings.numel() else 0):
        once = once @ once
        qubit, length = torch.nonzero(doublings == k, as_tuple=True)
        found[:, qubit, length] = once[:, qubit]
    return found


def frames(sx: Tensor) -> Tensor:
    """The rotations of the Bloch sphere into the frames in which these SX turn about X, [B, 4, 4].

    The angle of a rotation's axis comes from the antisymmetric part of its matrix.
    """
    angle = torch.atan2(sx[:, 1, 3] - sx[:, 3, 1], sx[:, 3, 2] - sx[:, 2, 3])
    turn = torch.eye(4, dtype=torch.float64).repeat(len(angle), 1, 1)
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 1, 2] = angle.sin()
    turn[:, 2, 1] = -angle.sin()
    return turn

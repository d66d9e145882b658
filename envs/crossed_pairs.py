"""Many pairs under cross resonance: their ECR gate and what circuits on them show, in one call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from calib.channels import average_gate_infidelity, pair_basis, transfer_matrix_of_unitary
from calib.cross_resonance import CrossResonancePair, CrossResonanceTone, static_zz_mhz
from calib.decoherence import Decoherence, coherence_limit, idle_transfer
from calib.density import z_rotation
from calib.judge import ideal_transfer
from calib.threads import one_thread
from envs.ecr_maps import computational_transfer, kron, reversed_sign, tone_unitary, waits
from envs.ecr_sequences import EchoSequence, EchoWord
from envs.lone_qubits import LoneQubits, Settings, frames, gate_transfers

OneQubit = Literal["sx", "x", "idle"]
Word = EchoWord | Literal["flip"]
_MHZ = 1e3  # in a GHz
_RADIANS_PER_NS = 2e-3 * math.pi  # of one MHz


@dataclass(frozen=True)
class CrossedPairs:
    """The hidden physics of B pairs, and what is given: one-qubit pulses, and the target's readout.

    The control comes first. `coupling_mhz`, `crosstalk` and `crosstalk_phase_rad` are float64 [B]
    as in `calib.cross_resonance.CrossResonancePair`; `reads_one` is the chance to read 1 with the
    target in |0⟩ and in |1⟩, [B, 2].
    """

    qubits: tuple[LoneQubits, LoneQubits]
    given: tuple[Settings, Settings]
    reads_one: Tensor
    coupling_mhz: Tensor
    crosstalk: Tensor
    crosstalk_phase_rad: Tensor

    @property
    def crossing(self) -> CrossResonancePair:
        """What a tone depends on."""
        control, target = self.qubits
        return CrossResonancePair(
            control.frequency_ghz, target.frequency_ghz, control.anharmonicity_mhz,
            target.anharmonicity_mhz, self.coupling_mhz, control.rabi_mhz, target.rabi_mhz,
            self.crosstalk, self.crosstalk_phase_rad,
        )  # fmt: skip

    @property
    def detuning_mhz(self) -> tuple[Tensor, Tensor]:
        """The true less the drive frequency of control and target, [B] each."""
        first, second = (_MHZ * (one.frequency_ghz - given.frequency_ghz)
                         for one, given in zip(self.qubits, self.given, strict=True))  # fmt: skip
        return first, second

    @property
    def decoherence(self) -> tuple[Decoherence, Decoherence]:
        """Relaxation and dephasing of control and target."""
        first, second = (Decoherence(one.t1_us, one.t2_us, one.thermal_population)
                         for one in self.qubits)  # fmt: skip
        return first, second


@one_thread()
def outcome_chances(
    pairs: CrossedPairs,
    tone: CrossResonanceTone,
    sequences: Sequence[EchoSequence],
    doublings: Tensor,
) -> Tensor:
    """The chance that each sequence's readout shows 1, float64 [B, lengths, sequences].

    Blocks are repeated 2^k times, k being the entries of `doublings`, int64 [B, lengths]. The
    transmons are computed with three levels each, of which only the computational ones are kept
    from gate to gate. Left out is that a tone which flips the control, by some 1e-5, does so with a
    phase of its own each time (`calib.frames`): 0.003 in a chance, rarely 0.02.
    """
    words = _words(pairs, tone)
    rest = kron(*(_at_rest(one)[..., None] for one in pairs.qubits)).float()
    starts = {(one.control, one.start):
              _product(one.start, words) @ (words["flip"] @ rest if one.control else rest)
              for one in sequences}  # fmt: skip
    powers = {one.block: _product(one.block, words) for one in sequences}
    pairings = dict.fromkeys(((one.control, one.start), one.block) for one in sequences)
    views = _views(pairs, words)
    shown = []
    for _ in range(int(doublings.max()) + 1):
        states = {(start, block): powers[block] @ starts[start] for start, block in pairings}
        seen = [views[one.view] @ states[(one.control, one.start), one.block] for one in sequences]
        shown.append(torch.cat(seen, dim=-1)[:, 0])
        powers = {block: power @ power for block, power in powers.items()}
    table = torch.stack(shown)  # [k, B, sequences]
    chances = table[doublings, torch.arange(len(doublings))[:, None]]
    return chances.double().clamp(0, 1)


@one_thread()
def ecr_ratios(pairs: CrossedPairs, tone: CrossResonanceTone) -> Tensor:
    """The ECR's true infidelity over its coherence limit, float64 [B], as `calib.judge` has it."""
    layers = _Layers.of(pairs)
    turn = kron(*(frames(one["sx"]) for one in layers.channels))
    echo = _echo(_tones(pairs, tone, torch.complex128), layers.with_zz("x", "idle"))
    channel = turn @ echo @ turn.mT
    duration_ns = 2 * torch.as_tensor(tone.duration_ns) + pairs.given[0].duration_ns
    limit = coherence_limit(duration_ns, pairs.decoherence)
    return average_gate_infidelity(channel, ideal_transfer("ecr")) / limit


def _echo(tones: tuple[Tensor, Tensor], flip: Tensor) -> Tensor:
    """The gate's channel, [B, 16, 16]."""
    first, second = tones
    return second @ flip @ first


def _tones(
    pairs: CrossedPairs, tone: CrossResonanceTone, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The channels of the tone and of the one of reversed sign, float64 [B, 16, 16]."""
    unitary = tone_unitary(pairs.crossing, tone, pairs.detuning_mhz, dtype)
    levels = 3 if dtype == torch.complex128 else 2  # which takes half the time
    half = waits(torch.as_tensor(tone.duration_ns) / 2, pairs.decoherence, levels)
    first, second = (half @ computational_transfer(one) @ half
                     for one in (unitary, reversed_sign(unitary)))  # fmt: skip
    return first, second


@dataclass(frozen=True)
class _Layers:
    """One-qubit pulses side by side."""

    channels: tuple[Mapping[OneQubit, Tensor], Mapping[OneQubit, Tensor]]  # [B, 4, 4] each
    half_zz: Tensor  # that of half a layer's time, [B, 16, 16]

    @classmethod
    def of(cls, pairs: CrossedPairs) -> _Layers:
        """The layers of these pairs; all last as long as an X."""
        zz_mhz = static_zz_mhz(pairs.crossing)
        angle = _RADIANS_PER_NS / 2 * zz_mhz * pairs.given[0].duration_ns
        half = torch.ones((*angle.shape, 4), dtype=torch.complex128)
        half[:, 3] = torch.exp(-1j * angle)
        turn = transfer_matrix_of_unitary(torch.diag_embed(half), pair_basis(2))
        return cls((_one_qubit(pairs, 0), _one_qubit(pairs, 1)), turn)

    def with_zz(self, control: OneQubit, target: OneQubit) -> Tensor:
        """A layer with ZZ half before and half after, float64 [B, 16, 16]."""
        both = kron(self.channels[0][control], self.channels[1][target])
        return self.half_zz @ both @ self.half_zz


def _one_qubit(pairs: CrossedPairs, side: int) -> dict[OneQubit, Tensor]:
    """The channels of pulses on control or target, and of a wait as long, [B, 4, 4] each."""
    sx, x = gate_transfers(pairs.qubits[side], pairs.given[side])
    idle = idle_transfer(
        pairs.given[side].duration_ns, pairs.decoherence[side],
        detuning_mhz=pairs.detuning_mhz[side], levels=2,
    )  # fmt: skip
    return {"sx": sx[:, :4, :4].double(), "x": x[:, :4, :4].double(), "idle": idle}


def _words(pairs: CrossedPairs, tone: CrossResonanceTone) -> dict[Word, Tensor]:
    """The channels of all words, and of an X on the control, float32 [B, 16, 16]."""
    layers = _Layers.of(pairs)
    flip = layers.with_zz("x", "idle")
    quarter, half = (
        kron(torch.eye(4, dtype=torch.float64), torch.from_numpy(z_rotation(-angle, 2)))
        for angle in (math.pi / 2, math.pi)
    )
    found: dict[Word, Tensor] = {
        "turn": flip @ _echo(_tones(pairs, tone, torch.complex64), flip), "flip": flip,
        "sx": layers.with_zz("idle", "sx"), "mirror": half @ layers.with_zz("idle", "x"),
        "quarter": quarter.expand_as(flip), "half": half.expand_as(flip),
    }  # fmt: skip
    return {word: channel.float() for word, channel in found.items()}


def _product(words: tuple[EchoWord, ...], channels: Mapping[Word, Tensor]) -> Tensor:
    """The channel of words in order of time."""
    product = torch.eye(16).expand_as(channels["flip"])
    for word in words:
        product = channels[word] @ product
    return product


def _views(pairs: CrossedPairs, words: Mapping[Word, Tensor]) -> dict[str, Tensor]:
    """The effect of outcome 1 after what turns each component to Z, float32 [B, 1, 16]."""
    zero, one = pairs.reads_one.float().unbind(-1)
    effect = torch.zeros(len(zero), 16)
    # In the basis over √2 twice: the trace over the control is √2 times its first element.
    effect[:, 0], effect[:, 3] = zero + one, zero - one
    quarter = words["quarter"]
    direct = effect[:, None]
    from_y = direct @ words["sx"]
    return {"z": direct, "y": from_y, "x": from_y @ quarter.mT}


def _at_rest(qubit: LoneQubits) -> Tensor:
    """The states at rest, the excited level being what is not in |0⟩, [B, 4]."""
    excited = qubit.thermal_population
    state = torch.zeros(len(excited), 4, dtype=torch.float64)
    state[:, 0], state[:, 3] = math.sqrt(0.5), math.sqrt(0.5) * (1 - 2 * excited)
    return state

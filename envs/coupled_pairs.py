"""Many pairs with tunable couplers: their CZ and what circuits on them show, in one call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from calib.channels import basis
from calib.decoherence import Decoherence, coherence_limit
from calib.density import diagonals
from calib.excitations import Sector, sectors
from calib.play_channels import resting_levels
from calib.threads import one_thread
from envs.coupler_maps import LEVELS, ExchangingPairs, coupler_motion, sector_map
from envs.coupler_words import CouplerWord, CouplerWords
from envs.lone_qubits import LoneQubits, Settings, gate_transfers
from envs.pair_sequences import Begin, PairSequence

_MHZ = 1e3  # in a GHz
_RADIANS_PER_NS = 2e-3 * math.pi  # of one MHz
_FAST, _EXACT = torch.complex64, torch.complex128


@dataclass(frozen=True)
class CoupledPairs:
    """The hidden physics of B pairs, and what is given: one-qubit pulses and readout.

    a is the upper qubit. `coupling_mhz` and `flux_mhz` are float64 [B] as in
    `calib.pair.CoupledPair`; `reads_one` is the chance to read 1 in each level of a and of b,
    [B, L] each.
    """

    qubits: tuple[LoneQubits, LoneQubits]
    given: tuple[Settings, Settings]
    reads_one: tuple[Tensor, Tensor]
    coupling_mhz: Tensor
    flux_mhz: Tensor

    @property
    def apart_mhz(self) -> Tensor:
        """The true frequency of a less that of b, [B]."""
        return _MHZ * (self.qubits[0].frequency_ghz - self.qubits[1].frequency_ghz)

    def detuning_mhz(self, side: int) -> Tensor:
        """The true less the drive frequency of a or b, [B]."""
        return _MHZ * (self.qubits[side].frequency_ghz - self.given[side].frequency_ghz)

    def decoherence(self, side: int) -> Decoherence:
        """Relaxation and dephasing of a or b."""
        one = self.qubits[side]
        return Decoherence(one.t1_us, one.t2_us, one.thermal_population)


@dataclass(frozen=True)
class CouplerKnobs:
    """The settings of the CZ, float64 [B] each."""

    amplitude: Tensor
    duration_ns: Tensor
    phase_a_rad: Tensor
    phase_b_rad: Tensor

    def angle_rad(self, pairs: CoupledPairs, side: int) -> Tensor:
        """What frames and virtual Z turn a or b by per CZ, beside the motion in b's frame, [B]."""
        against_mhz = pairs.apart_mhz * (1 - side) - pairs.detuning_mhz(side)
        virtual = (self.phase_a_rad, self.phase_b_rad)[side]
        return virtual + _RADIANS_PER_NS * self.duration_ns * against_mhz


@one_thread()
def outcome_chances(
    pairs: CoupledPairs,
    knobs: CouplerKnobs,
    words: CouplerWords,
    sequences: Sequence[PairSequence],
    doublings: Tensor,
) -> Tensor:
    """The chance that each sequence's readout shows 1, float64 [B, lengths, sequences].

    Blocks are repeated 2^k times, k being the entries of `doublings`, int64 [B, lengths]: powers
    come by squaring, once for all lengths. Against exact channels, in double precision and every
    gate in turn, the chances are wrong by 1e-4 after 32 blocks of right settings, and by less than
    1e-3 where |20⟩ holds a good part of the state. Left out are ZZ between the pulses (some kHz),
    and coherences of two excitations, which a start on the equator makes only by leakage of its SX.
    """
    channels = _word_maps(pairs, knobs, words, sequences)
    ends = {one.end: _product(one.end, channels, 0) for one in sequences if one.end}
    powers = {(one.block, order): _product(one.block, channels, order)
              for one in sequences for order in _orders(one)}  # fmt: skip
    qubits = (_OneQubit.of(pairs, 0), _OneQubit.of(pairs, 1))
    readings = [_Reading.of(one, qubits, knobs.angle_rad(pairs, "ab".index(one.reads)))
                for one in sequences]  # fmt: skip
    shown = []
    for k in range(int(doublings.max()) + 1):
        chances = [_chance(one, powers, ends, reading, k)
                   for one, reading in zip(sequences, readings, strict=True)]  # fmt: skip
        shown.append(torch.stack(chances, dim=-1))
        powers = {key: power @ power for key, power in powers.items()}
    table = torch.stack(shown)  # [k, B, sequences]
    return table[doublings, torch.arange(len(doublings))[:, None]].clamp(0, 1)


@one_thread()
def cz_ratios(pairs: CoupledPairs, knobs: CouplerKnobs) -> Tensor:
    """The CZ's true infidelity over its coherence limit, float64 [B], as `calib.judge` has it.

    Frames of single-qubit gates are of no account: turning both qubits about Z before and after a
    gate leaves the diagonal of its map of |m⟩⟨n|, which alone is asked for by an ideal CZ.
    """
    exchanging = _exchanging(pairs)
    motion = coupler_motion(exchanging, knobs.amplitude, knobs.duration_ns, _EXACT)
    angles = [knobs.angle_rad(pairs, side) for side in (0, 1)]
    overlap, kept = torch.zeros(()), torch.zeros(())
    for order in range(3):
        moved, sector = sector_map(motion, order), sectors(LEVELS)[order]
        a, b = _raised(sector)
        inside = _computational(sector)
        phase = torch.exp(1j * (angles[0][:, None] * a + angles[1][:, None] * b))
        sign = 1 - 2.0 * ((sector.ket == LEVELS + 1) ^ (sector.bra == LEVELS + 1))
        diagonal = (phase * moved.diagonal(dim1=-2, dim2=-1)).real * sign
        overlap = overlap + diagonal[:, inside].sum(-1) * (1 if order == 0 else 2)
        if order == 0:
            stays = torch.nonzero(inside & (sector.ket == sector.bra))[:, 0]
            kept = moved[:, stays[:, None], stays].real.sum((-2, -1))
    # F = (d·F_e + 1 − L)/(d + 1) for d = 4, F_e = overlap/d², 1 − L = kept/d.
    infidelity = 1 - (overlap / 4 + kept / 4) / 5
    limit = coherence_limit(knobs.duration_ns, [pairs.decoherence(side) for side in (0, 1)])
    return infidelity / limit


def _exchanging(pairs: CoupledPairs) -> ExchangingPairs:
    upper, lower = pairs.qubits
    return ExchangingPairs(
        pairs.apart_mhz, upper.anharmonicity_mhz, lower.anharmonicity_mhz, pairs.coupling_mhz,
        pairs.flux_mhz, (pairs.decoherence(0), pairs.decoherence(1)),
    )  # fmt: skip


def _orders(sequence: PairSequence) -> tuple[int, ...]:
    """The orders of coherences that its readout shows."""
    return (0,) if sequence.quadrature_rad is None else (0, 1)


def _word_maps(
    pairs: CoupledPairs,
    knobs: CouplerKnobs,
    words: CouplerWords,
    sequences: Sequence[PairSequence],
) -> dict[tuple[CouplerWord, int], Tensor]:
    """The channels of all words in use on coherences of order 0 and 1, [B, n, n] each."""
    wanted = dict.fromkeys((word, order) for one in sequences for order in _orders(one)
                           for word in (*one.block, *one.end))  # fmt: skip
    found: dict[tuple[CouplerWord, int], Tensor] = {}
    exchanging = _exchanging(pairs)
    # Pulses of one amplitude share their ramps.
    together: tuple[tuple[CouplerWord, ...], ...] = (("cz", "long", "short"), ("half",))
    for alike in together:
        here: list[CouplerWord] = [word for word in alike if (word, 0) in wanted]
        if not here:
            continue
        played = [words.settings(word, knobs.amplitude, knobs.duration_ns) for word in here]
        lengths = torch.stack([length for _, length in played])
        motion = coupler_motion(exchanging, played[0][0], lengths, _FAST)
        for number, channel in enumerate(sector_map(motion, 0)):
            found[here[number], 0] = channel
        for number, word in enumerate(here):
            if (word, 1) in wanted:
                found[word, 1] = sector_map(motion.only(number), 1)
    return found


def _product(
    words: tuple[CouplerWord, ...], channels: Mapping[tuple[CouplerWord, int], Tensor], order: int
) -> Tensor:
    """The channel of words in order of time."""
    product = channels[words[0], order]
    for word in words[1:]:
        product = channels[word, order] @ product
    return product


def _chance(
    sequence: PairSequence,
    powers: Mapping[tuple[tuple[CouplerWord, ...], int], Tensor],
    ends: Mapping[tuple[CouplerWord, ...], Tensor],
    reading: _Reading,
    doublings: int,
) -> Tensor:
    """The chance to read 1 after 2^doublings blocks, float64 [B]."""
    state = _applied(powers[sequence.block, 0], reading.start[0])
    if sequence.end:
        state = _applied(ends[sequence.end], state)
    chance = (reading.effect[0] * state).sum(-1).real.double()
    if sequence.quadrature_rad is None:
        return chance
    state = _applied(powers[sequence.block, 1], reading.start[1])
    angle = reading.turn_rad * 2**doublings + sequence.quadrature_rad
    seen = (reading.effect[1] * state).sum(-1)
    return chance + 2 * (seen * torch.exp(1j * angle)).real.double()


def _applied(channel: Tensor, state: Tensor) -> Tensor:
    return (channel @ state[..., None])[..., 0]


@dataclass(frozen=True)
class _Reading:
    """A sequence's start, and what its readout makes of the state; by order, complex [B, n]."""

    start: tuple[Tensor, Tensor]
    effect: tuple[Tensor, Tensor]  # the effect of outcome 1: its chance is the sum of the products
    turn_rad: Tensor  # what the coherence of the qubit that is read turns by per block, [B]

    @classmethod
    def of(
        cls, sequence: PairSequence, qubits: tuple[_OneQubit, _OneQubit], angle_rad: Tensor
    ) -> _Reading:
        """`angle_rad` is what a CZ turns the frame of the qubit that is read by, [B]."""
        side = "ab".index(sequence.reads)
        first, second = (one.begun[word] for one, word in zip(qubits, sequence.start, strict=True))
        effect = qubits[side].effect[sequence.quadrature_rad is not None]
        starts, effects = [], []
        for order in (0, 1):
            sector = sectors(LEVELS)[order]
            starts.append(first[:, sector.first] * second[:, sector.second])
            both = sector.first, sector.second
            own, other = both[side], both[1 - side]
            effects.append(effect[:, own] * (other % (LEVELS + 1) == 0))
        # The exchange stands still in the frame of b (`calib.frames`), and there each pulse turns
        # all coherences of one excitation alike; a's own frame is come back to before its SX.
        turn_rad = angle_rad * len(sequence.block) + sequence.turn_rad
        return cls((starts[0], starts[1]), (effects[0], effects[1]), turn_rad)


@dataclass(frozen=True)
class _OneQubit:
    """What a or b begins in, and what its readout shows; complex [B, L²], row by row."""

    begun: Mapping[Begin, Tensor]  # the density matrix after each pulse
    effect: tuple[Tensor, Tensor]  # of outcome 1, its matrix transposed: at once, and after SX

    @classmethod
    def of(cls, pairs: CoupledPairs, side: int) -> _OneQubit:
        sx, x = gate_transfers(pairs.qubits[side], pairs.given[side])
        levels = resting_levels(pairs.qubits[side].thermal_population.numpy())
        rest = (torch.from_numpy(levels) @ _DIAGONALS).float()
        begun: dict[Begin, Tensor] = {
            "rest": rest,
            "sx": _applied(sx, rest),
            "x": _applied(x, rest),
        }
        effect = (pairs.reads_one[side] @ _DIAGONALS).float()
        turned = _applied(sx.mT, effect)
        elements = basis(LEVELS).flatten(1).to(_FAST)
        matrices: dict[Begin, Tensor] = {
            word: vector.to(_FAST) @ elements for word, vector in begun.items()
        }
        return cls(
            matrices,
            # The basis is Hermitian: the transposed matrix is the conjugate.
            (effect.to(_FAST) @ elements.conj(), turned.to(_FAST) @ elements.conj()),
        )


_DIAGONALS = torch.from_numpy(diagonals(LEVELS).copy())


def _raised(sector: Sector) -> tuple[Tensor, Tensor]:
    """How many excitations more a and b have in the ket than in the bra, [n] each."""
    ket, bra = sector.ket, sector.bra
    return ket // LEVELS - bra // LEVELS, ket % LEVELS - bra % LEVELS


def _computational(sector: Sector) -> Tensor:
    """Which coherences are between computational states, bool [n]."""
    return torch.stack([one < 2 for state in (sector.ket, sector.bra)
                        for one in (state // LEVELS, state % LEVELS)]).all(0)  # fmt: skip

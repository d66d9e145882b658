"""The channels of coupler pulses on many pairs at once, sector by sector of excitations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from calib.decoherence import Decoherence, dissipator
from calib.excitations import (
    Sector,
    conjugation,
    exchange,
    from_groups,
    local_product,
    on_elements,
    sectors,
    state_groups,
)
from calib.exponentials import ordered_product
from calib.ramps import magnus_steps, ramp_heights
from envs.coupler_words import RAMP_NS

LEVELS = 3
_RADIANS_PER_NS = 2e-3 * math.pi  # of one MHz
_RAMP_STEPS = 10  # Magnus steps on a ramp
_FLAT_HALVINGS = 2  # the flat top in four slices, with decoherence between them


@dataclass(frozen=True)
class ExchangingPairs:
    """What the channel of a coupler pulse depends on in B pairs; tensors are float64 [B]."""

    apart_mhz: Tensor  # the frequency of a above that of b
    anharmonicity_a_mhz: Tensor
    anharmonicity_b_mhz: Tensor
    coupling_mhz: Tensor
    flux_mhz: Tensor
    decoherence: tuple[Decoherence, Decoherence]


@dataclass(frozen=True)
class CouplerMotion:
    """A pulse's motion in pieces, in the frame that rotates with b's true frequency."""

    rise: Tensor  # [B, L², L²]; the fall is its transpose, as H is real
    flat: Tensor  # a slice of the flat top, [..., B, L², L²]
    slice_ns: Tensor  # its length, [..., B]
    generators: tuple[Tensor, Tensor]  # of a's and b's decoherence on |m⟩⟨n|, [B, L², L²]

    def only(self, number: int) -> CouplerMotion:
        """The same for one of several durations."""
        return CouplerMotion(self.rise, self.flat[number], self.slice_ns[number], self.generators)


def coupler_motion(
    pairs: ExchangingPairs, amplitude: Tensor, duration_ns: Tensor, dtype: torch.dtype
) -> CouplerMotion:
    """The pieces of pulses of one amplitude [B] and of one or several durations [..., B].

    Durations must be at least two ramps. The pieces come in the precision asked for; they are made
    in double, as phases of tens of radians would lose four digits.
    """
    slices = 2**_FLAT_HALVINGS
    slice_ns = (duration_ns - 2 * RAMP_NS) / slices
    heights = ramp_heights(_RAMP_STEPS).flatten()
    hamiltonian = _hamiltonian(pairs, amplitude, heights) * (RAMP_NS / _RAMP_STEPS)
    steps = magnus_steps(*(-1j * hamiltonian).unflatten(-3, (-1, 3)).unbind(-3))
    top = _hamiltonian(pairs, amplitude, torch.ones(1, dtype=torch.float64))[..., 0, :, :]
    flat = torch.linalg.matrix_exp(-1j * top * slice_ns[..., None, None, None])
    local = [_secular(one).to(dtype) for one in pairs.decoherence]
    return CouplerMotion(
        from_groups(ordered_product(steps), LEVELS).to(dtype), from_groups(flat, LEVELS).to(dtype),
        slice_ns,
        (local[0], local[1]),
    )  # fmt: skip


def sector_map(motion: CouplerMotion, order: int) -> Tensor:
    """The channel on the coherences of one order (`calib.excitations.Sector`), [..., B, n, n].

    Frames and virtual Zs are left out: they only multiply what comes out by phases. Decoherence
    and motion alternate (Strang): on the flat top, where |11⟩ goes round once, the slices make a
    trapezoid rule over a whole period.
    """
    sector = sectors(LEVELS)[order]
    of_ramp = _decay(motion.generators, torch.tensor(RAMP_NS / 2), sector)
    of_slice = _decay(motion.generators, motion.slice_ns / 2, sector)
    stay = of_slice @ conjugation(motion.flat, sector) @ of_slice
    for _ in range(_FLAT_HALVINGS):
        stay = stay @ stay
    rise = of_ramp @ conjugation(motion.rise, sector) @ of_ramp
    fall = of_ramp @ conjugation(motion.rise.mT, sector) @ of_ramp
    return fall @ stay @ rise


def _secular(decoherence: Decoherence) -> Tensor:
    """The generator of decoherence on |m⟩⟨n|, [B, L², L²], but for what the anharmonicity averages.

    Decay takes |2⟩⟨1| to |1⟩⟨0|, which turns by 330 MHz against it: in slices of some ns that would
    add up where in truth it does not.
    """
    generator = on_elements(dissipator(decoherence, LEVELS), LEVELS)
    element = torch.arange(LEVELS**2)
    population = element % (LEVELS + 1) == 0
    kept = (element[:, None] == element) | (population[:, None] & population)
    return generator * kept


def _decay(generators: tuple[Tensor, Tensor], duration_ns: Tensor, sector: Sector) -> Tensor:
    """Decoherence alone for so long, [..., B, n, n], to second order: the rest is below 1e-10."""
    one = torch.eye(LEVELS**2, dtype=generators[0].dtype)
    local = []
    for generator in generators:
        step = generator * duration_ns[..., None, None]
        local.append(one + step + step @ step / 2)
    return local_product(local[0], local[1], sector).to(generators[0].dtype)


def _hamiltonian(pairs: ExchangingPairs, amplitude: Tensor, heights: Tensor) -> Tensor:
    """H in rad/ns at envelope heights [times] in groups of states: [B, L groups, times, L, L]."""
    groups = state_groups(LEVELS)
    a, b = groups // LEVELS, groups % LEVELS
    terms = ((pairs.apart_mhz, a), (pairs.anharmonicity_a_mhz, a * (a - 1) / 2),
             (pairs.anharmonicity_b_mhz, b * (b - 1) / 2))  # fmt: skip
    still = sum((value[:, None, None] * number for value, number in terms), torch.zeros(()))
    lowered = (pairs.flux_mhz * amplitude.square())[:, None, None, None]
    diagonal = still[:, :, None] - lowered * heights.square()[:, None] * a[:, None]
    coupling = pairs.coupling_mhz[:, None, None, None, None] * heights[:, None, None]
    whole = torch.diag_embed(diagonal) + coupling * exchange(LEVELS)[:, None]
    return _RADIANS_PER_NS * whole

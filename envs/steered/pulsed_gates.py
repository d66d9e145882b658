"""Gates made of real pulses: settings of their knobs, to propagators, to what Paulis they keep.

A gate's channel is twirled over the Paulis. Its motion is exact for any settings; what decoherence
adds is exact at given settings (`GateKind.decay`) and taken to grow with the pulse's length only.
So a channel off the optimum costs one unitary. The two multiply, Pauli by Pauli.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor

from calib import channels as ch
from calib.controls import Controls
from calib.decoherence import Decoherence
from calib.judge import ideal_transfer
from calib.pair import (
    CoupledPair,
    CouplerPulse,
    coupler_transfer,
    coupler_unitary,
    local_phases_rad,
)
from calib.pulses import DragPulse, Envelope, rotation_amplitude
from calib.threads import one_thread
from calib.transmon import drive_transfer, propagator
from calib.truth import Truth
from decoders.detection_rates import Gate, eigenvalues
from envs.half_pulse import best_settings
from envs.steered.plant import Array

SURROUNDINGS = ("t1_us", "t2_us", "thermal_population")
_AT_ONCE = 64  # gates in one call: more of the pairs' no longer fit the cache
_LEAST = 1e-6  # of a Pauli, a gate that errs always keeps at least so much: it has a logarithm


class _Motion(TypedDict):
    """What `propagator` and `drive_transfer` ask for alike."""

    dt_ns: float
    detuning_mhz: Tensor
    anharmonicity_mhz: Tensor


class Moment(NamedTuple):
    """The physics now, and when the controls were set up, whose frames virtual Zs refer to."""

    now: Truth
    then: Truth


class GateKind(ABC):
    """All gates of one kind: G gates on n qubits each, with P knobs, that keep S = 4ⁿ − 1 Paulis.

    Paulis are in stim's order, of a pair the lower qubit first.
    """

    gates: tuple[Gate, ...]
    name: ClassVar[str]
    knobs: ClassVar[tuple[str, ...]]
    steps: ClassVar[tuple[float, ...]]  # of the knobs, small against what they tolerate
    _ideal: ClassVar[Tensor]  # the unitary that is meant

    @abstractmethod
    def textbook(self, truth: Truth) -> Array:
        """Knobs near the best ones for this physics, [G, P]."""

    @abstractmethod
    def in_force(self, controls: Controls) -> Array:
        """The knobs as they are set on a device, [G, P]."""

    @abstractmethod
    def block(self, at: Moment, knobs: Tensor) -> Tensor:
        """The motion on computational states, [B, G, P] -> complex [B, G, 2ⁿ, 2ⁿ]."""

    @abstractmethod
    def transfer(self, at: Moment, knobs: Tensor) -> Tensor:
        """The channel with decoherence as a Pauli transfer matrix, [G, P] -> [G, 4ⁿ, 4ⁿ]."""

    @abstractmethod
    def duration_ns(self, knobs: Array) -> Array:
        """How long the gates last, [..., P] -> [...]."""

    @abstractmethod
    def _sorted(self, kept: Array) -> Array:
        """What is kept, [..., G, S], from the order of the pulse's own Paulis to stim's."""

    def moved(self, at: Moment, knobs: Array) -> Array:
        """What is kept without decoherence, [B, G, P] -> [B, G, S]; what leaks ends mixed."""
        return self._motion(at, knobs)[0]

    @one_thread()
    def _motion(self, at: Moment, knobs: Array) -> tuple[Array, Array]:
        """What is kept without decoherence, [B, G, S], and the population that leaks, [B, G]."""
        found = [self._moved(at, torch.from_numpy(knobs[part])) for part in self._parts(knobs)]
        moved, stays = (np.concatenate(one) for one in zip(*found, strict=True))
        return self._sorted(moved), 1 - stays

    def _moved(self, at: Moment, knobs: Tensor) -> tuple[Array, Array]:
        error = self.block(at, knobs) @ self._ideal.mH
        paulis = ch.basis(2) if len(self._ideal) == 2 else ch.pair_basis(2)
        amplitudes = torch.einsum("pij,...ji->...p", paulis, error) / math.sqrt(len(self._ideal))
        chances = amplitudes.abs().square().numpy()
        stays = chances.sum(axis=-1, keepdims=True)
        return stays - 1 + eigenvalues(chances[..., 1:]), stays[..., 0]

    def _parts(self, knobs: Array) -> list[slice]:
        size = max(1, _AT_ONCE // len(self.gates))
        return [slice(k, k + size) for k in range(0, len(knobs), size)]

    @one_thread()
    def decay(self, at: Moment, knobs: Array) -> Array:
        """The logarithm of what decoherence leaves, a nanosecond, at these settings: [G, S]."""
        block = self.transfer(at, torch.from_numpy(knobs))
        ideal = ideal_transfer("sx" if block.shape[-1] == 4 else "cz")
        exact = torch.einsum("gij,ij->gi", block, ideal)[:, 1:].numpy()
        lost = np.log(self._sorted(exact)) - np.log(self.moved(at, knobs[None])[0])
        return lost / self.duration_ns(knobs)[:, None]

    def kept(self, at: Moment, knobs: Array, decay: Array) -> Array:
        """What is kept of each Pauli, [B, G, P] -> [B, G, S]."""
        return self.channel(at, knobs, decay)[0]

    def channel(self, at: Moment, knobs: Array, decay: Array) -> tuple[Array, Array]:
        """What is kept of each Pauli, [B, G, S], and the population that leaks, [B, G]."""
        moved, leaked = self._motion(at, knobs)
        lost = np.exp(decay * self.duration_ns(knobs)[..., None])
        return np.maximum(moved * lost, _LEAST), leaked

    def error(self, at: Moment, knobs: Array, decay: Array) -> Array:
        """How likely any Pauli error is, [B, G, P] -> [B, G]."""
        kept = self.kept(at, knobs, decay)
        return (kept.shape[-1] - kept.sum(axis=-1)) / (kept.shape[-1] + 1)


@dataclass(frozen=True)
class Hadamards(GateKind):
    """H on each qubit: RZ(π/2), SX, RZ(π/2), where only the SX is a pulse.

    The frequency is that of the drive; no error of the axis is possible, as SX defines it.
    """

    gates: tuple[Gate, ...]
    length_ns: float
    envelope: Envelope

    name = "sx"
    knobs = ("frequency_ghz", "amplitude")
    steps = (2e-5, 2e-4)
    _ideal = torch.tensor([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]],
                          dtype=torch.complex128)  # fmt: skip

    def textbook(self, truth: Truth) -> Array:
        """The qubits' frequencies, and pulse areas of π/2."""
        heights = rotation_amplitude(
            math.pi / 2, self._of(truth, "rabi_mhz"), self.length_ns, self.envelope
        )
        return np.stack([self._of(truth, "frequency_ghz").numpy(), heights.numpy()], axis=1)

    def in_force(self, controls: Controls) -> Array:
        """The drives' frequencies, and the heights of the SX pulses."""
        return np.array([[controls.of("frequency_ghz", qubit), controls.of("sx.amplitude", qubit)]
                         for (qubit,) in self.gates])  # fmt: skip

    def block(self, at: Moment, knobs: Tensor) -> Tensor:
        """The SX on levels 0 and 1, [B, G, 2, 2]."""
        samples, motion = self._played(at, knobs)
        return propagator(samples, **motion)[..., :2, :2]

    def transfer(self, at: Moment, knobs: Tensor) -> Tensor:
        """The channel of the SX, [G, 4, 4]."""
        samples, motion = self._played(at, knobs)
        decoherence = Decoherence(*(self._of(at.now, name) for name in SURROUNDINGS))
        return drive_transfer(samples, decoherence=decoherence, **motion)[..., :4, :4]

    def duration_ns(self, knobs: Array) -> Array:
        """The same for all."""
        return np.full(knobs.shape[:-1], self.length_ns)

    def _sorted(self, kept: Array) -> Array:
        return kept[..., [1, 0, 2]]  # the RZ(π/2) that follows the SX turns X to Y, and Y to −X

    def _of(self, truth: Truth, name: str) -> Tensor:
        return torch.from_numpy(truth.qubit[name][[qubit for (qubit,) in self.gates]])

    def _played(self, at: Moment, knobs: Tensor) -> tuple[Tensor, _Motion]:
        alpha = self._of(at.now, "anharmonicity_mhz")
        # DRAG that leaves no phase error (Motzoi et al., arXiv:0901.0534), as it was set up.
        drag_ns = -0.5 / (2e-3 * math.pi * self._of(at.then, "anharmonicity_mhz"))
        pulse = DragPulse(knobs[..., 1], drag_ns, 0.0, 0.0, self.length_ns, self.envelope)
        detuning = 1e3 * (self._of(at.now, "frequency_ghz") - knobs[..., 0])
        motion: _Motion = {"dt_ns": pulse.step_ns(), "detuning_mhz": detuning,
                           "anharmonicity_mhz": alpha}  # fmt: skip
        return pulse.samples(self._of(at.now, "rabi_mhz")), motion


@dataclass(frozen=True)
class CZs(GateKind):
    """CZ on each pair, by a tunable coupler; `oriented` are the pairs as (upper, lower).

    Phases refer to the frames in which the controls were set up: when a drive's frequency is moved,
    the electronics turns the virtual Zs along, 2π·change·duration, which is known exactly.
    """

    gates: tuple[Gate, ...]
    oriented: tuple[Gate, ...]

    name = "cz"
    knobs = ("phase_a_rad", "phase_b_rad", "duration_ns", "amplitude")
    steps = (4e-3, 4e-3, 0.01, 3e-5)
    _ideal = torch.diag(torch.tensor([1, 1, 1, -1], dtype=torch.complex128))

    def textbook(self, truth: Truth) -> Array:
        """Pulses that neither leak nor err in the conditional phase."""
        pair = self._pair(truth)
        self._check(truth)
        best = torch.from_numpy(best_settings(pair))
        turned = local_phases_rad(coupler_unitary(pair, CouplerPulse(best[0], best[1])))
        phases = [-angle for angle in turned]
        return torch.stack([*phases, best[1], best[0]], dim=1).numpy()

    def in_force(self, controls: Controls) -> Array:
        """The couplers' pulses, and the virtual Zs after them."""
        return np.array([[controls.of(f"cz.{knob}", *pair) for knob in self.knobs]
                         for pair in self.oriented])  # fmt: skip

    def block(self, at: Moment, knobs: Tensor) -> Tensor:
        """The CZ on |00⟩, |01⟩, |10⟩ and |11⟩, [B, G, 4, 4]."""
        unitary = coupler_unitary(
            self._pair(at.now), _coupler_pulse(knobs), detuning_mhz=self._detunings(at)
        )
        kept = torch.tensor([0, 1, 3, 4])
        return unitary[..., kept[:, None], kept]

    def transfer(self, at: Moment, knobs: Tensor) -> Tensor:
        """The channel of the CZ, [G, 16, 16]."""
        surroundings = [Decoherence(*(self._of(at.now, name, side) for name in SURROUNDINGS))
                        for side in (0, 1)]  # fmt: skip
        whole = coupler_transfer(
            self._pair(at.now), _coupler_pulse(knobs), detuning_mhz=self._detunings(at),
            decoherence=(surroundings[0], surroundings[1]),
        )  # fmt: skip
        return ch.computational_block(whole, qubits=2)

    def duration_ns(self, knobs: Array) -> Array:
        """As the knob says."""
        return knobs[..., 2]

    def _sorted(self, kept: Array) -> Array:
        number = np.arange(1, 16)
        swapped = 4 * (number % 4) + number // 4
        orders = [number if pair[0] < pair[1] else swapped for pair in self.oriented]
        return np.take_along_axis(kept, np.broadcast_to(np.stack(orders) - 1, kept.shape), axis=-1)

    def _check(self, truth: Truth) -> None:
        upper, lower = (self._of(truth, "frequency_ghz", side).numpy() for side in (0, 1))
        apart_mhz = 1e3 * (upper - lower) + self._of(truth, "anharmonicity_mhz", 0).numpy()
        wrong = (apart_mhz <= 0) | (apart_mhz > truth.pair["flux_mhz"])
        for (a, b), apart in zip(np.array(self.oriented)[wrong], apart_mhz[wrong], strict=True):
            raise ValueError(
                f"pair {a}-{b}: |11⟩ and |20⟩ are {apart:.0f} MHz apart, expected 0 to flux_mhz, "
                "where a coupler pulse can bring them together: change plant.qubit.group_step_ghz, "
                "plant.qubit.anharmonicity_mhz or plant.pair.flux_mhz"
            )

    def _of(self, truth: Truth, name: str, side: int) -> Tensor:
        return torch.from_numpy(truth.qubit[name][[pair[side] for pair in self.oriented]])

    def _pair(self, truth: Truth) -> CoupledPair:
        return CoupledPair(
            self._of(truth, "frequency_ghz", 0), self._of(truth, "frequency_ghz", 1),
            self._of(truth, "anharmonicity_mhz", 0), self._of(truth, "anharmonicity_mhz", 1),
            torch.from_numpy(truth.pair["coupling_mhz"]), torch.from_numpy(truth.pair["flux_mhz"]),
        )  # fmt: skip

    def _detunings(self, at: Moment) -> tuple[Tensor, Tensor]:
        first, second = (1e3 * (self._of(at.now, "frequency_ghz", side)
                                - self._of(at.then, "frequency_ghz", side))
                         for side in (0, 1))  # fmt: skip
        return first, second


def _coupler_pulse(knobs: Tensor) -> CouplerPulse:
    phase_a_rad, phase_b_rad, duration_ns, amplitude = knobs.unbind(-1)
    return CouplerPulse(amplitude, duration_ns, phase_a_rad, phase_b_rad)

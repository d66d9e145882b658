"""The channel of everything that is played, on the physics of each moment, many in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calib.cross_resonance import (
    ControlFlip,
    CrossResonancePair,
    CrossResonanceTone,
    cross_resonance_transfer,
    echoed_transfer,
    static_zz_mhz,
)
from calib.decoherence import Decoherence, idle_transfer
from calib.density import product_state
from calib.pair import CoupledPair, CouplerPulse, coupler_transfer
from calib.pulses import DragPulse, Envelope
from calib.schedule import Play
from calib.threads import one_thread
from calib.topology import Pair
from calib.transmon import drive_transfer
from calib.truth import Truth

Array = NDArray[np.float64]
LEVELS = 3
_AT_ONCE = 96  # channels in one call: more of the pairs' no longer fit the cache


@dataclass(frozen=True)
class Moments:
    """The device at several moments, under the same drive frequencies."""

    truths: Sequence[Truth]
    pairs: tuple[Pair, ...]
    drive_frequency_ghz: Array  # [qubits]
    envelope: Envelope

    def qubit(self, name: str, moments: Sequence[int], qubits: Sequence[int]) -> Tensor:
        """One parameter of one qubit at one moment each, [n]."""
        values = [self.truths[k].qubit[name][q] for k, q in zip(moments, qubits, strict=True)]
        return torch.tensor(values, dtype=torch.float64)

    def pair(self, name: str, moments: Sequence[int], pairs: Sequence[Pair]) -> Tensor:
        """One parameter of one pair at one moment each, [n]."""
        numbers = {pair: number for number, pair in enumerate(self.pairs)}
        values = [self.truths[k].pair[name][numbers[pair]]
                  for k, pair in zip(moments, pairs, strict=True)]  # fmt: skip
        return torch.tensor(values, dtype=torch.float64)

    def detuning_mhz(self, moments: Sequence[int], qubits: Sequence[int]) -> Tensor:
        """True minus drive frequency, [n]."""
        driven = torch.from_numpy(self.drive_frequency_ghz)[list(qubits)]
        return (self.qubit("frequency_ghz", moments, qubits) - driven) * 1e3

    def decoherence(self, moments: Sequence[int], qubits: Sequence[int]) -> Decoherence:
        """Relaxation and dephasing of one qubit at one moment each."""
        return Decoherence(
            *(
                self.qubit(name, moments, qubits)
                for name in ("t1_us", "t2_us", "thermal_population")
            )
        )


def thermal_populations(truth: Truth) -> Array:
    """The populations of a device's levels at rest, [qubits, L]."""
    return resting_levels(truth.qubit["thermal_population"])


def resting_levels(excited: Array) -> Array:
    """The populations of L levels at rest, [B, L], each p/(1 − p) of the one below; `excited` [B].

    >>> resting_levels(np.array([0.2])).round(3).tolist()  # as 16 : 4 : 1
    [[0.762, 0.19, 0.048]]
    """
    weights = (excited[:, None] / (1 - excited[:, None])) ** np.arange(LEVELS)
    return weights / weights.sum(axis=1, keepdims=True)


@one_thread()
def channels(plays: Sequence[tuple[int, Play]], moments: Moments) -> dict[tuple[int, Play], Array]:
    """The transfer matrix of each play at each moment's number, [9, 9] or [81, 81].

    Plays of one kind and length are computed together, in one batched call.
    """
    groups: dict[tuple[str, float], list[tuple[int, Play]]] = {}
    for item in dict.fromkeys(plays):
        play = item[1]
        # Only a drive's number of samples depends on its length.
        groups.setdefault((play.kind, play.settings[-1] if play.kind == "drive" else 0.0), [])
        groups[play.kind, play.settings[-1] if play.kind == "drive" else 0.0].append(item)
    found: dict[tuple[int, Play], Array] = {}
    parts = [(kind, items[k : k + _AT_ONCE]) for (kind, _), items in groups.items()
             for k in range(0, len(items), _AT_ONCE)]  # fmt: skip
    for kind, items in parts:
        batch = _Batch([k for k, _ in items], [play for _, play in items], moments)
        found.update(zip(items, _KINDS[kind](batch).numpy(), strict=True))
    return found


@dataclass(frozen=True)
class _Batch:
    """Plays of one kind, each at its moment."""

    at: list[int]
    plays: list[Play]
    moments: Moments

    def setting(self, k: int) -> Tensor:
        return torch.tensor([play.settings[k] for play in self.plays], dtype=torch.float64)

    def qubits(self, side: int) -> list[int]:
        return [play.qubits[side] for play in self.plays]

    def of(self, name: str, side: int) -> Tensor:
        return self.moments.qubit(name, self.at, self.qubits(side))

    def of_pair(self, name: str) -> Tensor:
        return self.moments.pair(name, self.at, [(p.qubits[0], p.qubits[1]) for p in self.plays])

    def detuning_mhz(self, side: int = 0) -> Tensor:
        return self.moments.detuning_mhz(self.at, self.qubits(side))

    def decoherence(self, side: int = 0) -> Decoherence:
        return self.moments.decoherence(self.at, self.qubits(side))


def _drive(batch: _Batch) -> Tensor:
    amplitude, drag, detuning, phase = (batch.setting(k) for k in range(4))
    pulse = DragPulse(
        amplitude, drag, detuning, phase, batch.plays[0].settings[4], batch.moments.envelope
    )
    return drive_transfer(
        pulse.samples(batch.of("rabi_mhz", 0)),
        dt_ns=pulse.step_ns(),
        detuning_mhz=batch.detuning_mhz(),
        anharmonicity_mhz=batch.of("anharmonicity_mhz", 0),
        decoherence=batch.decoherence(),
        levels=LEVELS,
    )


def _idle(batch: _Batch) -> Tensor:
    return idle_transfer(
        batch.setting(0), batch.decoherence(), detuning_mhz=batch.detuning_mhz(),
        anharmonicity_mhz=batch.of("anharmonicity_mhz", 0), levels=LEVELS,
    )  # fmt: skip


def _flux(batch: _Batch) -> Tensor:
    pair = CoupledPair(
        batch.of("frequency_ghz", 0), batch.of("frequency_ghz", 1),
        batch.of("anharmonicity_mhz", 0), batch.of("anharmonicity_mhz", 1),
        batch.of_pair("coupling_mhz"), batch.of_pair("flux_mhz"),
    )  # fmt: skip
    return coupler_transfer(
        pair,
        CouplerPulse(batch.setting(0), batch.setting(1), batch.setting(2), batch.setting(3)),
        decoherence=(batch.decoherence(0), batch.decoherence(1)),
        detuning_mhz=(batch.detuning_mhz(0), batch.detuning_mhz(1)),
        levels=LEVELS,
    )


def _crossed(batch: _Batch) -> CrossResonancePair:
    return CrossResonancePair(
        batch.of("frequency_ghz", 0), batch.of("frequency_ghz", 1),
        batch.of("anharmonicity_mhz", 0), batch.of("anharmonicity_mhz", 1),
        batch.of_pair("coupling_mhz"), batch.of("rabi_mhz", 0), batch.of("rabi_mhz", 1),
        batch.of_pair("crosstalk"), batch.of_pair("crosstalk_phase_rad"),
    )  # fmt: skip


def _tone(batch: _Batch) -> CrossResonanceTone:
    return CrossResonanceTone(
        batch.setting(0), batch.setting(1), batch.setting(2), batch.setting(3), batch.setting(4)
    )


def _cr(batch: _Batch) -> Tensor:
    return cross_resonance_transfer(
        _crossed(batch),
        _tone(batch),
        decoherence=(batch.decoherence(0), batch.decoherence(1)),
        detuning_mhz=(batch.detuning_mhz(0), batch.detuning_mhz(1)),
        levels=LEVELS,
    )


def _ecr(batch: _Batch) -> Tensor:
    flips = [Play("drive", play.qubits[:1], play.settings[5:]) for play in batch.plays]
    found = channels(list(zip(batch.at, flips, strict=True)), batch.moments)
    actions = [found[item] for item in zip(batch.at, flips, strict=True)]
    return echoed_transfer(
        _crossed(batch),
        _tone(batch),
        ControlFlip(torch.from_numpy(np.stack(actions)), batch.setting(9)),
        decoherence=(batch.decoherence(0), batch.decoherence(1)),
        detuning_mhz=(batch.detuning_mhz(0), batch.detuning_mhz(1)),
        levels=LEVELS,
    )


def static_zz_khz(moments: Moments, at: int) -> Array:
    """What a fixed coupling leaves on between plays, [pairs], for a cross-resonance device."""
    plays = [Play("cr", pair, ()) for pair in moments.pairs]
    batch = _Batch([at] * len(plays), plays, moments)
    return (static_zz_mhz(_crossed(batch), levels=LEVELS) * 1e3).numpy()


def _reset(batch: _Batch) -> Tensor:
    """Whatever the state was, the qubit is left as at rest."""
    rests = []
    for k, play in zip(batch.at, batch.plays, strict=True):
        rest = thermal_populations(batch.moments.truths[k])[play.qubits[0]]
        everything = product_state(np.ones((1, LEVELS)))  # its product with a state is the trace
        rests.append(np.outer(product_state(rest[None]), everything))
    return torch.from_numpy(np.stack(rests))


_KINDS: Mapping[str, Callable[[_Batch], Tensor]] = {
    "drive": _drive,
    "idle": _idle,
    "flux": _flux,
    "cr": _cr,
    "ecr": _ecr,
    "reset": _reset,
}

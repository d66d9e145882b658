"""The plant of angles: gates of a backend whose pulses are closed turn too far, and drift."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import numpy as np
import stim
from numpy.typing import NDArray
from pydantic import Field

from calib.controls import Knob
from calib.drift import Drift, Trajectory
from calib.snapshot import Snapshot
from decoders.detection_rates import ChannelRates, Gate, probabilities, with_channels
from decoders.noise.instructions import instructions_in, operands
from envs.steered.memory import MemoryRecipe
from envs.steered.on_chip import ChipRecipe, OnChip, on_chip
from envs.steered.plant import Array, LightCones

# The angles of a qubit's SX and of a pair's CZ, by the knobs that take them back. The virtual Zs
# are the knobs of the simulated device, under the same names.
SX_KNOBS = ("sx.angle_rad",)
CZ_KNOBS = ("cz.phase_a_rad", "cz.phase_b_rad", "cz.angle_rad")
_FRACTIONAL = {"sx.angle_rad": "rx", "cz.angle_rad": "rzz"}
_OPTIMUM = "optimum"
_DRAWN, _DRIFTS = 0, 1  # what the seed is used for
_PLACEHOLDER = 1e-3  # the rate of the channels that the angles' own take the place of
_FURTHEST = 1.4  # radians: beyond, the twirl of an angle is about as good as random
_LEAST = 1e-6  # error rate: what is reported as 0 has an unit all the same
_OF_X = 4  # an X turns twice as far as an SX, which is as likely an error as four of them


class AngleRecipe(ChipRecipe):
    """A memory on a backend, whose gates' angles are off and drift; rz, rx and rzz take them back.

    Each CZ leaves a phase on either qubit and turns its own angle too far, each SX and X turns too
    far. Angles that stay act as their Pauli twirl: Z, ZZ or X with sin²(θ/2), as where gates are
    twirled on the device. Virtual Zs are free; `rx` and `rzz` by any angle are fractional gates.
    """

    kind: Literal["angles"] = Field(default="angles", description="selects angles on a backend")
    fractional: bool | None = Field(
        default=None, description="whether rx and rzz turn by any angle; by default as the target "
        "says. True is for what-if: they then err as often as sx and cz"
    )  # fmt: skip
    start_off: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="how far off all angles begin: 1 "
        "doubles what is reported of every gate's error, with signs at random"
    )  # fmt: skip


class Angles:
    """A plant of Pauli twirls of small angles about what a backend reports of itself.

    All hidden angles make errors; controls are those that a gate of the target takes back, and a
    detector hears. One unit is an angle that makes a gate's share of its reported error more.

    >>> plant = Angles(AngleRecipe(), MemoryRecipe(code="repetition", rounds=5), drifts=[])
    >>> len(plant.controls), plant.controls[0].endswith(".cz.phase_a_rad")
    (4, True)
    >>> still = np.zeros((1, 4))
    >>> bool((plant.rates(still + 1, 0.0) > plant.rates(still, 0.0)).any())
    True
    """

    def __init__(self, recipe: AngleRecipe, memory: MemoryRecipe, drifts: Sequence[Drift]) -> None:
        for drift in drifts:
            if drift.relative or set(drift.absolute) != {_OPTIMUM}:
                raise ValueError("on a backend the optimum of angles drifts: expected absolute = "
                                 "{ optimum = 1.0 } alone in each drift")  # fmt: skip
        self.chip = on_chip(recipe, memory)
        self._recipe, self._drifts = recipe, drifts
        self.circuit, self._blank = self.chip.noisy, _with_placeholders(self.chip.noisy)
        self._found = ChannelRates.of(self._blank)
        self.groups = self._found.groups
        gates = self._found.gates
        knobs = [Knob(name, gate) for gate in gates for name in _names(gate)]
        self._acts = _acts(gates)
        heard = self._found.uses @ self._acts
        allowed = set(_allowed(recipe.fractional, self.chip))
        self._steered = np.array([number for number, knob in enumerate(knobs)
                                  if knob.name in allowed and heard[:, number].any()])  # fmt: skip
        self._units = _units(gates, self.chip.noise.snapshot)
        self.knobs = tuple(knobs[number] for number in self._steered)
        self.controls = tuple(map(str, self.knobs))
        lost = -np.log(np.cos(self._units))
        self.cones = LightCones(
            np.arange(len(self.knobs)), (heard * lost)[:, self._steered], self._found.counts,
            np.unique([knob.name for knob in self.knobs], return_inverse=True)[1],
        )  # fmt: skip
        self._off = np.zeros(len(knobs))
        self._drift: Trajectory | None = None

    def drawn(self, seed: int) -> Angles:
        """The same circuit on another device, with a drift of its own."""
        found = copy.copy(self)
        rng = np.random.default_rng([seed, _DRAWN])
        found._off = self._recipe.start_off * rng.choice([-1.0, 1.0], self._off.shape)
        if self._drifts:
            own = int(np.random.default_rng([seed, _DRIFTS]).integers(2**62))
            targets = {_OPTIMUM: self._found.gates}
            found._drift = Trajectory(self._drifts, targets, own, batch=(len(CZ_KNOBS),))
        return found

    def rates(self, settings: Array, time_s: float) -> Array:
        """How often the detectors of each group fire, exactly: [B, K] -> [B, J]."""
        return self._found.rates(self._kept(settings, time_s))

    def leakage(self, settings: Array, time_s: float) -> Array:
        """Nothing leaks, as angles keep the qubit: [B, K] -> [B]."""
        return np.zeros(len(settings))

    def noisy(self, settings: Array, time_s: float) -> stim.Circuit:
        """The memory experiment with these settings [K], to draw shots from."""
        (kept,) = self._kept(settings[None], time_s)
        gates = self._found.gates
        ends = np.cumsum([4 ** len(gate) - 1 for gate in gates])
        named = {gate: np.maximum(probabilities(one), 0.0).tolist()
                 for gate, one in zip(gates, np.split(kept, ends[:-1]), strict=True)}  # fmt: skip
        return with_channels(self._blank, named)

    def optimum(self, time_s: float) -> Array:
        """The settings that err least, [K]."""
        return self._truth(time_s)[self._steered]

    def radians(self, settings: Array) -> Array:
        """Settings [..., K] as what the knobs turn by."""
        return settings * self._units[self._steered]

    def _truth(self, time_s: float) -> Array:
        """What would take back each angle, steered or not, in its units: [A]."""
        if self._drift is None:
            return self._off
        moved = self._drift.at(time_s)[_OPTIMUM].of(0.0)  # [3, G]
        gates = self._found.gates
        parts = [moved[: len(_names(gate)), number] for number, gate in enumerate(gates)]
        return self._off + np.concatenate(parts)

    def _kept(self, settings: Array, time_s: float) -> Array:
        """What all gates keep of each Pauli, [B, K] -> [B, H], as in `ChannelRates`."""
        off = np.tile(-self._truth(time_s), (len(settings), 1))
        off[:, self._steered] += settings
        angles = np.clip(off * self._units, -_FURTHEST, _FURTHEST)
        return np.exp(np.log(np.cos(angles)) @ self._acts.T)


def _names(gate: Gate) -> tuple[str, ...]:
    return SX_KNOBS if len(gate) == 1 else CZ_KNOBS


def _allowed(fractional: bool | None, chip: OnChip) -> list[str]:
    """The knobs that there are gates for."""
    has = set(chip.target.operation_names)
    return [name for name in (*SX_KNOBS, *CZ_KNOBS)
            if name not in _FRACTIONAL
            or (_FRACTIONAL[name] in has if fractional is None else fractional)]  # fmt: skip


def _with_placeholders(noisy: stim.Circuit) -> stim.Circuit:
    """Reported noise as it is, as fixed channels, and a DEPOLARIZE wherever an angle may be off."""
    found = stim.Circuit()
    for one in instructions_in(noisy):
        if one.name in ("DEPOLARIZE1", "DEPOLARIZE2"):
            kinds = 3 if one.name.endswith("1") else 15
            found.append(f"PAULI_CHANNEL_{one.name[-1]}", one.targets_copy(),
                         [one.gate_args_copy()[0] / kinds] * kinds)  # fmt: skip
            continue
        found.append(one)
        width = {"CZ": 2, "SQRT_X": 1, "X": 1}.get(one.name, 0)
        for qubits in operands(one) if width else ():
            for _ in range(_OF_X if one.name == "X" else 1):
                found.append(f"DEPOLARIZE{width}", qubits, _PLACEHOLDER)
    return found


def _acts(gates: Sequence[Gate]) -> NDArray[np.float64]:
    """1 where an angle's error anticommutes with a Pauli, of all gates in turn: [H, A].

    What the twirl of a turn by θ keeps of such a Pauli is 1 − 2·sin²(θ/2) = cos θ.
    """
    flips = np.array([0.0, 1.0, 1.0, 0.0])  # I, X, Y, Z by an error Z
    first, last = np.repeat(flips, 4)[1:], np.tile(flips, 4)[1:]
    of_pair = np.stack([first, last, (first != last).astype(float)], axis=1)
    of_qubit = np.array([[0.0], [1.0], [1.0]])  # X, Y, Z by an error X
    blocks = [of_qubit if len(gate) == 1 else of_pair for gate in gates]
    rows, columns = (np.cumsum([0, *(block.shape[axis] for block in blocks)]) for axis in (0, 1))
    found = np.zeros((rows[-1], columns[-1]))
    for number, block in enumerate(blocks):
        found[rows[number] : rows[number + 1], columns[number] : columns[number + 1]] = block
    return found


def _units(gates: Sequence[Gate], snapshot: Snapshot) -> Array:
    """The angle of a unit of each control, [A] radians: alike on all qubits, and on all pairs.

    A reported infidelity e is a Pauli error with ε = e (d + 1) / d; one of the P angles of a gate
    makes ε / P = sin²(θ/2) more.
    """
    errors: dict[int, list[float]] = {1: [], 2: []}
    for gate in gates:
        reported = snapshot.operation("sx" if len(gate) == 1 else "cz", gate).error or 0.0
        dimension = 2 ** len(gate)
        errors[len(gate)].append(reported * (dimension + 1) / dimension)
    sizes = {
        width: 2 * np.arcsin(np.sqrt(max(_LEAST, float(np.mean(found))) / count))
        for (width, found), count in zip(errors.items(), (1, 3), strict=True)
        if found
    }
    return np.array([sizes[len(gate)] for gate in gates for _ in _names(gate)])

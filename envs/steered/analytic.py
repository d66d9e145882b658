"""The analytic plant: a gate errs by a floor and a quadratic form around a drifting optimum."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import numpy as np
import stim
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import csr_array

from calib.drift import Drift, Trajectory
from decoders.detection_rates import DetectionRates, Gate, with_errors
from decoders.noise.instructions import instructions_in
from envs.steered.plant import Array, LightCones

# A gate that errs more often than this is as good as random: the quadratic form ends here.
_MOST_ERRORS = 0.3
_OPTIMUM = "optimum"
_DRAWN, _DRIFTS = 0, 1  # what the seed is used for


class AnalyticRecipe(BaseModel):
    """A gate errs by floor + floor/P · Σ s² (x − x*)² over its P controls; s is 1 or drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["analytic"] = Field(default="analytic", description="selects the quadratic form")
    parameters: int = Field(default=1, ge=1, le=1000, description="P, the controls of each gate")
    spread: float = Field(
        default=0.0, ge=0, le=2, description="of ln s, how far a control's true sensitivity is off "
        "the one that its unit assumes"
    )  # fmt: skip
    crosstalk: float = Field(
        default=0.0, ge=0, lt=1, description="how much of a control's deviation the gates with a "
        "qubit in common feel, all together"
    )  # fmt: skip
    start_off: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="how far off all controls begin: 1 "
        "doubles every gate's error, with signs at random"
    )  # fmt: skip


class Analytic:
    """A plant of any circuit of independent Pauli noise.

    >>> from envs.steered.memory import MemoryRecipe
    >>> plant = Analytic(AnalyticRecipe(), MemoryRecipe().noisy(), drifts=[]).drawn(seed=1)
    >>> still = np.zeros((1, len(plant.controls)))
    >>> bool((plant.rates(still + 1, 0.0) > plant.rates(still, 0.0)).all())
    True
    """

    def __init__(
        self, recipe: AnalyticRecipe, circuit: stim.Circuit, drifts: Sequence[Drift]
    ) -> None:
        _check(circuit, drifts)
        self.circuit, self._detections = circuit, DetectionRates.of(circuit)
        self._recipe, self._drifts = recipe, drifts
        found, count = self._detections, recipe.parameters
        self.groups = found.groups
        self.controls = tuple(f"{_named(gate)}.{number}" for gate in found.gates
                              for number in range(count))  # fmt: skip
        reached = _reached(found.gates, recipe.crosstalk)
        self.cones = LightCones(
            np.repeat(np.arange(len(found.gates)), count),
            2 * found.heard * found.uses * found.nominal / count @ reached.power(2).toarray(),
            found.counts,
            np.unique([len(gate) for gate in found.gates], return_inverse=True)[1].repeat(count),
        )
        self._reached = reached if recipe.crosstalk else None
        self._squares = np.full((len(found.gates), count), 1 / count)
        self._off = np.zeros(self._squares.shape)
        self._drift: Trajectory | None = None

    def drawn(self, seed: int) -> Analytic:
        """The same circuit on another device, with a drift of its own."""
        found, recipe = copy.copy(self), self._recipe
        rng, shape = np.random.default_rng([seed, _DRAWN]), self._squares.shape
        spread = np.exp(2 * recipe.spread * rng.standard_normal(shape))
        found._squares = spread / recipe.parameters
        found._off = recipe.start_off * rng.choice([-1.0, 1.0], shape)
        if self._drifts:
            own = int(np.random.default_rng([seed, _DRIFTS]).integers(2**62))
            targets = {_OPTIMUM: self._detections.gates}
            found._drift = Trajectory(self._drifts, targets, own, batch=(recipe.parameters,))
        return found

    def errors(self, settings: Array, time_s: float) -> Array:
        """How often each gate errs, [B, K] -> [B, G]."""
        off = (settings - self.optimum(time_s)).reshape(-1, *self._squares.shape)
        if self._reached is not None:
            off = np.stack([self._reached @ one for one in off])
        errors = self._detections.nominal * (
            1 + np.einsum("bgp,bgp,gp->bg", off, off, self._squares)
        )
        return np.minimum(errors, _MOST_ERRORS)

    def rates(self, settings: Array, time_s: float) -> Array:
        """How often the detectors of each group fire, exactly: [B, K] -> [B, J]."""
        return self._detections.rates(self.errors(settings, time_s))

    def leakage(self, settings: Array, time_s: float) -> Array:
        """None leaks, as Pauli errors stay on the qubit: [B, K] -> [B]."""
        return np.zeros(len(settings))

    def noisy(self, settings: Array, time_s: float) -> stim.Circuit:
        """The memory experiment with these settings [K], to draw shots from."""
        (errors,) = self.errors(settings[None], time_s)
        named = dict(zip(self._detections.gates, errors.tolist(), strict=True))
        return with_errors(self.circuit, named)

    def optimum(self, time_s: float) -> Array:
        """The settings that err least, [K]."""
        if self._drift is None:
            return self._off.ravel()
        deviation = self._drift.at(time_s)[_OPTIMUM]
        return (self._off + deviation.of(0.0).T).ravel()


def _check(circuit: stim.Circuit, drifts: Sequence[Drift]) -> None:
    """Refuses a circuit in which nothing is steered, and drifts that would do nothing."""
    names = {one.name for one in instructions_in(circuit)}
    if not names & {"DEPOLARIZE1", "DEPOLARIZE2"}:
        raise ValueError("nothing to steer: expected a circuit with DEPOLARIZE1 or DEPOLARIZE2, "
                         "whose rates the controls change; take noise of kind depolarizing or "
                         "si1000, at a p above 0")  # fmt: skip
    if not circuit.num_detectors:
        raise ValueError("nothing to hear: expected a circuit with detectors, got none")
    for drift in drifts:
        if drift.relative:
            raise ValueError("an optimum begins at 0, which no share changes: expected absolute = "
                             "{ optimum = 1.0 } in a drift, got relative")  # fmt: skip


def _named(gate: Gate) -> str:
    return "q" + "-".join(map(str, gate))


def _reached(gates: Sequence[Gate], share: float) -> csr_array:
    """What part of each gate's deviations each gate feels, [G, G]: all of its own."""
    on: dict[int, list[int]] = {}
    for number, gate in enumerate(gates):
        for qubit in gate:
            on.setdefault(qubit, []).append(number)
    rows: list[NDArray[np.int64]] = []
    for number, gate in enumerate(gates):
        near = {one for qubit in gate for one in on[qubit]} - {number}
        rows.append(np.array([number, *sorted(near)]))
    values = [np.r_[1.0, np.full(len(row) - 1, share / max(1, len(row) - 1))] for row in rows]
    ends = np.cumsum([0, *map(len, rows)])
    return csr_array((np.concatenate(values), np.concatenate(rows), ends))

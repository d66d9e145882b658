"""What is chosen where pulses are out of reach: decoupling, schedule, readout, resets, qubits."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import pymatching
import stim
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from qiskit.transpiler import Target

from calib.controls import Knob, Update
from calib.from_backend import fake_backend
from calib.history import History
from calib.snapshot import Operation, Snapshot
from decoders.baselines.extras import optional_module
from decoders.dem import checked_model
from decoders.deploy.device_noise import DeviceNoise, Unreported
from decoders.deploy.isa import Compiler, Schedule
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.memories import named_memory
from decoders.deploy.place import Search, best_placements
from decoders.deploy.raised import raised
from decoders.deploy.reset_free import reset_free

FACTORS = ("decoupling", "shortest_decoupled_ns", "align", "fast", "resets", "placement")
_PULSES = {"none": 0, "xx": 2, "xyxy": 4}
_SEARCHED = 0  # what the seed of the search for placements is
_MOST = 0.5  # an error rate beyond is as good as random
_PLACED = "memory.placed"

Action = tuple[int, ...]


class Hidden(BaseModel):
    """What the device is, and does not report: drawn anew in each episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stale: float = Field(
        default=0.5, ge=0, le=2, description="spread of ln(error now / error reported), of each "
        "gate, readout variant and coherence time"
    )  # fmt: skip
    detuning_khz: float = Field(
        default=15.0, ge=0, description="slow detuning, root mean square, which decoupling undoes"
    )

    def drawn(self, reported: Snapshot, rng: np.random.Generator) -> DeviceNoise:
        """A device that was once as reported."""

        def times(count: int) -> list[float]:
            return np.exp(self.stale * rng.standard_normal(count)).tolist()

        operations = {}
        for name, places in reported.operations.items():
            sets = sorted({tuple(sorted(at)) for at in places})  # a pair's two directions are one
            by = dict(zip(sets, times(len(sets)), strict=True))
            operations[name] = {at: _worse(one, by[tuple(sorted(at))])
                                for at, one in places.items()}  # fmt: skip
        qubits = reported.num_qubits
        misread = tuple(
            both and (_more(both[0], by), _more(both[1], by))
            for both, by in zip(reported.misread, times(qubits), strict=True)
        )
        t1_us, t2_us = (
            tuple(one and one / by for one, by in zip(known, times(qubits), strict=True))
            for known in (reported.t1_us, reported.t2_us)
        )
        now = replace(reported, operations=operations, misread=misread, t1_us=t1_us, t2_us=t2_us)
        return DeviceNoise(now, Unreported(detuning_khz=self.detuning_khz))


def _more(error: float, by: float) -> float:
    return error if error >= _MOST else min(error * by, _MOST)


def _worse(one: Operation, by: float) -> Operation:
    """So many times the error; what is dead, or as good as random, stays so."""
    return one if one.error is None else replace(one, error=_more(one.error, by))


class DeploymentConfig(BaseModel):
    """Which memory on which backend, what may be chosen, and how much may be measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str = Field(default="fake_nighthawk", description="a fake backend's name")
    memory: str = Field(default="surface:3", description="code and distance")
    rounds: int = Field(default=3, ge=1, description="rounds of syndrome extraction")
    basis: Literal["X", "Z"] = Field(default="Z", description="of the logical state")
    decoupling: tuple[Literal["none", "xx", "xyxy"], ...] = Field(
        default=("none", "xx", "xyxy"), min_length=1, description="pulses while a qubit waits"
    )
    shortest_decoupled_ns: tuple[float, ...] = Field(
        default=(300.0, 1000.0), min_length=1, description="the shortest waiting with pulses"
    )
    align: tuple[Literal["alap", "asap"], ...] = Field(
        default=("alap", "asap"), min_length=1, description="as late, or as soon, as can be"
    )
    placements: int = Field(
        default=3, ge=1, description="how many, the best by what is predicted from the properties"
    )
    steps: int = Field(default=30, ge=1, description="choices in an episode")
    shots: int = Field(default=2_000, ge=1, description="of each")
    hidden: Hidden = Field(default=Hidden(), description="what the device does not report")


class Counts(NamedTuple):
    """What was measured of one choice."""

    detections: int
    trials: int  # shots x detectors
    errors: int  # logical ones
    shots: int


class _Ready(NamedTuple):
    """A choice as a circuit, and its decoder, which knows what is reported."""

    circuit: Any
    lowered: Lowered
    predicted: stim.Circuit
    matching: pymatching.Matching


class DeploymentRules:
    """All choices, as actions: for each of FACTORS the number of an option."""

    def __init__(self, config: DeploymentConfig) -> None:
        optional_module("qiskit_ibm_runtime", extra="ibm")
        self.config = config
        self._backend = fake_backend(config.backend)
        self._target = cast("Target", self._backend.target)
        self._given = named_memory(config.memory, rounds=config.rounds, basis=config.basis)
        self._reported = DeviceNoise(Snapshot.of(self._backend))
        self.ready = lru_cache(maxsize=None)(self._ready)

    @cached_property
    def options(self) -> tuple[tuple[Any, ...], ...]:
        """What may be chosen of each factor; those of `syndrift deploy` by default come first."""
        config, has = self.config, set(self._target.operation_names)
        places = self._places
        resets = (("free", "keep") if places[0][1] else ("keep", "free")) if "reset" in has else (
            "free",)  # fmt: skip
        fast = (True, False) if {"measure_2", "reset_2"} & has else (True,)
        return (config.decoupling, config.shortest_decoupled_ns, config.align, fast, resets,
                tuple(place for place, _ in places))  # fmt: skip

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many options each factor has."""
        return tuple(map(len, self.options))

    @property
    def observations(self) -> int:
        """Numbers in an observation: three for each option, and one."""
        return 3 * sum(self.sizes) + 1

    @property
    def actions(self) -> int:
        """Numbers in an action."""
        return len(self.sizes)

    @property
    def default(self) -> Action:
        """What the properties alone would have one choose."""
        return (0,) * len(FACTORS)

    def all_actions(self) -> list[Action]:
        """Every choice once."""
        every = np.ndindex(*self.sizes)
        return sorted({self.canonical(tuple(map(int, one))) for one in every})

    def canonical(self, action: Action) -> Action:
        """The same choice by its first name: without pulses, their spacing means nothing."""
        if self.options[0][action[0]] == "none":
            return (action[0], 0, *action[2:])
        return action

    def count(self, action: Action, noise: DeviceNoise, shots: int,
              rng: np.random.Generator) -> Counts:  # fmt: skip
        """So many shots of a choice on a device, decoded with the priors of what is reported."""
        one = self.ready(self.canonical(action))
        truth = raised(one.circuit, one.lowered, noise)
        sampler = truth.compile_detector_sampler(seed=int(rng.integers(2**62)))
        events, flips = cast(
            "tuple[NDArray[np.bool_], NDArray[np.bool_]]",
            sampler.sample(shots, separate_observables=True),
        )
        wrong = np.any(one.matching.decode_batch(events) != flips, axis=1)
        return Counts(int(events.sum()), events.size, int(wrong.sum()), shots)

    def drawn(self, rng: np.random.Generator) -> DeviceNoise:
        """A device."""
        return self.config.hidden.drawn(self._reported.snapshot, rng)

    def as_reported(self) -> DeviceNoise:
        """What the backend says that it is."""
        return self._reported

    def describe(self, action: Action) -> dict[str, Any]:
        """The option of each factor."""
        chosen = zip(FACTORS, self.options, self.canonical(action), strict=True)
        return {name: options[number] for name, options, number in chosen}

    def record(self, history: History, action: Action, source: str, *, run: str = "") -> int:
        """Puts a choice in force in the calibration history, under the backend's name.

        Its knobs belong to all qubits of its placement; one that was in force before is no longer.
        """
        chosen, device = self.describe(action), self._reported.snapshot.backend
        here = tuple(chosen["placement"])
        values = {_PLACED: 1.0, "memory.decoupling_pulses": _PULSES[chosen["decoupling"]],
                  "memory.shortest_decoupled_ns": chosen["shortest_decoupled_ns"],
                  "memory.aligned_late": chosen["align"] == "alap",
                  "memory.fast_readout": chosen["fast"],
                  "memory.resets": chosen["resets"] == "keep"}  # fmt: skip
        found = [Update(Knob(name, here), float(value), None, source)
                 for name, value in values.items()]  # fmt: skip
        before = history.values(device) if device in history.devices() else {}
        found += [Update(knob, 0.0, None, source) for knob, value in before.items()
                  if knob.name == _PLACED and value and knob.qubits != here]  # fmt: skip
        return history.record(device, found, run=run, comment="chosen by measured logical errors")

    @cached_property
    def _places(self) -> tuple[tuple[tuple[int, ...], bool], ...]:
        """The candidates, and whether they were predicted to err less without resets."""
        return _candidates(self.config.backend, str(self._given), self.config.placements)

    def _ready(self, action: Action) -> _Ready:
        pulses, shortest_ns, align, fast, resets, place = self.describe(action).values()
        schedule = Schedule(align=align, decoupling=pulses, shortest_decoupled_ns=shortest_ns,
                            fast=fast)  # fmt: skip
        lowered = lower(reset_free(self._given) if resets == "free" else self._given)
        circuit = Compiler(self._target, schedule).placed(lowered, place)
        predicted = raised(circuit, lowered, self._reported)
        model = checked_model("graphlike", predicted).error_model
        return _Ready(circuit, lowered, predicted, pymatching.Matching(model))


@lru_cache(maxsize=8)
def _candidates(
    backend: str, circuit: str, wanted: int
) -> tuple[tuple[tuple[int, ...], bool], ...]:
    """The best placements by predicted LER, no two on the same qubits, and whether resets are out.

    With the better of both ways to extract syndromes; the same asked again is known.
    """
    search = Search(candidates=8 * wanted, shots=2_000, keep=4 * wanted, final_shots=1)
    found = best_placements(lower(stim.Circuit(circuit)), fake_backend(backend), search=search,
                            rng=np.random.default_rng(_SEARCHED))  # fmt: skip
    distinct: dict[frozenset[int], tuple[tuple[int, ...], bool]] = {}
    for one in found:
        distinct.setdefault(frozenset(one.qubits), (one.qubits, one.reset_free))
    return tuple(distinct.values())[:wanted]

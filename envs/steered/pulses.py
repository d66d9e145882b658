"""The plant of pulse physics: settings make pulses, and their twirled channels what is detected."""

from __future__ import annotations

import copy
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import stim
from pydantic import BaseModel, ConfigDict, Field, model_validator

from calib.device import Device
from calib.device_config import DeviceConfig, PairPhysics, QubitPhysics
from calib.drift import Drift, Trajectory
from calib.pulses import Envelope
from calib.topology import Couplings
from calib.truth import Truth, draw_truth
from decoders.detection_rates import ChannelRates, Gate, probabilities, with_channels
from decoders.native import in_cz
from decoders.noise import DefaultRates, DurationsNs, Heterogeneous, Relaxation
from decoders.noise.instructions import instructions_in, kind_of, operands
from envs.game import without_spread
from envs.steered.given_device import begun, check_couplings, frames, renumbered
from envs.steered.memory import MemoryRecipe
from envs.steered.natural_units import least, natural_units
from envs.steered.plant import Array, LightCones
from envs.steered.pulsed_gates import SURROUNDINGS, CZs, GateKind, Hadamards, Moment

_DRAWN, _DRIFTS = 0, 1  # what the seed is used for
_PLACEHOLDER = 1e-3  # the rate of the depolarizing channels that gates' own take the place of
_UNITS = 0.2  # step of derivatives in natural units
_KNOWN = 2  # calls remembered: an agent's candidates, and what the judge holds beside them
_MUTE = 1e-6  # of the largest weight: below it is rounding
_OF_QUBITS = ("frequency_ghz", "anharmonicity_mhz", "rabi_mhz", *SURROUNDINGS)
_OF_PAIRS = ("coupling_mhz", "flux_mhz")


class PulseRecipe(BaseModel):
    """A device of transmons with tunable couplers that runs the memory in H and CZ.

    Controls: the frequency and the amplitude of each qubit's SX, the amplitude, the duration and
    both phases of each pair's CZ. Drift moves the physics, in entries such as absolute =
    { frequency_ghz = 1e-4 } for qubits, relative = { flux_mhz = 2e-3 } for pairs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pulses"] = Field(default="pulses", description="selects pulse physics")
    qubit: QubitPhysics = Field(default=QubitPhysics(), description="what the qubits are")
    pair: PairPhysics = Field(default=PairPhysics(), description="what the couplings are")
    envelope: Envelope = Field(default="gaussian", description="shape of the SX pulse")
    sx_ns: float = Field(default=32.0, gt=0, description="length of the SX pulse")
    readout_ns: float = Field(default=500.0, ge=0, description="time in which others wait")
    reset_ns: float = Field(default=100.0, ge=0, description="time in which others wait")
    readout_flip: float = Field(default=5e-3, ge=0, le=0.5, description="flips before a readout")
    reset_flip: float = Field(default=2e-3, ge=0, le=0.5, description="flips after a reset")
    compensation: Literal["own", "mean"] = Field(
        default="own", description="how much of the phases that they turn a CZ's amplitude and "
        "duration take back: as measured on each pair when it was set up, or as on the mean "
        "device, after which the errors of a pair's controls no longer add up"
    )  # fmt: skip
    start_off: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="how far off all controls begin: 1 "
        "doubles every gate's error, with signs at random"
    )  # fmt: skip

    device: DeviceConfig | None = Field(
        default=None, description="this very device, not one that is drawn: the [device] of "
        "`syndrift calibrate`; its physics, timing, drift and settings take the place of `qubit`, "
        "`pair`, `envelope`, `sx_ns`, `start_off` and the environment's drift"
    )  # fmt: skip
    history: pathlib.Path | None = Field(
        default=None, description="the calibration history of that device, whose settings in force "
        "are where the controls begin; without it, where the device itself begins"
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_device(self) -> PulseRecipe:
        if self.device is None:
            if self.history is not None:
                raise ValueError("history is of a device: expected device, too")
            return self
        fields = type(self).model_fields
        own = [name for name in ("qubit", "pair", "envelope", "sx_ns", "start_off")
               if getattr(self, name) != fields[name].default]  # fmt: skip
        if own:
            raise ValueError(f"{', '.join(own)}: the device says it: expected device alone")
        if self.device.entangler != "cz":
            raise ValueError(f"device.entangler: expected cz, got {self.device.entangler}")
        return self

    def on_device(self) -> PulseRecipe:
        """The recipe with what its device says, if it has one."""
        one = self.device
        if one is None:
            return self
        told = {"qubit": one.qubit, "pair": one.pair, "envelope": one.envelope,
                "sx_ns": one.timing.one_qubit_ns, "readout_ns": one.timing.readout_ns,
                "reset_ns": one.timing.reset_ns}  # fmt: skip
        return self.model_copy(update=told)

    def family(self, circuit: stim.Circuit, drifts: Sequence[Drift]) -> DeviceConfig:
        """The devices with the qubits and couplings that this circuit plays on."""
        pairs = {(min(pair), max(pair)) for one in instructions_in(circuit) if one.name == "CZ"
                 for pair in operands(one)}  # fmt: skip
        graph = Couplings(qubits=circuit.num_qubits, pairs=tuple(sorted(pairs)))
        return DeviceConfig(topology=graph, qubit=self.qubit, pair=self.pair, drift=tuple(drifts))

    def circuit(self, memory: MemoryRecipe) -> stim.Circuit:
        """The memory in H and CZ, with depolarizing channels in the place of the gates' own."""
        if memory.noise is not None:
            raise ValueError(
                "with pulses, noise comes from their physics: expected a memory without noise, got "
                f"{memory.noise.kind}: leave it out, and give plant.readout_flip, "
                "plant.reset_flip, plant.qubit.t1_us, ... instead"
            )
        native = in_cz(memory.noiseless())
        _refuse_others(native)
        if self.device is not None:
            native = renumbered(native)
        qubit, cz_ns = self.qubit, 1e3 / (np.sqrt(8) * self.pair.coupling_mhz.mean)
        rest = Relaxation(t1_us=qubit.t1_us.mean, t2_us=min(qubit.t2_us.mean, 2 * qubit.t1_us.mean))
        return Heterogeneous(
            default=DefaultRates(one_qubit=_PLACEHOLDER, two_qubit=_PLACEHOLDER, idle=rest,
                                 reset=self.reset_flip, measure=self.readout_flip),
            durations_ns=DurationsNs(one_qubit=self.sx_ns, two_qubit=float(cz_ns),
                                     reset=self.reset_ns, measure=self.readout_ns),
        ).apply(native)  # fmt: skip


@dataclass(frozen=True)
class _Set:
    """The gates of one kind as they were set up; a unit of control k of gate g moves its knobs by
    `units[g, :, k]`, and decoherence goes by `decay`."""

    kind: GateKind
    units: Array  # [G, P, P]
    zero: Array  # the knobs at settings 0, [G, P]
    decay: Array  # [G, S]

    def knobs(self, settings: Array) -> Array:
        """[B, G·P] -> [B, G, P]."""
        by_gate = settings.reshape(len(settings), *self.zero.shape)
        return self.zero + np.einsum("gpk,bgk->bgp", self.units, by_gate)

    def best(self, at: Moment, start: Array) -> Array:
        """The settings that err least, from a start nearby, [G·P]."""

        def errors(settings: Array) -> Array:
            return self.kind.error(at, self.knobs(settings.reshape(len(settings), -1)), self.decay)

        return least(errors, start.reshape(self.zero.shape), _UNITS).ravel()


class Pulses:
    """A plant whose quadratic form follows from pulses' physics, and so is one only nearby.

    Errors are exact for all settings: real propagators, twirled over the Paulis. In the light cones
    each control stands for itself, as the controls of one gate make errors that others hear.
    `circuit` is the mean device's at its best.

    >>> plant = Pulses(PulseRecipe(), MemoryRecipe(rounds=3), drifts=[])
    >>> plant.controls[:2], plant.controls[-1]
    (('q1.sx.frequency_ghz', 'q1.sx.amplitude'), 'q19-25.cz.amplitude')
    >>> still = np.zeros((1, len(plant.controls)))
    >>> bool((plant.rates(still + 1, 0.0) > plant.rates(still, 0.0)).all())
    True
    """

    def __init__(self, recipe: PulseRecipe, memory: MemoryRecipe, drifts: Sequence[Drift]) -> None:
        if recipe.device is not None and drifts:
            raise ValueError("drift: with plant.device it is that device which drifts, by its own "
                             "drift: expected none, leave it out")  # fmt: skip
        recipe = recipe.on_device()
        self._recipe, self._drifts = recipe, drifts
        self._blank = recipe.circuit(memory)
        self._found = ChannelRates.of(self._blank)
        self._family = recipe.family(self._blank, drifts)
        self._truth, oriented = draw_truth(
            without_spread(self._family), np.random.default_rng(_DRAWN)
        )
        at = Moment(self._truth, self._truth)
        self._sets = tuple(_set_up(kind, at) for kind in self._kinds(oriented))
        self._frames = self._truth  # in which the controls were set up
        self._physics: Callable[[float], Truth] | None = None  # at a time, where it drifts
        self._latest: tuple[float, Array] | None = None
        self._known: dict[Any, tuple[Array, Array]] = {}
        self.groups = self._found.groups
        self.controls = tuple(f"{_named(gate)}.{one.kind.name}.{knob}" for one in self._sets
                              for gate in one.kind.gates for knob in one.kind.knobs)  # fmt: skip
        kinds = [name.split(".", 1)[1] for name in self.controls]
        self.cones = LightCones(
            np.arange(len(self.controls)), self._weights(), self._found.counts,
            np.unique(kinds, return_inverse=True)[1],
        )  # fmt: skip
        self.circuit = self.noisy(np.zeros(len(self.controls)), 0.0)

    def drawn(self, seed: int) -> Pulses:
        """The same circuit on another device with its own drift, or on that of the recipe."""
        if self._recipe.device is not None:
            return self._on(begun(self._recipe.device, self._recipe.history))
        found, config, recipe = copy.copy(self), self._family, self._recipe
        rng = np.random.default_rng([seed, _DRAWN])
        found._truth, oriented = draw_truth(config, rng)
        found._latest, found._known, found._frames = None, {}, found._truth
        at = Moment(found._truth, found._truth)
        sets = [_sized_as(_set_up(kind, at), mean, recipe.compensation == "own")
                for kind, mean in zip(self._kinds(oriented), self._sets, strict=True)]  # fmt: skip
        found._sets = tuple(_moved_off(one, recipe.start_off, rng) for one in sets)
        if self._drifts:
            own = int(np.random.default_rng([seed, _DRIFTS]).integers(2**62))
            graph = config.topology.graph()
            qubits = [(qubit,) for qubit in range(graph.qubits)]
            targets: dict[str, Sequence[Gate]] = dict.fromkeys(_OF_QUBITS, qubits)
            targets |= dict.fromkeys(_OF_PAIRS, graph.pairs)
            drift, truth = Trajectory(self._drifts, targets, own), found._truth
            found._physics = lambda time_s: truth.drifted(drift.at(time_s))
        return found

    def _on(self, device: Device) -> Pulses:
        """The same circuit on this device: settings of 0 are those in force on it now."""
        found, begin_s = copy.copy(self), device.time_s
        check_couplings(device, self._family)
        found._truth, found._latest, found._known = device.truth(), None, {}
        found._frames = frames(device)
        best = Moment(found._truth, found._truth)
        is_own = self._recipe.compensation == "own"
        kinds = self._kinds(device.pairs)
        sets = [_sized_as(_set_up(kind, best), mean, is_own)
                for kind, mean in zip(kinds, self._sets, strict=True)]  # fmt: skip
        at = Moment(found._truth, found._frames)
        found._sets = tuple(
            replace(one, zero=zero, decay=one.kind.decay(at, zero))
            for one in sets
            for zero in [one.kind.in_force(device.controls)]
        )
        if device.config.drift:
            found._physics = lambda time_s: device.truth(begin_s + time_s)
            found._drifts = device.config.drift
        return found

    def rates(self, settings: Array, time_s: float) -> Array:
        """How often the detectors of each group fire, exactly: [B, K] -> [B, J]."""
        return self._found.rates(self.kept(settings, time_s))

    def kept(self, settings: Array, time_s: float) -> Array:
        """What all gates keep of each Pauli, [B, K] -> [B, H], as in `ChannelRates`."""
        return self._channels(settings, time_s)[0]

    def leakage(self, settings: Array, time_s: float) -> Array:
        """The population that leaks at a gate, the mean over all gates: [B, K] -> [B]."""
        return self._channels(settings, time_s)[1].mean(axis=1)

    def _channels(self, settings: Array, time_s: float) -> tuple[Array, Array]:
        """What all gates keep, [B, H], and leak, [B, G]; known already where it was just asked."""
        key = (time_s, settings.shape, settings.tobytes())
        if key not in self._known:
            at, sets = self._at(time_s)
            found = [one.kind.channel(at, one.knobs(part), one.decay)
                     for one, part in zip(sets, self._split(settings), strict=True)]  # fmt: skip
            kept, leaked = zip(*found, strict=True)
            flat = [one.reshape(len(settings), -1) for one in kept]
            while len(self._known) >= _KNOWN:
                del self._known[next(iter(self._known))]
            self._known[key] = np.concatenate(flat, axis=1), np.concatenate(leaked, axis=1)
        return self._known[key]

    def noisy(self, settings: Array, time_s: float) -> stim.Circuit:
        """The memory experiment with these settings [K], to draw shots from."""
        (kept,) = self.kept(settings[None], time_s)
        gates = self._found.gates
        ends = np.cumsum([4 ** len(gate) - 1 for gate in gates])
        chances = [np.maximum(probabilities(one), 0.0) for one in np.split(kept, ends[:-1])]
        named = {gate: one.tolist() for gate, one in zip(gates, chances, strict=True)}
        return with_channels(self._blank, named)

    def optimum(self, time_s: float) -> Array:
        """The settings that err least, [K]: at each gate, the sum of all its Pauli errors."""
        if self._latest is None or self._latest[0] != time_s:
            (at, sets), start = self._at(time_s), np.zeros((1, len(self.controls)))
            best = [one.best(at, part)
                    for one, part in zip(sets, self._split(start), strict=True)]  # fmt: skip
            self._latest = (time_s, np.concatenate(best))
        return self._latest[1]

    def _kinds(self, oriented: Sequence[Gate]) -> tuple[GateKind, GateKind]:
        gates = self._found.gates
        alone = tuple(gate for gate in gates if len(gate) == 1)
        hadamards = Hadamards(alone, self._recipe.sx_ns, self._recipe.envelope)
        return hadamards, CZs(gates[len(alone) :], tuple(oriented))

    def _at(self, time_s: float) -> tuple[Moment, tuple[_Set, ...]]:
        """The physics at a time, and the gates with the decoherence of then."""
        frames, then = self._frames, self._truth
        if self._physics is None:
            return Moment(then, frames), self._sets
        now = self._physics(time_s)
        if not any(set(SURROUNDINGS) & set(one.parameters) for one in self._drifts):
            return Moment(now, frames), self._sets
        aged = Truth({**then.qubit, **{name: now.qubit[name] for name in SURROUNDINGS}}, then.pair)
        sets = [replace(one, decay=one.kind.decay(Moment(aged, frames), one.zero))
                for one in self._sets]  # fmt: skip
        return Moment(now, frames), tuple(sets)

    def _split(self, settings: Array) -> list[Array]:
        sizes = [one.zero.size for one in self._sets]
        return np.split(settings, np.cumsum(sizes)[:-1], axis=1)

    def _weights(self) -> Array:
        """What a unit of each control adds to −ln(1 − 2·rate), [J, K]: the mean of both signs."""
        at, found = Moment(self._truth, self._truth), []
        for one in self._sets:
            count = one.zero.shape[1]
            moves = np.concatenate([np.zeros((1, count)), np.eye(count), -np.eye(count)])
            every = np.tile(moves, len(one.zero))
            logs = np.log(one.kind.kept(at, one.knobs(every), one.decay))
            lost = logs[0] - (logs[1 : count + 1] + logs[count + 1 :]) / 2  # [P, G, S]
            found.append(lost.swapaxes(0, 1))
        weights, first = [], 0
        for lost in found:
            used = self._found.uses[:, first : first + lost[:, 0].size]
            first += lost[:, 0].size
            by_gate = used.reshape(len(used), len(lost), -1)
            weights.append(np.einsum("jgs,gps->jgp", by_gate, lost).reshape(len(used), -1))
        found = np.concatenate(weights, axis=1)
        return np.where(found > _MUTE * found.max(), found, 0.0)


def _set_up(kind: GateKind, at: Moment) -> _Set:
    """The gates at their best, in units of their own."""
    knobs, steps = kind.textbook(at.now), np.array(kind.steps)
    near = _Set(kind, np.tile(np.diag(steps), (len(knobs), 1, 1)), knobs, kind.decay(at, knobs))
    best = near.knobs(near.best(at, np.zeros(knobs.shape))[None])[0]
    decay = kind.decay(at, best)

    def errors(knobs: Array) -> Array:
        return kind.error(at, knobs, decay)

    return _Set(kind, natural_units(errors, best, steps), best, decay)


def _sized_as(one: _Set, mean: _Set, is_own: bool) -> _Set:
    """Units as large as on the mean device; what controls take back may stay each gate's own."""
    if not is_own:
        return replace(one, units=mean.units)
    sizes = [np.diagonal(units, axis1=1, axis2=2) for units in (mean.units, one.units)]
    return replace(one, units=one.units * (sizes[0] / sizes[1])[:, None, :])


def _moved_off(one: _Set, start_off: float, rng: np.random.Generator) -> _Set:
    """All controls so far off, with signs at random."""
    off = start_off * rng.choice([-1.0, 1.0], (1, one.zero.size))
    return replace(one, zero=one.knobs(-off)[0])


def _refuse_others(native: stim.Circuit) -> None:
    names = {one.name for one in instructions_in(native) if kind_of(one.name) == "gate"}
    if names != {"H", "CZ"} or not native.num_detectors:
        raise ValueError(
            "expected a memory with detectors in H and CZ, whose pulses are known, got "
            f"{native.num_detectors} detectors and {', '.join(sorted(names)) or 'no gates'}: take "
            "a surface code, or the analytic plant"
        )


def _named(gate: Gate) -> str:
    return "q" + "-".join(map(str, gate))

"""From a recipe to what is sent: placed circuits, probes, a prediction, the cost."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import stim
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from calib.runtime.estimate import Estimate, estimate, split
from calib.runtime.ledger import Ledger
from calib.runtime.order import Limits, Order, RunOptions
from calib.snapshot import Snapshot
from decoders.baselines import resolve_decoder
from decoders.decode_file import decode, model_of
from decoders.deploy.config import DeployConfig
from decoders.deploy.device_noise import DeviceNoise
from decoders.deploy.isa import Compiler, used_qubits
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.memories import both_states, distance_of, named_memory
from decoders.deploy.place import Search, best_placements
from decoders.deploy.place import predicted as place_predicted
from decoders.deploy.probe import probes
from decoders.deploy.raised import raised
from decoders.deploy.reset_free import reset_free
from decoders.files import read_circuit
from decoders.noise.memory import read_memory
from decoders.statistics import MemoryCounts, binomial_interval

Array = NDArray[np.float64]
Bits = NDArray[np.uint8]
_PREDICTED_SHOTS = 100_000  # of each logical state
_FIRST_TURN, _ENOUGH_ERRORS = 10_000, 400
_SEARCHED = 0.9  # of the time of a plan, about, until the place is chosen
_USUAL_REP_DELAY_US = 250.0
_RESETS: dict[str, Any] = {"auto": "either", "keep": "as given", "free": "dropped"}


@dataclass(frozen=True)
class Variant:
    """One logical state: its circuit on the device, and what that is in stim.

    `decoded` has twirled noise, which does not know the state: what decoders are given. `expected`
    has the noise of just this state.
    """

    name: str
    lowered: Lowered
    circuit: QuantumCircuit
    decoded: stim.Circuit
    expected: stim.Circuit


@dataclass(frozen=True)
class Prediction:
    """What one decoder is predicted to get wrong, in both states together."""

    decoder: str
    errors: int
    shots: int

    @property
    def ler(self) -> float:
        """Of a shot."""
        return self.errors / self.shots

    @property
    def interval(self) -> tuple[float, float]:
        """At 95 %."""
        return binomial_interval(self.errors, self.shots)


@dataclass(frozen=True)
class Plan:
    """All that is known before anything is sent.

    `fractions` [detectors] are the predicted detection fractions, the mean of both states.
    """

    config: DeployConfig
    snapshot: Snapshot
    placement: tuple[int, ...]
    reset_free: bool
    variants: tuple[Variant, ...]
    predictions: tuple[Prediction, ...]
    fractions: Array
    orders: tuple[Order, ...]
    estimate: Estimate

    @property
    def added_couplings(self) -> int:
        """How many two-qubit gates routing adds to those of the circuit."""
        wanted, made = self.variants[0].lowered.circuit, self.variants[0].circuit
        return made.num_nonlocal_gates() - wanted.num_nonlocal_gates()

    def counts(self) -> list[tuple[str, MemoryCounts]]:
        """Of each decoder, as predicted, for Λ; none of one's own circuit."""
        config = self.config
        if not config.memory:
            return []
        distance = distance_of(config.memory[0])
        rounds = config.rounds_of(distance)
        return [
            (one.decoder, MemoryCounts(distance, rounds, one.errors, one.shots))
            for one in self.predictions
        ]

    def about(self) -> dict[str, Any]:
        """What the ledger keeps, so that results can be decoded without the backend."""
        return {
            "config": self.config.model_dump(mode="json"),
            "snapshot": self.snapshot.as_json(),
            "placement": list(self.placement),
            "reset_free": self.reset_free,
            "variants": [
                {
                    "name": one.name,
                    "ideal": str(one.lowered.ideal),
                    "decoded": str(one.decoded),
                }
                for one in self.variants
            ],
            "predictions": [
                {"decoder": one.decoder, "errors": one.errors, "shots": one.shots}
                for one in self.predictions
            ],
            "fractions": self.fractions.tolist(),
        }

    def write(self, ledger: Ledger, out: pathlib.Path | None = None) -> int:
        """Puts all jobs into the ledger as planned; returns the deployment's number.

        `out` is where results are to go, by whoever decodes them.
        """
        config = self.config
        about = {**self.about(), "out": None if out is None else str(out.resolve())}
        row = ledger.add(config.name, config.service, config.backend, about, self.orders,
                         self.estimate, config.ceiling_seconds)  # fmt: skip
        return row.id


def plan(
    config: DeployConfig,
    backend: BackendV2,
    limits: Limits | None = None,
    show: Callable[[float], None] = lambda fraction: None,
) -> Plan:
    """Places, compiles, predicts and reckons one memory; nothing is sent.

    `show` is told how much of it is done, from 0 to 1.
    """
    for name in config.decoders:
        resolve_decoder(name)  # a wrong name is better said now than after a search
    snapshot = Snapshot.of(backend)
    noise = DeviceNoise(snapshot, config.noise)
    given = source(config)
    if config.routed:
        placement, free = None, config.resets != "keep"
    else:
        placement, free = _placed(config, backend, given, lambda done: show(_SEARCHED * done))
    states = both_states(reset_free(given) if free else given)
    circuits = _compiled(config, target_of(backend), states, placement)
    variants = tuple(
        _variant(number, lower(one), circuit, config, noise)
        for number, (one, circuit) in enumerate(zip(states, circuits, strict=True))
    )
    predictions, fractions = predicted(variants, config.decoders, config.seed)
    orders, cost = _ordered(config, backend, variants, limits or Limits())
    if placement is None:
        placement = used_qubits(variants[0].circuit)
    return Plan(config, snapshot, placement, free, variants, predictions, fractions,
                tuple(orders), cost)  # fmt: skip


def source(config: DeployConfig) -> stim.Circuit:
    """The recipe's circuit, without noise."""
    if config.circuit is not None:
        given = read_circuit(config.circuit).without_noise()
        if not (given.num_detectors and given.num_observables):
            raise ValueError(
                f"{config.circuit}: expected detectors and observables, to decode and to judge by, "
                f"got {given.num_detectors} and {given.num_observables}"
            )
        return given
    (memory,) = config.memory
    rounds = config.rounds_of(distance_of(memory))
    return named_memory(memory, rounds=rounds, basis=config.basis)


def predicted(
    variants: Sequence[Variant], decoders: Sequence[str], seed: int, shots: int = _PREDICTED_SHOTS
) -> tuple[tuple[Prediction, ...], Array]:
    """Errors of decoders that do not know the state, and detection fractions [detectors].

    Slow decoders need not decode all shots: each stops after the first turn in which it has seen
    enough errors.
    """
    drawn, fractions = list[tuple[Bits, Bits]](), list[Array]()
    for number, variant in enumerate(variants):
        sampler = variant.expected.compile_detector_sampler(seed=seed + number)
        events, flips = sampler.sample(shots, separate_observables=True, bit_packed=True)
        drawn.append((events, flips))
        count = variant.expected.num_detectors
        bits = np.unpackbits(drawn[-1][0], axis=1, count=count, bitorder="little")
        fractions.append(bits.mean(axis=0, dtype=np.float64))
    found = []
    for name in decoders:
        wrong, total, begin = 0, 0, 0
        while begin < shots and wrong < _ENOUGH_ERRORS:
            turn = slice(begin, min(shots, max(_FIRST_TURN, 2 * begin)))
            for variant, (events, flips) in zip(variants, drawn, strict=True):
                wrong += errors_of(name, variant.decoded, events[turn], flips[turn])
                total += len(events[turn])
            begin = turn.stop
        found.append(Prediction(name, wrong, total))
    return tuple(found), np.mean(fractions, axis=0)


def errors_of(
    name: str, circuit: stim.Circuit, events: NDArray[np.uint8], flips: NDArray[np.uint8]
) -> int:
    """How many shots a decoder gets wrong that is given this circuit's noise."""
    decoder = resolve_decoder(name)
    model, _ = model_of(decoder, circuit, None)
    wrong = decode(decoder, model, events, flips, lambda done: None).wrong
    assert wrong is not None  # flips were given
    return int(wrong.sum())


def duration_us(circuit: QuantumCircuit, snapshot: Snapshot) -> float:
    """How long one run of a scheduled circuit takes: its busiest qubit's time."""
    busy = dict.fromkeys(circuit.qubits, 0.0)
    for one in circuit.data:
        at = [circuit.find_bit(qubit).index for qubit in one.qubits]
        if one.operation.name == "delay":
            length_ns = float(one.operation.params[0]) * snapshot.dt_ns
        elif one.operation.name == "barrier":
            length_ns = 0.0
        else:
            length_ns = snapshot.operation(one.operation.name, at).duration_ns or 0.0
        for qubit in one.qubits:
            busy[qubit] += length_ns
    return max(busy.values(), default=0.0) / 1e3


def _placed(
    config: DeployConfig, backend: BackendV2, given: stim.Circuit, show: Callable[[float], None]
) -> tuple[tuple[int, ...], bool]:
    noise = DeviceNoise(Snapshot.of(backend), config.noise)
    rng = np.random.default_rng([config.seed, 1])
    if config.placement is not None:
        return config.placement, _better_free(config, target_of(backend), given, noise, rng)
    best = best_placements(
        lower(given),
        backend,
        rng=rng,
        noise=noise,
        schedule=config.schedule,
        search=Search(resets=_RESETS[config.resets]),
        show=show,
    )[0]
    return tuple(best.qubits), best.reset_free


def _better_free(
    config: DeployConfig,
    target: Target,
    given: stim.Circuit,
    noise: DeviceNoise,
    rng: np.random.Generator,
) -> bool:
    """Whether to leave resets out at a given placement: as asked, or by what is predicted."""
    if config.resets != "auto":
        return config.resets == "free"
    lowered = lower(given)
    if "reset" not in lowered.circuit.count_ops():
        return False
    if "reset" not in target.operation_names:
        return True
    compiler = Compiler(target, config.schedule)
    place = config.placement or ()
    kept, free = (
        place_predicted(one, place, compiler, noise).sampled(_FIRST_TURN, rng).errors
        for one in (lowered, lower(reset_free(given)))
    )
    return free < kept


def target_of(backend: BackendV2) -> Target:
    """The backend's target; Qiskit's own annotation has none."""
    return cast(Target, cast(Any, backend).target)


def _compiled(
    config: DeployConfig,
    target: Target,
    states: Sequence[stim.Circuit],
    placement: Sequence[int] | None,
) -> list[QuantumCircuit]:
    """Of each state; where they are routed all by the same way, so that probes are of all."""
    compiler = Compiler(target, config.schedule)
    if placement is not None:
        return [compiler.placed(lower(one), placement) for one in states]
    lowered = lower(states[0])
    data = read_memory(states[0]).data if len(states) > 1 else ()
    flips = ((), [lowered.qubits.index(qubit) for qubit in data])
    return [compiler.routed(lowered, flips[number]) for number in range(len(states))]


def _variant(
    number: int,
    lowered: Lowered,
    circuit: QuantumCircuit,
    config: DeployConfig,
    noise: DeviceNoise,
) -> Variant:
    circuit.name = f"memory-{number}"
    twirled = raised(circuit, lowered, noise)
    by_state = twirled if config.twirl else raised(circuit, lowered, noise, "by-state")
    return Variant(str(number), lowered, circuit, twirled, by_state)


def _ordered(
    config: DeployConfig, backend: BackendV2, variants: Sequence[Variant], limits: Limits
) -> tuple[list[Order], Estimate]:
    snapshot = Snapshot.of(backend)
    checks = probes(variants[0].circuit, soft=config.measured == "both")
    circuits = [one.circuit for one in variants]
    reported = getattr(backend, "default_rep_delay", None)
    usual_us = reported * 1e6 if reported else _USUAL_REP_DELAY_US
    delay_us = usual_us if config.rep_delay_us is None else config.rep_delay_us
    times = {
        id(one): (duration_us(one, snapshot) + delay_us) * 1e-6 for one in [*checks, *circuits]
    }
    options = RunOptions(
        measured=config.measured, mode=config.mode, rep_delay_us=config.rep_delay_us,
        twirl_gates=config.twirl, twirl_measure=config.twirl, seed=config.seed,
    )  # fmt: skip
    orders = split(
        circuits, config.shots, limits, options, config.backend, probes=checks,
        seconds_per_execution=[times[id(one)] for one in [*checks, *circuits]],
    )  # fmt: skip
    orders = [_seeded(one, config.seed, position) for position, one in enumerate(orders)]
    seconds = [times[id(one)] for order in orders for one in order.circuits]
    return orders, estimate(orders, seconds_per_execution=seconds)


def _seeded(order: Order, seed: int, position: int) -> Order:
    """Each job's shots are others, where they are drawn here."""
    drawn = int(np.random.SeedSequence([seed, position]).generate_state(1)[0])
    return replace(order, options=replace(order.options, seed=drawn))

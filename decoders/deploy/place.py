"""Where on the chip: placements of a circuit by the logical error rate that they are to have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, cast

import numpy as np
import pymatching
import stim
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from calib.snapshot import Snapshot
from decoders.dem import checked_model
from decoders.deploy.device_noise import DeviceNoise
from decoders.deploy.embeddings import MOST, Placement, embeddings
from decoders.deploy.first_order import FirstOrder
from decoders.deploy.isa import Compiler, Schedule
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.raised import raised
from decoders.deploy.reset_free import reset_free
from decoders.statistics import binomial_interval

_RESET = "reset"
_BATCH = 50_000  # shots at once, which bounds the memory
_COMPILED = 0.4  # of the time of a search, about, until all candidates are circuits


class Search(BaseModel):
    """How long is looked, and with which circuits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embeddings: int = Field(
        default=MOST, description="placements that are ranked without a circuit, at most", ge=1
    )
    candidates: int = Field(
        default=48, description="placements, best by that rank, that are compiled", ge=1
    )
    shots: int = Field(
        default=20_000,
        description="shots of each candidate in the first turn; each turn keeps the better half "
        "and takes four times as many",
        ge=1,
    )
    keep: int = Field(default=6, description="candidates of which no more are given up", ge=1)
    errors: int = Field(
        default=400, description="errors of the best of those at which turns end", ge=1
    )
    most_shots: int = Field(
        default=2_000_000, description="shots of a turn beyond which there is none", ge=1
    )
    final_shots: int = Field(default=200_000, description="fresh shots for those", ge=1)
    resets: Literal["as given", "dropped", "either"] = Field(
        default="either",
        description="whether qubits are reset in mid-circuit: as the circuit says, never "
        "(detectors are adapted), or whichever is predicted to err less",
    )


@dataclass(frozen=True)
class Placed:
    """A placement with its prediction.

    `qubits[k]` is the device's qubit for qubit k of `lowered.circuit`, `circuit` the stim circuit
    of what the device does there, with its noise. Matching with the true noise fails in `errors` of
    `shots`: an average of both logical states, as noise is twirled. `gate_error` is the reported
    error of the couplings used, on average.
    """

    qubits: Placement
    lowered: Lowered
    reset_free: bool
    circuit: stim.Circuit
    errors: int
    shots: int
    gate_error: float

    @property
    def ler(self) -> float:
        """The predicted logical error rate of a shot; nan without shots."""
        return self.errors / self.shots if self.shots else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Of the rate, at 95 %."""
        return binomial_interval(self.errors, self.shots)

    def sampled(self, shots: int, rng: np.random.Generator) -> Placed:
        """With so many more shots."""
        wrong = errors_of(self.circuit, shots, rng)
        return replace(self, errors=self.errors + wrong, shots=self.shots + shots)


def errors_of(
    circuit: stim.Circuit,
    shots: int,
    rng: np.random.Generator,
    decoded_with: stim.Circuit | None = None,
) -> int:
    """How many shots matching gets wrong, with the noise of the circuit itself or of another."""
    model = checked_model("graphlike", decoded_with or circuit).error_model
    matching = pymatching.Matching.from_detector_error_model(model)
    sampler = circuit.compile_detector_sampler(seed=int(rng.integers(2**62)))
    wrong = 0
    for start in range(0, shots, _BATCH):
        drawn: Any = sampler.sample(
            min(_BATCH, shots - start), separate_observables=True, bit_packed=True
        )
        events, flips = drawn
        answers = matching.decode_batch(events, bit_packed_shots=True, bit_packed_predictions=True)
        wrong += int((answers != flips).any(axis=1).sum())
    return wrong


def best_placements(
    lowered: Lowered,
    backend: BackendV2,
    *,
    rng: np.random.Generator,
    noise: DeviceNoise | None = None,
    schedule: Schedule | None = None,
    search: Search | None = None,
    show: Callable[[float], None] = lambda fraction: None,
) -> list[Placed]:
    """The placements with the least predicted logical error rates, best first.

    All placements are ranked by `FirstOrder`. The best of them, and the two usual choices
    (`by_gate_error` and `by_fidelity`), become circuits with the device's noise, sampled and
    decoded by matching: the better half of them four times as long, and so on. The order is that of
    these shots; the errors given are of fresh shots, which had no part in the choice, so that the
    first one's are not flattered by it. `show` is told how much of it is done, from 0 to 1.
    """
    search = search or Search()
    noise = noise or DeviceNoise(Snapshot.of(backend))
    places = embeddings(lowered.pairs, len(lowered.qubits), noise.snapshot, most=search.embeddings)
    compiler = Compiler(cast("Target", backend.target), schedule)
    variants = _variants(lowered, compiler.target, search.resets)
    ranked = _ranked(places, variants, compiler, noise)[: search.candidates]
    usual = [by_gate_error(lowered, noise.snapshot, places)]
    usual.append(by_fidelity(variants[-1], compiler, noise.snapshot, places))
    compared = dict.fromkeys([*ranked, *product(range(len(variants)), usual)])
    found = list[Placed]()
    for k, place in compared:
        found.append(predicted(variants[k], place, compiler, noise))
        show(_COMPILED * len(found) / len(compared))
    found = _best_of(found, search, rng, show)
    fresh = [replace(one, errors=0, shots=0) for one in found]
    return [one.sampled(search.final_shots, rng) for one in fresh]


def _best_of(
    found: list[Placed],
    search: Search,
    rng: np.random.Generator,
    show: Callable[[float], None],
) -> list[Placed]:
    """Those that come through all turns, best first."""
    shots, done = search.shots, _COMPILED
    while True:
        begun, turn = done, list[Placed]()
        for one in found:
            turn.append(one.sampled(shots, rng))
            done = begun + (1 - begun) / 2 * len(turn) / len(found)
            show(done)
        found = turn
        found = sorted(found, key=lambda one: one.ler)  # of equal ones the better ranked is first
        found = found[: max(search.keep, len(found) // 2)]
        shots *= 4
        is_settled = found[0].errors >= search.errors or shots > search.most_shots
        if len(found) <= search.keep and is_settled:
            return found


def predicted(
    lowered: Lowered, placement: Sequence[int], compiler: Compiler, noise: DeviceNoise
) -> Placed:
    """What a device with such noise does at a placement; nothing is sampled yet."""
    circuit = raised(compiler.placed(lowered, placement), lowered, noise)
    errors = _gate_errors(noise.snapshot)
    return Placed(
        qubits=tuple(placement),
        lowered=lowered,
        reset_free=_RESET not in lowered.circuit.count_ops(),
        circuit=circuit,
        errors=0,
        shots=0,
        gate_error=float(np.mean([errors[placement[a], placement[b]] for a, b in lowered.pairs])),
    )


def by_gate_error(
    lowered: Lowered, snapshot: Snapshot, placements: Sequence[Placement] | None = None
) -> Placement:
    """The usual choice: the least error of the couplings used, on average.

    Among `placements`, by default all `embeddings`.
    """
    places = np.array(placements or embeddings(lowered.pairs, len(lowered.qubits), snapshot))
    a, b = np.array(lowered.pairs).T
    means = _gate_errors(snapshot)[places[:, a], places[:, b]].mean(axis=1)
    return tuple(places[np.argmin(means)].tolist())


def by_fidelity(
    lowered: Lowered,
    compiler: Compiler,
    snapshot: Snapshot,
    placements: Sequence[Placement] | None = None,
) -> Placement:
    """The choice of mapomatic (arXiv:2209.15512): the greatest product of 1 − error.

    It goes over all gates and readouts of the circuit; waiting and resets have no part in it.
    """
    places = np.array(placements or embeddings(lowered.pairs, len(lowered.qubits), snapshot))
    first = tuple(places[0].tolist())
    role = {qubit: k for k, qubit in enumerate(first)}
    circuit = compiler.placed(lowered, first)
    uses = Counter(
        (one.operation.name, tuple(role[circuit.find_bit(qubit).index] for qubit in one.qubits))
        for one in circuit.data
    )
    total = np.zeros(len(places))
    for (name, roles), times in uses.items():
        if name in snapshot.operations:
            at, where = np.unique(places[:, list(roles)], axis=0, return_inverse=True)
            kept = [1 - (snapshot.operation(name, one).error or 0.0) for one in at.tolist()]
            total += times * np.log(np.maximum(kept, 1e-12))[where.reshape(-1)]
    return tuple(places[np.argmax(total)].tolist())


def _gate_errors(snapshot: Snapshot) -> NDArray[np.float64]:
    """The reported errors of the couplings, [qubits, qubits]; 1 where there is none."""
    table = np.ones((snapshot.num_qubits, snapshot.num_qubits))
    for a, b in snapshot.couplings:
        table[a, b] = table[b, a] = snapshot.operation(snapshot.entangler, (a, b)).error or 0.0
    return table


def _variants(lowered: Lowered, target: Target, resets: str) -> list[Lowered]:
    """The circuit as it is, without resets, or both."""
    if _RESET not in lowered.circuit.count_ops():
        return [lowered]
    can_reset = _RESET in target.operation_names
    if resets == "as given" and can_reset:
        return [lowered]
    if resets == "as given":
        raise ValueError(
            "the device has no reset and the circuit has: expected resets to be dropped, got "
            "resets = 'as given'; take 'dropped' or 'either'"
        )
    try:
        dropped = lower(reset_free(lowered.ideal))
    except ValueError:
        if resets == "dropped" or not can_reset:
            raise
        return [lowered]
    return [lowered, dropped] if can_reset and resets == "either" else [dropped]


def _ranked(
    places: Sequence[Placement],
    variants: Sequence[Lowered],
    compiler: Compiler,
    noise: DeviceNoise,
) -> list[tuple[int, Placement]]:
    """Every variant, by its number, at every placement; the least bound of first order first."""
    bounds = [
        FirstOrder(compiler.placed(one, places[0]), one, noise, places[0]).bounds(places)
        for one in variants
    ]
    order = np.argsort(np.concatenate(bounds), kind="stable")
    return [(k // len(places), places[k % len(places)]) for k in order.tolist()]

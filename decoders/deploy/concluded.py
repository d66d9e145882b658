"""What a deployment's results say: events, logical error rates, beside what was predicted."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import stim
from numpy.typing import NDArray
from qiskit.circuit import Qubit
from scipy.stats import betabinom

from calib.runtime.ledger import Ledger
from calib.runtime.order import Order, Outcome
from calib.snapshot import Snapshot
from decoders.baselines import ResolvedDecoder, resolve_decoder
from decoders.baselines.registry import BASELINES
from decoders.decode_file import decode, model_of
from decoders.deploy.config import DeployConfig
from decoders.deploy.iq import Clouds
from decoders.deploy.lower import lower
from decoders.deploy.memories import distance_of
from decoders.deploy.probe import ONES, ORDER, ZEROS, check_order
from decoders.learnt_priors import learnt_model
from decoders.neural.readout import beside_of
from decoders.soft_matching import decode_softly
from decoders.statistics import (
    MemoryCounts,
    binomial_interval,
    per_round_rate,
)

Bools = NDArray[np.bool_]
Array = NDArray[np.float64]
SOFT = "pymatching-soft"
LEARNT = "@learnt"  # after a decoder's name: with priors from the other half of the shots
_ENOUGH_TO_LEARN = 2_000  # shots in all


@dataclass(frozen=True)
class Recorded:
    """The shots of one logical state.

    Records [shots, records], the events [shots, detectors] and flips [shots, observables] that they
    make, and how likely each record is wrong, where IQ values came. `decoded` is the circuit with
    the noise that was reported when the deployment was planned.
    """

    name: str
    ideal: stim.Circuit
    decoded: stim.Circuit
    records: Bools
    events: Bools
    flips: Bools
    doubts: Array | None = None


@dataclass(frozen=True)
class Scored:
    """What one decoder got wrong in all states together, and what was predicted.

    `predicted` is the logical error rate of a shot, `expected` the interval that 95 % of runs of
    so many shots fall into if the prediction is right; None where nothing was predicted.
    """

    decoder: str
    errors: int
    shots: int
    rounds: int
    predicted: float | None = None
    expected: tuple[float, float] | None = None

    @property
    def ler(self) -> float:
        """Of a shot."""
        return self.errors / self.shots

    @property
    def interval(self) -> tuple[float, float]:
        """Of the rate, at 95 %."""
        return binomial_interval(self.errors, self.shots)

    @property
    def per_round(self) -> tuple[float, float, float]:
        """The rate of a round, and its interval."""
        low, high = self.interval
        return (
            per_round_rate(min(self.ler, 0.5), self.rounds),
            per_round_rate(min(low, 0.5), self.rounds),
            per_round_rate(min(high, 0.5), self.rounds),
        )

    @property
    def as_predicted(self) -> bool | None:
        """Whether the rate lies where it was expected."""
        if self.expected is None:
            return None
        return self.expected[0] <= self.ler <= self.expected[1]


@dataclass(frozen=True)
class Conclusion:
    """All that is concluded; detection fractions [detectors] are means over the states.

    `snapshot` is what the backend reported when it was planned, `placement` the qubits taken.
    """

    deployment: int
    name: str
    config: DeployConfig
    snapshot: Snapshot
    placement: tuple[int, ...]
    scores: tuple[Scored, ...]
    fractions: Array
    predicted_fractions: Array
    states: tuple[Recorded, ...]

    @property
    def rounds(self) -> int:
        """Of syndrome extraction; 1 of one's own circuit that does not say."""
        return _rounds(self.config)

    def counts(self) -> list[tuple[str, MemoryCounts]]:
        """Of each decoder, for Λ; none of one's own circuit, whose distance is not known."""
        if not self.config.memory:
            return []
        distance = distance_of(self.config.memory[0])
        return [
            (one.decoder, MemoryCounts(distance, one.rounds, one.errors, one.shots))
            for one in self.scores
        ]


def conclude(
    ledger: Ledger, deployment: int, *, decoders: Sequence[str] = (), shots: int | None = None
) -> Conclusion:
    """Decodes what has been fetched so far; ValueError if nothing has.

    `decoders` are those of the recipe if none are given; NAME@learnt decodes with priors that are
    learnt from the detection events of the other half of the shots, and the last one of the recipe
    is tried so in any case. RuntimeError where bits are not in order.
    """
    row = ledger.deployment(deployment)
    config = DeployConfig.model_validate(row.about["config"])
    states = recorded(ledger, deployment)
    names = list(decoders or config.decoders)
    if not decoders and sum(len(one.events) for one in states) >= _ENOUGH_TO_LEARN:
        names.append(f"{_last_that_learns(names)}{LEARNT}")
    rounds = _rounds(config)
    scores = [_scored(name, states, row.about, rounds) for name in names]
    if SOFT not in names and all(one.doubts is not None for one in states):
        scores.append(_scored(SOFT, states, row.about, rounds))
    return Conclusion(
        deployment=row.id,
        name=row.name,
        config=config,
        snapshot=Snapshot.from_json(row.about["snapshot"]),
        placement=tuple(row.about["placement"]),
        scores=tuple(scores),
        fractions=np.mean([one.events.mean(axis=0) for one in states], axis=0),
        predicted_fractions=np.array(row.about["fractions"]),
        states=states,
    )


def recorded(ledger: Ledger, deployment: int) -> tuple[Recorded, ...]:
    """The shots of each state, of all jobs whose probe came out in order."""
    row = ledger.deployment(deployment)
    found: dict[str, list[Recorded]] = {one["name"]: [] for one in row.about["variants"]}
    texts = {one["name"]: one for one in row.about["variants"]}
    for order, outcomes in _fetched(ledger, deployment):
        by_name = {circuit.name: one for circuit, one in zip(order.circuits, outcomes, strict=True)}
        sizes = {circuit.name: circuit.num_clbits for circuit in order.circuits}
        clouds = _clouds(by_name, order)
        if not _has_probe(by_name, clouds):
            continue  # a job of which only a part came: its bits may be in any order
        check_order(_bits(by_name[ORDER], sizes[ORDER], clouds)[0])
        for name, outcome in by_name.items():
            state = name.removeprefix("memory-")
            if state in found and (outcome.bits is not None or outcome.iq is not None):
                found[state].append(_read(texts[state], outcome, sizes[name], clouds))
    if not all(found.values()):
        raise ValueError(
            f"deployment {deployment} has no results yet: fetch them with "
            f"{ledger.command(deployment, '--fetch')}"
        )
    return tuple(_joined(parts) for parts in found.values())


def write_shots(conclusion: Conclusion, folder: pathlib.Path) -> list[pathlib.Path]:
    """One folder a state, as other verbs read them: `evaluate` with [data], `priors`, `decode`.

    Circuits, records, events, flips, metadata, and soft_measurements.npy where IQ values came;
    returns the folders.
    """
    made = []
    for one in conclusion.states:
        place = folder / f"state-{one.name}"
        place.mkdir(parents=True, exist_ok=True)
        one.decoded.to_file(place / "circuit.stim")
        one.ideal.to_file(place / "circuit_ideal.stim")
        for name, data, count in (
            ("measurements.b8", one.records, {"num_measurements": one.records.shape[1]}),
            ("detection_events.b8", one.events, {"num_detectors": one.events.shape[1]}),
            ("obs_flips_actual.b8", one.flips, {"num_observables": one.flips.shape[1]}),
        ):
            stim.write_shot_data_file(data=data, path=place / name, format="b8", **count)
        soft = place / "soft_measurements.npy"
        soft.unlink(missing_ok=True)
        if one.doubts is not None:
            np.save(soft, np.where(one.records, 1 - one.doubts, one.doubts).astype(np.float32))
        text = json.dumps(_metadata(conclusion, one), indent=2)
        (place / "metadata.json").write_text(f"{text}\n", encoding="utf-8")
        made.append(place)
    return made


def _metadata(found: Conclusion, state: Recorded) -> dict[str, Any]:
    """In the keys of published data sets, and what else tells one run from another."""
    config = found.config
    named: dict[str, Any] = {"code": found.name}
    if config.memory:
        code, _, distance = config.memory[0].partition(":")
        named = {"code": code, "distance": int(distance), "basis": config.basis}
    return {
        **named,
        "rounds": found.rounds,
        "shots": len(state.events),
        "state": state.name,
        "backend": config.backend,
        "service": config.service,
        "calibrated": found.snapshot.calibrated,
        "qubits": list(found.placement),
    }


def _rounds(config: DeployConfig) -> int:
    return config.rounds_of(distance_of(config.memory[0]) if config.memory else 1)


def _fetched(ledger: Ledger, deployment: int) -> list[tuple[Order, list[Outcome]]]:
    orders, outcomes = ledger.orders(deployment), ledger.outcomes(deployment)
    return [(order, got) for order, got in zip(orders, outcomes, strict=True) if got]


def _clouds(outcomes: Mapping[str, Outcome], order: Order) -> Clouds | None:
    """From the probes of all qubits in 0, and in 1, if IQ values came.

    Of each qubit's first record, right after it was prepared: later ones have decayed.
    """
    zeros, ones = (outcomes.get(name, Outcome()).iq for name in (ZEROS, ONES))
    if zeros is None or ones is None:
        return None
    (probe,) = (circuit for circuit in order.circuits if circuit.name == ONES)
    first: dict[Qubit, int] = {}
    records = np.zeros(probe.num_clbits, dtype=np.int64)
    for one in probe.data:
        if one.clbits:
            bit = probe.find_bit(one.clbits[0]).index
            records[bit] = first.setdefault(one.qubits[0], bit)
    numbers, places = np.unique(records, return_inverse=True)
    return Clouds.fitted(zeros[:, numbers], ones[:, numbers]).of(places)


def _has_probe(outcomes: Mapping[str, Outcome], clouds: Clouds | None) -> bool:
    probe = outcomes.get(ORDER, Outcome())
    return probe.bits is not None or (probe.iq is not None and clouds is not None)


def _bits(outcome: Outcome, size: int, clouds: Clouds | None) -> tuple[Bools, Array | None]:
    """Bits [shots, size], and how likely each is wrong where IQ values tell."""
    if outcome.iq is not None and clouds is not None:
        return clouds.read(outcome.iq)
    assert outcome.bits is not None
    bits = np.unpackbits(outcome.bits, axis=1, count=size, bitorder="little")
    return bits.astype(np.bool_), None


def _read(texts: dict[str, Any], outcome: Outcome, size: int, clouds: Clouds | None) -> Recorded:
    ideal, decoded = stim.Circuit(texts["ideal"]), stim.Circuit(texts["decoded"])
    lowered = lower(ideal)
    bits, doubts = _bits(outcome, size, clouds)
    records = lowered.records(bits)
    events, flips = ideal.compile_m2d_converter().convert(
        measurements=records, separate_observables=True
    )
    return Recorded(texts["name"], ideal, decoded, records, events, flips, doubts)


def _joined(parts: list[Recorded]) -> Recorded:
    first = parts[0]
    doubts = [one.doubts for one in parts if one.doubts is not None]
    return Recorded(
        first.name, first.ideal, first.decoded,
        np.concatenate([one.records for one in parts]),
        np.concatenate([one.events for one in parts]),
        np.concatenate([one.flips for one in parts]),
        np.concatenate(doubts) if len(doubts) == len(parts) else None,
    )  # fmt: skip


def _scored(name: str, states: Sequence[Recorded], about: Mapping[str, Any], rounds: int) -> Scored:
    errors = _errors(name, states)
    shots = sum(len(one.events) for one in states)
    for one in about["predictions"]:
        if one["decoder"] == name:
            expected = expected_rates(one["errors"], one["shots"], shots)
            return Scored(name, errors, shots, rounds, one["errors"] / one["shots"], expected)
    return Scored(name, errors, shots, rounds)


def expected_rates(errors: int, shots: int, among: int) -> tuple[float, float]:
    """Where 95 % of rates of `among` shots fall, after `errors` in `shots` of the same kind.

    The beta-binomial distribution: the rate of Jeffreys' posterior, then so many shots of it.
    """
    found = betabinom(among, errors + 0.5, shots - errors + 0.5)
    return float(found.ppf(0.025)) / among, float(found.ppf(0.975)) / among


def _errors(name: str, states: Sequence[Recorded]) -> int:
    if name == SOFT:
        if any(one.doubts is None for one in states):
            raise ValueError(f"{SOFT} needs IQ values: deploy with measured = 'both' (--soft)")
        return sum(_soft_errors(one) for one in states)
    if name.endswith(LEARNT):
        return _errors_with_learnt(name.removesuffix(LEARNT), states)
    decoder = resolve_decoder(name)
    wrong = 0
    for one in states:
        model, _ = model_of(decoder, one.decoded, None)
        wrong += wrong_of(decoder, model, one.events, one.flips)
    return wrong


def wrong_of(
    decoder: ResolvedDecoder, model: stim.DetectorErrorModel, events: Bools, flips: Bools
) -> int:
    """How many shots a decoder gets wrong."""
    packed = [np.packbits(bits, axis=1, bitorder="little") for bits in (events, flips)]
    wrong = decode(decoder, model, packed[0], packed[1], lambda done: None).wrong
    assert wrong is not None  # flips were given
    return int(wrong.sum())


def _errors_with_learnt(name: str, states: Sequence[Recorded]) -> int:
    """Each half of the shots, of all states, with priors from the other half's events."""
    decoder = resolve_decoder(name)
    model, _ = model_of(decoder, states[0].decoded, None)
    wrong = 0
    for half in (0, 1):
        others = np.concatenate([one.events[1 - half :: 2] for one in states])
        learnt = learnt_model(model, others).model
        for one in states:
            wrong += wrong_of(decoder, learnt, one.events[half::2], one.flips[half::2])
    return wrong


def _last_that_learns(names: Sequence[str]) -> str:
    """The last decoder of the registry: a trained one has its priors in its weights."""
    return next((one for one in reversed(names) if one in BASELINES), "pymatching")


def _soft_errors(one: Recorded) -> int:
    assert one.doubts is not None
    model, _ = model_of(resolve_decoder("pymatching"), one.decoded, None)
    answers = decode_softly(model, one.events, beside_of(one.ideal, one.doubts))
    return int((answers != one.flips).any(axis=1).sum())

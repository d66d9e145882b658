"""Detector error models for decoders: made from a circuit or given, checked before anything runs.

PyMatching drops hyperedges (errors with more than two detectors) that are not decomposed into
edges, without a word, even when a hyperedge alone carries the observable. Here such a model is
decomposed, or refused.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Literal

import stim

from decoders.kinship import doubt_kinship
from decoders.matching_graph import MatchingGraph

ErrorModelKind = Literal["graphlike", "full", "color"]
"""What a decoder takes: edges only, hyperedges too, or those with the colours of chromobius."""

Part = tuple[frozenset[int], frozenset[int]]
"""Detectors and observables that one component of an error flips."""

_ERROR = re.compile(r"^\s*error(?:\[[^\]]*\])?\(([^)]*)\)(.*)$", re.MULTILINE)
_HYPEREDGE_DECODERS = 'decoders that take hyperedges, such as decoders = ["bposd"] or ["tesseract"]'


@dataclasses.dataclass(frozen=True)
class CheckedModel:
    """An error model fit for its decoder, and what had to be done for it (None: nothing)."""

    error_model: stim.DetectorErrorModel
    message: str | None = None


@dataclasses.dataclass(frozen=True)
class Mechanism:
    """One error: its probability and the components that `^` separates in stim's text."""

    probability: float
    parts: tuple[Part, ...]

    @property
    def symptoms(self) -> Part:
        """Detectors and observables that the error flips as a whole."""
        detectors: frozenset[int] = frozenset()
        observables: frozenset[int] = frozenset()
        for part_detectors, part_observables in self.parts:
            detectors ^= part_detectors
            observables ^= part_observables
        return detectors, observables

    @property
    def is_graphlike(self) -> bool:
        """Whether every component is an edge: one or two detectors (or the error has none)."""
        sizes = [len(detectors) for detectors, _ in self.parts]
        return all(1 <= size <= 2 for size in sizes) or sizes == [0]

    def __str__(self) -> str:
        parts = (
            " ".join(
                [*(f"D{d}" for d in sorted(detectors)), *(f"L{k}" for k in sorted(observables))]
            )
            for detectors, observables in self.parts
        )
        return f"error({self.probability:.4g}) " + " ^ ".join(parts)


def mechanisms(model: stim.DetectorErrorModel) -> Iterator[Mechanism]:
    """Every error of the model, loops unrolled.

    >>> [str(m) for m in mechanisms(stim.DetectorErrorModel("error(0.1) D0 D1 ^ D2 L0"))]
    ['error(0.1) D0 D1 ^ D2 L0']
    """
    for instruction in model.flattened():
        if isinstance(instruction, stim.DemInstruction) and instruction.type == "error":
            yield _mechanism(instruction)


def checked_model(
    kind: ErrorModelKind,
    circuit: stim.Circuit,
    given: stim.DetectorErrorModel | None = None,
) -> CheckedModel:
    """The circuit's error model, or the `given` one, as a decoder of that kind can take it.

    A ValueError of one line says why there is none and what to do.

    >>> text = "X_ERROR(0.1) 0\\nM 0\\nDETECTOR rec[-1]\\nOBSERVABLE_INCLUDE(0) rec[-1]"
    >>> print(checked_model("graphlike", stim.Circuit(text)).error_model)
    error(0.1000000000000000056) D0 L0
    """
    for number, what, instruction in (
        (circuit.num_detectors, "detectors", "DETECTOR"),
        (circuit.num_observables, "observables", "OBSERVABLE_INCLUDE"),
    ):
        if not number:
            raise ValueError(f"the circuit has no {what}: add {instruction} instructions to it")
    messages: list[str] = []
    if given is None:
        model = circuit_model(circuit, decomposed=kind == "graphlike")
        _check_noisy(model)
        _check_probabilities(model, "the circuit")
    else:
        model = _checked_given(kind, circuit, given, messages)
    if kind == "color":
        require_colors(model)
    blind = 0
    if any("D" not in targets for _, targets in _written(model)):
        blind = sum(bool(obs) and not dets for dets, obs in (m.symptoms for m in _folded(model)))
    if blind:
        flip, them = ("flips", "it") if blind == 1 else ("flip", "them")
        messages.append(
            f"{_counted(blind, 'error')} of the model {flip} an observable and no detector: "
            f"no decoder can see {them}"
        )
    return CheckedModel(model, "; ".join(messages) or None)


def circuit_model(circuit: stim.Circuit, *, decomposed: bool = False) -> stim.DetectorErrorModel:
    """The circuit's own error model; disjoint errors count as independent, as sinter has it."""
    try:
        return circuit.detector_error_model(
            decompose_errors=decomposed, approximate_disjoint_errors=True
        )
    except ValueError as error:
        reason = error
    if decomposed:
        circuit_model(circuit)  # what ails the circuit in any case comes first
        culprit = re.search(r"failed to decompose is '([^']*)'", str(reason))
        raise ValueError(
            "the circuit's errors do not decompose into edges of at most two detectors "
            f"({culprit[1] if culprit else str(reason).splitlines()[0]}), which matching needs: "
            f"use {_HYPEREDGE_DECODERS}"
        ) from None
    raise ValueError(_analysis_failure(str(reason))) from None


def require_graphlike(model: stim.DetectorErrorModel) -> None:
    """Raises ValueError if matching would silently drop an error of the model."""
    dropped = [mechanism for mechanism in _folded(model) if not mechanism.is_graphlike]
    if dropped:
        raise ValueError(_undecomposed(len(dropped), dropped[0], "the error model"))


def require_colors(model: stim.DetectorErrorModel) -> None:
    """Raises ValueError unless every detector in an error has a basis and colour for chromobius."""
    coordinates = model.get_detector_coordinates()
    used = {d for mechanism in mechanisms(model) for d in mechanism.symptoms[0]}
    for detector in sorted(used):
        place = coordinates.get(detector, [])
        if len(place) < 4 or place[3] not in (-1, 0, 1, 2, 3, 4, 5):
            raise ValueError(
                "chromobius needs a fourth coordinate on every detector that says basis and colour "
                "(0, 1, 2 for X red, green, blue; 3, 4, 5 for Z), got "
                f"D{detector}{tuple(place)}: use it on color codes, or choose another decoder"
            )


def _mechanism(instruction: stim.DemInstruction) -> Mechanism:
    parts = []
    for group in instruction.target_groups():
        detectors: frozenset[int] = frozenset()
        observables: frozenset[int] = frozenset()
        for target in group:
            if target.is_relative_detector_id():
                detectors ^= {target.val}
            else:
                observables ^= {target.val}
        parts.append((detectors, observables))
    return Mechanism(instruction.args_copy()[0], tuple(parts))


def _folded(model: stim.DetectorErrorModel) -> Iterator[Mechanism]:
    """The errors as written: a loop's once, its detectors as numbered in the first pass."""
    for instruction in model:
        if isinstance(instruction, stim.DemRepeatBlock):
            yield from _folded(instruction.body_copy())
        elif instruction.type == "error":
            yield _mechanism(instruction)


def _written(model: stim.DetectorErrorModel) -> Iterator[tuple[float, str]]:
    """Probability and targets of the errors as the text has them: ten times as fast as objects."""
    for probability, targets in _ERROR.findall(str(model)):
        yield float(probability), targets


def _checked_given(
    kind: ErrorModelKind,
    circuit: stim.Circuit,
    given: stim.DetectorErrorModel,
    messages: list[str],
) -> stim.DetectorErrorModel:
    own = circuit_model(circuit)
    _check_noisy(own)
    for what, expected, got in (
        ("detectors", circuit.num_detectors, given.num_detectors),
        ("observables", circuit.num_observables, given.num_observables),
    ):
        if expected != got:
            raise ValueError(
                f"the given error model has {got} {what}, the circuit has {expected}: "
                "it belongs to another circuit"
            )
    if all(mechanism.probability == 0 for mechanism in _folded(given)):
        raise ValueError(
            "the given error model has no errors with a probability above 0: decoders need them"
        )
    _check_probabilities(given, "the given error model")
    remark = doubt_kinship(*({m.symptoms for m in mechanisms(model)} for model in (own, given)))
    messages += [remark] if remark else []
    _check_reach(own, given)
    if kind != "graphlike":
        return given
    model = _decomposed(circuit, given, messages)
    _check_explained(own, model)
    return model


def _check_noisy(model: stim.DetectorErrorModel) -> None:
    if not model.num_errors:
        raise ValueError(
            "the circuit has no noise (no error mechanism): give it a noise model, such as "
            "kind = 'depolarizing'"
        )


def _check_probabilities(model: stim.DetectorErrorModel, what: str) -> None:
    if all(probability <= 0.5 for probability, _ in _written(model)):
        return
    for mechanism in _folded(model):
        if mechanism.probability > 0.5 + 1e-9:
            raise ValueError(
                f"{what} has an error with a probability above 0.5, {mechanism}: decoders take at "
                "most 0.5; put the flip itself into the circuit (an X gate, or M !q) and leave the "
                "rest as noise"
            )


def _check_reach(own: stim.DetectorErrorModel, given: stim.DetectorErrorModel) -> None:
    """Refuses a given model in which a detector that can fire is flipped by nothing."""
    fires, explained = (
        {
            detector
            for mechanism in mechanisms(model)
            if mechanism.probability
            for detector in mechanism.symptoms[0]
        }
        for model in (own, given)
    )
    if missing := sorted(fires - explained):
        raise ValueError(
            f"no error of the given error model flips {_listed(f'D{d}' for d in missing)}, which "
            "the circuit's noise does: add errors that do, or take these detectors out of both"
        )


def _check_explained(own: stim.DetectorErrorModel, model: stim.DetectorErrorModel) -> None:
    """Refuses a graph in which an error of the circuit has no matching.

    In a connected component without a boundary edge only an even number of events can be matched;
    PyMatching stops with an exception at the first shot that has an odd one.
    """
    parents = list(range(model.num_detectors))

    def root(detector: int) -> int:
        while parents[detector] != detector:
            parents[detector] = parents[parents[detector]]
            detector = parents[detector]
        return detector

    edges = [dets for m in mechanisms(model) if m.probability for dets, _ in m.parts if dets]
    for edge in edges:
        first, *rest = edge
        for other in rest:
            parents[root(first)] = root(other)
    bounded = {root(detector) for edge in edges if len(edge) == 1 for detector in edge}
    for mechanism in mechanisms(own):
        events = collections.Counter(root(detector) for detector in mechanism.symptoms[0])
        if any(number % 2 for place, number in events.items() if place not in bounded):
            raise ValueError(
                f"the circuit's {mechanism} has no matching in the given error model: the "
                "detectors around it have no edge to the boundary (an error with one detector)"
            )


def _decomposed(
    circuit: stim.Circuit, given: stim.DetectorErrorModel, messages: list[str]
) -> stim.DetectorErrorModel:
    """The given model with every hyperedge as edges; refused where one cannot be split."""
    if all(mechanism.is_graphlike for mechanism in _folded(given)):
        return given
    as_circuit = _parts_by_symptoms(circuit)
    graph = MatchingGraph(mechanisms(given))
    model = stim.DetectorErrorModel()
    by_circuit, by_graph, stuck = 0, 0, []
    for instruction in given.flattened():
        if isinstance(instruction, stim.DemRepeatBlock) or instruction.type != "error":
            model.append(instruction)
            continue
        mechanism = _mechanism(instruction)
        if mechanism.is_graphlike:
            model.append(instruction)
            continue
        if parts := as_circuit.get(mechanism.symptoms):
            by_circuit += 1
        elif parts := graph.split(mechanism.symptoms):
            by_graph += 1
        else:
            stuck.append(mechanism)
            continue
        model.append("error", mechanism.probability, _targets(parts))
    if stuck:
        raise ValueError(_undecomposed(len(stuck), stuck[0], "the given error model"))
    hyperedges = _counted(by_circuit + by_graph, "hyperedge")
    ways = [f"{by_circuit} as the circuit's own"] if by_circuit else []
    ways += [f"{by_graph} along edges of the model"] if by_graph else []
    messages.append(
        f"{hyperedges} of the given error model decomposed for matching, {' and '.join(ways)}"
    )
    return model


def _parts_by_symptoms(circuit: stim.Circuit) -> dict[Part, tuple[Part, ...]]:
    """How stim decomposes the circuit's errors; empty where it cannot."""
    try:
        own = circuit_model(circuit, decomposed=True)
    except ValueError:
        return {}
    # One error may come apart in several ways (XY or YX of a pair): the likeliest is taken.
    by_likelihood = sorted(mechanisms(own), key=lambda mechanism: mechanism.probability)
    return {mechanism.symptoms: mechanism.parts for mechanism in by_likelihood}


def _targets(parts: Iterable[Part]) -> list[object]:
    targets: list[object] = []
    for detectors, observables in parts:
        if targets:
            targets.append(stim.target_separator())
        targets += [stim.target_relative_detector_id(d) for d in sorted(detectors)]
        targets += [stim.target_logical_observable_id(k) for k in sorted(observables)]
    return targets


def _undecomposed(number: int, first: Mechanism, what: str) -> str:
    return (
        f"{what} has {_counted(number, 'hyperedge')} that cannot be decomposed into edges, first "
        f"{first}; matching would drop them without a word: use {_HYPEREDGE_DECODERS}"
    )


def _analysis_failure(text: str) -> str:
    """One line from stim's page on why it cannot make an error model."""
    first = text.strip().splitlines()[0]
    if "non-deterministic" not in first:
        return f"stim cannot make an error model of the circuit: {first}"
    culprits = re.search(r"anti-commuted with these detectors/observables:\n((?:    .*\n?)+)", text)
    where = re.search(r"discovered while analyzing (.*) on:\n\s*(qubit \d+)", text)
    names = [line.strip() for line in culprits[1].splitlines()] if culprits else ["a detector"]
    found = f" (see {where[1]} on {where[2]})" if where else ""
    verb = "is" if len(names) == 1 else "are"
    return (
        f"{_listed(names)} of the circuit {verb} not deterministic without noise{found}: a "
        "detector or observable must be a product of measurements whose value is fixed"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _listed(names: Iterable[str], most: int = 6) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

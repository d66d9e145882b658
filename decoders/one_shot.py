"""One shot of a memory experiment in the open: faults, detection events, matching, verdict."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import stim

from decoders.layout import Event, Layout, Place, layout_of
from decoders.shots import SHARD_SHOTS, circuit_key, shard_seed

if TYPE_CHECKING:
    import pymatching

# Codes whose errors a matching decoder pairs up, and which lie in a plane or on a line.
DRAWABLE_CODES = ("repetition", "rotated-surface", "unrotated-surface", "xzzx-surface")


@dataclasses.dataclass(frozen=True, order=True)
class Edge:
    """An edge of the matching graph: between two detectors, or from one out of the patch.

    `crosses` says whether it flips the logical observable.
    """

    detectors: tuple[int, ...]
    crosses: bool

    @property
    def is_open(self) -> bool:
        """Whether it leaves the patch at its border."""
        return len(self.detectors) == 1


@dataclasses.dataclass(frozen=True)
class Fault:
    """A mechanism of the error model that struck: the edges it is made of, and what it may be.

    `detectors` and `flips` are its whole symptom; `words` names the simplest physical fault of
    the circuit with this symptom, `places` the data qubits that this one hits.
    """

    mechanism: int
    probability: float
    detectors: tuple[int, ...]
    flips: bool
    edges: tuple[Edge, ...]
    words: str
    places: tuple[Place, ...]


@dataclasses.dataclass(frozen=True)
class Chain:
    """Edges of error and correction that hang together, each edge once.

    `ends` counts how often the chain leaves the patch (0: a closed loop); `crosses` says whether
    it flips the logical observable.
    """

    edges: tuple[Edge, ...]
    ends: int
    crosses: bool


@dataclasses.dataclass(frozen=True)
class OneShot:
    """All there is to know of one shot.

    `events` are the detectors that fired, `relevant` those whose part of the matching graph can
    flip the observable at all; `exits` says where the open edges leave the patch. `flipped` is
    what happened to the observable, `predicted` what the matching says.
    """

    seed: int
    shot: int
    layout: Layout
    faults: tuple[Fault, ...]
    events: tuple[int, ...]
    matching: tuple[Edge, ...]
    chains: tuple[Chain, ...]
    flipped: bool
    predicted: bool
    relevant: frozenset[int]
    exits: Mapping[Edge, Event]

    @property
    def is_right(self) -> bool:
        """Whether the decoder's prediction is what happened."""
        return self.flipped == self.predicted

    def segment(self, edge: Edge) -> tuple[Event, Event]:
        """The two ends of an edge, each (x, y, t)."""
        start = self.layout.detectors[edge.detectors[0]]
        end = self.exits[edge] if edge.is_open else self.layout.detectors[edge.detectors[1]]
        return start, end


class ShotSource:
    """Shots drawn from a circuit's error model, so that the faults behind each are known.

    Shot n under a seed is always the same shot. It is not shot n of `syndrift evaluate`: that one
    is drawn from the circuit, and stim does not tell the faults there.
    """

    def __init__(self, circuit: stim.Circuit, *, seed: int):
        self.circuit = circuit
        self.seed = seed
        self.model = graphlike_model(circuit)
        self._mechanisms = mechanisms_of(self.model)
        self._key = circuit_key(circuit)
        self._last: tuple[int, tuple[npt.NDArray[np.bool_], ...]] | None = None

    @functools.cached_property
    def matching(self) -> pymatching.Matching:
        """PyMatching on the same model, without correlations."""
        import pymatching

        return pymatching.Matching.from_detector_error_model(self.model)

    @functools.cached_property
    def layout(self) -> Layout:
        """Where the circuit's qubits and detectors lie."""
        return layout_of(self.circuit)

    @functools.cached_property
    def relevant(self) -> frozenset[int]:
        """The detectors that can tell of a flip of the observable."""
        return relevant_detectors(self.model)

    def shard(self, number: int) -> tuple[npt.NDArray[np.bool_], ...]:
        """1,024 shots: events [shots, detectors], flips [shots, 1], faults [shots, mechanisms]."""
        if self._last is None or self._last[0] != number:
            self._last = (number, self._drawn(number))
        return self._last[1]

    def _drawn(self, number: int) -> tuple[npt.NDArray[np.bool_], ...]:
        seed = shard_seed(self._key, self.seed, number)
        events, flips, faults = self.model.compile_sampler(seed=seed).sample(
            SHARD_SHOTS, return_errors=True
        )
        assert faults is not None  # as asked for
        return events, flips, faults

    def find(self, start: int, *, wrong: bool, max_shots: int) -> int:
        """The first shot from `start` on that is decoded wrongly; or rightly, with two events.

        Events count where they can tell of a flip. ValueError after `max_shots` in vain.
        """
        relevant = sorted(self.relevant)
        for number in range(start // SHARD_SHOTS, (start + max_shots) // SHARD_SHOTS + 1):
            events, flips, _ = self.shard(number)
            wanted = np.any(self.matching.decode_batch(events) != flips, axis=1)
            if not wrong:
                wanted = ~wanted & (events[:, relevant].sum(axis=1) >= 2)
            shots = number * SHARD_SHOTS + np.flatnonzero(wanted)
            shots = shots[(shots >= start) & (shots < start + max_shots)]
            if len(shots):
                return int(shots[0])
        what = "is decoded wrongly" if wrong else "has two detection events and is decoded rightly"
        raise ValueError(
            f"none of shots {start} to {start + max_shots - 1} {what}: give a larger p"
            + (", or a smaller distance" if wrong else ", or name the shot")
        )

    def explain(self, shot: int) -> OneShot:
        """One shot with its faults, matching and verdict."""
        if shot < 0:
            raise ValueError(f"shot must be at least 0, got {shot}")
        events, flips, struck = (
            part[shot % SHARD_SHOTS] for part in self.shard(shot // SHARD_SHOTS)
        )
        layout = self.layout
        faults = tuple(
            _fault(self.circuit, layout, int(k), self._mechanisms[k])
            for k in np.flatnonzero(struck)
        )
        matching = matched_edges(self.matching, events)
        chains = chains_of(edge for part in (*(f.edges for f in faults), matching) for edge in part)
        every = {*matching, *(edge for fault in faults for edge in fault.edges)}
        return OneShot(
            seed=self.seed,
            shot=shot,
            layout=layout,
            faults=faults,
            events=tuple(int(k) for k in np.flatnonzero(events)),
            matching=matching,
            chains=chains,
            flipped=bool(flips[0]),
            predicted=bool(sum(edge.crosses for edge in matching) % 2),
            relevant=self.relevant,
            exits={e: _exit(self.circuit, layout, e) for e in sorted(every) if e.is_open},
        )


def graphlike_model(circuit: stim.Circuit) -> stim.DetectorErrorModel:
    """The circuit's flat error model, each mechanism split into edges; ValueError if it cannot be.

    Channels that are not independent Paulis (biased noise) are taken as if they were.
    """
    try:
        return circuit.detector_error_model(
            decompose_errors=True, approximate_disjoint_errors=True
        ).flattened()
    except ValueError as error:
        raise ValueError(
            "this code cannot be decoded by matching (an error sets off more than two checks of "
            f"a kind), so there is no matching to draw: choose one of {', '.join(DRAWABLE_CODES)}"
        ) from error


def mechanisms_of(model: stim.DetectorErrorModel) -> list[stim.DemInstruction]:
    """The error mechanisms of a flat model, in the order in which stim numbers them."""
    return [i for i in model if isinstance(i, stim.DemInstruction) and i.type == "error"]


def edges_of(mechanism: stim.DemInstruction) -> tuple[Edge, ...]:
    """The edges that a mechanism of a decomposed error model is made of."""
    edges = []
    for group in mechanism.target_groups():
        detectors = sorted(t.val for t in group if t.is_relative_detector_id())
        if not 1 <= len(detectors) <= 2:
            raise ValueError(
                f"expected error mechanisms that set off one or two detectors, got `{mechanism}`"
            )
        crosses = sum(t.is_logical_observable_id() for t in group) % 2 == 1
        edges.append(Edge(tuple(detectors), crosses))
    return tuple(edges)


def matched_edges(matching: pymatching.Matching, events: npt.NDArray[np.bool_]) -> tuple[Edge, ...]:
    """The edges PyMatching chooses for the events [detectors], sorted."""
    edges = []
    for a, b in matching.decode_to_edges_array(events.astype(np.uint8)):
        inside = tuple(sorted(int(node) for node in (a, b) if node >= 0))
        data: dict[str, Any] = (
            matching.get_boundary_edge_data(inside[0])
            if len(inside) == 1
            else matching.get_edge_data(*inside)
        )
        edges.append(Edge(inside, len(data["fault_ids"]) % 2 == 1))
    return tuple(sorted(edges))


def chains_of(edges: Iterable[Edge]) -> tuple[Chain, ...]:
    """What is left of edges counted mod 2, as connected chains: loops, or from border to border."""
    left = sorted(edge for edge, times in Counter(edges).items() if times % 2)
    group_of = _connected(edge.detectors for edge in left)
    groups: dict[int, list[Edge]] = {}
    for edge in left:
        groups.setdefault(group_of[edge.detectors[0]], []).append(edge)
    return tuple(
        Chain(
            edges=tuple(members),
            ends=sum(edge.is_open for edge in members),
            crosses=sum(edge.crosses for edge in members) % 2 == 1,
        )
        for members in groups.values()
    )


def relevant_detectors(model: stim.DetectorErrorModel) -> frozenset[int]:
    """Detectors of those parts of the matching graph that have an edge across the observable."""
    edges = [edge for mechanism in mechanisms_of(model) for edge in edges_of(mechanism)]
    group_of = _connected(edge.detectors for edge in edges)
    crossed = {group_of[edge.detectors[0]] for edge in edges if edge.crosses}
    return frozenset(detector for detector, group in group_of.items() if group in crossed)


def _connected(links: Iterable[Sequence[int]]) -> dict[int, int]:
    """Each number that occurs, to the smallest one that it is linked with."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for link in links:
        first, last = sorted((root(link[0]), root(link[-1])))
        parent[last] = first
    return {node: root(node) for node in list(parent)}


def _fault(
    circuit: stim.Circuit, layout: Layout, number: int, mechanism: stim.DemInstruction
) -> Fault:
    edges = edges_of(mechanism)
    times = Counter(detector for edge in edges for detector in edge.detectors)
    detectors = tuple(sorted(d for d, n in times.items() if n % 2))
    flips = sum(edge.crosses for edge in edges) % 2 == 1
    location = _simplest_location(circuit, detectors, flips)
    return Fault(
        mechanism=number,
        probability=mechanism.args_copy()[0],
        detectors=detectors,
        flips=flips,
        edges=edges,
        words=_words(layout, detectors, location),
        places=_data_hit(layout, location),
    )


def _simplest_location(
    circuit: stim.Circuit, detectors: Sequence[int], flips: bool
) -> stim.CircuitErrorLocation | None:
    """The circuit's fault with this symptom that hits the fewest qubits; None: there is none."""
    targets = [stim.target_relative_detector_id(d) for d in detectors]
    symptom = stim.DetectorErrorModel()
    symptom.append("error", 1.0, [*targets, *([stim.target_logical_observable_id(0)] * flips)])
    found: list[stim.CircuitErrorLocation] = [
        location
        for explained in circuit.explain_detector_error_model_errors(dem_filter=symptom)
        for location in explained.circuit_error_locations
    ]
    return min(found, key=lambda at: (len(at.flipped_pauli_product), at.tick_offset), default=None)


def _hits(location: stim.CircuitErrorLocation | None) -> Iterator[tuple[str, int]]:
    """Pauli and qubit of all that a fault hits."""
    for hit in location.flipped_pauli_product if location else ():
        yield hit.gate_target.pauli_type, hit.gate_target.value


def _data_hit(layout: Layout, location: stim.CircuitErrorLocation | None) -> tuple[Place, ...]:
    return tuple(layout.data[qubit] for _, qubit in _hits(location) if qubit in layout.data)


def _words(
    layout: Layout, detectors: Sequence[int], location: stim.CircuitErrorLocation | None
) -> str:
    seen = [layout.detectors[d] for d in detectors]
    first = min(t for _, _, t in seen)
    if len({(x, y) for x, y, _ in seen}) == 1 and not _data_hit(layout, location):
        # One event alone at the start: the second outcome differs from the first, the wrong one.
        number = first if len(seen) == 1 and first < layout.layers / 2 else first + 1
        return f"the check at {_at(seen[0])} gave a wrong outcome in round {number:g}"
    when = f"round {first + 1:g}" if first < layout.layers - 1 else "the final readout"
    hits = [
        f"{pauli} on the {kind} qubit at {_at(layout.qubits[qubit])}"
        for pauli, qubit in _hits(location)
        for kind in ("data" if qubit in layout.data else "check",)
    ]
    if not hits:
        return f"a fault near the check at {_at(seen[0])}, first seen in {when}"
    return f"{' and '.join(hits)}, first seen in {when}"


def _at(coordinates: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in coordinates[:2])})"


def _exit(circuit: stim.Circuit, layout: Layout, edge: Edge) -> Event:
    """Where an open edge leaves the patch: as far behind the data qubit that errs as its check."""
    x, y, t = layout.detectors[edge.detectors[0]]
    location = _simplest_location(circuit, edge.detectors, edge.crosses)
    hit = _data_hit(layout, location)
    if hit:
        far = min(hit, key=lambda place: (abs(place[0] - x) + abs(place[1] - y), place))
        return 2 * far[0] - x, 2 * far[1] - y, t
    if location is not None:  # a check's first outcome, which nothing is compared with
        return x, y, t - 0.5 if t < layout.layers / 2 else t + 0.5
    near = min(
        layout.data.values(), key=lambda place: (abs(place[0] - x) + abs(place[1] - y), place)
    )
    return 2 * near[0] - x, 2 * near[1] - y, t

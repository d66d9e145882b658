"""Where on a chip a circuit's couplings are all there: every way to lay it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import rustworkx as rx

from calib.snapshot import Snapshot
from decoders.codes.registry import CODES, memory_circuit
from decoders.deploy.lower import lower

Pairs = Sequence[tuple[int, int]]
Placement = tuple[int, ...]

MOST = 20_000
_LOOKED_AT = 5  # the distance up to which codes are tried where one has no place
_STATES = 2_000_000  # that a search for placements visits at most: seconds of work
_STATES_PRUNED = 500_000  # the same on a part of the chip, which often has none


def embeddings(
    pairs: Pairs, qubits: int, snapshot: Snapshot, *, most: int = MOST
) -> list[Placement]:
    """Every way to lay coupled qubits 0..qubits-1 onto qubits and couplings that work.

    Entry k of a placement is the device's qubit for qubit k. Mirror images are placements of their
    own, as no circuit is quite symmetric. Where there are more than `most`, the couplings that look
    worst (of gate, readout and relaxation) are left out, one after another, while as many remain,
    and the first `most` are given. ValueError where there is none.

    >>> from calib.from_backend import fake_backend
    >>> torino = Snapshot.of(fake_backend("fake_torino"))
    >>> len(embeddings([(0, 1)], 2, torino)) == 2 * len(torino.couplings)
    True
    """
    if most < 1:
        raise ValueError(f"most must be at least 1, got {most}")
    best_first = sorted(snapshot.couplings, key=lambda pair: (_cost(snapshot, pair), pair))
    wanted = _graph(range(qubits), pairs)

    def laid(kept: int, most: int, states: int) -> list[Placement]:
        return list(islice(_laid(wanted, snapshot, best_first[:kept], states), most))

    found = laid(len(best_first), most + 1, _STATES)
    if not found:
        raise ValueError(_why_not(pairs, qubits, snapshot))
    if len(found) <= most:
        return found
    low, high = 0, len(best_first)  # too few are left with `low` couplings, enough with `high`
    while high - low > 1:
        middle = (low + high) // 2
        fewer = laid(middle, most, _STATES_PRUNED)
        if len(fewer) < most:
            low = middle
        else:
            found, high = fewer, middle
    return found[:most]


def largest_distance(code: str, snapshot: Snapshot, *, at_most: int = 25) -> int | None:
    """The largest distance of a code whose memory fits without swaps; None if there is none.

    >>> from calib.from_backend import fake_backend
    >>> largest_distance("rotated-surface", Snapshot.of(fake_backend("fake_nighthawk")))
    5
    """
    family, largest = CODES[code], None
    step = 2 if family.odd_only else 1
    for distance in range(family.smallest_distance, at_most + 1, step):
        lowered = lower(memory_circuit(code, distance=distance, rounds=2))
        wanted = _graph(range(len(lowered.qubits)), lowered.pairs)
        if next(_laid(wanted, snapshot, sorted(snapshot.couplings), _STATES), None) is None:
            break
        largest = distance
    return largest


def _why_not(pairs: Pairs, qubits: int, snapshot: Snapshot) -> str:
    """Too few qubits, or not so coupled; then what would fit."""
    working = sum(snapshot.works(qubit) for qubit in range(snapshot.num_qubits))
    where = f"{snapshot.backend} has no place for {qubits} qubits with {len(pairs)} couplings"
    if qubits > working:
        return f"{where}: {working} of its qubits work. Choose a smaller distance or a larger chip"
    sizes = {code: largest_distance(code, snapshot, at_most=_LOOKED_AT) for code in CODES}
    some = [f"{code}:{size}" for code, size in sizes.items() if size]
    fits = f"what fits, of distances to {_LOOKED_AT}: {', '.join(some)}" if some else "no code fits"
    return (f"{where} as they are coupled; {fits}. Choose one of these, another backend, or let "
            "swaps be added (routed = true, --routed)")  # fmt: skip


def _laid(
    wanted: rx.PyGraph, snapshot: Snapshot, couplings: Pairs, states: int
) -> Iterator[Placement]:
    """The placements of a graph on a device's qubits and some of its couplings."""
    working = [qubit for qubit in range(snapshot.num_qubits) if snapshot.works(qubit)]
    for found in rx.vf2_mapping(
        _graph(working, couplings),
        wanted,
        subgraph=True,
        induced=False,
        call_limit=states,
        id_order=False,
    ):  # from the device's nodes to the circuit's
        place = {role: working[node] for node, role in found.items()}
        yield tuple(place[role] for role in range(len(place)))


def _graph(nodes: Sequence[int], pairs: Pairs) -> rx.PyGraph:
    number = {node: k for k, node in enumerate(nodes)}
    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from(list(nodes))
    graph.add_edges_from_no_data([(number[a], number[b]) for a, b in pairs])
    return graph


def _cost(snapshot: Snapshot, pair: tuple[int, int]) -> float:
    """Errors of a gate and of a readout at both of its ends, with what decays meanwhile."""
    cost = snapshot.operation(snapshot.entangler, pair).error or 0.0
    for qubit in pair:
        readout = snapshot.operation("measure", (qubit,))
        t1_us = snapshot.t1_us[qubit]
        cost += (readout.error or 0.0) / 2
        cost += (readout.duration_ns or 0.0) / 1e3 / t1_us / 4 if t1_us else 0.0
    return cost

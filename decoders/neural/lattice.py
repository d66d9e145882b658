"""Where detectors and edges are in space and time, so that convolutions can see them.

Detectors' own coordinates say it, for any code that has them: x, y and t are ranks among the
values that occur, and an edge is a channel at its first detector, of a kind that says how far its
other end is. The same kinds of edges repeat over the code, so that their number does not grow with
it, and what is learnt at one place serves at all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.dem import Part
from decoders.fault_graph import Bits

Places = NDArray[np.int64]
Grid = NDArray[np.float32]


class Kind(NamedTuple):
    """What edges of a channel have in common.

    The layer of their first detector; how many rounds, rows and columns on the other one is, and in
    which layer (None: the edge ends at the boundary); which observables they flip.
    """

    layer: int
    other: tuple[int, int, int, int] | None
    flipped: tuple[int, ...]


class Lattice(NamedTuple):
    """T rounds of Y rows and X columns; detectors that share a place are in L layers.

    `detectors` [D] are places in [L, T, Y, X] laid flat, `edges` [E] places in [K, T, Y, X], with
    a channel for each of K kinds.

    >>> circuit = stim.Circuit.generated("surface_code:rotated_memory_z", distance=3, rounds=3,
    ...     after_clifford_depolarization=0.01)
    >>> from decoders.fault_graph import FaultGraph
    >>> graph = FaultGraph.of(circuit.detector_error_model(decompose_errors=True))
    >>> lattice = Lattice.of(circuit.get_detector_coordinates(), graph.edges)
    >>> lattice.shape, len(lattice.kinds), len(graph.edges)
    ((1, 4, 4, 4), 10, 78)
    """

    shape: tuple[int, int, int, int]
    detectors: Places
    kinds: tuple[Kind, ...]
    edges: Places

    @classmethod
    def of(
        cls,
        coordinates: Mapping[int, Sequence[float]],
        edges: Sequence[Part],
        kinds: Sequence[Kind] = (),
    ) -> Lattice:
        """From coordinates (x, y, t), (x, t) or (t), or more of which the rest says no place.

        `kinds` are channels that are there in any case, before those of other kinds.
        """
        if not coordinates or not all(len(coordinates[one]) for one in coordinates):
            bare = next((one for one in coordinates if not len(coordinates[one])), 0)
            raise ValueError(
                f"D{bare} has no coordinates: give every DETECTOR of the circuit its (x, y, t)"
            )
        cells = np.stack([_ranks([_place(coordinates[one])[axis] for one in sorted(coordinates)])
                          for axis in range(3)], axis=1)  # fmt: skip
        layers = _layers(cells)
        rounds, rows, columns = (1 + int(most) for most in cells.max(axis=0))
        shape = 1 + int(layers.max()), rounds, rows, columns
        numbers = {kind: number for number, kind in enumerate(kinds)}
        firsts = np.zeros(len(edges), dtype=np.int64)
        channels = np.zeros(len(edges), dtype=np.int64)
        for number, edge in enumerate(edges):
            first, kind = _kind(edge, cells, layers)
            firsts[number], channels[number] = first, numbers.setdefault(kind, len(numbers))
        flat = np.asarray(np.ravel_multi_index(tuple(cells.T), shape[1:]))
        size = rounds * rows * columns
        return cls(shape, layers * size + flat, tuple(numbers), channels * size + flat[firsts])

    def with_events(self, events: Bits) -> Grid:
        """Events [N, D] where they are, [N, L, T, Y, X]."""
        found = np.zeros((len(events), int(np.prod(self.shape))), dtype=np.float32)
        found[:, self.detectors] = events
        return found.reshape(len(events), *self.shape)

    def with_edges(self, values: NDArray[np.floating] | Bits) -> Grid:
        """Values of edges [N, E] where these are, [N, K, T, Y, X]; 0 where there is none."""
        shape = len(self.kinds), *self.shape[1:]
        found = np.zeros((len(values), int(np.prod(shape))), dtype=np.float32)
        found[:, self.edges] = values
        return found.reshape(len(values), *shape)


def coordinates_of(source: stim.Circuit | stim.DetectorErrorModel) -> dict[int, list[float]]:
    """Of all detectors; empty lists where a detector has none."""
    known = source.get_detector_coordinates()
    return {number: list(known.get(number, [])) for number in range(source.num_detectors)}


def _place(coordinates: Sequence[float]) -> tuple[float, float, float]:
    """(t, y, x)."""
    x, y, t = {1: (0.0, 0.0, coordinates[0]), 2: (coordinates[0], 0.0, coordinates[-1])}.get(
        len(coordinates), tuple(coordinates[:3])
    )
    return t, y, x


def _ranks(values: Sequence[float]) -> Places:
    """The rank of each among the different ones; values a rounding error apart are the same."""
    return np.unique(np.round(values, 6), return_inverse=True)[1].astype(np.int64)


def _layers(cells: Places) -> Places:
    """0 for the first detector at a place, 1 for the next there, and so on."""
    seen: dict[tuple[int, ...], int] = {}
    found = np.zeros(len(cells), dtype=np.int64)
    for number, cell in enumerate(map(tuple, cells.tolist())):
        found[number] = seen.get(cell, 0)
        seen[cell] = seen.get(cell, 0) + 1
    return found


def _kind(edge: Part, cells: Places, layers: Places) -> tuple[int, Kind]:
    """Its first detector, in the order of time, rows and columns, and what it is."""
    first, *rest = sorted(edge[0], key=lambda one: (*cells[one].tolist(), int(layers[one])))
    flipped = tuple(sorted(edge[1]))
    if not rest:
        return first, Kind(int(layers[first]), None, flipped)
    rounds, rows, columns = (cells[rest[0]] - cells[first]).tolist()
    return first, Kind(int(layers[first]), (rounds, rows, columns, int(layers[rest[0]])), flipped)

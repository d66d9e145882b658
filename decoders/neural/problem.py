"""What an error model gives a network: edges, where they are in space and time, what they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import stim

from decoders.fault_graph import FaultGraph
from decoders.neural.lattice import Grid, Kind, Lattice, coordinates_of

_USUAL_WEIGHT = 5.0  # of an edge, ln((1 - p) / p): networks see weights around 1


class Problem(NamedTuple):
    """An error model of edges, whose detectors have coordinates."""

    model: stim.DetectorErrorModel
    graph: FaultGraph
    lattice: Lattice

    @classmethod
    def of(cls, model: stim.DetectorErrorModel, kinds: Sequence[Kind] | None = None) -> Problem:
        """From a decomposed model; ValueError if it has other kinds of edges than `kinds`.

        >>> circuit = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=2,
        ...     before_round_data_depolarization=0.01)
        >>> Problem.of(circuit.detector_error_model(decompose_errors=True)).lattice.shape
        (1, 3, 1, 2)
        """
        graph = FaultGraph.of(model)
        lattice = Lattice.of(coordinates_of(model), graph.edges, kinds or ())
        if kinds is not None and len(lattice.kinds) > len(kinds):
            strange = lattice.kinds[len(kinds)]
            raise ValueError(
                f"it was trained for {len(kinds)} kinds of edges, and the error model has "
                f"{len(lattice.kinds) - len(kinds)} others, such as {_named(strange)}"
            )
        return cls(model, graph, lattice)

    @property
    def weights(self) -> Grid:
        """Of edges where they are, [1, K, T, Y, X], in units of a usual one."""
        return self.lattice.with_edges(self.graph.alone[None] / _USUAL_WEIGHT)

    @property
    def chances(self) -> tuple[float, float]:
        """The lowest and the highest probability of an edge by itself."""
        weights = self.graph.alone
        low, high = (float(1 / (1 + np.exp(one))) for one in (weights.max(), weights.min()))
        return low, high


def _named(kind: Kind) -> str:
    end = "to the boundary" if kind.other is None else f"over (t, y, x) = {kind.other[:3]}"
    flips = f" that flips L{kind.flipped[0]}" if kind.flipped else ""
    return f"one {end}{flips}"

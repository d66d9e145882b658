"""Which qubits are coupled: lines, square lattices, heavy hexagons, or any list of pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Pair = tuple[int, int]


@dataclass(frozen=True)
class Graph:
    """Coupled qubits: `pairs` are (lower number, higher number), sorted; `places` for drawing."""

    qubits: int
    pairs: tuple[tuple[int, int], ...]
    places: tuple[tuple[float, float], ...]

    def groups(self) -> tuple[int, ...]:
        """0 or 1 for each qubit, so that coupled qubits differ where the graph allows it."""
        neighbours: dict[int, list[int]] = {qubit: [] for qubit in range(self.qubits)}
        for a, b in self.pairs:
            neighbours[a].append(b)
            neighbours[b].append(a)
        group: dict[int, int] = {}
        for root in range(self.qubits):
            waiting = [root] if root not in group else []
            group.setdefault(root, 0)
            while waiting:
                qubit = waiting.pop()
                for other in neighbours[qubit]:
                    if other not in group:
                        group[other] = 1 - group[qubit]
                        waiting.append(other)
        return tuple(group[qubit] for qubit in range(self.qubits))

    def is_bipartite(self) -> bool:
        """Whether the two groups separate every coupled pair."""
        group = self.groups()
        return all(group[a] != group[b] for a, b in self.pairs)


class _Topology(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Topology):
    """Qubits in a row."""

    kind: Literal["line"] = Field(default="line", description="selects this graph: a row")
    qubits: int = Field(ge=1, description="number of qubits")

    def graph(self) -> Graph:
        """Return the couplings."""
        pairs = tuple((q, q + 1) for q in range(self.qubits - 1))
        return Graph(self.qubits, pairs, tuple((float(q), 0.0) for q in range(self.qubits)))


class Square(_Topology):
    """A square lattice, numbered row by row."""

    kind: Literal["square"] = Field(default="square", description="selects this graph: a lattice")
    rows: int = Field(ge=1, description="number of rows")
    columns: int = Field(ge=1, description="number of columns")

    def graph(self) -> Graph:
        """Return the couplings."""
        grid = [(r, c) for r in range(self.rows) for c in range(self.columns)]
        number = {place: k for k, place in enumerate(grid)}
        pairs = [(number[place], number[r + dr, c + dc]) for place in number for r, c in [place]
                 for dr, dc in ((0, 1), (1, 0)) if (r + dr, c + dc) in number]  # fmt: skip
        places = tuple((float(c), float(r)) for r, c in number)
        return Graph(len(number), tuple(sorted(pairs)), places)


class HeavyHex(_Topology):
    """Hexagons with a qubit on every corner and every edge, in rows of `columns` cells.

    Rows of qubits in a line are joined by bridge qubits, every four qubits, shifted by two from
    one gap to the next: the lattice of IBM's Eagle and Heron processors (arXiv:1907.09528).
    """

    kind: Literal["heavy-hex"] = Field(default="heavy-hex", description="selects this graph")
    rows: int = Field(ge=1, description="rows of hexagons")
    columns: int = Field(ge=1, description="hexagons in a row")

    def graph(self) -> Graph:
        """Return the couplings."""
        length = 4 * self.columns + (3 if self.rows > 1 else 1)
        places: list[tuple[float, float]] = []
        pairs: list[tuple[int, int]] = []
        above: dict[int, int] = {}  # bridge qubits that hang below the last row, by column
        for row in range(self.rows + 1):
            first = len(places)
            places += [(float(column), 2.0 * row) for column in range(length)]
            pairs += [(first + k, first + k + 1) for k in range(length - 1)]
            pairs += [(bridge, first + column) for column, bridge in above.items()]
            above = {}
            if row < self.rows:
                for column in range(2 * (row % 2), length, 4):
                    above[column] = len(places)
                    pairs.append((first + column, len(places)))
                    places.append((float(column), 2.0 * row + 1))
        return Graph(len(places), tuple(sorted(pairs)), tuple(places))


class Couplings(_Topology):
    """Any graph, as a list of coupled pairs: the coupling map of a device."""

    kind: Literal["couplings"] = Field(default="couplings", description="selects a list of pairs")
    qubits: int = Field(ge=1, description="number of qubits")
    pairs: tuple[tuple[int, int], ...] = Field(description="coupled qubits, as in [[0, 1], [1, 2]]")
    places: tuple[tuple[float, float], ...] | None = Field(
        default=None, description="where each qubit lies, for pictures: (x, y); else on a circle"
    )

    @model_validator(mode="after")
    def _check(self) -> Couplings:
        for a, b in self.pairs:
            if a == b or not (0 <= a < self.qubits and 0 <= b < self.qubits):
                raise ValueError(
                    f"pairs: expected two different qubits below {self.qubits}, got {a} and {b}"
                )
        if self.places is not None and len(self.places) != self.qubits:
            raise ValueError(
                f"places: expected one for each of {self.qubits} qubits, got {len(self.places)}"
            )
        return self

    def graph(self) -> Graph:
        """Return the couplings; qubits whose places are not given are placed on a circle."""
        pairs = sorted({(min(pair), max(pair)) for pair in self.pairs})
        turn = 2 * math.pi / self.qubits
        circle = tuple((math.cos(turn * q), math.sin(turn * q)) for q in range(self.qubits))
        return Graph(self.qubits, tuple(pairs), self.places or circle)


AnyTopology = Annotated[Line | Square | HeavyHex | Couplings, Field(discriminator="kind")]

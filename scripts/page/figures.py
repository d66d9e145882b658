"""What a report is made of: sections of words, tables and figures, as plain data.

A figure says what is to be seen; charts.js draws it, so that one can hover, zoom and toggle. Every
figure has a caption, words for those who do not see it, and its numbers as a table.

    chart = Chart(
        title="Logical error rate",
        caption="100,000 shots each, seed 1. Bands: 95 % Wilson intervals.",
        x=Axis("physical error rate p", "log"),
        y=Axis("LER a round", "log"),
        curves=[Curve("pymatching", x=[0.003, 0.005], y=[1e-4, 7e-4], low=[8e-5, 6e-4],
                      high=[1.3e-4, 8e-4])],
    )
    page = Page("My run", sections=[Section("Errors", figures=[chart])])
    write_page(page, pathlib.Path("report.html"))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

Number = float | int | None

Scale = Literal["linear", "log"]
Format = Literal["plain", "percent", "seconds"]
Mark = Literal["line", "step", "points"]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis; `low` and `high` are ends that it has whatever the data."""

    label: str
    scale: Scale = "linear"
    format: Format = "plain"
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class Curve:
    """Points in the order of x; None is a gap. `low` and `high` are bands, or bars of points.

    Curves of one `group` have one colour and go on and off together (by default each by itself);
    `dashed` sets one apart in its group. `notes` are shown when one hovers over a point.
    """

    name: str
    x: Sequence[Number]
    y: Sequence[Number]
    low: Sequence[Number] | None = None
    high: Sequence[Number] | None = None
    mark: Mark = "line"
    group: str | None = None
    dashed: bool = False
    notes: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True)
class Line:
    """A straight line across, at a value of x or of y, with a word beside it."""

    axis: Literal["x", "y"]
    at: float
    label: str


@dataclasses.dataclass(frozen=True)
class Chart:
    """Curves over an axis. `diagonal` is the line y = x."""

    title: str
    caption: str
    x: Axis
    y: Axis
    curves: Sequence[Curve]
    lines: Sequence[Line] = ()
    diagonal: bool = False


@dataclasses.dataclass(frozen=True)
class Bars:
    """Lengths beside names, the longest first if given so; `low` and `high` are their intervals.

    `parts` are the groups to which bars belong, by colour.
    """

    title: str
    caption: str
    value: Axis
    names: Sequence[str]
    values: Sequence[Number]
    low: Sequence[Number] | None = None
    high: Sequence[Number] | None = None
    parts: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """A table in colours, values[row][column]; None is absent and drawn as such.

    `centred` has two hues around 0, for what can be negative.
    """

    title: str
    caption: str
    value: Axis
    row_label: str
    column_label: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[Number]]
    centred: bool = False


@dataclasses.dataclass(frozen=True)
class Layer:
    """One way to colour a chip: a value for each qubit, or for each coupling, in their order.

    `centred` has two hues around 0, as of a heat map.
    """

    name: str
    value: Axis
    qubits: Sequence[Number] = ()
    couplings: Sequence[Number] = ()
    centred: bool = False


@dataclasses.dataclass(frozen=True)
class Chip:
    """Qubits at their places (x, y), y downwards, and couplings of numbers of qubits.

    One layer is shown at a time, chosen by a button. `ringed` are numbers of qubits.
    """

    title: str
    caption: str
    places: Sequence[tuple[float, float]]
    names: Sequence[str]
    couplings: Sequence[tuple[int, int]]
    layers: Sequence[Layer]
    ringed: Sequence[int] = ()


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text; numbers stand right."""

    title: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


Figure = Chart | Bars | HeatMap | Chip | Table


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, words in paragraphs, figures below; `more` is the address of a longer report."""

    title: str
    words: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    more: str | None = None


@dataclasses.dataclass(frozen=True)
class Page:
    """A whole report. `facts` stand at its end: versions, commit, seeds, the command."""

    title: str
    subtitle: str = ""
    sections: Sequence[Section] = ()
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

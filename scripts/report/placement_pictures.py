"""Pictures of a chip: how well its qubits and couplings work, and which of them were chosen."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.report.style import Labels, Palette, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calib.snapshot import Snapshot

Pair = tuple[int, int]
Place = tuple[float, float]

_QUBIT_PT = 11.0
_RING_PT = (4.0, 8.5)  # how much wider than a qubit its first ring is, and each further one's step
_STEP_IN = (0.42, 0.8)  # between coupled qubits: the least, and the most on a small chip
_MARGIN = 0.55  # around the qubits, in steps
_MAP_IN = 6.0  # the least width, where steps are not at their most
_WORDS_IN = 1.65  # the height of title, key, scales and caption
_BAR_IN = 0.12
_GATE_RAMP = "plasma"  # not the qubits' ramp: the two scales differ
_RINGS: tuple[Any, ...] = ("-", (0, (2.2, 1.1)), (0, (1, 0.9)))


class Chosen(NamedTuple):
    """A placement: entry k is the device's qubit for qubit k; `pairs` are coupled by the circuit.

    `name` stands in the key.
    """

    name: str
    qubits: Sequence[int]
    pairs: Sequence[Pair]

    @property
    def couplings(self) -> list[Pair]:
        """The device's, the lower qubit first."""
        found = ((self.qubits[a], self.qubits[b]) for a, b in self.pairs)
        return sorted((min(pair), max(pair)) for pair in found)


def draw_placement(
    snapshot: Snapshot,
    chosen: Sequence[Chosen],
    target: pathlib.Path,
    *,
    title: str,
    origin: str,
) -> list[pathlib.Path]:
    """The map of a chip with one to three placements on it.

    Qubits are coloured by their readout error, couplings by the error of their gate; what does not
    work is hollow or dotted. Writes TARGET.png and its siblings; returns their paths.
    """
    if not 1 <= len(chosen) <= len(_RINGS):
        raise ValueError(f"expected one to {len(_RINGS)} placements to draw, got {len(chosen)}")
    couplings = all_couplings(snapshot)
    places = chip_places(snapshot.num_qubits, couplings)
    labels = Labels(title, f"{caption(snapshot)} {origin}")
    wide, high = (max(at) - min(at) + 2 * _MARGIN for at in zip(*places, strict=True))
    step_in = min(max(_STEP_IN[0], _MAP_IN / wide), _STEP_IN[1])
    size_in = (max(_MAP_IN, step_in * wide) + 0.2, step_in * high + _WORDS_IN)
    return save(lambda figure, palette: _paint(snapshot, chosen, places, figure, palette),
                target, labels, list(_rows(snapshot, chosen, places)), size_in)  # fmt: skip


def caption(snapshot: Snapshot) -> str:
    """What numbers are, and how that looks which does not work, if there is any."""
    broken = []
    if not all(map(snapshot.works, range(snapshot.num_qubits))):
        broken.append("hollow")
    if not snapshot.couplings.issuperset(all_couplings(snapshot)):
        broken.append("dotted")
    said = f" {' and '.join(broken).capitalize()}: reported as not working." if broken else ""
    return f"Numbers: the qubits chosen.{said}"


def all_couplings(snapshot: Snapshot) -> list[Pair]:
    """Every coupling that the device has, whether it works or not, the lower qubit first."""
    found = snapshot.operations[snapshot.entangler]
    return sorted({(min(pair), max(pair)) for pair in found})


def chip_places(qubits: int, couplings: Sequence[Pair]) -> list[Place]:
    """Where to draw each qubit: (x, y), y downwards.

    IBM numbers its square and heavy-hex lattices row by row: a coupling of neighbouring numbers
    lies in a row, any other leads one row down, and all have one length. Where that does not hold,
    springs decide.

    >>> chip_places(5, [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)])
    [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]
    """
    places: dict[int, Place] = {0: (0.0, 0.0)}
    waiting = [0]
    near: dict[int, list[int]] = {qubit: [] for qubit in range(qubits)}
    for a, b in couplings:
        near[a].append(b)
        near[b].append(a)
    while waiting:
        qubit = waiting.pop()
        for other in near[qubit]:
            if other not in places:
                places[other] = _next_to(qubit, other, places[qubit])
                waiting.append(other)
    regular = len(set(places.values())) == qubits and all(
        _next_to(a, b, places[a]) == places[b] for a, b in couplings
    )
    if not regular:
        return _sprung(qubits, couplings)
    left, top = (min(at[axis] for at in places.values()) for axis in (0, 1))
    return [(places[qubit][0] - left, places[qubit][1] - top) for qubit in range(qubits)]


def _next_to(qubit: int, other: int, at: Place) -> Place:
    step = 1.0 if other > qubit else -1.0
    return (at[0] + step, at[1]) if abs(other - qubit) == 1 else (at[0], at[1] + step)


def _sprung(qubits: int, couplings: Sequence[Pair]) -> list[Place]:
    import rustworkx as rx

    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(qubits))
    graph.add_edges_from_no_data(list(couplings))
    found = rx.spring_layout(graph, seed=0, num_iter=500)
    scale = math.sqrt(qubits)
    return [(scale * float(found[q][0]), scale * float(found[q][1])) for q in range(qubits)]


def _rows(
    snapshot: Snapshot, chosen: Sequence[Chosen], places: Sequence[Place]
) -> Iterator[dict[str, Any]]:
    """What the picture shows: a row for every qubit, then one for every coupling."""
    for qubit, (x, y) in enumerate(places):
        users = [one.name for one in chosen if qubit in one.qubits]
        yield {"kind": "qubit", "at": qubit, "x": x, "y": y, "error": _readout(snapshot, qubit),
               "works": snapshot.works(qubit), "chosen": "; ".join(users)}  # fmt: skip
    for pair in all_couplings(snapshot):
        users = [one.name for one in chosen if pair in one.couplings]
        yield {"kind": snapshot.entangler, "at": f"{pair[0]}-{pair[1]}",
               "error": snapshot.operation(snapshot.entangler, pair).error,
               "works": pair in snapshot.couplings, "chosen": "; ".join(users)}  # fmt: skip


def _readout(snapshot: Snapshot, qubit: int) -> float | None:
    if (qubit,) not in snapshot.operations.get("measure", {}):
        return None
    return snapshot.operation("measure", (qubit,)).error


def _paint(
    snapshot: Snapshot,
    chosen: Sequence[Chosen],
    places: Sequence[Place],
    figure: Figure,
    palette: Palette,
) -> None:
    xs, ys = zip(*places, strict=True)
    high = max(ys) - min(ys) + 2 * _MARGIN
    grid = figure.add_gridspec(2, 2, height_ratios=[high * _STEP_IN[0], _BAR_IN])
    axes = figure.add_subplot(grid[0, :])
    axes.set_aspect("equal")
    axes.axis("off")
    for seat in reversed(range(len(chosen))):  # the first on top
        _draw_rings(axes, chosen[seat], seat, places, palette)
    gates = _draw_couplings(axes, snapshot, places, palette)
    readouts = _draw_qubits(axes, snapshot, places, palette)
    for qubit in sorted({qubit for one in chosen for qubit in one.qubits}):
        error = _readout(snapshot, qubit)
        ink = _ink_on(readouts.to_rgba(error)) if error is not None else palette.ink
        axes.annotate(str(qubit), places[qubit], ha="center", va="center", fontsize=5.2,
                      color=ink, zorder=6)  # fmt: skip
    axes.set_xlim(min(xs) - _MARGIN, max(xs) + _MARGIN)
    axes.set_ylim(max(ys) + _MARGIN, min(ys) - _MARGIN)
    for column, shades, words in (
        (0, readouts, "discs: readout error of the qubit"),
        (1, gates, f"lines: error of the {snapshot.entangler} gate"),
    ):
        _draw_scale(figure, figure.add_subplot(grid[1, column]), shades, words)
    _draw_key(axes, chosen, palette)


def _draw_rings(
    axes: Axes, one: Chosen, seat: int, places: Sequence[Place], palette: Palette
) -> None:
    """Rings around the qubits of a placement, and bands along the couplings of the first."""
    colour = palette.kinds[seat]
    if not seat:
        for a, b in one.couplings:
            axes.plot(*zip(places[a], places[b], strict=True), color=colour, alpha=0.35,
                      linewidth=8, solid_capstyle="butt", zorder=1)  # fmt: skip
    from matplotlib.markers import MarkerStyle

    width = _QUBIT_PT + _RING_PT[0] + seat * (_RING_PT[1] - _RING_PT[0])
    axes.scatter(
        *zip(*(places[qubit] for qubit in one.qubits), strict=True),
        s=width**2,
        marker=MarkerStyle("o"),
        facecolors=palette.background if not seat else "none",
        edgecolors=colour,
        linewidths=2.0 if not seat else 1.5,
        linestyles=[_RINGS[seat]],
        zorder=2,
    )


def _draw_couplings(
    axes: Axes, snapshot: Snapshot, places: Sequence[Place], palette: Palette
) -> Any:
    """Lines in the colours of their gates' errors."""
    couplings = all_couplings(snapshot)
    errors = {pair: snapshot.operation(snapshot.entangler, pair).error for pair in couplings}
    known = [errors[pair] for pair in snapshot.couplings]
    shades = _shades(known, (_GATE_RAMP, *palette.ramp[1:]))
    for pair in couplings:
        ends: Any = zip(*(places[qubit] for qubit in pair), strict=True)
        if pair in snapshot.couplings:
            axes.plot(*ends, color=shades.to_rgba(errors[pair] or 0.0), linewidth=3.2, zorder=3)
        else:
            axes.plot(*ends, color=palette.faint, linewidth=1, linestyle=":", zorder=3)
    return shades


def _draw_qubits(axes: Axes, snapshot: Snapshot, places: Sequence[Place], palette: Palette) -> Any:
    """Discs in the colours of their readout errors."""
    errors = [_readout(snapshot, qubit) for qubit in range(snapshot.num_qubits)]
    works = [snapshot.works(qubit) for qubit in range(snapshot.num_qubits)]
    known = [one for one, ok in zip(errors, works, strict=True) if ok]
    shades = _shades(known, palette.ramp)
    for place, error, ok in zip(places, errors, works, strict=True):
        face = shades.to_rgba(error or 0.0) if ok else palette.background
        axes.plot([place[0]], [place[1]], marker="o", markersize=_QUBIT_PT, markerfacecolor=face,
                  markeredgecolor=palette.background if ok else palette.faint,
                  markeredgewidth=0.8, zorder=4)  # fmt: skip
    return shades


def _shades(errors: Sequence[float | None], ramp: tuple[str, float, float]) -> Any:
    """Colours of errors, on a logarithmic scale: a colormap's, from its first end to its last."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    known = [error for error in errors if error] or [1e-3, 1e-1]
    low, high = min(known), max(known)
    name, first, last = ramp
    steps = [colormaps[name](first + (last - first) * k / 255) for k in range(256)]
    scale = LogNorm(low, high if high > low else 2 * low, clip=True)
    return ScalarMappable(scale, LinearSegmentedColormap.from_list("errors", steps))


def _draw_scale(figure: Figure, axes: Axes, shades: Any, words: str) -> None:
    """A colour bar with its title above, and errors in per cent."""
    bar = figure.colorbar(shades, cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)  # type: ignore[operator] -- matplotlib's stub takes it for data
    axes.set_title(words, fontsize=8.5, loc="left")
    low, high = shades.get_clim()
    ticks = [step * 10.0**power for power in range(-6, 1) for step in (1, 2, 5)]
    ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    bar.set_ticks(ticks, labels=[f"{100 * tick:g} %" for tick in ticks])
    bar.minorticks_off()


def _ink_on(colour: Any) -> str:
    """Black or white, whichever is read on a colour (its luminance by Rec. 709)."""
    light = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
    return "#000000" if light > 0.45 else "#ffffff"


def _draw_key(axes: Axes, chosen: Sequence[Chosen], palette: Palette) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=palette.kinds[seat], linestyle=_RINGS[seat], linewidth=2)
        for seat in range(len(chosen))
    ]
    axes.legend(handles, [one.name for one in chosen], loc="upper center",
                bbox_to_anchor=(0.5, 0.0), ncols=len(chosen), handlelength=2.4)  # fmt: skip

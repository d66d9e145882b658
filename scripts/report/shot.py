"""The picture of one shot: what happened, what the decoder sees and finds, and both together."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from scripts.report.story import leftover, verdict
from scripts.report.style import Labels, Palette, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from decoders.layout import Event, Layout, Place
    from decoders.one_shot import Edge, OneShot

SHOT_SIZE_IN = (7.6, 4.9)

# The slant of the oblique view: how far a step in depth goes to the right, and up.
_SLANT = (0.42, 0.40)
# Height over width of a panel's drawing, which the distance between the rounds is chosen for.
_ASPECT = 1.5

# Width of the band along a chain, by whether it flips the logical qubit.
_BAND_PT = {False: 9, True: 12}

# So many lines of words have room below the patch seen from above.
_MOST_LINES = 6


def draw_shot(
    one: OneShot, target: pathlib.Path, *, title: str, caption: str
) -> list[pathlib.Path]:
    """One shot in three panels: faults and events; events and matching; both, and the verdict.

    Surface codes are drawn as a stack of rounds and, in the third panel, from above; a repetition
    code as its plane of space and time. Writes TARGET.png and its siblings; returns their paths.
    """
    if one.layout.is_line:
        left = leftover(one)
        caption = f"{left[0].upper()}{left[1:]} {verdict(one)} {caption}"
    paint = functools.partial(_paint, one)
    return save(paint, target, Labels(title, caption), _rows(one), SHOT_SIZE_IN)


def _rows(one: OneShot) -> list[dict[str, Any]]:
    """Everything drawn: faults' edges, events, the matching's edges and the chains of both."""
    rows = []
    for number, fault in enumerate(one.faults, 1):
        for edge in fault.edges:
            rows.append(_edge_row(one, "fault", number, edge) | {"words": fault.words})
    for detector in one.events:
        x, y, t = one.layout.detectors[detector]
        start = {"x0": x, "y0": y, "t0": t}
        rows.append({"what": "event", "detectors": str(detector), **start})
    rows += [_edge_row(one, "matching", k, edge) for k, edge in enumerate(one.matching, 1)]
    for number, chain in enumerate(one.chains, 1):
        rows += [_edge_row(one, "chain", number, edge) for edge in chain.edges]
    return [row | {"seed": one.seed, "shot": one.shot} for row in rows]


def _edge_row(one: OneShot, what: str, number: int, edge: Edge) -> dict[str, Any]:
    start, end = one.segment(edge)
    ends = zip(("x0", "y0", "t0", "x1", "y1", "t1"), (*start, *end), strict=True)
    detectors = " ".join(map(str, edge.detectors))
    return {"what": what, "number": number, "detectors": detectors, **dict(ends),
            "crosses": edge.crosses}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _View:
    """How (x, y, t) comes onto the page: obliquely, as a plane of space and time, or from above."""

    kind: str
    rise: float
    y_front: float

    def place(self, event: Event) -> Place:
        x, y, t = event
        if self.kind == "plane":
            return x, t * self.rise
        if self.kind == "above":
            return x, -y
        depth = self.y_front - y
        return x + _SLANT[0] * depth, t * self.rise + _SLANT[1] * depth


def _box(layout: Layout) -> tuple[float, float, float, float]:
    """x_low, x_high, y_low, y_high of the patch, with the half step that its border is wide."""
    xs = [x for x, _ in layout.data.values()]
    ys = [y for _, y in layout.data.values()]
    return min(xs) - 1, max(xs) + 1, min(ys) - 1, max(ys) + 1


def _views(layout: Layout) -> tuple[_View, _View]:
    """The view of the first two panels, and of the third."""
    x_low, x_high, y_low, y_high = _box(layout)
    steps = max(layout.layers - 1, 1)
    if layout.is_line:
        rise = _ASPECT * (x_high - x_low) / steps
        plane = _View("plane", min(rise, 3.0), 0.0)
        return plane, plane
    depth = y_high - y_low
    width = x_high - x_low + _SLANT[0] * depth
    rise = (_ASPECT * width - _SLANT[1] * depth) / steps
    rise = min(max(rise, 1.5), 1.4 * _SLANT[1] * depth)
    return _View("oblique", rise, y_high), _View("above", 0.0, y_high)


def _paint(one: OneShot, figure: Figure, palette: Palette) -> None:
    grid = figure.add_gridspec(2, 3, height_ratios=[1, 0.1])
    first, second, third = (figure.add_subplot(grid[0, k]) for k in range(3))
    stacked, together = _views(one.layout)
    for axes in (first, second, third):
        axes.set_aspect("equal", anchor="N")
        axes.axis("off")
    for axes in (first, second):
        _draw_stage(axes, one, stacked, palette)
    for t in range(one.layout.layers):
        _name_round(first, one.layout, stacked, t, palette)
    faults = [edge for fault in one.faults for edge in fault.edges]
    _draw_edges(first, one, stacked, faults, ("error", palette))
    _draw_edges(second, one, stacked, one.matching, ("correction", palette))
    _draw_stage(third, one, together, palette)
    _draw_logical(third, one.layout, together, palette)
    _draw_chains(third, one, together, palette)
    inner = [edge for edge in faults if _matters(one, edge)]
    _draw_edges(third, one, together, inner, ("error", palette))
    inner = [edge for edge in one.matching if _matters(one, edge)]
    _draw_edges(third, one, together, inner, ("correction", palette))
    for axes, view in ((first, stacked), (second, stacked), (third, together)):
        _draw_events(axes, one, view, palette)
        _frame(axes, one, view)
    _write_titles((first, second, third), one, palette)
    key = figure.add_subplot(grid[1, :])
    key.axis("off")
    _draw_key(key, one, palette)


def _matters(one: OneShot, edge: Edge) -> bool:
    return edge.detectors[0] in one.relevant


def _draw_stage(axes: Axes, one: OneShot, view: _View, palette: Palette) -> None:
    """The patch in each round (or once, from above), with its qubits and checks, all faint."""
    layout = one.layout
    for t in range(layout.layers if view.kind != "above" else 1):
        if view.kind == "plane":
            _draw_round_line(axes, layout, view, t, palette)
        else:
            _draw_sheet(axes, one, view, t, palette)


def _draw_round_line(axes: Axes, layout: Layout, view: _View, t: int, palette: Palette) -> None:
    x_low, x_high, _, _ = _box(layout)
    height = view.place((0, 0, t))[1]
    axes.plot([x_low, x_high], [height] * 2, color=palette.grid, linewidth=1, zorder=0)
    _dot(axes, [(x, height) for x, _ in layout.checks], "s", 4, palette)
    _dot(axes, [(x, height) for x, _ in layout.data.values()], "o", 2.2, palette)


def _draw_sheet(axes: Axes, one: OneShot, view: _View, t: int, palette: Palette) -> None:
    layout = one.layout
    x_low, x_high, y_low, y_high = _box(layout)
    corners = [(x_low, y_low), (x_high, y_low), (x_high, y_high), (x_low, y_high)]
    if view.kind == "oblique":
        axes.fill(*_columns(view.place((x, y, t)) for x, y in corners), facecolor=palette.tiles[1],
                  edgecolor=palette.grid, linewidth=0.8, alpha=0.75, zorder=0)  # fmt: skip
        _dot(axes, [view.place((x, y, t)) for x, y in layout.data.values()], "o", 1.6, palette)
        return
    matters = {layout.detectors[d][:2] for d in one.relevant}
    for check in layout.checks:
        tile = [view.place((x, y, t)) for x, y in _tile(check, layout.data.values())]
        axes.fill(*_columns(tile), facecolor=palette.tiles[check not in matters],
                  edgecolor=palette.background, linewidth=1.2, zorder=0)  # fmt: skip
    _dot(axes, [view.place((x, y, t)) for x, y in layout.data.values()], "o", 4, palette)


def _dot(axes: Axes, at: Sequence[Place], marker: str, size: float, palette: Palette) -> None:
    axes.plot(*_columns(at), linestyle="none", marker=marker, markersize=size, color=palette.faint,
              markeredgewidth=0, zorder=2)  # fmt: skip


def _columns(places: Iterable[Place]) -> tuple[list[float], list[float]]:
    listed = list(places)
    return [x for x, _ in listed], [y for _, y in listed]


def _tile(check: Place, data: Iterable[Place]) -> list[Place]:
    """The corners of a check's tile: its data qubits in a circle; with two, the check as third."""
    near = [(x, y) for x, y in data if max(abs(x - check[0]), abs(y - check[1])) <= 1]
    corners = [*near, check] if len(near) == 2 else near
    middle = (
        sum(x for x, _ in corners) / len(corners),
        sum(y for _, y in corners) / len(corners),
    )
    return sorted(corners, key=lambda at: math.atan2(at[1] - middle[1], at[0] - middle[0]))


def _name_round(axes: Axes, layout: Layout, view: _View, t: int, palette: Palette) -> None:
    x_low, _, _, y_high = _box(layout)
    name = f"round {t + 1}" if t < layout.layers - 1 else "readout"
    x, y = view.place((x_low, y_high, t))
    axes.annotate(name, (x, y), (-3, 0), textcoords="offset points", ha="right", va="center",
                  fontsize=8, color=palette.faint)  # fmt: skip


def _draw_logical(axes: Axes, layout: Layout, view: _View, palette: Palette) -> None:
    """The line that a chain must cross to flip the logical qubit."""
    if view.kind == "plane":
        x = layout.logical[0][0]
        ends = [(x, -0.5 * view.rise), (x, (layout.layers - 0.5) * view.rise)]
    else:
        (x0, y0), (x1, y1) = layout.logical[0], layout.logical[-1]
        long = math.hypot(x1 - x0, y1 - y0) or 1.0
        dx, dy = 1.1 * (x1 - x0) / long, 1.1 * (y1 - y0) / long
        ends = [view.place((x0 - dx, y0 - dy, 0)), view.place((x1 + dx, y1 + dy, 0))]
    axes.plot(*_columns(ends), color=palette.ink, linewidth=1.6, linestyle=(0, (1, 1.2)), zorder=2)


def _draw_chains(axes: Axes, one: OneShot, view: _View, palette: Palette) -> None:
    """Error and correction together, as a broad band: harmless, or across the logical operator."""
    for chain in sorted(one.chains, key=lambda chain: chain.crosses):  # what matters on top
        if not _matters(one, chain.edges[0]):
            continue
        colour = _band(palette, chain.crosses)
        for edge in chain.edges:
            at = _columns(view.place(end) for end in one.segment(edge))
            axes.plot(*at, color=colour, linewidth=_BAND_PT[chain.crosses],
                      solid_capstyle="round", zorder=1)  # fmt: skip


def _band(palette: Palette, crosses: bool) -> tuple[float, ...]:
    """A chain's colour, thinned but opaque (so no darker at the joints); apart in grey as well."""
    from matplotlib.colors import to_rgb

    full = to_rgb(palette.bad if crosses else palette.good)
    share = 0.45 if crosses else 0.22
    pairs = zip(full, to_rgb(palette.background), strict=True)
    return tuple(share * a + (1 - share) * b for a, b in pairs)


def _draw_edges(
    axes: Axes, one: OneShot, view: _View, edges: Iterable[Edge], look: tuple[str, Palette]
) -> None:
    actor, palette = look
    is_error = actor == "error"
    for edge in edges:
        (x0, y0), (x1, y1) = (view.place(end) for end in one.segment(edge))
        opacity = 1.0 if _matters(one, edge) else 0.4
        colour = palette.error if is_error else palette.correction
        axes.plot([x0, x1], [y0, y1], color=colour, alpha=opacity, zorder=3 if is_error else 4,
                  linewidth=2.6 if is_error else 1.9, solid_capstyle="round",
                  linestyle="-" if is_error else (0, (2.2, 1.3)))  # fmt: skip
        if is_error:
            axes.plot([(x0 + x1) / 2], [(y0 + y1) / 2], marker="X", markersize=7.5, color=colour,
                      markeredgecolor=palette.background, markeredgewidth=0.7,
                      alpha=1.0 if opacity == 1.0 else 0.55, zorder=5)  # fmt: skip


def _draw_events(axes: Axes, one: OneShot, view: _View, palette: Palette) -> None:
    for detector in one.events:
        if detector not in one.relevant and view.kind == "above":
            continue
        x, y = view.place(one.layout.detectors[detector])
        look: dict[str, Any] = {"markersize": 7.5, "markerfacecolor": palette.event}
        if detector not in one.relevant:
            look = {"markersize": 5.5, "markerfacecolor": palette.background}
        axes.plot([x], [y], marker="o", markeredgecolor=palette.ink, markeredgewidth=1, zorder=6,
                  **look)  # fmt: skip


def _frame(axes: Axes, one: OneShot, view: _View) -> None:
    """Limits that hold the patch and every edge that leaves it."""
    x_low, x_high, y_low, y_high = _box(one.layout)
    top = one.layout.layers - 1
    marks = [
        view.place((x, y, t)) for x in (x_low, x_high) for y in (y_low, y_high) for t in (0, top)
    ]
    edges = {*one.matching, *(edge for fault in one.faults for edge in fault.edges)}
    marks += [view.place(end) for edge in edges for end in one.segment(edge)]
    xs, ys = _columns(marks)
    axes.set_xlim(min(xs) - 0.5, max(xs) + 0.5)
    axes.set_ylim(min(ys) - 0.7, max(ys) + 0.7)


def _write_titles(panels: Sequence[Axes], one: OneShot, palette: Palette) -> None:
    right = one.is_right
    above = "" if one.layout.is_line else ", from above"
    words = (
        ("1  What happened", f"{_count(len(one.faults), 'fault')}, seen by nobody", palette.faint),
        ("2  What the decoder does", f"{_count(len(one.events), 'event')} seen, and paired",
         palette.faint),
        (f"3  Together{above}", f"the decoder is {'right' if right else 'wrong'}",
         palette.good if right else palette.bad),
    )  # fmt: skip
    for axes, (title, below, colour) in zip(panels, words, strict=True):
        axes.set_title(title + "\n", loc="left", fontsize=9.5, fontweight="bold")
        weight = "bold" if axes is panels[2] else "normal"
        axes.annotate(below, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points",
                      fontsize=8.5, color=colour, fontweight=weight)  # fmt: skip
    if not one.layout.is_line:  # a patch from above is square and leaves room below
        parts = [leftover(one), verdict(one)]
        parts = [textwrap.wrap(text[0].upper() + text[1:], 38) for text in parts]
        if sum(map(len, parts)) > _MOST_LINES:
            parts = parts[1:]
        said = "\n\n".join("\n".join(lines) for lines in parts)
        note = panels[2].annotate(said, (0, 0), (0, -4), xycoords="axes fraction", va="top",
                                  textcoords="offset points", fontsize=8)  # fmt: skip
        note.set_in_layout(False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _draw_key(axes: Axes, one: OneShot, palette: Palette) -> None:
    from matplotlib.lines import Line2D

    def line(**look: Any) -> Line2D:
        return Line2D([], [], **look)

    entries = [
        ("fault", line(color=palette.error, linewidth=2.6, marker="X", markersize=7)),
        ("detection event", line(linestyle="none", marker="o", markersize=7.5,
                                 markerfacecolor=palette.event, markeredgecolor=palette.ink)),
        ("PyMatching's pairing", line(color=palette.correction, linewidth=1.9,
                                      linestyle=(0, (2.2, 1.3)))),
        ("logical operator", line(color=palette.ink, linewidth=1.6, linestyle=(0, (1, 1.2)))),
    ]  # fmt: skip
    left = {chain.crosses for chain in one.chains if _matters(one, chain.edges[0])}
    if False in left:
        entries.append(("left over: harmless", line(color=_band(palette, False), linewidth=9)))
    if True in left:
        entries.append(("left over: flips it", line(color=_band(palette, True), linewidth=9)))
    if any(detector not in one.relevant for detector in one.events):
        entries.insert(2, ("event of the other kind", line(
            linestyle="none", marker="o", markersize=5.5, markerfacecolor=palette.background,
            markeredgecolor=palette.ink)))  # fmt: skip
    axes.legend([handle for _, handle in entries], [name for name, _ in entries], ncols=3,
                loc="upper left", borderaxespad=0, columnspacing=2, handlelength=2.4)  # fmt: skip

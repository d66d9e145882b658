"""Pictures of logical error rates: against the physical rate, and against decoding time."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scripts.report.rows import LerPoint, TimePoint
from scripts.report.style import (
    DASHES,
    MARKERS,
    Labels,
    Palette,
    legend_column,
    log_axis,
    plain_grid,
    plain_text,
    save,
    seconds_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from decoders.threshold import ThresholdPoint

DECODER_NOTES = {
    "pymatching": "pymatching: minimum-weight matching, without correlations",
    "pymatching-correlated": "pymatching-correlated: two passes, re-weighted by correlations",
}


def draw_ler_against_p(
    points: Sequence[LerPoint],
    target: pathlib.Path,
    *,
    title: str,
    per_round: bool,
    break_even: bool = False,
) -> list[pathlib.Path]:
    """LER against p, log-log: colour is distance, dashes and marker are the decoder.

    Bands are the points' intervals; a point without errors is its upper bound, with an arrow.
    `break_even` adds the line LER = p. Writes TARGET.png and its siblings; returns their paths.
    """
    if not points:
        raise ValueError("a picture of LER against p needs at least one point, got none")
    paint = functools.partial(_paint_ler, points, "round" if per_round else "shot", break_even)
    rows = [
        {**dataclasses.asdict(point), "per": "round" if per_round else "shot"} for point in points
    ]
    return save(paint, target, Labels(title, _ler_caption(points)), rows)


def _paint_ler(
    points: Sequence[LerPoint], unit: str, break_even: bool, figure: Figure, palette: Palette
) -> None:
    axes, column = legend_column(figure)
    sizes = sorted({(point.distance, point.rounds) for point in points})
    decoders = list(dict.fromkeys(point.decoder for point in points))
    for size, colour in zip(sizes, palette.ordered(len(sizes)), strict=True):
        for seat, decoder in enumerate(decoders):
            curve = [q for q in points if (q.distance, q.rounds) == size and q.decoder == decoder]
            _draw_curve(axes, sorted(curve, key=lambda q: q.p), colour, seat, palette)
    strengths = [point.p for point in points]
    x_low, x_high = min(strengths) / 1.12, max(strengths) * 1.12
    y_low, y_high = _rate_range(points)
    axes.set(xscale="log", yscale="log", xlim=(x_low, x_high), ylim=(y_low, y_high))
    if break_even:
        _draw_break_even(axes, palette)
    axes.set(xlabel="physical error rate p", ylabel=f"logical error rate per {unit}")
    decimal = plain_text if x_low > 1e-5 else None
    log_axis(axes.xaxis, x_low, x_high, wanted=strengths, text=decimal)
    log_axis(axes.yaxis, y_low, y_high)
    plain_grid(axes)
    _explain_curves(column, break_even, sizes, decoders, palette)


def _draw_curve(
    axes: Axes, curve: Sequence[LerPoint], colour: str, seat: int, palette: Palette
) -> None:
    """One distance and decoder: seen rates joined by a line with their band, bounds as arrows."""
    seen = [q for q in curve if not q.is_bound]
    p = [q.p for q in seen]
    hollow = {} if seat == 0 else {"markerfacecolor": palette.background, "markeredgewidth": 1.3}
    if len(seen) == 1:
        below, above = [[q.rate - q.low for q in seen], [q.high - q.rate for q in seen]]
        axes.errorbar(p, [q.rate for q in seen], yerr=[below, above], color=colour, capsize=2)
    # Overlapping bands of several decoders turn to mud: all but the first are fainter.
    opacity = 0.22 if seat == 0 else 0.12
    axes.fill_between(p, [q.low for q in seen], [q.high for q in seen], color=colour,
                      alpha=opacity, linewidth=0)  # fmt: skip
    axes.plot(p, [q.rate for q in seen], color=colour, linestyle=DASHES[seat % len(DASHES)],
              marker=MARKERS[seat % len(MARKERS)], **hollow)  # fmt: skip
    split = [q for q in seen if q.method == "splitting"]
    axes.plot([q.p for q in split], [q.rate for q in split], color=colour, linestyle="",
              marker="o", markersize=12, markerfacecolor="none", markeredgewidth=1)  # fmt: skip
    for q in curve:
        if q.is_bound:
            draw_bound(axes, q.p, q.high, colour)


def draw_bound(axes: Axes, x: float, high: float, colour: str) -> None:
    """An upper bound: a bar at the bound and an arrow down from it."""
    axes.plot([x], [high], marker="_", markersize=9, markeredgewidth=1.5, color=colour)
    axes.annotate(
        "",
        xy=(x, high),
        xytext=(0, -17),
        textcoords="offset points",
        arrowprops={"arrowstyle": "<|-", "color": colour, "linewidth": 1.2, "shrinkA": 0,
                    "shrinkB": 0},
    )  # fmt: skip


def _rate_range(points: Iterable[LerPoint | TimePoint]) -> tuple[float, float]:
    """The y axis: all intervals that the data support, and room below for the arrows of bounds."""
    lows = [q.high / 3.5 if q.is_bound else q.low for q in points]
    return min(lows) / 1.25, min(max(q.high for q in points) * 1.3, 1.0)


def _draw_break_even(axes: Axes, palette: Palette) -> None:
    low = max(axes.get_xlim()[0], axes.get_ylim()[0])
    high = min(axes.get_xlim()[1], axes.get_ylim()[1])
    if low < high:
        axes.plot([low, high], [low, high], color=palette.faint, linewidth=1, linestyle="--")


def _explain_curves(
    column: Axes,
    break_even: bool,
    sizes: Sequence[tuple[int, int]],
    decoders: Sequence[str],
    palette: Palette,
) -> None:
    """Two legends in a column of their own: colours for distances, dashes for decoders."""
    from matplotlib.lines import Line2D

    many_rounds = len({distance for distance, _ in sizes}) < len(sizes)
    by_size = [Line2D([], [], color=colour, linewidth=4) for colour in palette.ordered(len(sizes))]
    names = [f"d = {d}, {r} round{'s' * (r != 1)}" if many_rounds else f"d = {d}" for d, r in sizes]
    by_decoder = [
        Line2D([], [], color=palette.ink, linestyle=DASHES[k % len(DASHES)],
               marker=MARKERS[k % len(MARKERS)], markeredgewidth=1.3,
               markerfacecolor=palette.background if k else palette.ink)
        for k in range(len(decoders))
    ]  # fmt: skip
    shown = list(decoders)
    if break_even:
        by_decoder.append(Line2D([], [], color=palette.faint, linewidth=1, linestyle="--"))
        shown.append("LER = p (break-even)")
    if sizes != [(0, 0)]:  # a circuit of unknown distance is the only one in its picture
        first = column.legend(by_size, names, title="distance", alignment="left",
                              loc="upper left", bbox_to_anchor=(-0.12, 1.02),
                              borderaxespad=0)  # fmt: skip
        column.add_artist(first)
        first.set_clip_on(False)
    column.legend(by_decoder, shown, title="decoder", alignment="left", loc="lower left",
                  bbox_to_anchor=(-0.12, 0), borderaxespad=0, handlelength=3.2)  # fmt: skip


def _ler_caption(points: Sequence[LerPoint]) -> str:
    bounds = any(point.is_bound for point in points)
    counted = [point for point in points if point.method == "counting"]
    split = len(counted) < len(points)
    parts = [
        *([f"{shots_text(counted)} shots a point"] if counted else []),
        seeds_text(points),
        f"bands: {confidence_text(points)} intervals",
        *(["ringed: too rare to count, estimated by splitting"] if split else []),
        *(["bars with arrows: upper bounds, no error seen"] if bounds else []),
        *notes_on(point.decoder for point in points),
    ]
    return "; ".join(parts) + "."


def shots_text(points: Iterable[LerPoint | TimePoint | ThresholdPoint]) -> str:
    """The shots of points: one number, or from the fewest to the most."""
    shots = [point.shots for point in points]
    few, most = min(shots), max(shots)
    return f"{few:,}" if few == most else f"{few:,} to {most:,}"


def seeds_text(points: Iterable[LerPoint | TimePoint]) -> str:
    """`seed 1`, or `seeds 1, 2`."""
    seeds = sorted({point.seed for point in points})
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def confidence_text(points: Iterable[LerPoint | TimePoint]) -> str:
    """`95 %`."""
    return " or ".join(f"{round(c * 100, 3):g} %" for c in sorted({q.confidence for q in points}))


def notes_on(decoders: Iterable[str]) -> list[str]:
    """What has to be said about the decoders in a picture: which PyMatching it is."""
    return [DECODER_NOTES[name] for name in dict.fromkeys(decoders) if name in DECODER_NOTES]


def draw_pareto(
    points: Sequence[TimePoint], target: pathlib.Path, *, title: str
) -> list[pathlib.Path]:
    """LER against decoding time a shot, log-log, each decoder named beside its marker.

    Filled marker and whisker: median and 99th percentile of one shot a call; hollow marker: mean
    in batches; vertical bar: the interval of the LER. The line is the Pareto front: no decoder is
    both faster and more accurate. Writes TARGET.png and its siblings; returns their paths.
    """
    shown = [q for q in points if _time_s(q) is not None]
    if not shown:
        raise ValueError("a picture of accuracy against time needs a decoding time, got none")
    bounds = any(point.is_bound for point in shown)
    parts = [
        "filled: median of one shot a call, whisker to the 99th percentile",
        "hollow: mean in batches",
        f"vertical: {confidence_text(shown)} Wilson intervals over {shots_text(shown)} shots, "
        + seeds_text(shown),
        *(["arrow: upper bound, no error seen"] if bounds else []),
        "line: Pareto front",
        *notes_on(point.decoder for point in shown),
    ]
    labels = Labels(title, "; ".join(parts) + ".")
    rows = [dataclasses.asdict(point) | {"on_front": point in _front(shown)} for point in shown]
    return save(functools.partial(_paint_pareto, shown), target, labels, rows)


def _time_s(point: TimePoint) -> float | None:
    """The time by which decoders are compared: a single shot's, where measured."""
    return point.median_s if point.median_s is not None else point.batched_s


def _times(point: TimePoint) -> list[float]:
    return [t for t in (point.batched_s, point.median_s, point.p99_s) if t]


def _height(point: TimePoint) -> float:
    return point.high if point.is_bound else point.rate


def _front(points: Sequence[TimePoint]) -> list[TimePoint]:
    """Points than which no other is both faster and more accurate, the fastest first."""
    front: list[TimePoint] = []
    for point in sorted(points, key=lambda q: (_time_s(q) or 0.0, _height(q))):
        if not front or _height(point) < _height(front[-1]):
            front.append(point)
    return front


def _paint_pareto(points: Sequence[TimePoint], figure: Figure, palette: Palette) -> None:
    axes = figure.add_subplot()
    times = [t for q in points for t in _times(q)]
    x_low, x_high = min(times) / 2, max(times) * 2
    y_low, y_high = _rate_range(points)
    y_low, y_high = y_low / 1.2, y_high * 1.2
    axes.set(xscale="log", yscale="log", xlim=(x_low, x_high), ylim=(y_low, y_high))
    axes.set(xlabel="decoding time per shot", ylabel="logical error rate per shot")
    log_axis(axes.xaxis, x_low, x_high, text=seconds_text)
    log_axis(axes.yaxis, y_low, y_high)
    plain_grid(axes)
    front = _front(points)
    corners = [(_time_s(q) or 0.0, _height(q)) for q in front]
    steps = [(corners[0][0], y_high), *corners, (x_high, corners[-1][1])]
    axes.step(*zip(*steps, strict=True), where="post", color=palette.faint, linewidth=1,
              linestyle="--", zorder=1)  # fmt: skip
    for seat, point in enumerate(points):
        _draw_decoder(axes, point, seat, palette)
    figure.draw_without_rendering()
    colours = [palette.kinds[k % len(palette.kinds)] for k in range(len(points))]
    _name_decoders(axes, points, colours, steps)


def _draw_decoder(axes: Axes, point: TimePoint, seat: int, palette: Palette) -> None:
    colour, marker = palette.kinds[seat % len(palette.kinds)], MARKERS[seat % len(MARKERS)]
    at, height = _time_s(point) or 0.0, _height(point)
    style = {"marker": marker, "markersize": 7, "markeredgewidth": 1.4, "linestyle": "none"}
    if not point.is_bound:
        axes.plot([at, at], [point.low, point.high], color=colour, linewidth=1.3)
    else:
        draw_bound(axes, at, point.high, colour)
    if point.median_s and point.p99_s:
        axes.plot([at, point.p99_s], [height] * 2, color=colour, linewidth=1.3)
        axes.plot([point.p99_s], [height], marker="|", markersize=7, color=colour)
    if point.median_s and point.batched_s:
        axes.plot([point.batched_s, at], [height] * 2, color=colour, linewidth=0.8,
                  linestyle=(0, (1, 2)))  # fmt: skip
    if point.batched_s:
        axes.plot([point.batched_s], [height], color=colour,
                  markerfacecolor=palette.background, **style)  # fmt: skip
    if point.median_s:
        axes.plot([at], [height], color=colour, **style)


def _name_decoders(
    axes: Axes,
    points: Sequence[TimePoint],
    colours: Sequence[str],
    steps: Sequence[tuple[float, float]],
) -> None:
    """Each decoder's name near its marker, where it covers no other name, marker or line."""
    taken = [box for q in points for box in _occupied(axes, q)]
    for (x0, y0), (x1, y1) in itertools.pairwise(steps):
        taken += [_around(axes, (x0, y0), (x1, y0), 1.5), _around(axes, (x1, y0), (x1, y1), 1.5)]
    for point, colour in zip(points, colours, strict=True):
        best = _best_spot(axes, point, taken)
        if best is None:
            continue
        spot, box = best
        axes.annotate(point.decoder, (spot.x, _height(point)), (spot.right_pt, spot.up_pt),
                      textcoords="offset points", ha=spot.align, va="center", color=colour,
                      fontsize=9, fontweight="bold")  # fmt: skip
        taken.append(box)


def _best_spot(axes: Axes, point: TimePoint, taken: Sequence[Box]) -> tuple[_Spot, Box] | None:
    """The first of the spots where a decoder's name covers least, and its box in pixels there."""
    frame = axes.get_window_extent().extents
    best, best_cost = None, math.inf
    for spot in _spots(point):
        box = _name_box(axes, point, spot)
        cost = sum(_overlap(box, other) for other in taken) + _outside(box, frame)
        if cost < best_cost - 1e-9:
            best, best_cost = (spot, box), cost
    return best


class _Spot(NamedTuple):
    """Where a name may stand: as many points off the marker's height at `x`."""

    x: float
    right_pt: float
    up_pt: float
    align: str


def _spots(point: TimePoint) -> list[_Spot]:
    """Around a decoder's marker or beyond its ends, the nearest first."""
    x, ends = _time_s(point) or 0.0, _times(point)
    return [
        _Spot(*spot)
        for radius in (1, 1.8, 2.8, 4)
        for spot in (
            (x, 5, 8 * radius, "left"),
            (x, 5, -8 * radius, "left"),
            (x, -5, 8 * radius, "right"),
            (x, -5, -8 * radius, "right"),
            (max(ends), 9 * radius, 0, "left"),
            (min(ends), -9 * radius, 0, "right"),
        )
    ]


def _name_box(axes: Axes, point: TimePoint, spot: _Spot) -> Box:
    scale = axes.figure.dpi / 72
    px, py = axes.transData.transform((spot.x, _height(point)))
    wide, tall = len(point.decoder) * 5.9 * scale, 11 * scale
    left = px + spot.right_pt * scale - (wide if spot.align == "right" else 0)
    middle = py + spot.up_pt * scale
    return left, middle - tall / 2, left + wide, middle + tall / 2


Box = tuple[float, float, float, float]


def _occupied(axes: Axes, point: TimePoint) -> list[Box]:
    """Boxes in pixels that a decoder's markers, whisker and interval cover."""
    ends, height = _times(point), _height(point)
    spans = [((min(ends), height), (max(ends), height))]
    low = point.high / 2 if point.is_bound else point.low
    spans.append(((_time_s(point) or 0.0, low), (_time_s(point) or 0.0, point.high)))
    return [_around(axes, start, end, 5) for start, end in spans]


def _around(axes: Axes, start: tuple[float, float], end: tuple[float, float], pad_pt: float) -> Box:
    """The box in pixels around a line between two points of the data."""
    pad = pad_pt * axes.figure.dpi / 72
    (x0, y0), (x1, y1) = axes.transData.transform([start, end])
    return min(x0, x1) - pad, min(y0, y1) - pad, max(x0, x1) + pad, max(y0, y1) + pad


def _overlap(a: Box, b: Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    tall = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0)


def _outside(box: Box, frame: Sequence[float]) -> float:
    """How far a box sticks out of a frame, dear: a name that is cut is worse than one crowded."""
    over = (frame[0] - box[0], frame[1] - box[1], box[2] - frame[2], box[3] - frame[3])
    return sum(max(each, 0) for each in over) * 1000

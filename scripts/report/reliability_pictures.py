"""Pictures of a decoder's odds: whether they are true, and what discarding unsure shots gives."""

from __future__ import annotations

import functools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from decoders.reliability import Bin, PostSelection, Reliability
from scripts.report.figures import draw_bound
from scripts.report.style import (
    MARKERS,
    Labels,
    Palette,
    legend_column,
    log_axis,
    plain_grid,
    power_text,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BARS = "bars: 95 % Wilson intervals"
_BOUNDS = "arrows: upper bounds, no error seen"


def draw_reliability(
    found: Mapping[str, Reliability], target: pathlib.Path, *, title: str, origin: str
) -> list[pathlib.Path]:
    """How often answers are wrong against how likely the odds say that, log-log, by decoder.

    What cannot be wrong by its odds has no place there. `origin` ends the caption: what was
    decoded. Writes TARGET.png and its siblings; returns their paths.
    """
    bins = [one for each in found.values() for one in each.bins]
    if not bins:
        raise ValueError("a picture of odds needs at least one decoder with answers, got none")
    rows = [
        {"decoder": name, **one._asdict(), "rate": one.rate, "low": one.interval[0],
         "high": one.interval[1]}
        for name, each in found.items() for one in each.bins
    ]  # fmt: skip
    bounds = [_BOUNDS] if any(not one.errors for one in bins) else []
    caption = "; ".join(["a point: answers of about the same odds", _BARS, *bounds])
    labels = Labels(title, f"{caption[0].upper()}{caption[1:]}. {origin}")
    return save(functools.partial(_paint_reliability, found), target, labels, rows)


def draw_post_selection(
    found: Mapping[str, Sequence[PostSelection]],
    target: pathlib.Path,
    *,
    title: str,
    origin: str,
) -> list[pathlib.Path]:
    """The logical error rate of the shots kept against the share discarded, by decoder.

    `origin` ends the caption: what was decoded. Writes TARGET.png and its siblings; returns their
    paths.
    """
    points = [one for each in found.values() for one in each if one.kept]
    if not points:
        raise ValueError("a picture of post-selection needs at least one shot kept, got none")
    rows = [
        {"decoder": name, **one._asdict(), "discarded": one.discarded, "rate": one.rate,
         "low": one.interval[0], "high": one.interval[1]}
        for name, each in found.items() for one in each
    ]  # fmt: skip
    bounds = [_BOUNDS] if any(not one.errors for one in points) else []
    caption = "; ".join(["the least sure shots are discarded", _BARS, *bounds])
    labels = Labels(title, f"{caption[0].upper()}{caption[1:]}. {origin}")
    return save(functools.partial(_paint_post_selection, found), target, labels, rows)


def _paint_reliability(found: Mapping[str, Reliability], figure: Figure, palette: Palette) -> None:
    axes, column = legend_column(figure, 0.42)
    bins = [one for each in found.values() for one in each.bins]
    low = min(min(one.predicted or 0.5, _lowest(one)) for one in bins) / 1.5
    axes.set(xscale="log", yscale="log", xlim=(low, 0.7), ylim=(low, 1.0))
    axes.plot([low, 0.5], [low, 0.5], color=palette.faint, linewidth=1, linestyle="--", zorder=1)
    for seat, (name, each) in enumerate(found.items()):
        points = [(one.predicted, one) for one in each.bins if one.predicted]
        _draw_points(axes, points, seat, f"{name}\n{_summary(each)}", palette)
    axes.text(0.04, 0.96, "errs more often than it says", transform=axes.transAxes, va="top",
              color=palette.faint, fontsize=8.5)  # fmt: skip
    axes.text(0.97, 0.04, "errs less often", transform=axes.transAxes, ha="right",
              color=palette.faint, fontsize=8.5)  # fmt: skip
    axes.set(xlabel="probability of being wrong, by the odds", ylabel="share that was wrong")
    log_axis(axes.xaxis, low, 0.7, text=power_text)
    log_axis(axes.yaxis, low, 1.0, text=power_text)
    plain_grid(axes)
    _legend(axes, column)


def _paint_post_selection(
    found: Mapping[str, Sequence[PostSelection]], figure: Figure, palette: Palette
) -> None:
    axes, column = legend_column(figure, 0.3)
    points = [one for each in found.values() for one in each if one.kept]
    shares = sorted({one.share for one in points})
    least = min((share for share in shares if share), default=0.1)
    low = min(_lowest(one) for one in points) / 1.25
    high = max(one.interval[1] for one in points) * 1.25
    axes.set_xscale("symlog", linthresh=least, linscale=0.5)
    axes.set(yscale="log", ylim=(low, high))
    for seat, (name, each) in enumerate(found.items()):
        kept = [(one.discarded, one) for one in each if one.kept]
        _draw_points(axes, kept, seat, name, palette)
    axes.set_xticks(shares, [f"{100 * share:g} %" for share in shares])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="shots discarded", ylabel="logical error rate of the shots kept")
    log_axis(axes.yaxis, low, high, text=power_text)
    plain_grid(axes)
    _legend(axes, column)


def _summary(found: Reliability) -> str:
    error = f"ECE {found.expected_calibration_error:.2g}"
    if not found.expected_errors:
        return error
    return f"{error}, {found.errors / found.expected_errors:.2f} times\nthe errors it expects"


def _lowest(one: Bin | PostSelection) -> float:
    """Of its marks: the end of its bar, or of an arrow from its bound."""
    low, high = one.interval
    return low if one.errors else high / 3.5


def _draw_points(
    axes: Axes, points: Sequence[tuple[float, Bin | PostSelection]], seat: int, label: str,
    palette: Palette,
) -> None:  # fmt: skip
    """Rates with their bars, neighbours joined by a line, and bounds as arrows.

    Later ones are thinner: where decoders agree, all of them are to be seen.
    """
    colour = palette.kinds[seat % len(palette.kinds)]
    width = max(2.2 - 0.7 * seat, 0.8)
    rates = [one.rate if one.errors else math.nan for _, one in points]
    bars = [[abs(rate - one.interval[side]) for rate, (_, one) in zip(rates, points, strict=True)]
            for side in (0, 1)]  # fmt: skip
    axes.errorbar([x for x, _ in points], rates, yerr=bars, color=colour, linewidth=width,
                  elinewidth=width, capsize=1.5 * width, markersize=3 + 2 * width,
                  marker=MARKERS[seat % len(MARKERS)], label=label)  # fmt: skip
    for x, one in points:
        if not one.errors:
            draw_bound(axes, x, one.interval[1], colour)


def _legend(axes: Axes, column: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    column.legend(handles, labels, loc="upper left", bbox_to_anchor=(-0.12, 1.02),
                  borderaxespad=0, labelspacing=0.8)  # fmt: skip

"""Pictures of what was fitted: the threshold with its data collapse, and error suppression."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scripts.report.figures import confidence_text, notes_on, seeds_text, shots_text
from scripts.report.rows import LambdaCurve
from scripts.report.style import (
    DASHES,
    MARKERS,
    Labels,
    Palette,
    legend_column,
    log_axis,
    plain_grid,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from decoders.threshold import ThresholdFit, ThresholdPoint


def draw_threshold(
    fit: ThresholdFit, target: pathlib.Path, *, title: str, decoder: str, seed: int
) -> list[pathlib.Path]:
    """The crossing of the curves with the fit and the threshold's band; beside it, the collapse.

    Points that the fit left out are hollow. Writes TARGET.png and its siblings; returns their
    paths.
    """
    points = sorted((*fit.used, *fit.left_out), key=lambda q: (q.distance, q.p))
    percent = f"{round(fit.confidence * 100, 3):g} %"
    caption = (
        f"{shots_text(points)} shots a point, seed {seed}; bars: {percent} Wilson intervals of the "
        f"LER per shot; {_names(decoder)}; grey band: {percent} interval of the threshold; lines: "
        f"A + Bx + Cx², x = (p − p_th) d^(1/ν), ν = {fit.nu:.2f} ± {fit.nu_standard_error:.2f}, "
        f"χ²/dof = {fit.chi2_per_dof:.2f}"
        + (", hollow points not fitted." if fit.left_out else ".")
    )
    rows = [_threshold_row(fit, point, decoder, seed) for point in points]
    return save(
        functools.partial(_paint_threshold, fit, points), target, Labels(title, caption), rows
    )


def _names(decoder: str) -> str:
    return "; ".join(notes_on([decoder])) or f"decoder {decoder}"


def _threshold_row(
    fit: ThresholdFit, point: ThresholdPoint, decoder: str, seed: int
) -> dict[str, Any]:
    low, high = _interval(point, fit.confidence)
    return {
        "decoder": decoder,
        **dataclasses.asdict(point),
        "rate": point.errors / point.shots,
        "low": low,
        "high": high,
        "confidence": fit.confidence,
        "seed": seed,
        "x": float(fit.scaled(point.p, point.distance)),
        "fitted_rate": float(fit.rate(point.p, point.distance)),
        "used": point in fit.used,
        "p_threshold": fit.p_threshold,
        "p_threshold_low": fit.interval[0],
        "p_threshold_high": fit.interval[1],
    }


def _interval(point: ThresholdPoint, confidence: float) -> tuple[float, float]:
    from decoders.statistics import binomial_interval

    return binomial_interval(point.errors, point.shots, confidence=confidence)


def _paint_threshold(
    fit: ThresholdFit, points: Sequence[ThresholdPoint], figure: Figure, palette: Palette
) -> None:
    crossing, collapse = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [1.35, 1]})
    distances = sorted({point.distance for point in points})
    low, high = fit.interval
    crossing.axvspan(low, high, color=palette.faint, alpha=0.28, linewidth=0)
    crossing.axvline(fit.p_threshold, color=palette.faint, linewidth=1)
    for seat, (distance, colour) in enumerate(
        zip(distances, palette.ordered(len(distances)), strict=True)
    ):
        own = [point for point in points if point.distance == distance]
        _draw_fitted(crossing, fit, own, colour)
        for axes, is_scaled in ((crossing, False), (collapse, True)):
            _draw_points(axes, fit, own, (colour, MARKERS[seat % len(MARKERS)], palette), is_scaled)
    _draw_collapse(collapse, fit, palette)
    crossing.set(xlabel="physical error rate p", ylabel="logical error rate per shot")
    collapse.set(xlabel=r"$x = (p - p_{\mathrm{th}})\, d^{1/\nu}$")
    crossing.set_title(
        rf"$p_{{\mathrm{{th}}}}$ = {fit.p_threshold:.5f} [{low:.5f}, {high:.5f}]", loc="left"
    )
    collapse.set_title("all distances on one curve", loc="left")
    for axes in (crossing, collapse):
        axes.ticklabel_format(axis="x", style="plain", useOffset=False)
        axes.locator_params(axis="x", nbins=6 if axes is crossing else 4)
        plain_grid(axes)
    # Rates rise with p, so that the upper left corner is free.
    crossing.legend(loc="upper left", title="distance", alignment="left", framealpha=1,
                    frameon=True, edgecolor="none")  # fmt: skip


def _draw_fitted(axes: Axes, fit: ThresholdFit, own: Sequence[ThresholdPoint], colour: str) -> None:
    import numpy as np

    inside = [point.p for point in own if point in fit.used]
    if len(inside) > 1:
        p = np.linspace(min(inside), max(inside), 101)
        axes.plot(p, fit.rate(p, own[0].distance), color=colour, linewidth=1.2)


def _draw_points(
    axes: Axes,
    fit: ThresholdFit,
    own: Sequence[ThresholdPoint],
    look: tuple[str, str, Palette],
    is_scaled: bool,
) -> None:
    colour, marker, palette = look
    for is_used in (True, False):
        # The collapse is a claim on the fitted points alone.
        shown = [q for q in own if (q in fit.used) == is_used and (is_used or not is_scaled)]
        if not shown:
            continue
        x = [float(fit.scaled(q.p, q.distance)) if is_scaled else q.p for q in shown]
        rate = [q.errors / q.shots for q in shown]
        ends = [_interval(q, fit.confidence) for q in shown]
        bars = [
            [r - low for r, (low, _) in zip(rate, ends, strict=True)],
            [high - r for r, (_, high) in zip(rate, ends, strict=True)],
        ]
        axes.errorbar(x, rate, yerr=bars, color=colour, linestyle="none", marker=marker,
                      elinewidth=1, markeredgewidth=1.1,
                      markerfacecolor=colour if is_used else palette.background,
                      label=f"d = {own[0].distance}" if is_used else None)  # fmt: skip


def _draw_collapse(axes: Axes, fit: ThresholdFit, palette: Palette) -> None:
    import numpy as np

    scaled = [float(fit.scaled(q.p, q.distance)) for q in fit.used]
    a, b, c = fit.coefficients
    x = np.linspace(min(scaled), max(scaled), 101)
    axes.plot(x, a + b * x + c * x**2, color=palette.ink, linewidth=1.2, zorder=1)
    axes.axvline(0, color=palette.faint, linewidth=1, zorder=0)


def draw_lambda(
    curves: Sequence[LambdaCurve], target: pathlib.Path, *, title: str
) -> list[pathlib.Path]:
    """LER per round against distance, with the line of each fit and its Λ in the legend.

    Colour is the noise (p where it has one), dashes and marker are the decoder. Writes TARGET.png
    and its siblings; returns their paths.
    """
    points = [point for curve in curves for point in curve.points]
    if not points:
        raise ValueError("a picture of error suppression needs at least one point, got none")
    fits = [curve.fit for curve in curves if curve.fit]
    method = " or ".join(sorted({_METHODS[fit.method] for fit in fits}))
    bounds = any(point.is_bound for point in points)
    parts = [
        f"{shots_text(points)} shots a point, {seeds_text(points)}",
        f"bars: {confidence_text(points)} Wilson intervals",
        *([f"Λ = ε(d)/ε(d+2) with its {confidence_text(points)} interval ({method})"] * bool(fits)),
        *(["arrows: upper bounds, no error seen"] if bounds else []),
        *notes_on(point.decoder for point in points),
    ]
    rows = [_lambda_row(curve, k) for curve in curves for k in range(len(curve.points))]
    height_in = max(4.5, 1.6 + 0.36 * len(curves))
    labels = Labels(title, "; ".join(parts) + ".")
    paint = functools.partial(_paint_lambda, curves)
    return save(paint, target, labels, rows, (7.0, height_in))


_METHODS = {"delta": "delta method", "jeffreys": "Jeffreys posterior"}


def _lambda_row(curve: LambdaCurve, index: int) -> dict[str, Any]:
    fit, point = curve.fit, curve.points[index]
    row = dataclasses.asdict(point) | {"noise": curve.noise}
    fields = ("fitted_rate", "lambda", "lambda_low", "lambda_high")
    values = (fit.rate(point.distance), fit.value, *fit.interval) if fit else ("",) * 4
    return row | dict(zip(fields, values, strict=True))


def _paint_lambda(curves: Sequence[LambdaCurve], figure: Figure, palette: Palette) -> None:
    axes, column = legend_column(figure, 0.5)
    noises = list(dict.fromkeys(curve.name for curve in curves))
    decoders = list(dict.fromkeys(curve.decoder for curve in curves))
    colours = dict(zip(noises, palette.ordered(len(noises)), strict=True))
    handles = [
        _draw_suppression(axes, curve, colours[curve.name], decoders.index(curve.decoder), palette)
        for curve in curves
    ]
    points = [point for curve in curves for point in curve.points]
    lows = [q.high / 3.5 if q.is_bound else q.low for q in points]
    low, high = min(lows) / 1.25, max(q.high for q in points) * 1.3
    distances = sorted({point.distance for point in points})
    axes.set(yscale="log", ylim=(low, high), xticks=distances)
    axes.set_xlim(distances[0] - 0.5, distances[-1] + 0.5)
    axes.set(xlabel="code distance d", ylabel="logical error rate per round")
    log_axis(axes.yaxis, low, high)
    plain_grid(axes)
    names = [_suppression_text(curve, len(decoders) > 1) for curve in curves]
    column.legend(handles, names, loc="upper left", bbox_to_anchor=(-0.08, 1.02), borderaxespad=0,
                  handlelength=2.6, labelspacing=0.7)  # fmt: skip


def _suppression_text(curve: LambdaCurve, with_decoder: bool) -> str:
    decoder = curve.decoder if with_decoder or not curve.name else ""
    name = ", ".join(part for part in (curve.name, decoder) if part)
    if curve.fit is None:
        return f"{name}\nno fit"
    low, high = curve.fit.interval
    return f"{name}\nΛ = {curve.fit.value:#.3g} [{low:#.3g}, {high:#.3g}]"


def _draw_suppression(
    axes: Axes, curve: LambdaCurve, colour: str, seat: int, palette: Palette
) -> Any:
    import numpy as np
    from matplotlib.lines import Line2D

    from scripts.report.figures import draw_bound

    look = {
        "marker": MARKERS[seat % len(MARKERS)],
        "markerfacecolor": palette.background if seat else colour,
        "markeredgewidth": 1.3,
        "color": colour,
    }
    seen = [q for q in curve.points if not q.is_bound]
    bars = [[q.rate - q.low for q in seen], [q.high - q.rate for q in seen]]
    axes.errorbar([q.distance for q in seen], [q.rate for q in seen], yerr=bars, elinewidth=1,
                  linestyle="none", **look)  # fmt: skip
    for q in curve.points:
        if q.is_bound:
            draw_bound(axes, q.distance, q.high, colour)
    dashes = DASHES[seat % len(DASHES)]
    if curve.fit:
        distances = [q.distance for q in curve.points]
        d = np.linspace(min(distances), max(distances), 51)
        axes.plot(d, [curve.fit.rate(each) for each in d], color=colour, linestyle=dashes)
    return Line2D([], [], linestyle=dashes if curve.fit else "none", **look)

"""Pictures of steered runs at several values of one key: what was won, and how soon."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

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
)
from scripts.steering_over_tables import (
    WON,
    Axis,
    Mean,
    Outcome,
    Single,
    rows,
    seeds_text,
    share_rows,
    spans_much,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WORST, _BEST = -1.0, 2.0  # a score below stands at the edge, with its number; bars are cut
_MOST_NAMES = 10  # of values beside the lines
_NOTHING_AT_FIRST = "nothing could be won at the first epoch"
_MINUS = "\N{MINUS SIGN}"
_ASIDE_PT = 10.0  # from the first steerer to the last at the same value
_MOST_SIGNS = 16  # of a value's name


def draw_over(
    axis: Axis, runs: Sequence[Single], found: Sequence[Outcome], folder: pathlib.Path
) -> list[pathlib.Path]:
    """over and convergence, each as PNG and SVG in both modes, with its numbers as CSV."""
    words = Labels(
        _score_title(axis, found),
        "Score of all candidates that are tried, over the last three quarters of each run: 0 is "
        f"what leaving all untouched gives, 1 the hidden optimum.{_bars(found)} {_origin(runs)}",
    )
    written = save(lambda figure, palette: paint_scores(axis, found, figure, palette),
                   folder / "over", words, rows(axis, found))  # fmt: skip
    words = Labels(
        _convergence_title(axis, found),
        f"Left: epochs until the settings held had won {100 * WON:.0f} % of what could be won at "
        f"the first epoch{_medians(found)}. Right: what {_steerer(found)} had won of it by "
        f"each epoch{', the mean of the seeds' * _several(found)}. {_origin(runs)}",
    )
    return written + save(lambda figure, palette: paint_convergence(axis, found, figure, palette),
                          folder / "convergence", words, share_rows(found), (9.0, 4.5))  # fmt: skip


# --- words ---


def _several(found: Sequence[Outcome]) -> bool:
    return len(found[0].seeds) > 1


def _bars(found: Sequence[Outcome]) -> str:
    return " Bars hold 95 % (Student, over seeds)." if _several(found) else ""


def _medians(found: Sequence[Outcome]) -> str:
    return ", the median, least and most of the seeds" if _several(found) else ""


def _own(found: Sequence[Outcome]) -> list[Outcome]:
    """Of the steerer itself, without its rivals."""
    return [one for one in found if one.steerer == "steerer"]


def _steerer(found: Sequence[Outcome]) -> str:
    titles = {one.title for one in _own(found)}
    return titles.pop() if len(titles) == 1 else "the steerer"


def _what(axis: Axis) -> str:
    """The swept key without its unit."""
    return axis.label.partition(" (")[0]


def _score_title(axis: Axis, found: Sequence[Outcome]) -> str:
    scores = [100 * one.tried.value for one in _own(found) if one.tried]
    if not scores:
        return f"What steering wins, against {_what(axis)}"
    if not axis.is_number:
        best = max((one for one in _own(found) if one.tried), key=_mean_score)
        if _stands_out(best, found):
            share = 100 * _mean_score(best)
            return f"{_short(best.value)} wins most: {share:.0f} % of what can be won"
    low, high = (f"{end:.0f}".replace("-", _MINUS) for end in (min(scores), max(scores)))
    share = low if low == high else f"{low} to {high}"
    who = _steerer(found) if axis.is_number else "each"
    return f"Against {_what(axis)}: {who} wins {share} % of what can be won"


def _mean_score(one: Outcome) -> float:
    return one.tried.value if one.tried else -math.inf


def _stands_out(best: Outcome, found: Sequence[Outcome]) -> bool:
    """Whether its interval is above those of all others."""
    intervals = [one.tried.interval for one in _own(found) if one.tried and one is not best]
    own = best.tried.interval if best.tried else None
    return own is not None and all(one is not None and one[1] < own[0] for one in intervals)


def _convergence_title(axis: Axis, found: Sequence[Outcome]) -> str:
    what = "code size" if axis.label == "code distance" else _what(axis)
    medians = [one.reached.ordered[1] for one in _own(found) if one.reached]
    title = f"Convergence against {what}"
    if not medians or math.isinf(max(medians)):
        return title
    low, high = f"{min(medians):g}", f"{max(medians):g}"
    return f"{title}: {_steerer(found)} needs {low if low == high else f'{low} to {high}'} epochs"


def _origin(runs: Sequence[Single]) -> str:
    """What all runs have in common, and that it is simulated."""
    configs = [run.config for run in runs]
    memories = [config.environment.memory for config in configs]
    own = {one.circuit.name if one.circuit else f"{one.code} code" for one in memories}
    parts = [", ".join(sorted(own))]
    if memories[0].circuit is None:
        parts += _shared("distance {}", (one.distance for one in memories))
    parts += _shared("{} epochs", (config.epochs for config in configs))
    parts += _shared("{} candidates an epoch", (config.candidates for config in configs))
    return f"Simulated: {', '.join(parts)}, {seeds_text([one.seed for one in configs])}."


def _shared(words: str, values: Iterable[object]) -> list[str]:
    different = set(values)
    return [words.format(*different)] if len(different) == 1 else []


# --- the swept key ---


def _place_values(axis: Axis, axes: Axes) -> None:
    """Every value at its tick, with a little room beside the outermost."""
    axes.set_xlabel(axis.label)
    places = list(axis.at.values())
    low, high = min(places), max(places)
    if not axis.is_number:
        names = [_short(value) for value in axis.at]
        slant = {"rotation": 30, "ha": "right"} if sum(map(len, names)) > 40 else {}
        axes.set_xticks(places, names, **slant)
        axes.set_xlim(low - 0.5, high + 0.5)
    elif axis.is_log:
        room = (high / low) ** 0.05
        axes.set_xscale("log")
        log_axis(axes.xaxis, low / room, high * room, wanted=places, text=plain_text)
        axes.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low)
        if len(places) <= 8 and _apart(places) > (high - low) / 14:
            axes.set_xticks(places, [plain_text(one) for one in places])
        axes.set_xlim(low - room, high + room)


def _apart(places: Sequence[float]) -> float:
    return float(np.diff(np.sort(places)).min())


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SIGNS else f"{text[: _MOST_SIGNS - 1]}…"


def _lines(
    axis: Axis, found: Sequence[Outcome], axes: Axes, palette: Palette
) -> Iterator[tuple[dict[str, Any], list[Outcome]]]:
    """The look of each steerer's line and what stands on it; the steerer itself comes last."""
    names = list(dict.fromkeys(one.steerer for one in found))
    for number, name in reversed(list(enumerate(names))):
        own = [one for one in found if one.steerer == name]
        titles = {one.title for one in own}
        style = _style(axes, palette, number, len(names))
        style["label"] = titles.pop() if len(titles) == 1 else name
        if not axis.is_number:  # what has no order
            style["ls"] = "none"
        yield style, sorted(own, key=lambda one: axis.at[one.value])


def _style(axes: Axes, palette: Palette, number: int, count: int) -> dict[str, Any]:
    """Of the so many-th steerer, moved aside a little, so that none hides another."""
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.figure
    aside_pt = min(3.0, _ASIDE_PT / max(1, count - 1)) * (number - (count - 1) / 2)
    aside = ScaledTranslation(aside_pt / 72, 0, figure.dpi_scale_trans)
    return {
        "transform": axes.transData + aside,
        "color": palette.kinds[number % len(palette.kinds)],
        "marker": MARKERS[number % len(MARKERS)],
        "ls": DASHES[number % len(DASHES)],
        "lw": 1.2 if number else 2.0,
        "capsize": 2.5,
    }


# --- the score ---


def paint_scores(axis: Axis, found: Sequence[Outcome], figure: Figure, palette: Palette) -> None:
    """A line for each steerer between 0, which is untouched, and 1, the hidden optimum."""
    axes, column = legend_column(figure, 0.24)
    axes.axhline(1, color=palette.ink, lw=1.2, label="hidden optimum")
    axes.axhline(0, color=palette.bad, lw=1.2, label="untouched")
    for style, own in _lines(axis, found, axes, palette):
        known = [(axis.at[one.value], one.tried) for one in own if one.tried]
        if known:
            _score_line(axes, known, style)
    if not any(one.tried for one in found):
        _say_nothing(axes, "nothing could be won")
    axes.set_ylabel("score of what is tried")
    axes.set_ylim(*_score_limits(found))
    _place_values(axis, axes)
    plain_grid(axes)
    _legend(axes, column)


def _score_limits(found: Sequence[Outcome]) -> tuple[float, float]:
    """All that is shown, the two ends among it."""
    ends = [end for one in found if one.tried
            for end in (one.tried.value, *(one.tried.interval or ()))]  # fmt: skip
    low, high = max(_WORST, min([0.0, *ends])), min(_BEST, max([1.0, *ends]))
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _score_line(axes: Axes, known: Sequence[tuple[float, Mean]], style: dict[str, Any]) -> None:
    """Each mean with its interval; one far below 0 at the edge, with its number."""
    shown = [max(mean.value, _WORST) for _, mean in known]
    bars = [[0.0, 0.0] for _ in known]
    for bar, y, (x, mean) in zip(bars, shown, known, strict=True):
        if mean.value < _WORST:
            number = f"{mean.value:.2g} ↓".replace("-", _MINUS)
            axes.annotate(number, (x, _WORST), (0, 6), color=style["color"], fontsize=8,
                          textcoords="offset points", ha="center")  # fmt: skip
        elif mean.interval:
            low, high = mean.interval
            bar[:] = [y - max(low, _WORST), high - y]
    axes.errorbar([x for x, _ in known], shown, yerr=np.reshape(bars, (-1, 2)).T, **style)


def _legend(axes: Axes, column: Axes) -> None:
    """As the lines stand in the picture of a run: the steerer first, the ends around all."""
    handles, labels = axes.get_legend_handles_labels()
    best, untouched, *others = zip(handles, labels, strict=True)
    handles, labels = zip(best, *reversed(others), untouched, strict=True)
    column.legend(handles, labels, loc="upper left", frameon=False)


# --- convergence ---


def paint_convergence(
    axis: Axis, found: Sequence[Outcome], figure: Figure, palette: Palette
) -> None:
    """Epochs until `WON` was won against the key, and beside it the share won over epochs."""
    left, right, column = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 0.32]})
    column.axis("off")
    _paint_epochs(axis, found, left, palette)
    _paint_shares(axis, _own(found), right, palette)
    handles, labels = left.get_legend_handles_labels()
    first = column.legend(handles[::-1], labels[::-1], loc="upper left", frameon=False)
    column.add_artist(first)
    handles, labels = right.get_legend_handles_labels()
    if handles:
        title = axis.label.replace(" (", "\n(") if axis.is_converted else axis.name
        column.legend(handles, labels, loc="lower left", frameon=False, title=title,
                      alignment="left")  # fmt: skip


def _paint_epochs(axis: Axis, found: Sequence[Outcome], axes: Axes, palette: Palette) -> None:
    ends = [epochs for one in found if one.reached for epochs in one.reached.ordered]
    never = _epoch_axis(axes, ends)
    for style, own in _lines(axis, found, axes, palette):
        points = [(axis.at[one.value], *(min(epochs, never) for epochs in one.reached.ordered))
                  for one in own if one.reached]  # fmt: skip
        if points:
            places, least, middle, most = map(np.array, zip(*points, strict=True))
            axes.errorbar(places, middle, yerr=[middle - least, most - middle], **style)
    axes.set_ylabel(f"epochs until {100 * WON:.0f} % is won")
    _place_values(axis, axes)
    plain_grid(axes)
    if not ends:
        axes.set_yticks([])
        _say_nothing(axes, _NOTHING_AT_FIRST)


def _epoch_axis(axes: Axes, ends: Sequence[float]) -> float:
    """An axis that holds all, infinite ones above the others; returns where these stand."""
    from matplotlib.ticker import MaxNLocator

    known = [epochs for epochs in ends if not math.isinf(epochs)] or [1.0]
    low, high = min(known), max(known)
    is_log = spans_much([low, high])
    never = high * (1.6 if is_log else 1.15)
    if is_log:
        axes.set_yscale("log")
        log_axis(axes.yaxis, low / 1.2, high, text=plain_text)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(low / 1.2 if is_log else 0, never * (1.1 if is_log else 1.04))
    ticks = [tick for tick in axes.get_yticks() if tick <= high]
    names = [plain_text(tick) for tick in ticks]
    if math.inf in ends:
        ticks, names = [*ticks, never], [*names, "never"]
    axes.set_yticks(ticks, names)
    return never


def _paint_shares(axis: Axis, own: Sequence[Outcome], axes: Axes, palette: Palette) -> None:
    from matplotlib.ticker import MaxNLocator

    own = sorted(own, key=lambda one: axis.at[one.value])
    shares = [(one.value, one.share) for one in own if one.share is not None]
    axes.set_xlabel("epoch")
    axes.set_ylabel("share won by the settings held")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    plain_grid(axes)
    if not shares:
        axes.set_yticks([])
        _say_nothing(axes, _NOTHING_AT_FIRST)
        return
    axes.axhline(WON, color=palette.faint, lw=0.8, ls=":")
    colours = palette.ordered(len(shares)) if axis.is_number else palette.kinds
    every = -(-len(shares) // _MOST_NAMES)
    for number, (value, share) in enumerate(shares):
        name = plain_text(axis.at[value]) if axis.is_converted else _short(value)
        label = name if number % every == 0 else None
        axes.plot(share, color=colours[number % len(colours)], label=label)
    axes.set_xlim(0, _epochs_shown(own))
    least = min(float(share.min()) for _, share in shares)
    axes.set_ylim(max(_WORST, min(0.0, least)) - 0.03, 1.05)


def _epochs_shown(own: Sequence[Outcome]) -> float:
    """Three times as long as the slowest took, or all."""
    whole = max(len(one.share) for one in own if one.share is not None) - 1
    slowest = max(one.reached.ordered[2] for one in own if one.reached)
    return min(whole, max(20.0, 3 * slowest))


def _say_nothing(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", fontsize=8)

"""Pictures of a calibration history: each knob over time, with uncertainty, source and undos."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from calib.history import Entry
from calib.history_export import entry_data
from scripts.report.calibration_tracks import (
    Clock,
    TimeAxis,
    Track,
    common_exponent,
    from_first_shown,
    in_order,
    moves,
    off_scale,
    time_axis,
    tracks_of,
    unit_text,
    y_range,
)
from scripts.report.style import Labels, Palette, plain_grid, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = 20  # panels in one picture of one knob name: beyond that a second picture begins
_MARKERS = ("o", "s", "D", "P", "X", "*", "p")  # no triangles: arrows say "beyond the scale"


def draw_history(
    entries: Sequence[Entry],
    folder: pathlib.Path,
    *,
    device: str,
    clock: Clock | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> list[pathlib.Path]:
    """An overview, a panel a knob name, and a picture for each name, a panel a qubit.

    `entries` are a history's, the oldest first; `clock` None takes the device's where all entries
    have one. Each comes as PNG and SVG, light and dark, with the CSV of what it shows. Returns the
    paths.
    """
    if not entries:
        raise ValueError("a picture of a history needs at least one entry, got none")
    axis = time_axis(entries, clock)
    tracks = tracks_of(entries, axis)
    names = list(dict.fromkeys(track.knob.name for track in in_order(tracks)))
    moved = [name for name in names if any(moves(t) for t in tracks if t.knob.name == name)]
    written = []
    if len(moved) > 1:
        shown = [track for track in tracks if moves(track)]
        written += _draw_overview(shown, axis, folder / "overview", device)
    for done, name in enumerate(moved or names):
        on_progress(done / len(moved or names))
        of_name = [track for track in in_order(tracks) if track.knob.name == name]
        parts = [of_name[k : k + _PANELS] for k in range(0, len(of_name), _PANELS)]
        for number, part in enumerate(parts):
            target = folder / (name if len(parts) == 1 else f"{name}-{number + 1}")
            written += _draw_name(part, axis, target, device)
    return written


def _csv_rows(tracks: Sequence[Track]) -> list[dict[str, Any]]:
    entries = [entry for track in tracks for entry in track.entries]
    return [{"knob": str(entry.knob), **entry_data(entry)} for entry in entries]


# The overview: one panel a knob name, the qubits as colours.


def _draw_overview(
    tracks: Sequence[Track], axis: TimeAxis, target: pathlib.Path, device: str
) -> list[pathlib.Path]:
    ordered = in_order(tracks)
    by_name: dict[str, list[Track]] = {}
    for track in ordered:
        by_name.setdefault(track.knob.name, []).append(track)
    columns = min(4, math.ceil(math.sqrt(len(by_name))))
    rows = math.ceil(len(by_name) / columns)
    owners = list(dict.fromkeys(track.owner for track in ordered))
    wide = max(3.0 * columns, 6.0) + 0.8
    size_in = (wide, 1.55 * rows + 1.3)
    meaning = (
        "Each panel: how far a knob was from its value in force; one that never moved is left out."
    )
    beyond = "Lines that leave a panel: beyond its scale."
    caption = _caption(list(by_name.values()), axis, meaning, beyond)
    labels = Labels(f"{device}: how the knobs were moved", caption)
    paint = functools.partial(_paint_overview, by_name, owners, (rows, columns), axis)
    return save(paint, target, labels, _csv_rows(ordered), size_in)


def _paint_overview(
    by_name: dict[str, list[Track]],
    owners: Sequence[str],
    shape: tuple[int, int],
    axis: TimeAxis,
    figure: Figure,
    palette: Palette,
) -> None:
    colours = _owner_colours(owners, palette)
    panels = _grid(figure, shape, len(by_name), axis)
    for panel, (name, tracks) in zip(panels, by_name.items(), strict=True):
        exponent = common_exponent(tracks)
        for track, width in zip(tracks, _line_widths(len(tracks)), strict=True):
            _draw_steps(panel, track, axis, exponent, (colours[track.owner], width))
        _frame(panel, tracks, axis, exponent, palette)
        unit = unit_text(name, exponent)
        panel.set_title(f"{name}  ({unit})" if unit else name, loc="left", fontsize=8.5)
    qubits = [owner for owner in owners if "-" not in owner]
    pairs = [owner for owner in owners if "-" in owner]
    handles, names = [], []
    for title, group in (("qubits", qubits), ("pairs", pairs)):
        if group:
            handles += [_line("none"), *(_line(colours[owner]) for owner in group)]
            names += [title, *group]
    if axis.undos:
        handles.append(_undo_line(palette))
        names.append("undo")
    columns = math.ceil(len(names) / (6 * shape[0]))
    figure.legend(handles, names, loc="outside right upper", alignment="left", ncols=columns)


def _owner_colours(owners: Sequence[str], palette: Palette) -> dict[str, str]:
    """No colour stands for two owners: where they are many, pairs (and many qubits) get ramps."""
    if len(owners) <= len(palette.kinds):
        return dict(zip(owners, palette.kinds, strict=False))
    qubits = [owner for owner in owners if "-" not in owner]
    pairs = [owner for owner in owners if "-" in owner]
    few = len(qubits) <= len(palette.kinds)
    cold = palette.kinds if few else palette.ordered(len(qubits))
    warm = dataclasses.replace(palette, ramp=("plasma", *palette.ramp[1:])).ordered(len(pairs))
    return dict(zip([*qubits, *pairs], [*cold[: len(qubits)], *warm], strict=True))


def _line_widths(number: int) -> list[float]:
    """Each curve thinner than the ones beneath it, so that none is hidden."""
    return [2.7 - 1.7 * k / (number - 1) for k in range(number)] if number > 1 else [1.4]


# A knob name's own picture: one panel a qubit, with uncertainties and sources.


def _draw_name(
    tracks: Sequence[Track], axis: TimeAxis, target: pathlib.Path, device: str
) -> list[pathlib.Path]:
    columns = math.ceil(len(tracks) / 5)
    rows = math.ceil(len(tracks) / columns)
    size_in = (max(7.0, 2.6 * columns + 1.4), max(3.2, 1.35 * rows + 1.4))
    name = tracks[0].knob.name
    axis = from_first_shown(tracks, axis)
    meaning = (
        "Each panel: difference from the value in force, which stands above it. "
        "Bars: one standard deviation, where known."
    )
    caption = _caption(
        [[t] for t in tracks], axis, meaning, "Marks with an arrow: beyond the scale."
    )
    labels = Labels(f"{device}: {name}", caption)
    paint = functools.partial(_paint_name, tracks, (rows, columns), axis)
    return save(paint, target, labels, _csv_rows(tracks), size_in)


def _paint_name(
    tracks: Sequence[Track],
    shape: tuple[int, int],
    axis: TimeAxis,
    figure: Figure,
    palette: Palette,
) -> None:
    from matplotlib.lines import Line2D

    sources = _shown_sources(tracks, axis)
    styles = {source: _source_style(k, palette) for k, source in enumerate(sources)}
    exponent = common_exponent(tracks)
    for panel, track in zip(_grid(figure, shape, len(tracks), axis), tracks, strict=True):
        _draw_steps(panel, track, axis, exponent, (palette.faint, 1.2))
        _frame(panel, [track], axis, exponent, palette)
        _draw_entries(panel, track, exponent, styles, palette)
        panel.set_title(track.owner, loc="left", fontsize=9, fontweight="bold")
        panel.set_title(_in_force_text(track), loc="right", fontsize=8, color=palette.faint)
    unit = unit_text(tracks[0].knob.name, exponent)
    figure.supylabel(f"difference ({unit})" if unit else "difference", fontsize=9)
    handles = [Line2D([], [], color=colour, marker=marker, linestyle="")
               for colour, marker in styles.values()]  # fmt: skip
    names = list(sources)
    if axis.undos:
        handles += [
            _undo_line(palette),
            Line2D(
                [],
                [],
                color=palette.ink,
                marker="o",
                markerfacecolor=palette.background,
                linestyle="",
            ),
        ]
        names += ["undo", "brought back"]  # fmt: skip
    figure.legend(handles, names, loc="outside right upper", alignment="left", title="source")


def _shown_sources(tracks: Sequence[Track], axis: TimeAxis) -> list[str]:
    timed = [pair for track in tracks for pair in zip(track.entries, track.times, strict=True)]
    return list(dict.fromkeys(
        entry.source for entry, time in timed if entry.value is not None and time >= axis.low
    ))  # fmt: skip


def _source_style(number: int, palette: Palette) -> tuple[str, str]:
    """Colour and marker: eight and seven, so that they first meet again at the 57th source."""
    return palette.kinds[number % len(palette.kinds)], _MARKERS[number % len(_MARKERS)]


def _draw_entries(
    panel: Axes,
    track: Track,
    exponent: int,
    styles: dict[str, tuple[str, str]],
    palette: Palette,
) -> None:
    """Every entry with its bar; hollow where an undo brought a value back, arrows off the scale."""
    low, high = panel.get_ylim()
    begin = panel.get_xlim()[0]
    size = 4.2 if len(track.entries) <= 40 else 2.6
    for entry, time, difference in zip(track.entries, track.times, track.differences, strict=True):
        if difference is None or time < begin:
            continue
        colour, marker = styles[entry.source]
        y = difference / 10.0**exponent
        undone = entry.change.restores is not None
        fill = palette.background if undone else colour
        if not low <= y <= high:
            edge, inside = (0.0, 0.14) if y < low else (1.0, 0.86)
            place = panel.get_xaxis_transform()  # x in data, y as a share of the panel's height
            panel.plot([time], [inside], marker=marker, color=colour, markersize=size,
                       markerfacecolor=fill, transform=place, zorder=4)  # fmt: skip
            panel.annotate("", (time, edge), (time, inside), place, place, zorder=3.5,
                           arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.2,
                                       "shrinkA": 0, "shrinkB": 0})  # fmt: skip
            continue
        bar = (entry.uncertainty or 0.0) / 10.0**exponent
        panel.errorbar([time], [y], yerr=[bar] if bar else None, color=colour, marker=marker,
                       markersize=size, elinewidth=0.9, capsize=0, zorder=3,
                       markerfacecolor=fill)  # fmt: skip


def _in_force_text(track: Track) -> str:
    from scripts.calibration_tables import uncertainty_text, value_text

    last = track.entries[-1]
    if last.value is None:
        return "withdrawn"
    text = value_text(last.value, last.uncertainty).replace("-", "−")
    text += f" ± {uncertainty_text(last.uncertainty)}" if last.uncertainty else ""
    unit = unit_text(track.knob.name, 0)
    return text if " " in unit else f"{text} {unit}".strip()  # full scale goes without saying


# What both kinds share.


def _grid(figure: Figure, shape: tuple[int, int], number: int, axis: TimeAxis) -> list[Axes]:
    """Panels row by row over one time axis, labelled at the lowest of each column."""
    rows, columns = shape
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    for spare in panels[number:]:
        spare.axis("off")
    panels[0].set_xlim(axis.low, axis.high)
    for k, panel in enumerate(panels[:number]):
        lowest = k + columns >= number
        panel.tick_params(labelbottom=lowest)
        if lowest:
            panel.set_xlabel(axis.label)
        _time_ticks(panel, axis)
    return panels[:number]


# dateutil's numbers of months, hours, minutes and seconds, and how many make the next unit.
_NEXT_UNIT = {1: 12, 4: 24, 5: 60, 6: 60}


def _time_ticks(panel: Axes, axis: TimeAxis) -> None:
    if axis.clock == "device":
        panel.locator_params(axis="x", nbins=5)
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=4)
    # So few ticks leave gaps between its steps, such as 36 to 48 hours: a step of the next unit.
    for unit, step in _NEXT_UNIT.items():
        locator.intervald[unit] = [*locator.intervald[unit], step]
    # Seconds come with hour and minute: "20" alone could be any of them.
    formats = ["%Y", "%b", "%b %d", "%H:%M", "%H:%M", "%H:%M:%S"]
    zeros = ["", "%Y", "%b", "%b %d", "%H:%M", "%H:%M:%S"]
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(
        ConciseDateFormatter(locator, formats=formats, zero_formats=zeros, show_offset=False)
    )


def _draw_steps(
    panel: Axes, track: Track, axis: TimeAxis, exponent: int, line: tuple[str, float]
) -> None:
    """A value holds until the next one, the last to the right edge; a gap where withdrawn.

    `line` is colour and width.
    """
    colour, width = line
    scaled = [math.nan if d is None else d / 10.0**exponent for d in track.differences]
    panel.step([*track.times, axis.high], [*scaled, scaled[-1]], where="post", color=colour,
               linewidth=width, zorder=2)  # fmt: skip


def _frame(
    panel: Axes, tracks: Sequence[Track], axis: TimeAxis, exponent: int, palette: Palette
) -> None:
    """The y range, the grid, and a line at each undo."""
    low, high = (end / 10.0**exponent for end in y_range(tracks))
    if low < high:
        panel.set_ylim(low, high)
        panel.locator_params(axis="y", nbins=4)
    else:  # it never moved, and nobody knows how surely
        panel.set_ylim(-1, 1)
        panel.set_yticks([0])
    plain_grid(panel)
    for time in axis.undos:
        panel.axvline(time, color=palette.bad, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)


def _line(colour: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=3)


def _undo_line(palette: Palette) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=palette.bad, linewidth=0.9, linestyle=(0, (4, 2)))


def _caption(panels: Sequence[Sequence[Track]], axis: TimeAxis, meaning: str, beyond: str) -> str:
    tracks = list(itertools.chain.from_iterable(panels))
    entries = list(itertools.chain.from_iterable(track.entries for track in tracks))
    first, last = min(e.change.id for e in entries), max(e.change.id for e in entries)
    times = [time for track in tracks for time in track.times]
    off = itertools.chain.from_iterable(off_scale(panel) for panel in panels)
    clipped = any(out and time >= axis.low for time, out in zip(times, off, strict=True))
    early = sum(time < axis.low for time in times)
    parts = [
        meaning,
        f"{len(entries):,} entries, changes {first} to {last}.",
        *([beyond] if clipped else []),
        *([f"Left out, earlier and beyond the scale: {early:,}."] if early else []),
        *(["A gap: withdrawn by an undo."] if any(e.value is None for e in entries) else []),
    ]
    return " ".join(parts)

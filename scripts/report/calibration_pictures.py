"""Pictures of a calibration history: each knob over time, with uncertainty, source and undos."""

from __future__ import annotations

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
    in_order,
    moves,
    time_axis,
    tracks_of,
    y_range,
)
from scripts.report.style import MARKERS, Labels, Palette, plain_grid, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = 20  # panels in one picture of one knob name: beyond that a second picture begins


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
    caption = _caption(tracks, meaning, "Lines that leave a panel: beyond its scale.")
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
        for track in tracks:
            _draw_steps(panel, track, axis, exponent, colours[track.owner])
        _frame(panel, tracks, axis, exponent, palette)
        panel.set_title(_title(name, exponent), loc="left", fontsize=9)
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
    """Qubits and pairs each begin the colours anew where they are few; a ramp for many."""
    colours = {}
    for pairs in (False, True):
        group = [owner for owner in owners if ("-" in owner) == pairs]
        few = len(group) <= len(palette.kinds)
        colours |= dict(zip(group, palette.kinds if few else palette.ordered(len(group)),
                            strict=False))  # fmt: skip
    return colours


# A knob name's own picture: one panel a qubit, with uncertainties and sources.


def _draw_name(
    tracks: Sequence[Track], axis: TimeAxis, target: pathlib.Path, device: str
) -> list[pathlib.Path]:
    columns = math.ceil(len(tracks) / 5)
    rows = math.ceil(len(tracks) / columns)
    size_in = (max(7.0, 2.6 * columns + 1.4), 1.35 * rows + 1.4)
    name = tracks[0].knob.name
    caption = _caption(tracks, "Each panel: distance from the value in force, which stands above "
                       "it. Bars: one standard deviation, where known.",
                       "Triangles at the edge: beyond the scale.")  # fmt: skip
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

    entries = [entry for track in tracks for entry in track.entries if entry.value is not None]
    sources = list(dict.fromkeys(entry.source for entry in entries))
    styles = {source: _source_style(k, palette) for k, source in enumerate(sources)}
    exponent = common_exponent(tracks)
    for panel, track in zip(_grid(figure, shape, len(tracks), axis), tracks, strict=True):
        _draw_steps(panel, track, axis, exponent, palette.faint)
        _frame(panel, [track], axis, exponent, palette)
        _draw_entries(panel, track, exponent, styles, palette)
        panel.set_title(track.owner, loc="left", fontsize=9, fontweight="bold")
        panel.set_title(_in_force_text(track), loc="right", fontsize=8, color=palette.faint)
    unit = f" (10{_superscript(exponent)})" if exponent else ""
    figure.supylabel(f"{tracks[0].knob.name}, from the value in force{unit}", fontsize=9)
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


def _source_style(number: int, palette: Palette) -> tuple[str, str]:
    """Colour and marker; beyond eight sources the same colours meet other markers."""
    turn = number // len(palette.kinds)
    return palette.kinds[number % len(palette.kinds)], MARKERS[(number + turn) % len(MARKERS)]


def _draw_entries(
    panel: Axes,
    track: Track,
    exponent: int,
    styles: dict[str, tuple[str, str]],
    palette: Palette,
) -> None:
    """Every entry with its bar; hollow where an undo brought a value back, arrows off the scale."""
    low, high = panel.get_ylim()
    size = 4.2 if len(track.entries) <= 40 else 2.6
    for entry, time, difference in zip(track.entries, track.times, track.differences, strict=True):
        if difference is None:
            continue
        colour, marker = styles[entry.source]
        y = difference / 10.0**exponent
        if not low <= y <= high:
            panel.plot([time], [low if y < low else high], marker="v" if y < low else "^",
                       color=colour, markersize=size + 1.5, clip_on=False, zorder=4)  # fmt: skip
            continue
        undone = entry.change.restores is not None
        bar = (entry.uncertainty or 0.0) / 10.0**exponent
        panel.errorbar([time], [y], yerr=[bar] if bar else None, color=colour, marker=marker,
                       markersize=size, elinewidth=0.9, capsize=0, zorder=3,
                       markerfacecolor=palette.background if undone else colour)  # fmt: skip


def _in_force_text(track: Track) -> str:
    from scripts.calibration_tables import uncertainty_text, value_text

    last = track.entries[-1]
    if last.value is None:
        return "withdrawn"
    text = value_text(last.value, last.uncertainty)
    return f"{text} ± {uncertainty_text(last.uncertainty)}" if last.uncertainty else text


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


def _time_ticks(panel: Axes, axis: TimeAxis) -> None:
    if axis.clock == "device":
        panel.locator_params(axis="x", nbins=5)
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=5)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def _draw_steps(panel: Axes, track: Track, axis: TimeAxis, exponent: int, colour: str) -> None:
    """A value holds until the next one, the last to the right edge; a gap where withdrawn."""
    scaled = [math.nan if d is None else d / 10.0**exponent for d in track.differences]
    panel.step([*track.times, axis.high], [*scaled, scaled[-1]], where="post", color=colour,
               linewidth=1.2, zorder=2)  # fmt: skip


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


def _title(name: str, exponent: int) -> str:
    return f"{name}  (10{_superscript(exponent)})" if exponent else name


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _line(colour: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=3)


def _undo_line(palette: Palette) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=palette.bad, linewidth=0.9, linestyle=(0, (4, 2)))


def _caption(tracks: Sequence[Track], meaning: str, beyond: str) -> str:
    entries = list(itertools.chain.from_iterable(track.entries for track in tracks))
    first, last = min(e.change.id for e in entries), max(e.change.id for e in entries)
    clipped = any(
        not low <= d <= high
        for track in tracks
        for low, high in [y_range([track])]
        for d in track.differences
        if d is not None
    )
    parts = [
        meaning,
        f"{len(entries):,} entries, changes {first} to {last}.",
        *([beyond] if clipped else []),
        *(["A gap: withdrawn by an undo."] if any(e.value is None for e in entries) else []),
    ]
    return " ".join(parts)

"""The calibration history that a run wrote to: each knob's values over time."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scripts.page.calibrated_run import CalibratedRun
from scripts.page.figures import Axis as PageAxis
from scripts.page.figures import Chart, Curve, Line, Number, Section
from scripts.page.time_units import time_unit
from scripts.run_folder import read_manifest

if TYPE_CHECKING:
    from calib.history import Entry
    from scripts.report.calibration_tracks import TimeAxis, Track

_EARLY = 0.1  # of the history: what was only moved in its beginning is drawn of that alone
_MOST_CURVES = 12  # qubits of one knob name, those that moved most often


def history_section(run: CalibratedRun) -> list[Section]:
    """A chart for each knob name, a curve a qubit or pair; nothing where there is no history."""
    from scripts.report.calibration_tracks import in_order, moves, time_axis, tracks_of

    found = _read(run)
    if isinstance(found, str):
        return [Section("Calibration history", [found])] if found else []
    device, entries = found
    axis = time_axis(entries, None)
    tracks = in_order(tracks_of(entries, axis))
    moved = [track for track in tracks if moves(track)]
    if not moved:
        return []
    runs = {entry.change.run for entry in entries}
    words = [f"The history of {device} has {len(entries):,} entries of {len(tracks)} knobs, from "
             f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}. A knob's value holds until the "
             "next; each chart counts from the values in force."]  # fmt: skip
    names = dict.fromkeys(track.knob.name for track in moved)
    charts = [_chart(name, [one for one in moved if one.knob.name == name], axis)
              for name in names]  # fmt: skip
    return [Section("Calibration history", words, charts)]


def _read(run: CalibratedRun) -> tuple[str, list[Entry]] | str:
    """The device's name and its entries, or why there are none; nothing is written."""
    from calib.campaign import history_name
    from calib.device_config import DeviceConfig
    from calib.history import History

    said = _named(run)
    path = next((one for one in _places(run, said) if one.is_file()), None)
    if path is None:
        return f"The history that the run wrote to, {said}, is not there."
    try:
        device = history_name(DeviceConfig.model_validate(run.config["device"]))
        with History(path, access="read") as history:
            entries = history.entries(device) if device in history.devices() else []
    except (ValueError, OSError) as why:
        return f"The history that the run wrote to cannot be read: {why}"
    return (device, entries) if entries else f"The history has nothing of {device}."


def _named(run: CalibratedRun) -> pathlib.Path:
    """The history's file, as the result names it, or as the command did."""
    from scripts.calibration import DEFAULT_HISTORY

    if run.result is not None:
        return pathlib.Path(run.result["history"])
    try:
        command: list[str] = read_manifest(run.folder)["sessions"][-1]["command"]
    except ValueError:
        return pathlib.Path(DEFAULT_HISTORY)
    for k, word in enumerate(command):
        if word.startswith("--history="):
            return pathlib.Path(word.partition("=")[2])
        if word == "--history" and k + 1 < len(command):
            return pathlib.Path(command[k + 1])
    return pathlib.Path(DEFAULT_HISTORY)


def _places(run: CalibratedRun, said: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where it may be: the path is of the place in which the command was given."""
    # runs/NAME is what a run's folder is called if nobody says otherwise.
    parts = pathlib.Path(run.result["run"]).parts if run.result else ("runs", "name")
    parents = run.folder.resolve().parents
    yield from (parent / said for parent in parents[len(parts) - 1 : len(parts)])
    yield parents[0] / said
    yield said


def _chart(name: str, tracks: Sequence[Track], axis: TimeAxis) -> Chart:
    from scripts.report.calibration_tracks import common_exponent, off_scale, unit_text

    shown = sorted(tracks, key=lambda one: -len(one.entries))[:_MOST_CURVES]
    shown = sorted(shown, key=tracks.index)
    clock, is_early = _clock(shown, axis)
    exponent = common_exponent(shown)
    unit = unit_text(name, exponent)
    far = sum(bool(one) for track in shown for one in off_scale([track]))
    parts = ["Bands are one standard deviation, where one is known."]
    parts += ["Not moved since."] * is_early
    parts += [f"Left out: {far} values far beyond the others, which came first."] * bool(far)
    parts += [f"The {len(shown)} of {len(tracks)} that were moved most often."] * (
        len(shown) < len(tracks))  # fmt: skip
    curves = [_curve(track, exponent, clock) for track in shown]
    lines = [Line("x", clock.at(time), "undo") for time in axis.undos]
    away = f"from the value in force{f' ({unit})' if unit else ''}"
    kind = "device time" if axis.clock == "device" else "time since the first change"
    return Chart(name, " ".join(parts), PageAxis(f"{kind} ({clock.unit})"), PageAxis(away), curves,
                 lines)  # fmt: skip


class _Clock(NamedTuple):
    """From the times of tracks to those of a chart, which ends at `end`."""

    begin: float
    factor: float
    unit: str
    end: float

    def at(self, time: float) -> float:
        """A track's time in the chart's unit."""
        return (time - self.begin) * self.factor


def _clock(tracks: Sequence[Track], axis: TimeAxis) -> tuple[_Clock, bool]:
    """The chart's time; and whether all changes came so early that only the beginning is shown."""
    times = [time for track in tracks for time in track.times]
    begin = 0.0 if axis.clock == "device" else axis.low
    base_s = axis.unit_s if axis.clock == "device" else 86400.0
    span, whole = max(times) - begin, axis.high - begin
    is_early = 0 < span < _EARLY * whole
    end_s = base_s * (1.25 * span if is_early else whole)
    unit, unit_s = time_unit(end_s)
    return _Clock(begin, base_s / unit_s, unit, end_s / unit_s), is_early


def _curve(track: Track, exponent: int, clock: _Clock) -> Curve:
    """What is off the scale is a gap; the last value holds to the chart's end."""
    from scripts.calibration_tables import value_text
    from scripts.report.calibration_tracks import off_scale

    y: list[Number] = []
    low: list[Number] = []
    high: list[Number] = []
    notes: list[str] = []
    far = off_scale([track])
    for entry, difference, is_far in zip(track.entries, track.differences, far, strict=True):
        shown = None if is_far else difference
        bar = entry.uncertainty
        y.append(_scaled(shown, 0.0, exponent))
        low.append(_scaled(shown, None if bar is None else -bar, exponent))
        high.append(_scaled(shown, bar, exponent))
        notes.append(f"{value_text(entry.value, bar)}, by {entry.source}, change {entry.change.id}")
    columns = [[*column, column[-1]] for column in (y, low, high)]
    times = [*map(clock.at, track.times), clock.end]
    return Curve(track.owner, times, *columns, mark="step",
                 notes=[*notes, f"{notes[-1]}, in force"])  # fmt: skip


def _scaled(difference: float | None, bar: float | None, exponent: int) -> Number:
    if difference is None or bar is None:
        return None
    return (difference + bar) / 10.0**exponent

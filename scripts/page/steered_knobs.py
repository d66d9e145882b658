"""Knob by knob: where each control's hidden optimum drifted, and what the agent did about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scripts.page.figures import Axis, Chart, Curve, Figure, HeatMap, Line, Section, Table
from scripts.page.steered_courses import Floats, SteeredRun
from scripts.page.steered_truth import Hidden, hidden_of
from scripts.page.time_units import time_names, time_unit

_MOST_CURVES = 6  # controls that have a chart of their own
_MOST_ROWS = 200  # controls of a heat map
_MOST_LINES = 40  # controls of the table
_MOST_TIMES = 40  # points of a curve, columns of a heat map
_SETTLING = 4  # a quarter of the run is left out of all means, as in its scores
_UNITS = (
    "Settings are counted from where they began, in natural units: with one of its gate's P "
    "controls a unit off its optimum, a gate errs by a P-th of its floor more."
)


@dataclasses.dataclass(frozen=True)
class _Knobs:
    """Settings held [N, K] at epochs [N], the optimum there, or why nothing is known of it."""

    names: tuple[str, ...]
    epochs: NDArray[np.int64]
    settings: Floats
    optimum: Floats | None
    why_not: str
    times: Floats
    unit: str

    @property
    def settled(self) -> slice:
        """The rows that means are of."""
        return slice(len(self.epochs) // _SETTLING, None)

    @property
    def moved(self) -> Floats:
        """How far each control's optimum went [K], or its setting where that is not known."""
        return np.ptp(self.settings if self.optimum is None else self.optimum, axis=0)

    def off(self, settings: Floats | float) -> Floats:
        """How far settings are from the optimum, the root mean square over time [K]."""
        assert self.optimum is not None  # it was looked at
        return np.sqrt(np.mean((settings - self.optimum)[self.settled] ** 2, axis=0))


def knob_section(run: SteeredRun) -> Section:
    """Words, the controls that drifted most as curves, all as heat maps, and the numbers."""
    course = run.courses["steerer"]
    if not len(course.settings):
        return Section("Knob by knob", ["The settings were not kept: there is no knobs.csv."])
    knobs = _knobs(run)
    most = np.argsort(-knobs.moved, kind="stable")
    shown = np.sort(most[:_MOST_ROWS])
    figures: list[Figure] = [_curves(knobs, k) for k in most[:_MOST_CURVES].tolist()]
    figures.append(_heat_map(knobs, shown, knobs.settings, "What the agent did",
                             "setting held, in units", "Settings held best. "))  # fmt: skip
    if knobs.optimum is not None:
        figures.append(_heat_map(knobs, shown, knobs.optimum, "What drifted",
                                 "hidden optimum, in units", "Where the settings would err "
                                 "least, which the agent does not see. "))  # fmt: skip
        figures.append(_heat_map(knobs, shown, knobs.settings - knobs.optimum, "What was left",
                                 "setting less optimum, in units",
                                 "Pale is well. "))  # fmt: skip
        figures.append(_table(knobs, most[:_MOST_LINES]))
    return Section("Knob by knob", _words(knobs, int(most[0])), figures)


def _knobs(run: SteeredRun) -> _Knobs:
    course, hidden = run.courses["steerer"], hidden_of(run)
    rows = len(course.settings)
    if isinstance(hidden, Hidden) and len(hidden.epochs):
        epochs, optimum, why_not = hidden.epochs, hidden.optimum, ""
    else:
        few = np.unique(np.linspace(0, rows - 1, min(rows, _MOST_TIMES)).astype(np.int64))
        epochs, optimum = course.stride * few, None
        why_not = hidden if isinstance(hidden, str) else "no epoch was kept at which it is known"
    names = hidden.controls if isinstance(hidden, Hidden) else course.controls
    unit, unit_s = time_unit(float(course.times_s[-1]))
    return _Knobs(names, epochs, course.settings[epochs // course.stride], optimum, why_not,
                  course.times_s[epochs] / unit_s, unit)  # fmt: skip


def _words(knobs: _Knobs, most: int) -> list[str]:
    if knobs.optimum is None:
        return [f"{_UNITS} Where the hidden optimum was is not shown: {knobs.why_not}."]
    held, left = knobs.off(knobs.settings), knobs.off(0.0)
    low, high = np.min(knobs.optimum[:, most]), np.max(knobs.optimum[:, most])
    both = [float(np.sqrt(np.mean(one**2))) for one in (held, left)]
    return [
        f"Over all {len(knobs.names):,} controls and after the first quarter, the settings held "
        f"were {both[0]:#.2g} units off the optimum (root mean square); untouched they would have "
        f"been {both[1]:#.2g} units off.",
        f"{knobs.names[most]} drifted most: its optimum went between {low:.2f} and {high:.2f}. The "
        f"settings held were {held[most]:#.2g} units off it, untouched {left[most]:#.2g}.",
        _UNITS,
    ]


def _curves(knobs: _Knobs, k: int) -> Chart:
    """One control: where its optimum went, and where it was held."""
    times = knobs.times.tolist()
    notes = [f"epoch {epoch}" for epoch in knobs.epochs.tolist()]
    curves = [Curve("setting held", times, _short(knobs.settings[:, k]), notes=notes)]
    caption = "What the agent did with it."
    if knobs.optimum is not None:
        curves.append(Curve("hidden optimum", times, _short(knobs.optimum[:, k]), notes=notes))
        held, left = knobs.off(knobs.settings)[k], knobs.off(0.0)[k]
        caption = (f"Off by {held:#.2g} units after the first quarter, root mean square; untouched "
                   f"by {left:#.2g}.")  # fmt: skip
    return Chart(knobs.names[k], caption, Axis(f"time ({knobs.unit})"), Axis("units"), curves,
                 [Line("y", 0.0, "untouched")])  # fmt: skip


def _short(values: Floats) -> list[float]:
    return [float(f"{value:.3g}") for value in values.tolist()]


def _heat_map(
    knobs: _Knobs, shown: NDArray[np.int64], values: Floats, heading: str, label: str, words: str
) -> HeatMap:
    few = "" if len(shown) == len(knobs.names) else (
        f"The {len(shown):,} of {len(knobs.names):,} controls that moved most.")  # fmt: skip
    return HeatMap(
        heading, f"{words}{few}".strip(), Axis(label), "control", f"time ({knobs.unit})",
        [knobs.names[k] for k in shown.tolist()], time_names(knobs.times.tolist()),
        [_short(values[:, k]) for k in shown.tolist()], centred=True,
    )  # fmt: skip


def _table(knobs: _Knobs, order: Sequence[int] | NDArray[np.int64]) -> Table:
    assert knobs.optimum is not None  # it was looked at
    held, left = knobs.off(knobs.settings), knobs.off(0.0)
    low, high = knobs.optimum.min(axis=0), knobs.optimum.max(axis=0)
    rows = [
        (knobs.names[k], f"{low[k]:+.2f}", f"{high[k]:+.2f}", f"{left[k]:.3f}", f"{held[k]:.3f}",
         f"{knobs.settings[-1, k]:+.3f}", f"{knobs.optimum[-1, k]:+.3f}")
        for k in map(int, order)
    ]  # fmt: skip
    head = ("control", "optimum, least", "optimum, most", "off untouched", "off as held",
            "setting at the end", "optimum at the end")  # fmt: skip
    few = "" if len(rows) == len(knobs.names) else (
        f" The {len(rows)} of {len(knobs.names):,} controls that drifted most.")  # fmt: skip
    caption = ("What drifted most stands first. Off: from the optimum, root mean square over time "
               f"after the first quarter, in units.{few}")  # fmt: skip
    return Table("Control by control", caption, head, rows)

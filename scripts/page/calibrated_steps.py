"""The steps of a calibration: which experiment on which qubit, and what it found, in time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scripts.page.calibrated_run import CalibratedRun, on
from scripts.page.figures import Axis, Chart, Curve, Figure, HeatMap, Number, Section, Table
from scripts.page.time_units import time_unit

if TYPE_CHECKING:
    from calib.routine import Step

_MOST_ROWS = 60  # of the table
_MOST_TARGETS = 60  # columns of the map


def steps_section(run: CalibratedRun) -> Section:
    """What was found in the bring-up and in upkeep, and where knobs were moved."""
    up_s = run.up.device_time_s if run.up else math.inf
    early = [step for step in run.steps if step.device_time_s <= up_s]
    late = [step for step in run.steps if step.device_time_s > up_s]
    figures: list[Figure] = [*_charts("Bring-up", early), *_charts("Upkeep", late),
                             _map(run.steps), *_not_good(run.steps)]  # fmt: skip
    return Section("Step by step", _words(run.steps), figures)


def _words(steps: Sequence[Step]) -> list[str]:
    from calib.history_entries import VERDICTS

    counts = Counter(step.verdict for step in steps)
    said = "; ".join(f"{counts[verdict]:,} {verdict} ({meaning})"
                     for verdict, meaning in VERDICTS.items() if counts[verdict])  # fmt: skip
    return [f"{len(steps):,} experiments: {said}."]


def _charts(when: str, steps: Sequence[Step]) -> list[Chart]:
    """A chart for each unit: how far off, with its uncertainty, in the colour of the verdict."""
    if not steps:
        return []
    unit, unit_s = time_unit(steps[-1].device_time_s)
    caption = ("How far off each experiment found what it looks at, without its sign; bars are one "
               "standard deviation.")  # fmt: skip
    found = []
    for quantity in dict.fromkeys(step.unit for step in steps):
        own = [step for step in steps if step.unit == quantity]
        curves = [_curve(verdict, [step for step in own if step.verdict == verdict], unit_s)
                  for verdict in dict.fromkeys(step.verdict for step in own)]  # fmt: skip
        found.append(Chart(f"{when}: deviations in {quantity or 'no unit'}", caption,
                           Axis(f"device time ({unit})"),
                           Axis(f"deviation ({quantity})" if quantity else "deviation", "log"),
                           curves))  # fmt: skip
    return found


def _curve(verdict: str, steps: Sequence[Step], unit_s: float) -> Curve:
    sizes = [_size(step.deviation) for step in steps]
    bars = [_size(step.uncertainty) for step in steps]
    ends = [(None, None) if size is None or bar is None else (max(size - bar, 0.0), size + bar)
            for size, bar in zip(sizes, bars, strict=True)]  # fmt: skip
    return Curve(
        verdict, [step.device_time_s / unit_s for step in steps], sizes,
        [low for low, _ in ends], [high for _, high in ends], mark="points",
        notes=[f"{step.node} on {on(step.target)}: {deviation_text(step)}" for step in steps],
    )  # fmt: skip


def _size(value: float | None) -> Number:
    """How large; None where the data gave no finite number."""
    return None if value is None or not math.isfinite(value) else abs(value)


def deviation_text(step: Step) -> str:
    """What was found with its uncertainty and unit."""
    if _size(step.deviation) is None:
        return "no number"
    bar = "" if _size(step.uncertainty) is None else f" ± {step.uncertainty:.2g}"
    return f"{step.deviation:+.2g}{bar} {step.unit}".strip()


def _map(steps: Sequence[Step]) -> HeatMap:
    """How often each experiment moved a knob, where it was run at all."""
    names = list(dict.fromkeys(step.node for step in steps))
    targets = sorted({step.target for step in steps}, key=lambda one: (len(one), one))
    runs = Counter((step.node, step.target) for step in steps)
    moved = Counter((step.node, step.target) for step in steps if step.verdict == "corrected")
    busiest = sorted(targets, key=lambda one: -sum(moved[name, one] for name in names))
    shown = sorted(busiest[:_MOST_TARGETS], key=targets.index)
    few = "" if len(shown) == len(targets) else (
        f" The {len(shown)} of {len(targets)} where most was moved.")  # fmt: skip
    values = [[moved[name, one] if runs[name, one] else None for one in shown] for name in names]
    return HeatMap(
        "Where knobs were moved", f"How often each experiment moved a knob.{few}",
        Axis("times corrected", low=0.0), "experiment", "qubit or pair", names,
        [on(one) for one in shown], values,
    )  # fmt: skip


def _not_good(steps: Sequence[Step]) -> list[Table]:
    """The last finding of each experiment, where that is neither small nor was corrected."""
    last = {(step.node, step.target): step for step in steps}
    bad = [step for step in last.values() if step.verdict not in ("in tolerance", "corrected")]
    rows = [(step.node, on(step.target), step.verdict, deviation_text(step),
             f"{step.device_time_s:,.1f}") for step in bad]  # fmt: skip
    few = "" if len(rows) <= _MOST_ROWS else f" The first {_MOST_ROWS} of {len(rows):,}."
    caption = f"What the last measurement found neither small nor could correct.{few}"
    head = ("experiment", "on", "verdict", "deviation", "device time (s)")
    return [Table("Not within tolerance", caption, head, rows[:_MOST_ROWS])] if rows else []

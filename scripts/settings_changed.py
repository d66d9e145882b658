"""What a calibration did to the knobs: old, new, difference, uncertainty and status of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calib.controls import Knob
    from calib.history import History
    from calib.routine import Node, Step


@dataclass(frozen=True)
class Setting:
    """One knob over a run. `uncertainty` is one standard deviation, or None where none is known;
    `status` is the last verdict of the experiment or agent that sets the knob, and `by` its name.
    """

    knob: Knob
    old: float
    new: float
    uncertainty: float | None
    status: str
    by: str

    @property
    def difference(self) -> float:
        """New less old; of an angle, the shorter way around."""
        difference = self.new - self.old
        if self.knob.name.endswith("_rad") and abs(difference) > math.pi:
            return math.remainder(difference, 2 * math.pi)
        return difference


def settings_changed(
    history: History, device: str, run: str, steps: Sequence[Step], nodes: Sequence[Node]
) -> list[Setting]:
    """The knobs that the steps of a run were about, in the order of the first of them."""
    from calib.controls import Knob

    if device not in history.devices():
        return []
    names = {node.name: node.calibration.knobs for node in nodes}
    last: dict[Knob, Step] = {}
    for step in steps:
        for name in names.get(step.node, ()):
            last[Knob(name, step.target)] = step
    changed = [entry for entry in history.entries(device, list(last)) if entry.change.run == run]
    state = history.in_force(device)
    # What a run writes first of a device that the history meets is how it began.
    first = {entry.knob: entry.value if entry.previous is None else entry.previous
             for entry in reversed(changed)}  # fmt: skip
    found = []
    for knob, step in last.items():
        entry = state.get(knob)
        if entry is None or entry.value is None:
            continue
        old = first.get(knob)
        found.append(Setting(knob, entry.value if old is None else old, entry.value,
                             entry.uncertainty, step.verdict, step.node))  # fmt: skip
    return found


def settings_table(settings: Sequence[Setting]) -> str:
    """A line a knob."""
    from scripts.calibration_tables import value_text
    from scripts.table import aligned

    rows = [
        (str(one.knob), value_text(one.old, one.uncertainty), value_text(one.new, one.uncertainty),
         f"{one.difference:+.3g}", "" if one.uncertainty is None else f"{one.uncertainty:.2g}",
         one.status, one.by)
        for one in settings
    ]  # fmt: skip
    header = ("knob", "old", "new", "difference", "uncertainty", "status", "by")
    return aligned(header, rows)


def settings_rows(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """The same in full, for JSON and CSV."""
    return [
        {"knob": str(one.knob), "old": one.old, "new": one.new, "difference": one.difference,
         "uncertainty": one.uncertainty, "status": one.status, "by": one.by}
        for one in settings
    ]  # fmt: skip

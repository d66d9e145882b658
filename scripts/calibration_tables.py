"""Tables of a calibration history for the terminal, and the JSON of an undo."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from calib.controls import Knob
from calib.history import Check, DeviceTime, Entry, Moment
from calib.history_export import comment_of, entry_data
from calib.history_export import utc_text as exact_utc_text
from scripts.calibration_names import on_text
from scripts.table import aligned

_MOST_DECIMALS = 12
Passed = Mapping[tuple[str, tuple[int, ...]], Check]


@dataclasses.dataclass(frozen=True)
class Reference:
    """The moment for which a table holds: ages count from it."""

    change: int
    utc: datetime
    device_time_s: float | None


def reference(entries: Iterable[Entry], at: Moment | None, now_s: float | None = None) -> Reference:
    """The moment `at` on both clocks, as far as the entries in force then tell.

    `now_s` is the device's clock now, for an `at` of None.
    """
    newest = max((entry.change for entry in entries), key=lambda change: change.id)
    utc, device_time_s = newest.utc, newest.device_time_s
    if at is None:
        utc, device_time_s = datetime.now(UTC), device_time_s if now_s is None else now_s
    elif isinstance(at, DeviceTime):
        device_time_s = at.seconds
    elif isinstance(at, datetime):
        utc = at
    return Reference(newest.id, utc, device_time_s)


def state_table(
    device: str, state: Mapping[Knob, Entry], moment: Reference, passed: Passed | None = None
) -> str:
    """What is in force: a block of lines for each qubit and pair.

    `passed` has the last check within tolerance of each experiment, by its name and qubits.
    """
    entries = list(state.values())
    good_by = "device" if moment.device_time_s is not None else "wall"
    run, runs = _shared([entry.measured.run for entry in entries])
    columns = {
        "knob": [str(entry.knob) for entry in entries],
        "value": [value_text(entry.value, entry.uncertainty) for entry in entries],
        "±": [uncertainty_text(entry.uncertainty) for entry in entries],
        "wall age": [_wall_age(entry, moment) for entry in entries],
        "device age": [_device_age(entry, moment) for entry in entries],
        "source": [entry.source for entry in entries],
        f"found good ({good_by})": [_good_age(entry, moment, passed or {}) for entry in entries],
        "change": [str(entry.change.id) for entry in entries],
        "run": runs,
        "note": [_note(entry) for entry in entries],
    }
    header, rule, *lines = _table(columns).splitlines()
    blocks = itertools.groupby(zip(entries, lines, strict=True), lambda pair: pair[0].knob.qubits)
    text = "\n\n".join("\n".join(line for _, line in block) for _, block in blocks)
    time_s = moment.device_time_s
    device_time = "" if time_s is None else f", device time {time_s:,.6g} s"
    said = f"{device}, {len(entries)} knobs, at {utc_text(moment.utc)} UTC{device_time}"
    said += f", run: {run}" if run else ""
    return f"{said}\n\n{header}\n{rule}\n{text}"


def log_table(entries: Sequence[Entry]) -> str:
    """The log, the newest entry first; columns in which nothing stands are left out."""
    entries = entries[::-1]
    times = [entry.change.device_time_s for entry in entries]
    run, runs = _shared([entry.measured.run for entry in entries])
    table = _table({
        "change": [str(entry.change.id) for entry in entries],
        "time (UTC)": [utc_text(entry.change.utc) for entry in entries],
        "device time": ["" if time is None else f"{time:,.6g} s" for time in times],
        "knob": [str(entry.knob) for entry in entries],
        "value": [value_text(entry.value, entry.uncertainty) for entry in entries],
        "±": [uncertainty_text(entry.uncertainty) for entry in entries],
        "moved by": [_moved(entry) for entry in entries],
        "source": [entry.source for entry in entries],
        "run": runs,
        "note": [_note(entry) for entry in entries],
    })  # fmt: skip
    return f"run: {run}\n\n{table}" if run else table


def undo_table(moved: Mapping[Knob, tuple[Entry | None, Entry | None]]) -> str:
    """What an undo changes: each knob before and after."""
    before = [old for old, _ in moved.values()]
    after = [new for _, new in moved.values()]
    return _table({
        "knob": [str(knob) for knob in moved],
        "before": [_entry_text(entry) for entry in before],
        "was from": [entry.source if entry else "" for entry in before],
        "after": [_entry_text(entry) for entry in after],
        "source": [entry.source if entry else "" for entry in after],
        "measured in": [f"change {entry.measured.id}" if entry else "" for entry in after],
        "at (UTC)": [utc_text(entry.measured.utc) if entry else "" for entry in after],
    })  # fmt: skip


def moved_data(moved: Mapping[Knob, tuple[Entry | None, Entry | None]]) -> dict[str, Any]:
    """The same as plain data: `{NAME: {"before": ..., "after": ...}}`; None is no value."""
    return {
        str(knob): {
            "before": entry_data(old) if old else None,
            "after": entry_data(new) if new else None,
        }
        for knob, (old, new) in moved.items()
    }


def checks_table(checks: Sequence[Check], now_s: float | None) -> str:
    """Checks in the order given; `now_s` is the device's clock now, from which ages count."""
    times = [check.device_time_s for check in checks]
    run, runs = _shared([check.run for check in checks])
    table = _table({
        "experiment": [check.node for check in checks],
        "on": [on_text(check) for check in checks],
        "found": [check.verdict for check in checks],
        "deviation": [_number(check.deviation) for check in checks],
        "±": ["" if check.uncertainty is None else f"{check.uncertainty:.2g}" for check in checks],
        "unit": [check.unit for check in checks],
        "time (UTC)": [utc_text(check.utc) for check in checks],
        "device age": ["" if time_s is None or now_s is None else age_text(now_s - time_s)
                       for time_s in times],
        "change": [str(check.change) for check in checks],
        "run": runs,
    })  # fmt: skip
    return f"run: {run}\n\n{table}" if run else table


def check_data(check: Check) -> dict[str, Any]:
    """A check as plain data."""
    return {**dataclasses.asdict(check), "target": on_text(check), "utc": exact_utc_text(check.utc)}


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:+.2g}"


def _table(columns: Mapping[str, Sequence[str]]) -> str:
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    return aligned(list(kept), zip(*kept.values(), strict=True))


def value_text(value: float | None, uncertainty: float | None) -> str:
    """A value to two digits of its uncertainty, or to eight digits.

    >>> value_text(4.98765432109, 1.2e-6)
    '4.9876543'
    """
    if value is None:
        return "withdrawn"
    decimals = _decimals(uncertainty)
    return f"{value:.8g}" if decimals is None else f"{value:.{decimals}f}"


def uncertainty_text(uncertainty: float | None) -> str:
    """An uncertainty to two digits, written out."""
    decimals = _decimals(uncertainty)
    if uncertainty is None or decimals is None:
        return "" if uncertainty is None else f"{uncertainty:.2g}"
    return f"{uncertainty:.{decimals}f}"


def _decimals(uncertainty: float | None) -> int | None:
    """Decimals that show two digits of an uncertainty; None where there are none or too many."""
    if not uncertainty:
        return None
    decimals = max(1 - math.floor(math.log10(uncertainty)), 0)
    return decimals if decimals <= _MOST_DECIMALS else None


def age_text(seconds: float) -> str:
    """An age as people say it.

    >>> age_text(7300)
    '2.0 h'
    """
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def utc_text(moment: datetime) -> str:
    """A time to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _entry_text(entry: Entry | None) -> str:
    if entry is None:
        return "no value"
    plus_minus = f" ± {uncertainty_text(entry.uncertainty)}" if entry.uncertainty else ""
    return value_text(entry.value, entry.uncertainty) + plus_minus


def _wall_age(entry: Entry, moment: Reference) -> str:
    return age_text((moment.utc - entry.measured.utc).total_seconds())


def _device_age(entry: Entry, moment: Reference) -> str:
    if moment.device_time_s is None or entry.measured.device_time_s is None:
        return ""
    return age_text(moment.device_time_s - entry.measured.device_time_s)


def _good_age(entry: Entry, moment: Reference, passed: Passed) -> str:
    """How long ago the experiment that set a knob found it good, by the device's clock if known."""
    check = passed.get((entry.source, entry.knob.qubits))
    if check is None or check.change < entry.change.id:
        return ""
    if moment.device_time_s is None:
        return f"{age_text((moment.utc - check.utc).total_seconds())} ago"
    if check.device_time_s is None:  # the column has the device's clock
        return ""
    return f"{age_text(moment.device_time_s - check.device_time_s)} ago"


def _moved(entry: Entry) -> str:
    if entry.value is None or entry.previous is None:
        return ""
    return f"{entry.value - entry.previous:+.2g}"


def _note(entry: Entry) -> str:
    restored = entry.change.restores
    undone = "" if restored is None else f"undo to {restored}"
    return ": ".join(filter(None, (undone, comment_of(entry_data(entry)))))


def _shared(runs: Sequence[str]) -> tuple[str, Sequence[str]]:
    """What all rows have, to be said once, and a column for what they do not."""
    return (runs[0], []) if len(set(runs)) == 1 else ("", runs)

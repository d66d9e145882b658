"""A calibration history as plain data, and as JSON, CSV and TOML."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from calib.controls import Knob
from calib.history_entries import Change, Entry

Format = Literal["json", "csv", "toml"]
FORMATS: tuple[Format, ...] = ("json", "csv", "toml")


def state_data(device: str, change: int, state: Mapping[Knob, Entry]) -> dict[str, Any]:
    """What was in force after a change: `{"device", "change", "knobs": {NAME: {...}}}`."""
    knobs = {str(knob): entry_data(entry) for knob, entry in state.items()}
    return {"device": device, "change": change, "knobs": knobs}


def log_data(device: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """A log: `{"device", "entries": [{"knob", ...}]}`, the oldest first."""
    rows = [{"knob": str(entry.knob), **entry_data(entry)} for entry in entries]
    return {"device": device, "entries": rows}


def entry_data(entry: Entry) -> dict[str, Any]:
    """One entry, its knob left out: when it came into force, and when and how it was measured.

    `value` is None where an undo withdrew the knob; `undo_to` is the change an undo went back to.
    """
    return {
        "value": entry.value,
        "uncertainty": entry.uncertainty,
        "source": entry.source,
        **change_data(entry.change),
        "measured_in": entry.measured.id,
        "measured_utc": utc_text(entry.measured.utc),
        "measured_device_time_s": entry.measured.device_time_s,
        "measured_run": entry.measured.run,
    }


def change_data(change: Change) -> dict[str, Any]:
    """One change-set."""
    return {
        "change": change.id,
        "utc": utc_text(change.utc),
        "device_time_s": change.device_time_s,
        "run": change.run,
        "comment": change.comment,
        "undo_to": change.restores,
    }


def comment_of(row: Mapping[str, Any]) -> str:
    """The comment in an entry's data, for people: "" where `calibrate` marked the device by it."""
    return "" if row["source"] == "start" and row["undo_to"] is None else row["comment"]


def utc_text(moment: datetime) -> str:
    """A UTC time to the microsecond: 2026-11-21T10:45:26.123456Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_text(data: Mapping[str, Any], form: Format) -> str:
    """Exported data as a file's text; numbers are written so that none of their bits is lost.

    TOML has no null: keys without a value are left out. In CSV they are empty cells, and so is
    the mark by which `calibrate` knows a device again.
    """
    if form == "json":
        return json.dumps(data, indent=2, allow_nan=False) + "\n"
    if form == "csv":
        return _csv_text(data)
    if form != "toml":
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {form!r}")
    import tomli_w

    return tomli_w.dumps(_without_nulls(data))


def _csv_text(data: Mapping[str, Any]) -> str:
    rows = data.get("entries")
    if rows is None:
        rows = [{"knob": knob, **entry} for knob, entry in data["knobs"].items()]
    names = ["device", *(rows[0] if rows else ["knob"])]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({"device": data["device"], **row, "comment": comment_of(row)})
    return text.getvalue()


def _without_nulls(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_nulls(value) for value in data]
    return data

"""A calibration from a recipe: bring a device up, keep it in tolerance for hours, judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from calib.backend import DriftingBackend
from calib.controls import Controls, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.execution import Spent
from calib.from_backend import config_like, fake_backend
from calib.history import History
from calib.judge import GateError, gate_errors
from calib.routine import Log, Routine
from calib.standard_routine import standard_nodes


class Like(BaseModel):
    """A fake IBM backend whose couplings, T1, T2 and gate lengths the device takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str = Field(description="a snapshot in qiskit-ibm-runtime, such as fake_marrakesh")
    qubits: tuple[int, ...] | None = Field(
        default=None, description="a part of it, renumbered from 0 in this order (default: all)"
    )


class CampaignConfig(BaseModel):
    """What `syndrift calibrate` does: which device, and for how long it is kept calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="Calibration", description="heads the pictures and the table")
    like: Like | None = Field(
        default=None, description="begin from an IBM backend; `device` says what is different"
    )
    device: DeviceConfig = Field(default=DeviceConfig(), description="the simulated device")
    hours: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="device time to keep it calibrated after it was brought up",
    )
    every_minutes: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="device time between two looks at it"
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, table: Any) -> Any:
        if not isinstance(table, dict) or table.get("like") is None:
            return table
        device = table.get("device", {})
        settings = device.model_dump(mode="json") if isinstance(device, BaseModel) else device
        try:
            like = Like.model_validate(table["like"])
        except ValidationError:
            return table  # the field itself says what is wrong, and where
        if not isinstance(settings, dict):
            return table
        if isinstance(settings.get("pairs"), dict):
            pairs = {_in_order(name): values for name, values in settings["pairs"].items()}
            settings = settings | {"pairs": pairs}
        base = config_like(fake_backend(like.backend), qubits=like.qubits)
        # As from TOML, qubits' numbers are text.
        return table | {"device": _merged(base.model_dump(mode="json"), settings)}


def _merged(base: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The table with other values for single keys, at any depth."""
    found = dict(base)
    for name, value in settings.items():
        both = isinstance(value, dict) and isinstance(found.get(name), dict)
        found[name] = _merged(found[name], value) if both else value
    return found


def _in_order(pair: str) -> str:
    """The name of a pair with the lower number first, as `config_like` writes it."""
    return "-".join(sorted(pair.split("-"), key=lambda number: (len(number), number)))


@dataclass(frozen=True)
class Look:
    """The true errors at one device time: as maintained, and as the first settings would do."""

    device_time_s: float
    maintained: tuple[GateError, ...]
    left_alone: tuple[GateError, ...]


@dataclass(frozen=True)
class Campaign:
    """What came out: the gates before and after, every look in between, and what it cost."""

    before: tuple[GateError, ...]
    looks: tuple[Look, ...]
    bring_up: Spent
    log: Log

    @property
    def after(self) -> tuple[GateError, ...]:
        """The gates' errors at the end."""
        return self.looks[-1].maintained


def run_campaign(
    config: CampaignConfig,
    history: History,
    run: str,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Campaign:
    """Calibrates the device of a recipe; each change of a setting is on the disk before the next.

    A device that the history knows goes on where it was: the settings in force then, and the
    clock of the last change.
    """
    device = Device(config.device)
    resume(device, history, run)
    backend = DriftingBackend(device)

    def record(updates: Sequence[Update]) -> None:
        history.record(device.name, updates, run=run, device_time_s=device.time_s)

    routine = Routine(backend, standard_nodes(config.device.entangler), record=record)
    before = tuple(gate_errors(device))
    begin_s, duration_s = device.time_s, config.hours * 3600
    names = list(routine.nodes)
    for number, name in enumerate(names):
        on_progress(0.0 if duration_s else number / len(names))
        routine.maintain([name])
    bring_up, first = backend.spent, Controls(device.controls)
    looks = [_look(device, first)]
    while (gone := device.time_s - begin_s - bring_up.device_time_s) < duration_s:
        on_progress(gone / duration_s)
        device.advance(min(config.every_minutes * 60, duration_s - gone))
        looks.append(_look(device, first))
        routine.maintain()
        looks.append(_look(device, first))
    on_progress(1.0)
    return Campaign(before, tuple(looks), bring_up, routine.log)


def resume(device: Device, history: History, run: str) -> None:
    """Puts in force what the history has of this device; writes the first settings down, else."""
    mark = f"device {fingerprint(device.config)}"
    if device.name not in history.devices():
        updates = [Update(knob, value, None, "start") for knob, value in device.controls.items()]
        history.record(device.name, updates, run=run, device_time_s=device.time_s, comment=mark)
        return
    known = history.changes(device.name)
    if known[0].comment != mark:
        raise ValueError(
            f"{history.path} knows another device by the name {device.name!r}: give this one "
            "another device.name, or another --history"
        )
    device.advance(max(change.device_time_s or 0.0 for change in known))
    values = history.values(device.name)
    device.controls.apply([Update(knob, value, None, "") for knob, value in values.items()])


def fingerprint(config: DeviceConfig) -> str:
    """Eight characters that tell one device's recipe from another's."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:8]


def _look(device: Device, first: Controls) -> Look:
    return Look(
        device.time_s,
        tuple(gate_errors(device)),
        tuple(gate_errors(device, controls=first)),
    )

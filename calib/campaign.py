"""A calibration from a recipe: bring a device up, keep it in tolerance for hours, judge it."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from calib.backend import DriftingBackend
from calib.controls import Controls, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.execution import Spent
from calib.from_backend import config_like, fake_backend, overridden
from calib.history import Finding, History
from calib.journal import Begun, BroughtUp, Done, Journal, Look
from calib.judge import GateError, gate_errors
from calib.routine import Log, Node, Routine, Step
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
    agents: tuple[str, ...] = Field(
        default=(),
        description="trained agents that do the work of experiments: shipped ones by their names "
        "(pulse, cz), others by their folders",
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
        wanted = settings.get("entangler")
        gate = {"entangler": wanted} if wanted in ("cz", "ecr") else {}
        base = config_like(fake_backend(like.backend), qubits=like.qubits, **gate)
        mine = base.topology.model_dump(mode="json")
        if settings.get("topology", mine) != mine:
            raise ValueError(
                "`like` sets the topology: leave device.topology out (like.qubits takes a part)"
            )
        return table | {"device": overridden(base.model_dump(mode="json"), settings)}


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
    journal: Journal | None = None,
    nodes: Sequence[Node] | None = None,
) -> Campaign:
    """Calibrates the device of a recipe; each change of a setting is on the disk before the next.

    A device that the history knows goes on where it was: the settings in force then, the clock
    of the last change or check, and what is known to be good is not measured again. With the
    `journal` of a campaign that was stopped, it is that campaign which goes on. `nodes` are the
    routine's, the standard ones if none are given: whoever calls makes them of `config.agents`.
    """
    nodes = _usual_nodes(config) if nodes is None else nodes
    device, journal = Device(config.device), journal or Journal()
    resume(device, history, run)
    met = history.changes(history_name(config.device))[0].utc.isoformat()
    journal.begin(Begun(met, tuple(gate_errors(device))))
    device.advance(max(0.0, journal.device_time_s - device.time_s))
    routine = _routine(device, history, run, journal, nodes)
    names, duration_s = list(routine.nodes), config.hours * 3600
    share = _BRING_UP_S / (_BRING_UP_S + duration_s)  # of the progress
    done_before = len(routine.log.steps)
    routine.maintain(on_node=lambda name: on_progress(share * names.index(name) / len(names)))
    up, first = _brought_up(device, routine.log.spent, journal)
    if len(routine.log.steps) > done_before or not journal.all(Look):
        journal.write(_look(device, first))
    end_s = up.device_time_s + duration_s
    while (left_s := end_s - device.time_s) > _MOMENT_S:
        on_progress(share + (1 - share) * (1 - left_s / duration_s))
        device.advance(min(config.every_minutes * 60, left_s))
        journal.write(_look(device, first))
        routine.maintain()
        journal.write(_look(device, first))
    on_progress(1.0)
    (begun,) = journal.all(Begun)
    return Campaign(begun.before, tuple(journal.all(Look)), up.spent, routine.log)


def _usual_nodes(config: CampaignConfig) -> Sequence[Node]:
    if config.agents:
        raise ValueError("agents: give the `nodes` that `envs.agents.graph` makes of them")
    return standard_nodes(config.device.entangler)


_BRING_UP_S = 600.0  # of device time, about
_MOMENT_S = 1e-6


def _brought_up(device: Device, spent: Spent, journal: Journal) -> tuple[BroughtUp, Controls]:
    """The end of the bring-up, which is now unless the journal knows of one, and its settings."""
    if not journal.all(BroughtUp):
        settings = {str(knob): value for knob, value in device.controls.items()}
        journal.write(BroughtUp(device.time_s, spent, settings))
    up = journal.all(BroughtUp)[0]
    return up, Controls({knob: up.settings[str(knob)] for knob in device.controls})


def _routine(
    device: Device, history: History, run: str, journal: Journal, nodes: Sequence[Node]
) -> Routine:
    """The routine on a device that was resumed, with what earlier runs found out."""
    name = history_name(device.config)
    # Each run has shot noise of its own, which depends on nothing but what was recorded before.
    stream = len(history.changes(name)) + len(history.checks(name)) - 1

    def record(updates: Sequence[Update]) -> None:
        history.record(name, updates, run=run, device_time_s=device.time_s)

    def record_check(step: Step) -> None:
        found = Finding(step.node, step.target, step.verdict, step.deviation, step.uncertainty,
                        step.unit)  # fmt: skip
        history.check(name, found, run=run, device_time_s=step.device_time_s)
        journal.write(Done(step, routine.log.spent))

    routine = Routine(
        DriftingBackend(device, stream=stream),
        nodes,
        record=record,
        record_check=record_check,
    )
    routine.log.steps += [done.step for done in journal.all(Done)]
    routine.log.spent = journal.spent
    remember(routine, history, name)
    return routine


def resume(device: Device, history: History, run: str) -> None:
    """Puts in force what the history has of this device; writes the first settings down, else."""
    name = history_name(device.config)
    if not is_known(device.config, history):
        updates = [Update(knob, value, None, "start") for knob, value in device.controls.items()]
        mark = _mark(device.config)
        history.record(name, updates, run=run, device_time_s=device.time_s, comment=mark)
        return
    device.advance(history.device_time_s(name) or 0.0)
    values = history.values(name)
    device.controls.apply([Update(knob, value, None, "") for knob, value in values.items()])


def as_left(config: DeviceConfig, path: pathlib.Path) -> Device:
    """A device as its history leaves it: the settings in force, the clock of then."""
    device = Device(config)
    with History(path, access="read") as history:
        if not is_known(config, history):
            raise ValueError(
                f"{path} does not know the device {history_name(config)}: expected one of "
                f"{', '.join(history.devices()) or 'none'}; `syndrift calibrate` brings it up"
            )
        resume(device, history, run="")
    return device


def remember(routine: Routine, history: History, name: str) -> None:
    """Tells a routine which checks of earlier runs still hold, and what was changed when.

    Where a knob was since set by hand or by an undo, nothing is known of its qubits.
    """
    by_others: dict[int, int] = {}
    for entry in history.entries(name):
        qubits, change = entry.knob.qubits, entry.change
        if entry.source in routine.nodes and change.restores is None:
            # Also where a kill came between the change and its check.
            routine.remember(entry.source, qubits, changed_at_s=change.device_time_s)
        else:
            by_others |= dict.fromkeys(qubits, change.id)
    for check in history.checks(name):
        if check.verdict == "corrected":
            routine.remember(check.node, check.target, changed_at_s=check.device_time_s)
    for (node, target), check in history.latest_checks(name).items():
        # What was corrected is good at once only where nothing verifies it.
        coarse = node in routine.nodes and not routine.nodes[node].verify
        holds = check.verdict == "in tolerance" or (check.verdict == "corrected" and coarse)
        if holds and all(by_others.get(qubit, 0) <= check.change for qubit in target):
            routine.remember(node, target, good_at_s=check.device_time_s)


def history_name(config: DeviceConfig) -> str:
    """The name of a device in the history: with its seed, unless that is the default.

    >>> history_name(DeviceConfig(name="lab")), history_name(DeviceConfig(name="lab", seed=7))
    ('lab', 'lab#7')
    """
    usual = DeviceConfig.model_fields["seed"].default
    return config.name if config.seed == usual else f"{config.name}#{config.seed}"


def is_known(config: DeviceConfig, history: History) -> bool:
    """Whether the history has this device; ValueError if another one has its name there."""
    name = history_name(config)
    if name not in history.devices():
        return False
    found = history.changes(name)[0].comment
    if found in (_mark(config), f"device {_digest(config.model_dump_json(), 8)}"):  # as first made
        return True
    mine, other = set(_parts(config)), set(found.partition(": ")[2].split(", "))
    differing = sorted({part.partition(" ")[0] for part in mine ^ other} - {""})
    how = f" (it differs in {', '.join(differing)})" if ": " in found else ""
    raise ValueError(
        f"{history.path} knows another device by the name {name!r}{how}: give this one "
        "another device.name, or another --history"
    )


def fingerprint(config: DeviceConfig) -> str:
    """Eight characters that tell one device's recipe from another's."""
    return _digest("\n".join(_parts(config)), 8)


def _mark(config: DeviceConfig) -> str:
    """The first change's comment: the fingerprint, and that of each part of the recipe."""
    return f"device {fingerprint(config)}: {', '.join(_parts(config))}"


def _parts(config: DeviceConfig) -> list[str]:
    """Name and digest of each part of a recipe that is not as it is by default.

    Defaults are left out, so that a part which a later version adds changes nothing. Where `kind`
    selects a model, they are not: two kinds may differ in nothing else.
    """
    kept = config.model_dump(mode="json", exclude_defaults=True)
    whole = config.model_dump(mode="json", include=kept.keys() & {"topology", "drift"})
    parts = {name: json.dumps(value, sort_keys=True) for name, value in (kept | whole).items()}
    return [f"{name} {_digest(text, 6)}" for name, text in sorted(parts.items())]


def _digest(text: str, characters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:characters]


def _look(device: Device, first: Controls) -> Look:
    return Look(
        device.time_s,
        tuple(gate_errors(device)),
        tuple(gate_errors(device, controls=first)),
    )

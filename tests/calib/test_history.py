"""The calibration history: what is in force when, undo, export, refused input."""

import csv
import io
import itertools
import json
import pathlib
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib import history_export
from calib.controls import Knob, Update
from calib.history import DeviceTime, History, differences, parse_knob

AMPLITUDE, DRAG = Knob("x.amplitude", (0,)), Knob("x.drag_ns", (0,))
CZ = Knob("cz.amplitude", (0, 1))
BEGUN = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def minutes() -> Iterator[datetime]:
    """A clock that goes on by one minute at each look."""
    return (BEGUN + timedelta(minutes=n) for n in itertools.count())


def open_history(path: pathlib.Path | str = ":memory:") -> History:
    clock = minutes()
    return History(path, clock=lambda: next(clock))


def values(history: History, **at: object) -> dict[str, float]:
    found = history.values("lab", **at)  # pyright: ignore[reportArgumentType] (forwarded)
    return {str(knob): value for knob, value in found.items()}


@pytest.fixture
def history() -> Iterator[History]:
    """Change 1: amplitude and DRAG; 2: CZ; 3: amplitude by hand. Device times 0, 100, 250 s."""
    with open_history() as opened:
        first = [Update(AMPLITUDE, 0.40, 0.002, "rabi"), Update(DRAG, -0.5, None, "drag")]
        opened.record("lab", first, run="runs/one", device_time_s=0.0)
        opened.record("lab", [Update(CZ, 0.3, 0.01, "agent:ppo")], run="runs/two",
                      device_time_s=100.0, comment="after the TLS")  # fmt: skip
        opened.record("lab", [Update(AMPLITUDE, 0.41, None, "hand")], run="", device_time_s=250.0)
        yield opened


def test_an_entry_keeps_all_that_was_said(history: History):
    entry = history.in_force("lab")[CZ]
    assert (entry.value, entry.uncertainty, entry.source) == (0.3, 0.01, "agent:ppo")
    change = entry.change
    assert (change.id, change.run, change.comment) == (2, "runs/two", "after the TLS")
    assert change.utc == BEGUN + timedelta(minutes=1)
    assert change.device_time_s == 100.0
    assert change.restores is None
    assert entry.measured == change
    assert history.in_force("lab")[AMPLITUDE].previous == 0.40
    assert entry.previous is None


@pytest.mark.parametrize(
    ("moment", "known"),
    [
        (0, {}),
        (1, {"q0.x.amplitude": 0.40, "q0.x.drag_ns": -0.5}),
        (2, {"q0.x.amplitude": 0.40, "q0.x.drag_ns": -0.5, "q0-q1.cz.amplitude": 0.3}),
        (3, {"q0.x.amplitude": 0.41, "q0.x.drag_ns": -0.5, "q0-q1.cz.amplitude": 0.3}),
        (BEGUN - timedelta(microseconds=1), {}),
        (BEGUN, {"q0.x.amplitude": 0.40, "q0.x.drag_ns": -0.5}),
        (
            datetime(2026, 11, 21, 12, 0, 59, tzinfo=timezone(timedelta(hours=2))),
            {"q0.x.amplitude": 0.40, "q0.x.drag_ns": -0.5},
        ),
        (DeviceTime(-1.0), {}),
        (DeviceTime(99.9), {"q0.x.amplitude": 0.40, "q0.x.drag_ns": -0.5}),
        (
            DeviceTime(249.0),
            {"q0.x.amplitude": 0.40, "q0.x.drag_ns": -0.5, "q0-q1.cz.amplitude": 0.3},
        ),
        (
            DeviceTime(1e9),
            {"q0.x.amplitude": 0.41, "q0.x.drag_ns": -0.5, "q0-q1.cz.amplitude": 0.3},
        ),
    ],
)
def test_what_was_in_force_at_a_change_a_time_or_a_device_time(
    history: History, moment: object, known: dict[str, float]
):
    assert values(history, at=moment) == known


def test_the_log_by_knob_since_and_newest(history: History):
    every = history.entries("lab")
    assert [(str(e.knob), e.change.id) for e in every] == [
        ("q0.x.amplitude", 1),
        ("q0.x.drag_ns", 1),
        ("q0-q1.cz.amplitude", 2),
        ("q0.x.amplitude", 3),
    ]
    assert history.entries("lab", [AMPLITUDE]) == [every[0], every[3]]
    assert history.entries("lab", [AMPLITUDE, CZ], newest=2) == every[2:]
    for since in (2, DeviceTime(100.0), BEGUN + timedelta(minutes=1)):
        assert history.entries("lab", since=since) == every[2:]
        assert [change.id for change in history.changes("lab", since=since)] == [2, 3]
    assert history.entries("lab", []) == []
    assert history.knobs("lab") == [AMPLITUDE, DRAG, CZ]


def test_undo_is_a_change_of_its_own_and_can_be_undone(history: History):
    state = {n: values(history, at=n) for n in range(4)}
    assert history.undo("lab", to=1) == 4
    assert values(history) == state[1]
    assert [e.value for e in history.entries("lab", [CZ])] == [0.3, None]  # withdrawn, not deleted
    assert history.undo("lab") == 5  # undoes the undo
    assert values(history) == state[3]
    assert history.undo("lab", steps=4) == 6
    assert values(history) == state[1]
    assert history.undo("lab", to=0) == 7
    assert values(history) == {}
    assert history.undo("lab", to=DeviceTime(120.0)) == 8
    assert values(history) == state[2]
    assert [change.restores for change in history.changes("lab", since=4)] == [1, 3, 1, 0, 2]
    for n in range(4):
        assert values(history, at=n) == state[n]  # the past is what it was


def test_an_undone_value_remembers_where_it_came_from(history: History):
    history.undo("lab", to=1, comment="worse", run="runs/three")
    entry = history.in_force("lab")[AMPLITUDE]
    assert (entry.value, entry.uncertainty, entry.source) == (0.40, 0.002, "rabi")
    assert (entry.measured.id, entry.measured.run) == (1, "runs/one")
    assert (entry.change.id, entry.change.comment, entry.change.run) == (4, "worse", "runs/three")
    assert entry.change.device_time_s == 250.0  # the latest time the device is known to have shown
    assert entry.previous == 0.41


def test_an_undo_writes_only_what_differs(history: History):
    assert history.undo_target("lab") == 2
    moved = differences(history.in_force("lab"), history.in_force("lab", at=2))
    assert list(moved) == [AMPLITUDE]
    assert [entry and entry.value for entry in moved[AMPLITUDE]] == [0.41, 0.40]
    history.undo("lab")
    assert [str(e.knob) for e in history.entries("lab", since=4)] == ["q0.x.amplitude"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(
    st.dictionaries(st.integers(0, 3), st.floats(-1, 1), min_size=1),
    st.integers(0, 30),
), max_size=12))  # fmt: skip
def test_any_sequence_of_records_and_undos_is_as_a_list_of_states(
    steps: list[dict[int, float] | int],
):
    """Against the plainest model: the list of all states; an undo appends an earlier one."""
    knobs = [AMPLITUDE, DRAG, CZ, Knob("sx.phase_rad", (3,))]
    states: list[dict[Knob, tuple[float, int]]] = [{}]  # each value with the step that measured it
    with History(":memory:") as history:
        for step in steps:
            if isinstance(step, dict):
                updates = [Update(knobs[k], value, None, "x") for k, value in step.items()]
                history.record("lab", updates, run="")
                new = {knobs[k]: (value, len(states)) for k, value in step.items()}
                states.append(states[-1] | new)
            elif step < len(states) and states[step] != states[-1]:
                assert history.undo("lab", to=step) == len(states)
                states.append(states[step])
        for n, state in enumerate(states if len(states) > 1 else []):
            found = history.in_force("lab", at=n)
            assert {knob: (e.value, e.measured.id) for knob, e in found.items()} == state


def test_devices_do_not_mix(history: History):
    assert history.record("other", [Update(AMPLITUDE, 0.7, None, "hand")], run="") == 4
    assert history.devices() == ["lab", "other"]
    assert values(history)["q0.x.amplitude"] == 0.41
    assert history.values("other") == {AMPLITUDE: 0.7}
    assert history.values("other", at=3) == {}
    history.undo("lab")
    assert history.values("other") == {AMPLITUDE: 0.7}
    assert [change.id for change in history.changes("lab")] == [1, 2, 3, 5]


def _update(**changed: object) -> Update:
    given = {"knob": AMPLITUDE, "value": 0.4, "uncertainty": None, "source": "hand", **changed}
    return Update(**given)  # pyright: ignore[reportArgumentType] (wrong on purpose)


@pytest.mark.parametrize(
    ("updates", "says"),
    [
        ([], "at least one update"),
        ([_update(value=float("nan"))], "q0.x.amplitude must be a finite number, got nan"),
        ([_update(), _update(knob=DRAG, value=float("inf"))], "q0.x.drag_ns must be a finite"),
        ([_update(uncertainty=-1.0)], "uncertainty of q0.x.amplitude must be at least 0"),
        ([_update(uncertainty=float("nan"))], "uncertainty of q0.x.amplitude"),
        ([_update(source="")], "source of q0.x.amplitude is empty"),
        ([_update(), _update(value=0.5)], "two for one knob"),
        ([_update(knob=Knob("x amplitude", (0,)))], "a knob is written as"),
        ([_update(knob=Knob("x.amplitude", ()))], "a knob is written as"),
    ],
)
def test_a_wrong_update_refuses_the_whole_change_set(
    history: History, updates: list[Update], says: str
):
    before = history.entries("lab")
    with pytest.raises(ValueError, match=says):
        history.record("lab", updates, run="")
    assert history.entries("lab") == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"to": 4}, "there is no change 4: they go from 1 to 3"),
        ({"to": -1}, "there is no change -1"),
        ({"to": datetime(2026, 1, 1)}, "needs its zone"),
        ({"to": 3}, "nothing to undo"),
        ({"steps": 0}, "steps must be from 1 to the 3 change-sets"),
        ({"steps": 4}, "got 4"),
        ({"steps": -2}, "got -2"),
        ({"steps": 1, "to": 1}, "got both"),
        ({"device_time_s": float("nan")}, "device_time_s must be a finite"),
    ],
)
def test_a_wrong_undo_changes_nothing(history: History, arguments: dict[str, object], says: str):
    with pytest.raises(ValueError, match=says):
        history.undo("lab", **arguments)  # pyright: ignore[reportArgumentType] (wrong on purpose)
    assert [change.id for change in history.changes("lab")] == [1, 2, 3]


def test_wrong_names_are_answered_with_the_nearest(history: History):
    with pytest.raises(ValueError, match=r"no device 'lap'; did you mean lab\?; it has: lab"):
        history.in_force("lap")
    with pytest.raises(ValueError, match=r"no knob q0.x.amplitudes; did you mean q0.x.amplitude\?"):
        history.entries("lab", [Knob("x.amplitudes", (0,))])
    for text in ("x.amplitude", "q0", "q.x.amplitude", "q0.", "q0-1.cz.amplitude", ""):
        with pytest.raises(ValueError, match="a knob is written as"):
            parse_knob(text)
    for knob in (AMPLITUDE, CZ, Knob("ecr.cancel_phase_rad", (12, 7))):
        assert parse_knob(str(knob)) == knob


def test_a_failure_in_the_midst_leaves_nothing_behind(tmp_path: pathlib.Path):
    def broken() -> datetime:
        raise OSError("no clock")

    with History(tmp_path / "h.sqlite", clock=broken) as history:
        with pytest.raises(OSError, match="no clock"):
            history.record("lab", [_update()], run="")
        assert history.devices() == []
    with open_history(tmp_path / "h.sqlite") as history:
        assert history.record("lab", [_update()], run="") == 1  # no number was lost


def test_export_says_the_same_in_every_format(history: History):
    history.undo("lab", to=1)  # withdraws the CZ knob
    for data, rows in (
        (history.export("lab"), 2),
        (history.export("lab", at=2), 3),
        (history.export_log("lab"), 6),
    ):
        as_json = json.loads(history_export.as_text(data, "json"))
        assert as_json == data
        as_toml = tomllib.loads(history_export.as_text(data, "toml"))
        table = list(csv.DictReader(io.StringIO(history_export.as_text(data, "csv"))))
        flat = data.get("entries") or [{"knob": k, **e} for k, e in data["knobs"].items()]
        toml_flat = as_toml.get("entries") or [
            {"knob": k, **e} for k, e in as_toml["knobs"].items()
        ]
        assert len(flat) == len(table) == len(toml_flat) == rows
        for one, from_toml, from_csv in zip(flat, toml_flat, table, strict=True):
            assert from_toml == {key: value for key, value in one.items() if value is not None}
            assert from_csv == {"device": "lab"} | {
                key: "" if value is None else str(value) for key, value in one.items()
            }
    with pytest.raises(ValueError, match="format must be one of json, csv, toml, got 'pickle'"):
        history_export.as_text(history.export("lab"), "pickle")  # pyright: ignore[reportArgumentType]


def test_every_bit_of_a_number_survives(tmp_path: pathlib.Path):
    numbers = [0.1 + 0.2, 5e-324, -1.7976931348623157e308, 1 / 3]
    with open_history(tmp_path / "h.sqlite") as history:
        for number in numbers:
            history.record("lab", [_update(value=number, uncertainty=abs(number))], run="")
    with History(tmp_path / "h.sqlite", access="read") as history:
        assert [entry.value for entry in history.entries("lab")] == numbers
        text = history_export.as_text(history.export_log("lab"), "csv")
        assert [float(row["value"]) for row in csv.DictReader(io.StringIO(text))] == numbers


@pytest.mark.parametrize("moment", ["yesterday", 3.5, True])
def test_what_is_no_moment_is_refused(history: History, moment: Any):
    says = "a moment is the number of a change, a datetime"
    with pytest.raises(TypeError, match=says):
        history.values("lab", at=moment)
    with pytest.raises(TypeError, match=says):
        history.entries("lab", since=moment)
    with pytest.raises(TypeError, match=says):
        history.undo("lab", to=moment)

"""A campaign's journal: read back as written, torn ends dropped, stopped campaigns gone on with."""

import dataclasses
import pathlib
from typing import Any

import pytest

from calib import campaign
from calib.campaign import Campaign, CampaignConfig, run_campaign
from calib.execution import Spent
from calib.history import History
from calib.journal import Begun, BroughtUp, Done, Journal, Look
from calib.judge import GateError
from calib.routine import Step
from calib.standard_routine import standard_nodes

ERROR = GateError("x", (0,), 2e-4, 1.9e-4, 1e-6, (0.9998, 1e-4, 5e-5, 5e-5))
STEP = Step("rabi", (0,), "corrected", 0.25, 0.01, "rad", 3.5)
LINES = (
    Begun("2026-11-21T00:00:00", (ERROR,)),
    Done(STEP, Spent(1, 2, 300, 4.0)),
    BroughtUp(5.0, Spent(2, 4, 600, 5.0), {"q0.x.amplitude": 0.5}),
    Look(6.0, (ERROR,), (ERROR,)),
)


def written(path: pathlib.Path) -> Journal:
    journal = Journal(path)
    for line in LINES:
        journal.write(line)
    return journal


def test_lines_are_read_back_as_they_were_written(tmp_path: pathlib.Path):
    written(tmp_path / "journal.jsonl")
    again = Journal(tmp_path / "journal.jsonl")
    for line in LINES:
        assert again.all(type(line)) == [line]
    assert (again.spent, again.device_time_s) == (Spent(2, 4, 600, 5.0), 6.0)


@pytest.mark.parametrize("torn", [2, 20, 60])
def test_a_torn_line_at_the_end_is_dropped_and_writing_goes_on(tmp_path: pathlib.Path, torn: int):
    path = tmp_path / "journal.jsonl"
    written(path)
    path.write_bytes(path.read_bytes()[:-torn])
    journal = Journal(path)
    assert journal.all(Look) == []
    journal.write(LINES[-1])
    assert Journal(path).all(Look) == [LINES[-1]]
    assert len(path.read_bytes().splitlines()) == len(LINES)


def test_a_line_that_lacks_its_end_alone_is_kept(tmp_path: pathlib.Path):
    path = tmp_path / "journal.jsonl"
    written(path)
    path.write_bytes(path.read_bytes()[:-1])
    Journal(path).write(LINES[-1])
    assert Journal(path).all(Look) == [LINES[-1]] * 2


def test_another_history_begins_another_campaign(tmp_path: pathlib.Path):
    journal = written(tmp_path / "journal.jsonl")
    journal.begin(Begun(LINES[0].history, ()))
    assert journal.all(Done)
    journal.begin(Begun("2026-11-22T00:00:00", ()))
    assert (journal.all(Done), journal.spent, journal.device_time_s) == ([], Spent(), 0.0)
    assert Journal(journal.path).all(Begun) == [Begun("2026-11-22T00:00:00", ())]


class Stop(Exception):
    """Stands for a kill."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch):
    """Readout, spectroscopy and Rabi alone, each good for ten minutes."""
    monkeypatch.setattr(campaign, "standard_nodes", lambda entangler: tuple(
        dataclasses.replace(node, max_age_s=600.0) for node in standard_nodes(entangler)[:3]
    ))  # fmt: skip


def go(folder: pathlib.Path, stop_after: int | None = None, **config: Any) -> Campaign:
    """A campaign in a folder, stopped after so many steps of this session."""
    device = {"name": "two", "topology": {"kind": "line", "qubits": 2}}
    model = CampaignConfig.model_validate({"device": device, "every_minutes": 20} | config)
    journal = Journal(folder / "journal.jsonl")
    write, left = journal.write, [stop_after]

    def counting(line: Any) -> None:
        write(line)
        if isinstance(line, Done) and left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                raise Stop

    journal.write = counting
    with History(folder / "history.sqlite") as history:
        return run_campaign(model, history, "run", journal=journal)


@pytest.mark.usefixtures("few")
def test_a_campaign_that_was_stopped_twice_counts_everything_once(tmp_path: pathlib.Path):
    whole = tmp_path / "whole"
    whole.mkdir()
    at_once = go(whole, hours=1.0)
    for steps in (2, 3):
        with pytest.raises(Stop):
            go(tmp_path, steps, hours=1.0)
    found = go(tmp_path, hours=1.0)
    assert found.before == at_once.before
    assert len(found.log.steps) >= 5
    assert [s.device_time_s for s in found.log.steps] == sorted(
        s.device_time_s for s in found.log.steps
    )
    (up,) = Journal(tmp_path / "journal.jsonl").all(BroughtUp)
    assert found.bring_up == up.spent
    assert found.looks[-1].device_time_s == pytest.approx(up.device_time_s + 3600, abs=60)
    # A stop costs what the experiment in hand had cost: less than a fifth here.
    shots = at_once.log.spent.shots
    assert abs(found.log.spent.shots - shots) < 0.2 * shots


@pytest.mark.usefixtures("few")
def test_a_campaign_that_was_done_stays_done_until_more_hours_are_asked(tmp_path: pathlib.Path):
    first = go(tmp_path, hours=1.0)
    again = go(tmp_path, hours=1.0)
    assert again == first
    more = go(tmp_path, hours=2.0)
    assert more.looks[: len(first.looks)] == first.looks
    gone_s = more.looks[-1].device_time_s - first.looks[0].device_time_s
    assert gone_s == pytest.approx(7200, abs=60)
    assert more.log.spent.shots > first.log.spent.shots

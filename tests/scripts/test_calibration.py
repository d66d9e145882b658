"""`syndrift calibration`: tables, JSON, undo, export, pictures; each wrong usage in one line."""

import csv
import io
import json
import os
import pathlib
import sqlite3
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from calib.controls import Knob, Update
from calib.history import DeviceTime, Finding, History
from calib.history_entries import Verdict
from scripts.calibration import moment
from scripts.calibration_names import chosen_knobs, named_checks
from scripts.calibration_tables import age_text, uncertainty_text, value_text
from scripts.main import main

BEGUN = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
NAMES = ("x.amplitude", "x.drag_ns", "frequency_ghz")
SUFFIXES = (".png", ".svg", "-dark.png", "-dark.svg", ".csv")


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.report.style.PNG_DPI", 50)


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder with calibration.sqlite: three changes of a device `lab`, an hour apart."""
    monkeypatch.chdir(tmp_path)
    hours = iter(range(100))
    with History("calibration.sqlite", clock=lambda: BEGUN + timedelta(hours=next(hours))) as h:
        guess = [Update(Knob(name, (q,)), 0.4 + q, None, "guess") for q in (0, 1) for name in NAMES]
        cz = Knob("cz.amplitude", (0, 1))
        h.record("lab", [*guess, Update(cz, 0.3, None, "guess")], run="", device_time_s=0)
        amplitude = Update(Knob("x.amplitude", (0,)), 0.41234, 0.0012, "rabi")
        h.record("lab", [amplitude], run="runs/one", device_time_s=100)
        by_hand = Update(Knob("x.amplitude", (0,)), 0.5, None, "hand")
        h.record("lab", [by_hand, Update(cz, 0.2, 0.01, "hand")], run="", device_time_s=250)
    return tmp_path


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*arguments: str) -> dict[str, Any]:
        assert main(["calibration", *arguments, "--json"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return json.loads(out)

    return asked


@pytest.fixture
def say(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def said(*arguments: str) -> str:
        assert main(["calibration", *arguments]) == 0
        return capsys.readouterr().out

    return said


def of(result: dict[str, Any], name: str = "q0.x.amplitude") -> float:
    return result["knobs"][name]["value"]


def test_show_what_is_in_force(ask: Ask, say: Callable[..., str]):
    now = ask("show")
    assert (now["device"], now["change"], len(now["knobs"])) == ("lab", 3, 7)
    assert of(now) == 0.5
    for at in ("2", "2026-11-21T11:30", "2026-11-21T12:30+01:00", "100s", "2min", "0.05h"):
        then = ask("show", "--at", at)
        assert of(then) == 0.41234, at
        assert then["knobs"]["q0.x.amplitude"]["source"] == "rabi"
    assert set(ask("show", "q0")["knobs"]) == {f"q0.{name}" for name in NAMES}
    line = next(row for row in say("show", "--at", "2").splitlines() if "rabi" in row)
    assert " ".join(line.split()) == "q0.x.amplitude 0.4123 0.0012 0 s 0 s rabi 2 runs/one"
    guess = next(row for row in say("show", "--at", "2").splitlines() if "q1.x.drag_ns" in row)
    assert " ".join(guess.split()) == "q1.x.drag_ns 1.4 1.0 h 1.7 min guess 1"
    begun = "change 1, 2026-11-21 10:00:00 UTC, device time 0 s"
    for at in ("0", "2020-01-01"):
        said = f"nothing is in force at that moment: its history begins with {begun}"
        assert said in say("show", "--at", at)


def test_the_log_is_shown_newest_first(ask: Ask, say: Callable[..., str]):
    log = ask("history")["entries"]
    assert len(log) == 10
    assert [row["value"] for row in log if row["knob"] == "q0.x.amplitude"] == [0.4, 0.41234, 0.5]
    assert len(ask("history", "q0-q1.cz.amplitude", "--since", "2")["entries"]) == 1
    text = say("history", "q0.x.amplitude", "--newest", "2")
    rows = [line for line in text.splitlines() if "q0.x.amplitude" in line]
    assert [row.split()[0] for row in rows] == ["3", "2"]
    assert "+0.088" in rows[0]
    assert "the newest 2 entries" in text
    assert "no entry since then" in say("history", "--since", "2030-01-01")


def test_a_run_that_all_rows_share_is_said_once_and_no_mark_is_shown(say: Callable[..., str]):
    """The first change's comment, as `calibrate` writes it, is for programs."""
    with History("calibration.sqlite") as history:
        for source in ("start", "hand"):
            update = Update(Knob("x.amplitude", (0,)), 0.4, None, source)
            history.record("new", [update], run="runs/a", device_time_s=7.0, comment="device 0123")
        history.check("new", Finding("rabi", (0,), "corrected", 0.1, 0.01, "rad"), run="runs/a")
    of_new = ("--device", "new")
    at_first = say("show", "--at", "4", *of_new)
    assert "device time 7 s, run: runs/a\n" in at_first
    header = " ".join(at_first.splitlines()[2].split())
    assert header == "knob value wall age device age source change"
    assert "device 0123" not in at_first
    assert "device 0123" in say("show", *of_new)  # a note of somebody's own stays
    log = say("history", *of_new)
    assert log.startswith("run: runs/a\n\n")
    assert (log.count("runs/a"), log.count("device 0123")) == (1, 1)
    assert say("checks", *of_new).startswith("run: runs/a\n\n")
    rows = list(csv.DictReader(io.StringIO(say("export", "--log", "--format", "csv", *of_new))))
    assert [row["comment"] for row in rows] == ["", "device 0123"]
    kept = json.loads(say("export", "--log", *of_new))["entries"]
    assert [row["comment"] for row in kept] == ["device 0123", "device 0123"]


def test_undo_and_back(ask: Ask, say: Callable[..., str], folder: pathlib.Path):
    before = (folder / "calibration.sqlite").read_bytes()
    plan = ask("undo", "--steps", "1", "--dry-run")
    assert (plan["undo_to"], plan["change"], plan["dry_run"]) == (2, None, True)
    moved = plan["knobs"]["q0.x.amplitude"]
    assert (moved["before"]["value"], moved["after"]["value"]) == (0.5, 0.41234)
    assert set(plan["knobs"]) == {"q0.x.amplitude", "q0-q1.cz.amplitude"}
    assert (folder / "calibration.sqlite").read_bytes() == before
    done = ask("undo", "--steps", "1", "--comment", "worse")
    assert done == {**plan, "change": 4, "dry_run": False}
    assert of(ask("show")) == 0.41234
    assert "undo to 2: worse" in say("history", "--newest", "1")
    text = say("undo", "--to", "3")
    assert "0.4123 ± 0.0012" in text
    assert "written down as change 5" in text
    assert of(ask("show")) == 0.5
    assert "warning" not in text
    text = say("undo", "--to", "0")
    assert "`undo --to 5` takes it back" in text
    assert "warning: change 0 leaves 7 knobs without a value; change 1 has the first" in text
    assert ask("show")["knobs"] == {}
    assert "withdrawn" in say("history")


def test_export_to_files_and_to_standard_output(ask: Ask, say: Callable[..., str]):
    assert (
        tomllib.loads(say("export", "--format", "toml"))["knobs"]["q0.x.amplitude"]["value"] == 0.5
    )
    rows = list(csv.DictReader(io.StringIO(say("export", "--format", "csv", "--log"))))
    assert len(rows) == 10
    assert of(json.loads(say("export", "--at", "2"))) == of(ask("export", "--at", "2")) == 0.41234
    done = ask("export", "--out", "lab.toml")
    assert (done["file"], done["format"], done["rows"]) == ("lab.toml", "toml", 7)
    assert of(tomllib.loads(pathlib.Path("lab.toml").read_text())) == 0.5
    assert sorted(os.listdir()) == ["calibration.sqlite", "lab.toml"]


def test_pictures_of_the_history(ask: Ask, say: Callable[..., str]):
    ask("undo", "--to", "0")
    ask("undo", "--steps", "1")
    pictures = [pathlib.Path(path) for path in ask("history", "--out", "drawn")["pictures"]]
    # All seven knobs were withdrawn and brought back, so that each name has its picture.
    assert {path.name for path in pictures} == {
        name + suffix for name in ("overview", *NAMES, "cz.amplitude") for suffix in SUFFIXES
    }
    for path in pictures:
        assert path.stat().st_size > 200
    rows = list(csv.DictReader(pathlib.Path("drawn/x.amplitude.csv").read_text().splitlines()))
    mine = [row["value"] for row in rows if row["knob"] == "q0.x.amplitude"]
    assert mine == ["0.4", "0.41234", "0.5", "", "0.5"]
    assert light_differs_from_dark(pathlib.Path("drawn/overview.png"))
    text = say("history", "cz.amplitude", "--picture", "--clock", "wall")
    assert "runs/calibration-lab/cz.amplitude.png" in text
    assert "dark.png" not in text


def light_differs_from_dark(path: pathlib.Path) -> bool:
    return path.read_bytes() != path.with_name(f"{path.stem}-dark.png").read_bytes()


def test_a_history_of_one_value_can_be_drawn_too(folder: pathlib.Path):
    with History("one.sqlite") as history:
        history.record("lab", [Update(Knob("x.amplitude", (0,)), 0.4, None, "hand")], run="")
    arguments = ["calibration", "history", "--history", "one.sqlite", "--out", "drawn"]
    assert main(arguments) == 0
    assert (folder / "drawn" / "x.amplitude.png").exists()


def test_several_devices_are_told_apart(ask: Ask, capsys: pytest.CaptureFixture[str]):
    with History("calibration.sqlite") as history:
        history.record("other", [Update(Knob("x.amplitude", (0,)), 0.7, None, "hand")], run="")
    assert of(ask("show", "--device", "other")) == 0.7
    assert of(ask("show", "--device", "lab")) == 0.5
    assert main(["calibration", "show"]) == 2
    assert "name one with --device: lab, other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["ACTION"]),
        (["shov"], ["shov", "show"]),
        (["show", "--histroy", "x"], ["--histroy"]),
        (["show", "--history", "none.sqlite"], ["none.sqlite: no such", "another by --history"]),
        (["show", "--history", "."], ["got a folder"]),
        (["show", "--history", "text.sqlite"], ["text.sqlite", "not a calibration history"]),
        (["show", "--history", "other.sqlite"], ["another program's SQLite file"]),
        (["show", "--history", "empty.sqlite"], ["holds no calibration history yet"]),
        (["show", "--device", "lap"], ["no device 'lap'", "did you mean lab?"]),
        (["show", "--at", "yesterday"], ["--at", "a UTC time", "'yesterday'"]),
        (["show", "--at", "2026-13-01"], ["'2026-13-01'"]),
        (["show", "--at", "1.2.3s"], ["'1.2.3s'"]),
        (["show", "--at", "-5s"], ["--at", "must be 0 or later, got -5s"]),
        (["show", "--at=-5s"], ["--at", "must be 0 or later, got -5s"]),
        (["undo", "--to", "-3"], ["--to", "must be 0 or later, got -3"]),
        (["show", "--at", "99"], ["there is no change 99", "1 to 3"]),
        (["show", "q0.x.amplitudes"], ["no knob q0.x.amplitudes", "did you mean q0.x.amplitude?"]),
        (["history", "q7"], ["no knob q7; it has knobs of q0, q1, q0-q1"]),
        (["history", "zzz"], ["no knob zzz", "named frequency_ghz, x, cz"]),
        (["checks", "zzz"], ["no check of zzz; there are no checks yet"]),
        (["history", "--newest", "0"], ["--newest must be at least 1, got 0"]),
        (["history", "--newest", "few"], ["--newest", "few"]),
        (["history", "--out", "text.sqlite"], ["expected a folder, got a file"]),
        (["history", "--picture", "--clock", "moon"], ["--clock", "moon"]),
        (["undo"], ["--to", "--steps", "required"]),
        (["undo", "--to", "1", "--steps", "1"], ["not allowed with"]),
        (["undo", "--steps", "0"], ["--steps must be at least 1, got 0"]),
        (["undo", "--steps", "4"], ["1 to the 3 change-sets", "got 4"]),
        (["undo", "--to", "3"], ["nothing to undo"]),
        (["undo", "--to", "1", "--history", "none.sqlite"], ["no such calibration history"]),
        (["export", "--format", "pickle"], ["--format", "pickle"]),
        (["export", "--log", "--at", "1"], ["leave out --at"]),
        (["export", "--json", "--format", "csv"], ["leave out --format csv"]),
        (["export", "--out", "."], ["expected a file, got a folder"]),
        (["export", "--out", "calibration.sqlite"], ["is the history itself"]),
        (["export", "--out", "none/lab.json"], ["none/lab.json: its folder does not exist"]),
        (["export", "--out", f"{'a' * 250}.json"], ["aaa.json: File name too long"]),
        (["export", "--out", "lab.txt"], ["lab.txt: expected a name that ends in .json, .csv"]),
        (["export", "--out", "lab"], ["lab: expected a name that ends in", "or --format"]),
    ],
)
def test_wrong_usage_gets_one_line(
    arguments: list[str], says: list[str], folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "text.sqlite").write_text("no history")
    (folder / "empty.sqlite").write_text("")
    with sqlite3.connect("other.sqlite") as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["calibration", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("syndrift: error: ")
    assert err.count("\n") == 1
    assert len(err) < 450
    for part in says:
        assert part in err, err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_debug_goes_before_and_after_the_action(folder: pathlib.Path):
    for arguments in (["--debug", "show", "--device", "x"], ["show", "--device", "x", "--debug"]):
        with pytest.raises(ValueError, match="no device 'x'"):
            main(["calibration", *arguments])


def test_every_action_explains_itself(capsys: pytest.CaptureFixture[str]):
    for action in ("show", "history", "checks", "undo", "export"):
        assert main(["calibration", action, "--help"]) == 0
        text = capsys.readouterr().out
        assert f"syndrift calibration {action}" in text
        assert "--history PATH" in text


def test_moments_on_the_command_line():
    assert moment("12") == 12
    assert moment("90min") == DeviceTime(5400.0)
    assert moment("1.5e3s") == DeviceTime(1500.0)
    assert moment("2026-11-21") == datetime(2026, 11, 21, tzinfo=UTC)
    assert moment("2026-11-21T10:45:00+01:00") == datetime(2026, 11, 21, 9, 45, tzinfo=UTC)


def test_which_knobs_a_pattern_means():
    knobs = [Knob("x.amplitude", (0,)), Knob("x.drag_ns", (10,)), Knob("cz.amplitude", (0, 1))]
    for pattern, meant in {
        "q0": [0], "q0-q1": [2], "x": [0, 1], "cz": [2], "x.amplitude": [0], "q*.x.*": [0, 1],
        "*amplitude": [0, 2], "q10.x.drag_ns": [1], "x.*": [0, 1],
        "q1-q0": [2], "q1-q0.cz.amplitude": [2], "q1-q0.*": [2],
    }.items():  # fmt: skip
        assert chosen_knobs(knobs, [pattern]) == [knobs[k] for k in meant], pattern
    assert chosen_knobs(knobs, []) == knobs
    assert chosen_knobs(knobs, ["q0-q1", "q0"]) == [knobs[0], knobs[2]]
    for pattern in ("q1-q7", "q1-q0.ecr.amplitude"):
        with pytest.raises(ValueError, match=f"no knob {pattern}"):
            chosen_knobs(knobs, [pattern])


def test_values_are_written_to_two_digits_of_their_uncertainty():
    for value, uncertainty, texts in (
        (0.123456789, 0.0123, ("0.123", "0.012")),
        (4.98765432109, 1.2e-6, ("4.9876543", "0.0000012")),
        (1234.5, 37.0, ("1234", "37")),
        (0.4, 0.0, ("0.4", "0")),
        (1e-20, 1e-22, ("1e-20", "1e-22")),
        (0.4, None, ("0.4", "")),
        (None, None, ("withdrawn", "")),
    ):
        assert (value_text(value, uncertainty), uncertainty_text(uncertainty)) == texts
    ages = [(5, "5 s"), (90, "1.5 min"), (5400, "1.5 h"), (129600, "1.5 d")]
    for seconds, text in ages:
        assert age_text(seconds) == text


def test_checks_are_shown_the_latest_of_each_or_all(ask: Ask, say: Callable[..., str]):
    assert "no checks yet" in say("checks")
    with History("calibration.sqlite", clock=lambda: BEGUN + timedelta(hours=5)) as history:
        for time_s, found in (
            (260.0, Finding("hand", (0,), "in tolerance", 0.011, 0.002, "rad")),
            (300.0, Finding("rabi", (0,), "corrected", -0.2, 0.01, "rad")),
            (360.0, Finding("rabi", (0,), "in tolerance", 0.001, 0.01, "rad")),
            (400.0, Finding("cz_phase", (0, 1), "not resolved", 0.1, 0.2, "rad")),
            (420.0, Finding("cz_phase", (0, 1), "not trusted", None, None, "rad")),
        ):
            history.check("lab", found, run="runs/one", device_time_s=time_s)
    rows = ask("checks")["checks"]
    assert [(row["node"], row["target"]) for row in rows] == [
        ("hand", "q0"), ("rabi", "q0"), ("cz_phase", "q0-q1")
    ]  # fmt: skip
    assert [row["id"] for row in ask("checks", "--all")["checks"]] == [5, 4, 3, 2, 1]
    assert [row["id"] for row in ask("checks", "--all", "r*i")["checks"]] == [3, 2]
    assert rows[0]["utc"] == "2026-11-21T15:00:00.000000Z"  # as `show --json` writes times
    for pair in ("q0-q1", "q1-q0"):
        assert [row["id"] for row in ask("checks", pair)["checks"]] == [5]
    text = say("checks")
    line = next(row for row in text.splitlines() if row.startswith("rabi"))
    assert " ".join(line.split()) == (
        "rabi q0 in tolerance +0.001 0.01 rad 2026-11-21 15:00:00 1.0 min 3"
    )
    legend = [row.split("  ")[0] for row in text.split("\n\n")[2].splitlines()]
    assert legend == ["in tolerance", "not trusted"]  # what occurs in the table
    assert "not resolved" in say("checks", "--all")
    # The knob that `hand` set was found good 420 − 260 s ago.
    shown = next(row for row in say("show").splitlines() if row.startswith("q0.x.amplitude"))
    assert "2.7 min ago" in shown
    assert "found good (device)" in say("show")


def test_a_name_without_checks_is_answered_with_what_there_is():
    with History(":memory:") as history:
        history.record("lab", [Update(Knob("x.amplitude", (0,)), 0.4, None, "guess")], run="")
        for node, target in (("rabi", (0,)), ("cz_phases", (1, 0))):
            history.check("lab", Finding(node, target, "corrected", 0.1, 0.01, "rad"), run="")
        known = list(history.latest_checks("lab").values())
    assert named_checks(known, ["r*", "q1-q0", "q0-q1"]) == ["r*", "q1-q0", "q1-q0"]
    with pytest.raises(ValueError, match=r"no check of rabbi; did you mean rabi\?"):
        named_checks(known, ["rabbi"])
    with pytest.raises(ValueError, match="of bogus; there are rabi, cz_phases, on q0, q1-q0"):
        named_checks(known, ["bogus"])


def test_help_says_what_each_verdict_means(capsys: pytest.CaptureFixture[str]):
    assert main(["calibration", "checks", "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for verdict in get_args(Verdict):
        (said,) = (line for line in lines if line.startswith(verdict))
        assert len(said) > 30

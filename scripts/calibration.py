"""`syndrift calibration`: what is in force on a device, how it came so, undo, export."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import textwrap
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scripts.calibration_names import chosen_knobs, is_check_of, named_checks

if TYPE_CHECKING:
    from calib.controls import Knob
    from calib.history import History, Moment

DEFAULT_HISTORY = pathlib.Path("calibration.sqlite")

EPILOG = """\
examples:
  syndrift calibration show                                what is in force, from whom, how old
  syndrift calibration show q0 --at 2026-11-21T10:45       what was in force then (UTC)
  syndrift calibration history q0.x.amplitude --out runs/pictures
  syndrift calibration checks q0                           what was found on it, and how long ago
  syndrift calibration undo --steps 1 --dry-run            what would change
  syndrift calibration export --format toml --out lab.toml

The history is a file, calibration.sqlite in the current folder or --history PATH. Nothing in it
is ever deleted: an undo is written down as one more change, and can itself be undone.
`syndrift calibration ACTION --help` explains an action.
"""

_KNOBS_HELP = "knobs as the tables print them (q0.x.amplitude), all of a qubit or pair (q0, q0-q1),\
 by name (x, x.amplitude), or with * and ?"
_MOMENT_HELP = "a change's number (12), a UTC time (2026-11-21T10:45) or a device time (3600s)"
_DEVICE_TIME = re.compile(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)(s|min|h|d)")
_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SHOWN = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (summary, add_options) in {
        "show": ("what is in force: value, uncertainty, age and source of each knob",
                 _show_options),
        "history": ("the log, the newest first, and pictures of it", _history_options),
        "checks": ("what each experiment last found, whether or not it moved a knob",
                   _checks_options),
        "undo": ("put back in force what was in force before", _undo_options),
        "export": ("what is in force, or the whole log, for other programs", _export_options),
    }.items():  # fmt: skip
        one = actions.add_parser(name, help=summary, description=f"{summary.capitalize()}.",
                                 formatter_class=argparse.RawDescriptionHelpFormatter,
                                 allow_abbrev=False)  # fmt: skip
        # Else `--at -5s` lacks its argument: argparse takes nothing but plain negative numbers.
        one._negative_number_matcher = re.compile(r"-[\d.]")
        one.add_argument("--history", type=pathlib.Path, default=DEFAULT_HISTORY, metavar="PATH",
                         help="the history's file (default: %(default)s)")  # fmt: skip
        one.add_argument("--device", metavar="NAME", help="needed if the history has several")
        one.add_argument("--json", action="store_true", help="print one JSON object instead")
        one.add_argument("--debug", action="store_true", default=argparse.SUPPRESS,
                         help="show the traceback of an error")  # fmt: skip
        add_options(one)


def _show_options(show: argparse.ArgumentParser) -> None:
    show.add_argument("knobs", nargs="*", metavar="KNOB", help=_KNOBS_HELP)
    show.add_argument(
        "--at", type=moment, metavar="WHEN", help=f"what was in force: {_MOMENT_HELP}"
    )


def _history_options(log: argparse.ArgumentParser) -> None:
    log.add_argument("knobs", nargs="*", metavar="KNOB", help=_KNOBS_HELP)
    log.add_argument("--since", type=moment, metavar="WHEN", help=f"from then on: {_MOMENT_HELP}")
    log.add_argument("--newest", type=int, metavar="N",
                     help=f"so many entries (default: {_SHOWN}; all with --json)")  # fmt: skip
    log.add_argument("--picture", action="store_true", help="draw each knob over time")
    log.add_argument("--out", type=pathlib.Path, metavar="DIR",
                     help="the pictures' folder, implies --picture "
                          "(default: runs/calibration-DEVICE)")  # fmt: skip
    log.add_argument("--clock", choices=("wall", "device"),
                     help="the pictures' time (default: the device's where known)")  # fmt: skip


def _checks_options(checks: argparse.ArgumentParser) -> None:
    from calib.history_entries import VERDICTS

    checks.epilog = f"what `found` says:\n{textwrap.indent(_verdicts_text(VERDICTS), '  ')}"
    checks.add_argument(
        "names", nargs="*", metavar="NAME", help="experiments (rabi, fine_*), qubits and pairs (q0)"
    )
    checks.add_argument("--all", action="store_true", help="every check, the newest first")


def _undo_options(undo: argparse.ArgumentParser) -> None:
    target = undo.add_mutually_exclusive_group(required=True)
    target.add_argument("--to", type=moment, metavar="WHEN", help=_MOMENT_HELP)
    target.add_argument("--steps", type=int, metavar="N", help="so many change-sets back")
    undo.add_argument(
        "--dry-run", action="store_true", help="say what would change, change nothing"
    )
    undo.add_argument("--comment", default="", help="a note that is kept with the change")


def _export_options(export: argparse.ArgumentParser) -> None:
    export.add_argument("--format", choices=("json", "csv", "toml"),
                        help="default: by the ending of --out; json without --out")  # fmt: skip
    export.add_argument("--at", type=moment, metavar="WHEN", help=_MOMENT_HELP)
    export.add_argument("--log", action="store_true", help="the whole log, the oldest first")
    export.add_argument("--out", type=pathlib.Path, metavar="FILE",
                        help="write to a file (default: standard output)")  # fmt: skip


def moment(text: str) -> Moment:
    """A moment from the command line: a change's number, a UTC time, or a device time."""
    from calib.history import DeviceTime

    if text.isdecimal():
        return int(text)
    found = _DEVICE_TIME.fullmatch(text)
    if text.startswith("-") and (found or text[1:].isdecimal()):
        raise argparse.ArgumentTypeError(f"must be 0 or later, got {text}")
    try:
        if found:
            return DeviceTime(float(found[1]) * _UNITS_S[found[2]])
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {_MOMENT_HELP}, got {text!r}") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def run(options: argparse.Namespace) -> int:
    """Runs one action on the history."""
    from calib.history import History

    _check(options)
    writes = options.action == "undo" and not options.dry_run
    with History(options.history, access="write" if writes else "read") as history:
        device = _device(history, options.device)
        actions = {"show": _show, "history": _history, "checks": _checks, "undo": _undo,
                   "export": _export}  # fmt: skip
        actions[options.action](history, device, options)
    return 0


def _check(options: argparse.Namespace) -> None:
    """What can be refused before the history is opened."""
    if options.action == "history" and options.newest is not None and options.newest < 1:
        raise ValueError(f"--newest must be at least 1, got {options.newest}")
    if options.action == "undo" and options.steps is not None and options.steps < 1:
        raise ValueError(f"--steps must be at least 1, got {options.steps}")
    if options.action == "export":
        _check_export(options)


def _check_export(options: argparse.Namespace) -> None:
    from calib.history_export import FORMATS

    if options.log and options.at is not None:
        raise ValueError("--log exports every moment: leave out --at")
    if options.json and options.out is None and options.format not in (None, "json"):
        raise ValueError(f"--json prints JSON: leave out --format {options.format}, or add --out")
    if options.out is not None and options.out.resolve() == options.history.resolve():
        raise ValueError(f"{options.out} is the history itself: give another --out")
    if options.out is not None and options.out.is_dir():
        raise ValueError(f"{options.out}: expected a file, got a folder")
    known = [f".{form}" for form in FORMATS]
    if options.out is not None and options.format is None and options.out.suffix not in known:
        raise ValueError(f"{options.out}: expected a name that ends in {', '.join(known)}, "
                         "or --format")  # fmt: skip


def _device(history: History, given: str | None) -> str:
    devices = history.devices()
    if given is not None:
        history.knobs(given)  # raises, naming the nearest
        return given
    if not devices:
        raise ValueError(f"{history.path} has no values yet: `syndrift calibrate` records them")
    if len(devices) > 1:
        raise ValueError(f"{history.path} has several devices, name one with --device: "
                         f"{', '.join(devices)}")  # fmt: skip
    return devices[0]


def _show(history: History, device: str, options: argparse.Namespace) -> None:
    from scripts import calibration_tables

    state = history.in_force(device, at=options.at)
    kept = set(chosen_knobs(history.knobs(device), options.knobs))
    if options.json:
        data = history.export(device, at=options.at)
        names = {str(knob) for knob in kept}
        data["knobs"] = {name: entry for name, entry in data["knobs"].items() if name in names}
        print(json.dumps({"history": str(history.path), **data}))
        return
    shown = {knob: entry for knob, entry in state.items() if knob in kept}
    if not shown:
        print(f"{device}: nothing is in force{_why_nothing(history, device, options.at)}")
        return
    passed = {} if options.at is not None else history.latest_checks(device, "in tolerance")
    now_s = history.device_time_s(device)
    reference = calibration_tables.reference(state.values(), options.at, now_s)
    print(calibration_tables.state_table(device, shown, reference, passed))


def _why_nothing(history: History, device: str, at: Moment | None) -> str:
    from scripts.calibration_tables import utc_text

    if at is None or history.undo_target(device, to=at):
        return "" if at is None else " at that moment"
    first = history.changes(device)[0]
    device_time = "" if first.device_time_s is None else f", device time {first.device_time_s:g} s"
    return (f" at that moment: its history begins with change {first.id}, "
            f"{utc_text(first.utc)} UTC{device_time}")  # fmt: skip


def _history(history: History, device: str, options: argparse.Namespace) -> None:
    from calib.history_export import log_data
    from scripts import calibration_tables

    draws = options.picture or options.out is not None
    knobs = chosen_knobs(history.knobs(device), options.knobs)
    newest = options.newest if options.json or options.newest else _SHOWN
    beyond = None if newest is None else newest + 1  # one more tells whether there are more
    entries = history.entries(device, knobs, since=options.since, newest=beyond)
    shown = entries if newest is None else entries[-newest:]
    pictures: list[pathlib.Path] = []
    if draws:
        pictures = _draw(history, device, knobs, options)
    if options.json:
        data = {"history": str(history.path), **log_data(device, shown)}
        print(json.dumps({**data, "pictures": [str(path) for path in pictures]}))
        return
    print(calibration_tables.log_table(shown) if shown else f"{device}: no entry since then")
    if len(entries) > len(shown):
        said = "entry" if newest == 1 else f"{newest:,} entries"
        print(f"\nthe newest {said}; --newest N shows more")
    light = [path for path in pictures if path.suffix == ".png" and not path.stem.endswith("-dark")]
    for path in light:
        print(f"  {path}")
    if light:
        print("each also in dark, as SVG, and its numbers as CSV")


def _checks(history: History, device: str, options: argparse.Namespace) -> None:
    from scripts import calibration_tables

    known = list(history.latest_checks(device).values())
    names = named_checks(known, options.names)
    found = history.checks(device)[::-1] if options.all else known
    shown = [check for check in found if not names or any(
        is_check_of(check, name) for name in names)]  # fmt: skip
    if options.json:
        rows = [calibration_tables.check_data(check) for check in shown]
        print(json.dumps({"history": str(history.path), "device": device, "checks": rows}))
    elif shown:
        print(calibration_tables.checks_table(shown, history.device_time_s(device)) + "\n")
        print(_verdicts_text({check.verdict for check in shown}))
    else:
        print(f"{device}: no checks yet; `syndrift calibrate` records them")


def _verdicts_text(verdicts: Collection[str]) -> str:
    """What each of these verdicts means, one a line."""
    from calib.history_entries import VERDICTS

    kept = {name: says for name, says in VERDICTS.items() if name in verdicts}
    width = max(map(len, kept), default=0)
    return "\n".join(f"{name:<{width}}  {says}" for name, says in kept.items())


def _draw(
    history: History, device: str, knobs: list[Knob], options: argparse.Namespace
) -> list[pathlib.Path]:
    from scripts.progress import progress_bar
    from scripts.report.calibration_pictures import draw_history

    entries = history.entries(device, knobs, since=options.since)
    if not entries:
        return []
    name = re.sub(r"[^\w.-]+", "_", device)
    folder = options.out or pathlib.Path("runs") / f"calibration-{name}"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, got a file")
    with progress_bar("drawing") as on_progress:
        return draw_history(
            entries, folder, device=device, clock=options.clock, on_progress=on_progress
        )


def _undo(history: History, device: str, options: argparse.Namespace) -> None:
    from calib.history import differences
    from scripts import calibration_tables

    where = {"to": options.to, "steps": options.steps}
    target = history.undo_target(device, **where)
    if options.dry_run:
        change, before = None, history.in_force(device)
    else:
        change = history.undo(device, **where, comment=options.comment)
        before = history.in_force(device, at=change - 1)
        (made,) = (one for one in history.changes(device, since=change) if one.id == change)
        target = made.restores or 0  # another process may have written before we did
    moved = differences(before, history.in_force(device, at=target))
    if options.json:
        print(json.dumps({"history": str(history.path), "device": device, "undo_to": target,
                          "change": change, "dry_run": options.dry_run,
                          "knobs": calibration_tables.moved_data(moved)}))  # fmt: skip
        return
    if moved:
        print(calibration_tables.undo_table(moved) + "\n")
    withdrawn = sum(new is None for _, new in moved.values())
    if withdrawn:
        print(f"warning: change {target} leaves {withdrawn} knob{'s' * (withdrawn != 1)} "
              "without a value; "
              f"change {history.changes(device)[0].id} has the first values")  # fmt: skip
    values = f"{len(moved)} value{'s' * (len(moved) != 1)}"
    if change is None:
        print(f"{device}: would go back to change {target}: {values} would change (dry run)")
        return
    print(f"{device}: back to change {target}, {values} changed, written down as change {change}; "
          f"`undo --to {change - 1}` takes it back")  # fmt: skip


def _export(history: History, device: str, options: argparse.Namespace) -> None:
    from calib.history_export import FORMATS, as_text

    suffix = options.out.suffix.lstrip(".") if options.out else ""
    form = options.format or (suffix if suffix in FORMATS else "json")
    data = history.export_log(device) if options.log else history.export(device, at=options.at)
    text = as_text({"history": str(history.path), **data} if form == "json" else data, form)
    if options.out is None:
        print(text, end="")
        return
    _write(options.out, text)
    rows = len(data["entries" if options.log else "knobs"])
    if options.json:
        print(json.dumps({"history": str(history.path), "device": device, "format": form,
                          "rows": rows, "file": str(options.out)}))  # fmt: skip
        return
    print(f"{options.out}: {rows:,} {'entries' if options.log else 'knobs'} of {device} as {form}")


def _write(path: pathlib.Path, text: str) -> None:
    """Writes a file as a whole: a reader never finds half of it."""
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path}: its folder does not exist: make it first")
    half = path.with_name(f"{path.name}.part")
    try:
        half.write_text(text, encoding="utf-8")
        os.replace(half, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error

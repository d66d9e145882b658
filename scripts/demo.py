"""`syndrift demo`: the whole loop on this computer, and one report of it."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.demo_stages import Stage

REPORT = "report.html"

EPILOG = """\
A simulated device that nobody has calibrated is brought up pulse by pulse; while it drifts it is
steered by the detection events of the code that runs on it; a decoder is trained for it and held
against others on the same shots; its errors are put down to their causes; and the same kind of
memory runs on a fake IBM backend. All of it in one HTML file, of numbers that this run computed.

No account, no network. Each stage is a verb: what it was called with is shown, and its folder is
that of any run. A demo that was stopped goes on with the same command.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--quick", action="store_true",
                        help="a smaller patch, in a minute (the whole takes four)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of all of it (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR",
                        help="its folder (default: runs/demo, or the next free one)")  # fmt: skip
    parser.add_argument("--no-open", action="store_true", help="do not open the report")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Runs all stages, writes the report, opens it where there is a screen."""
    from scripts.demo_stages import stages
    from scripts.extras import need_extra
    from scripts.page.folder import page_of
    from scripts.page.html import write_page

    need_extra("`syndrift demo`", "all", "torch", "gymnasium", "stable_baselines3", "qiskit",
               "qiskit_ibm_runtime", "tesseract_decoder", "safetensors")  # fmt: skip
    folder = _folder(options)
    folder.mkdir(parents=True, exist_ok=True)
    plan = stages(folder, options.seed, quick=options.quick)
    found, lines, clock = dict[str, Any](), list[dict[str, Any]](), _Clock(plan)
    for number, stage in enumerate(plan, 1):
        _say(options, f"{number}/{len(plan)} {stage.does} ({clock.left()})")
        _note(folder, options, lines, stage)
        found[stage.folder], command = _played(stage, folder)
        line = stage.found(found[stage.folder])
        lines.append({"folder": stage.folder, "run": str(_results(folder / stage.folder)),
                      "does": stage.does, "found": line, "command": command,
                      "seconds": clock.passed(stage)})  # fmt: skip
        _say(options, f"    {line}")
    told = _note(folder, options, lines)
    for run in [*(folder / one["run"] for one in lines), folder]:
        write_page(page_of(run), run / REPORT)
    if options.json:
        print(json.dumps({"run": str(folder), "report": str(folder / REPORT), **told, **found}))
    else:
        seconds = f"{told['seconds']:.0f} s in all"
        print(f"\n{seconds}; seed {options.seed}; the report is {folder / REPORT}")
        _open(folder / REPORT, options)
    return 0


def _note(
    folder: pathlib.Path,
    options: argparse.Namespace,
    lines: Sequence[dict[str, Any]],
    doing: Stage | None = None,
) -> dict[str, Any]:
    """Writes down what was found so far, and what is being done, for those who watch."""
    from scripts.page.demonstrated import FINDINGS
    from scripts.run_folder import machine

    told = {"seed": options.seed, "seconds": sum(one["seconds"] for one in lines),
            "machine": machine()["cpu"], "stages": [*lines]}  # fmt: skip
    now = {"doing": {"folder": doing.folder, "does": doing.does}} if doing else {}
    half = folder / f"{FINDINGS}.half"
    half.write_text(json.dumps(told | now, indent=2) + "\n", encoding="utf-8")
    half.replace(folder / FINDINGS)
    return told


def _results(folder: pathlib.Path) -> pathlib.Path:
    """Where a stage's results are, from the demo's folder: a deployment has one of its own."""
    (found,) = (one for one in (folder, *folder.glob("*deployment-*")) if _has_results(one))
    return found.relative_to(folder.parent)


def _has_results(folder: pathlib.Path) -> bool:
    return (folder / "manifest.json").exists() or bool(list(folder.glob("state-*")))


def _folder(options: argparse.Namespace) -> pathlib.Path:
    """The one asked for, or the first of runs/demo, runs/demo-2, ... that is not finished."""
    if options.out is not None:
        if (options.out / REPORT).exists():
            raise ValueError(f"{options.out} holds a finished demo: give another --out")
        return options.out
    stem = "demo-quick" if options.quick else "demo"
    stem += f"-seed-{options.seed}" if options.seed != 1 else ""
    number, found = 1, pathlib.Path("runs") / stem
    while (found / REPORT).exists():
        number += 1
        found = pathlib.Path("runs") / f"{stem}-{number}"
    return found


class _Clock:
    """How long is left: the stages' usual seconds, scaled by how fast it has gone so far."""

    def __init__(self, plan: Sequence[Stage]) -> None:
        self._left = sum(one.seconds for one in plan)
        self._usual = 0.0
        self._begun = self._latest = time.perf_counter()

    def passed(self, stage: Stage) -> float:
        """One stage is done; the seconds that it took."""
        self._left -= stage.seconds
        self._usual += stage.seconds
        before, self._latest = self._latest, time.perf_counter()
        return self._latest - before

    def left(self) -> str:
        """In words."""
        gone = time.perf_counter() - self._begun
        pace = gone / self._usual if self._usual else 1.0
        seconds = round(self._left * pace, -1) or 10
        minutes, rest = divmod(int(seconds), 60)
        return f"about {minutes} min {rest:02d} s left" if minutes else f"about {rest} s left"


def _played(stage: Stage, folder: pathlib.Path) -> tuple[dict[str, Any], str]:
    """Runs a stage's verb in its folder; what it said as JSON, and the command."""
    from scripts.main import main

    arguments = list(stage.arguments)
    if stage.recipe is not None:
        arguments[arguments.index("RECIPE")] = str(_written(stage, folder))
    arguments += ["--out", str(folder / stage.folder), "--json"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(arguments)
    if status == 130:
        raise KeyboardInterrupt("the same command goes on from there")
    if status != 0:
        raise RuntimeError(f"`syndrift {' '.join(arguments)}` failed, as said above; "
                           "the same command goes on from there")  # fmt: skip
    return json.loads(out.getvalue()), f"syndrift {' '.join(arguments[:-1])}"


def _written(stage: Stage, folder: pathlib.Path) -> pathlib.Path:
    """The recipe as a file, so that the stage can be changed and run by itself."""
    import tomli_w

    path = folder / "recipes" / f"{stage.folder}.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(tomli_w.dumps(stage.recipe or {}), encoding="utf-8")
    return path


def _say(options: argparse.Namespace, text: str) -> None:
    print(text, file=sys.stderr if options.json else sys.stdout, flush=True)


def _open(report: pathlib.Path, options: argparse.Namespace) -> None:
    """In a browser, where somebody sits before a screen."""
    import os
    import webbrowser

    has_screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if has_screen and sys.stdout.isatty() and not options.no_open:
        webbrowser.open(report.resolve().as_uri())

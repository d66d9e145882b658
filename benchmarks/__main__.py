"""Runs the benchmarks and writes what they print to docs/results.md.

    .venv/bin/python -m benchmarks [NAME ...] [--quick]

Without names all of them run, which takes some four hours; a name replaces its own section only.
"""

from __future__ import annotations

import argparse
import ast
import pathlib
import subprocess
import sys
import time

from scripts.run_folder import commit

FOLDER = pathlib.Path(__file__).parent
RESULTS = FOLDER.parent / "docs" / "results.md"
HEAD = """\
# Results

Written by `make bench` (`python -m benchmarks`): each section is what one file of `benchmarks/`
printed, with the commit and the day it ran. Nothing here is typed by hand.
"""


def sections() -> dict[str, str]:
    """The sections of docs/results.md by the benchmark's name."""
    if not RESULTS.exists():
        return {}
    _, *parts = RESULTS.read_text(encoding="utf-8").split("\n## ")
    found = {}
    for part in parts:
        name = part.split("`benchmarks/", 1)[1].split(".py`", 1)[0]
        found[name] = "\n## " + part.rstrip() + "\n"
    return found


def section(name: str, options: list[str]) -> str:
    """Runs one benchmark; its output under its question."""
    path = FOLDER / f"{name}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or name
    command = [sys.executable, str(path), *options]
    begun = time.perf_counter()
    printed = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    minutes = (time.perf_counter() - begun) / 60
    shown = " ".join([f"`benchmarks/{name}.py`", *(f"`{option}`" for option in options)])
    origin = f"{shown}, commit {commit()}, {time.strftime('%Y-%m-%d')}, {minutes:.1f} minutes"
    return f"\n## {docstring.splitlines()[0]}\n\n{origin}\n\n```\n{printed.rstrip()}\n```\n"


def main() -> None:
    """Runs what is asked for and writes after each, so that a stop loses one benchmark only."""
    names = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="the small version of each")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names)}")
    known = sections()
    for name in options.names or names:
        print(name, file=sys.stderr)
        known[name] = section(name, ["--quick"] if options.quick else [])
        RESULTS.write_text(HEAD + "".join(known[key] for key in sorted(known)), encoding="utf-8")


if __name__ == "__main__":
    main()

"""A page of the docs, run from top to bottom as the script that it is, and what it says it prints.

`python -m tests.shown_pages docs/tutorials/student.md …` runs pages and writes the numbers of
that run into what they show.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from tests.shown import ROOT

_spec = importlib.util.spec_from_file_location("page_script", ROOT / "docs" / "page_script.py")
assert _spec is not None
assert _spec.loader is not None
page_script = importlib.util.module_from_spec(_spec)
sys.modules["page_script"] = page_script
_spec.loader.exec_module(page_script)

LEFT_OUT = "…"


def run(markdown: str, folder: pathlib.Path) -> str:
    """What the page's script prints, started in `folder`, in a process of its own."""
    program = folder / "the_page.py"
    program.write_text(page_script.script_of(markdown), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, program.name], cwd=folder, capture_output=True, text=True, timeout=300,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder), "OMP_NUM_THREADS": "1",
             "PATH": f"{pathlib.Path(sys.executable).parent}:{os.defpath}"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr
    return ran.stdout


def shape(line: str) -> str:
    """A line without its numbers and widths: what stays from one machine to the next."""
    line = re.sub(r"(?<![A-Za-z_])[+-]?\d[\d,_]*(\.\d+)?(e[+-]?\d+)?", "#", line)
    line = re.sub(r"# (ns|µs|ms|s|min)\b", "# s", line)
    return " ".join(re.sub(r"-{2,}|─+", "--", line).split())


def shown_lines(markdown: str) -> Iterator[str]:
    """The lines that a page says are printed, in order."""
    for block in page_script.blocks_of(markdown):
        if block.language == "text":
            yield from (line for line in block.text.splitlines() if line.strip())


def printed_as(markdown: str, printed: str) -> dict[str, str | None]:
    """Each line shown, with the printed one of its shape, after that of the line before.

    Of several the most similar: rows of a table differ by their numbers alone.
    """
    lines = printed.splitlines()
    after = 0
    found = dict[str, str | None]()
    for line in shown_lines(markdown):
        if line.strip() == LEFT_OUT:
            continue
        places = [at for at in range(after, len(lines)) if shape(lines[at]) == shape(line)]
        best = max(places, key=lambda at: (alike(lines[at], line), -at), default=None)
        found[line] = None if best is None else lines[best]
        after = after if best is None else best + 1
    return found


def alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.split(), other.split()).ratio()


def refreshed(markdown: str, printed: str) -> str:
    """The page with the numbers of this run."""
    blocks = dict(printed_as(markdown, printed))

    def mend(fence: re.Match[str]) -> str:
        lines = fence[0].splitlines()
        return "\n".join(blocks.get(line) or line for line in lines)

    return re.sub(r"^```text\n.*?^```$", mend, markdown, flags=re.M | re.S)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = pathlib.Path(name)
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            output = run(text, pathlib.Path(folder))
        for line, came in printed_as(text, output).items():
            if came is None:
                sys.stderr.write(f"{name}: not printed: {line}\n")
        page.write_text(refreshed(text, output), encoding="utf-8")

"""A page of the docs as one Python script: its commands, its Python and its files, in their order.

    python docs/page_script.py docs/tutorials/student.md > student.py

The tests run the pages so, and the site offers each tutorial so.
"""

from __future__ import annotations

import pathlib
import re
import shlex
import sys
from dataclasses import dataclass

FENCE = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?[^\n]*\n(?P<text>.*?)^```$', re.M | re.S
)

HEAD = '''"""{title}: the page's commands, Python and files in their order, as one script.

Run it in an empty folder, where `syndrift` is on the path.
"""

import pathlib
import shlex
import subprocess


def run(command: str) -> None:
    """A command as in a shell, shown first; what fails ends the script."""
    print("$", command, flush=True)
    subprocess.run(shlex.split(command), check=True)


def write(name: str, text: str) -> None:
    """A file that the page shows under its name."""
    pathlib.Path(name).write_text(text, encoding="utf-8")
'''


@dataclass(frozen=True)
class Block:
    """What stands between two fences of a page."""

    language: str
    title: str | None
    text: str

    @property
    def runs(self) -> bool:
        """Whether the page's reader would do something with it."""
        return self.title is not None or self.language in ("bash", "python")

    @property
    def commands(self) -> list[str]:
        """The lines of a shell's block, without what is said of them."""
        lines = (shlex.join(shlex.split(line, comments=True)) for line in self.text.splitlines())
        return [line for line in lines if line]


def blocks_of(markdown: str) -> list[Block]:
    """All blocks of a page, in order."""
    return [Block(one["language"], one["title"], one["text"]) for one in FENCE.finditer(markdown)]


def script_of(markdown: str) -> str:
    """The page as a script; a page with nothing to run gives one that does nothing."""
    title = re.search(r"^# (.+)$", markdown, re.M)
    parts = [HEAD.format(title=title[1] if title else "A page")]
    for block in blocks_of(markdown):
        if block.title is not None:
            parts.append(f"write({block.title!r}, {_long(block.text)})\n")
        elif block.language == "bash":
            parts.append("".join(f"run({command!r})\n" for command in block.commands))
        elif block.language == "python":
            parts.append(block.text)
    return "\n".join(parts)


def _long(text: str) -> str:
    """A file's text as it stands, where Python can have it so."""
    return repr(text) if '"""' in text or "\\" in text else f'"""\\\n{text}"""'


if __name__ == "__main__":
    sys.stdout.write(script_of(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))

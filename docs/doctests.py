"""Examples in docstrings as blocks of code: without a heading above, Griffe takes them for text."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*?(?=\n\s*\n|\Z)", re.M | re.S)


class Doctests(griffe.Extension):
    """Fences around all that begins with `>>>`, up to the next empty line."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Mends the docstring before it becomes Markdown."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """A docstring whose examples are fenced."""
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", docstring)

"""The progress bar: on a terminal only, and only for what takes more than two seconds."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from typing import Protocol


class Show(Protocol):
    """Shows the fraction done, from 0 to 1, and perhaps how it goes, in words."""

    def __call__(self, fraction: float, words: str = "") -> None:
        """Draws the bar."""
        ...


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Show]:
    """Gives a function that takes the fraction done; it draws the estimate left, and words."""
    from tqdm import tqdm

    columns, lines = shutil.get_terminal_size()  # 80 and 24 where the terminal says 0 and 0
    form = "{desc} {percentage:5.1f}% |{bar:30}| {elapsed} gone, {remaining} left{postfix}"
    with tqdm(
        total=1.0,
        desc=title,
        bar_format=form,
        delay=2,
        leave=False,
        ncols=columns,
        nrows=lines,
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
    ) as bar:
        begun = False

        def show(fraction: float, words: str = "") -> None:
            nonlocal begun
            if not begun:  # what an earlier run had done says nothing of the speed of this one
                bar.initial, begun = fraction, True
            bar.set_postfix_str(words, refresh=False)
            bar.update(fraction - bar.n)

        yield show

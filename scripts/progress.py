"""The progress bar: on a terminal only, and only for what takes more than two seconds."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Gives a function that takes the fraction done, from 0 to 1; it draws the estimate left."""
    from tqdm import tqdm

    columns, lines = shutil.get_terminal_size()  # 80 and 24 where the terminal says 0 and 0
    form = "{desc} {percentage:5.1f}% |{bar:30}| {elapsed} gone, {remaining} left"
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

        def show(fraction: float) -> None:
            nonlocal begun
            if not begun:  # what an earlier run had done says nothing of the speed of this one
                bar.initial, begun = fraction, True
            bar.update(fraction - bar.n)

        yield show

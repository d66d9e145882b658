"""A verb as a child of a sweep: it ends when its parent is gone, however that came about."""

from __future__ import annotations

import os
import signal
import threading


def main() -> int:
    """Runs the verb in the arguments; standard input is a pipe that only the parent holds open."""
    # A sweep that was begun in the background has SIGINT ignored, which its children inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from scripts.main import main as run

    return run()


def _end_with_parent() -> None:
    """Kills the process group, workers too, when the pipe closes.

    A run that outlived its sweep would hold its folder against the sweep that goes on.
    """
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)

"""One Ray at a time: `--on ray` joins whatever cluster it finds on the computer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def ray_alone() -> Iterator[dict[str, str]]:
    """What the environment has for a Ray with files of its own, while no other test has one.

    Its folder has a short name, as the names of sockets must be.
    """
    with (
        pathlib.Path(tempfile.gettempdir(), f"syndrift-ray-{os.getuid()}.lock").open("w") as lock,
        tempfile.TemporaryDirectory(
            prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
        ) as folder,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}

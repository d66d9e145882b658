"""What makes a sweep's runs: child processes here, or the same on the nodes of a Ray cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

_PATIENCE_SECONDS = 60.0  # for a run that was asked to stop: it may write its state yet
_LOOK_SECONDS = 0.05
_CHILD = """\
import sys
sys.path.append(sys.argv.pop(1))
from scripts.sweep_child import main
sys.exit(main())
"""


@dataclasses.dataclass(frozen=True)
class Task:
    """A verb with its arguments; where its output and its errors go; `threads` None: all cores."""

    name: str
    arguments: tuple[str, ...]
    printed: pathlib.Path
    log: pathlib.Path
    folder: pathlib.Path
    threads: int | None


class Ended(NamedTuple):
    """A task that ended; the status is negative for a signal, None for a lost node."""

    name: str
    status: int | None
    seconds: float


class Runner(Protocol):
    """Makes tasks, several at once."""

    @property
    def room(self) -> int:
        """How many it can make at once, as far as is known now."""
        ...

    def start(self, task: Task) -> None:
        """Begins a task, or puts it where it is begun as soon as there is room."""
        ...

    def wait(self) -> Ended:
        """The next one that ends."""
        ...

    def stop(self) -> None:
        """Ends all that is under way as Ctrl-C would, and returns when it has ended."""
        ...


class LocalRunner:
    """Child processes of this one."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}

    def start(self, task: Task) -> None:
        """Begins the child now."""
        self._running[task.name] = _begun(task), time.monotonic()

    def wait(self) -> Ended:
        """Looks at all children until one has ended."""
        while True:
            for name, (child, since) in self._running.items():
                if (status := child.poll()) is not None:
                    del self._running[name]
                    _close(child)
                    return Ended(name, status, time.monotonic() - since)
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """Asks all children at once, and waits for each."""
        children = [child for child, _ in self._running.values()]
        self._running.clear()
        _stop(*children)


class RayRunner:
    """Tasks of the Ray cluster to which this process is connected: each a child on its node."""

    def __init__(self, cpus_per_run: int) -> None:
        import ray

        cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        self.room = sum(count // cpus_per_run for count in cores)
        self._remote: Any = ray.remote(num_cpus=cpus_per_run, max_retries=0)(run_here)
        self._names: dict[Any, str] = {}

    def start(self, task: Task) -> None:
        """Hands the task to Ray, which begins it on a node with room."""
        self._names[self._remote.remote(task)] = task.name

    def wait(self) -> Ended:
        """The next that ends; one whose node is lost has no status, and is not tried again."""
        import ray
        from ray.exceptions import RayError

        ready, _ = ray.wait(list(self._names), num_returns=1)
        name = self._names.pop(ready[0])
        try:
            status, seconds = ray.get(ready[0])
        except RayError:
            return Ended(name, None, 0.0)
        return Ended(name, status, seconds)

    def stop(self) -> None:
        """Cancels all tasks: Ray raises KeyboardInterrupt in those that run."""
        import ray
        from ray.exceptions import RayError

        tasks = list(self._names)
        self._names.clear()
        for task in tasks:
            with contextlib.suppress(RayError):
                ray.cancel(task)
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=_PATIENCE_SECONDS)


@contextlib.contextmanager
def runner_on(cluster: str | None, *, jobs: int, cpus_per_run: int) -> Iterator[Runner]:
    """The runner that --on names, connected; the local one without it."""
    if cluster is None:
        yield LocalRunner(jobs)
        return
    from scripts.extras import need_extra

    need_extra("`syndrift sweep --on ray`", "cluster", "ray")
    from decoders.cluster.ray_engine import connected

    with connected(None if cluster == "ray" else cluster):
        yield RayRunner(cpus_per_run)


def run_here(task: Task) -> tuple[int, float]:
    """Makes a task on this computer: its exit status, and seconds."""
    since = time.monotonic()
    child = _begun(task)
    try:
        # Ray cancels by a KeyboardInterrupt that wakes nobody from a call that blocks.
        while (status := child.poll()) is None:
            time.sleep(_LOOK_SECONDS)
        _close(child)
    except BaseException:
        _stop(child)
        raise
    return status, time.monotonic() - since


def _begun(task: Task) -> subprocess.Popen[bytes]:
    """The child, in a process group of its own: a Ctrl-C at the terminal is ours to pass on.

    Its standard input is a pipe of which only we hold the other end, see `scripts.sweep_child`.
    """
    root = str(pathlib.Path(__file__).parents[1])
    environment = dict(os.environ)
    if task.threads is not None:
        environment.setdefault("OMP_NUM_THREADS", str(task.threads))
    with task.printed.open("wb") as printed, task.log.open("wb") as log:
        return subprocess.Popen(
            # -P: a folder `scripts` of the user's own, where the sweep was begun, is not ours.
            [sys.executable, "-P", "-c", _CHILD, root, *task.arguments],
            cwd=task.folder, env=environment, stdin=subprocess.PIPE, stdout=printed, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def _stop(*children: subprocess.Popen[bytes]) -> None:
    """Ctrl-C to all; those that have not ended in time, or at a second Ctrl-C, are killed."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    try:
        for child in children:
            _signal(child, signal.SIGINT)
        for child in children:
            child.wait(max(deadline - time.monotonic(), 0.0))
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        pass
    finally:
        for child in children:
            if child.poll() is None:
                _signal(child, signal.SIGKILL)
                child.wait()
            _close(child)


def _close(child: subprocess.Popen[bytes]) -> None:
    """Lets go of the pipe of a child that has ended."""
    assert child.stdin is not None  # it was asked for
    child.stdin.close()


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)

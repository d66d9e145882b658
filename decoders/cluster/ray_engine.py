"""Ray as an engine: each lease is a task of one core, and a lost node loses its leases alone.

Ray's own retries are off: the driver hands lost leases out again, and counts how often it had to.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from decoders.cluster.engine import Answer, CompiledJob, Job
from decoders.cluster.leases import Counted, Lease
from decoders.sampling import DecoderFailed

_KEPT = 8  # compiled jobs that a worker keeps, the latest


class _Worker:
    """What stays in a worker's process between two leases."""

    compiled: dict[str, CompiledJob] = {}  # noqa: RUF012  (of the process, on purpose)


def _count(key: str, boxed: list[Any], lease: Lease) -> Counted:
    """Runs in a worker; the job comes boxed, so that it is fetched only where it is not known."""
    import ray

    known = _Worker.compiled
    compiled = known.pop(key, None)
    if compiled is None:
        job: Any = ray.get(boxed[0])
        compiled = job.compiled()
    known[key] = compiled
    while len(known) > _KEPT:
        known.pop(next(iter(known)))
    return compiled.count(lease)


class RayEngine:
    """The workers of the Ray cluster to which this process is connected."""

    def __init__(self) -> None:
        import ray

        self._count: Any = ray.remote(num_cpus=1, max_retries=0)(_count)
        self._jobs: dict[str, Any] = {}
        self._out: dict[Any, tuple[str, Lease]] = {}

    @property
    def slots(self) -> int:
        """The cores of all nodes that are there now."""
        import ray

        return max(int(ray.cluster_resources().get("CPU", 0)), 1)

    def prepare(self, key: str, job: Job) -> None:
        """Puts the job where every node can fetch it."""
        import ray

        self._jobs[key] = ray.put(job)

    def order(self, key: str, lease: Lease) -> None:
        """A task for the lease."""
        self._out[self._count.remote(key, [self._jobs[key]], lease)] = key, lease

    def answers(self, timeout_seconds: float) -> list[Answer]:
        """The tasks that have ended, one way or another."""
        import ray

        waiting = list(self._out)
        ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout_seconds)
        if ready:  # and whatever else is there by now
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return [self._answer(one) for one in ready]

    def _answer(self, task: Any) -> Answer:
        import ray
        from ray import exceptions

        key, lease = self._out.pop(task)
        try:
            return Answer(key, lease, ray.get(task))
        except exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, DecoderFailed | ValueError) else error from None
        except exceptions.RayError as error:
            return Answer(key, lease, None, _first_sentence(error))

    def end(self) -> None:
        """Cancels what has not ended."""
        import ray
        from ray import exceptions

        for task in self._out:
            with contextlib.suppress(exceptions.RayError):
                ray.cancel(task)
        self._out.clear()


def _first_sentence(error: Exception) -> str:
    said = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
    return said or type(error).__name__


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[RayEngine]:
    """The engine of a cluster; without an address that of this computer, begun here if need be."""
    import ray

    # Ray reports how it is used to its makers unless told otherwise before it begins.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: Any = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        try:
            ray.init(address or "auto", **quiet)
        except ConnectionError:
            if address is not None:
                raise
            ray.init("local", include_dashboard=False, **quiet)  # there is none here
    except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
        where = address or "this computer"
        raise ValueError(
            f"--on ray: no cluster answers at {where} ({_first_sentence(error)}); "
            "`ray start --head` begins one, and prints its address"
        ) from None
    try:
        yield RayEngine()
    finally:
        ray.shutdown()

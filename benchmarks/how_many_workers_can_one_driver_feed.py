"""How many workers can one driver feed?

The driver of `decoders.cluster` against simulated workers whose decoding is a sleep: leases of
some seconds, as it hands them out, on 100 to 10,000 workers. All that is real is the driver's own
work: leases handed out and counted, rows in the CSV. Beside it what Ray takes on top, with real
tasks that do nothing, and the bytes of a lease and of its answer.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import heapq
import os
import pathlib
import pickle
import tempfile
import time
from typing import Any

import sinter
import stim

from decoders.cluster import Answer, Counted, Job, Lease, collect_on
from decoders.collect import Work
from decoders.sampling import FAILED, Panelist
from scripts.run_folder import machine
from scripts.table import aligned

PACE = 20e-6  # seconds a shot: a lease of four seconds holds some 200,000
RATE = 1e-4  # of shots that fail


class Sleepers:
    """Workers that sleep for as long as decoding would take, and then tell of plausible counts."""

    def __init__(self, workers: int, pace: float, seconds: float) -> None:
        self.slots, self._pace, self._end = workers, pace, time.monotonic() + seconds
        self._free = [0.0] * workers  # when each will have ended what it was given
        self._asleep: list[tuple[float, int, str, Lease]] = []
        self.leases = self.ordered = 0
        self.idle = self.own = 0.0

    def prepare(self, key: str, job: Job) -> None:
        """Nothing to compile."""

    def order(self, key: str, lease: Lease) -> None:
        """Goes to the worker that is free first."""
        begun = time.perf_counter()
        now = time.monotonic()
        free = heapq.heappop(self._free)
        self.idle += max(now - free, 0.0) if free else 0.0
        wakes = max(now, free) + (lease.stop - lease.start) * self._pace
        heapq.heappush(self._free, wakes)
        self.ordered += 1
        heapq.heappush(self._asleep, (wakes, self.ordered, key, lease))
        self.own += time.perf_counter() - begun

    def answers(self, timeout_seconds: float) -> list[Answer]:
        """Of those that have slept enough."""
        now = time.monotonic()
        if now > self._end:
            raise KeyboardInterrupt
        if self._asleep[0][0] > now:
            time.sleep(min(self._asleep[0][0] - now, timeout_seconds))
        begun = time.perf_counter()
        now, found = time.monotonic(), list[Answer]()
        while self._asleep and self._asleep[0][0] <= now:
            _, _, key, lease = heapq.heappop(self._asleep)
            found.append(Answer(key, lease, counted(lease, self._pace)))
        self.leases += len(found)
        self.own += time.perf_counter() - begun
        return found

    def end(self) -> None:
        """All are forgotten."""
        self._asleep.clear()


def counted(lease: Lease, pace: float) -> Counted:
    """An answer of the size that a real one has."""
    shots = lease.stop - lease.start
    failed = [0] * (lease.last - lease.first)
    failed[0] = round(shots * RATE)
    counts = collections.Counter({FAILED: failed[0], "decode_us[pymatching]": round(1e6 * pace)})
    stats = sinter.AnonTaskStats(shots=shots, errors=failed[0], discards=0, seconds=shots * pace,
                                 custom_counts=counts)  # fmt: skip
    return Counted(stats, tuple(failed))


def works(number: int) -> list[Work]:
    """As many points of a sweep, each with a limit of shots that is not reached here."""
    found = []
    for k in range(number):
        circuit = stim.Circuit.generated(
            "repetition_code:memory", distance=3, rounds=3,
            before_measure_flip_probability=0.01 + 0.001 * k,
        )  # fmt: skip
        found.append(Work(circuit, circuit.detector_error_model(decompose_errors=True),
                          (Panelist("pymatching", "pymatching"),), {"k": k}, 10**15))  # fmt: skip
    return found


def fed(workers: int, points: int, seconds: float, pace: float) -> list[str]:
    """One run; what the driver did a second."""
    sleepers = Sleepers(workers, pace, seconds)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "counts.csv"
        begun, busy = time.monotonic(), time.process_time()
        with contextlib.suppress(KeyboardInterrupt):
            collect_on(sleepers, works(points), path, seed=1)
        took = time.monotonic() - begun
        busy = time.process_time() - busy - sleepers.own
        rows, size = path.read_text().count("\n") - 1, path.stat().st_size
    slept = took * workers
    return [
        f"{workers:,}", f"{points}", f"{sleepers.leases / took:,.0f}",
        f"{100 * busy / took:.1f} %", f"{1e6 * busy / max(sleepers.leases, 1):.0f} µs",
        f"{rows / took:.1f}", f"{size / took / 1024:.1f} KiB",
        f"{100 * sleepers.idle / slept:.1f} %",
    ]  # fmt: skip


def most(points: int, seconds: float) -> float:
    """Leases a second where workers never let the driver wait."""
    sleepers = Sleepers(4000, 0.0, seconds)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        with contextlib.suppress(KeyboardInterrupt):
            collect_on(sleepers, works(points), pathlib.Path(folder) / "counts.csv", seed=1)
        return sleepers.leases / (time.process_time() - begun - sleepers.own)


def of_ray(tasks: int) -> tuple[float, float]:
    """Real tasks of Ray that do nothing: the driver's seconds for each, of its core and of wall."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    lease, job = Lease(0, 196, 0, 200_000), ray.put("job")

    @ray.remote(num_cpus=1, max_retries=0)
    def nothing(key: str, boxed: list[Any], lease: Lease) -> Counted:
        return Counted(sinter.AnonTaskStats(shots=1), (0,) * 196)

    ray.get([nothing.remote("key", [job], lease) for _ in range(20)])
    begun, wall = time.process_time(), time.monotonic()
    out = [nothing.remote("key", [job], lease) for _ in range(tasks)]
    while out:
        ready, out = ray.wait(out, num_returns=min(len(out), 64))
        ray.get(ready)
    spent = (time.process_time() - begun) / tasks, (time.monotonic() - wall) / tasks
    ray.shutdown()
    return spent


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    seconds = 6.0 if options.quick else 40.0
    print(f"{machine()['cpu']}; a lease is some 4 s of decoding; {seconds:.0f} s a row\n")
    head = ["workers", "points", "leases a second", "driver busy", "a lease", "rows a second",
            "CSV a second", "workers idle"]  # fmt: skip
    sizes = [(100, 8), (1000, 8)] if options.quick else [
        (100, 8), (1000, 1), (1000, 8), (1000, 64), (4000, 8), (10_000, 8)]  # fmt: skip
    print(aligned(head, [fed(workers, points, seconds, PACE) for workers, points in sizes]))
    lease = Lease(0, 196, 0, 200_000)
    order, answer = pickle.dumps(("key" * 20, lease)), pickle.dumps(counted(lease, PACE))
    print(f"\nbytes of a lease of 200,000 shots: {len(order):,} out, {len(answer):,} back")
    rate = most(8, seconds / 4)
    print(f"the driver alone: {rate:,.0f} leases a second of one core, "
          f"so {4 * rate:,.0f} workers at 4 s a lease")  # fmt: skip
    cpu, wall = of_ray(200 if options.quick else 3000)
    both = cpu + 1 / rate
    print(f"Ray's tasks: {1e6 * cpu:.0f} µs of the driver's core each ({1e6 * wall:.0f} µs wall on "
          f"two cores that also run them), so {4 / both:,.0f} workers with Ray")  # fmt: skip


if __name__ == "__main__":
    main()

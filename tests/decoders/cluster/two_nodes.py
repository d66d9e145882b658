"""A collection on two Ray nodes of this computer, one of which is killed in mid-run.

    python two_nodes.py COUNTS.csv kill|spare|client

Prints JSON: how many nodes were there at the end, and how many leases were lost. A program of its
own, as Ray leaves processes and threads behind.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
from typing import Any

SEED = 5


def works() -> list[Any]:
    from tests.decoders.test_collect import work_of

    return [
        work_of(3, max_shots=6_000_000),
        work_of(5, max_errors=60_000, max_shots=10_000_000),
    ]


def processes_of(node: Any) -> list[int]:
    """A node's own processes and the workers that they began, as if its plug were pulled."""
    own = [one.process.pid for several in node.all_processes.values() for one in several]
    begun = list[int]()
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines()
                         if ":\t" in line)  # fmt: skip
        except OSError:  # it ended meanwhile
            continue
        if int(lines.get("PPid", 0)) in own:
            begun.append(int(status.parent.name))
    return begun + own


def counts_now(pid: int) -> bool:
    """Whether a worker is at a lease: Ray names its process so."""
    try:
        return b"ray::_count" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def main(counts: pathlib.Path, what: str) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    from decoders.cluster import Answer, collect_on
    from decoders.cluster.ray_engine import connected

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    lost, answers = list[str](), 0

    with connected(cluster.address) as engine:
        plain = engine.answers

        def watched(timeout: float) -> list[Answer]:
            nonlocal answers
            found = plain(timeout)
            answers += len(found)
            lost.extend(one.why for one in found if one.counted is None)
            pids = processes_of(other)
            if what == "kill" and answers >= 4 and any(map(counts_now, pids)):
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            return found

        engine.answers = watched  # type: ignore[method-assign]  # a spy
        slots = engine.slots
        collect_on(engine, works(), counts, seed=SEED)
        nodes = sum(node["Alive"] for node in ray.nodes())
    print(json.dumps({"slots": slots, "nodes": nodes, "lost": lost}))
    cluster.shutdown()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])

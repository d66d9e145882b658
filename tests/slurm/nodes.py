"""Two nodes on this computer, for root alone: network namespaces with a wire between them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

HERE = pathlib.Path(__file__).parent


def possible() -> bool:
    """Whether namespaces can be made here."""
    name = f"syndrift-try-{os.getpid()}"
    try:
        if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
            return False
        inside = ["ip", "netns", "exec", name, "true"]
        works = subprocess.run(inside, capture_output=True).returncode == 0
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        return works
    except OSError:
        return False


@contextlib.contextmanager
def job(name: str, cores: int = 1) -> Iterator[dict[str, str]]:
    """The environment of a batch job on two nodes; its commands stand in `tests/slurm`."""
    first, second = f"{name}-0", f"{name}-1"
    for one in (first, second):
        subprocess.run(["ip", "netns", "add", one], check=True)
    try:
        for line in (
            f"link add wire netns {first} type veth peer name wire netns {second}",
            f"-n {first} addr add 10.77.0.1/24 dev wire",
            f"-n {second} addr add 10.77.0.2/24 dev wire",
            f"-n {first} link set wire up",
            f"-n {second} link set wire up",
            f"-n {first} link set lo up",
            f"-n {second} link set lo up",
            f"-n {first} route add default via 10.77.0.2",
            f"-n {second} route add default via 10.77.0.1",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        yield {
            "NAMESPACE": name,
            "SLURM_JOB_NODELIST": "10.77.0.1,10.77.0.2",
            "SLURM_NNODES": "2",
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_CPUS_PER_TASK": str(cores),
            "GLOO_SOCKET_IFNAME": "wire",  # these nodes have no names that lead to them
        }
    finally:
        for one in (first, second):
            subprocess.run(["ip", "netns", "del", one], check=False)

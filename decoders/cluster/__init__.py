"""Collections on many machines: leases of numbered shots, a driver, engines that count them."""

from decoders.cluster.driver import collect_on
from decoders.cluster.engine import Answer, CompiledJob, Engine, Job
from decoders.cluster.leases import Counted, Lease, Leases

__all__ = [
    "Answer",
    "CompiledJob",
    "Counted",
    "Engine",
    "Job",
    "Lease",
    "Leases",
    "collect_on",
]

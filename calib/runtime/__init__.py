"""Jobs on a quantum computer: orders, their cost, the ledger, the services that run them."""

from calib.runtime.credentials import accounts_file_warning, guard_logs, redacted
from calib.runtime.errors import (
    Busy,
    Expired,
    JobFailed,
    NoAccount,
    PartialResult,
    Refused,
    ServiceError,
    Transient,
    UnknownJob,
)
from calib.runtime.estimate import Estimate, estimate, split
from calib.runtime.ibm import IbmService
from calib.runtime.ledger import Ledger
from calib.runtime.ledger_rows import Deployment, Event, JobRow
from calib.runtime.order import (
    HoldsSession,
    JobState,
    Limits,
    Order,
    Outcome,
    RunOptions,
    Service,
)
from calib.runtime.progress import Progress
from calib.runtime.runner import Runner

__all__ = [
    "Busy",
    "Deployment",
    "Estimate",
    "Event",
    "Expired",
    "HoldsSession",
    "IbmService",
    "JobFailed",
    "JobRow",
    "JobState",
    "Ledger",
    "Limits",
    "NoAccount",
    "Order",
    "Outcome",
    "PartialResult",
    "Progress",
    "Refused",
    "RunOptions",
    "Runner",
    "Service",
    "ServiceError",
    "Transient",
    "UnknownJob",
    "accounts_file_warning",
    "estimate",
    "guard_logs",
    "redacted",
    "split",
]

"""The ceiling of a deployment's device time: whether a job may be sent, and what to do if not."""

from __future__ import annotations

import math

from calib.runtime.ledger import Ledger
from calib.runtime.ledger_rows import JobRow
from calib.runtime.order import JobState


def beyond_ceiling(ledger: Ledger, job: JobRow) -> str | None:
    """Why a job that is not sent may not be, and the command that sends it; None if it may.

    What was sent counts with what was charged, or was expected where that is not known yet.
    """
    ceiling_s = ledger.deployment(job.deployment).ceiling_seconds
    others = [one for one in ledger.jobs(job.deployment) if one.id != job.id]
    spent_s = math.fsum(one.seconds for one in others)
    if ceiling_s is None or spent_s + job.estimate_seconds <= ceiling_s * (1 + 1e-9):
        return None
    rest_s = math.fsum(one.estimate_seconds for one in others if one.state is JobState.planned)
    enough_s = math.ceil(spent_s + job.estimate_seconds + rest_s)
    resume = ledger.command(job.deployment, f"--resume --ceiling {enough_s}")
    text = (f"the ceiling of {ceiling_s:g} s is reached: {spent_s:.4g} s are charged or expected "
            f"for what was sent, and job {job.position}, which was not, needs "
            f"{job.estimate_seconds:.4g} s more: {resume} sends all that is left")  # fmt: skip
    if any(one.seconds and one.seconds_charged is None for one in others):
        text += (f" ({ledger.command(job.deployment, '--wait')} before it: charges may be less "
                 "than expected)")  # fmt: skip
    return text

"""`syndrift jobs`: what was sent to a quantum computer, how it stands, and its results."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scripts.options import add_report

if TYPE_CHECKING:
    from calib.runtime import Deployment, JobRow, Ledger, Progress, Service

DEFAULT_LEDGER = pathlib.Path("runs/jobs.sqlite")
_HERE = ("stim", "aer")  # services that run on this computer and charge nothing
_MUCH = 1.2  # times the estimate, which a charge beyond is warned of

EPILOG = """\
examples:
  syndrift jobs                     every deployment, and how its jobs stand
  syndrift jobs 3                   one of them, job by job
  syndrift jobs 3 --wait            wait for its results, fetch and decode them
  syndrift jobs 3 --fetch           the same with what is done by now
  syndrift jobs 3 --resume          send what was not sent: after a stop, a lost connection, a kill
  syndrift jobs 3 --resume --ceiling 120 --wait
  syndrift jobs 3 4 5 --wait        several, decoded together
  syndrift jobs 3 --cancel

The ledger is a file, runs/jobs.sqlite or --ledger FILE; `syndrift deploy --submit` writes it. A job
that was sent is never sent again: where the connection was lost the service is asked first. Results
stay in the ledger and can be decoded again, with other decoders, by --fetch.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("deployments", nargs="*", type=int, metavar="ID", help="their numbers")
    parser.add_argument("--ledger", type=pathlib.Path, default=DEFAULT_LEDGER, metavar="FILE",
                        help="the ledger's file (default: %(default)s)")  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--fetch", action="store_true", help="fetch and decode what is done")
    how.add_argument("--wait", action="store_true", help="the same, waiting until all is done")
    parser.add_argument("--resume", action="store_true", help="send what was not sent")
    parser.add_argument("--cancel", action="store_true", help="cancel what has not ended")
    parser.add_argument("--ceiling", type=float, metavar="SECONDS",
                        help="another ceiling of device time, with --resume")  # fmt: skip
    parser.add_argument("--decoder", action="append", metavar="NAME", dest="decoders",
                        help="a decoder for the results, several times for several")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR",
                        help="in which deployment-ID gets results (default: runs)")  # fmt: skip
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures out")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Does what was asked, prints how things stand; 1 if something stopped or failed."""
    acts = options.fetch or options.wait or options.resume or options.cancel
    _check(options, acts)
    from calib.runtime import Ledger

    with Ledger.open(options.ledger, "write" if acts else "read") as ledger:
        chosen = [ledger.deployment(number) for number in dict.fromkeys(options.deployments)]
        stopped = dict[int, str]()
        for one in chosen if acts else ():
            _say_if_idle(ledger, one, options)
            said = _act(ledger, one, options).stopped
            stopped |= {one.id: said} if said else {}
        chosen = [ledger.deployment(one.id) for one in chosen]  # with the ceiling of now
        decoded = None
        if options.fetch or options.wait:
            decoded = _decoded(ledger, chosen, options)
        _show(ledger, chosen, stopped, decoded, options)
        bad = {"failed", "lost", "partial"}
        wrong = any(job.state in bad for one in chosen for job in ledger.jobs(one.id))
        return 1 if acts and (stopped or wrong) else 0


def _check(options: argparse.Namespace, acts: bool) -> None:
    """What can be refused before the ledger is opened."""
    if acts and not options.deployments:
        from calib.runtime.ledger import jobs_command

        raise ValueError(f"which deployment? {jobs_command(options.ledger)} lists them, "
                         f"{jobs_command(options.ledger, 'ID', '--wait')} acts on one")  # fmt: skip
    if options.cancel and (options.resume or options.fetch or options.wait):
        raise ValueError("--cancel goes alone: fetch what was done in time afterwards")
    if options.ceiling is not None and not options.resume:
        raise ValueError("--ceiling is for --resume: it limits what is sent")
    for name in ("out", "decoders", "report"):
        if getattr(options, name) and not (options.fetch or options.wait):
            raise ValueError(f"--{name.removesuffix('s')} is for decoding: add --fetch or --wait")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out {options.out}: expected a folder, got a file")


def _say_if_idle(ledger: Ledger, deployment: Deployment, options: argparse.Namespace) -> None:
    """A word where nothing is to be sent, or to be cancelled."""
    jobs = ledger.jobs(deployment.id)
    to_send = any(job.state in ("planned", "sending") for job in jobs)
    said = ""
    if options.resume and not to_send:
        sent = all(job.service_job for job in jobs)
        why = "all jobs were sent" if sent else "what was not sent is cancelled"
        said = f"nothing to send: {why}"
    elif options.cancel and all(job.ended for job in jobs):
        said = "nothing to cancel: all have ended"
    if said:
        print(f"note: deployment {deployment.id}: {said}", file=sys.stderr)


def _act(ledger: Ledger, deployment: Deployment, options: argparse.Namespace) -> Progress:
    from calib.runtime import Runner

    runner = Runner(ledger, service_of(deployment))
    if options.cancel:
        return runner.cancel(deployment.id)
    try:
        if options.resume:
            if options.ceiling is not None:
                ledger.set_ceiling(deployment.id, options.ceiling)
            progress = runner.submit(deployment.id)
            if progress.stopped or not (options.fetch or options.wait):
                return progress
        return runner.advance(deployment.id, wait=options.wait)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Jobs that were sent go on; "
            f"{ledger.command(deployment.id, '--resume --wait')} does, too"
        ) from None


def service_of(deployment: Deployment) -> Service:
    """The service of a deployment, made anew: none is ever stored."""
    if deployment.service == "ibm":
        from calib.runtime import IbmService, accounts_file_warning

        warning = accounts_file_warning()
        if warning:
            print(f"warning: {warning}", file=sys.stderr)
        return IbmService()
    from decoders.deploy import services
    from decoders.deploy.config import DeployConfig

    return services.service_of(DeployConfig.model_validate(deployment.about["config"]))


def _decoded(
    ledger: Ledger, chosen: Sequence[Deployment], options: argparse.Namespace
) -> dict[str, Any] | None:
    """What decoding says of those whose jobs have all ended, some of them with results."""
    ready = []
    for one in chosen:
        jobs = ledger.jobs(one.id)
        if all(job.ended for job in jobs) and any(
            job.state in ("fetched", "partial") for job in jobs
        ):
            ready.append(one.id)
    if not ready:
        return None
    from scripts import deployment_results

    return deployment_results.decoded_together(
        ledger,
        ready,
        options.out,
        options.decoders or (),
        pictures=not options.no_pictures,
        report=options.report,
    )


# What is printed.


def _show(
    ledger: Ledger,
    chosen: Sequence[Deployment],
    stopped: Mapping[int, str],
    decoded: dict[str, Any] | None,
    options: argparse.Namespace,
) -> None:
    if options.json:
        shown = [_deployment_data(ledger, one) for one in chosen or ledger.deployments()]
        kept = decoded and {key: value for key, value in decoded.items() if key != "text"}
        print(json.dumps({"ledger": str(options.ledger), "deployments": shown,
                          "stopped": list(stopped.values()), "decoded": kept}))  # fmt: skip
    elif chosen:
        # What stopped says itself how to go on.
        advice = {one.id: "" if one.id in stopped else _advice(ledger, one) for one in chosen}
        print("\n\n".join(_jobs_text(ledger, one, advice[one.id]) for one in chosen))
        if decoded is not None:
            print(f"\n{decoded['text']}")
    else:
        print(_list_text(ledger))
    for one in chosen or ledger.deployments():
        said = _overcharge_text(ledger.jobs(one.id))
        if said:
            print(f"warning: deployment {one.id} {said}", file=sys.stderr)
    for text in dict.fromkeys(stopped.values()):
        print(f"stopped: {text}", file=sys.stderr)


def _list_text(ledger: Ledger) -> str:
    """All deployments, then what is wrong or to be done."""
    from scripts.table import aligned

    deployments = ledger.deployments()
    if not deployments:
        from calib.runtime.ledger import ledger_option

        deploy = f"syndrift deploy ... --submit {ledger_option(ledger.path)}".rstrip()
        return f"{ledger.path}: no deployments yet; `{deploy}` makes one"
    header = ("ID", "name", "service", "backend", "planned (UTC)", "jobs", "seconds")
    rows, notes = [], []
    for one in deployments:
        jobs = ledger.jobs(one.id)
        rows.append((str(one.id), one.name, one.service, one.backend,
                     f"{one.created:%Y-%m-%d %H:%M}", _states_text(jobs),
                     _seconds_text(one, jobs)))  # fmt: skip
        said = (_errors_text(jobs), _advice(ledger, one))
        notes += [f"{one.id}: {text}" for text in said if text]
    return "\n".join([aligned(header, rows), *notes])


def _jobs_text(ledger: Ledger, deployment: Deployment, advice: str) -> str:
    """One deployment, job by job."""
    from scripts.table import aligned

    jobs = ledger.jobs(deployment.id)
    ceiling = deployment.ceiling_seconds
    limit = "no ceiling" if ceiling is None else f"ceiling {ceiling:g} s"
    head = (f"deployment {deployment.id}, {deployment.name}: {deployment.service} on "
            f"{deployment.backend}, planned {deployment.created:%Y-%m-%d %H:%M} UTC; "
            f"{_states_text(jobs)}; {_seconds_text(deployment, jobs)}, {limit}")  # fmt: skip
    header = ("job", "state", "service's id", "circuits", "shots", "attempts", "seconds", "note")
    table = aligned(header, [
        (str(job.position), job.state, job.service_job or "-", str(job.circuits), f"{job.shots:,}",
         str(job.attempts), _job_seconds_text(deployment, job), _note(job))
        for job in jobs
    ])  # fmt: skip
    return "\n\n".join(filter(None, [head, table, advice]))


def _states_text(jobs: Sequence[JobRow]) -> str:
    from calib.runtime.progress import progress_of

    return str(progress_of(0, jobs))


def _seconds_text(deployment: Deployment, jobs: Sequence[JobRow]) -> str:
    if deployment.service in _HERE:
        done = all(job.ended for job in jobs)
        return "free" if done else f"free (a device: ~{deployment.estimate.seconds:.4g})"
    if all(job.seconds_charged is not None for job in jobs):
        return f"{sum(job.seconds for job in jobs):.4g} charged"
    return f"{sum(job.seconds for job in jobs):.4g} of about {deployment.estimate.seconds:.4g}"


def _job_seconds_text(deployment: Deployment, job: JobRow) -> str:
    if deployment.service in _HERE:
        return "free"
    if job.seconds_charged is not None:
        return f"{job.seconds_charged:.4g}"
    return f"~{job.estimate_seconds:.4g}"


def _overcharge_text(jobs: Sequence[JobRow]) -> str:
    """That more was charged than expected, of the jobs whose charge is known."""
    known = [job for job in jobs if job.seconds_charged]
    charged_s = sum(job.seconds for job in known)
    expected_s = sum(job.estimate_seconds for job in known)
    if not expected_s or charged_s <= _MUCH * expected_s:
        return ""
    many = "1 job" if len(known) == 1 else f"{len(known):,} jobs"
    return (f"was charged {charged_s:.4g} s for {many}, {charged_s / expected_s:.1f} times the "
            f"{expected_s:.4g} s that were estimated")  # fmt: skip


def _note(job: JobRow) -> str:
    changed = "the backend was calibrated meanwhile" if job.calibration_changed else ""
    return "; ".join(filter(None, [job.error, changed]))


def _errors_text(jobs: Sequence[JobRow]) -> str:
    wrong = [f"job {job.position} {job.state}: {job.error}" for job in jobs if job.error]
    more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return wrong[0] + more if wrong else ""


def _advice(ledger: Ledger, deployment: Deployment) -> str:
    """The next command, where there is something to do."""
    from calib.runtime.ceiling import beyond_ceiling
    from calib.runtime.order import AT_SERVICE
    from scripts.deployment_results import folder_of

    jobs = ledger.jobs(deployment.id)
    states = {job.state for job in jobs}
    not_sent = [job for job in jobs if job.state in ("planned", "sending")]
    if not_sent:
        first = not_sent[0]  # of one in `sending` the service is asked before the ceiling counts
        beyond = beyond_ceiling(ledger, first) if first.state == "planned" else None
        return beyond or f"{ledger.command(deployment.id, '--resume')} sends what was not sent"
    if states & set(AT_SERVICE):
        return f"{ledger.command(deployment.id, '--wait')} fetches the results and decodes them"
    if "fetched" in states and not (folder_of(ledger, deployment) / "results.json").exists():
        return f"{ledger.command(deployment.id, '--fetch')} decodes what was fetched"
    return ""


def _deployment_data(ledger: Ledger, deployment: Deployment) -> dict[str, Any]:
    jobs = ledger.jobs(deployment.id)
    return {
        "id": deployment.id,
        "name": deployment.name,
        "service": deployment.service,
        "backend": deployment.backend,
        "planned_utc": deployment.created.isoformat(),
        "seconds_estimated": deployment.estimate.seconds,
        "seconds_charged": sum(job.seconds_charged or 0.0 for job in jobs),
        "ceiling_seconds": deployment.ceiling_seconds,
        "jobs": [_job_data(job) for job in jobs],
    }


def _job_data(job: JobRow) -> dict[str, Any]:
    return {
        "job": job.position,
        "state": job.state,
        "tag": job.tag,
        "service_job": job.service_job,
        "circuits": job.circuits,
        "shots": job.shots,
        "attempts": job.attempts,
        "seconds_estimated": job.estimate_seconds,
        "seconds_charged": job.seconds_charged,
        "calibration_changed": job.calibration_changed,
        "error": job.error,
        "sent_utc": job.sent and job.sent.isoformat(),
        "ended_utc": job.ended and job.ended.isoformat(),
    }

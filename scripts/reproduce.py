"""`syndrift reproduce`: draws a run's shots again and holds the counts against each other."""

from __future__ import annotations

import argparse
import json
import pathlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from decoders.compare import CompareConfig
    from decoders.evaluate_config import EvaluateConfig
    from decoders.recount import Recount

EPILOG = """\
examples:
  syndrift reproduce runs/surface-1a2b3c4d
  syndrift reproduce runs/surface-1a2b3c4d --rows 20      only 20 rows, spread evenly

Every row of a run's counts.csv names its shots; they are drawn and decoded again, and every number
must be the same. Exit status 1 if one is not. Times are not compared, and neither are rare-event
estimates and fits, which `syndrift evaluate RUN/config.toml --out ELSEWHERE` computes again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("run", type=pathlib.Path, nargs="+", help="a run's folder, or several")
    parser.add_argument("--rows", type=int, help="count only so many rows again (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Recounts each run and says whether all is the same."""
    if options.rows is not None and options.rows < 1:
        raise ValueError(f"--rows must be at least 1, got {options.rows}")
    results = [_reproduce(run, options) for run in options.run]
    if options.json:
        print(json.dumps({"runs": results}))
    return 0 if all(result["same"] for result in results) else 1


def _reproduce(run: pathlib.Path, options: argparse.Namespace) -> dict[str, Any]:
    from scripts import run_folder
    from scripts.progress import progress_bar

    _refuse_deployment(run)
    manifest = run_folder.read_manifest(run)
    if manifest["verb"] not in ("evaluate", "compare"):
        raise ValueError(f"{run}: a run of `syndrift {manifest['verb']}` has no counts")
    if not (run / run_folder.COUNTS).is_file():
        raise ValueError(f"{run}: the run has no {run_folder.COUNTS} to count again")
    now = run_folder.versions()
    other = [
        f"{name} {then} then, {now.get(name, 'none')} now"
        for name, then in manifest["versions"].items()
        if name != "python" and now.get(name) != then
    ]
    with progress_bar("counting again") as on_progress:
        recounts = _recount(run, options.rows, manifest["verb"], on_progress)
    differing = [recount for recount in recounts if not recount.same]
    if not options.json:
        _say(run, recounts, [f"note: {line}" for line in other])
    return {
        "run": str(run),
        "same": bool(recounts) and not differing,
        "rows": len(recounts),
        "shots": sum(recount.row.shots for recount in recounts),
        "rows_that_differ": len(differing),
        "versions_that_differ": other,
    }


def _refuse_deployment(folder: pathlib.Path) -> None:
    """Raises ValueError for a deployment's results: what a device measured is not drawn again."""
    if not (folder / "results.json").is_file() or not any(folder.glob("state-*/metadata.json")):
        return
    from calib.runtime.ledger import USUAL, jobs_command

    # As `folder_of` names them: deployment-3 of jobs.sqlite, mine-deployment-3 of mine.sqlite.
    named = re.fullmatch(r"(?:(.+)-)?deployment-(\d+)", folder.resolve().name)
    ledger, number = (named[1] or "jobs", named[2]) if named else ("jobs", "ID")
    parent = folder.parent if folder.name not in ("", "..") else folder.resolve().parent
    beside = parent / f"{ledger}.sqlite"
    here = beside.is_file() or ledger != "jobs"
    command = jobs_command(beside if here else pathlib.Path(USUAL), number, "--fetch")
    raise ValueError(
        f"{folder}: a deployment, whose shots a device measured: they are not drawn again. "
        f"{command} decodes them again, from the ledger"
    )


def _recount(
    run: pathlib.Path, rows: int | None, verb: str, on_progress: Callable[[float], None]
) -> list[Recount]:
    from decoders.collect import CollectSettings
    from decoders.compare import prepare
    from decoders.evaluate import works_of
    from decoders.evaluate_config import EvaluateConfig
    from decoders.published_works import check_same_files
    from decoders.recount import recount
    from scripts import run_folder

    config = _config(run, verb)
    if isinstance(config, EvaluateConfig):
        works = [work for _, work in works_of(config)]
    else:
        works = [prepare(config).work]
    settings = CollectSettings(seed=config.seed, workers=1, custom_functions=config.custom_decoders)
    if config.data is not None:
        check_same_files(run / run_folder.COUNTS, works, config.seed)
    return recount(
        works,
        run / run_folder.COUNTS,
        settings,
        most_rows=rows,
        on_progress=on_progress,
    )


def _config(run: pathlib.Path, verb: str) -> EvaluateConfig | CompareConfig:
    """The run's config, with the copies of the user's files that the folder keeps."""
    from decoders.compare import CompareConfig
    from decoders.evaluate_config import EvaluateConfig
    from scripts import run_folder
    from scripts.config_file import load

    if verb == "evaluate":
        config = load(run / run_folder.CONFIG, EvaluateConfig)
        kept = run_folder.kept_inputs(run, config.circuits)
        return config.model_copy(update={"circuits": tuple(kept)})
    config = load(run / run_folder.CONFIG, CompareConfig)
    given = [key for key in ("circuit", "dem") if getattr(config, key) is not None]
    kept = run_folder.kept_inputs(run, [getattr(config, key) for key in given])
    return config.model_copy(update=dict(zip(given, kept, strict=True)))


def _say(run: pathlib.Path, recounts: Sequence[Recount], notes: Sequence[str]) -> None:
    differing = [recount for recount in recounts if not recount.same]
    for recount in differing:
        changed = {
            key: (recount.before.get(key, 0), recount.again.get(key, 0))
            for key in recount.before.keys() | recount.again.keys()
            if recount.before.get(key, 0) != recount.again.get(key, 0)
        }
        said = ", ".join(f"{key} {then} then, {now} now" for key, (then, now) in changed.items())
        print(f"{recount.row.decoder} {recount.row.json_metadata}: {said}")
    print(*notes, sep="\n", end="\n" if notes else "")
    shots = sum(recount.row.shots for recount in recounts)
    same = len(recounts) - len(differing)
    print(f"{run}: {same} of {len(recounts)} rows ({shots:,} shots) gave the same counts")
    if not recounts:
        print("the run has no finished row of its config")

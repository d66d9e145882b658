"""`syndrift evaluate`: logical error rates over a sweep, from a config file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING

from scripts.options import add_on, add_report, engine_on, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from decoders.evaluate import Row
    from decoders.evaluate_config import EvaluateConfig
    from decoders.timing import DecodeTimes

EPILOG = """\
examples:
  syndrift evaluate configs/surface_smoke.toml
  syndrift evaluate configs/surface.toml --set noise.p=[0.003,0.005] --set stop.max_shots=1000000
  syndrift evaluate configs/surface.toml --on ray://head:10001      on a Ray cluster
  syndrift evaluate configs/surface.toml --set decoders=[\\"tesseract\\"] --set code.distance=3

The same command goes on where it was stopped, also after a kill. Every row of counts.csv (sinter's
own format) names its shots; shot n of a circuit under a seed is always the same shot, so that
`syndrift reproduce RUN` can count them again. The keys of a config stand in docs/evaluate.md.
codes:  repetition, rotated-surface, unrotated-surface, xzzx-surface, color, heavy-hex,
        heavy-hex-native, bivariate-bicycle, or `circuits = ["my.stim"]` for your own; recorded
        shots with [data]
noise:  depolarizing, si1000, biased, phenomenological, code-capacity, heterogeneous
"""

_MAY_CHANGE = ("stop", "workers", "confidence", "title", "threshold", "time_decoders", "rare")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=pathlib.Path, help="a .toml file, see configs/")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="override one key, e.g. noise.p=0.005 (repeatable)")  # fmt: skip
    parser.add_argument("--seed", type=int, help="override the config's seed")
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--no-pictures", action="store_true", help="write tables only")
    add_on(parser)
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Evaluates, prints the table, draws the pictures."""
    from decoders.evaluate import evaluate
    from decoders.rare_sweep import with_estimates
    from scripts import run_folder
    from scripts.progress import progress_bar
    from scripts.sweep_results import RARE, TIMES, SweepResults

    config = _config(options)
    usual = run_folder.default_folder(options.config.stem, config, may_change=_MAY_CHANGE)
    folder = options.out or usual

    def begin() -> None:
        run_folder.open_run(
            folder,
            "evaluate",
            config,
            may_change=_MAY_CHANGE,
            inputs=config.circuits,
            decoders=(*config.decoders, *config.custom_decoders),
        )

    counts = folder / run_folder.COUNTS
    if options.on and config.data is not None:
        raise ValueError("recorded shots are decoded on this computer: leave --on out")
    with run_folder.resumable(folder):
        with engine_on(options, "evaluate") as engine, progress_bar("collecting shots") as bar:
            rows = evaluate(config, counts, engine=engine, on_checked=begin, on_progress=bar)
        with progress_bar("rare events") as on_progress:
            rows = with_estimates(config, rows, folder / RARE, on_progress=on_progress)
        results = SweepResults(config, rows, _times(config, rows, folder / TIMES), folder)
        results.write()
        pictures = [] if options.no_pictures else results.draw()
    if options.json:
        print(json.dumps({**results.as_json(), "pictures": [str(path) for path in pictures]}))
    else:
        print(results.as_text())
        for path in pictures:
            print(f"  {path}")
    write_report(folder, options)
    return 0


def _config(options: argparse.Namespace) -> EvaluateConfig:
    """The recipe, with what the options say in place of its own."""
    from decoders.evaluate_config import EvaluateConfig
    from scripts.config_file import load

    seed = [] if options.seed is None else [f"seed={options.seed}"]
    return load(options.config, EvaluateConfig, [*options.overrides, *seed])


def _times(
    config: EvaluateConfig, rows: Sequence[Row], cache: pathlib.Path
) -> dict[int, DecodeTimes]:
    """Single-shot decode times by the row's index; those that `cache` (JSON) holds stay."""
    from decoders.evaluate import time_row
    from decoders.timing import DecodeTimes
    from scripts.progress import progress_bar

    if not config.time_decoders:
        return {}
    known = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    keys = {
        k: json.dumps([row.point.source, row.point.metadata(), row.decoder])
        for k, row in enumerate(rows)
        if not row.is_published
    }
    missing = {key: rows[k] for k, key in keys.items() if key not in known}
    with progress_bar("timing single shots") as on_progress:
        for done, (key, row) in enumerate(missing.items()):
            on_progress(done / len(missing))
            known[key] = dataclasses.asdict(time_row(config, row))
    if missing:
        cache.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return {k: DecodeTimes(**known[key]) for k, key in keys.items()}

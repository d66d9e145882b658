"""`syndrift budget`: which mechanism of noise costs how much of the logical error rate."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any

from scripts.compare import whole
from scripts.options import add_code, add_report, code_table, write_report

if TYPE_CHECKING:
    from decoders.error_budget import Budget, Estimate, Line, WhatIf

EPILOG = """\
examples:
  syndrift budget --code rotated-surface --distance 5 --noise si1000 --p 0.003
  syndrift budget my.stim --decoder pymatching-correlated --shots 1e6 --seed 1
  syndrift budget predicted-0.stim --by place --what-ifs 3

`elasticity` is d ln LER / d ln p: with 1 % less of a mechanism, so many per cent of the logical
error rate go. `if halved` and `if perfect` are what of it would be left with half of the
mechanism's rates, or without it, on the same shots, decoded by one that knows. `detection` is the
elasticity of the mean detection rate, a closed form. Intervals are of 95 %.

Noise is of the operation it comes after, readout of the flips before it, waiting what is left; a
tag in your own circuit names it instead, as in DEPOLARIZE1[laser](0.001) 3. With --by place there
is a line for each qubit and coupling.
"""

# What a run may be made again with: it is made anew, and not gone on with.
_MAY_CHANGE = ("shots", "what_ifs", "most_failures")
RESULT, CSV = "budget.json", "budget.csv"
_SHOWN = 24  # lines of the table; all are in the CSV file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    source = parser.add_argument_group("whose budget")
    source.add_argument("circuit", nargs="?", type=pathlib.Path, help="your own .stim file")
    add_code(source)
    parser.add_argument("--decoder", default="pymatching", help="default: %(default)s")
    parser.add_argument("--by", default="kind", metavar="kind|place",
                        help="a line each kind, or each place (default: %(default)s)")  # fmt: skip
    parser.add_argument("--what-ifs", type=int, default=8, metavar="LINES",
                        help="halve and mend so many (default: %(default)s)")  # fmt: skip
    parser.add_argument("--shots", type=whole, default=100_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Makes the budget and prints it."""
    from decoders.baselines import resolve_decoder
    from decoders.error_budget import error_budget
    from decoders.error_budget_config import BudgetConfig
    from scripts import run_folder, table
    from scripts.config_file import validate
    from scripts.progress import progress_bar

    config = validate(_table(options), BudgetConfig, source="syndrift budget",
                      overrides=options.overrides)  # fmt: skip
    decoder = resolve_decoder(config.decoder)
    point = config.point()
    folder = options.out or run_folder.default_folder(f"budget-{pathlib.Path(point.code).stem}",
                                                      config, may_change=_MAY_CHANGE)  # fmt: skip

    def begin() -> None:
        inputs = [config.circuit] if config.circuit else []
        run_folder.open_run(folder, "budget", config, may_change=_MAY_CHANGE, inputs=inputs,
                            decoders=(config.decoder,))  # fmt: skip

    with progress_bar("decoding") as show:
        budget = error_budget(point.circuit, decoder, config, seed=config.seed,
                              on_checked=begin, on_progress=show)  # fmt: skip
    found = {
        **budget_json(budget), "decoder": config.decoder, "by": config.by, "seed": config.seed,
        "source": point.source, "distance": point.distance, "rounds": point.rounds,
        "noise": dict(point.noise), "run": str(folder),
    }  # fmt: skip
    (folder / RESULT).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    table.write_csv(folder / CSV, [_row(line) for line in budget.lines])
    print(json.dumps(found) if options.json else _text(budget, config.decoder, folder, config.seed))
    write_report(folder, options)
    return 0


def budget_json(budget: Budget) -> dict[str, Any]:
    """A budget as JSON; the names are a promise to the outside."""
    return json.loads(json.dumps(_plain(dataclasses.asdict(budget))))


def _plain(value: Any) -> Any:
    """Estimates as [value, low, high], what is no number as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if hasattr(value, "_asdict") and not isinstance(value[0], float):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and value != value else value


def _row(line: Line) -> dict[str, Any]:
    """A line of the CSV file."""
    row: dict[str, Any] = {"mechanism": line.name, "places": line.places, "rate": line.rate,
                           "faults": line.faults, "detection": line.detection}  # fmt: skip
    estimates: dict[str, Estimate | None] = {
        "elasticity": line.elasticity,
        "share": line.share,
        "cost": line.cost,
    }
    for name, what_if in (("halved", line.halved), ("perfect", line.perfect)):
        estimates[f"{name}_ler"] = what_if and what_if.ler
        estimates[f"{name}_ratio"] = what_if and what_if.ratio
    for name, one in estimates.items():
        for end, value in zip(("", "_low", "_high"), one or (None, None, None), strict=True):
            row[name + end] = value
    return row


def _text(budget: Budget, decoder: str, folder: pathlib.Path, seed: int) -> str:
    """What is printed."""
    from scripts.table import aligned, rate

    header = ["mechanism", "channels", "mean rate", "elasticity", "share", "detection",
              "if halved", "if perfect"]  # fmt: skip
    rows = [
        [line.name, f"{line.places:,}", rate(line.rate), _interval(line.elasticity),
         f"{100 * line.share.value:.1f} %", f"{line.detection:.3f}",
         _left(line.halved), _left(line.perfect)]
        for line in budget.lines[:_SHOWN]
    ]  # fmt: skip
    more = len(budget.lines) - len(rows)
    low, high = rate(budget.ler.low), rate(budget.ler.high)
    said = [
        f"LER a shot {rate(budget.ler.value)} [{low}, {high}] with {decoder}, {budget.errors:,} of "
        f"{budget.shots:,} shots; {budget.looked_at:,} failing ones looked into\n",
        aligned(header, rows),
        *([f"and {more:,} more in {CSV}"] if more > 0 else []),
        "",
        meaning(budget.total),
        *(f"note: {note}" for note in budget.notes),
        f"\nseed {seed}; budget and config in {folder}",
    ]
    return "\n".join(said)


def meaning(total: Estimate) -> str:
    """What the sum of all elasticities says."""
    return (
        f"All together {_interval(total)}: with 1 % less of all noise, so many per cent of the "
        "logical error rate go.\nWhere noise is low that is the least number of errors that a "
        "failure takes, (d + 1) / 2 at distance d."
    )


def _interval(one: Estimate) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _left(what_if: WhatIf | None) -> str:
    """What is left of the rate."""
    return f"x {_interval(what_if.ratio)}" if what_if else ""


def _table(options: argparse.Namespace) -> dict[str, Any]:
    names = ("decoder", "by", "what_ifs", "shots", "seed")
    return {**code_table(options), **{name: getattr(options, name) for name in names}}

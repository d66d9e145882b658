"""`syndrift steer --over`: the same run at several values of one key, each in its own folder."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from scripts.config_file import apply_override, read_table, read_value, validate
from scripts.options import write_report
from scripts.steering_over_tables import (
    Axis,
    Outcome,
    Single,
    as_json,
    axis_of,
    outcomes,
    rows,
    seeds_text,
    table,
)

VERB = "steer --over"
_EXAMPLE = "environment.memory.distance=3,5,7"
_CLOSES = {"[": "]", "{": "}", '"': '"', "'": "'"}


class SweepConfig(BaseModel):
    """What a sweep's folder is of; more values, or more seeds, are still the same sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    over: str = Field(description="the key that is swept")
    values: tuple[str, ...] = Field(description="its values, as they were written")
    seeds: int = Field(description="runs at each value, with the seeds SEED, SEED + 1, ...")
    recipe: dict[str, Any] = Field(description="all that the runs have in common")
    unbound: dict[str, Any] = Field(description="of the recipe, what a run may be gone on with")


def run_over(options: argparse.Namespace) -> int:
    """Makes every run that is not finished, prints what all were worth, and draws it."""
    from scripts import run_folder

    sweep = _sweep_config(options)
    may_change = ("values", "seeds", "unbound")
    usual = run_folder.default_folder(
        f"{options.config.stem}-over-{sweep.over}", sweep, may_change=may_change
    )
    folder = options.out or usual
    runs = list(_runs(sweep, options.config, folder))
    run_folder.open_run(folder, VERB, sweep, may_change=may_change)
    with run_folder.resumable(folder):
        for one in runs:
            _run(one, sweep)
    axis, found = axis_of(sweep.over, runs), outcomes(runs)
    result = _written(axis, runs, found, folder)
    if not options.no_pictures:
        from scripts.report.steering_over_pictures import draw_over

        draw_over(axis, runs, found, folder)
    if options.json:
        print(json.dumps(result))
    else:
        print(_summary(axis, runs, found))
        seeds = seeds_text([run.config.seed for run in runs])
        what = "tables" if options.no_pictures else "tables and pictures"
        print(f"\n{seeds}; simulated; {what} in {folder}")
    write_report(folder, options)
    return 0


def _sweep_config(options: argparse.Namespace) -> SweepConfig:
    """The options checked against each other, and the recipe with what --set says."""
    from scripts.steered_run import MAY_CHANGE

    key, values = parse_over(options.over)
    if options.seeds is not None and options.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {options.seeds}")
    if key == "seed" and options.seeds is not None:
        raise ValueError("--over seed and --seeds both repeat a run: give one of them")
    seed = [] if options.seed is None else [f"seed={options.seed}"]
    given = [*options.overrides, *seed]
    for one in given:
        if f"{one.partition('=')[0].strip()}.".startswith(f"{key}."):
            wanted = "--seed" if one in seed else f"--set {one}"
            raise ValueError(f"{wanted} and --over {key}: give one of them")
    if key in MAY_CHANGE:
        raise ValueError(f"--over {key}: that changes nothing of what is steered, only what stands "
                         "beside it")  # fmt: skip
    recipe = read_table(options.config)
    for one in given:
        apply_override(recipe, one)
    unbound = {name: recipe.pop(name) for name in MAY_CHANGE if name in recipe}
    return SweepConfig(over=key, values=values, seeds=options.seeds or 1, recipe=recipe,
                       unbound=unbound)  # fmt: skip


def parse_over(given: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The key and its values of the one KEY=V1,V2,...; ValueError in one line."""
    if len(given) > 1:
        raise ValueError(f"--over sweeps one key, got {len(given)}: {' and '.join(given)}")
    key, equals, text = given[0].partition("=")
    key, values = key.strip(), [one.strip() for one in split_values(text)]
    if not equals or not all(key.split(".")) or not any(values):
        raise ValueError(f"--over takes KEY=V1,V2,... such as {_EXAMPLE}, got {given[0]!r}")
    if not all(values):
        raise ValueError(f"--over {given[0]}: value {values.index('') + 1} of {len(values)} is "
                         "empty")  # fmt: skip
    if len(values) < 2:
        raise ValueError(f"--over takes two values or more, got one: --set {key}={values[0]} "
                         "steers with it alone")  # fmt: skip
    read = [(isinstance(one, bool), one) for one in map(read_value, values)]  # as True == 1
    for number, value in enumerate(values):
        if read[number] in read[:number]:
            raise ValueError(f"--over {given[0]}: {value} stands there twice")
    return key, tuple(values)


def split_values(text: str) -> list[str]:
    """At the commas that stand in no brackets and no quotes."""
    parts, waits = [""], [""]
    for sign in text:
        if sign == "," and len(waits) == 1:
            parts.append("")
            continue
        parts[-1] += sign
        if sign == waits[-1]:
            waits.pop()
        elif sign in _CLOSES and waits[-1] not in ("'", '"'):
            waits.append(_CLOSES[sign])
    return parts


def _runs(sweep: SweepConfig, source: pathlib.Path, folder: pathlib.Path) -> Iterator[Single]:
    """Each value with each seed, all of them checked."""
    from envs.agents.steerers.course import SteerConfig
    from scripts.steered_run import check_environment

    for value in sweep.values:
        setting = f"{sweep.over}={value}"
        recipe = copy.deepcopy(sweep.recipe | sweep.unbound)
        apply_override(recipe, setting, "--over")
        words = f"{source}, with --over {setting}"
        first = validate(recipe, SteerConfig, source=words)
        check_environment(words, first)
        for seed in range(first.seed, first.seed + sweep.seeds):
            config = validate(recipe | {"seed": seed}, SteerConfig, source=words)
            yield Single(value, config, folder / _folder_name(sweep.over, value, seed))


def _folder_name(key: str, value: str, seed: int) -> str:
    """A value that is no file's name stands there by its hash, so that no two share a folder."""
    name = re.sub(r"[^\w.-]+", "-", value).strip("-.")
    if name != value or len(value) > 40:
        name = f"{name[:24]}-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    return f"{key.split('.')[-1]}-{name}-seed-{seed}"


def _run(one: Single, sweep: SweepConfig) -> None:
    from scripts.steered_run import is_finished, open_steered, steered

    open_steered(one.config, one.folder)
    if not is_finished(one.folder):
        words = f"{sweep.over.split('.')[-1]} {one.value}, seed {one.config.seed}: "
        steered(one.config, one.folder, words)


def _written(
    axis: Axis, runs: Sequence[Single], found: Sequence[Outcome], folder: pathlib.Path
) -> dict[str, Any]:
    """over.csv and over.json, which is what --json prints."""
    from scripts.table import write_csv

    write_csv(folder / "over.csv", rows(axis, found))
    result = {
        "title": runs[0].config.title, "over": axis.key, "at": axis.label,
        "seeds": list(dict.fromkeys(run.config.seed for run in runs)), "simulated": True,
        "rows": [as_json(axis, one) for one in found],
        "runs": [str(run.folder) for run in runs], "run": str(folder),
    }  # fmt: skip
    (folder / "over.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _summary(axis: Axis, runs: Sequence[Single], found: Sequence[Outcome]) -> str:
    config, several = runs[0].config, len(found[0].seeds) > 1
    lines = [f"{config.title}, over {axis.key}\n", table(axis, found), "",
             "score: 0 untouched, 1 the hidden optimum, of the last three quarters of a run",
             "epochs to 95 %: until the settings held had won that share of what could be won at "
             "the first epoch" + "; median [least, most] of the seeds" * several]  # fmt: skip
    if config.ler:
        lines.append("LER: of all candidates that are tried beside the untouched; interval of the "
                     "counts of all seeds together")  # fmt: skip
    return "\n".join(lines)

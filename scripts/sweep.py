"""`syndrift sweep`: one recipe over seeds, distances, noise, architectures: a folder a run."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scripts.options import add_on, add_overrides

if TYPE_CHECKING:
    from scripts.sweep_plan import Run, SweepConfig
    from scripts.sweep_runners import Ended, Runner, Task

EPILOG = """\
examples:
  syndrift sweep configs/sweep_decoders_smoke.toml              two networks, two seeds, in seconds
  syndrift sweep configs/sweep_decoders.toml --out runs/widths  the same command goes on
  syndrift sweep configs/sweep_decoders.toml --set over.seed=[1,2,3,4,5]      two seeds more
  syndrift sweep configs/sweep_decoders.toml --jobs 2           two at once, each on its share
  syndrift sweep configs/sweep_decoders.toml --on ray://head:10001 --cpus-per-run 4

Every run is checked before the first begins. Each has a folder of its own, named after its
settings: `syndrift report SWEEP/RUN` shows it. What is finished is not run again, what was stopped
or killed goes on, a run that fails stops no other. sweep.csv holds a row a run, seeds.csv the
means over seeds with Student's 95 % intervals. The keys of a sweep stand in docs/sweep.md.
verbs: evaluate, train, train-agent, steer, calibrate
"""

MAY_CHANGE = ("title", "over", "also", "table")
TABLE, SEEDS, SUMMARY = "sweep.csv", "seeds.csv", "sweep.json"
# What a verb calls the number of its processes or threads, where it would take all cores.
_SHARE = {"evaluate": "workers", "train": "threads"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=pathlib.Path, help="a .toml file, see docs/sweep.md")
    add_overrides(parser, "over.seed=[1,2,3] or recipe.noise.p=0.004")
    parser.add_argument("--seed", type=int, help="of the recipe, where no seeds are varied")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="runs at once (default: 1; on Ray all there is room for)")  # fmt: skip
    add_on(parser)
    parser.add_argument("--cpus-per-run", type=int, default=1, metavar="N",
                        help="with --on: cores of each run (default: %(default)s)")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, help="the sweep's folder")
    parser.add_argument("--no-pictures", action="store_true", help="the runs leave theirs out")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Makes every run that is not finished, prints the table; 1 if any failed."""
    from scripts import run_folder, sweep_plan

    for name, value in (("--jobs", options.jobs), ("--cpus-per-run", options.cpus_per_run)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    config = sweep_plan.load_sweep(options.config, options.overrides, options.seed)
    usual = run_folder.default_folder(options.config.stem, config, may_change=MAY_CHANGE)
    folder = options.out or usual
    runs = sweep_plan.plan(config, options.config, folder)
    run_folder.open_run(folder, "sweep", config, may_change=MAY_CHANGE)
    with run_folder.alone(folder):
        failed = Sweep(config, folder, runs, options).make()
        result = _written(config, folder, runs, failed)
    print(json.dumps(result) if options.json else _summary(config, folder, runs, failed))
    return 1 if failed else 0


class Sweep:
    """The runs of a sweep under way: which are to be made, how long they took, what failed."""

    def __init__(
        self, config: SweepConfig, folder: pathlib.Path, runs: Sequence[Run],
        options: argparse.Namespace,
    ) -> None:  # fmt: skip
        self._config, self._folder, self._options = config, folder, options
        self._all = len(runs)
        self._runs = {run.name: run for run in runs if not run.is_finished}
        self._seconds = read_seconds(folder)
        self._took: list[float] = []
        self._room = 1
        self._slots = options.jobs or (len(self._runs) if options.on else 1)
        self.failed: dict[str, str] = {}

    def make(self) -> dict[str, str]:
        """Makes what is not finished; what failed by name, and why."""
        from scripts.sweep_runners import runner_on

        done = self._all - len(self._runs)
        if done:
            _say(f"{done} of {self._all} runs were finished before")
        if self._runs:
            self._prepare()
            cpus = self._options.cpus_per_run
            with runner_on(self._options.on, jobs=self._slots, cpus_per_run=cpus) as runner:
                self._room = runner.room
                if not self._room:
                    _say(f"no node has {cpus} cores now: the runs wait until one comes")
                try:
                    self._drive(runner)
                except KeyboardInterrupt:
                    _say("stopping the runs under way (Ctrl-C again kills them)")
                    runner.stop()
                    finished = self._all - len(self._runs) + len(self._took) - len(self.failed)
                    raise KeyboardInterrupt(
                        f"{finished} of {self._all} runs are finished in {self._folder}; "
                        "the same command goes on from there."
                    ) from None
                except BaseException:
                    runner.stop()
                    raise
        return self.failed

    def _prepare(self) -> None:
        """The recipe as a file, and the folders in which the runs' files may stand from the start.

        A verb's own folder must be new or its own, so that its log stands beside it.
        """
        import tomli_w

        from scripts.sweep_plan import LOGS, RECIPE

        (self._folder / RECIPE).write_text(tomli_w.dumps(self._config.recipe), encoding="utf-8")
        (self._folder / LOGS).mkdir(exist_ok=True)
        if self._config.verb == "calibrate":
            (self._folder / _HISTORIES).mkdir(exist_ok=True)

    def _drive(self, runner: Runner) -> None:
        waiting, under_way = list(self._runs.values()), 0
        while waiting or under_way:
            while waiting and under_way < self._slots:
                runner.start(self._task(waiting.pop(0)))
                under_way += 1
            ended = runner.wait()
            under_way -= 1
            self._end(ended)

    def _task(self, run: Run) -> Task:
        from scripts.sweep_plan import LOGS, RECIPE, as_overrides
        from scripts.sweep_runners import Task

        # On a cluster a node's working folder is its own.
        folder = self._folder.resolve() if self._options.on else self._folder
        threads = self._threads()
        given = as_overrides(run.settings) + self._share(run, threads)
        words = [self._config.verb, str(folder / RECIPE)]
        words += [word for one in given for word in ("--set", one)]
        words += ["--out", str(folder / run.name), "--json"]
        words += ["--no-pictures"] * self._options.no_pictures
        if self._config.verb == "calibrate":  # two runs in one history would be one device
            words += ["--history", str(folder / _HISTORIES / f"{run.name}.sqlite")]
        logs = folder.resolve() / LOGS
        return Task(run.name, tuple(words), logs / f"{run.name}.json", logs / f"{run.name}.txt",
                    pathlib.Path.cwd(), threads)  # fmt: skip

    def _threads(self) -> int | None:
        """The cores of each run; None: all."""
        if self._options.on:
            return self._options.cpus_per_run
        return max((os.cpu_count() or 1) // self._slots, 1) if self._slots > 1 else None

    def _share(self, run: Run, threads: int | None) -> list[str]:
        """The verb's own key for its share of the cores, unless the recipe says it."""
        key = _SHARE.get(self._config.verb)
        if threads is None or key is None or key in self._config.recipe or key in run.settings:
            return []
        return [f"{key}={threads}"]

    def _end(self, ended: Ended) -> None:
        """Keeps the result of a run, or why there is none; says how it went."""
        run = self._runs[ended.name]
        self._took.append(ended.seconds)
        self._seconds[run.name] = self._seconds.get(run.name, 0.0) + ended.seconds
        _write_whole(self._folder / _SECONDS, self._seconds)
        why = _keep(run, ended, self._folder)
        if why:
            self.failed[run.name] = why
        verdict = f"failed: {why}" if why else f"{ended.seconds:.1f} s"
        count = self._all - len(self._runs) + len(self._took)
        _say(f"[{count}/{self._all}] {run.words}: {verdict}{self._left()}")

    def _left(self) -> str:
        """What is left at the pace so far."""
        runs = len(self._runs) - len(self._took)
        if not runs:
            return ""
        at_once = max(min(self._slots, self._room, len(self._runs)), 1)
        seconds = sum(self._took) / len(self._took) * runs / at_once
        return f"; about {_duration(seconds)} left"


_SECONDS, _HISTORIES = "seconds.json", "histories"


def _keep(run: Run, ended: Ended, folder: pathlib.Path) -> str:
    """Puts what a run printed into its folder; else why that is not a result.

    A verb that came to its end with figures that it is not content with has status 1 and its JSON
    (`calibrate`, where a gate is not in tolerance): that is a result.
    """
    from scripts.sweep_plan import LOGS, RESULT

    printed = folder / LOGS / f"{run.name}.json"
    if ended.status in (0, 1) and run.folder.is_dir() and _is_object(printed):
        printed.replace(run.folder / RESULT)
        return ""
    printed.unlink(missing_ok=True)
    log = folder / LOGS / f"{run.name}.txt"
    said = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    last = next((line for line in reversed(said) if line.strip()), "it said nothing")
    status = "its node was lost" if ended.status is None else f"exit status {ended.status}"
    return f"{last.removeprefix('syndrift: error: ').strip()} ({status}, {log})"


def _is_object(path: pathlib.Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def read_seconds(folder: pathlib.Path) -> dict[str, float]:
    """How long each run took, in all sessions that came to an end."""
    path = folder / _SECONDS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write_whole(path: pathlib.Path, values: Any) -> None:
    """A file that is there is whole, also after a kill."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _written(
    config: SweepConfig, folder: pathlib.Path, runs: Sequence[Run], failed: dict[str, str]
) -> dict[str, Any]:
    """sweep.csv, seeds.csv and sweep.json, which is what --json prints."""
    from scripts import sweep_table
    from scripts.table import write_csv

    seconds = read_seconds(folder)
    found = sweep_table.lines(config, runs, seconds)
    means = sweep_table.over_seeds(config, found)
    write_csv(folder / TABLE, sweep_table.csv_rows(found))
    if means:
        write_csv(folder / SEEDS, sweep_table.seed_csv_rows(means))
    result = {
        "title": config.title, "verb": config.verb, "axes": list(config.axes),
        "runs": [{"name": run.name, "settings": dict(run.settings), "folder": str(run.folder),
                  "finished": run.name not in failed, "seconds": seconds.get(run.name)}
                 for run in runs],
        "rows": [{"run": line.run, "settings": dict(line.settings), "part": dict(line.part),
                  "figures": dict(line.figures)} for line in found],
        "over_seeds": [sweep_table.seeds_json(one) for one in means],
        "failed": failed, "run": str(folder),
    }  # fmt: skip
    _write_whole(folder / SUMMARY, result)
    return result


def _summary(
    config: SweepConfig, folder: pathlib.Path, runs: Sequence[Run], failed: dict[str, str]
) -> str:
    """Both tables, what failed, and where it is."""
    from scripts import sweep_table

    found = sweep_table.lines(config, runs, read_seconds(folder))
    parts = [config.title]
    if found:
        parts.append(sweep_table.runs_text(found))
    if means := sweep_table.over_seeds(config, found):
        parts.append("Over seeds, mean ± half of Student's 95 % interval:\n"
                     + sweep_table.seeds_text(means))  # fmt: skip
    if failed:
        parts.append("\n".join(_failures(runs, failed)))
    done = len(runs) - len(failed)
    parts.append(f"{done} of {len(runs)} runs are finished; all of it is in {folder}")
    return "\n\n".join(parts)


def _failures(runs: Sequence[Run], failed: dict[str, str]) -> Iterator[str]:
    yield f"{len(failed)} of {len(runs)} runs failed; the same command tries them again:"
    for run in runs:
        if run.name in failed:
            yield f"  {run.words}: {failed[run.name]}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)

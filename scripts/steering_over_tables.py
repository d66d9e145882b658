"""What steered runs at several values of one key were worth: means, intervals, rows, the table."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import pathlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoders.student import half_width
from scripts.config_file import read_value

if TYPE_CHECKING:
    from envs.agents.steerers.course import SteerConfig

WON = 0.95  # of what could be won at the first epoch
_NOTHING = 1e-9  # of all detections
_SPAN = 5  # values that span more are drawn over their logarithm

Floats = NDArray[np.float64]


class Single(NamedTuple):
    """One run of a sweep: the key's value as it was written, the whole recipe, its folder."""

    value: str
    config: SteerConfig
    folder: pathlib.Path


class Mean(NamedTuple):
    """Over seeds, with its 95 % interval by Student where there are several."""

    value: float
    interval: tuple[float, float] | None
    each: tuple[float, ...]


class Reached(NamedTuple):
    """Epochs until `WON` was won, of each seed; None is never."""

    each: tuple[int | None, ...]

    @property
    def ordered(self) -> tuple[float, float, float]:
        """The least, the median and the most; infinite where never."""
        epochs = [math.inf if one is None else float(one) for one in self.each]
        return min(epochs), statistics.median(epochs), max(epochs)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one steerer at one value, of all seeds together.

    `tried`, `held` are scores of all candidates, and of the settings held best; None where nothing
    could be won, as `reached` where that was so at the first epoch. `lowered` is by which share
    the LER of what is tried is below that of the untouched, with its interval. `share` [E] is what
    the settings held have won at each epoch, the mean over seeds.
    """

    value: str
    steerer: str
    title: str
    seeds: tuple[int, ...]
    tried: Mean | None
    held: Mean | None
    reached: Reached | None
    seconds: float | None
    lowered: tuple[float, float, float] | None
    share: Floats | None


@dataclasses.dataclass(frozen=True)
class Axis:
    """The swept key: what it is called, and where each of its values stands."""

    key: str
    label: str
    at: Mapping[str, float]  # by the value as it was written
    is_number: bool
    is_converted: bool

    @property
    def name(self) -> str:
        """The last word of the key."""
        return self.key.split(".")[-1]

    @property
    def is_log(self) -> bool:
        """Whether the values span so much that they are drawn over their logarithm."""
        return self.is_number and spans_much(list(self.at.values()))


_LABELS = {
    "environment.memory.distance": "code distance",
    "environment.memory.rounds": "rounds",
    "environment.memory.noise.p": "error probability p",
    "environment.plant.parameters": "controls a gate",
    "environment.plant.start_off": "how far off all begin (units)",
    "environment.epoch_s": "an epoch (s)",
    "environment.cycles": "cycles a candidate and epoch",
    "candidates": "candidates an epoch",
    "steerer.kind": "who steers",
}


def spans_much(values: Sequence[float]) -> bool:
    """Positive, and more than a factor of five from the least to the most."""
    return min(values) > 0 and max(values) / min(values) > _SPAN


def axis_of(key: str, runs: Sequence[Single]) -> Axis:
    """Periods of a drift stand in epochs; what are no numbers stand side by side."""
    epochs_s = {run.value: run.config.environment.epoch_s for run in runs}
    parsed = {value: read_value(value) for value in epochs_s}
    if not all(_is_number(one) for one in parsed.values()):
        places = {value: float(place) for place, value in enumerate(parsed)}
        return Axis(key, _LABELS.get(key, key), places, False, False)
    at = {value: float(one) for value, one in parsed.items()}
    if not key.startswith("environment.drift.") or not key.endswith(".period_s"):
        return Axis(key, _LABELS.get(key, key), at, True, False)
    at = {value: one / epochs_s[value] for value, one in at.items()}
    return Axis(key, "drift period (epochs)", at, True, True)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def share_won(expected: Floats) -> Floats | None:
    """What the settings held have won of what could be won at the first epoch, [E] of [E, 4].

    1 − (N held − N best) / (N untouched − N best at the first epoch): 1 at the optimum, and 0 at
    first if it begins untouched; None where nothing could be won then. `expected` is in the order
    of EXPECTED.
    """
    _, held, untouched, best = np.asarray(expected).T
    to_win = float(untouched[0] - best[0])
    if to_win < _NOTHING * float(best[0]):
        return None
    return 1 - (held - best) / to_win


def epochs_until_won(share: Floats) -> int | None:
    """The first epoch at which `WON` is reached; None where it never is."""
    (epochs,) = np.nonzero(share >= WON)
    return int(epochs[0]) if len(epochs) else None


def mean_of(values: Sequence[float | None]) -> Mean | None:
    """The mean of those that are known."""
    known = tuple(one for one in values if one is not None)
    if not known:
        return None
    mean = statistics.fmean(known)
    if len(known) < 2:
        return Mean(mean, None, known)
    half = half_width(known)
    return Mean(mean, (mean - half, mean + half), known)


def lowered(ours: tuple[int, int], untouched: tuple[int, int]) -> tuple[float, float, float] | None:
    """1 − the ratio of two rates of (errors, shots), and its 95 % interval by Katz.

    None where either had no error, which leaves the ratio without an interval.
    """
    from scipy.stats.contingency import relative_risk

    if not ours[0] or not untouched[0]:
        return None
    found = relative_risk(*ours, *untouched)
    low, high = found.confidence_interval(0.95)
    return 1 - float(found.relative_risk), 1 - float(high), 1 - float(low)


def outcomes(runs: Sequence[Single]) -> list[Outcome]:
    """One for each value and steerer, from the runs' folders alone."""
    by_value: dict[str, list[Single]] = {}
    for run in runs:
        by_value.setdefault(run.value, []).append(run)
    return [one for own in by_value.values() for one in _outcomes_at(own)]


def _outcomes_at(runs: Sequence[Single]) -> Iterator[Outcome]:
    """Those of one value, the same recipe but for its seed."""
    from scripts.run_folder import SECONDS
    from scripts.steered_run import RESULT

    results = [_json(run.folder / RESULT)["steerers"] for run in runs]
    times = [_json(run.folder / SECONDS) for run in runs]
    courses = [_expected(run.folder) for run in runs]
    for name in results[0]:
        shares = [share_won(course[name]) for course in courses]
        known = [share for share in shares if share is not None]
        found = [result[name] for result in results]
        yield Outcome(
            value=runs[0].value,
            steerer=name,
            title=_title(name, runs[0].config),
            seeds=tuple(run.config.seed for run in runs),
            tried=mean_of([one["score_exploring"] for one in found]),
            held=mean_of([one["score_steered"] for one in found]),
            reached=Reached(tuple(map(epochs_until_won, known))) if known else None,
            seconds=_seconds([one[name] for one in times]),
            lowered=_lowered([one["ler"] for one in found]),
            share=np.mean(known, axis=0) if known else None,
        )


def _title(name: str, config: SteerConfig) -> str:
    """A rival's name, the steerer's kind: unless a rival has that for its name."""
    kind = config.steerer.kind
    return kind if name == "steerer" and kind not in config.rivals else name


def _json(path: pathlib.Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _expected(folder: pathlib.Path) -> dict[str, Floats]:
    """Detections a cycle of each steerer, [E, 4] in the order of EXPECTED."""
    from envs.agents.steerers.judge import EXPECTED
    from scripts.steered_run import EPOCHS

    found: dict[str, list[list[float]]] = {}
    with (folder / EPOCHS).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["steerer"], []).append([float(row[who]) for who in EXPECTED])
    return {name: np.array(rows) for name, rows in found.items()}


def _seconds(times: Sequence[Mapping[str, float]]) -> float | None:
    epochs = sum(one["epochs"] for one in times)
    return sum(one["seconds"] for one in times) / epochs if epochs else None


def _lowered(lers: Sequence[Mapping[str, Any]]) -> tuple[float, float, float] | None:
    if not all(lers):
        return None
    ours, untouched = ((sum(one[who]["errors"] for one in lers),
                        sum(one[who]["shots"] for one in lers))
                       for who in ("exploring", "untouched"))  # fmt: skip
    return lowered(ours, untouched)


# --- what is printed and written ---


def table(axis: Axis, found: Sequence[Outcome]) -> str:
    """A line for each value and steerer."""
    from scripts.table import aligned, seconds

    several = len(found[0].seeds) > 1
    header = [axis.name, *([axis.label] if axis.is_converted else []), "steerer", "score exploring",
              *(["95 % interval"] if several else []), "score steered", "epochs to 95 %",
              "seconds an epoch", "LER lowered by", "95 % interval"]  # fmt: skip
    lines: list[list[str]] = []
    for one in found:
        low, high = (one.tried.interval if one.tried else None) or (None, None)
        interval = "-" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
        lines.append([
            one.value, *([f"{axis.at[one.value]:g}"] if axis.is_converted else []), one.title,
            _score(one.tried), *([interval] if several else []), _score(one.held),
            reached_text(one.reached), "-" if one.seconds is None else seconds(one.seconds),
            *_lowered_cells(one.lowered),
        ])  # fmt: skip
    if all(one.lowered is None for one in found):
        header, lines = header[:-2], [line[:-2] for line in lines]
    return aligned(header, lines)


def _score(mean: Mean | None) -> str:
    return "-" if mean is None else f"{mean.value:.3f}"


def epochs_text(epochs: float) -> str:
    """A number of epochs, or never."""
    return "never" if math.isinf(epochs) else f"{epochs:g}"


def reached_text(reached: Reached | None) -> str:
    """The median over seeds, and the least and the most."""
    if reached is None:
        return "-"
    least, median, most = map(epochs_text, reached.ordered)
    if len(reached.each) < 2 or least == "never":
        return median
    return f"{median} [{least}, {most}]"


def _lowered_cells(found: tuple[float, float, float] | None) -> list[str]:
    if found is None:
        return ["-", "-"]
    value, low, high = (100 * one for one in found)
    return [f"{value:.1f} %", f"[{low:.1f}, {high:.1f}] %"]


def rows(axis: Axis, found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One flat row for each value and steerer; what is not known is empty, `never` is said."""
    return [
        {"over": axis.key, "value": one.value, "at": axis.at[one.value], "steerer": one.steerer,
         "kind": one.title, "seeds": len(one.seeds), **_mean_cells("score_exploring", one.tried),
         **_mean_cells("score_steered", one.held), **_reached_cells(one.reached),
         "seconds_an_epoch": one.seconds,
         **dict(zip(("ler_lowered_by", "ler_lowered_by_low", "ler_lowered_by_high"),
                    one.lowered or (None, None, None), strict=True))}
        for one in found
    ]  # fmt: skip


def _mean_cells(name: str, mean: Mean | None) -> dict[str, float | None]:
    low, high = (mean.interval if mean else None) or (None, None)
    return {name: mean.value if mean else None, f"{name}_low": low, f"{name}_high": high}


def _reached_cells(reached: Reached | None) -> dict[str, str | None]:
    texts = map(epochs_text, reached.ordered) if reached else (None, None, None)
    least, median, most = texts
    return {"epochs_to_95": median, "epochs_to_95_least": least, "epochs_to_95_most": most}


def as_json(axis: Axis, one: Outcome) -> dict[str, Any]:
    """One outcome as JSON; `each` in the order of the seeds, null for never."""
    median = one.reached.ordered[1] if one.reached else math.inf
    low_high = list(one.lowered[1:]) if one.lowered else None
    return {
        "value": read_value(one.value), "at": axis.at[one.value], "steerer": one.steerer,
        "kind": one.title, "score_exploring": _mean_json(one.tried),
        "score_steered": _mean_json(one.held),
        "epochs_to_95": {"median": None if math.isinf(median) else median,
                         "each": list(one.reached.each)} if one.reached else None,
        "seconds_an_epoch": one.seconds,
        "ler_lowered_by": {"value": one.lowered[0], "interval": low_high} if one.lowered else None,
    }  # fmt: skip


def _mean_json(mean: Mean | None) -> dict[str, Any] | None:
    return mean and {"mean": mean.value, "interval": mean.interval, "each": list(mean.each)}


def seeds_text(seeds: Sequence[int]) -> str:
    """The seeds of each value, in words."""
    low, high = min(seeds), max(seeds)
    if low == high:
        return f"seed {low}"
    return f"seeds {low} {'and' if high == low + 1 else 'to'} {high}"


def share_rows(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One row for each value, steerer and epoch, with the share won by then."""
    return [{"value": one.value, "steerer": one.steerer, "epoch": epoch, "share": float(share)}
            for one in found if one.share is not None
            for epoch, share in enumerate(one.share)]  # fmt: skip

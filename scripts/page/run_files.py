"""What a run's folder holds, finished or not: its config, its JSON and its counts, as rows."""

from __future__ import annotations

import collections
import csv
import dataclasses
import functools
import json
import operator
import pathlib
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scripts.run_folder import CONFIG, COUNTS

if TYPE_CHECKING:
    import sinter

    from decoders.evaluate import Row
    from decoders.points import Point
    from decoders.rare import RareEstimate
    from decoders.timing import DecodeTimes

# What the metadata of counts.csv says beside the noise.
_SHORT = {"code": "code", "d": "distance", "r": "rounds", "b": "basis", "experiment": "experiment"}
_NOT_NOISE = {*_SHORT, "seed", "sha256", "odd_model"}
CONFIDENCE = 0.95

# A result, the counts beside it and the confidence, as rows.
_Rows = Callable[[Mapping[str, Any], Sequence["sinter.TaskStats"], float], list["Row"]]


@dataclasses.dataclass(frozen=True)
class Counted:
    """The rows of a sweep or of a comparison as the folder has them, with the times known.

    A row's point knows no more of its circuit than the number of observables; its `source` is the
    name of a recorded experiment. `result` is what the run wrote at its end, None before that.
    """

    rows: list[Row]
    times: dict[int, DecodeTimes]
    seed: int
    confidence: float
    result: dict[str, Any] | None

    @property
    def percent(self) -> str:
        """The confidence of every interval, in words."""
        return f"{round(100 * self.confidence, 3):g} %"


def read_json(path: pathlib.Path) -> Any:
    """What the file says; None where there is none, or one that is being written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """The run's config; nothing where there is none."""
    try:
        return tomllib.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def read_table(path: pathlib.Path) -> list[dict[str, str]]:
    """The rows of a CSV file that are whole."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, ValueError):
        return []
    whole = [line for line in lines if line.endswith("\n")]
    return [row for row in csv.DictReader(whole) if None not in row.values()]


def evaluated(folder: pathlib.Path) -> Counted:
    """The rows of a sweep: those of its end, or those counted since."""
    return _counted(folder, "results.json", _described_rows)


def compared(folder: pathlib.Path) -> Counted:
    """The rows of a comparison, one for each decoder."""
    return _counted(folder, "comparison.json", _named_rows)


def _counted(folder: pathlib.Path, name: str, rows_of_result: _Rows) -> Counted:
    config = read_config(folder)
    confidence = config.get("confidence", CONFIDENCE)
    seed = config.get("seed", 1)
    stats = read_counts(folder / COUNTS)
    result = read_json(folder / name)
    if result is not None:
        rows = rows_of_result(result, stats, confidence)
        # More counts than the result has: the run was begun again, and goes on.
        decoded = sum(row.shots for row in rows)
        if not stats or decoded >= sum(one.shots * _seats(one) for one in stats):
            return Counted(rows, _times(result), seed, confidence, result)
    rows = _in_order(_rows_of_counts(stats, confidence), config.get("decoders", []))
    return Counted(rows, {}, seed, confidence, None)


def _seats(stats: sinter.TaskStats) -> int:
    return len(stats.decoder.split("|"))


def read_counts(path: pathlib.Path) -> list[sinter.TaskStats]:
    """The sums of a counts file by task, without a last line that is not whole."""
    from decoders.counts_file import read_rows

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    with tempfile.TemporaryDirectory() as scratch:
        whole = pathlib.Path(scratch) / path.name
        whole.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
        try:
            rows = read_rows(whole)
        except ValueError:
            return []
    by_task: dict[str, list[sinter.TaskStats]] = collections.defaultdict(list)
    for row in rows:
        by_task[row.strong_id].append(row)
    return [functools.reduce(operator.add, same) for same in by_task.values()]


def _rows_of_counts(stats: Sequence[sinter.TaskStats], confidence: float) -> list[Row]:
    """What was counted so far."""
    from decoders.evaluate import rows_of

    return [
        row
        for one in stats
        for row in rows_of(_point_of(one), one.decoder.split("|"), one, confidence=confidence)
    ]


def _in_order(rows: Sequence[Row], decoders: Sequence[str]) -> list[Row]:
    """Rows by their points, decoders in the config's order: workers finish as it happens."""
    seats = {name: seat for seat, name in enumerate(decoders)}

    def place(row: Row) -> list[tuple[bool, Any]]:
        at = row.point
        values = (at.basis, at.p, at.distance, at.rounds, seats.get(row.decoder))
        return [(value is not None, value) for value in values]

    return sorted(rows, key=place)


def _point_of(stats: sinter.TaskStats) -> Point:
    said = stats.json_metadata
    noise = {key: value for key, value in said.items() if key not in _NOT_NOISE}
    named = {name: said.get(key) for key, name in _SHORT.items()}
    return _point({**named, "noise": noise}, _observables(stats))


def _observables(stats: sinter.TaskStats) -> int:
    """How many a shot has: those of the code; of another circuit those that have erred."""
    from decoders.codes import memory_circuit

    said = stats.json_metadata
    if said.get("d") and "experiment" not in said:
        try:
            return memory_circuit(said["code"], distance=said["d"], rounds=said["r"],
                                  basis=said["b"]).num_observables  # fmt: skip
        except ValueError:
            pass
    numbers = [int(key.split("][")[1][:-1]) for key in stats.custom_counts
               if key.startswith("observable_errors[")]  # fmt: skip
    return max(numbers, default=0) + 1


def _point(named: Mapping[str, Any], observables: int) -> Point:
    """A point by its names in results.json; those that are not there are not known."""
    import stim

    from decoders.points import Point

    return Point(
        circuit=stim.Circuit("".join(f"OBSERVABLE_INCLUDE({k})\n" for k in range(observables))),
        source=named.get("experiment") or "",
        code=named.get("code") or "",
        distance=named.get("distance"),
        rounds=named.get("rounds"),
        basis=named.get("basis"),
        noise=named.get("noise") or {},
    )


def _described_rows(
    result: Mapping[str, Any], stats: Sequence[sinter.TaskStats], confidence: float
) -> list[Row]:
    """The rows of results.json."""
    rows = []
    for one in result["rows"]:
        point = _point(one, len(one["ler_by_observable"]) or 1)
        rows.append(_row(point, one["decoder"], one, confidence, _estimate(one.get("estimate"))))
    return rows


def _named_rows(
    result: Mapping[str, Any], stats: Sequence[sinter.TaskStats], confidence: float
) -> list[Row]:
    """The rows of comparison.json, which does not say of what: the counts do."""
    points = [_point_of(one) for one in stats]
    known = points[0] if len(points) == 1 else None
    rows = []
    for name, one in result["decoders"].items():
        point = known or _point({}, len(one["ler_by_observable"]) or 1)
        rows.append(_row(point, name, one, confidence, None))
    return rows


def _row(
    point: Point,
    decoder: str,
    one: Mapping[str, Any],
    confidence: float,
    estimate: RareEstimate | None,
) -> Row:
    from decoders.evaluate import Row

    return Row(
        point=point,
        decoder=decoder,
        shots=one["shots"],
        errors=one["errors"],
        declined=one["declined"],
        seconds_per_shot=one["seconds_per_shot"] or 0.0,
        observable_errors=tuple(round(x * one["shots"]) for x in one["ler_by_observable"]),
        confidence=confidence,
        estimate=estimate,
    )


def _estimate(values: Mapping[str, Any] | None) -> RareEstimate | None:
    from decoders.rare import RareEstimate

    if values is None:
        return None
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return RareEstimate(**{**values, **lists, "steps": ()})


def _times(result: Mapping[str, Any]) -> dict[int, DecodeTimes]:
    from decoders.timing import DecodeTimes

    rows: Iterable[Mapping[str, Any]] = result.get("rows", ())
    return {k: DecodeTimes(**row["times"]) for k, row in enumerate(rows) if "times" in row}

"""A sweep's table: each run's figures beside its settings, and their means over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from decoders.student import half_width
from scripts.sweep_plan import Run, SweepConfig, plain


class Line(NamedTuple):
    """One row: the run's settings, which of its parts this is, the figures; seconds if known."""

    run: str
    settings: Mapping[str, Any]
    part: Mapping[str, Any]
    figures: Mapping[str, Any]
    seconds: float | None


class Mean(NamedTuple):
    """A figure over seeds, with its 95 % interval by Student where there are several."""

    value: float
    interval: tuple[float, float] | None


class OverSeeds(NamedTuple):
    """The runs that differ in nothing but their seeds."""

    settings: Mapping[str, Any]
    part: Mapping[str, Any]
    seeds: int
    means: Mapping[str, Mean | None]


def lines(config: SweepConfig, runs: Sequence[Run], seconds: Mapping[str, float]) -> list[Line]:
    """The rows of all runs that are finished; one that is not is left out."""
    found = []
    for run in runs:
        if run.is_finished:
            settings = {key: run.settings.get(key, _own(config, key)) for key in config.axes}
            found += [Line(run.name, settings, part, figures, seconds.get(run.name))
                      for part, figures in entries(config, run.result())]  # fmt: skip
    return found


def _own(config: SweepConfig, key: str) -> Any:
    """What the recipe says where a combination says nothing."""
    return found if (found := _at(config.recipe, key)) is not None else ""


# --- what each verb's JSON gives ---

Entry = tuple[dict[str, Any], dict[str, Any]]


def entries(config: SweepConfig, result: Mapping[str, Any]) -> list[Entry]:
    """A run's rows: which of its parts, and the figures that the sweep's table asks for."""
    parts = _PARTS.get(config.verb, _whole)(result)
    columns = config.table.columns
    if not columns:
        usual = _USUAL[config.verb]
        return [(part, usual(content)) for part, content in parts]
    return [(part, {name: value_at(content, path) for name, path in columns.items()})
            for part, content in parts]  # fmt: skip


def value_at(content: Any, path: str) -> Any:
    """What stands at a dotted path, or the ratio of two; None where there is nothing.

    >>> value_at({"judgements": [{"errors": 8}, {"errors": 6}]}, "judgements.-1.errors")
    6
    >>> value_at({"ours": 3, "theirs": 4}, "ours / theirs")
    0.75
    """
    above, ratio, below = path.partition(" / ")
    if not ratio:
        return _at(content, path.strip())
    ours, theirs = _at(content, above.strip()), _at(content, below.strip())
    return ours / theirs if _is_number(ours) and _is_number(theirs) and theirs else None


def _at(content: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(content, Mapping):
            content = content.get(part)
        elif isinstance(content, list | tuple) and part.lstrip("-").isdecimal():
            index = int(part)
            content = content[index] if -len(content) <= index < len(content) else None
        else:
            return None
    return content


def _whole(result: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    yield {}, result


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Of `evaluate`: each row is a part."""
    from scripts.report.rows import noise_text

    for row in result["rows"]:
        noise = row["noise"]
        named = {name: row.get(name) for name in ("experiment", "code", "distance", "rounds",
                                                  "basis")}  # fmt: skip
        named |= {"noise": noise_text(noise), "p": noise.get("p"), "decoder": row["decoder"]}
        yield {name: value for name, value in named.items() if value not in (None, "")}, row


def _steerers(result: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Of `steer`: the steerer, and each rival."""
    for name, found in result["steerers"].items():
        yield {"steerer": name}, found


_PARTS: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[dict[str, Any], Any]]]] = {
    "evaluate": _rows, "steer": _steerers,
}  # fmt: skip


def _evaluate(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("shots", "errors", "declined", "ler", "interval",
                                         "ler_per_round", "seconds_per_shot")}  # fmt: skip


def _train(result: Mapping[str, Any]) -> dict[str, Any]:
    """The last judgement; the ratio is to the last rival, which is the better matching."""
    from decoders.neural.training import OURS, RIVALS

    last = "judgements.-1"
    rates = {name: value_at(result, f"{last}.errors.{name} / {last}.shots")
             for name in (*RIVALS, OURS)}  # fmt: skip
    ratio = value_at(result, f"{last}.errors.{OURS} / {last}.errors.{RIVALS[-1]}")
    return {"examples": result["examples"], "held-out shots": _at(result, f"{last}.shots"),
            **rates, f"{OURS} by {RIVALS[-1]}": ratio}  # fmt: skip


def _train_agent(result: Mapping[str, Any]) -> dict[str, Any]:
    """The agent's last judgement; not every environment tells who is calibrated."""
    final = result["final"]
    return {
        "steps": result["steps"], "devices": final["devices"], "mean_return": final["mean_return"],
        "interval": final["return_interval"],
        "calibrated_share": value_at(final, "calibrated / devices"),
        "median_ratio": final.get("median_ratio"),
    }  # fmt: skip


def _steer(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"score_exploring": found["score_exploring"], "score_steered": found["score_steered"],
            "detections_a_cycle": _at(found, "detections_a_cycle.exploring"),
            "ler": _at(found, "ler.exploring.ler"), "halted": found["halted"]}  # fmt: skip


def _calibrate(result: Mapping[str, Any]) -> dict[str, Any]:
    """The gate that is worst beside what coherence allows, and what it all cost."""
    worst = max(result["gates"], key=lambda gate: gate["ratio"])
    return {"worst_ratio": worst["ratio"],
            "at": " ".join([worst["gate"], *(f"q{qubit}" for qubit in worst["qubits"])]),
            "infidelity": worst["infidelity"], "not_in_tolerance": len(result["not_in_tolerance"]),
            "experiments": result["experiments"], "shots": result["shots"],
            "device_time_s": result["device_time_s"]}  # fmt: skip


_USUAL: dict[str, Callable[[Any], dict[str, Any]]] = {
    "evaluate": _evaluate, "train": _train, "train-agent": _train_agent, "steer": _steer,
    "calibrate": _calibrate,
}  # fmt: skip


# --- over seeds ---


def seed_axes(config: SweepConfig) -> tuple[str, ...]:
    """The keys that only repeat a run: `seed`, and what ends in it, such as `device.seed`."""
    return tuple(key for key in config.axes if key.split(".")[-1] == "seed")


def over_seeds(config: SweepConfig, found: Sequence[Line]) -> list[OverSeeds]:
    """Means of the numbers among the figures; none where no seed is varied.

    A figure that some of the runs do not have has no mean.
    """
    seeds = seed_axes(config)
    if not seeds:
        return []
    groups: dict[str, list[Line]] = {}
    for line in found:
        others = {key: value for key, value in line.settings.items() if key not in seeds}
        groups.setdefault(plain([others, dict(line.part)]), []).append(line)
    return [_mean_of(group, seeds) for group in groups.values()]


def _mean_of(group: Sequence[Line], seeds: Sequence[str]) -> OverSeeds:
    first = group[0]
    settings = {key: value for key, value in first.settings.items() if key not in seeds}
    names = [name for name in first.figures
             if any(_is_number(line.figures.get(name)) for line in group)]  # fmt: skip
    means = {name: _mean([line.figures.get(name) for line in group]) for name in names}
    return OverSeeds(settings, first.part, len(group), means)


def _mean(values: Sequence[Any]) -> Mean | None:
    numbers = [float(value) for value in values if _is_number(value)]
    if len(numbers) < len(values):
        return None
    middle = statistics.fmean(numbers)
    if len(numbers) < 2:
        return Mean(middle, None)
    half = half_width(numbers)
    return Mean(middle, (middle - half, middle + half))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- as CSV, as JSON, for the terminal ---


def csv_rows(found: Sequence[Line]) -> list[dict[str, Any]]:
    """One row a line; a pair becomes two columns, `_low` and `_high`."""
    rows = []
    for line in found:
        row = {key: _cell(value) for key, value in {**line.settings, **line.part}.items()}
        for name, value in line.figures.items():
            if isinstance(value, list) and len(value) == 2:
                row |= {f"{name}_low": value[0], f"{name}_high": value[1]}
            else:
                row[name] = _cell(value)
        rows.append({**row, "seconds": _cell(line.seconds), "run": line.run})
    return _filled(rows)


def seed_csv_rows(means: Sequence[OverSeeds]) -> list[dict[str, Any]]:
    """One row a combination: each figure's mean, and both ends of its interval."""
    rows = []
    for one in means:
        row = {key: _cell(value) for key, value in {**one.settings, **one.part}.items()}
        row["seeds"] = one.seeds
        for name, mean in one.means.items():
            low, high = (mean and mean.interval) or ("", "")
            row |= {name: mean.value if mean else "", f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return _filled(rows)


def _filled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same columns in all rows."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, "") for name in names} for row in rows]


def _cell(value: Any) -> Any:
    return "" if value is None else value if _is_number(value) else plain(value)


def seeds_json(one: OverSeeds) -> dict[str, Any]:
    """A combination's means as JSON."""
    means = {name: mean and {"mean": mean.value, "interval": mean.interval and list(mean.interval)}
             for name, mean in one.means.items()}  # fmt: skip
    return {"settings": dict(one.settings), "part": dict(one.part), "seeds": one.seeds,
            "figures": means}  # fmt: skip


def runs_text(found: Sequence[Line]) -> str:
    """The table of all runs."""
    rows = [({**line.settings, **line.part},
             {name: _figure(value) for name, value in line.figures.items()}
             | {"seconds": _figure(line.seconds)}) for line in found]  # fmt: skip
    return _table(rows)


def seeds_text(means: Sequence[OverSeeds]) -> str:
    """The table of means, each with half of its interval."""
    rows = [({**one.settings, **one.part},
             {"seeds": str(one.seeds), **{name: _mean_text(mean) for name, mean
                                          in one.means.items()}}) for one in means]  # fmt: skip
    return _table(rows)


def _table(rows: Sequence[tuple[dict[str, Any], dict[str, str]]]) -> str:
    """What is the same in all rows stands above: settings, and figures that count something."""
    from scripts.table import aligned

    texts = [{name: plain(value) for name, value in key.items()} | figures for key, figures in rows]
    names = dict.fromkeys([*(name for key, _ in rows for name in key),
                           *(name for _, figures in rows for name in figures)])  # fmt: skip
    columns = {name: [text.get(name, "-") for text in texts] for name in names}
    for name in [name for name in columns if _is_said(name, columns)]:
        del columns[name]
    keys = {name for key, _ in rows for name in key}
    same = [name for name, cells in columns.items() if len(rows) > 1 and len(set(cells)) == 1
            and (name in keys or cells[0].replace(",", "").isdecimal())]  # fmt: skip
    above = ", ".join(f"{name} {columns.pop(name)[0]}" for name in same)
    if not columns:
        return above
    text = aligned(list(columns), zip(*columns.values(), strict=True))
    return f"{above}\n\n{text}" if above else text


def _is_said(name: str, columns: Mapping[str, Sequence[str]]) -> bool:
    """Whether a setting says the same: `noise.p` what `p` does."""
    return any(other.endswith(f".{name}") and cells == columns[name]
               for other, cells in columns.items())  # fmt: skip


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return "[" + ", ".join(map(_figure, value)) + "]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if _is_number(value) else plain(value)


def _mean_text(mean: Mean | None) -> str:
    if mean is None:
        return "-"
    if mean.interval is None:
        return f"{mean.value:.4g}"
    half = mean.interval[1] - mean.value
    if not half:
        return _figure(int(mean.value) if mean.value.is_integer() else mean.value)
    return f"{mean.value:.4g} ± {half:.2g}"

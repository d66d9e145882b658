"""The report of `syndrift train-agent`: how an agent came along on devices it does not train on."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.page.figures import Axis, Chart, Curve, Line, Section, Table
from scripts.page.run_files import read_config, read_json

_RESULT, _LAST = "training.json", pathlib.Path("last") / "checkpoint.json"

Judged = Sequence[Mapping[str, Any]]


def title(folder: pathlib.Path) -> str:
    """The heading: the recipe's own title."""
    return read_config(folder).get("title") or "An agent that calibrates"


def sections(folder: pathlib.Path) -> list[Section]:
    """How good it is, how it came to be, and every judgement."""
    result = read_json(folder / _RESULT)
    judged = _judged(folder, result)
    if not judged:
        return [Section("Not judged yet", ["The training has not come to its first judgement."])]
    seed = read_config(folder).get("seed", 1)
    origin = (f"Each judgement on the same {judged[-1]['devices']:,} devices that are never "
              f"trained on; 95 % intervals; seed {seed}.")  # fmt: skip
    return [
        Section("How good it is", [_words(result, judged)], _charts(judged, origin)),
        Section("All judgements", figures=[_table(judged, origin)]),
    ]


def _judged(folder: pathlib.Path, result: Mapping[str, Any] | None) -> Judged:
    """From the run's end, or from the checkpoint with which it goes on, whichever has more."""
    last = (read_json(folder / _LAST) or {}).get("record", {}).get("evaluations", [])
    return max((result or {}).get("evaluations", []), last, key=len)


def _words(result: Mapping[str, Any] | None, judged: Judged) -> str:
    """The judgement on new devices at the end; before that, how far it came."""
    if result is None or len(result["evaluations"]) < len(judged):
        return (f"The training is under way, or was stopped: after {judged[-1]['steps']:,} steps "
                f"the mean return is {_mean(judged[-1])}.")  # fmt: skip
    final, best = result["final"], result["best"]
    said = (f"The best agent, found after {best['steps']:,} of {result['steps']:,} steps, was "
            f"judged again on {final['devices']:,} devices that did not choose it: its mean "
            f"return is {_mean(final)}")  # fmt: skip
    if final["calibrated_interval"]:
        said += f", and it brings {_share(final)} of them within 1.2 of their coherence limit"
    return f"{said}."


def _mean(one: Mapping[str, Any]) -> str:
    low, high = one["return_interval"]
    return f"{one['mean_return']:.4g} [{low:.4g}, {high:.4g}]"


def _share(one: Mapping[str, Any]) -> str:
    low, high = (100 * end for end in one["calibrated_interval"])
    return f"{100 * one['calibrated'] / one['devices']:.1f} % [{low:.1f}, {high:.1f}]"


def _charts(judged: Judged, origin: str) -> list[Chart]:
    steps = Axis("steps of training", low=0.0)
    charts = [Chart("Return", f"The band is the interval. {origin}", steps, Axis("mean return"),
                    [_curve("mean return", judged, "mean_return", "return_interval")])]  # fmt: skip
    limited = [one for one in judged if one["calibrated_interval"]]
    if limited:
        shares = [{**one, "share": one["calibrated"] / one["devices"]} for one in limited]
        charts += [
            Chart("Devices within 1.2 of their coherence limit", origin, steps,
                  Axis("share of devices", format="percent", low=0.0, high=1.0),
                  [_curve("calibrated", shares, "share", "calibrated_interval")]),
            Chart("Infidelity over the coherence limit",
                  f"The median device, by the worst of its gates. {origin}", steps,
                  Axis("ratio", "log"), [_curve("median", limited, "median_ratio",
                                                "median_interval")],
                  lines=[Line("y", 1.2, "calibrated")]),
        ]  # fmt: skip
    return charts


def _curve(name: str, rows: Judged, value: str, interval: str) -> Curve:
    low, high = zip(*(one[interval] for one in rows), strict=True)
    return Curve(name, [one["steps"] for one in rows], [one[value] for one in rows], low, high)


def _table(judged: Judged, origin: str) -> Table:
    limited = any(one["calibrated_interval"] for one in judged)
    head = ["steps", "mean return", "steps an episode"]
    head += ["within 1.2 of the limit", "median ratio"] if limited else []
    rows = []
    for one in judged:
        row = [f"{one['steps']:,}", _mean(one), f"{one['mean_episode_steps']:.3g}"]
        if limited:
            row += [_share(one), f"{one['median_ratio']:.4g}"]
        rows.append(row)
    return Table("Judgements", origin, head, rows)

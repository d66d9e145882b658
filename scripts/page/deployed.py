"""The report of a deployment: logical error rates, the chip, detectors, and what they share."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from scripts.page.chip import chip_section
from scripts.page.correlations import correlations_section
from scripts.page.detectors import detectors_in, detectors_section
from scripts.page.figures import Axis, Bars, Section, Table
from scripts.table import rate

_RESULTS = "results.json"
_SERVICES = {
    "stim": "The shots were sampled here, by stim, from the noise that the backend reports and "
            "predictions take: they try out the way, not the device.",
    "aer": "The shots were simulated here, by Qiskit Aer, with the noise that the backend reports: "
           "they try out the way, not the device.",
    "ibm": "The shots are the device's.",
}  # fmt: skip


def title(folder: pathlib.Path) -> str:
    """The heading."""
    results = _read(folder)
    return f"{results['name']} on {results['backend']}"


def sections(folder: pathlib.Path) -> list[Section]:
    """What was decoded, where it ran, how its detectors fired, and which of them together."""
    results = _read(folder)
    detectors = detectors_in(folder, results)
    return [
        _rates(results),
        chip_section(folder, detectors, results["placement"]),
        detectors_section(detectors),
        correlations_section(folder, detectors),
    ]


def _read(folder: pathlib.Path) -> dict[str, Any]:
    """The results; ValueError where there are none."""
    try:
        return json.loads((folder / _RESULTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} has no {_RESULTS}: fetch and decode the deployment with "
                         "`syndrift jobs N --fetch`") from None  # fmt: skip


def _rates(results: Mapping[str, Any]) -> Section:
    return Section(
        "Logical error rates",
        [_what(results), *filter(None, (_lowest(results), _as_predicted(results)))],
        [_bars(results), _table(results)],
    )


def _what(results: Mapping[str, Any]) -> str:
    """What ran where."""
    shots = ", ".join(f"{count:,} of state {name}" for name, count in results["shots"].items())
    rounds = f"{results['rounds']} round{'' if results['rounds'] == 1 else 's'}"
    when = (results["calibrated"] or "")[:10] or "an unknown day"
    return (f"{results['name']}, {rounds} in the {results['basis']} basis, on "
            f"qubits {' '.join(map(str, results['placement']))} of {results['backend']} with its "
            f"properties of {when}; shots: {shots}. "
            f"{_SERVICES.get(results['service'], '')}").strip()  # fmt: skip


def _lowest(results: Mapping[str, Any]) -> str:
    """Which decoder errs least; intervals say whether shots can tell."""
    scores = results["decoders"]
    if not scores:
        return "No decoder was tried."
    least = min(one["errors"] / one["shots"] for one in scores.values())
    names = [name for name, one in scores.items() if one["errors"] / one["shots"] == least]
    one = scores[names[0]]
    low, high = one["interval"]
    return (f"The lowest logical error rate is {rate(one['ler'])} a shot (95 %: {rate(low)} to "
            f"{rate(high)}), {one['errors']:,} errors in {one['shots']:,} shots, with "
            f"{', '.join(names)}.")  # fmt: skip


def _as_predicted(results: Mapping[str, Any]) -> str:
    told = {name: one for name, one in results["decoders"].items() if one["expected"]}
    if not told:
        return "Nothing was predicted of these decoders."
    off = [
        f"{name} fails {'less' if one['ler'] < one['expected'][0] else 'more'} often"
        for name, one in told.items() if not one["as_predicted"]
    ]  # fmt: skip
    untold = [name for name in results["decoders"] if name not in told]
    more = f" Nothing was predicted of {', '.join(untold)}." if untold else ""
    if not off:
        return f"All that was predicted lies where 95 % of such runs do.{more}"
    return f"Not as predicted, by where 95 % of such runs lie: {'; '.join(off)}.{more}"


def _bars(results: Mapping[str, Any]) -> Bars:
    names, values, low, high, parts = [], [], [], [], []
    for name, one in results["decoders"].items():
        found = [(name, one["ler"], one["interval"], "measured")]
        if one["expected"]:
            found.append((f"{name}, predicted", one["predicted"], one["expected"], "predicted"))
        for label, value, interval, part in found:
            names.append(label)
            values.append(value)
            low.append(interval[0])
            high.append(interval[1])
            parts.append(part)
    shots = sum(results["shots"].values())
    return Bars(
        "Logical error rates, measured and predicted",
        f"A shot, of {shots:,} shots, seed {results['seed']}. Measured with 95 % Wilson intervals; "
        "predicted with the range in which 95 % of runs of so many shots fall.",
        Axis("logical error rate a shot", low=0.0), names, values, low, high, parts,
    )  # fmt: skip


def _table(results: Mapping[str, Any]) -> Table:
    head = ["decoder", "LER", "95 %", "a round", "errors", "shots", "predicted", "95 % of runs",
            "as predicted"]  # fmt: skip
    rows = []
    for name, one in results["decoders"].items():
        told = ["–", "–", "–"]
        if one["expected"]:
            told = [rate(one["predicted"]), _range(one["expected"]),
                    "yes" if one["as_predicted"] else "no"]  # fmt: skip
        rows.append([name, rate(one["ler"]), _range(one["interval"]),
                     rate(one["ler_per_round"][0]), f"{one['errors']:,}", f"{one['shots']:,}",
                     *told])  # fmt: skip
    return Table(
        "Decoders",
        "LER: errors a shot, of all logical states together. As predicted: whether the rate lies "
        "where 95 % of runs fall if the prediction is right.",
        head, rows,
    )  # fmt: skip


def _range(ends: list[float]) -> str:
    return f"{rate(ends[0])} to {rate(ends[1])}"

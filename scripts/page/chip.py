"""The chip of a deployment, coloured by what was reported of it and by what its detectors say."""

from __future__ import annotations

import csv
import pathlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scripts.page.detectors import Detectors, percent, short
from scripts.page.figures import Axis, Chip, Layer, Section

_FILE = "placement.csv"  # beside the picture of the same name


class Reported(NamedTuple):
    """What placement.csv says: a chip's qubits and couplings, with errors where they work."""

    places: list[tuple[float, float]]
    readout: list[float | None]
    couplings: list[tuple[int, int]]
    gates: list[float | None]
    gate: str


def chip_section(folder: pathlib.Path, detectors: Detectors, chosen: Sequence[int]) -> Section:
    """The map of the chip, with the chosen qubits ringed."""
    title = "The chip"
    if not (folder / _FILE).is_file():
        return Section(title, [
            f"There is no {_FILE}, which has the places of the qubits: it is written with the "
            "pictures."
        ])  # fmt: skip
    chip = _read(folder / _FILE)
    measured, excess = fractions_by_qubit(detectors, len(chip.places))
    layers = [
        Layer("readout error", _of_errors("readout error"), qubits=chip.readout),
        Layer(f"{chip.gate} error", _of_errors(f"{chip.gate} error"), couplings=chip.gates),
    ]
    fired = (
        "Which qubits read which check is known of memories without swaps alone: detection "
        "fractions are not shown here."
    )
    if detectors.are_placed:
        layers += [
            Layer("detection fraction", Axis("detection fraction", format="percent"), measured),
            Layer("measured less predicted",
                  Axis("detection fraction, measured − predicted", format="percent"), excess,
                  centred=True),
        ]  # fmt: skip
        fired = (f"Detection fractions of {detectors.shots:,} shots stand at the qubit that reads "
                 "the check, as the mean over its rounds.")  # fmt: skip
    figure = Chip(
        "The chip, by errors and by detection fractions",
        "Errors as the backend reported them; what it reported as not working has none. "
        f"{fired} Ringed: the qubits that were taken.",
        chip.places, [str(k) for k in range(len(chip.places))], chip.couplings, layers, chosen,
    )  # fmt: skip
    return Section(title, _words(chip, chosen, measured, excess), [figure])


def fractions_by_qubit(
    detectors: Detectors, qubits: int
) -> tuple[list[float | None], list[float | None]]:
    """Of the checks that each qubit reads, the detection fraction, and what it exceeds prediction.

    Means over rounds; None where no check is read.
    """
    own: defaultdict[int, list[int]] = defaultdict(list)
    for number, place in enumerate(detectors.places):
        for qubit in detectors.qubits[place]:
            own[qubit].append(number)
    found = (detectors.measured, detectors.measured - detectors.predicted)
    measured, excess = (
        [short(float(values[own[k]].mean()), 4) if k in own else None for k in range(qubits)]
        for values in found
    )
    return measured, excess


def _read(path: pathlib.Path) -> Reported:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    qubits = [row for row in rows if row["kind"] == "qubit"]
    others = [row for row in rows if row["kind"] != "qubit"]
    ends = [row["at"].split("-") for row in others]
    return Reported(
        [(float(row["x"]), float(row["y"])) for row in qubits],
        [_error(row) for row in qubits],
        [(int(a), int(b)) for a, b in ends],
        [_error(row) for row in others],
        others[0]["kind"] if others else "gate",
    )


def _error(row: dict[str, str]) -> float | None:
    return float(row["error"]) if row["works"] == "True" and row["error"] else None


def _of_errors(name: str) -> Axis:
    return Axis(name, "log", "percent")


def _words(
    chip: Reported,
    chosen: Sequence[int],
    measured: Sequence[float | None],
    excess: Sequence[float | None],
) -> list[str]:
    words = [
        _compared("readout error", chip.readout, [chip.readout[k] for k in chosen]),
        _compared(f"{chip.gate} error", chip.gates, [
            error for pair, error in zip(chip.couplings, chip.gates, strict=True)
            if set(pair) <= set(chosen)
        ]),
    ]  # fmt: skip
    read = [k for k, value in enumerate(measured) if value is not None]
    if read:
        most = max(read, key=lambda k: measured[k] or 0.0)
        over = max(read, key=lambda k: excess[k] or 0.0)
        by = 100 * (excess[over] or 0.0)
        words.append(f"Detectors fire most at qubit {most}, in {percent(measured[most] or 0.0)} "
                     "of all cases. " + (
                         f"They exceed the prediction most at qubit {over}, by {by:.2f} "
                         "percentage points." if by > 0 else
                         "At no qubit do they fire more often than predicted."))  # fmt: skip
    return [word for word in words if word]


def _compared(name: str, of_all: Sequence[float | None], of_some: Sequence[float | None]) -> str:
    """The medians, of what was taken and of all that works."""
    all_known, known = ([one for one in some if one is not None] for some in (of_all, of_some))
    if not known:
        return ""
    inside, everywhere = (percent(float(np.median(some))) for some in (known, all_known))
    return f"Where it lies the median {name} is {inside}, on the whole chip {everywhere}."

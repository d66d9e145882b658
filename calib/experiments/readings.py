"""Between circuits and fits: quadrature circuits, counted outcomes, results with uncertainties."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

import pandas as pd
from qiskit import QuantumCircuit
from qiskit_experiments.framework import (
    AnalysisResultData,
    ArtifactData,
    ExperimentData,
    FigureType,
)
from uncertainties import ufloat

from calib.experiments.fits import Estimate, Phases, quadrature_phases

# What an analysis returns: results, and pictures (ours draw none).
Results: TypeAlias = tuple[list[AnalysisResultData | ArtifactData], list[FigureType]]


class Reading(NamedTuple):
    """One circuit's metadata, and how many of its shots gave the outcome asked for."""

    metadata: Mapping[str, Any]
    ones: int
    shots: int


def counted(data: ExperimentData, outcome: str = "1") -> list[Reading]:
    """The readings of an experiment with classified outcomes, in the order of its circuits."""
    return [
        Reading(datum["metadata"], datum["counts"].get(outcome, 0), sum(datum["counts"].values()))
        for datum in data.data()
    ]


def quadratures(circuit: QuantumCircuit, qubit: int, **metadata: object) -> list[QuantumCircuit]:
    """Four circuits that show where on the equator the qubit is, for `phases_by`.

    The state that SX makes of |0⟩ has phase 0, and RZ(φ) adds φ: with RZ(−kπ/2) and SX before the
    measurement, P(1) = 1/2 + cos(φ − kπ/2)/2.
    """
    circuits = []
    for quadrature in range(4):
        turned = circuit.copy()
        turned.rz(-quadrature * math.pi / 2, qubit)
        turned.sx(qubit)
        turned.measure(qubit, 0)
        turned.metadata = {"quadrature": quadrature, **metadata}
        circuits.append(turned)
    return circuits


def phases_by(data: ExperimentData, *keys: str) -> dict[tuple[Any, ...], Phases]:
    """The phase for each combination of these metadata, from circuits made by `quadratures`."""
    ones: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 4)
    shots: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 4)
    for reading in counted(data):
        key = tuple(reading.metadata[name] for name in keys)
        ones[key][reading.metadata["quadrature"]] += reading.ones
        shots[key][reading.metadata["quadrature"]] += reading.shots
    return {key: quadrature_phases(ones[key], shots[key]) for key in ones}


def result(
    name: str, estimate: Estimate, unit: str, *, good: bool
) -> AnalysisResultData | ArtifactData:
    """An analysis result whose value carries its uncertainty."""
    return AnalysisResultData(
        name,
        ufloat(estimate.value, estimate.uncertainty),
        chisq=estimate.chi2,
        quality="good" if good else "bad",
        extra={"unit": unit},
    )


class Fitted(NamedTuple):
    """An analysis result: value, one standard deviation, whether it is good, χ² per degree."""

    value: float
    uncertainty: float
    good: bool
    chi2: float


def found(data: ExperimentData, name: str) -> dict[str, Any]:
    """The row of an analysis result: its `value`, `quality`, `chisq`."""
    table = cast("pd.DataFrame", data.analysis_results(name, columns="all", dataframe=True))
    return cast("dict[str, Any]", table.iloc[0].to_dict())


def read(data: ExperimentData, name: str) -> Fitted:
    """A fitted analysis result; not good where its uncertainty is no number."""
    row = found(data, name)
    value, uncertainty = float(row["value"].nominal_value), float(row["value"].std_dev)
    known = math.isfinite(value) and math.isfinite(uncertainty)
    chi2 = row.get("chisq")
    return Fitted(value, uncertainty, row["quality"] == "good" and known,
                  math.nan if chi2 is None else float(chi2))  # fmt: skip


def append_repeated(circuit: QuantumCircuit, block: QuantumCircuit, times: int) -> None:
    """Appends a block of the same width `times` times."""
    for _ in range(times):
        circuit.compose(block, inplace=True)


def doubled(most: int) -> tuple[int, ...]:
    """Repetitions 0, 1, 2, 4, … up to `most`.

    >>> doubled(8)
    (0, 1, 2, 4, 8)
    """
    powers: Iterable[int] = (2**k for k in range(most.bit_length()) if 2**k <= most)
    return (0, *powers)

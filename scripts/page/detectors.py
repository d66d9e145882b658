"""The detectors of a deployment: which qubit reads each one's check, and how often they fire."""

from __future__ import annotations

import pathlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.statistics import binomial_interval
from scripts.page.figures import Axis, Chart, Curve, HeatMap, Section

Array = NDArray[np.float64]
Place = tuple[float, ...]
Some = TypeVar("Some")

MOST = 120  # rows and columns of a heat map that can still be told apart


class Detectors(NamedTuple):
    """Those of a deployment, in their order; all logical states have the same.

    `places` are their checks' places, `times` their rounds, `qubits` the device's qubits that read
    each check. `measured` and `predicted` [D] are how often they fire, of `shots`.
    """

    places: list[Place]
    times: list[float]
    qubits: dict[Place, tuple[int, ...]]
    shots: int
    measured: Array
    predicted: Array

    def name(self, detector: int) -> str:
        """Check, qubit and round, to be read by people."""
        return f"{self.check(self.places[detector])}, round {self.times[detector]:g}"

    def check(self, place: Place) -> str:
        """A check's place, and the device's qubits that read it."""
        qubits = " ".join(str(one) for one in self.qubits[place])
        return f"({', '.join(f'{x:g}' for x in place)})" + (f" on {qubits}" if qubits else "")

    @property
    def checks(self) -> list[Place]:
        """Each place once, ascending."""
        return sorted(set(self.places))

    @property
    def rounds(self) -> list[float]:
        """Each time once, ascending."""
        return sorted(set(self.times))


def detectors_in(folder: pathlib.Path, results: Mapping[str, Any]) -> Detectors:
    """Of a deployment's results; ValueError if its circuit is missing, or another one's."""
    circuit = stim.Circuit.from_file(state_files(folder, "circuit.stim")[0])
    fractions = results["detection_fraction"]
    measured = np.array(fractions["by_detector"], dtype=float)
    if len(measured) != circuit.num_detectors:
        raise ValueError(f"{folder}: expected {circuit.num_detectors} detection fractions, as many "
                         f"as its circuit has detectors, got {len(measured)}: decode the "
                         "deployment again")  # fmt: skip
    places, times = spots_of(circuit)
    return Detectors(
        places, times, check_qubits(circuit), sum(results["shots"].values()),
        measured, np.array(fractions["predicted_by_detector"], dtype=float),
    )  # fmt: skip


def state_files(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """The file of each logical state; ValueError where one is missing."""
    paths = [place / name for place in sorted(folder.glob("state-*"))]
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        raise ValueError(f"{missing[0] if missing else folder / 'state-0' / name} is missing: "
                         "decode the deployment again (syndrift jobs N --fetch)")  # fmt: skip
    return paths


def spots_of(circuit: stim.Circuit) -> tuple[list[Place], list[float]]:
    """Place and time of each detector: the third coordinate is the time, or the last of fewer.

    One without coordinates is a place of its own.
    """
    coordinates = circuit.get_detector_coordinates()
    places, times = list[Place](), list[float]()
    for number in range(circuit.num_detectors):
        found = coordinates.get(number) or [float(number), 0.0]
        at = min(len(found), 3) - 1
        places.append((*found[:at], *found[at + 1 :]))
        times.append(found[at])
    return places, times


def check_qubits(circuit: stim.Circuit) -> dict[Place, tuple[int, ...]]:
    """The qubits that read each check: those whose records all of its detectors compare.

    A deployment's circuit.stim has the device's own numbers. The last detectors compare with data
    qubits too, which are read less often; a check that changes its qubits has none.

    >>> circuit = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=4)
    >>> check_qubits(circuit)
    {(1.0,): (1,), (3.0,): (3,)}
    """
    places, _ = spots_of(circuit)
    qubits, detectors = list[int](), list[set[int]]()
    for one in circuit.flattened():
        assert isinstance(one, stim.CircuitInstruction)  # flat: there are no blocks
        if one.name == "DETECTOR":
            detectors.append({qubits[target.value] for target in one.targets_copy()})
        elif one.num_measurements:
            # A joint measurement is told by its first qubit.
            qubits += [group[0].value for group in one.target_groups()]
    common: dict[Place, set[int]] = {}
    for place, found in zip(places, detectors, strict=True):
        common[place] = common[place] & found if place in common else found
    read = Counter(qubits)
    return {
        place: tuple(sorted(one for one in some if read[one] == max(read[two] for two in some)))
        for place, some in sorted(common.items())
    }


def detectors_section(detectors: Detectors) -> Section:
    """How often each detector fires, against the prediction and over checks and rounds."""
    if not detectors.places:
        return Section("Detectors", ["The circuit has no detectors."])
    return Section(
        "Detectors",
        [_words(detectors)],
        [_against_prediction(detectors), *_maps(detectors)],
    )


def bars_of(detectors: Detectors) -> list[tuple[float, float]]:
    """The 95 % interval of each detector's fraction."""
    counts = np.rint(detectors.measured * detectors.shots).astype(int).tolist()
    return [binomial_interval(count, detectors.shots) for count in counts]


def _words(detectors: Detectors) -> str:
    outside = sum(not low <= predicted <= high for (low, high), predicted in
                  zip(bars_of(detectors), detectors.predicted, strict=True))  # fmt: skip
    total = len(detectors.places)
    return (f"Detectors fire in {percent(detectors.measured.mean())} of all cases, "
            f"{percent(detectors.predicted.mean())} by the prediction. At {outside:,} of {total:,} "
            "the interval of 95 % leaves the prediction out; chance alone would make it about "
            f"{0.05 * total:.2g}, and some more as the prediction is sampled too.")  # fmt: skip


def _against_prediction(detectors: Detectors) -> Chart:
    first, last = detectors.rounds[0], detectors.rounds[-1]
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for number in sorted(range(len(detectors.times)), key=lambda k: detectors.predicted[k]):
        time = detectors.times[number]
        groups["first round" if time == first else "last round" if time == last
               else "rounds between"].append(number)  # fmt: skip
    bars = bars_of(detectors)
    curves = [
        Curve(
            name, x=detectors.predicted[some].tolist(), y=detectors.measured[some].tolist(),
            low=[bars[k][0] for k in some], high=[bars[k][1] for k in some], mark="points",
            notes=[detectors.name(k) for k in some],
        )
        for name in ("first round", "rounds between", "last round") if (some := groups[name])
    ]  # fmt: skip
    return Chart(
        "Detection fractions, measured and predicted",
        f"{detectors.shots:,} shots of all logical states. Bars: 95 % Wilson intervals. On the "
        "line a detector fires as predicted, above it more often.",
        Axis("predicted fraction", format="percent", low=0.0),
        Axis("measured fraction", format="percent", low=0.0),
        curves,
        diagonal=True,
    )


def _maps(detectors: Detectors) -> list[HeatMap]:
    """Checks by rounds: measured, and measured less predicted."""
    checks, rounds = thinned(detectors.checks), thinned(detectors.rounds)
    places, times = ({one: k for k, one in enumerate(some)} for some in (checks, rounds))
    left = _left_out(detectors, len(checks), len(rounds))
    maps = []
    for title, words, values, centred in (
        ("Detection fractions by check and round", "", detectors.measured, False),
        ("Measured less predicted, by check and round",
         "Of the fractions. Above 0 a detector fires more often than predicted. ",
         detectors.measured - detectors.predicted, True),
    ):  # fmt: skip
        table: list[list[float | None]] = [[None] * len(rounds) for _ in checks]
        for place, time, value in zip(detectors.places, detectors.times, values, strict=True):
            if place in places and time in times:
                table[places[place]][times[time]] = short(value)
        maps.append(HeatMap(
            title, f"{words}{detectors.shots:,} shots of all logical states. Rows are checks by "
            f"their place in the code, with the qubit that reads them.{left}",
            Axis("measured − predicted" if centred else "detection fraction", format="percent"),
            "check", "round", [detectors.check(one) for one in checks],
            [f"{one:g}" for one in rounds], table, centred,
        ))  # fmt: skip
    return maps


def _left_out(detectors: Detectors, checks: int, rounds: int) -> str:
    parts = [
        f"{shown} of {total} {what}" for shown, total, what in
        ((checks, len(detectors.checks), "checks"), (rounds, len(detectors.rounds), "rounds"))
        if shown < total
    ]  # fmt: skip
    return f" Thinned out evenly to {' and '.join(parts)}." if parts else ""


def thinned(some: Sequence[Some], most: int = MOST) -> list[Some]:
    """Every so many-th, that at most so many are left.

    >>> thinned([0, 1, 2, 3, 4], 2)
    [0, 3]
    """
    return list(some[:: -(-len(some) // most) or 1])


def percent(value: float, digits: int = 2) -> str:
    """A fraction in words.

    >>> percent(0.0948)
    '9.48 %'
    """
    return f"{100 * value:.{digits}f} %"


def short(value: float, digits: int = 3) -> float | None:
    """As many digits as one looks at, for the file's size; None where there is no value."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None

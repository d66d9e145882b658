"""The detectors of a deployment: which qubit reads each one's check, and how often they fire."""

from __future__ import annotations

import pathlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.statistics import binomial_interval
from scripts.page.figures import Axis, Chart, Curve, HeatMap, Section
from scripts.report.deployment_pictures import held_by, spots_of

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
        """The device's qubits that read a check, if they are known, then its place."""
        at, qubits = ", ".join(f"{x:g}" for x in place), "+".join(map(str, self.qubits[place]))
        return f"{qubits} ({at})" if qubits else at

    @property
    def are_placed(self) -> bool:
        """Whether it is known which qubits read the checks."""
        return any(self.qubits.values())

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
    circuit, ideal = (
        stim.Circuit.from_file(state_files(folder, name)[0])
        for name in ("circuit.stim", "circuit_ideal.stim")
    )
    fractions = results["detection_fraction"]
    measured = np.array(fractions["by_detector"], dtype=float)
    if len(measured) != circuit.num_detectors:
        raise ValueError(f"{folder}: expected {circuit.num_detectors} detection fractions, as many "
                         f"as its circuit has detectors, got {len(measured)}: decode the "
                         "deployment again")  # fmt: skip
    spots = spots_of(ideal)
    return Detectors(
        [place for place, _ in spots], [time for _, time in spots],
        check_qubits(ideal, circuit, results["placement"]), sum(results["shots"].values()),
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


def check_qubits(
    ideal: stim.Circuit, recorded: stim.Circuit, placement: Sequence[int]
) -> dict[Place, tuple[int, ...]]:
    """The device's qubits that read the check at each place, as `held_by` has them in the code.

    Entry k of `placement` is the device's qubit for the circuit's k-th; `recorded` is the circuit
    with the device's numbers. None is known where that disagrees, as when swaps move qubits, or
    where the circuit is no memory.
    """
    from decoders.deploy.lower import lower

    taken = lower(ideal).qubits
    device = dict(zip(taken, placement, strict=False))
    found: dict[Place, tuple[int, ...]] = {}
    is_known = len(taken) == len(placement)
    for (place, _), held, compared in zip(
        spots_of(ideal), held_by(ideal), _compared(recorded), strict=True
    ):
        if place not in found:  # later detectors may hold what other checks corrected
            found[place] = tuple(sorted(device.get(qubit, -1) for qubit in held.qubits))
            is_known &= bool(found[place]) and compared.issuperset(found[place])
    return found if is_known else dict.fromkeys(found, ())


def _compared(circuit: stim.Circuit) -> list[set[int]]:
    """The qubits whose records each detector compares."""
    qubits, detectors = list[int](), list[set[int]]()
    for one in circuit.flattened():
        assert isinstance(one, stim.CircuitInstruction)  # flat: there are no blocks
        if one.name == "DETECTOR":
            detectors.append({qubits[target.value] for target in one.targets_copy()})
        elif one.num_measurements:
            # A joint measurement is told by its first qubit.
            qubits += [group[0].value for group in one.target_groups()]
    return detectors


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
    rows, row_label = " by their place in the code", "check, by its place"
    if detectors.are_placed:
        rows = ", named by the qubit that reads them, and by their place in the code"
        row_label = "qubit that reads the check (its place)"
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
            title, f"{words}{detectors.shots:,} shots of all logical states. Rows are checks"
            f"{rows}.{left}",
            Axis("measured − predicted" if centred else "detection fraction", format="percent"),
            row_label, "round", [detectors.check(one) for one in checks],
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

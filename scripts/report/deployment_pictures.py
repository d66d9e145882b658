"""A deployment in pictures: where it lies on the chip, and how often its detectors fire."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from decoders.noise.instructions import instructions_in, kind_of
from decoders.noise.memory import read_memory
from decoders.statistics import binomial_interval
from scripts.report.placement_pictures import Chosen, draw_placement
from scripts.report.style import Labels, Palette, plain_grid, save

if TYPE_CHECKING:
    import stim
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calib.snapshot import Snapshot
    from decoders.deploy.concluded import Conclusion
    from decoders.deploy.config import DeployConfig

Place = tuple[float, ...]
_MOST_NAMED = 12  # rounds with a label of their own
_ROW_IN = 0.17  # the least height of a check's row


class Fired(NamedTuple):
    """One detector: its check's place, its time, and how often it fired.

    `qubits` are the device's that measure the check, where they are known; `is_readout` says that
    its time is that of the data qubits' readout.
    """

    place: Place
    time: float
    qubits: tuple[int, ...]
    is_readout: bool
    shots: int
    measured: float
    low: float
    high: float
    predicted: float

    @property
    def check(self) -> str:
        """A row's name: the qubits, then the place."""
        place = ", ".join(f"{x:g}" for x in self.place)
        return f"{'+'.join(map(str, self.qubits))} ({place})" if self.qubits else place


class Held(NamedTuple):
    """What a detector compares: qubits measured in its last layer, data apart; any data?"""

    qubits: tuple[int, ...]
    has_data: bool


def draw_detections(found: Conclusion, target: pathlib.Path) -> list[pathlib.Path]:
    """A map of checks and rounds, and measured against predicted fractions.

    Writes TARGET.png and its siblings; returns their paths.
    """
    detectors = fired(found)
    if not detectors:
        raise ValueError("a picture of detection fractions needs detectors, got none")
    config = found.config
    labels = Labels(
        f"{found.name} on {config.backend}: how often detectors fire",
        f"{caption(detectors)} {detectors[0].shots:,}\u00a0shots, {len(found.states)} logical "
        f"{'state' if len(found.states) == 1 else 'states'}, service {config.service}, "
        f"seed\u00a0{config.seed}. Bars: 95 % Wilson intervals. On the line measured is as "
        "predicted.",
    )
    rows = [
        {
            **one._asdict(),
            "place": " ".join(f"{x:g}" for x in one.place),
            "qubits": " ".join(map(str, one.qubits)),
        }
        for one in detectors
    ]
    size_in = (7.4, max(4.5, _ROW_IN * len({one.place for one in detectors}) + 1.6))
    return save(functools.partial(_paint, detectors), target, labels, rows, size_in)


def draw_chip(
    where: tuple[DeployConfig, Snapshot, Sequence[int], stim.Circuit], target: pathlib.Path
) -> list[pathlib.Path]:
    """The map of the chip with the memory on it: recipe, properties, qubits, circuit.

    Of a routed memory the qubits alone, those that it uses: which of them are coupled changes as
    its qubits wander. Writes TARGET.png and its siblings; returns their paths.
    """
    from decoders.deploy.lower import lower

    config, snapshot, placement, ideal = where
    chosen = Chosen(config.name, placement, () if config.routed else lower(ideal).pairs)
    how = f"placed by predicted errors, seed\u00a0{config.seed}"
    if config.routed:
        how = "routed with swaps, so that the circuit's qubits wander among those ringed"
    elif config.placement is not None:
        how = "placed by hand"
    when = snapshot.calibrated_text[:10] or "an unknown day"
    return draw_placement(
        snapshot, [chosen], target, title=f"{config.name} on {config.backend}",
        origin=f"As reported on {when}; {how}.",
    )  # fmt: skip


def fired(found: Conclusion) -> list[Fired]:
    """The detectors in their order; one without coordinates is a place of its own."""
    ideal = found.states[0].ideal
    spots, held = spots_of(ideal), held_by(ideal)
    shots = sum(len(one.events) for one in found.states)
    qubits = {} if found.config.routed else _device_qubits(spots, held, found)
    early = {time for (_, time), one in zip(spots, held, strict=True) if not one.has_data}
    last = max((time for _, time in spots), default=0.0)
    return [
        Fired(place, time, qubits.get(place, ()), time == last and last not in early, shots,
              measured, *binomial_interval(round(measured * shots), shots), predicted)
        for (place, time), measured, predicted in zip(
            spots, found.fractions.tolist(), found.predicted_fractions.tolist(), strict=True
        )
    ]  # fmt: skip


def spots_of(circuit: stim.Circuit) -> list[tuple[Place, float]]:
    """Place and time of each detector: the third coordinate is the time, or the last of fewer.

    A fourth one, the basis and colour of color codes, tells two checks at one place apart.
    """
    coordinates = circuit.get_detector_coordinates()
    spots = []
    for number in range(circuit.num_detectors):
        at = coordinates.get(number) or [float(number), 0.0]
        when = min(len(at), 3) - 1
        spots.append(((*at[:when], *at[when + 1 :]), at[when]))
    return spots


def held_by(ideal: stim.Circuit) -> list[Held]:
    """Of each detector; nothing where the circuit is no memory, or measures products.

    Measurements without a gate between them are one layer.
    """
    unknown = [Held((), has_data=False)] * ideal.num_detectors
    try:
        data = set(read_memory(ideal).data)
    except ValueError:
        return unknown
    records, found, layer = list[tuple[int, int]](), list[Held](), 0
    for one in instructions_in(ideal.flattened()):
        kind = kind_of(one.name)
        if kind == "joint":
            return unknown
        layer += kind == "gate"
        if kind in ("measure", "measure_reset"):
            records += [(layer, target.value) for target in one.targets_copy()]
        elif one.name == "DETECTOR":
            named = [records[target.value] for target in one.targets_copy()]
            checks = [(when, qubit) for when, qubit in named if qubit not in data]
            last = max((when for when, _ in checks), default=0)
            qubits = tuple(sorted({qubit for when, qubit in checks if when == last}))
            found.append(Held(qubits, has_data=len(checks) < len(named)))
    return found


def _device_qubits(
    spots: Sequence[tuple[Place, float]], held: Sequence[Held], found: Conclusion
) -> dict[Place, tuple[int, ...]]:
    """The device's qubits that measure the check at each place; of none, if not of all.

    A place's first detector says it: later ones may hold what other checks corrected.
    """
    from decoders.deploy.lower import lower

    first = dict[Place, tuple[int, ...]]()
    for (place, _), one in zip(spots, held, strict=True):
        first.setdefault(place, one.qubits)
    if not all(first.values()):
        return {}
    device = dict(zip(lower(found.states[0].ideal).qubits, found.placement, strict=True))
    return {
        place: tuple(sorted(device[qubit] for qubit in qubits)) for place, qubits in first.items()
    }


def caption(detectors: Sequence[Fired]) -> str:
    """What rows, columns and empty cells are."""
    places, times = _axes_of(detectors)
    said = []
    if any(one.qubits for one in detectors):
        said.append("Rows: the device's qubits that measure a check, and its place.")
    if any(one.is_readout for one in detectors):
        said.append("Rounds count from 0; the last column compares the readout of the data qubits "
                    "with the last round.")  # fmt: skip
    if len({(one.place, one.time) for one in detectors}) < len(places) * len(times):
        said.append("A dash: the check has no detector in that round.")
    return " ".join(said)


def _axes_of(detectors: Sequence[Fired]) -> tuple[list[Place], list[float]]:
    """Places, of the rows, and times, of the columns."""
    return sorted({one.place for one in detectors}), sorted({one.time for one in detectors})


def _time_names(detectors: Sequence[Fired]) -> list[str]:
    """Of each column; some are empty where there are too many to name all."""
    times = _axes_of(detectors)[1]
    readouts = {one.time for one in detectors if one.is_readout}
    step = -(-len(times) // _MOST_NAMED)
    return [
        "readout" if time in readouts else "" if position % step else f"{time:g}"
        for position, time in enumerate(times)
    ]


def _paint(detectors: list[Fired], figure: Figure, palette: Palette) -> None:
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.1])
    _paint_map(left, detectors, figure, palette)
    times = _axes_of(detectors)[1]
    most = 1.08 * max(max(one.high, one.predicted) for one in detectors)
    right.plot([0, most], [0, most], color=palette.faint, linewidth=1, linestyle="--", zorder=1)
    for time, name, colour in zip(
        times, _time_names(detectors), palette.ordered(len(times)), strict=True
    ):
        some = [one for one in detectors if one.time == time]
        bars = np.array([[one.measured - one.low, one.high - one.measured] for one in some]).T
        right.errorbar(
            [one.predicted for one in some], [one.measured for one in some], yerr=bars,
            fmt="o", markersize=4, linewidth=1, color=colour,
            label=name if name in ("", "readout") else f"round {name}",
        )  # fmt: skip
    right.set(xlim=(0, most), ylim=(0, most), xlabel="predicted", ylabel="measured")
    right.legend(frameon=False, fontsize=8)
    plain_grid(right)


def _paint_map(axes: Axes, detectors: list[Fired], figure: Figure, palette: Palette) -> None:
    """Rows are checks, columns rounds; a dash stands where a check has no detector in a round."""
    places, times = _axes_of(detectors)
    names = {one.place: one.check for one in detectors}
    table = np.full((len(places), len(times)), np.nan)
    for one in detectors:
        table[places.index(one.place), times.index(one.time)] = one.measured
    image = axes.imshow(table, cmap=palette.ramp[0], aspect="auto", vmin=0.0)
    rows, columns = np.nonzero(np.isnan(table))
    axes.scatter(columns, rows, s=30, marker="_", color=palette.faint, linewidths=1.0)
    shown = [(at, name) for at, name in enumerate(_time_names(detectors)) if name]
    # On a line of its own, clear of its neighbours.
    shown = [(at, f"{times[at]:g}\nreadout" if name == "readout" else name) for at, name in shown]
    axes.set_xticks([at for at, _ in shown], [name for _, name in shown])
    axes.set_yticks(range(len(places)), [names[place] for place in places], fontsize=7)
    known = any(one.qubits for one in detectors)
    axes.set(xlabel="round", ylabel="qubit that measures the check (its place)"
             if known else "check, by its place")  # fmt: skip
    axes.set_title("measured", fontsize=9)
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes, fraction=0.08, pad=0.03)
    bar.outline.set_visible(False)  # type: ignore[operator] -- matplotlib's stub takes it for data
    bar.ax.tick_params(labelsize=7)

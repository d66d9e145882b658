"""A deployment in pictures: where it lies on the chip, and how often its detectors fire."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

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

Array = NDArray[np.float64]


class Fired(NamedTuple):
    """One detector: its check's place, its time, and how often it fired."""

    place: tuple[float, ...]
    time: float
    shots: int
    measured: float
    low: float
    high: float
    predicted: float


def draw_detections(found: Conclusion, target: pathlib.Path) -> list[pathlib.Path]:
    """A map of checks and rounds, and measured against predicted fractions.

    Writes TARGET.png and its siblings; returns their paths.
    """
    detectors = fired(found)
    if not detectors:
        raise ValueError("a picture of detection fractions needs detectors, got none")
    config = found.config
    shots = detectors[0].shots
    labels = Labels(
        f"{found.name} on {config.backend}: how often detectors fire",
        f"{shots:,} shots, {len(found.states)} logical states, service {config.service}, "
        f"seed {config.seed}. Bars: 95 % Wilson intervals. On the line measured is as predicted.",
    )
    rows = [{**one._asdict(), "place": " ".join(f"{x:g}" for x in one.place)} for one in detectors]
    return save(functools.partial(_paint, detectors), target, labels, rows)


def draw_chip(
    where: tuple[DeployConfig, Snapshot, Sequence[int], stim.Circuit], target: pathlib.Path
) -> list[pathlib.Path]:
    """The map of the chip with the memory on it: recipe, properties, qubits, circuit.

    Writes TARGET.png and its siblings; returns their paths.
    """
    from decoders.deploy.lower import lower

    config, snapshot, placement, ideal = where
    chosen = Chosen(config.name, placement, lower(ideal).pairs)
    when = snapshot.calibrated[:10] or "an unknown day"
    return draw_placement(
        snapshot, [chosen], target, title=f"{config.name} on {config.backend}",
        origin=f"As reported on {when}; placed by predicted errors, seed {config.seed}."
        if config.placement is None else f"As reported on {when}; placed by hand.",
    )  # fmt: skip


def fired(found: Conclusion) -> list[Fired]:
    """The detectors in their order; one without coordinates is a place of its own."""
    coordinates = found.states[0].ideal.get_detector_coordinates()
    shots = sum(len(one.events) for one in found.states)
    rows = []
    for number, (measured, predicted) in enumerate(
        zip(found.fractions.tolist(), found.predicted_fractions.tolist(), strict=True)
    ):
        at = coordinates.get(number) or [float(number), 0.0]
        low, high = binomial_interval(round(measured * shots), shots)
        rows.append(Fired(tuple(at[:-1]), at[-1], shots, measured, low, high, predicted))
    return rows


def _paint(detectors: list[Fired], figure: Figure, palette: Palette) -> None:
    left, right = figure.subplots(1, 2, width_ratios=[1.0, 1.15])
    _paint_map(left, detectors, figure, palette)
    times = sorted({one.time for one in detectors})
    colours = dict(zip(times, palette.ordered(len(times)), strict=True))
    most = 1.08 * max(max(one.high, one.predicted) for one in detectors)
    right.plot([0, most], [0, most], color=palette.faint, linewidth=1, linestyle="--", zorder=1)
    for time in times:
        some = [one for one in detectors if one.time == time]
        bars = np.array([[one.measured - one.low, one.high - one.measured] for one in some]).T
        right.errorbar(
            [one.predicted for one in some], [one.measured for one in some], yerr=bars,
            fmt="o", markersize=4, linewidth=1, color=colours[time], label=f"round {time:g}",
        )  # fmt: skip
    right.set(xlim=(0, most), ylim=(0, most), xlabel="predicted", ylabel="measured")
    right.legend(frameon=False, fontsize=8)
    plain_grid(right)


def _paint_map(axes: Axes, detectors: list[Fired], figure: Figure, palette: Palette) -> None:
    """Rows are checks, columns rounds; a check that has no detector in a round is left empty."""
    places = sorted({one.place for one in detectors})
    times = sorted({one.time for one in detectors})
    table = np.full((len(places), len(times)), np.nan)
    for one in detectors:
        table[places.index(one.place), times.index(one.time)] = one.measured
    image = axes.imshow(table, cmap=palette.ramp[0], aspect="auto", vmin=0.0)
    axes.set_xticks(range(len(times)), [f"{time:g}" for time in times])
    names = [", ".join(f"{x:g}" for x in place) for place in places]
    axes.set_yticks(range(len(places)), names, fontsize=7)
    axes.set(xlabel="round", ylabel="check, by its place")
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes, fraction=0.08, pad=0.03)
    bar.outline.set_visible(False)  # type: ignore[operator] -- matplotlib's stub takes it for data
    bar.ax.tick_params(labelsize=7)

"""Pictures of a steered run: detections, leakage, logical errors over time, and every control."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.report.style import Labels, Palette, legend_column, plain_grid, save
from scripts.steering_over_tables import lowered
from scripts.steering_tables import epoch_rows, figures, knob_rows, ler_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from envs.agents.steerers.course import Course, SteerConfig

_MOST_NAMES = 24  # of controls beside their rows
_FIELDS = {"expected": "detection events a cycle", "leakage": "leakage a gate"}
_EPOCHS = (
    "Detection events a cycle to be expected at each epoch, of all candidates that are tried; gaps "
    "where the code was halted. The title's share is of the last three quarters of the run."
)


def draw(
    courses: Mapping[str, Course], config: SteerConfig, folder: pathlib.Path
) -> list[pathlib.Path]:
    """epochs, ler and knobs, each as PNG and SVG in both modes, with its numbers as CSV.

    And leakage, where the plant has any.
    """
    steered, origin = courses["steerer"], _origin(config, courses["steerer"])
    found = figures(steered)
    words = Labels(_epochs_title(config.steerer.kind, found["score_exploring"]),
                   f"{_EPOCHS} {origin}")  # fmt: skip
    written = save(partial(_paint_over_time, courses, config, "expected"),
                   folder / "epochs", words, epoch_rows(courses))  # fmt: skip
    if steered.leakage.any():
        words = Labels(
            "What leaks at a gate while the code is steered",
            f"Population that leaves the qubits' two levels, the mean over all gates, of all "
            f"candidates that are tried. {origin}",
        )
        written += save(partial(_paint_over_time, courses, config, "leakage"),
                        folder / "leakage", words, epoch_rows(courses))  # fmt: skip
    if config.ler:
        words = Labels(
            _ler_title(found),
            f"{config.ler.shots:,} shots a point, decoded by {config.ler.decoder} with the priors "
            f"of perfect settings; bands hold 95 %. {origin}",
        )
        written += save(lambda figure, palette: _paint_lers(courses, config, figure, palette),
                        folder / "ler", words, ler_rows(courses))  # fmt: skip
    words = Labels(
        f"What was done with {len(steered.controls):,} controls",
        "Settings held best at each epoch, in natural units: one unit off its optimum, a gate's "
        f"controls together double its error. {origin}",
    )
    return written + save(lambda figure, palette: _paint_knobs(steered, figure, palette),
                          folder / "knobs", words, knob_rows(steered))  # fmt: skip


def _epochs_title(kind: str, score: float | None) -> str:
    share = 100 * (score or 0.0)
    if share > 0:
        return f"{kind}: {share:.0f} % of what can be won is won"
    return f"{kind}: it costs more than it wins"


def _origin(config: SteerConfig, course: Course) -> str:
    memory = config.environment.memory
    what = (memory.circuit.name if memory.circuit is not None
            else f"{memory.code} code, distance {memory.distance}")  # fmt: skip
    return (f"Simulated: {what}, {len(course.controls):,} controls, {config.candidates} candidates "
            f"x {config.environment.shots:,} shots an epoch, seed {config.seed}.")  # fmt: skip


def _ler_title(found: Mapping[str, Any]) -> str:
    counts = [(one["errors"], one["shots"]) for who, one in found["ler"].items()
              if who in ("exploring", "untouched")]  # fmt: skip
    share = lowered(*counts) if len(counts) == 2 else None
    if share is None or share[1] <= 0:
        return "Logical errors while the code is steered"
    return f"Logical errors: {1 / (1 - share[0]):.2g} times fewer than untouched, while steering"


def _lines(
    courses: Mapping[str, Course], config: SteerConfig, palette: Palette
) -> list[tuple[str, str, int, str, float]]:
    """Label, steerer, place in EXPECTED, colour and width of each line."""
    found = [
        ("untouched", "steerer", 2, palette.bad, 1.6),
        ("best", "steerer", 3, palette.ink, 1.2),
    ]
    for number, name in enumerate(name for name in courses if name != "steerer"):
        found.append((name, name, 0, palette.kinds[(number + 2) % len(palette.kinds)], 1.0))
    return [*found, (config.steerer.kind, "steerer", 0, palette.kinds[0], 2.0)]


def _paint_over_time(
    courses: Mapping[str, Course], config: SteerConfig, field: str, figure: Figure,
    palette: Palette,
) -> None:  # fmt: skip
    """`field` of all courses: what is expected to be detected, or to leak."""
    axes, column = legend_column(figure, 0.22)
    for label, name, place, colour, width in _lines(courses, config, palette):
        values = getattr(courses[name], field)[:, place]
        axes.plot(_running(courses[name], values, place), color=colour, lw=width, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel(_FIELDS[field])
    if field == "leakage":
        axes.set_yscale("log")
    plain_grid(axes)
    _legend(axes, column)


def _running(course: Course, values: Any, place: int) -> Any:
    """Without the epochs in which the code was halted; what is untouched, or best, never is."""
    return np.where((course.halted < 1) | (place > 1), values, np.nan)


def _paint_lers(
    courses: Mapping[str, Course], config: SteerConfig, figure: Figure, palette: Palette
) -> None:
    from decoders.statistics import binomial_interval
    from envs.agents.steerers.judge import EXPECTED

    axes, column = legend_column(figure, 0.22)
    for label, name, place, colour, width in _lines(courses, config, palette):
        rows = courses[name].lers(EXPECTED[place]).tolist()
        epochs = [epoch for epoch, _, _ in rows]
        low, high = np.array([binomial_interval(errors, shots) for _, shots, errors in rows]).T
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, lw=0)
        rates = [errors / shots for _, shots, errors in rows]
        axes.plot(epochs, rates, "o-", ms=3, color=colour, lw=width, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("logical errors a shot")
    axes.set_ylim(bottom=0)
    plain_grid(axes)
    _legend(axes, column)


def _legend(axes: Axes, column: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    column.legend(handles, labels, loc="upper left", frameon=False)


def _paint_knobs(course: Course, figure: Figure, palette: Palette) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    axes = figure.subplots()
    settings = course.settings.T
    most = float(np.abs(settings).max()) or 1.0
    ends = [palette.kinds[0], palette.background, palette.kinds[1]]
    colours = LinearSegmentedColormap.from_list("around zero", ends)
    last = settings.shape[1] * course.stride
    image = axes.imshow(settings, aspect="auto", cmap=colours, vmin=-most, vmax=most,
                        interpolation="nearest", extent=(0, last, len(settings), 0))  # fmt: skip
    figure.colorbar(image, ax=axes, label="setting, from where it began")
    axes.set_xlabel("epoch")
    step = max(1, -(-len(settings) // _MOST_NAMES))
    axes.set_yticks(np.arange(0, len(settings), step) + 0.5, course.controls[::step], fontsize=7)

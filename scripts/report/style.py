"""How every picture looks and is written: light and dark, PNG and SVG, and the CSV beside them."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import math
import pathlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

PNG_DPI = 300
SIZE_IN = (7.0, 4.5)

# Decoders stand apart by these also in black and white: marker and dashes (on, off, in points).
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.6)),
    (0, (1, 1.2)),
    (0, (6, 1.6, 1, 1.6)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 3)),
    (0, (2, 2)),
    (0, (10, 2, 2, 2)),
)


@dataclasses.dataclass(frozen=True)
class Palette:
    """The colours of one mode; `ramp` is matplotlib's colormap for ordered things, with its ends.

    `kinds` are Okabe and Ito's colours, told apart by the colour-blind; error, correction and
    event are the three actors of a shot.
    """

    name: str
    background: str
    ink: str
    faint: str
    grid: str
    ramp: tuple[str, float, float]
    kinds: tuple[str, ...]
    error: str
    correction: str
    event: str
    good: str
    bad: str
    tiles: tuple[str, str]

    def ordered(self, number: int) -> list[str]:
        """Colours for a sequence such as distances: one hue after another, steadily lighter."""
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        name, low, high = self.ramp
        steps = [low + (high - low) * k / max(number - 1, 1) for k in range(number)]
        return [to_hex(colormaps[name](step)) for step in steps]


LIGHT = Palette(
    name="",
    background="#ffffff",
    ink="#1a1d21",
    faint="#6b7280",
    grid="#e3e6ea",
    ramp=("viridis", 0.0, 0.77),
    kinds=("#0072b2", "#d55e00", "#009e73", "#a8508a", "#b07d00", "#2a8ec4", "#5c4b9b", "#444444"),
    error="#c8321e",
    correction="#0066a8",
    event="#f0a30a",
    good="#00855f",
    bad="#c8321e",
    tiles=("#dfe7f1", "#f2f2ef"),
)
DARK = Palette(
    name="-dark",
    background="#14171c",
    ink="#e9ecef",
    faint="#9aa3af",
    grid="#2d333b",
    ramp=("viridis", 0.34, 1.0),
    kinds=("#56b4e9", "#ff9142", "#2fd0a0", "#e49bc6", "#f0c53f", "#8ad0ff", "#b3a4ee", "#cccccc"),
    error="#ff7a66",
    correction="#5ab4f5",
    event="#ffc23d",
    good="#35cf9f",
    bad="#ff7a66",
    tiles=("#26364a", "#22262c"),
)
MODES = (LIGHT, DARK)


@dataclasses.dataclass(frozen=True)
class Labels:
    """The words around a picture: title above, caption below (wrapped; origin of the numbers)."""

    title: str
    caption: str = ""


def save(
    paint: Callable[[Figure, Palette], None],
    target: pathlib.Path,
    labels: Labels,
    rows: Sequence[Mapping[str, Any]],
    size_in: tuple[float, float] = SIZE_IN,
) -> list[pathlib.Path]:
    """Writes TARGET.png, TARGET-dark.png, both as .svg, and TARGET.csv; returns their paths.

    `paint` fills an empty figure in the colours that it is given. Bytes depend on nothing but the
    arguments and matplotlib's version.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    target.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for palette in MODES:
        # From the defaults: a picture must not hang on the reader's matplotlibrc.
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            for key, value in _settings(palette).items():
                matplotlib.rcParams[key] = value
            figure = Figure(figsize=size_in, dpi=PNG_DPI, layout="constrained")
            FigureCanvasAgg(figure)
            _write_words(figure, labels, palette)
            paint(figure, palette)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # it is laid out: not once more for each format
            for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                path = target.with_name(f"{target.name}{palette.name}.{suffix}")
                figure.savefig(path, dpi=PNG_DPI, metadata=metadata)
                written.append(path)
    path = target.with_name(f"{target.name}.csv")
    path.write_text(_csv_text(rows), encoding="utf-8")
    return [*written, path]


def _settings(palette: Palette) -> dict[Any, Any]:
    ink = palette.ink
    return {
        "figure.facecolor": palette.background,
        "axes.facecolor": palette.background,
        "savefig.facecolor": palette.background,
        "savefig.transparent": False,
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "legend.fontsize": 8.5,
        "legend.title_fontsize": 8.5,
        "legend.frameon": False,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": palette.faint,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": palette.faint,
        "ytick.color": palette.faint,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "grid.color": palette.grid,
        "grid.linewidth": 0.7,
        "axes.axisbelow": True,
        "lines.linewidth": 1.5,
        "lines.markersize": 5,
        "svg.hashsalt": "syndrift",
        "svg.fonttype": "path",
        "axes.unicode_minus": True,
        "figure.constrained_layout.h_pad": 0.06,
        "figure.constrained_layout.w_pad": 0.06,
    }


def _write_words(figure: Figure, labels: Labels, palette: Palette) -> None:
    title = textwrap.fill(labels.title, int(figure.get_figwidth() * 10.6))
    figure.suptitle(title, x=0.012, ha="left", fontsize=11, fontweight="bold")
    if labels.caption:
        width = int(figure.get_figwidth() * 17)
        caption = labels.caption.replace(" %", "\u00a0%")  # no line begins with the sign
        figure.supxlabel(
            "\n".join(textwrap.wrap(caption, width)),
            x=0.012,
            ha="left",
            fontsize=8,
            color=palette.faint,
        )


def _csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV under the union of their keys; floats as Python writes them, nothing lost."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def plain_grid(axes: Axes) -> None:
    """A faint grid at the labelled ticks."""
    axes.grid(True, which="major")
    axes.tick_params(which="minor", length=2)


def log_axis(
    axis: Axis,
    low: float,
    high: float,
    *,
    wanted: Sequence[float] = (),
    text: Callable[[float], str] | None = None,
) -> None:
    """A logarithmic axis over [low, high] whose every label can be read.

    Labels stand at the `wanted` values where these are not too close, else at 1-2-5 or decades;
    `text` writes one, by default all plain or all as powers.
    """
    from matplotlib.ticker import FixedFormatter, FixedLocator

    ticks = sorted(set(wanted))
    room = math.log10(high / low) / 14
    if len(ticks) < 3 or any(math.log10(b / a) < room for a, b in itertools.pairwise(ticks)):
        ticks = _round_ticks(low, high)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    minor = [s * 10.0**e for e in decades for s in range(1, 10)]
    minor = [tick for tick in minor if low <= tick <= high and not _is_among(tick, ticks)]
    if text is None:
        text = plain_text if min(ticks) >= 0.999e-3 and max(ticks) < 1e4 else power_text
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter([text(tick) for tick in ticks]))
    axis.set_minor_locator(FixedLocator(minor))
    axis.set_minor_formatter(FixedFormatter([""] * len(minor)))


def _round_ticks(low: float, high: float) -> list[float]:
    """Some four to eight round values in [low, high]."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    every = 1 + int(math.log10(high / low)) // 8
    ticks: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 6, 8)):
        kept = [e for e in decades if e % every == 0 or len(steps) > 1]
        ticks = [s * 10.0**e for e in kept for s in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 4:
            break
    return ticks


def _is_among(value: float, ticks: Sequence[float]) -> bool:
    return any(math.isclose(value, tick, rel_tol=1e-6) for tick in ticks)


def plain_text(value: float) -> str:
    """A tick's label as a decimal number: 0.002."""
    return f"{value:.4g}"


def power_text(value: float) -> str:
    """A tick's label as a power: 10⁻⁴, 2 × 10⁻⁵."""
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = value / 10.0**exponent
    power = f"10^{{{exponent}}}"
    return f"${power}$" if math.isclose(factor, 1) else rf"${factor:.3g}\times{power}$"


def seconds_text(value: float) -> str:
    """A tick's label as a time: 20 µs, 3 ms."""
    for size, unit in ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms")):
        if value < 999.5 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} s"


def legend_column(figure: Figure, width: float = 0.3) -> tuple[Axes, Axes]:
    """Axes for the data, and empty ones to their right for the legends, which so cover no data."""
    axes, column = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1, width]})
    column.axis("off")
    return axes, column

"""Pictures of a calibration: every gate before and after, and what upkeep saves from drift."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from scripts.report.style import Labels, Palette, log_axis, plain_grid, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calib.campaign import Look
    from calib.judge import GateError

_FAR = 2.0  # times the coherence limit: beyond it something is wrong, and the title says what


def draw_gates(
    before: Sequence[GateError],
    after: Sequence[GateError],
    target: pathlib.Path,
    origin: str,
    failed: Collection[tuple[str, tuple[int, ...]]] = (),
) -> list[pathlib.Path]:
    """Infidelity of every gate at the start and now, over its coherence limit.

    `failed` names the experiments that did not come within tolerance, each with its qubits.
    """
    rows = [
        {"gate": now.gate, "qubits": _name(now), "at_start": was.infidelity,
         "now": now.infidelity, "coherence_limit": now.coherence_limit}
        for was, now in zip(before, after, strict=True)
    ]  # fmt: skip
    labels = Labels(
        gates_title(after, failed),
        "True average gate infidelity, leakage counted. Coherence limit: what T1 and T2 alone "
        f"cost qubits that idle for as long. {origin}.",
    )
    return save(lambda figure, palette: _paint_gates(before, after, figure, palette),
                target, labels, rows, (max(7.0, 0.36 * len(after) + 2), 4.5))  # fmt: skip


def gates_title(after: Sequence[GateError], failed: Collection[tuple[str, tuple[int, ...]]]) -> str:
    """How near its limit every gate is; where one is far from it, or a check failed, which."""
    worst = max(after, key=lambda error: error.ratio)
    title = f"Every gate is within {worst.ratio:.2f} times its coherence limit"
    if worst.ratio > _FAR:
        far = sum(error.ratio > _FAR for error in after)
        title = (
            f"{far} of {len(after)} gates are not near the coherence limit: "
            f"{worst.gate} on {_name(worst)} is at {worst.ratio:,.1f} times its own"
        )
    if failed:
        first, *others = sorted(failed)
        title += f". Not within tolerance: {first[0]} on {_on(first[1])}"
        title += f" and {len(others)} more" if others else ""
    return title


def _name(error: GateError) -> str:
    return _on(error.qubits)


def _on(qubits: Sequence[int]) -> str:
    return "-".join(f"q{qubit}" for qubit in qubits)


def _paint_gates(
    before: Sequence[GateError], after: Sequence[GateError], figure: Figure, palette: Palette
) -> None:
    axes = figure.add_subplot()
    places = range(len(after))
    colour = dict(zip(dict.fromkeys(e.gate for e in after), palette.kinds, strict=False))
    for place, was, now in zip(places, before, after, strict=True):
        ink = colour[now.gate]
        axes.plot([place] * 2, [was.infidelity, now.infidelity], color=palette.grid, zorder=1)
        axes.plot(place, was.infidelity, "o", markerfacecolor=palette.background, color=ink)
        axes.hlines(now.coherence_limit, place - 0.38, place + 0.38, color=palette.ink, lw=1.2)
        axes.plot(place, now.infidelity, "o", color=ink, zorder=3)  # over the line it is held to
    axes.set_yscale("log")
    found = [value for one in (*before, *after) for value in (one.infidelity, one.coherence_limit)]
    room = max(1.25, (max(found) / min(found)) ** 0.06)
    low, high = min(found) / room, max(found) * room
    decade = 10.0 ** math.floor(math.log10(low))
    low = 0.95 * decade if low < 3 * decade else low  # so that a label stands near the lowest dots
    axes.set_ylim(low, high)
    log_axis(axes.yaxis, low, high)
    names = [f"{_name(error)} {error.gate}" for error in after]
    room_in = (figure.get_figwidth() - 1.2) / len(names)
    ticks, turned = tick_names(names, room_in)
    axes.set_xticks(list(places), ticks, rotation=90 if turned else 0)
    axes.set_ylabel("average gate infidelity")
    _add_marks_legend(axes, palette)
    plain_grid(axes)


def tick_names(names: Sequence[str], room_in: float) -> tuple[list[str], bool]:
    """Names of two words as tick labels for so many inches each, and whether to turn them by 90°.

    On one line where that has room, else on two, else turned.
    """
    for joint in (" ", "\n"):
        labels = [name.replace(" ", joint) for name in names]
        longest = max(len(line) for label in labels for line in label.split("\n"))
        if 0.03 + 0.075 * longest <= room_in:  # a character of the tick labels' size in inches
            return labels, False
    return list(names), True


def _add_marks_legend(axes: Axes, palette: Palette) -> None:
    """What circle, dot and bar mean; the gates' names stand at the ticks."""
    ink = palette.faint
    axes.plot([], [], "o", markerfacecolor=palette.background, color=ink, label="at the start")
    axes.plot([], [], "o", color=ink, label="now")
    axes.plot([], [], color=palette.ink, lw=1.2, label="coherence limit")
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0))


def draw_upkeep(looks: Sequence[Look], target: pathlib.Path, origin: str) -> list[pathlib.Path]:
    """How far from the coherence limit the gates are in time: maintained, and left alone."""
    begin_s = looks[0].device_time_s
    rows = []
    for look in looks:
        for name, errors in (("maintained", look.maintained), ("left alone", look.left_alone)):
            ratios = [error.ratio for error in errors]
            rows.append({
                "hours": (look.device_time_s - begin_s) / 3600, "settings": name,
                "mean_ratio": sum(ratios) / len(ratios), "worst_ratio": max(ratios),
            })  # fmt: skip
    last = {row["settings"]: row for row in rows}
    labels = Labels(
        f"After {last['maintained']['hours']:.2g} h, gates are on average at "
        f"{last['maintained']['mean_ratio']:.2f} times the coherence limit, left alone at "
        f"{last['left alone']['mean_ratio']:.2f}",
        "True infidelity over the coherence limit of that moment, over all gates. Left alone: the "
        f"settings of the first bring-up on the same drift. {origin}.",
    )
    return save(lambda figure, palette: _paint_upkeep(rows, figure, palette), target, labels, rows)


def _paint_upkeep(rows: list[dict], figure: Figure, palette: Palette) -> None:
    axes = figure.add_subplot()
    # The lower curves are the wider ones: both are seen where they coincide.
    for name, colour, width in (
        ("left alone", palette.bad, 3.2),
        ("maintained", palette.good, 1.4),
    ):
        own = [row for row in rows if row["settings"] == name]
        hours = [row["hours"] for row in own]
        thin = 0.7 * width
        axes.plot(hours, [row["mean_ratio"] for row in own], color=colour, lw=width,
                  label=f"{name}, mean")  # fmt: skip
        axes.plot(hours, [row["worst_ratio"] for row in own], color=colour, lw=thin,
                  ls=(0, (4.5 / thin, 2 / thin)), label=f"{name}, worst gate")  # fmt: skip
    axes.axhline(1.0, color=palette.faint, lw=1.0)
    axes.set_yscale("log")
    ratios = [row[key] for row in rows for key in ("mean_ratio", "worst_ratio")]
    low, high = 0.97 * min(*ratios, 1.0), 1.05 * max(*ratios, 1.15)
    axes.set_ylim(low, high)
    log_axis(axes.yaxis, low, high, wanted=narrow_ticks(low, high))
    axes.set_xlabel("device time after bring-up (h)")
    axes.set_ylabel("infidelity / coherence limit")
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    plain_grid(axes)


def narrow_ticks(low: float, high: float) -> list[float]:
    """Evenly spaced ticks where a logarithmic axis covers less than a factor of two, else none."""
    from matplotlib.ticker import MaxNLocator

    if high >= 2 * low:
        return []
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]

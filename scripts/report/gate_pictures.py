"""Pictures of a calibration: every gate before and after, and what upkeep saves from drift."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scripts.report.style import Labels, Palette, plain_grid, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from calib.campaign import Look
    from calib.judge import GateError


def draw_gates(
    before: Sequence[GateError], after: Sequence[GateError], target: pathlib.Path, origin: str
) -> list[pathlib.Path]:
    """Infidelity of every gate at the start and now, over its coherence limit."""
    rows = [
        {"gate": now.gate, "qubits": _name(now), "at_start": was.infidelity,
         "now": now.infidelity, "coherence_limit": now.coherence_limit}
        for was, now in zip(before, after, strict=True)
    ]  # fmt: skip
    worst = max(after, key=lambda error: error.ratio)
    labels = Labels(
        f"Every gate is within {worst.ratio:.2f} times its coherence limit",
        "True average gate infidelity, leakage counted. Circles: at the start; dots: now; bars: "
        f"what T1 and T2 alone cost qubits that idle for as long. {origin}.",
    )
    return save(lambda figure, palette: _paint_gates(before, after, figure, palette),
                target, labels, rows, (max(7.0, 0.36 * len(after) + 2), 4.5))  # fmt: skip


def _name(error: GateError) -> str:
    return "-".join(f"q{qubit}" for qubit in error.qubits)


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
        axes.plot(place, now.infidelity, "o", color=ink)
        axes.hlines(now.coherence_limit, place - 0.38, place + 0.38, color=palette.ink, lw=1.2)
    for gate, ink in colour.items():
        axes.plot([], [], "o", color=ink, label=gate)
    axes.set_yscale("log")
    axes.set_xticks(list(places), [_name(error) for error in after], rotation=90)
    axes.set_ylabel("average gate infidelity")
    axes.legend(ncols=len(colour), loc="upper left", bbox_to_anchor=(0.0, 1.1))
    plain_grid(axes)


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
        f"After {last['maintained']['hours']:.0f} h of drift, gates are on average at "
        f"{last['maintained']['mean_ratio']:.2f} times the coherence limit, left alone at "
        f"{last['left alone']['mean_ratio']:.2f}",
        "True infidelity over the coherence limit of that moment, over all gates. Left alone: the "
        f"settings of the first bring-up on the same drift. {origin}.",
    )
    return save(lambda figure, palette: _paint_upkeep(rows, figure, palette), target, labels, rows)


def _paint_upkeep(rows: list[dict], figure: Figure, palette: Palette) -> None:
    axes = figure.add_subplot()
    for name, colour in (("left alone", palette.bad), ("maintained", palette.good)):
        own = [row for row in rows if row["settings"] == name]
        hours = [row["hours"] for row in own]
        axes.plot(hours, [row["mean_ratio"] for row in own], color=colour, label=f"{name}, mean")
        axes.plot(hours, [row["worst_ratio"] for row in own], color=colour, lw=1.0, ls=(0, (4, 2)),
                  label=f"{name}, worst gate")  # fmt: skip
    axes.axhline(1.0, color=palette.faint, lw=1.0)
    axes.set_yscale("log")
    axes.set_xlabel("device time after bring-up (h)")
    axes.set_ylabel("infidelity / coherence limit")
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    plain_grid(axes)

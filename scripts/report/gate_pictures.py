"""Pictures of a calibration: every gate before and after, and what upkeep saves from drift."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from scripts.report.style import Labels, Palette, log_axis, plain_grid, save

if TYPE_CHECKING:
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
        "True average gate infidelity, leakage counted. Circles: at the start; dots: now; bars: "
        f"what T1 and T2 alone cost qubits that idle for as long. {origin}.",
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
        axes.plot(place, now.infidelity, "o", color=ink)
        axes.hlines(now.coherence_limit, place - 0.38, place + 0.38, color=palette.ink, lw=1.2)
    for gate, ink in colour.items():
        axes.plot([], [], "o", color=ink, label=gate)
    axes.set_yscale("log")
    found = [value for one in (*before, *after) for value in (one.infidelity, one.coherence_limit)]
    low, high = 0.8 * min(found), 1.25 * max(found)
    axes.set_ylim(low, high)
    log_axis(axes.yaxis, low, high)
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
        f"After {last['maintained']['hours']:.2g} h of drift, gates are on average at "
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
    ratios = [row[key] for row in rows for key in ("mean_ratio", "worst_ratio")]
    low, high = 0.97 * min(*ratios, 1.0), 1.05 * max(*ratios, 1.15)
    axes.set_ylim(low, high)
    log_axis(axes.yaxis, low, high)
    axes.set_xlabel("device time after bring-up (h)")
    axes.set_ylabel("infidelity / coherence limit")
    axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    plain_grid(axes)

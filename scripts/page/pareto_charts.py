"""Accuracy against time: decoders at one point, the front of those that none beats in both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scripts.page.figures import Axis, Chart, Curve
from scripts.report.figures import confidence_text, seeds_text, shots_text
from scripts.report.rows import Family, TimePoint, noise_text
from scripts.report.style import seconds_text

if TYPE_CHECKING:
    from decoders.evaluate import Row

# Below so many errors a decoder's place in a picture of accuracy is luck.
ENOUGH_ERRORS = 10
FRONT = "front: none is faster and better"


def pareto_charts(points: Sequence[TimePoint], where: str, *, is_alone: bool = True) -> list[Chart]:
    """Logical error rate against the time of one shot, and against that in batches.

    Where it was counted stands in the titles, or in the captions if this is the only place.
    """
    measured: dict[tuple[str, str], Callable[[TimePoint], float | None]] = {
        ("One shot at a time", "median time of one shot a call"): lambda point: point.median_s,
        ("In batches", "mean time a shot in batches"): lambda point: point.batched_s,
    }
    charts = []
    for (title, label), time_of in measured.items():
        chart = _chart(points, time_of, Axis(label, "log", "seconds"))
        if chart and is_alone:
            caption = "; ".join(filter(None, (where, chart.caption)))
            charts.append(dataclasses.replace(chart, title=title, caption=caption))
        elif chart:
            charts.append(dataclasses.replace(chart, title=f"{title}: {where}"))
    return charts


def _chart(
    points: Sequence[TimePoint], time_of: Callable[[TimePoint], float | None], axis: Axis
) -> Chart | None:
    timed = [(time, point) for point in points if (time := time_of(point))]
    if len(timed) < 2:  # nothing to weigh
        return None
    shown = [point for _, point in timed]
    curves = [
        Curve(point.decoder, [time], [point.rate], [point.low], [point.high], mark="points",
              notes=[_note(point)])
        for time, point in timed
    ]  # fmt: skip
    best = front(timed)
    caption = (f"{shots_text(shown)} shots, {seeds_text(shown)}; bars: {confidence_text(shown)} "
               "intervals of the logical error rate. Down and left is better.")  # fmt: skip
    # Drawn first, so that its corners hide no decoder; always, so that colours stay the same.
    times, rates = zip(*best, strict=True)
    curves.insert(0, Curve(FRONT, times, rates, mark="step", dashed=True))
    if len(best) == 1:
        first = min(timed, key=lambda one: one[0])[1]
        caption += f" {first.decoder} is the fastest, and none errs less."
    return Chart("", caption, axis, Axis("logical error rate a shot", "log"), curves)


def front(timed: Sequence[tuple[float, TimePoint]]) -> list[tuple[float, float]]:
    """Times and rates of the points that no other beats in both, the fastest first.

    A point without errors stands at its upper bound.
    """
    best: list[tuple[float, float]] = []
    places = [(time, point.high if point.is_bound else point.rate) for time, point in timed]
    for time, rate in sorted(places):
        if not best or rate < best[-1][1]:
            best.append((time, rate))
    return best


def _note(point: TimePoint) -> str:
    slowest = f"; 99 % of single shots within {seconds_text(point.p99_s)}" if point.p99_s else ""
    return f"{point.errors:,} of {point.shots:,} shots failed{slowest}"


def telling(rows: Sequence[Row]) -> list[Row]:
    """All decoders at the most telling point of the largest distance.

    It is that of the smallest p at which each erred often enough; else that of the most errors.
    """
    counted = [row for row in rows if row.shots]
    largest = max((row.point.distance or 0 for row in counted), default=0)
    places: dict[tuple[float, int, str, str], list[Row]] = {}
    for row in counted:
        if (row.point.distance or 0) == largest:
            noise = " ".join(f"{key}={value}" for key, value in row.point.noise.items())
            key = (row.point.p or math.inf, row.point.rounds or 0, noise, row.point.source)
            places.setdefault(key, []).append(row)
    most = max((len(members) for members in places.values()), default=0)
    full = [key for key, members in sorted(places.items()) if len(members) == most]
    enough = [key for key in full if _errors(places[key]) >= ENOUGH_ERRORS]
    if not full:
        return []
    return places[enough[0] if enough else max(full, key=lambda key: _errors(places[key]))]


def _errors(rows: Sequence[Row]) -> int:
    """Of the decoder with the fewest."""
    return min(row.errors + row.declined for row in rows)


def place(row: Row, *, with_code: bool = True) -> str:
    """Where a row was counted, in words."""
    point = row.point
    family = Family(point.code, point.basis, noise_text(point.noise), ())
    rounds = f"{point.rounds} round{'s' * (point.rounds != 1)}" if point.rounds else ""
    parts = [
        family.title if with_code else "",
        f"d = {point.distance}" if point.distance else "",
        rounds,
        f"p = {point.p:g}" if point.p else "",
        point.source,
    ]
    return ", ".join(filter(None, parts))

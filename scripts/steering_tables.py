"""What a steered run was worth, as rows and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from envs.agents.steerers.course import Course, SteerConfig

# The first quarter of a run is left out of all means: what steering finds, it must first look for.
_SETTLING = 4


def settled(course: Course) -> slice:
    """The epochs that count."""
    return slice(len(course.times_s) // _SETTLING, None)


def figures(course: Course) -> dict[str, Any]:
    """Means over all epochs after the first quarter; LERs with their intervals."""
    from envs.agents.steerers.judge import EXPECTED, score

    expected = course.expected[settled(course)]
    return {
        "detections_a_cycle": dict(zip(EXPECTED, expected.mean(axis=0).tolist(), strict=True)),
        "score_exploring": _known(score(expected)),
        "score_steered": _known(score(expected, "steered")),
        "halted": float(course.halted[settled(course)].mean()),
        "ler": {who: ler for who in EXPECTED if (ler := _ler(course, who))},
        "rolled_back_at": list(course.rolled_back),
    }  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ler(course: Course, who: str) -> dict[str, Any] | None:
    """Of all counts after the first quarter together; and how much it went up and down."""
    from decoders.statistics import binomial_interval

    rows = course.lers(who)
    rows = rows[rows[:, 0] >= len(course.times_s) // _SETTLING]
    if not len(rows):
        return None
    shots, errors = (int(one) for one in rows[:, 1:].sum(axis=0))
    low, high = binomial_interval(errors, shots)
    return {"shots": shots, "errors": errors, "ler": errors / shots, "interval": [low, high],
            "standard_deviation": spread_over_time(rows)}  # fmt: skip


def spread_over_time(rows: Any) -> float:
    """Standard deviation of the LER over counts (epoch, shots, errors), less that of counting."""
    shots, errors = rows[:, 1].astype(float), rows[:, 2].astype(float)
    if len(rows) < 2:
        return 0.0
    rates = errors / shots
    counting = float(np.mean(rates * (1 - rates) / shots))
    return float(np.sqrt(max(0.0, float(np.var(rates, ddof=1)) - counting)))


def table(courses: Mapping[str, Course], config: SteerConfig) -> str:
    """A line for each steerer, and for what none can do better or worse."""
    from scripts.table import aligned

    header = ["", "score exploring", "score steered", "detections a cycle", "halted"]
    header += ["LER a shot", "95 % interval"] if config.ler else []
    lines: list[list[str]] = []
    for name, course in courses.items():
        found = figures(course)
        title = config.steerer.kind if name == "steerer" else name
        cells = [title, _score(found["score_exploring"]), _score(found["score_steered"]),
                 f"{found['detections_a_cycle']['exploring']:.4f}",
                 f"{100 * found['halted']:.1f} %"]  # fmt: skip
        lines.append(cells + (_ler_cells(found, "exploring") if config.ler else []))
    found = figures(courses["steerer"])
    for who, score in (("untouched", "0"), ("best", "1")):
        rate = f"{found['detections_a_cycle'][who]:.4f}"
        lines.append([who, score, score, rate, "0.0 %"])
        lines[-1] += _ler_cells(found, who) if config.ler else []
    return aligned(header, lines)


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _ler_cells(found: Mapping[str, Any], who: str) -> list[str]:
    if who not in found["ler"]:
        return ["-", "-"]
    one = found["ler"][who]
    low, high = one["interval"]
    return [f"{one['ler']:.3e}", f"[{low:.3e}, {high:.3e}]"]


def warnings(course: Course, config: SteerConfig) -> list[str]:
    """What a user must know: rolled back, at a bound, fewer detections but more logical errors."""
    found: list[str] = []
    if course.rolled_back:
        found.append(f"rolled back at epoch {', '.join(map(str, course.rolled_back))}: "
                     "detections had risen by more than guard.worse")  # fmt: skip
    share = float(np.mean(np.abs(course.settings[-1]) >= 0.999 * config.environment.bound))
    if share:
        found.append(f"{100 * share:.1f} % of the controls are at environment.bound "
                     f"({config.environment.bound:g}): raise it, if the device allows")  # fmt: skip
    found += [
        f"CAUGHT at epoch {epoch}: fewer detections than untouched, but more logical errors "
        "(p < 0.01): the detectors do not see what was done"
        for epoch in caught(course)
    ]
    return found


def caught(course: Course) -> list[int]:
    """Epochs in which detections fell and logical errors rose, with p < 0.01 for the latter."""
    from scipy.stats import fisher_exact

    found = []
    for steered, untouched in zip(course.lers("steered"), course.lers("untouched"), strict=True):
        (epoch, shots, errors), (_, others, before) = steered.tolist(), untouched.tolist()
        fell = course.expected[epoch, 1] < course.expected[epoch, 2]
        if not fell or errors / shots <= before / others:
            continue
        test: Any = fisher_exact([[errors, shots - errors], [before, others - before]], "greater")
        if test.pvalue < 0.01:
            found.append(int(epoch))
    return found


def epoch_rows(courses: Mapping[str, Course]) -> list[dict[str, Any]]:
    """One row an epoch and steerer."""
    from envs.agents.steerers.judge import EXPECTED

    return [
        {"steerer": name, "epoch": epoch, "time_s": float(course.times_s[epoch]),
         "halted": float(course.halted[epoch]),
         **dict(zip(EXPECTED, course.expected[epoch].tolist(), strict=True))}
        for name, course in courses.items() for epoch in range(len(course.times_s))
    ]  # fmt: skip


def ler_rows(courses: Mapping[str, Course]) -> list[dict[str, Any]]:
    """One row a count."""
    return [{"steerer": name, **one._asdict()} for name, course in courses.items()
            for one in course.counts]  # fmt: skip


def knob_rows(course: Course) -> list[dict[str, Any]]:
    """The settings held best, one row for each epoch that was kept, a column for each control."""
    return [{"epoch": number * course.stride, **dict(zip(course.controls, row, strict=True))}
            for number, row in enumerate(course.settings.round(5).tolist())]  # fmt: skip

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
    """Means over all epochs after the first quarter; LERs with their intervals.

    A cycle is one that ran, and while the code is halted nothing is won. Leakage is told where the
    plant has any.
    """
    from envs.agents.steerers.judge import EXPECTED, score

    expected, halted = course.expected[settled(course)], course.halted[settled(course)]
    found = {
        "detections_a_cycle": _while_running(course, course.expected),
        "score_exploring": _known(score(expected, "exploring", halted)),
        "score_steered": _known(score(expected, "steered", halted)),
        "halted": float(halted.mean()),
        "ler": {who: ler for who in EXPECTED if (ler := _ler(course, who))},
        "rolled_back_at": list(course.rolled_back),
        "recalibrated_at": list(course.recalibrated),
    }
    if course.leakage.any():
        found["leakage_a_gate"] = _while_running(course, course.leakage)
        found["rolled_back_for_leakage_at"] = list(course.leaked)
    return found


def _while_running(course: Course, values: Any) -> dict[str, float | None]:
    from envs.agents.steerers.judge import EXPECTED, while_running

    means = while_running(values[settled(course)], course.halted[settled(course)])
    return dict(zip(EXPECTED, map(_known, means.tolist()), strict=True))


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
    leaks = courses["steerer"].leakage.any()
    header += ["leakage a gate"] if leaks else []
    header += ["LER a shot", "95 % interval"] if config.ler else []
    lines: list[list[str]] = []
    for name, course in courses.items():
        found = figures(course)
        title = config.steerer.kind if name == "steerer" else name
        cells = [title, _number(found["score_exploring"], ".3f"),
                 _number(found["score_steered"], ".3f"),
                 _number(found["detections_a_cycle"]["exploring"], ".4f"),
                 f"{100 * found['halted']:.1f} %"]  # fmt: skip
        cells += _leakage_cells(found, "exploring") if leaks else []
        lines.append(cells + (_ler_cells(found, "exploring") if config.ler else []))
    found = figures(courses["steerer"])
    for who, score in (("untouched", "0"), ("best", "1")):
        rate = _number(found["detections_a_cycle"][who], ".4f")
        lines.append([who, score, score, rate, "0.0 %"])
        lines[-1] += _leakage_cells(found, who) if leaks else []
        lines[-1] += _ler_cells(found, who) if config.ler else []
    return aligned(header, lines)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _leakage_cells(found: Mapping[str, Any], who: str) -> list[str]:
    return [_number(found.get("leakage_a_gate", {}).get(who), ".1e")]


def _ler_cells(found: Mapping[str, Any], who: str) -> list[str]:
    if who not in found["ler"]:
        return ["-", "-"]
    one = found["ler"][who]
    low, high = one["interval"]
    return [f"{one['ler']:.3e}", f"[{low:.3e}, {high:.3e}]"]


def warnings(course: Course, config: SteerConfig) -> list[str]:
    """What a user must know: rolled back, halted, at a bound, and who is caught."""
    found: list[str] = []
    whys = {
        "rolled back at epoch {}: detections had risen by more than guard.worse": [
            epoch for epoch in course.rolled_back if epoch not in course.leaked
        ],
        "rolled back at epoch {}: leakage had risen by more than guard.leakier": course.leaked,
        "halted for a calibration at epoch {}: it was worth it by recalibration.price, and "
        "the score counts a halted epoch as untouched": course.recalibrated,
    }
    found += [why.format(", ".join(map(str, when))) for why, when in whys.items() if when]
    share = float(np.mean(np.abs(course.settings[-1]) >= 0.999 * config.environment.bound))
    if share:
        found.append(f"{100 * share:.1f} % of the controls are at environment.bound "
                     f"({config.environment.bound:g}): raise it, if the device allows")  # fmt: skip
    found += [
        f"CAUGHT at epoch {epoch}: fewer detections than untouched, but more logical errors "
        "(p < 0.01): the detectors do not see what was done"
        for epoch in caught(course)
    ]
    if (times := leaks_more(course, config)) is not None:
        found.append(f"CAUGHT: fewer detections than untouched, but {times:.2g} times the leakage: "
                     "the detectors do not see what was done")  # fmt: skip
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


def leaks_more(course: Course, config: SteerConfig) -> float | None:
    """How many times as much leaks as untouched, if more does while detections fell, surely.

    Means of the settings held best after the first quarter. It is sure if as many shots as the run
    had would show it with p < 0.01 on one qubit alone.
    """
    from envs.agents.steerers.guard import surely_more

    means = [_while_running(course, values) for values in (course.expected, course.leakage)]
    (fell, before), (leaks, less) = ([one["steered"], one["untouched"]] for one in means)
    if fell is None or before is None or leaks is None or less is None or fell >= before:
        return None
    runs = float((1 - course.halted[settled(course)]).sum())
    shots = config.candidates * config.environment.shots * runs
    if not surely_more(shots * leaks, shots * less, 0.0, chance=0.01):
        return None
    return leaks / less if less else math.inf


def epoch_rows(courses: Mapping[str, Course]) -> list[dict[str, Any]]:
    """One row an epoch and steerer; with leakages where the plant has any."""
    from envs.agents.steerers.judge import EXPECTED

    leaks = any(one.leakage.any() for one in courses.values())
    leakages = [f"leakage_{who}" for who in EXPECTED]
    return [
        {"steerer": name, "epoch": epoch, "time_s": float(course.times_s[epoch]),
         "halted": float(course.halted[epoch]),
         **dict(zip(EXPECTED, course.expected[epoch].tolist(), strict=True)),
         **(dict(zip(leakages, course.leakage[epoch].tolist(), strict=True)) if leaks else {})}
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

"""The report of `syndrift calibrate`: the gates, their upkeep, every step, and what was changed."""

from __future__ import annotations

import itertools
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scripts.page.calibrated_history import history_section
from scripts.page.calibrated_run import CalibratedRun, gate_name, on, read_run
from scripts.page.calibrated_steps import steps_section
from scripts.page.figures import Axis, Bars, Chart, Curve, Figure, HeatMap, Line, Section, Table
from scripts.page.run_files import read_config, read_table
from scripts.page.time_units import time_names, time_text, time_unit

if TYPE_CHECKING:
    from calib.journal import Look
    from calib.judge import GateError

_MOST_GATES = 10  # that have bars of their own, those farthest from their limits
_MOST_CURVES = 8  # gates of one kind in a chart
_MOST_ROWS = 200  # gates of a heat map


def title(folder: pathlib.Path) -> str:
    """The heading."""
    return str(read_config(folder).get("title", "Calibration"))


def sections(folder: pathlib.Path) -> list[Section]:
    """The gates before and after, upkeep, the steps, the settings, and the history."""
    from scripts.extras import need_extra

    need_extra("the report of a calibration", "device", "qiskit_experiments", "torch")
    run = read_run(folder)
    if not run.before:
        return [Section("Nothing yet", ["The run has measured nothing yet."])]
    found = [_gates(run)]
    if len({look.device_time_s for look in run.looks}) > 1:
        found.append(_upkeep(run))
    if run.steps:
        found.append(steps_section(run))
    return [*found, *_settings(run), *history_section(run)]


# --- the gates ---


def _gates(run: CalibratedRun) -> Section:
    words = [*_state(run), _gates_text(run), _cost(run)]
    figures: list[Figure] = [_bars(run)] if run.looks else []
    return Section("The gates", [one for one in words if one], [*figures, _gate_table(run)])


def _state(run: CalibratedRun) -> list[str]:
    if run.result is not None:
        return []
    hours = float(run.config.get("hours", 0.0))
    if run.up is None:
        return [f"This run is under way, or was stopped: it is bringing the device up, with "
                f"{len(run.steps):,} experiments so far."]  # fmt: skip
    kept_h = (run.looks[-1].device_time_s - run.up.device_time_s) / 3600 if run.looks else 0.0
    return [f"This run is under way, or was stopped: the device was brought up, and kept for "
            f"{kept_h:.3g} of {hours:g} hours."]  # fmt: skip


def _gates_text(run: CalibratedRun) -> str:
    from scripts.report.gate_pictures import gates_title

    if not run.looks:
        return "How good the gates are is looked at when the device was brought up."
    return f"{gates_title(run.looks[-1].maintained, run.failed)}."


def _cost(run: CalibratedRun) -> str:
    if run.up is None:
        return ""
    up, total = run.up.spent, run.spent
    text = (f"It was brought up with {up.shots:,} shots in {time_text(up.device_time_s)} of device "
            "time")  # fmt: skip
    if total.shots > up.shots:
        text += (f", and kept with {total.shots - up.shots:,} more in "
                 f"{time_text(total.device_time_s - up.device_time_s)}")  # fmt: skip
    return f"{text}; {len(run.steps):,} experiments in all."


def _bars(run: CalibratedRun) -> Bars:
    """Each gate at the start, now, and what coherence allows; the worst now stand first."""
    pairs = list(zip(run.before, run.looks[-1].maintained, strict=True))
    pairs.sort(key=lambda pair: -pair[1].ratio)
    names, values, parts = [], [], []
    for was, now in pairs[:_MOST_GATES]:
        for part, value in (("at the start", was.infidelity), ("now", now.infidelity),
                            ("coherence limit", now.coherence_limit)):  # fmt: skip
            names.append(f"{gate_name(now)}, {part}")
            values.append(value)
            parts.append(part)
    few = f" The {_MOST_GATES} of {len(pairs)} gates that are farthest from it."
    caption = ("True average gate infidelity, leakage counted. Coherence limit: what T1 and T2 "
               f"alone cost qubits that idle for as long.{few * (len(pairs) > _MOST_GATES)} "
               f"{run.origin}")  # fmt: skip
    axis = Axis("average gate infidelity", "log")
    return Bars("Every gate before and after", caption, axis, names, values, parts=parts)


def _gate_table(run: CalibratedRun) -> Table:
    after = run.looks[-1].maintained if run.looks else (None,) * len(run.before)
    rows = []
    for was, now in zip(run.before, after, strict=True):
        cells = ("–",) * 4 if now is None else (
            f"{now.infidelity:.2e}", f"{now.coherence_limit:.2e}", f"{now.ratio:.2f}",
            f"{now.leakage:.1e}",
        )  # fmt: skip
        rows.append((gate_name(was), f"{was.infidelity:.2e}", *cells))
    head = ("gate", "infidelity at the start", "now", "coherence limit", "ratio", "leakage")
    return Table("Gates", "Ratio: infidelity now over its coherence limit.", head, rows)


# --- upkeep ---


def _upkeep(run: CalibratedRun) -> Section:
    hours = _hours(run)
    unit, unit_s = time_unit(3600 * (hours[-1] - hours[0]))
    times = [3600 * hour / unit_s for hour in hours]
    axis = Axis(f"device time after the bring-up ({unit})")
    figures: list[Figure] = [_ratios(run, axis, times)]
    done = _done(run)
    looks, after = [run.looks[k] for k in done], [times[k] for k in done]
    for kind in dict.fromkeys(error.gate for error in run.looks[0].maintained):
        figures.append(_kind(run, looks, axis, after, kind))
    figures += _maps(looks, axis.label, time_names(after))
    return Section("Kept while it drifts", _upkeep_words(run), figures)


def _done(run: CalibratedRun) -> list[int]:
    """The looks that came after what was due was measured: then the device was left for a while.

    Each time there is one look before that, and one after it.
    """
    times_s = [look.device_time_s for look in run.looks]
    while_s = 60 * float(run.config.get("every_minutes", 0.0)) / 2
    gaps_s = [later - time_s for time_s, later in itertools.pairwise(times_s)]
    return [*(k for k, gap_s in enumerate(gaps_s) if gap_s >= while_s), len(times_s) - 1]


def _hours(run: CalibratedRun) -> list[float]:
    """Device time of the looks since the bring-up."""
    begin_s = run.up.device_time_s if run.up else run.looks[0].device_time_s
    return [(look.device_time_s - begin_s) / 3600 for look in run.looks]


def _upkeep_words(run: CalibratedRun) -> list[str]:
    last, span_s = run.looks[-1], 3600 * _hours(run)[-1]
    kept, alone = (_mean(errors) for errors in (last.maintained, last.left_alone))
    worst = max(last.left_alone, key=lambda error: error.ratio)
    begin_s = run.up.device_time_s if run.up else 0.0
    later = [step for step in run.steps if step.device_time_s > begin_s]
    moved = Counter(step.node for step in later if step.verdict == "corrected")
    most = ", ".join(f"{name} ({count})" for name, count in moved.most_common(4))
    words = [
        f"After {time_text(span_s)} the gates are on average at {kept:.2f} times their "
        f"coherence limits. Left alone since the bring-up, on the same drift, they would be "
        f"at {alone:.2f}; worst would be {gate_name(worst)}, at {worst.ratio:.2f}."
    ]
    if later:
        corrected = f"{moved.total():,} of them moved a knob, most often {most}" if moved else (
            "none of them had to move a knob")  # fmt: skip
        words.append(f"Upkeep took {len(later):,} experiments; {corrected}.")
    return words


def _mean(errors: Sequence[GateError]) -> float:
    return sum(error.ratio for error in errors) / len(errors)


def _ratios(run: CalibratedRun, axis: Axis, times: Sequence[float]) -> Chart:
    curves = []
    for name, which in (("maintained", "maintained"), ("left alone", "left_alone")):
        each = [getattr(look, which) for look in run.looks]
        curves.append(Curve(f"{name}, mean", times, [_mean(errors) for errors in each],
                            group=name))  # fmt: skip
        worst = [max(errors, key=lambda error: error.ratio) for errors in each]
        curves.append(Curve(f"{name}, worst gate", times, [one.ratio for one in worst], group=name,
                            dashed=True, notes=[gate_name(one) for one in worst]))  # fmt: skip
    caption = ("True infidelity over the coherence limit of that moment, over all gates. Left "
               "alone: the settings of the bring-up on the same drift. Twice at each look: before "
               f"and after what was due was measured. {run.origin}")  # fmt: skip
    return Chart("What upkeep saves", caption, axis, Axis("infidelity / coherence limit", "log"),
                 curves, [Line("y", 1.0, "coherence limit")])  # fmt: skip


def _kind(
    run: CalibratedRun, looks: Sequence[Look], axis: Axis, times: Sequence[float], kind: str
) -> Chart:
    """All gates of one kind, as maintained, against the limits of their own."""
    tracks = [[error for error in look.maintained if error.gate == kind] for look in looks]
    worst = sorted(range(len(tracks[0])), key=lambda k: -max(each[k].ratio for each in tracks))
    curves = []
    for k in sorted(worst[:_MOST_CURVES]):
        own = [each[k] for each in tracks]
        name = on(own[0].qubits)
        limits = [one.coherence_limit for one in own]
        curves.append(Curve(name, times, [one.infidelity for one in own], group=name))
        curves.append(Curve(f"{name}, coherence limit", times, limits, group=name, dashed=True))
    few = "" if len(worst) <= _MOST_CURVES else (
        f"The {_MOST_CURVES} of {len(worst)} that were farthest from it. ")  # fmt: skip
    caption = (f"Maintained, after what was due was measured; dashed is what T1 and T2 of that "
               f"moment allow. {few}{run.origin}")  # fmt: skip
    return Chart(f"{kind}: infidelity and coherence limit", caption, axis,
                 Axis("average gate infidelity", "log"), curves)  # fmt: skip


def _maps(looks: Sequence[Look], label: str, columns: Sequence[str]) -> list[HeatMap]:
    """Every gate's ratio as maintained and as left alone, on one scale of colours."""
    kept, alone = ([getattr(look, which) for look in looks]
                   for which in ("maintained", "left_alone"))  # fmt: skip
    ratios = [error.ratio for errors in (*kept, *alone) for error in errors]
    value = Axis("infidelity / coherence limit", "log", low=min(ratios), high=max(ratios))
    order = range(len(alone[0]))
    if len(order) > _MOST_ROWS:
        worst = sorted(order, key=lambda k: -max(each[k].ratio for each in alone))
        order = sorted(worst[:_MOST_ROWS])
    caption = "Infidelity over its coherence limit, after what was due was measured."
    names = [gate_name(alone[0][k]) for k in order]
    return [
        HeatMap(f"Gates {name}", caption, value, "gate", label, names, columns,
                [[float(f"{each[k].ratio:.4g}") for each in errors] for k in order])
        for name, errors in (("maintained", kept), ("left alone", alone))
    ]  # fmt: skip


# --- settings ---


def _settings(run: CalibratedRun) -> list[Section]:
    from scripts.calibration_tables import uncertainty_text, value_text

    rows = []
    for one in read_table(run.folder / "settings.csv"):
        sigma = float(one["uncertainty"]) if one["uncertainty"] else None
        old, new = (value_text(float(one[key]), sigma) for key in ("old", "new"))
        rows.append((one["knob"], old, new, f"{float(one['difference']):+.3g}",
                     uncertainty_text(sigma), one["status"], one["by"]))  # fmt: skip
    if not rows:
        return []
    moved = sum(old != new for _, old, new, *_ in rows)
    good = sum(row[5] == "in tolerance" for row in rows)
    words = [f"{moved} of {len(rows)} settings are not what they were at the start; of {good} the "
             "last experiment found them in tolerance."]  # fmt: skip
    head = ("knob", "old", "new", "difference", "uncertainty", "status", "by")
    table = Table("Settings", "Uncertainty: one standard deviation, where one is known. Status: "
                  "the last verdict of the experiment that sets the knob.", head, rows)  # fmt: skip
    return [Section("What was changed", words, [table])]

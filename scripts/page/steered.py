"""The report of `syndrift steer`: what was won, over time, and knob by knob; and of its sweeps."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.page.figures import Axis, Chart, Curve, Line, Number, Section, Table
from scripts.page.run_files import read_config
from scripts.page.steered_courses import Floats, SteeredRun, read_run
from scripts.page.time_units import time_text, time_unit

if TYPE_CHECKING:
    pass

_MOST_POINTS = 400  # of a curve: beyond, means of neighbours
_EXPECTED = ("exploring", "steered", "untouched", "best")
_SIMULATED = (
    "All of it is simulated. Untouched are the settings that the run began with, best is the "
    "hidden optimum, which no agent sees; the score is 0 at the one and 1 at the other."
)


def title(folder: pathlib.Path) -> str:
    """The heading."""
    config = read_config(folder)
    said = config.get("title") or config.get("unbound", {}).get("title")
    return str(said or config.get("recipe", {}).get("title") or "Steering by detection events")


def sections(folder: pathlib.Path) -> list[Section]:
    """What was won, detections and errors over time, knob by knob; or what a sweep found."""
    from scripts.extras import need_extra

    need_extra("the report of a steered run", "agents", "gymnasium", "stable_baselines3",
               "torch")  # fmt: skip
    if "over" in read_config(folder):
        from scripts.page.steered_over import sections_over

        return sections_over(folder)
    from scripts.page.steered_knobs import knob_section

    run = read_run(folder)
    if "steerer" not in run.courses:
        words = "Nothing was saved yet: there are results from the first save on, or at the end."
        return [Section("Nothing yet", [_what_runs(run), words])]
    found = [_won(run), _over_time(run)]
    if any(course.counts for course in run.courses.values()):
        found.append(_logical_errors(run))
    return [*found, knob_section(run), *_events(run)]


# --- what was won ---


def _won(run: SteeredRun) -> Section:
    words = [*_state(run), f"{_what_runs(run)} {_SIMULATED}", _won_text(run), *_warnings(run)]
    return Section("What steering won", words, [_scores(run)])


def _state(run: SteeredRun) -> list[str]:
    """How far a run is that has not ended."""
    if run.is_finished:
        return []
    epochs = run.config["epochs"]
    parts = [f"{run.name_of(name)} has done {len(run.courses[name].times_s):,} of {epochs:,} epochs"
             if name in run.courses else f"{run.name_of(name)} has saved nothing yet"
             for name in run.steerers]  # fmt: skip
    return [f"This run is under way, or was stopped. By the last save {', '.join(parts)}."]


def _what_runs(run: SteeredRun) -> str:
    config, environment = run.config, run.config["environment"]
    memory, course = environment["memory"], run.courses.get("steerer")
    what = (pathlib.Path(memory["circuit"]).name if "circuit" in memory
            else f"a {memory['code']} code of distance {memory['distance']}")  # fmt: skip
    controls = f"the {len(course.controls):,} controls of " if course and course.controls else ""
    span = time_text(config["epochs"] * environment["epoch_s"])
    return (f"{run.name_of('steerer')} steers {controls}{what} by its detection events, for "
            f"{config['epochs']:,} epochs in {span}. In each it tries {config['candidates']} "
            f"settings for {environment['cycles']:,} cycles; seed {config['seed']}.")  # fmt: skip


def _won_text(run: SteeredRun) -> str:
    """In words what the first line of the table says."""
    from scripts.steering_tables import figures

    found = figures(run.courses["steerer"])
    rates, score = found["detections_a_cycle"], found["score_exploring"]
    if score is None or rates["exploring"] is None:
        return "Nothing could be won by steering, or the code never ran."
    text = (f"After the first quarter, the settings tried made {rates['exploring']:.4g} detection "
            f"events a cycle: untouched there were {rates['untouched']:.4g}, and none can make "
            f"fewer than {rates['best']:.4g}. ")  # fmt: skip
    text += (f"So {100 * score:.1f} % of what could be won was won while it ran." if score > 0
             else "So it cost more than it won.")  # fmt: skip
    return text + _errors_text(found["ler"])


def _errors_text(ler: Mapping[str, Any]) -> str:
    from scripts.steering_over_tables import lowered

    counts = [(ler[who]["errors"], ler[who]["shots"]) for who in ("exploring", "untouched")
              if who in ler]  # fmt: skip
    share = lowered(*counts) if len(counts) == 2 else None
    if share is None:
        return ""
    if share[1] <= 0 <= share[2]:
        return " The counts do not tell its logical error rate from that of the untouched."
    times, low, high = (1 / (1 - one) for one in share)
    if times < 1:
        times, low, high = 1 / times, 1 / high, 1 / low
    word = "fewer" if share[0] > 0 else "more"
    return (f" It made {times:.2f} [{low:.2f}, {high:.2f}] times {word} logical errors than the "
            "untouched.")  # fmt: skip


def _warnings(run: SteeredRun) -> list[str]:
    from scripts.steering_tables import warnings

    course = run.courses["steerer"]
    if isinstance(run.recipe, str) or not len(course.settings):
        return []
    return [f"Note: {one}." for one in warnings(course, run.recipe)]


def _scores(run: SteeredRun) -> Table:
    """A line for each steerer, and for what none can do better or worse."""
    from scripts.steering_tables import figures

    found = {run.name_of(name): figures(course) for name, course in run.courses.items()}
    first = next(iter(found.values()))
    leaks, counts = "leakage_a_gate" in first, bool(first["ler"])
    head = ["", "score of what is tried", "score of what is held", "detections a cycle", "halted"]
    head += ["leakage a gate"] * leaks + ["LER a shot", "95 % interval"] * counts
    lines = [(name, one, "exploring", one["score_exploring"], one["score_steered"])
             for name, one in found.items()]  # fmt: skip
    lines += [("untouched", first, "untouched", 0.0, 0.0), ("best", first, "best", 1.0, 1.0)]
    rows = []
    for name, one, who, tried, held in lines:
        halted = one["halted"] if who == "exploring" else 0.0
        row = [name, _text(tried, ".3f"), _text(held, ".3f"),
               _text(one["detections_a_cycle"][who], ".4f"), f"{100 * halted:.1f} %"]  # fmt: skip
        row += [_text(one.get("leakage_a_gate", {}).get(who), ".1e")] * leaks
        rows.append(row + (_ler_cells(one["ler"].get(who)) if counts else []))
    caption = (f"Means without the first quarter of the epochs. Seed {run.config['seed']}. While "
               "the code is halted nothing is won.")  # fmt: skip
    return Table("Scores", caption, head, rows)


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _ler_cells(one: Mapping[str, Any] | None) -> list[str]:
    if one is None:
        return ["–", "–"]
    low, high = one["interval"]
    return [f"{one['ler']:.3g}", f"[{low:.3g}, {high:.3g}]"]


# --- over time ---


def _over_time(run: SteeredRun) -> Section:
    name = run.name_of("steerer")
    each, thinned = _block(run), ""
    if each > 1:
        thinned = f" Each point is the mean of {each} epochs."
    caption = (f"To be expected at each epoch: {name} is the mean of all settings that are tried, "
               "dashed are those held best. Gaps: the code was halted. Lines across: what stepped "
               f"in.{thinned}")  # fmt: skip
    figures = [_chart(run, "expected", caption)]
    words = [f"Fewer is better; the detectors count every error, not only logical ones, which is "
             f"why {name} can follow them while the code runs."]  # fmt: skip
    if run.courses["steerer"].leakage.any():
        figures.append(_chart(run, "leakage", "Population that leaves the qubits' two levels at a "
                              f"gate, the mean over all gates.{thinned}"))  # fmt: skip
    return Section("Detection events over time", words, figures)


_FIELDS = {
    "expected": ("Detection events a cycle", Axis("detection events a cycle")),
    "leakage": ("Leakage", Axis("leakage a gate", "log")),
}


def _chart(run: SteeredRun, field: str, caption: str) -> Chart:
    heading, axis = _FIELDS[field]
    unit, unit_s = time_unit(float(run.courses["steerer"].times_s[-1]))
    curves = []
    for name, group, place, is_dashed in _curves_of(run):
        course = run.courses[name]
        values = np.array(getattr(course, field)[:, place])
        if place < 2:
            values[course.halted >= 1] = np.nan
        times, means = (_means(one, _block(run)) for one in (course.times_s / unit_s, values))
        label = f"{group}, settings held" if is_dashed else group
        curves.append(Curve(label, times, means, group=group, dashed=is_dashed))
    return Chart(heading, caption, Axis(f"time ({unit})"), axis, curves, lines_of(run, unit_s))


def _curves_of(run: SteeredRun) -> Iterator[tuple[str, str, int, bool]]:
    """Steerer, group, place in EXPECTED, and whether it is dashed."""
    own = run.name_of("steerer")
    yield "steerer", own, 0, False
    yield "steerer", own, 1, True
    yield "steerer", "untouched", 2, False
    yield "steerer", "best", 3, False
    for name in run.courses:
        if name != "steerer":
            yield name, name, 0, False
            yield name, name, 1, True


def _block(run: SteeredRun) -> int:
    """How many epochs a point stands for."""
    return -(-max(len(one.times_s) for one in run.courses.values()) // _MOST_POINTS)


def _means(values: Floats, each: int) -> list[Number]:
    """Of so many neighbours that are known; None where none is."""
    found: list[Number] = []
    for first in range(0, len(values), each):
        known = values[first : first + each]
        known = known[np.isfinite(known)]
        found.append(float(f"{known.mean():.6g}") if len(known) else None)
    return found


def lines_of(run: SteeredRun, unit_s: float) -> list[Line]:
    """What stepped in beside the steerer, on an axis of time."""
    return [Line("x", time_s / unit_s, words) for time_s, _, words, _ in _happened(run)]


def _happened(run: SteeredRun) -> list[tuple[float, int, str, str]]:
    """Time, epoch, what, and why, in order."""
    course = run.courses["steerer"]
    epoch_s = run.config["environment"]["epoch_s"]
    whys = {True: "leakage had risen, and less leaked with the settings kept",
            False: "detections had risen, and were fewer with the settings kept"}  # fmt: skip
    found = [(epoch, "rolled back", whys[epoch in course.leaked]) for epoch in course.rolled_back]
    found += [(epoch, "recalibrated", "the code was halted for it, as that was worth its price")
              for epoch in course.recalibrated]  # fmt: skip
    return [((epoch + 1) * epoch_s, epoch, what, why) for epoch, what, why in sorted(found)]


def _logical_errors(run: SteeredRun) -> Section:
    from decoders.statistics import binomial_interval

    unit, unit_s = time_unit(float(run.courses["steerer"].times_s[-1]))
    curves = []
    for name, group, place, is_dashed in _curves_of(run):
        course = run.courses[name]
        rows = course.lers(_EXPECTED[place]).tolist()
        ends = [binomial_interval(errors, shots) for _, shots, errors in rows]
        curves.append(Curve(
            f"{group}, settings held" if is_dashed else group,
            [float(course.times_s[epoch]) / unit_s for epoch, _, _ in rows],
            [errors / shots for _, shots, errors in rows],
            [low for low, _ in ends], [high for _, high in ends],
            group=group, dashed=is_dashed,
            notes=[f"epoch {k}: {errors:,} of {shots:,} shots" for k, shots, errors in rows],
        ))  # fmt: skip
    recipe = run.config["ler"]
    caption = (
        f"{recipe['shots']:,} shots a point, decoded by {recipe['decoder']} with the priors "
        "of perfect settings. Bands: 95 % (Wilson). Dashed: the settings held best."
    )
    chart = Chart("Logical errors a shot", caption, Axis(f"time ({unit})"),
                  Axis("logical errors a shot"), curves, lines_of(run, unit_s))  # fmt: skip
    words = ["No steerer sees these: they tell whether fewer detection events were also fewer "
             "logical errors."]  # fmt: skip
    return Section("Logical errors over time", words, [chart])


# --- what stepped in ---


def _events(run: SteeredRun) -> list[Section]:
    """Rollbacks and calibrations that halted the code, where there were any."""
    rows = [(f"{epoch:,}", time_text(time_s), what, why)
            for time_s, epoch, what, why in _happened(run)]  # fmt: skip
    if not rows:
        return []
    halted = float(np.sum(run.courses["steerer"].halted)) * run.config["environment"]["epoch_s"]
    words = [_counted(rows) + (f" The code was halted for {time_text(halted)}." if halted else "")]
    table = Table("What stepped in", "", ("epoch", "time", "what", "why"), rows)
    return [Section("What stepped in", words, [table])]


def _counted(rows: Sequence[Sequence[str]]) -> str:
    kinds = [row[2] for row in rows]
    parts = [f"{what} {kinds.count(what)} {'time' if kinds.count(what) == 1 else 'times'}"
             for what in dict.fromkeys(kinds)]  # fmt: skip
    return f"The settings were {' and '.join(parts)}."

"""The report of `syndrift steer --over`: what steering won at each value of the swept key."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scripts.config_file import load, read_value
from scripts.page.figures import Axis as PageAxis
from scripts.page.figures import Bars, Chart, Curve, Figure, Line, Number, Section, Table
from scripts.page.run_files import read_config
from scripts.run_folder import CONFIG
from scripts.steering_over_tables import (
    WON,
    Axis,
    Outcome,
    Single,
    axis_of,
    epochs_text,
    outcomes,
    reached_text,
    seeds_text,
)

if TYPE_CHECKING:
    from envs.agents.steerers.course import SteerConfig

_MOST_POINTS = 200  # of a curve over epochs

# A value with its interval, if that is known; None where nothing is.
_Measured = tuple[float, tuple[float, float] | None] | None
_Measure = Callable[[Outcome], _Measured]


def sections_over(folder: pathlib.Path) -> list[Section]:
    """Scores, logical errors and convergence over the key, of all runs that are finished."""
    sweep = read_config(folder)
    runs = _finished(folder, sweep)
    total = len(sweep["values"]) * sweep["seeds"]
    words = [f"The same run with {sweep['over']} at {', '.join(sweep['values'])}, with "
             f"{sweep['seeds']} {'seed' if sweep['seeds'] == 1 else 'seeds'} each. All of it is "
             "simulated."]  # fmt: skip
    if len(runs) < total:
        words.insert(0, f"This sweep is under way, or was stopped: {len(runs)} of {total} runs "
                     "are finished.")  # fmt: skip
    if not runs:
        return [Section("Nothing yet", words)]
    axis, found = axis_of(sweep["over"], runs), outcomes(runs)
    seeds = f"{seeds_text([run.config.seed for run in runs]).capitalize()}."
    return [
        Section("What steering won", [*words, _best_text(found)],
                [_scores(axis, found, seeds), *_lowered(axis, found), _table(axis, found)]),
        Section("How soon it was won", _reached_words(found), _convergence(axis, found, seeds)),
    ]  # fmt: skip


def _finished(folder: pathlib.Path, sweep: dict[str, Any]) -> list[Single]:
    """The runs that have ended, in the order of the values and seeds."""
    from envs.agents.steerers.course import SteerConfig
    from scripts.steered_run import is_finished

    found: list[tuple[int, int, Single]] = []
    for path in sorted(folder.glob(f"*/{CONFIG}")):
        if not is_finished(path.parent):
            continue
        try:
            config = load(path, SteerConfig)
        except ValueError:
            continue  # of another version
        place = _place(sweep, config)
        if place is not None:
            single = Single(sweep["values"][place], config, path.parent)
            found.append((place, config.seed, single))
    return [single for _, _, single in sorted(found, key=lambda one: one[:2])]


def _place(sweep: dict[str, Any], config: SteerConfig) -> int | None:
    """Which of the sweep's values this run has."""
    value: Any = config.model_dump(mode="json")
    for part in sweep["over"].split("."):
        value = value[int(part)] if isinstance(value, list) else value.get(part)
    wanted = [read_value(text) for text in sweep["values"]]
    return next((k for k, one in enumerate(wanted) if _is_of(one, value)), None)


def _is_of(written: Any, resolved: Any) -> bool:
    """Whether a value that a user wrote became this one, with what the recipe adds to a table."""
    if isinstance(written, dict) and isinstance(resolved, dict):
        return all(key in resolved and _is_of(one, resolved[key]) for key, one in written.items())
    if isinstance(written, list) and isinstance(resolved, list):
        return len(written) == len(resolved) and all(map(_is_of, written, resolved))
    return written == resolved and isinstance(written, bool) == isinstance(resolved, bool)


# --- words ---


def _best_text(found: Sequence[Outcome]) -> str:
    own = [one for one in found if one.steerer == "steerer" and one.tried]
    if not own:
        return "Nothing could be won by steering."
    scores = [(100 * one.tried.value, one.value) for one in own if one.tried]
    (low, at_low), (high, at_high) = min(scores), max(scores)
    return (f"The steerer won between {low:.1f} % (at {at_low}) and {high:.1f} % (at {at_high}) of "
            "what can be won: a score of 0 is that of the untouched, 1 that of the hidden "
            "optimum.")  # fmt: skip


def _reached_words(found: Sequence[Outcome]) -> list[str]:
    own = [one for one in found if one.steerer == "steerer" and one.reached]
    words = [f"{one.value}: {epochs_text(one.reached.ordered[1])}" for one in own if one.reached]
    if not words:
        return ["Nothing could be won at the first epoch."]
    return [f"Epochs until the settings held had won {100 * WON:.0f} % of what could be won at the "
            f"first epoch, of the steerer (median of the seeds): {', '.join(words)}."]  # fmt: skip


# --- figures ---


def _scores(axis: Axis, found: Sequence[Outcome], seeds: str) -> Figure:
    bars = " Bars: 95 % by Student, over seeds." if len(found[0].seeds) > 1 else ""
    caption = f"Of all settings that are tried, over the last three quarters of each run.{bars}"
    figure = _against(axis, found, _tried, "score of what is tried")
    lines = [Line("y", 0.0, "untouched"), Line("y", 1.0, "hidden optimum")]
    return _titled(figure, f"Score against {axis.label}", f"{caption} {seeds}", lines)


def _lowered(axis: Axis, found: Sequence[Outcome]) -> list[Figure]:
    if all(one.lowered is None for one in found):
        return []
    figure = _against(axis, found, _less, "LER lowered by", "percent")
    caption = ("By which share the logical error rate of what is tried is below that of the "
               "untouched. Bars: 95 % (Katz), of the counts of all seeds together.")  # fmt: skip
    return [_titled(figure, "Logical errors spared", caption, [Line("y", 0.0, "untouched")])]


def _tried(one: Outcome) -> _Measured:
    return one.tried and (one.tried.value, one.tried.interval)


def _less(one: Outcome) -> _Measured:
    return one.lowered and (one.lowered[0], (one.lowered[1], one.lowered[2]))


def _until(one: Outcome) -> _Measured:
    """Epochs; what never came is a gap."""
    if one.reached is None or math.isinf(one.reached.ordered[1]):
        return None
    least, median, most = one.reached.ordered
    return median, None if math.isinf(most) else (least, most)


def _against(
    axis: Axis, found: Sequence[Outcome], measure: _Measure, label: str, form: Any = "plain"
) -> Chart | Bars:
    """A curve for each steerer, or bars where the values have no order."""
    value = PageAxis(label, format=form)
    if not axis.is_number:
        known = [(one, *_ends(measure(one))) for one in found]
        several = len({one.steerer for one in found}) > 1
        names = [f"{one.value}, {one.title}" if several else one.value for one, *_ in known]
        values, low, high = zip(*(ends for _, *ends in known), strict=True)
        parts = [one.steerer for one in found] if several else None
        return Bars("", "", value, names, values, low, high, parts)
    curves = []
    for name, own in _by_steerer(axis, found):
        ends = [_ends(measure(one)) for one in own]
        curves.append(Curve(name, [axis.at[one.value] for one in own], [y for y, _, _ in ends],
                            [a for _, a, _ in ends], [b for _, _, b in ends],
                            notes=[f"{axis.key} = {one.value}" for one in own]))  # fmt: skip
    scale = "log" if axis.is_log else "linear"
    return Chart("", "", PageAxis(axis.label, scale), value, curves)


def _ends(
    measured: _Measured,
) -> tuple[Number, Number, Number]:
    """Value, low, high, as far as they are known."""
    value, interval = measured or (None, None)
    low, high = interval or (None, None)
    return value, low, high


def _titled(figure: Chart | Bars, heading: str, caption: str, lines: Sequence[Line]) -> Figure:
    named = dataclasses.replace(figure, title=heading, caption=caption)
    return dataclasses.replace(named, lines=lines) if isinstance(named, Chart) else named


def _by_steerer(axis: Axis, found: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    for steerer in dict.fromkeys(one.steerer for one in found):
        own = [one for one in found if one.steerer == steerer]
        titles = {one.title for one in own}
        name = titles.pop() if len(titles) == 1 else steerer
        yield name, sorted(own, key=lambda one: axis.at[one.value])


def _convergence(axis: Axis, found: Sequence[Outcome], seeds: str) -> list[Figure]:
    figures: list[Figure] = []
    if any(_until(one) for one in found):
        figure = _against(axis, found, _until, f"epochs until {100 * WON:.0f} % is won")
        caption = (f"The median of the seeds, and the least and the most; a gap where it was never "
                   f"won. {seeds}")  # fmt: skip
        figures.append(_titled(figure, "Epochs until it was won", caption, ()))
    own = [one for one in found if one.steerer == "steerer" and one.share is not None]
    curves = [_share_curve(axis, one) for one in sorted(own, key=lambda one: axis.at[one.value])]
    if curves:
        caption = ("Of what could be won at the first epoch, by the settings held; the mean of the "
                   f"seeds. {seeds}")  # fmt: skip
        figures.append(Chart("Share won by the steerer", caption, PageAxis("epoch"),
                             PageAxis("share won", format="percent", high=1.0), curves,
                             [Line("y", WON, f"{100 * WON:.0f} %")]))  # fmt: skip
    return figures


def _share_curve(axis: Axis, one: Outcome) -> Curve:
    """Thinned where it is long, the beginning excepted, in which all is won."""
    share: Any = one.share
    every = max(1, len(share) // _MOST_POINTS)
    epochs = [k for k in range(len(share)) if k < _MOST_POINTS // 2 or k % every == 0]
    name = f"{axis.at[one.value]:g} epochs" if axis.is_converted else one.value
    return Curve(name, epochs, [float(f"{share[k]:.4g}") for k in epochs])


def _table(axis: Axis, found: Sequence[Outcome]) -> Table:
    head = [axis.name, "steerer", "score of what is tried", "95 % interval",
            "score of what is held", "epochs to 95 %", "ms an epoch", "LER lowered by",
            "95 % interval"]  # fmt: skip
    rows = []
    for one in found:
        interval = one.tried.interval if one.tried else None
        rows.append([
            one.value, one.title, "–" if one.tried is None else f"{one.tried.value:.3f}",
            "–" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]",
            "–" if one.held is None else f"{one.held.value:.3f}", reached_text(one.reached),
            "–" if one.seconds is None else f"{1000 * one.seconds:.3g}",
            *(("–", "–") if one.lowered is None else _percents(one.lowered)),
        ])  # fmt: skip
    caption = "Epochs: median of the seeds [least, most]. Times are of the machine named below."
    return Table("All values", caption, head, rows)


def _percents(found: tuple[float, float, float]) -> tuple[str, str]:
    value, low, high = (100 * one for one in found)
    return f"{value:.1f} %", f"[{low:.1f}, {high:.1f}] %"

"""What a sweep is said to be worth, by hand: shares, epochs, intervals, axes; and its pictures."""

import itertools
import math
import pathlib
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from envs.agents.steerers.course import SteerConfig
from scripts.report.steering_over_pictures import draw_over, paint_convergence, paint_scores
from scripts.report.style import LIGHT
from scripts.steer_over import split_values
from scripts.steering_over_tables import (
    Axis,
    Mean,
    Outcome,
    Reached,
    Single,
    axis_of,
    epochs_until_won,
    lowered,
    mean_of,
    reached_text,
    rows,
    share_rows,
    share_won,
    table,
)

DISTANCES = ("3", "7", "5")


def test_the_share_won_is_of_what_could_be_won_at_the_first_epoch() -> None:
    """Exploring, held, untouched, best: the optimum drifts, and what it costs grows."""
    expected = np.array([[9, 6, 6, 2], [9, 4, 8, 2], [9, 2.2, 9, 2], [9, 3, 1, 1], [9, 8, 9, 2]])
    share = share_won(expected)
    assert share == pytest.approx([0, 0.5, 0.95, 0.5, -0.5])
    assert epochs_until_won(np.array([0, 0.9499, 0.95, 0.2])) == 2
    assert epochs_until_won(np.array([0, 0.94])) is None
    expected[0, 2] = 2
    assert share_won(expected) is None


def test_means_have_an_interval_from_two_on() -> None:
    """Student's quantile of two degrees of freedom is 4.3027."""
    mean = mean_of([1.0, None, 2.0, 6.0])
    assert mean is not None
    assert mean.interval is not None
    assert (mean.value, mean.each) == (3, (1.0, 2.0, 6.0))
    half = 4.302653 * math.sqrt(7) / math.sqrt(3)
    assert mean.interval == pytest.approx((3 - half, 3 + half))
    assert mean_of([None, 2.0]) == Mean(2.0, None, (2.0,))
    assert mean_of([None]) is None


def test_half_the_errors_are_half_the_rate() -> None:
    """Katz: exp(1.96 sqrt(1/100 - 1/1000 + 1/200 - 1/1000))."""
    times = math.exp(1.959964 * math.sqrt(0.013))
    assert lowered((100, 1000), (200, 1000)) == pytest.approx(
        (0.5, 1 - 0.5 * times, 1 - 0.5 / times), rel=1e-6
    )
    assert lowered((0, 1000), (200, 1000)) is None
    assert lowered((3, 1000), (0, 1000)) is None


@pytest.mark.parametrize(("each", "text"), [
    ((4,), "4"), ((None,), "never"), ((4, 9, 5), "5 [4, 9]"), ((4, None, 5), "5 [4, never]"),
    ((4, None, None), "never [4, never]"), ((None, None), "never"), ((4, 5), "4.5 [4, 5]"),
])  # fmt: skip
def test_epochs_in_words(each: tuple[int | None, ...], text: str) -> None:
    assert reached_text(Reached(each)) == text
    assert reached_text(None) == "-"


@pytest.mark.parametrize(("text", "parts"), [
    ("3,5", ["3", "5"]), ("", [""]), ("a,", ["a", ""]), ("[1, 2],[3]", ["[1, 2]", "[3]"]),
    ('{ a = [1, 2], b = "x, y]" },4', ['{ a = [1, 2], b = "x, y]" }', "4"]),
    ("'a,b',c", ["'a,b'", "c"]),
])  # fmt: skip
def test_values_are_split_where_no_bracket_is_open(text: str, parts: list[str]) -> None:
    assert split_values(text) == parts


# --- axes ---


def runs(values: tuple[str, ...], **environment: Any) -> list[Single]:
    config = SteerConfig.model_validate({"epochs": 4, "environment": environment})
    return [Single(value, config, pathlib.Path()) for value in values]


def test_numbers_stand_where_they_are_and_names_side_by_side() -> None:
    axis = axis_of("environment.memory.distance", runs(DISTANCES))
    assert (axis.label, axis.name, axis.at) == (
        "code distance", "distance", {"3": 3, "7": 7, "5": 5},
    )  # fmt: skip
    assert (axis.is_number, axis.is_log) == (True, False)
    assert axis_of("candidates", runs(("4", "40"))).is_log
    assert not axis_of("candidates", runs(("8", "40"))).is_log
    assert not axis_of("seed", runs(("0", "40"))).is_log
    for values in (("spsa", "tracker"), ("1", "true"), ("1", "[2]"), ("1", "inf")):
        names = axis_of("some.key", runs(values))
        assert (names.label, list(names.at.values())) == ("some.key", [0, 1])
        assert (names.is_number, names.is_log) == (False, False)


def test_periods_of_a_drift_stand_in_epochs() -> None:
    axis = axis_of("environment.drift.1.process.period_s", runs(("600", "9e3"), epoch_s=20.0))
    assert (axis.label, axis.at) == ("drift period (epochs)", {"600": 30, "9e3": 450})
    assert axis.is_converted
    assert axis.is_log


# --- pictures ---


def outcome(value: str, steerer: str, **changes: Any) -> Outcome:
    scale = float(value) / 10 if value.isdigit() else 0.3
    usual: dict[str, Any] = {
        "value": value, "steerer": steerer, "title": "tracker" if steerer == "steerer" else steerer,
        "seeds": (1, 2), "tried": Mean(scale, (scale - 0.1, scale + 0.2), (scale, scale)),
        "held": Mean(0.9, (0.8, 1.0), (0.9, 0.9)), "reached": Reached((3, 5)), "seconds": 0.01,
        "lowered": (0.4, 0.3, 0.5), "share": np.array([0.0, 0.5, 0.9, 0.96]) * scale,
    }  # fmt: skip
    return Outcome(**(usual | changes))


def both(values: tuple[str, ...] = DISTANCES, **changes: Any) -> list[Outcome]:
    return [outcome(value, name, **(changes if name == "plain" else {}))
            for value in values for name in ("steerer", "plain")]  # fmt: skip


def painted(paint: Any, key: str, found: list[Outcome]) -> tuple[Axis, Any]:
    """The axis, and a figure that is laid out."""
    values = tuple(dict.fromkeys(one.value for one in found))
    axis, figure = axis_of(key, runs(values)), Figure(layout="constrained")
    paint(axis, found, figure, LIGHT)
    figure.draw_without_rendering()
    return axis, figure


def drawn(axes: Any) -> dict[str, tuple[list[float], list[float], list[list[float]]]]:
    """Of each line with bars: places, values, and the ends of its bars."""
    found = {}
    for one in axes.containers:
        line, _, (bars,) = one
        ends = [[float(y) for _, y in segment] for segment in bars.get_segments()]
        found[one.get_label()] = (list(line.get_xdata()), list(line.get_ydata()), ends)
    return found


def test_scores_are_drawn_as_they_stand_in_the_table() -> None:
    found = both(tried=Mean(-3.0, (-4.0, -2.0), (-3.0, -3.0)))
    axis, figure = painted(paint_scores, "environment.memory.distance", found)
    axes, column = figure.axes
    lines = drawn(axes)
    places, values, ends = lines["tracker"]
    own = {row["at"]: row for row in rows(axis, found) if row["steerer"] == "steerer"}
    assert places == sorted(own) == [3, 5, 7]
    assert values == [own[x]["score_exploring"] for x in places]
    for x, bar in zip(places, ends, strict=True):
        assert bar == pytest.approx([own[x]["score_exploring_low"], own[x]["score_exploring_high"]])
    assert lines["plain"][1] == [-1, -1, -1]  # at the edge, with its number
    assert [text.get_text() for text in axes.texts] == ["−3 ↓"] * 3
    low, high = axes.get_ylim()
    assert low < -1
    assert high > 1
    assert axes.get_xlabel() == "code distance"
    labels = [text.get_text() for text in column.get_legend().get_texts()]
    assert labels == ["hidden optimum", "tracker", "plain", "untouched"]
    ends = {
        line.get_label(): line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2
    }
    assert (ends["hidden optimum"], ends["untouched"]) == (1, 0)


def test_convergence_is_drawn_as_it_stands_in_the_table() -> None:
    found = both(reached=Reached((8, None, None)))
    _, figure = painted(paint_convergence, "environment.memory.distance", found)
    left, right, column = figure.axes
    lines = drawn(left)
    assert lines["tracker"] == ([3, 5, 7], [4, 4, 4], [[3, 5]] * 3)
    ticks = {text.get_text(): place for place, text in
             zip(left.get_yticks(), left.get_yticklabels(), strict=True)}  # fmt: skip
    assert lines["plain"][1] == [ticks["never"]] * 3
    assert lines["plain"][2] == [[8, ticks["never"]]] * 3
    assert ticks["never"] > 8
    shown = [line for line in right.lines if len(line.get_xdata()) == 4]
    assert [line.get_label() for line in shown] == ["3", "5", "7"]
    for line in shown:
        shares = [row["share"] for row in share_rows(found)
                  if (row["value"], row["steerer"]) == (line.get_label(), "steerer")]  # fmt: skip
        assert list(line.get_ydata()) == shares
    assert len({line.get_color() for line in shown}) == 3
    assert column.get_legend().get_title().get_text() == "distance"


@pytest.mark.parametrize("paint", [paint_scores, paint_convergence])
@pytest.mark.parametrize(("key", "values", "log"), [
    ("environment.memory.distance", DISTANCES, False),
    ("candidates", ("4", "40", "100"), True),
    ("steerer.kind", ("tracker", "local-credit", "spsa", "gradient-oracle", "calibration"), False),
])  # fmt: skip
def test_nothing_is_cut_or_overlaps(
    paint: Any, key: str, values: tuple[str, ...], log: bool
) -> None:
    _, figure = painted(paint, key, both(values, reached=Reached((30, None))))
    axes = figure.axes[0]
    assert axes.get_xscale() == ("log" if log else "linear")
    names = [text for text in axes.get_xticklabels() if text.get_text()]
    assert len(names) >= 3
    for one in figure.axes:
        for text in (*one.get_xticklabels(), *one.get_yticklabels(), one.xaxis.label):
            box = text.get_window_extent()
            if one.axison and text.get_text() and text.get_visible():
                assert figure.bbox.x0 - 1 <= box.x0
                assert box.x1 <= figure.bbox.x1 + 1
    assert len({text.get_text() for text in names}) == len(names)
    if key == "steerer.kind":
        assert all(line.get_linestyle() == "None" for line, *_ in axes.containers)
    else:
        boxes = [text.get_window_extent() for text in names]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def test_where_nothing_can_be_won_it_is_said(tmp_path: pathlib.Path) -> None:
    none: dict[str, Any] = {"tried": None, "held": None, "reached": None, "share": None,
                            "lowered": None, "seconds": None}  # fmt: skip
    found = [outcome(value, "steerer", **none) for value in DISTANCES]
    axis, figure = painted(paint_convergence, "environment.memory.distance", found)
    assert [text.get_text() for one in figure.axes for text in one.texts] == [
        "nothing could be won at the first epoch"
    ] * 2
    _, scores = painted(paint_scores, "environment.memory.distance", found)
    assert [text.get_text() for text in scores.axes[0].texts] == ["nothing could be won"]
    lines = table(axis, found).splitlines()
    assert lines[2].split() == ["3", "tracker", *["-"] * 5]
    assert "LER" not in lines[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scripts.report.style.PNG_DPI", 40)
        written = draw_over(axis, runs(DISTANCES), found, tmp_path)
    assert all(path.stat().st_size > 0 for path in written)


@pytest.mark.parametrize(("others", "title"), [
    ((0.5, 0.6), "tracker wins most: 90 % of what can be won"),
    ((0.5, 0.87), "Against who steers: each wins 70 to 90 % of what can be won"),
])  # fmt: skip
def test_a_title_names_a_winner_only_where_intervals_are_apart(
    others: tuple[float, float], title: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(
        "scripts.report.steering_over_pictures.save",
        lambda paint, path, words, *rest: titles.append(words.title) or [],
    )
    found = [outcome("tracker", "steerer", tried=Mean(0.9, (0.86, 0.94), (0.9,))),
             outcome("spsa", "steerer", tried=Mean(0.7, others, (0.7,)))]  # fmt: skip
    draw_over(axis_of("steerer.kind", runs(("tracker", "spsa"))), runs(DISTANCES), found, tmp_path)
    assert titles[0] == title

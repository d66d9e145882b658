"""Which rows stand in which chart, and what a front and a collapse are."""

import itertools
import math
from typing import Any

import pytest
import sinter
import stim

from decoders.evaluate import Row
from decoders.points import Point
from scripts.page.figures import Bars, Chart, Figure
from scripts.page.fit_charts import belongs, fit_figures, fit_words
from scripts.page.ler_charts import free_keys, ler_figures
from scripts.page.pareto_charts import FRONT, front, pareto_charts, telling
from scripts.page.run_files import Counted
from scripts.report.rows import TimePoint


def row(errors: int = 50, decoder: str = "pymatching", source: str = "", **known: Any) -> Row:
    noise = {key: value for key, value in known.items() if key not in ("d", "r", "b", "k")}
    observables = "".join(f"OBSERVABLE_INCLUDE({k})\n" for k in range(known.get("k", 1)))
    distance = known.get("d")
    point = Point(
        circuit=stim.Circuit(observables),
        source=source,
        code="rotated-surface",
        distance=distance,
        rounds=known.get("r", distance),
        basis=known.get("b", "Z"),
        noise={"noise": "depolarizing", **noise},
    )
    return Row(point, decoder, 1000, errors, 0, 1e-6, (errors,), 0.95)


def drawn(*rows: Row) -> list[Chart]:
    return [figure for figure in ler_figures(rows, seed=1) if isinstance(figure, Chart)]


def test_rounds_that_follow_the_distance_do_not_vary_by_themselves() -> None:
    rows = [row(d=d, p=p) for d in (3, 5) for p in (0.1, 0.2)]
    assert free_keys(rows) == ["p", "distance"]
    assert free_keys([row(d=d, r=r, p=0.1) for d in (3, 5) for r in (1, 9)]) == [
        "distance", "rounds"]  # fmt: skip


def test_a_rate_that_follows_p_is_no_second_parameter() -> None:
    rows = [row(d=3, q=q, p=p) for q, p in ((0.1, 0.2), (0.2, 0.4), (0.3, 0.6))]
    assert free_keys(rows) == ["p"]


def test_bases_have_charts_of_their_own() -> None:
    found = drawn(*(row(d=3, p=p, b=b) for p in (0.1, 0.2) for b in "XZ"))
    assert [chart.title for chart in found] == [
        f"LER a round by p: rotated-surface, {b}-basis memory, depolarizing, d = 3" for b in "XZ"
    ]


def test_two_parameters_of_the_noise_are_charts_along_p() -> None:
    found = drawn(*(row(d=3, p=p, eta=eta) for p in (0.1, 0.2) for eta in (1, 10)))
    assert [(chart.title.split(", ", 2)[2], list(chart.curves[0].x)) for chart in found] == [
        (f"depolarizing eta={eta}, d = 3", [0.1, 0.2]) for eta in (1, 10)
    ]


@pytest.mark.parametrize("swept", ["eta", "d", "r"])
def test_without_several_p_another_number_goes_along(swept: str) -> None:
    (chart,) = drawn(*(row(**{"d": 3, "r": 3, "p": 0.1, "eta": 1.0, swept: at})
                       for at in (5, 20)))  # fmt: skip
    assert list(chart.curves[0].x) == [5, 20]
    assert (chart.y.label == "logical error rate a shot") == (swept == "r")


def test_three_decoders_have_a_chart_for_each_size() -> None:
    names = ("pymatching", "tesseract", "bposd")
    found = drawn(*(row(d=d, p=p, decoder=name)
                    for d in (3, 5) for p in (0.1, 0.2) for name in names))  # fmt: skip
    assert len(found) == 2
    for chart in found:
        assert [curve.name for curve in chart.curves] == list(names)
        assert not any(curve.dashed for curve in chart.curves)


def test_recorded_experiments_at_one_place_are_bars() -> None:
    rows = [row(d=3, decoder=name, source=at) for at in ("a", "b") for name in ("x", "y")]
    (bars,) = ler_figures(rows, seed=1)
    assert isinstance(bars, Bars)
    assert list(bars.names) == ["a, x", "a, y", "b, x", "b, y"]
    assert list(bars.parts or ()) == ["x", "y", "x", "y"]


def test_a_round_of_a_block_is_as_sinter_has_it() -> None:
    (chart,) = drawn(*(row(errors, d=6, p=p, k=12) for errors, p in ((30, 0.1), (300, 0.2))))
    expected = [sinter.shot_error_rate_to_piece_error_rate(errors / 1000, pieces=6, values=12)
                for errors in (30, 300)]  # fmt: skip
    assert list(chart.curves[0].y) == pytest.approx(expected, rel=1e-12)


def test_without_errors_there_is_a_bound_alone() -> None:
    (chart,) = drawn(row(0, d=3, r=1, p=0.1), row(20, d=3, r=1, p=0.2))
    curve = chart.curves[0]
    assert curve.y[0] == (curve.low or [None])[0] == 0
    # The rule of three at 1,000 shots: 1 - 0.05^(1/1000).
    assert (curve.high or [None])[0] == pytest.approx(-math.expm1(math.log(0.05) / 1000))
    assert "upper bound" in chart.caption


# Accuracy against time ----------------------------------------------------------------------------


def timed(name: str, seconds: float | None, errors: int) -> TimePoint:
    rate = errors / 1000
    return TimePoint(name, 1000, errors, rate, rate / 2, rate * 2 or 0.003, 0.95, 1, seconds,
                     seconds and 2 * seconds)  # fmt: skip


def test_the_front_holds_those_that_none_beats() -> None:
    points = [(float(t), timed("", t, e)) for t, e in itertools.product((1, 2, 3, 4), (5, 9, 20))
              if (t * 7 + e) % 4 != 0]  # fmt: skip
    beaten = {
        (t, q.rate) for t, q in points
        if any(u <= t and o.rate <= q.rate and (u, o.rate) != (t, q.rate) for u, o in points)
    }  # fmt: skip
    assert set(front(points)) == {(t, q.rate) for t, q in points} - beaten


def test_pareto_charts_leave_out_what_was_not_timed() -> None:
    points = [timed("fast", 1e-6, 40), timed("slow", 1e-3, 20), timed("published", None, 10)]
    single, batched = pareto_charts(points, "here")
    for chart, factor in ((single, 2), (batched, 1)):
        places = {curve.name: list(curve.x) for curve in chart.curves}
        assert places == {FRONT: [factor * 1e-6, factor * 1e-3], "fast": [factor * 1e-6],
                          "slow": [factor * 1e-3]}  # fmt: skip
    assert pareto_charts(points[::2], "here") == []


def test_decoders_are_judged_where_each_erred_enough() -> None:
    rows = [row(errors, name, d=d, p=p) for d, p, name, errors in (
        (3, 0.1, "x", 500), (3, 0.1, "y", 500),
        (5, 0.1, "x", 9), (5, 0.1, "y", 400), (5, 0.2, "x", 30), (5, 0.2, "y", 40),
        (5, 0.3, "x", 300), (5, 0.3, "y", 400),
    )]  # fmt: skip
    assert [one.errors for one in telling(rows)] == [30, 40]
    assert [one.errors for one in telling(rows[:4])] == [9, 400]
    assert telling([]) == []


# Fits ---------------------------------------------------------------------------------------------

LABEL = "rotated-surface Z rounds = d depolarizing eta=10 pymatching"
THRESHOLD = {"curve": LABEL, "value": 0.1, "standard_error": 0.001, "interval": [0.098, 0.102],
             "confidence": 0.95, "degrees_of_freedom": 3, "chi2_per_dof": 1.2, "nu": 1.5,
             "nu_standard_error": 0.1, "drift": None, "drift_standard_error": None}  # fmt: skip


def counted(rows: list[Row], **fits: Any) -> Counted:
    return Counted(rows, {}, 1, 0.95, {"suppression": [], "thresholds": [], **fits})


@pytest.mark.parametrize(("label", "expected"), [
    (LABEL, True),
    (LABEL.replace("rounds = d", "4 rounds"), False),
    (LABEL.replace("rounds = d", "5 rounds"), True),
    (LABEL.replace("rounds = d", "rounds = 2 d"), False),
    (LABEL.replace("eta=10", "eta=100"), False),
    (LABEL + "-correlated", False),
    (LABEL.replace(" Z ", " X "), False),
    (LABEL.replace("eta=10", "q=p eta=10"), False),
])  # fmt: skip
def test_rows_belong_to_the_curve_of_their_label(label: str, expected: bool) -> None:
    parts = fit_of(label)
    assert belongs(row(d=5, p=0.1, eta=10), parts) is expected


def fit_of(label: str) -> tuple[str, ...]:
    from scripts.page.fit_charts import fits

    (fit,) = fits(counted([], thresholds=[THRESHOLD | {"curve": label}]), "thresholds")
    return fit.parts


def test_a_syndrome_rate_that_follows_p_belongs_to_its_curve() -> None:
    parts = fit_of("rotated-surface Z rounds = d depolarizing q=2 p pymatching")
    assert belongs(row(d=3, p=0.1, q=0.2), parts)
    assert not belongs(row(d=3, p=0.1, q=0.1), parts)


def test_rates_of_the_scaling_form_collapse_onto_one_line() -> None:
    """With P = A + Bx exactly, slopes of all distances over x are B."""
    rows = [row(round(1000 * (0.3 + 0.5 * (p - 0.1) * d ** (1 / 1.5))), d=d, p=p, eta=10)
            for d in (3, 5, 7) for p in (0.06, 0.1, 0.14)]  # fmt: skip
    found = {figure.title: figure for figure in fit_figures(counted(rows, thresholds=[THRESHOLD]))}
    collapse, crossing = found["Collapse: pymatching"], found["Threshold: pymatching"]
    assert isinstance(collapse, Chart)
    assert isinstance(crossing, Chart)
    assert [line.at for line in crossing.lines] == [0.1, 0.098, 0.102]
    for curve in collapse.curves:
        (x0, _, x2), (y0, y1, y2) = curve.x, curve.y
        assert None not in (x0, x2, y0, y1, y2)
        assert (y2 or 0) - (y0 or 0) == pytest.approx(0.5 * ((x2 or 0) - (x0 or 0)), abs=1.1e-3)
        assert y1 == pytest.approx(0.3)


def test_words_on_fits_say_what_is_sure() -> None:
    base = {"standard_error": 0.1, "confidence": 0.95, "degrees_of_freedom": 0, "chi2": 0.0}
    for interval, word in (([1.1, 1.5], "helps"), ([0.5, 0.9], "harms"), ([0.9, 1.2], "cannot")):
        entry = base | {"curve": f"{LABEL} x", "value": 1.0, "interval": interval}
        (said,) = fit_words(counted([], suppression=[entry]))
        assert word in said
    without = {"curve": LABEL, "value": None, "reason": "add shots"}
    (said,) = fit_words(counted([], thresholds=[without]))
    assert "No threshold" in said
    assert "add shots" in said
    tables: list[Figure] = fit_figures(counted([], thresholds=[without]))
    assert [table.title for table in tables] == ["Thresholds"]

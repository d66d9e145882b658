"""What a steered run is said to be worth: means, spreads, warnings, and who is caught."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from envs.agents.steerers.course import Count, Course, SteerConfig
from envs.agents.steerers.judge import EXPECTED
from scripts.steering_tables import (
    caught,
    epoch_rows,
    figures,
    knob_rows,
    leaks_more,
    ler_rows,
    settled,
    spread_over_time,
    table,
    warnings,
)

EPOCHS, SHOTS = 40, 10_000
# Detections a cycle of those in EXPECTED, and logical errors of so many shots.
DETECTIONS = (5.0, 4.0, 8.0, 2.0)
ERRORS = {"exploring": 150, "steered": 120, "untouched": 400, "best": 100}


def course(**changes: Any) -> Course:
    """One that steers well: counted first, and then each tenth epoch."""
    counts = tuple(Count(epoch, who, SHOTS, ERRORS[who])
                   for epoch in (0, 9, 19, 29, 39) for who in EXPECTED)  # fmt: skip
    usual = Course(
        np.array([60.0 * epoch for epoch in range(1, EPOCHS + 1)]),
        np.tile(DETECTIONS, (EPOCHS, 1)), np.zeros(EPOCHS),
        np.full((EPOCHS, 2), 0.5), 1, counts, (), ("q1.0", "q1-2.0"),
        np.zeros((EPOCHS, 4)), (), (),
    )  # fmt: skip
    return usual._replace(**changes)


def recounted(which: dict[tuple[int, str], int]) -> tuple[Count, ...]:
    """Other errors at some epochs."""
    return tuple(one._replace(errors=which.get((one.epoch, one.who), one.errors))
                 for one in course().counts)  # fmt: skip


# --- spread ---


@pytest.mark.parametrize("true", [0.0, 0.005, 0.02])
def test_counting_is_taken_out_of_the_spread(true: float) -> None:
    """4,000 counts of rates that go up and down by so much: 5.3 deviations once in 1e7."""
    rng, shots, mean, count = np.random.default_rng(1), 2000, 0.1, 4000
    rates = mean + true * math.sqrt(2) * np.sin(np.arange(count))
    rows = np.stack([np.arange(count), np.full(count, shots), rng.binomial(shots, rates)], axis=1)
    counting = mean * (1 - mean) / shots
    blur = 5.3 * math.sqrt(2 / count) * (true**2 + counting)  # of the variance
    assert spread_over_time(rows) ** 2 == pytest.approx(true**2, abs=blur)
    assert np.var(rows[:, 2] / shots) > true**2 + counting / 2  # it would be seen otherwise


def test_the_spread_by_hand() -> None:
    rows = np.array([[0, 100, 10], [1, 100, 30], [2, 100, 50]])
    counting = (0.1 * 0.9 + 0.3 * 0.7 + 0.5 * 0.5) / 300
    assert spread_over_time(rows) == pytest.approx(math.sqrt(0.04 - counting))
    assert spread_over_time(rows[:1]) == 0
    assert spread_over_time(np.array([[0, 100, 10], [1, 100, 10]])) == 0


# --- figures ---


def test_the_first_quarter_is_left_out() -> None:
    """What it holds would change every figure; the tenth epoch is the last that is left out."""
    usual = figures(course())
    expected, halted = np.tile(DETECTIONS, (EPOCHS, 1)), np.zeros(EPOCHS)
    expected[:10], halted[:10] = 100.0, 1.0
    wild = recounted({(epoch, who): 9999 for epoch in (0, 9) for who in EXPECTED})
    assert figures(course(expected=expected, halted=halted, counts=wild)) == usual
    expected[10] = 100.0
    found = figures(course(expected=expected))
    assert found["detections_a_cycle"]["best"] == pytest.approx((29 * 2 + 100) / 30)
    assert settled(course()) == slice(10, None)


def test_figures_are_means_and_sums() -> None:
    """While it is halted, nothing is won: for a third of the time here."""
    halted = np.repeat([0.0, 0.5], 20)
    found = figures(course(rolled_back=(7, 20), halted=halted, recalibrated=(20,)))
    assert found["detections_a_cycle"] == pytest.approx(
        dict(zip(EXPECTED, DETECTIONS, strict=True))
    )
    assert found["score_exploring"] == pytest.approx((8 - 5) / (8 - 2) * 2 / 3)
    assert found["score_steered"] == pytest.approx((8 - 4) / (8 - 2) * 2 / 3)
    assert found["halted"] == pytest.approx(0.5 * 20 / 30)
    assert found["rolled_back_at"] == [7, 20]
    assert found["recalibrated_at"] == [20]
    for who, errors in ERRORS.items():
        one = found["ler"][who]
        assert (one["shots"], one["errors"]) == (3 * SHOTS, 3 * errors)
        assert one["ler"] == errors / SHOTS
        wilson = stats.binomtest(3 * errors, 3 * SHOTS).proportion_ci(method="wilson")
        assert one["interval"] == pytest.approx(list(wilson), rel=1e-6)
        assert one["standard_deviation"] == 0


def test_what_would_be_while_the_code_is_halted_does_not_count() -> None:
    """Ten epochs of thirty, in which the settings are the best there are."""
    expected, halted = np.tile(DETECTIONS, (EPOCHS, 1)), np.zeros(EPOCHS)
    expected[20:30, :2], halted[20:30] = 2.0, 1.0
    found = figures(course(expected=expected, halted=halted))
    assert found["detections_a_cycle"]["exploring"] == pytest.approx(5.0)
    assert found["score_exploring"] == pytest.approx((8 - 5) / (8 - 2) * 2 / 3)
    never = figures(course(halted=np.ones(EPOCHS)))
    assert never["detections_a_cycle"]["exploring"] is None
    assert never["score_exploring"] == 0
    (line,) = warnings(course(recalibrated=(20,)), SteerConfig())
    assert line.startswith("halted for a calibration at epoch 20: ")


def test_without_counts_there_are_no_logical_errors() -> None:
    assert figures(course(counts=()))["ler"] == {}
    first = tuple(one for one in course().counts if one.epoch < 10)
    assert figures(course(counts=first))["ler"] == {}


# --- rows ---


def test_rows_say_all_that_was_written_down() -> None:
    both = {"steerer": course(), "spsa": course(expected=np.tile((7.0, 6.0, 8.0, 2.0), (40, 1)))}
    rows = epoch_rows(both)
    assert len(rows) == 80
    assert rows[41] == {
        "steerer": "spsa", "epoch": 1, "time_s": 120.0, "halted": 0.0,
        "exploring": 7.0, "steered": 6.0, "untouched": 8.0, "best": 2.0,
    }  # fmt: skip
    leaky = {name: one._replace(leakage=np.tile((4e-5, 3e-5, 2e-5, 1e-5), (EPOCHS, 1)))
             for name, one in both.items()}  # fmt: skip
    assert epoch_rows(leaky)[41] == rows[41] | {
        "leakage_exploring": 4e-5, "leakage_steered": 3e-5, "leakage_untouched": 2e-5,
        "leakage_best": 1e-5,
    }  # fmt: skip
    rows = ler_rows(both)
    assert len(rows) == 2 * 5 * 4
    assert rows[-2] == {"steerer": "spsa", "epoch": 39, "who": "untouched", "shots": SHOTS,
                        "errors": 400}  # fmt: skip
    settings = np.array([[0.1, -0.2], [0.3, 1.234567]])
    assert knob_rows(course(settings=settings, stride=3)) == [
        {"epoch": 0, "q1.0": 0.1, "q1-2.0": -0.2},
        {"epoch": 3, "q1.0": 0.3, "q1-2.0": 1.23457},
    ]


def test_the_table_has_a_line_for_each_and_for_the_ends() -> None:
    config = SteerConfig.model_validate({"steerer": {"kind": "tracker"}})
    lines = table({"steerer": course(), "mine": course()}, config).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["tracker", "mine", "untouched", "best"]
    assert lines[2].split()[1:6] == ["0.500", "0.667", "5.0000", "0.0", "%"]
    assert lines[2].split()[6] == "1.500e-02"
    assert lines[4].split()[1:4] == ["0", "0", "8.0000"]
    assert lines[5].split()[1:4] == ["1", "1", "2.0000"]
    assert lines[5].split()[6] == "1.000e-02"
    config = SteerConfig.model_validate(config.model_dump() | {"ler": False})
    assert SteerConfig.model_validate(config.model_dump(exclude_none=True)) == config
    assert "LER" not in table({"steerer": course(counts=())}, config)


def test_the_table_of_a_run_that_counted_in_its_first_quarter_alone() -> None:
    first = tuple(one for one in course().counts if one.epoch == 0)
    assert "tracker" in table({"steerer": course(counts=first)}, SteerConfig())


def test_the_table_tells_leakage_where_there_is_any() -> None:
    leaky = course(leakage=np.tile((4e-5, 3e-5, 2e-5, 1e-5), (EPOCHS, 1)))
    lines = table({"steerer": leaky, "mine": course()}, SteerConfig()).splitlines()
    assert [line.split()[6] for line in lines[2:]] == ["4.0e-05", "-", "2.0e-05", "1.0e-05"]


# --- caught ---


@pytest.mark.parametrize(("steered", "leakage", "times"), [
    (4.0, 9e-5, 4.5),
    (4.0, 1e-5, None),  # less
    (9.0, 9e-5, None),  # detectors see it
    (4.0, 2.02e-5, None),  # 4.32 M shots: 87 and 86 leaked, which may be chance
])  # fmt: skip
def test_fewer_detections_with_more_leakage_are_caught(
    steered: float, leakage: float, times: float | None
) -> None:
    found = course(leakage=np.tile((4e-5, leakage, 2e-5, 1e-5), (EPOCHS, 1)),
                   expected=np.tile((5.0, steered, 8.0, 2.0), (EPOCHS, 1)))  # fmt: skip
    assert leaks_more(found, SteerConfig()) == (times if times is None else pytest.approx(times))
    said = [line for line in warnings(found, SteerConfig()) if line.startswith("CAUGHT")]
    assert len(said) == (times is not None)


def test_fewer_detections_with_more_logical_errors_are_caught() -> None:
    """At 29, where errors rise by much; at 19 the rise of 400 to 420 may be chance."""
    found = course(counts=recounted({(29, "steered"): 600, (19, "steered"): 420}))
    assert caught(found) == [29]
    assert stats.hypergeom.sf(419, 2 * SHOTS, 820, SHOTS) > 0.01
    (line,) = warnings(found, SteerConfig())
    assert line.startswith("CAUGHT at epoch 29: fewer detections")


def test_just_past_one_in_a_hundred_is_caught() -> None:
    """By the exact hypergeometric tail of the errors that both have together."""

    def tail(errors: int) -> float:
        return float(stats.hypergeom.sf(errors - 1, 2 * SHOTS, errors + 400, SHOTS))

    least = next(errors for errors in range(400, 600) if tail(errors) < 0.01)
    assert caught(course(counts=recounted({(39, "steered"): least}))) == [39]
    assert caught(course(counts=recounted({(39, "steered"): least - 1}))) == []


@pytest.mark.parametrize(("detections", "errors"), [
    (DETECTIONS, {}),  # steers well
    ((5.0, 9.0, 8.0, 2.0), {(39, "steered"): 900}),  # both rose: bad, but seen by detectors
    ((5.0, 8.0, 8.0, 2.0), {(39, "steered"): 900}),
    (DETECTIONS, {(39, "exploring"): 900}),  # what is tried is not what is held
    (DETECTIONS, {(39, "steered"): 0, (39, "untouched"): 0}),
])  # fmt: skip
def test_no_other_is_caught(
    detections: tuple[float, ...], errors: dict[tuple[int, str], int]
) -> None:
    found = course(expected=np.tile(detections, (40, 1)), counts=recounted(errors))
    assert caught(found) == []
    assert warnings(found, SteerConfig()) == []


def test_without_logical_errors_none_is_caught() -> None:
    assert caught(course(counts=())) == []


def test_roll_backs_and_bounds_are_said() -> None:
    settings = np.full((EPOCHS, 2), 0.5)
    settings[-1, 1] = -5.0
    first, second = warnings(course(rolled_back=(3, 14), settings=settings), SteerConfig())
    assert first.startswith("rolled back at epoch 3, 14: ")
    assert second.startswith("50.0 % of the controls are at environment.bound (5)")
    settings[-1, 1], settings[0] = 4.9, 5.0  # not any more
    assert warnings(course(settings=settings), SteerConfig()) == []

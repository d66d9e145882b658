"""What the guard puts back, and why: more detections, more leakage."""

import pathlib
from typing import Any

import numpy as np
import pytest
from scipy import stats

from envs.agents.steerers import SPSA, Calibration, Evolution, LocalCredit, Oracle, Tracker
from envs.agents.steerers import registry as known
from envs.agents.steerers.course import steer
from envs.agents.steerers.guard import Guard, GuardRecipe, surely_more
from envs.agents.steerers.judge import Judge
from envs.steered import Analytic, Experiment, MemoryRecipe, Pulses
from envs.steered.pulses import PulseRecipe
from scripts.steering_tables import figures, leaks_more, table, warnings
from tests.envs.agents.steered_runs import (
    OFF,
    SINES,
    SMALL,
    STEP,
    Walks,
    config,
    detections,
    device_of,
    on,
    recipe_of,
    run,
    stopped,
)

SHAKY = {**SINES, "memory": {"rounds": 3}, "plant": {"start_off": 1.0}}
JUMPY: dict[str, Any] = {"steerer": {"kind": "local-credit", "rate": 2.0},
                         "guard": {"worse": 0.02, "epochs": 2}}  # fmt: skip


@pytest.fixture(autouse=True)
def walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known.STEERERS, "walks", Walks)


# --- detections ---


def test_a_steerer_that_walks_away_is_put_back() -> None:
    """First when the mean of three epochs is 1.3 times that of the first three, a little aged."""
    judge, free = Judge(3), Judge(3)
    guard = Guard(GuardRecipe(worse=0.3, epochs=3))
    run(Walks, SMALL, {}, 60, free)
    run(Walks, SMALL, {}, 60, judge, guard)
    paid = np.array(free.expected)[:, 0]  # with 12,000 shots a candidate, as good as measured
    means = np.convolve(paid, np.ones(3) / 3, "valid")
    first = 2 + int(np.argmax(means > 1.3 * means[0] * 1.01 ** np.arange(len(means))))
    assert guard.rolled_back[0] == pytest.approx(first, abs=1)
    assert len(guard.rolled_back) >= 3
    assert np.diff(guard.rolled_back).min() >= 3
    held, walked = np.array(judge.settings)[:, 0], np.array(free.settings)[:, 0]
    first = guard.rolled_back[0]
    np.testing.assert_array_equal(held[: first + 1], walked[: first + 1])
    assert held[first + 1] <= 0.1 * 3  # kept of the first three epochs, and a step
    assert walked[-1] == pytest.approx(5.0)  # the bound
    assert held.max() < 2.5
    assert np.array(judge.expected)[:, 0].max() < 0.5 * paid.max()


@pytest.mark.parametrize("kind", ["tracker", "spsa"])
def test_one_that_steers_well_is_let_alone(kind: str) -> None:
    steerer = {"kind": kind}
    guarded = config(SINES, epochs=80, candidates=20, steerer=steerer)
    course = steer(guarded, guarded.steerer)
    assert course.rolled_back == ()
    free = config(SINES, epochs=80, candidates=20, steerer=steerer, guard=False)
    np.testing.assert_array_equal(course.expected, steer(free, free.steerer).expected)


def test_settings_that_are_no_better_on_a_device_that_jumped_are_given_up() -> None:
    """All optima jump a unit at 180 s, and nobody follows them."""
    still = {"kind": "calibration", "halts_epochs": 0, "leaves": 0.0}
    whole = config(STEP, epochs=30, steerer=still, guard={"worse": 0.1, "epochs": 3})
    course = steer(whole, whole.steerer)
    assert course.expected[-1, 1] > 1.2 * course.expected[0, 1]
    assert course.rolled_back == ()


def test_one_that_follows_a_jump_is_not_called_back() -> None:
    steerer = {"kind": "local-credit"}
    whole = config(STEP, epochs=40, steerer=steerer, guard={"worse": 0.1, "epochs": 3})
    course = steer(whole, whole.steerer)
    free = steer(whole, recipe_of("local-credit"))
    assert course.rolled_back == ()
    assert (course.expected != free.expected).any()  # there was a trial
    assert course.expected[-1, 1] == pytest.approx(free.expected[-1, 1], rel=0.05)


def test_a_calibration_that_is_due_in_a_trial_is_done() -> None:
    """The guard's trial takes an epoch; the calibration of that epoch must not be lost."""
    model = run(Calibration, OFF, {"every_epochs": 4, "leaves": 0.0, "halts_epochs": 0}, 4)
    model.settings = model.settings + 2.0
    model.try_out(np.zeros(len(model.settings)))
    on(model, 1)
    plant = model.env.get_attr("experiment", 0)[0].plant
    np.testing.assert_allclose(model.settings, plant.optimum(0.0), atol=1e-12)


def test_a_trial_lets_time_pass_for_who_foretells() -> None:
    """An oscillation of 8 epochs goes on by 45° in the epoch that is not learnt from."""
    model = run(Tracker, {**SMALL, "cycles": 1_000_000, "drift": [{
        "process": {"kind": "sinusoid", "period_s": 480.0, "random_phase": True},
        "absolute": {"optimum": 1.0}}], "epoch_s": 60.0}, {}, 80)  # fmt: skip
    before = model.settings
    model.try_out(np.zeros(len(before)))
    on(model, 1)
    experiment = model.env.get_attr("experiment", 0)[0]
    optimum = experiment.plant.optimum(experiment.time_s)
    assert np.std(model.settings - optimum) < 0.5 * np.std(before - optimum)


def test_rivals_are_not_guarded() -> None:
    whole = config(SMALL, epochs=30, guard={"worse": 0.1, "epochs": 2})
    assert steer(whole, recipe_of("walks", pace=0.3)).rolled_back == ()


@pytest.mark.parametrize("kind", [Tracker, SPSA, LocalCredit, Evolution])
def test_what_is_put_back_is_as_good_as_it_was(kind: type[Any]) -> None:
    """All controls are thrown two units off; then the guard, which has good ones, acts."""
    guard = Guard(GuardRecipe(worse=0.1))
    model = run(kind, SMALL, {}, 5)
    model.settings = np.zeros(41)  # the optimum
    if kind is Evolution:
        model._own._mean = np.zeros(41)
        model._own._sigma = 0.05
    on(model, 5, guard)
    model.settings = model.settings + 2.0
    if kind is Evolution:
        model._own._mean = model._own._mean + 2.0
    for _ in range(5):
        on(model, 1, guard)
        if guard.rolled_back:
            break
    plant = device_of(SMALL)
    best, now = (detections(plant.noisy(one, 0.0)) for one in (np.zeros(41), model.settings))
    assert guard.rolled_back
    assert now < 1.3 * best


# --- leakage ---

LEAST = 2e-5  # leaks at the settings of the beginning, and 31 times as much a unit from there
SLOW: dict[str, Any] = {"steerer": {"kind": "gradient-oracle", "rate": 0.05}, "epochs": 40}


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose optimum a unit off leaks: detections fall on the way while leakage rises."""

    def leakage(self: Analytic, settings: np.ndarray, time_s: float) -> np.ndarray:
        return LEAST * (1 + 30 * (settings**2).mean(axis=1))

    monkeypatch.setattr(Analytic, "leakage", leakage)


@pytest.mark.usefixtures("leaky")
def test_one_that_leaks_for_fewer_detections_is_put_back() -> None:
    whole, free = config(OFF, **SLOW), config(OFF, **SLOW, guard=False)
    course, wild = steer(whole, whole.steerer), steer(free, free.steerer)
    assert wild.leaked == wild.rolled_back == ()
    assert wild.expected[-1, 1] < 0.7 * wild.expected[0, 1]
    assert wild.leakage[-1, 1] > 20 * LEAST
    assert course.leaked
    assert course.leaked == course.rolled_back
    assert course.leakage[:, 1].max() < 10 * LEAST  # three times what it was in five epochs' mean
    assert course.expected[-1, 1] < course.expected[0, 1]


@pytest.mark.usefixtures("leaky")
def test_one_that_leaks_for_fewer_detections_is_caught() -> None:
    free = config(OFF, **SLOW, guard=False)
    course = steer(free, free.steerer)
    means = course.leakage[10:].mean(axis=0)
    times = leaks_more(course, free)
    assert times == pytest.approx(means[1] / LEAST)
    assert [line.split(" than")[0] for line in warnings(course, free)] == [
        "CAUGHT: fewer detections"
    ]
    found = figures(course)["leakage_a_gate"]
    assert found["steered"] == pytest.approx(means[1])
    assert found["untouched"] == pytest.approx(LEAST)
    assert found["best"] == pytest.approx(31 * LEAST)
    header, _, *lines = table({"steerer": course}, free).splitlines()
    assert "leakage a gate" in header
    assert lines[1].split()[-3:] == ["0.0", "%", "2.0e-05"]


@pytest.mark.usefixtures("leaky")
def test_one_that_is_put_back_for_leakage_says_so() -> None:
    whole = config(OFF, **SLOW)
    course = steer(whole, whole.steerer)
    first, *_ = warnings(course, whole)
    assert first.startswith(f"rolled back at epoch {course.leaked[0]}")
    assert first.endswith("leakage had risen by more than guard.leakier")
    assert figures(course)["rolled_back_for_leakage_at"] == list(course.leaked)


@pytest.mark.usefixtures("leaky")
def test_a_run_put_back_for_leakage_ends_as_if_it_had_not_been_stopped(
    tmp_path: pathlib.Path,
) -> None:
    whole = config(OFF, **SLOW)
    expected = steer(whole, whole.steerer)
    stopped(whole, whole.steerer, tmp_path / "a.npz", 27)
    found = steer(whole, whole.steerer, tmp_path / "a.npz")
    for name in ("expected", "leakage", "leaked", "rolled_back"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_leakage_that_falls_a_little_slowly_is_not_forgotten() -> None:
    """It creeps by 2 % an epoch while detections fall: three times as much after some 115."""
    guard, model = Guard(GuardRecipe(leakier=2.0)), run(Oracle, SMALL, {}, 0)
    guard.init_callback(model)
    epoch = 0
    while not guard._is_trial and epoch < 400:
        guard._recent.append((10 * 0.99**epoch, round(1e5 * 1.02**epoch)))
        if len(guard._recent) == 5:
            guard._compare(model)
        epoch += 1
    # The level ages by 1 %: what counts is what creeps beyond it.
    assert epoch == pytest.approx(4 + np.log(3) / np.log(1.02 / 1.01), abs=3)


def test_counts_that_may_be_chance_are_let_alone() -> None:
    """By the binomial tail of scipy's own test, at twice as much as the least that is sure."""
    for before in (0, 3, 30, 300):
        least = next(now for now in range(10_000) if surely_more(now, before, 1.0))
        tails = [stats.binomtest(now, now + before, 2 / 3, "greater").pvalue
                 for now in (least - 1, least)]  # fmt: skip
        assert tails[1] < 1e-6 <= tails[0]


def test_analytic_plants_leak_nothing() -> None:
    course = steer(config(OFF), recipe_of("gradient-oracle"))
    assert not course.leakage.any()
    assert "leakage_a_gate" not in figures(course)
    assert "leakage" not in table({"steerer": course}, config(OFF))


def test_leaked_qubits_are_counted_as_often_as_they_leak() -> None:
    """7 qubits of the distance-2 code, 40,000 shots: 5.3 deviations once in 1e7."""
    plant = Pulses(PulseRecipe(start_off=1.0), MemoryRecipe(distance=2, rounds=3), []).drawn(1)
    settings = np.zeros((60, len(plant.controls)))
    settings[30:] = plant.optimum(0.0)
    experiment = Experiment(plant, 40_000, 60.0, "closed-form", 1)
    experiment.measure(settings[:1])
    found = experiment.leaked(settings)
    np.testing.assert_array_equal(found, experiment.leaked(settings))  # of the epoch alone
    experiment.measure(settings[:1])
    assert (found != experiment.leaked(settings)).any()
    expected = 7 * 40_000 * plant.leakage(settings, 0.0)
    assert expected[0] > 10 > 1 > expected[-1]
    for part in (slice(30), slice(30, None)):
        off = found[part].sum() - expected[part].sum()
        assert abs(off) < 5.3 * np.sqrt(expected[part].sum()) + 1


# --- saving ---


def test_roll_backs_stay_written_down(tmp_path: pathlib.Path) -> None:
    whole = config(SHAKY, epochs=30, **JUMPY)
    course = steer(whole, whole.steerer, tmp_path / "a.npz")
    assert course.rolled_back
    assert steer(whole, whole.steerer, tmp_path / "a.npz").rolled_back == course.rolled_back


def test_a_guarded_run_that_was_stopped_ends_as_if_it_had_not(tmp_path: pathlib.Path) -> None:
    whole = config(SHAKY, epochs=30, **JUMPY)
    expected = steer(whole, whole.steerer)
    assert expected.rolled_back
    stopped(whole, whole.steerer, tmp_path / "a.npz", 17)
    found = steer(whole, whole.steerer, tmp_path / "a.npz")
    np.testing.assert_array_equal(found.expected, expected.expected)
    assert found.rolled_back == expected.rolled_back

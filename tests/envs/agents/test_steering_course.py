"""A steered run: what the judge writes down, the references, logical errors, saving."""

import pathlib
from typing import Any

import numpy as np
import pymatching
import pytest
import sinter
import stim

from decoders import logical as logical_module
from decoders.logical import logical_errors
from envs.agents.steerers import Calibration, Oracle
from envs.agents.steerers import registry as known
from envs.agents.steerers.course import steer
from envs.agents.steerers.judge import EXPECTED, Judge, score
from envs.steered import Experiment
from tests.envs.agents.steered_runs import (
    OFF,
    RAMP,
    SINES,
    SMALL,
    STEP,
    Walks,
    config,
    detections,
    device_of,
    recipe_of,
    run,
    stopped,
)


@pytest.fixture(autouse=True)
def walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known.STEERERS, "walks", Walks)


# --- the judge ---


@pytest.mark.parametrize("kind", ["walks", "spsa", "tracker", "ppo", "calibration"])
def test_the_judge_s_rows_are_those_of_what_was_measured(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All jumps a unit at 180 s: stim's error models at the settings and times of the epochs."""
    measured: list[tuple[float, np.ndarray]] = []
    measure = Experiment.measure

    def noting(self: Experiment, settings: np.ndarray) -> np.ndarray:
        measured.append((self.time_s, settings.copy()))
        return measure(self, settings)

    monkeypatch.setattr(Experiment, "measure", noting)
    course = steer(config(STEP, epochs=4), recipe_of(kind))
    monkeypatch.setattr(Experiment, "measure", measure)
    assert course.times_s.tolist() == [60.0, 120.0, 180.0, 240.0]
    assert [time_s for time_s, _ in measured] == [0.0, 60.0, 120.0, 180.0, 240.0]
    assert course.expected.shape == (4, 4)
    plant, still = device_of(STEP), np.zeros(41)
    for number, (time_s, settings) in enumerate(measured[1:]):
        best = still + (time_s >= 180)
        np.testing.assert_allclose(plant.optimum(time_s), best)
        tried = [detections(plant.noisy(one, time_s)) for one in settings]
        alone = [detections(plant.noisy(one, time_s))
                 for one in (course.settings[number], still, best)]  # fmt: skip
        expected = np.array([np.mean(tried), *alone]) / 3
        np.testing.assert_allclose(course.expected[number], expected, rtol=1e-6)


def test_what_is_held_is_that_of_before_the_epoch_was_learnt_from() -> None:
    course = steer(config(SMALL), recipe_of("walks"))
    np.testing.assert_allclose(course.settings[:, 0], 0.1 * np.arange(6))
    assert course.stride == 1
    assert not course.halted.any()


def test_the_score_is_the_share_that_was_won() -> None:
    rows = np.array([[6.0, 5.0, 9.0, 4.0], [8.0, 5.0, 11.0, 4.0]])
    assert score(rows) == pytest.approx((10 - 7) / (10 - 4))
    assert score(rows, "steered") == pytest.approx(5 / 6)
    assert score(rows, "untouched") == 0
    assert score(rows, "best") == 1
    assert EXPECTED == ("exploring", "steered", "untouched", "best")


def test_all_are_judged_on_the_same_device() -> None:
    """PPO of stable-baselines3 too, which knows no settings held best but its mean."""
    whole = config(SINES, epochs=5)
    walked, learnt = (steer(whole, recipe_of(kind)) for kind in ("walks", "ppo"))
    np.testing.assert_array_equal(walked.expected[:, 2:], learnt.expected[:, 2:])
    assert learnt.settings.shape == (5, 41)
    assert (np.abs(learnt.settings) <= 5).all()
    assert np.ptp(learnt.settings, axis=0).max() > 0  # it learns
    other = steer(config(SINES, epochs=5, seed=2), recipe_of("walks"))
    assert not np.allclose(walked.expected[:, 2:], other.expected[:, 2:])


# --- what is not learnt from detectors ---


@pytest.mark.parametrize(("recipe", "halted", "at"), [
    ({"every_epochs": 5, "halts_epochs": 2}, [1, 1, 0, 0, 0] * 2, (1, 6)),
    ({"every_epochs": 5, "halts_epochs": 1.5}, [1, 0.5, 0, 0, 0] * 2, (1, 6)),
    ({"every_epochs": 5, "halts_epochs": 0.25}, [0.25, 0, 0, 0, 0] * 2, (0, 5)),
    ({"every_epochs": 5, "halts_epochs": 0}, [0] * 10, (0, 5)),
    ({"halts_epochs": 3}, [1, 1, 1, *[0] * 7], (2,)),
])  # fmt: skip
def test_a_calibration_takes_its_time(
    recipe: dict[str, Any], halted: list[float], at: tuple[int, ...]
) -> None:
    """It ends with the optimum of the epoch in which its time has passed."""
    course = steer(config(RAMP, epochs=10), recipe_of("calibration", leaves=0.0, **recipe))
    assert course.halted.tolist() == halted
    expected = np.zeros(10)
    for epoch in at:
        expected[epoch:] = 0.1 * (epoch + 1)  # the first epoch begins at 60 s
    # What is held is asked for after the candidates were proposed.
    np.testing.assert_allclose(course.settings, expected[:, None] * np.ones(41), atol=1e-12)


def test_a_calibration_leaves_as_much_as_it_says() -> None:
    """1,230 controls: 5.3 deviations by chance once in 1e7."""
    many = {**OFF, "plant": {"start_off": 1.0, "parameters": 30}}
    model = run(Calibration, many, {"leaves": 0.3, "halts_epochs": 1}, 3)
    off = model.settings - model.get_env().get_attr("experiment", 0)[0].plant.optimum(0.0)
    assert abs(off.mean()) < 5.3 * 0.3 / np.sqrt(off.size)
    assert abs(off.std() / 0.3 - 1) < 5.3 / np.sqrt(2 * off.size)


def test_a_gain_goes_part_of_the_way_each_time() -> None:
    recipe = {"leaves": 0.0, "halts_epochs": 0, "every_epochs": 1, "gain": 0.25}
    judge = Judge(3)
    model = run(Calibration, OFF, recipe, 5, judge)
    best = model.get_env().get_attr("experiment", 0)[0].plant.optimum(0.0)
    expected = best * (1 - 0.75 ** np.arange(1, 6)[:, None])
    np.testing.assert_allclose(np.array(judge.settings), expected, atol=1e-12)


def test_the_oracle_reaches_the_optimum() -> None:
    model = run(Oracle, OFF, {}, 40)
    best = model.get_env().get_attr("experiment", 0)[0].plant.optimum(0.0)
    assert np.abs(best).min() == 1
    np.testing.assert_allclose(model.settings, best, atol=1e-3)


# --- logical errors ---


class Spy:
    """A circuit that notes how many shots it is asked for."""

    def __init__(self, circuit: stim.Circuit) -> None:
        self.circuit = circuit
        self.asked: list[int] = []

    def compile_detector_sampler(self, seed: int) -> Any:
        sampler, asked = self.circuit.compile_detector_sampler(seed=seed), self.asked

        class Noting:
            def sample(self, shots: int, **keywords: Any) -> Any:
                asked.append(shots)
                return sampler.sample(shots, **keywords)

        return Noting()


@pytest.fixture
def circuits() -> list[stim.Circuit]:
    plant = device_of(SMALL)
    return [plant.noisy(np.full(41, off), 0.0) for off in (0.0, 0.8, 1.5)]


@pytest.mark.parametrize("correlated", [False, True])
def test_logical_errors_are_those_counted_directly(
    circuits: list[stim.Circuit], correlated: bool
) -> None:
    """The same shots, unpacked, decoded one by one or by sinter."""
    model = circuits[0].detector_error_model(decompose_errors=True)
    expected = 0
    for number, (circuit, shots) in enumerate(zip(circuits, (333, 334, 334), strict=True)):
        sampler = circuit.compile_detector_sampler(seed=7 + number)
        events, truth = sampler.sample(shots, separate_observables=True)
        if correlated:
            matching = pymatching.Matching.from_detector_error_model(
                model, enable_correlations=True
            )
            found = np.array([matching.decode(one, enable_correlations=True) for one in events])
        else:
            found = sinter.predict_observables(dem=model, dets=events, decoder="pymatching")
        expected += int((found.astype(bool) != truth).any(axis=1).sum())
    assert expected > 20
    assert logical_errors(circuits, model, 1001, 7, correlated) == expected


@pytest.mark.parametrize(("shots", "asked"), [
    (1001, [[333], [334], [334]]),
    (2, [[], [1], [1]]),
    (90_000, [[20_000, 10_000]] * 3),
])  # fmt: skip
def test_shots_are_shared_out_evenly(
    circuits: list[stim.Circuit], shots: int, asked: list[list[int]]
) -> None:
    assert logical_module._AT_ONCE == 20_000
    spies: Any = [Spy(one) for one in circuits]
    logical_errors(spies, circuits[0].detector_error_model(decompose_errors=True), shots, 1)
    assert [one.asked for one in spies] == asked


def test_logical_errors_are_counted_when_they_are_due() -> None:
    """First, every fourth epoch and last; of four, with the shots that were asked for."""
    whole = config(STEP, epochs=10, ler={"every_epochs": 4, "shots": 300})
    course = steer(whole, recipe_of("walks"))
    assert [(one.epoch, one.who) for one in course.counts] == [
        (epoch, who) for epoch in (0, 3, 7, 9) for who in EXPECTED
    ]
    assert {one.shots for one in course.counts} == {300}
    assert course.lers("best")[:, 0].tolist() == [0, 3, 7, 9]
    assert course.lers("nobody").shape == (0, 3)


def test_logical_errors_are_of_the_settings_at_that_time() -> None:
    """Ten deviations at least between a device that jumped and one that did not, 20,000 shots."""
    whole = config(STEP, epochs=4, ler={"every_epochs": 4, "shots": 20_000})
    course = steer(whole, recipe_of("walks"))
    errors = {(one.epoch, one.who): one.errors for one in course.counts}
    assert errors[0, "steered"] == errors[0, "untouched"] == errors[0, "best"]
    few, many = errors[3, "best"], errors[3, "untouched"]
    assert many - few > 10 * np.sqrt(many + few)
    assert abs(errors[0, "best"] - few) < 5.3 * np.sqrt(2 * few)


# --- saving ---


KINDS = ["tracker", "local-credit", "spsa", "calibration", "gradient-oracle", "cma-es", "ppo"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_stopped_ends_as_if_it_had_not(kind: str, tmp_path: pathlib.Path) -> None:
    """CMA-ES and PPO, whose state is not their own, begin anew."""
    whole, path = config(SINES, epochs=8, ler={"every_epochs": 3, "shots": 100}), tmp_path / "a.npz"
    recipe = recipe_of(kind)
    stopped(whole, recipe, path, 7)
    saved = kind not in ("cma-es", "ppo")
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"] * saved
    if saved:
        with np.load(path, allow_pickle=False) as kept:
            assert len(kept["times_s"]) == 6
            assert {kept[key].dtype.kind for key in kept} <= set("fiU")
    fractions: list[float] = []
    found = steer(whole, recipe, path, lambda fraction, words: fractions.append(fraction))
    assert fractions[0] == (7 / 8 if saved else 1 / 8)
    expected = steer(whole, recipe)
    for name in ("times_s", "expected", "halted"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_allclose(found.settings, expected.settings, atol=1e-6)
    assert found.counts == expected.counts

    # The whole run again: nothing is left to do where it was saved.
    fractions.clear()
    again = steer(whole, recipe, path, lambda fraction, words: fractions.append(fraction))
    assert bool(fractions) != saved
    np.testing.assert_array_equal(again.expected, expected.expected)
    assert again.counts == expected.counts

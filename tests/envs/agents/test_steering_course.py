"""A steered run: what the judge writes down, the references, the guard, logical errors, saving."""

import pathlib
from typing import Any, Literal

import numpy as np
import pymatching
import pytest
import sinter
import stim
from pydantic import Field
from stable_baselines3.common.callbacks import CallbackList

from decoders import logical as logical_module
from decoders.logical import logical_errors
from envs.agents.steerers import SPSA, Calibration, Evolution, LocalCredit, Oracle, Tracker
from envs.agents.steerers import registry as known
from envs.agents.steerers.course import SteerConfig, steer
from envs.agents.steerers.guard import Guard, GuardRecipe
from envs.agents.steerers.judge import EXPECTED, Judge, score
from envs.agents.steerers.steerer import Steerer, SteererRecipe
from envs.agents.vector import AsVecEnv
from envs.steered import Experiment
from envs.steering import SurfaceCodeSteeringVector

B = 8
SMALL: dict[str, Any] = {"memory": {"rounds": 3, "noise": {"kind": "depolarizing", "p": 4e-3}}}
OFF: dict[str, Any] = {**SMALL, "plant": {"start_off": 1.0}, "cycles": 100_000}
STEP: dict[str, Any] = {**SMALL, "drift": [
    {"process": {"kind": "step", "time_s": 180.0}, "absolute": {"optimum": 1.0}}
]}  # fmt: skip
RAMP: dict[str, Any] = {**SMALL, "drift": [
    {"process": {"kind": "ramp", "per_hour": 6.0}, "absolute": {"optimum": 1.0}}
]}  # a tenth of a unit an epoch  # fmt: skip
SINES: dict[str, Any] = {**SMALL, "drift": [{
    "process": {"kind": "sinusoid", "period_s": 3000.0, "random_phase": True},
    "absolute": {"optimum": 1.0},
}]}  # fmt: skip


class WalksRecipe(SteererRecipe):
    """How far it goes in an epoch, all controls together."""

    kind: Literal["walks"] = "walks"
    pace: float = Field(default=0.1)


class Walks(Steerer[WalksRecipe]):
    """Walks away, whatever the detectors show; candidate b is b/20 of a unit ahead of it."""

    recipe_class = WalksRecipe

    def _first_width(self) -> float:
        return 1.0

    def propose(self) -> np.ndarray:
        return self.settings + np.arange(self.n_envs)[:, None] / 20

    def update(self, candidates: np.ndarray, rates: np.ndarray) -> None:
        self.settings = self.settings + self.recipe.pace


@pytest.fixture(autouse=True)
def walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known.STEERERS, "walks", Walks)


def config(environment: Any, **others: Any) -> SteerConfig:
    usual = {"epochs": 6, "candidates": B, "ler": None, "checkpoint_every_epochs": 2}
    return SteerConfig.model_validate({**usual, **others, "environment": environment})


def recipe_of(kind: str, **values: Any) -> Any:
    if kind == "walks":
        return WalksRecipe(**values)
    return SteerConfig.model_validate({"steerer": {"kind": kind, **values}}).steerer


def device_of(environment: Any, seed: int = 1) -> Any:
    """The device that a run with this seed meets."""
    env = SurfaceCodeSteeringVector(B, environment)
    env.reset(seed=seed)
    return env.experiment.plant


def detections(circuit: stim.Circuit) -> float:
    """Detections a shot by stim's own error model: an error flips, or flips back."""
    kept = np.ones(circuit.num_detectors)  # Π (1 − 2p) for each detector
    error: Any
    for error in circuit.detector_error_model().flattened():
        if error.type == "error":
            for target in error.targets_copy():
                if target.is_relative_detector_id():
                    kept[target.val] *= 1 - 2 * error.args_copy()[0]
    return float((1 - kept).sum() / 2)


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


def run(kind: type[Any], environment: Any, recipe: Any, epochs: int, *callbacks: Any) -> Any:
    model = kind(env=AsVecEnv(SurfaceCodeSteeringVector(B, environment)), recipe=recipe, seed=1)
    return on(model, epochs, *callbacks)


def on(model: Any, epochs: int, *callbacks: Any) -> Any:
    return model.learn(epochs * B, CallbackList(list(callbacks)), reset_num_timesteps=False)


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


# --- the guard ---


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
    """First, and then every fourth epoch; of four, with the shots that were asked for."""
    whole = config(STEP, epochs=10, ler={"every_epochs": 4, "shots": 300})
    course = steer(whole, recipe_of("walks"))
    assert [(one.epoch, one.who) for one in course.counts] == [
        (epoch, who) for epoch in (0, 3, 7) for who in EXPECTED
    ]
    assert {one.shots for one in course.counts} == {300}
    assert course.lers("best")[:, 0].tolist() == [0, 3, 7]
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


SHAKY = {**SINES, "memory": {"rounds": 3}, "plant": {"start_off": 1.0}}
JUMPY: dict[str, Any] = {"steerer": {"kind": "local-credit", "rate": 2.0},
                         "guard": {"worse": 0.02, "epochs": 2}}  # fmt: skip


def stopped(whole: SteerConfig, recipe: Any, path: pathlib.Path, after: int) -> None:
    def stops(fraction: float, words: str) -> None:
        if fraction * whole.epochs > after - 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steer(whole, recipe, path, stops)


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

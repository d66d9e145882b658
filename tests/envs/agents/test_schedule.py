"""When the code is halted for a calibration: closed forms of the rule, and what a run then does."""

import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from envs.agents.steerers import Evolution, LocalCredit
from envs.agents.steerers import registry as known
from envs.agents.steerers.course import SteerConfig, steer
from envs.agents.steerers.schedule import Ledger
from tests.envs.agents.steered_runs import (
    OFF,
    RAMP,
    SMALL,
    STEP,
    Walks,
    config,
    on,
    recipe_of,
    run,
    stopped,
)

LEVEL = 7.0  # detections just after a calibration
ONCE: dict[str, Any] = {"kind": "calibration", "halts_epochs": 0, "leaves": 0.0}


@pytest.fixture(autouse=True)
def walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known.STEERERS, "walks", Walks)


def intervals(
    excess: Callable[[int, int], float], halts: float, price: float, epochs: int, noise: float = 0.0
) -> list[int]:
    """Epochs from each calibration to the next halt; excess is a function of time, and of both."""
    rng, ledger, found, since = np.random.default_rng(1), Ledger(), [], 0
    time = 0
    while time < epochs:
        seen = LEVEL * (1 + excess(time, since)) + LEVEL * noise * rng.standard_normal()
        ledger.see(float(seen), (LEVEL * noise) ** 2)
        time, since = time + 1, since + 1
        if ledger.is_worth(halts, price):
            found.append(since)
            ledger.begin()
            time, since = time + math.ceil(halts), 0
    return found


# --- the rule ---


@pytest.mark.parametrize("rise", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize(("halts", "price"), [(1, 1.0), (5, 1.0), (5, 0.2), (20, 1.0)])
def test_a_steady_rise_is_met_at_the_best_of_all_intervals(
    rise: float, halts: int, price: float
) -> None:
    """By trying all; √(2·cost/rise) where the halt itself is short."""

    def loss(epochs: int) -> float:
        running = rise * epochs * (epochs - 1) / 2
        return (running + price * halts) / (epochs + halts)

    best = min(range(1, 3000), key=loss)
    found = intervals(lambda time, since: rise * since, halts, price, 10 * (best + halts))
    assert len(found) >= 9
    assert np.abs(np.array(found) - best).max() <= 1
    if halts < 0.05 * best:
        assert found[0] == pytest.approx(math.sqrt(2 * price * halts / rise), rel=0.05)


@pytest.mark.parametrize("excess", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("noise", [0.0, 1e-3, 2e-2])
def test_what_does_not_change_is_never_worth_it(excess: float, noise: float) -> None:
    """10,000 epochs: a count five deviations off comes by chance once in 3e6."""
    assert intervals(lambda time, since: excess, 1, 0.1, 10_000, noise) == []


def test_detections_that_no_calibration_lowers_are_met_twice_at_most() -> None:
    """As the first calibration may have come too early for what jumped."""
    found = intervals(lambda time, since: 0.1 if time >= 500 else 0.0, 1, 1.0, 5000, 1e-3)
    assert len(found) == 2
    assert found[1] < 50


def test_a_jump_within_a_halt_is_met_by_another() -> None:
    """The calibration that a jump called for is outdated as it ends: what it leaves is no level."""
    ledger = Ledger()
    for _ in range(100):
        ledger.see(LEVEL, 0.0)
    for halt in range(2):
        waited = 0
        while not ledger.is_worth(5, 1.0):
            assert waited < 5, halt
            ledger.see(1.5 * LEVEL, 0.0)
            waited += 1
        ledger.begin()


def test_a_jump_that_stays_is_met_at_once() -> None:
    """In the second epoch of it: in the first, it may be one that goes."""
    found = intervals(lambda time, since: 0.5 if time - since < 100 <= time else 0.0, 5, 1.0, 400)
    assert found == [102]


@pytest.mark.parametrize("stays", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("share", [0.6, 1.7])
def test_what_fades_by_itself_is_worth_a_halt_if_what_is_left_is(
    stays: float, share: float
) -> None:
    """A jump once in 100 epochs, of which stays + stays² + ... is this share of a halt's cost.

    The first that comes shows how it fades; then each is worth it in its first epoch, or none is.
    """
    first = 5 * share * (1 - stays) / stays

    def excess(time: int, since: int) -> float:
        age = time % 100
        return first * stays**age if time >= 100 and since > age else 0.0

    found = intervals(excess, 5, 1.0, 1000)
    assert len(found) in ((8, 9) if share > 1 else (0,))
    assert {int(one) for one in np.cumsum(found) + 5 * np.arange(len(found))} <= {
        100 * k + late for k in range(1, 10) for late in (1, 2)
    }


def test_a_higher_price_makes_halts_rarer() -> None:
    counts = [len(intervals(lambda time, since: 1e-3 * since, 5, price, 3000))
              for price in (0.1, 1.0, 10.0)]  # fmt: skip
    assert counts[0] > counts[1] > counts[2]


# --- a run ---


def test_a_jump_halts_the_code_and_calibrates() -> None:
    """At 180 s, the epoch of number 2, all optima jump; three epochs later it is as at first."""
    whole = config(STEP, epochs=12, steerer=ONCE, recalibration={"halts_epochs": 2, "leaves": 0.0,
                                                                "price": 0.1})  # fmt: skip
    course = steer(whole, whole.steerer)
    (begun,) = course.recalibrated
    assert 3 <= begun <= 4
    assert np.flatnonzero(course.halted).tolist() == [begun, begun + 1]
    assert set(course.halted) == {0.0, 1.0}
    np.testing.assert_allclose(course.settings[: begun + 1], 0.0, atol=1e-7)
    np.testing.assert_allclose(course.settings[begun + 1 :], 1.0, atol=1e-7)
    np.testing.assert_allclose(course.expected[begun + 1 :, 0], course.expected[0, 3], rtol=1e-6)


def test_nothing_is_learnt_while_the_code_is_halted() -> None:
    """One that walks goes on from where a calibration put it, after two and a half epochs."""
    whole = config(STEP, epochs=12, guard=False, steerer={"kind": "local-credit"},
                   recalibration={"halts_epochs": 2.5, "leaves": 0.0, "price": 0.1})  # fmt: skip
    course = steer(whole, whole.steerer)
    begun = course.recalibrated[0]
    assert course.halted[begun : begun + 4].tolist() == [1.0, 1.0, 0.5, 0.0]
    held = course.settings[begun : begun + 5]
    np.testing.assert_array_equal(held[0], held[1])
    np.testing.assert_allclose(held[2:4], 1.0, atol=1e-7)
    assert np.abs(held[4] - held[3]).max() > 1e-3  # it learns again


def test_a_calibration_leaves_as_much_as_it_says() -> None:
    """1,230 controls: 5.3 deviations by chance once in 1e7."""
    many = {**STEP, "plant": {"parameters": 30}}
    whole = config(many, epochs=8, steerer=ONCE, recalibration={"leaves": 0.3, "price": 0.1})
    course = steer(whole, whole.steerer)
    off = course.settings[course.recalibrated[0] + 1] - 1.0
    assert abs(off.mean()) < 5.3 * 0.3 / np.sqrt(off.size)
    assert abs(off.std() / 0.3 - 1) < 5.3 / np.sqrt(2 * off.size)


def test_a_steerer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, float]] = []
    monkeypatch.setattr(LocalCredit, "recalibrated", lambda self, settings, leaves: told.append(
        (float(settings.mean()), leaves)))  # fmt: skip
    whole = config(STEP, epochs=6, guard=False, steerer={"kind": "local-credit"},
                   recalibration={"leaves": 0.0, "price": 0.1})  # fmt: skip
    steer(whole, whole.steerer)
    assert told[0] == (1.0, 0.0)


def test_the_guard_does_not_take_back_what_a_calibration_found() -> None:
    whole = config(STEP, epochs=20, steerer=ONCE, guard={"worse": 0.01, "epochs": 3},
                   recalibration={"leaves": 0.0, "price": 0.1})  # fmt: skip
    course = steer(whole, whole.steerer)
    assert course.recalibrated
    assert course.rolled_back == ()
    np.testing.assert_allclose(course.settings[-1], 1.0, atol=1e-7)


def test_rivals_are_not_halted() -> None:
    whole = config(STEP, epochs=8, steerer=ONCE, recalibration={"price": 0.1})
    course = steer(whole, recipe_of("calibration", halts_epochs=0))
    assert course.recalibrated == ()
    assert not course.halted.any()


@pytest.mark.parametrize("after", [3, 5, 7, 9, 13])
@pytest.mark.parametrize(("steerer", "halts"), [(ONCE, 2), ({"kind": "local-credit"}, 1)])
def test_a_halted_run_that_was_stopped_ends_as_if_it_had_not(
    steerer: dict[str, Any], halts: int, after: int, tmp_path: pathlib.Path
) -> None:
    """Before, within and after halts of three epochs."""
    jumpy = {**RAMP, "drift": [*RAMP["drift"], *STEP["drift"]]}
    whole = config(jumpy, epochs=16, steerer=steerer, checkpoint_every_epochs=1,
                   recalibration={"halts_epochs": 3, "price": 0.01})  # fmt: skip
    expected = steer(whole, whole.steerer)
    assert len(expected.recalibrated) >= halts
    stopped(whole, whole.steerer, tmp_path / "a.npz", after)
    found = steer(whole, whole.steerer, tmp_path / "a.npz")
    for name in ("expected", "halted", "recalibrated", "rolled_back"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


# --- its table ---


def test_it_is_off_by_default_and_by_false() -> None:
    assert SteerConfig().recalibration is None
    off = SteerConfig.model_validate({"recalibration": False})
    assert off == SteerConfig()
    assert off.model_dump()["recalibration"] is False
    some = SteerConfig.model_validate({"recalibration": {"halts_epochs": 3}})
    assert SteerConfig.model_validate(some.model_dump(exclude_none=True)) == some


@pytest.mark.parametrize(("table", "says"), [
    ({"recalibration": {"halt_epochs": 3}}, "halt_epochs"),
    ({"recalibration": {"halts_epochs": 0}}, "greater than 0"),
    ({"recalibration": {}, "steerer": {"kind": "ppo"}}, "ppo cannot be halted: take another"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SteerConfig.model_validate(table)


def test_an_evolution_goes_on_from_what_a_calibration_found() -> None:
    """Its own mean must go there too, or its next generation would undo it."""
    model = run(Evolution, OFF, {}, 3)
    plant = model.env.get_attr("experiment", 0)[0].plant
    model.recalibrated(plant.optimum(0.0), 0.0)
    on(model, 3)
    off = model.settings - plant.optimum(0.0)
    assert np.sqrt(np.mean(off**2)) < 0.3  # all began a unit off


@pytest.mark.filterwarnings("error")
def test_a_code_in_which_nothing_fires_is_not_halted() -> None:
    quiet = {"memory": {"rounds": 3, "noise": {"kind": "depolarizing", "p": 1e-9}}, "cycles": 30}
    whole = config(quiet, recalibration={"price": 0.01})
    assert steer(whole, whole.steerer).recalibrated == ()


def test_no_logical_errors_are_counted_while_the_code_is_halted() -> None:
    still = {"kind": "calibration", "halts_epochs": 2, "every_epochs": 4, "leaves": 0.0}
    whole = config(SMALL, epochs=8, steerer=still, ler={"every_epochs": 1, "shots": 100})
    course = steer(whole, whole.steerer)
    assert sorted({one.epoch for one in course.counts}) == [2, 3, 6, 7]

"""Choices on a backend as an environment: its contracts, its counts, who finds the best of them."""

import pathlib
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from scipy import stats
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from calib.history import History, parse_knob
from calib.snapshot import Snapshot
from decoders.deploy.place import errors_of
from decoders.deploy.raised import raised
from envs.agents.choosers import (
    Chooser,
    Defaults,
    FactorThompson,
    RandomSearch,
    SuccessiveHalving,
    play,
)
from envs.agents.vector import AsVecEnv
from envs.deployment import MemoryDeployment
from envs.deployment_choices import FACTORS, Counts, DeploymentConfig, DeploymentRules, Hidden
from envs.game import HIDDEN

NAME = "envs:syndrift/MemoryDeployment-v0"
# A line of qubits, which is quick; decoupling means nothing to it, but for its pulses' errors.
SMALL: dict[str, Any] = {"backend": "fake_kingston", "memory": "repetition:3", "rounds": 3,
                         "placements": 2, "steps": 4, "shots": 500}  # fmt: skip
CHOOSERS: list[type[Chooser]] = [Defaults, RandomSearch, SuccessiveHalving, FactorThompson]


def alone(**config: Any) -> Any:
    return gymnasium.make(NAME, config=SMALL | config)


def vector(count: int, **keywords: Any) -> Any:
    mode = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
    return gymnasium.make_vec(NAME, count, mode, config=SMALL, **keywords)


@pytest.fixture(scope="module")
def rules() -> DeploymentRules:
    return DeploymentRules(DeploymentConfig.model_validate(SMALL))


def test_both_checkers_pass_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(alone().unwrapped, skip_render_check=True)
        check_env_for_sb3(alone().unwrapped)


def test_the_registered_forms_are_one_environment() -> None:
    one, row = alone(), vector(1)
    assert one.observation_space == row.single_observation_space
    assert one.action_space == row.single_action_space
    np.testing.assert_array_equal(one.reset(seed=4)[0], row.reset(seed=4)[0][0])
    for action in ([0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]):
        seen, reward, over, *_ = one.step(np.array(action))
        seen_by_row, rewards, ended, *_ = row.step(np.array([action]))
        np.testing.assert_array_equal(seen, seen_by_row[0])
        assert (reward, over) == (rewards[0], ended[0]) == (reward, False)
    assert one.step(np.zeros(6, dtype=int))[2]  # the fourth of four


def test_what_is_seen_are_the_counts_of_each_option() -> None:
    env = alone()
    env.reset(seed=1)
    first, second = (0, 0, 0, 0, 0, 0), (1, 0, 0, 1, 0, 1)
    counts = [env.step(np.array(action))[4]["counts"] for action in (first, second)]
    seen = env.unwrapped.play._look()[0]
    sizes = np.array(env.unwrapped.play.rules.sizes)
    spent, errors, fired = np.split(seen[:-1], 3)
    starts = np.cumsum(sizes) - sizes
    assert seen[-1] == 0.5
    for factor, start in enumerate(starts.tolist()):
        for option in (0, 1):
            there = [one for one, action in zip(counts, (first, second), strict=True)
                     if action[factor] == option]  # fmt: skip
            assert spent[start + option] == pytest.approx(len(there) / 4)
            shots = sum(one["shots"] for one in there)
            trials = sum(one["trials"] for one in there)
            assert errors[start + option] * shots == pytest.approx(
                sum(one["errors"] for one in there), abs=1e-3)  # fmt: skip
            assert fired[start + option] * trials == pytest.approx(
                sum(one["detections"] for one in there), abs=1e-2)  # fmt: skip


def test_seeds_reproduce_and_differ() -> None:
    def seen(seed: int) -> list[Any]:
        env = alone()
        env.reset(seed=seed)
        return [env.step(np.array([1, 1, 1, 1, 1, 1]))[4]["counts"] for _ in range(2)]

    assert seen(3) == seen(3)
    assert seen(3) != seen(4)


def test_an_episode_that_ends_begins_anew_and_the_truth_stays_with_the_judge() -> None:
    for judged in (False, True):
        env = vector(2, judged=judged)
        _, told = env.reset(seed=1)
        assert (HIDDEN in told) == judged
        still = np.zeros((2, 6), dtype=int)
        for _ in range(3):
            assert not env.step(still)[2].any()
        seen, rewards, over, cut, told = env.step(still)
        assert told["final_obs"].shape == seen.shape
        assert over.all()
        assert not cut.any()
        assert not seen.any()
        assert (told["final_info"]["errors"] / 500 == -rewards).all()
    inner = AsVecEnv(vector(2, judged=True))
    inner.reset()
    stepped: Any = inner.step(np.zeros((2, 6), dtype=int))
    assert all(HIDDEN not in one for one in (*stepped[3], *inner.reset_infos))


def test_counts_are_those_of_stim_and_matching(rules: DeploymentRules) -> None:
    """60,000 shots of each: two shares 5 standard deviations apart once in 2e6."""
    device, action = rules.drawn(np.random.default_rng(1)), (0, 0, 0, 1, 1, 1)
    found = rules.count(action, device, 60_000, np.random.default_rng(2))
    one = rules.ready(action)
    truth = raised(one.circuit, one.lowered, device)
    wrong = errors_of(truth, 60_000, np.random.default_rng(3), decoded_with=one.predicted)
    both = (found.errors + wrong) / 120_000
    assert abs(found.errors - wrong) / 60_000 < 5 * np.sqrt(2 * both / 60_000)
    assert found.trials == 60_000 * truth.num_detectors
    exact = np.asarray(truth.compile_detector_sampler(seed=1).sample(60_000)).mean()
    assert found.detections / found.trials == pytest.approx(exact, rel=0.02)


def test_choices_are_named_once(rules: DeploymentRules) -> None:
    """Two spacings of two sequences and none at all, of 2·2·2·2 others."""
    assert rules.sizes == (3, 2, 2, 2, 2, 2)
    assert len(rules.all_actions()) == (1 + 2 * 2) * 16
    assert rules.canonical((0, 1, 1, 0, 0, 1)) == (0, 0, 1, 0, 0, 1)
    chosen = rules.describe((1, 1, 0, 1, 0, 0))
    assert (chosen["decoupling"], chosen["shortest_decoupled_ns"], chosen["fast"]) == (
        "xx", 1000.0, False)  # fmt: skip
    names = {one.operation.name for one in rules.ready((1, 0, 0, 0, 0, 0)).circuit.data}
    assert "measure_2" in names
    names = {one.operation.name for one in rules.ready((1, 0, 0, 1, 0, 0)).circuit.data}
    assert "measure" in names


def test_a_device_that_is_as_reported_has_reported_errors() -> None:
    snapshot = DeploymentRules(DeploymentConfig.model_validate(SMALL)).as_reported().snapshot
    same = Hidden(stale=0.0, detuning_khz=0.0).drawn(snapshot, np.random.default_rng(1))
    assert same.snapshot == snapshot
    other: Snapshot = Hidden(stale=0.5).drawn(snapshot, np.random.default_rng(1)).snapshot
    places = snapshot.operations["cz"].items()
    alive = [at for at, one in places if at[0] < at[1] and 0 < (one.error or 0) < 0.1]
    logs = [np.log((other.operation("cz", pair).error or 0.0)
                   / (snapshot.operation("cz", pair).error or 0.0)) for pair in alive]  # fmt: skip
    assert all(other.operation("cz", at) == other.operation("cz", at[::-1]) for at in alive[:9])
    # About 160 pairs: a chance of 1e-5 on either side.
    low, high = stats.chi2.ppf([1e-5, 1 - 1e-5], len(logs) - 1) / (len(logs) - 1)
    assert low < np.var(logs, ddof=1) / 0.25 < high


@pytest.mark.parametrize("kind", CHOOSERS)
def test_a_chooser_plays_an_episode_from_counts_alone(kind: type[Chooser]) -> None:
    env = MemoryDeployment(SMALL)
    found = []
    for _ in range(2):
        env.reset(seed=3)
        found.append(play(kind(env.play.rules, np.random.default_rng(1)), env))
    assert found[0] == found[1]
    assert env.action_space.contains(np.array(found[0]))


@pytest.mark.parametrize("kind", CHOOSERS[1:])
def test_a_chooser_finds_what_is_ten_times_better(kind: type[Chooser]) -> None:
    """On counts that are made: one in four errs a tenth as often; 30 steps of 2,000 shots."""
    rules = DeploymentRules(DeploymentConfig.model_validate(SMALL | {"steps": 30, "shots": 2000}))
    rng, chooser = np.random.default_rng(1), kind(rules, np.random.default_rng(2))
    for _ in range(30):
        action = rules.canonical(chooser.propose())
        rate = 0.01 if (action[4], action[5]) == (1, 1) else 0.1
        chooser.update(action, Counts(5_000, 40_000, int(rng.binomial(2000, rate)), 2000))
    assert chooser.best()[4:] == (1, 1)


def test_thompson_counts_detections_among_choices_alike_alone() -> None:
    """More events with other resets mean nothing; with other pulses, that these are worse."""
    rules = DeploymentRules(DeploymentConfig.model_validate(SMALL))
    chooser = FactorThompson(rules, np.random.default_rng(2))
    for action, fired in (((0, 0, 0, 0, 0, 0), 60_000), ((1, 0, 0, 0, 0, 0), 40_000),
                          ((0, 0, 0, 0, 1, 0), 20_000)):  # fmt: skip
        chooser.update(action, Counts(fired, 1_000_000, 2, 100))
    rates = dict(zip(chooser.actions, chooser._rates(chooser._posterior()[0]), strict=True))
    worse = rates[0, 0, 0, 0, 0, 0] - rates[1, 0, 0, 0, 0, 0]
    assert 0.3 < worse < 2 * np.log(1.5)  # (3 + 1) / 2 times, less what the prior takes
    # Two and six times as many logical errors, if events counted there.
    assert abs(rates[0, 0, 0, 0, 1, 0] - rates[0, 0, 0, 0, 0, 0]) < 0.3 < 2 * np.log(3)


def test_a_choice_stands_in_the_history(rules: DeploymentRules, tmp_path: pathlib.Path) -> None:
    with History(tmp_path / "history.sqlite") as history:
        rules.record(history, (1, 1, 0, 0, 1, 0), "thompson")
        rules.record(history, (0, 0, 0, 1, 0, 1), "thompson", run="runs/second")
        values = history.values("fake_kingston")
        changes = history.changes("fake_kingston")
    first, second = (tuple(rules.options[5][number]) for number in (0, 1))
    written = {str(knob): value for knob, value in values.items()}
    line = "-".join(f"q{qubit}" for qubit in second)
    assert written[f"{line}.memory.placed"] == 1
    assert written[f"{line}.memory.decoupling_pulses"] == 0
    assert values[parse_knob(f"{'-'.join(f'q{q}' for q in first)}.memory.placed")] == 0
    assert len(changes) == 2


def test_what_is_no_choice_is_refused() -> None:
    env = vector(2)
    with pytest.raises(ResetNeeded, match=r"call reset\(\)"):
        env.step(np.zeros((2, 6), dtype=int))
    env.reset(seed=1)
    with pytest.raises(ValueError, match=r"below \[3, 2, 2, 2, 2, 2\]"):
        env.step(np.full((2, 6), 5))
    with pytest.raises(ValueError, match="an entry for each device and factor"):
        env.step(np.zeros((2, len(FACTORS) - 1)))
    with pytest.raises(ValueError, match="did you mean repetition"):
        DeploymentRules(DeploymentConfig.model_validate(SMALL | {"memory": "repetitio:3"}))

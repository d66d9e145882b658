"""Steering as an environment: its contracts, and its rates beside stim's own error model."""

import pathlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import gymnasium
import numpy as np
import pytest
import stim
from gymnasium.utils.env_checker import check_env
from scipy import stats
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from decoders.codes import CODES
from envs.agents.steerers import SPSA
from envs.agents.vector import AsVecEnv
from envs.game import HIDDEN
from envs.steered import MemoryRecipe

NAME = "envs:syndrift/SurfaceCodeSteering-v0"
OFF: dict[str, Any] = {"plant": {"start_off": 1.0}}
SINES: dict[str, Any] = {
    "drift": [{"process": {"kind": "sinusoid", "period_s": 6000.0, "random_phase": True},
               "absolute": {"optimum": 0.7}}],
}  # fmt: skip
NO_SHOT_NOISE = 10**17  # cycles, after which rates are exact to 1e-7 of themselves
# Two qubits that are looked at by a third, and all that steering can meet in a file.
MINE = """
R 0 1 2
REPEAT 4 {
    H 0
    DEPOLARIZE1(0.002) 0 2
    H 0
    CX 0 1
    DEPOLARIZE2(0.003) 0 1
    CX 2 1
    DEPOLARIZE2(0.004) 1 2
    PAULI_CHANNEL_1(0.001, 0.002, 0.003) 0
    X_ERROR(0.01) 1
    MR(0.02) 1
    DETECTOR(1, 0) rec[-1]
    SHIFT_COORDS(0, 1)
}
M 0 2
DETECTOR(1, 0) rec[-1] rec[-2]
"""


def alone(config: Any = None) -> Any:
    return gymnasium.make(NAME, config=config)


def vector(count: int, config: Any = None, **keywords: Any) -> Any:
    mode = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
    return gymnasium.make_vec(NAME, count, mode, config=config, **keywords)


def with_rates(circuit: stim.Circuit, rate_of: Callable[[Any], float]) -> stim.Circuit:
    """The circuit whose gates, sorted tuples of qubits, depolarize at these rates."""
    found, instructions = stim.Circuit(), iter(circuit.flattened())
    for one in cast("Iterator[stim.CircuitInstruction]", instructions):
        if one.name not in ("DEPOLARIZE1", "DEPOLARIZE2"):
            found.append(one)
            continue
        for group in one.target_groups():
            qubits = [target.value for target in group]
            found.append(one.name, qubits, rate_of(tuple(sorted(qubits))))
    return found


def marginals(circuit: stim.Circuit) -> np.ndarray:
    """The detectors' rates by stim's error model: an odd number of independent mechanisms."""
    kept = np.ones(circuit.num_detectors)
    model: Any = circuit.detector_error_model().flattened()
    for one in model:
        for target in one.targets_copy() if one.type == "error" else ():
            if target.is_relative_detector_id():
                kept[target.val] *= 1 - 2 * one.args_copy()[0]
    return (1 - kept) / 2


def by_group(rates: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each group's detectors, which must be alike."""
    means = np.array([rates[groups == group].mean() for group in range(groups.max() + 1)])
    assert means[groups] == pytest.approx(rates, rel=1e-9)
    return means


def gate_of(control: str) -> tuple[int, ...]:
    """The qubits that are named in q3-4.0."""
    return tuple(map(int, control.removeprefix("q").partition(".")[0].split("-")))


def expected(env: Any, off: np.ndarray) -> np.ndarray:
    """The rates by stim where the controls, one for each gate, are so far off: [K] -> [J].

    A gate errs 1 + off² times as often as at its best.
    """
    plant = env.unwrapped.experiment.plant
    factor = dict(zip(map(gate_of, plant.controls), 1 + off**2, strict=True))
    nominal: dict[Any, list[float]] = {gate: [] for gate in factor}
    for one in plant.circuit.flattened():
        for group in one.target_groups() if one.name.startswith("DEPOLARIZE") else ():
            gate = tuple(sorted(target.value for target in group))
            nominal[gate] += one.gate_args_copy()
    circuit = with_rates(plant.circuit, lambda gate: np.mean(nominal[gate]) * factor[gate])
    return by_group(marginals(circuit), plant.groups)


def keys_of(info: Any) -> set[str]:
    if not isinstance(info, Mapping):
        return set()
    return set(info).union(*(keys_of(value) for value in info.values()))


def test_both_checkers_pass_without_another_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Settings are in natural units, so that the box of actions is wider than [-1, 1].
        warnings.filterwarnings("ignore", message=".*symmetric and normalized")
        check_env(alone(SINES | {"epochs": 5}).unwrapped)
        check_env_for_sb3(alone().unwrapped)


def test_the_registered_forms_are_one_environment() -> None:
    """Spaces, and the same device and shots from the same seed."""
    one, row, many = alone(OFF), vector(1, OFF), vector(6, OFF)
    assert one.observation_space == row.single_observation_space == many.single_observation_space
    assert one.action_space == row.single_action_space == many.single_action_space
    assert one.action_space.shape == (2 * 9 - 1 + 4 * 9 - 4 * 3,)  # the published count for d = 3
    assert many.observation_space.shape == (6, *one.observation_space.shape)
    seen, told = one.reset(seed=4)
    np.testing.assert_array_equal(row.reset(seed=4)[0], seen[None])
    assert told == {}
    rng = np.random.default_rng(1)
    for _ in range(3):
        action = rng.normal(0, 0.3, one.action_space.shape).astype(np.float32)
        seen, reward, terminated, truncated, told = one.step(action)
        rates, rewards, *ends, _ = row.step(action[None])
        np.testing.assert_array_equal(rates, seen[None])
        assert rewards.tolist() == [reward]
        assert not any((terminated, truncated, told, *map(np.any, ends)))
        assert seen in one.observation_space
    many.reset(seed=4)
    optima = [env.unwrapped.experiment.plant.optimum(0.0) for env in (one, many)]
    np.testing.assert_array_equal(*optima)


@pytest.mark.parametrize("source", ["closed-form", "sampled"])
def test_seeds_reproduce_and_differ(source: str) -> None:
    config = OFF | SINES | {"detections": source, "cycles": 500}

    def seen(seed: int | None) -> np.ndarray:
        env, rng = vector(4, config), np.random.default_rng(1)
        shape = env.action_space.shape
        rates = [env.reset(seed=seed)[0]]
        rates += [env.step(rng.normal(0, 0.3, shape))[0] for _ in range(4)]
        return np.array([*rates, env.reset()[0]])

    first = seen(7)
    np.testing.assert_array_equal(first, seen(7))
    assert not np.array_equal(first[0], first[-1])  # another device
    assert not np.array_equal(first, seen(8))
    assert not np.array_equal(seen(None), seen(None))


def test_all_candidates_meet_the_same_device_at_the_same_time() -> None:
    """Exact rates of random settings, against stim's error model of the gates' formula."""
    config = SINES | OFF | {"cycles": NO_SHOT_NOISE, "epoch_s": 500.0}
    env = vector(5, config, judged=True)
    seen, told = env.reset(seed=2)
    start = env.experiment.plant.optimum(0.0)
    np.testing.assert_allclose(seen, np.tile(expected(env, start), (5, 1)), rtol=1e-5)
    rng, optima = np.random.default_rng(3), [start]
    for epoch in range(1, 4):
        optimum = told[HIDDEN]["optimum"]
        assert (optimum == optimum[0]).all()
        np.testing.assert_array_equal(optimum[0], env.experiment.plant.optimum(500.0 * epoch))
        settings = rng.normal(0, 0.5, env.action_space.shape)
        rates, rewards, _, _, told = env.step(settings)
        for row in range(5):
            exact = expected(env, settings[row] - optimum[0])
            np.testing.assert_allclose(rates[row], exact, rtol=1e-5)
            detections = exact @ np.bincount(env.experiment.plant.groups)
            assert rewards[row] == pytest.approx(-detections / 10, rel=1e-5)  # of ten cycles
        optima.append(optimum[0])
    assert np.abs(np.diff(optima, axis=0)).max(axis=1).min() > 0.1


def test_settings_are_cut_to_the_bound() -> None:
    env = vector(2, {"cycles": NO_SHOT_NOISE, "bound": 0.5})
    env.reset(seed=1)
    shape = env.single_action_space.shape
    far = np.stack([np.full(shape, np.inf), np.full(shape, 0.5)])
    np.testing.assert_allclose(*env.step(far)[0], rtol=1e-5)
    edge = expected(env, np.full(shape, 0.5))
    np.testing.assert_allclose(env.step(far)[0][0], edge, rtol=1e-5)


@pytest.mark.parametrize("source", ["closed-form", "sampled"])
def test_both_sources_have_the_means_of_stims_error_model(source: str) -> None:
    """Student's t of 16 means of 120: one above 5.3 by chance once in 1e5."""
    env = vector(120, OFF | {"detections": source, "cycles": 3000})
    env.reset(seed=5)
    settings = np.random.default_rng(4).normal(0, 0.5, env.single_action_space.shape)
    rates = env.step(np.tile(settings, (120, 1)))[0].astype(float)
    exact = expected(env, settings - env.experiment.plant.optimum(0.0))
    score = (rates.mean(axis=0) - exact) / stats.sem(rates, axis=0)
    assert np.abs(score).max() < 5.3
    assert np.abs(score).max() > 0.5  # they are 16 random numbers: all smaller once in 3e6


def test_the_closed_form_has_the_noise_of_independent_shots() -> None:
    """16 times chi², each at p = 2e-6 on either side: a false alarm once in 15,000 runs."""
    env = vector(2000, {"cycles": 36_000})
    assert env.shots == 3600
    env.reset(seed=6)
    rates = env.step(np.zeros(env.action_space.shape))[0].astype(float)
    exact = expected(env, np.zeros(env.single_action_space.shape))
    counts = np.bincount(env.experiment.plant.groups)
    variance = exact * (1 - exact) / (3600 * counts)
    chi2 = 1999 * rates.var(axis=0, ddof=1) / variance
    tails = np.minimum(stats.chi2.cdf(chi2, 1999), stats.chi2.sf(chi2, 1999))
    assert tails.min() > 2e-6


def test_shots_are_cycles_over_rounds_and_at_least_one() -> None:
    assert vector(2, {"cycles": 36_000, "memory": {"rounds": 25}}).shots == 1440
    assert vector(2, {"cycles": 3}).shots == 1


def test_an_episode_is_cut_for_all_and_begins_anew_on_another_device() -> None:
    env = vector(4, OFF | {"epochs": 3}, judged=True)
    _, told = env.reset(seed=3)
    counts = np.bincount(env.experiment.plant.groups)
    still, first = np.zeros(env.action_space.shape), told[HIDDEN]["optimum"]
    for episode in range(2):
        for epoch in range(2):
            assert env.experiment.epoch == epoch + 1  # the first look is an epoch, too
            *_, terminated, truncated, told = env.step(still)
            assert not (terminated | truncated).any()
            assert "final_obs" not in told
        seen, rewards, terminated, truncated, told = env.step(still)
        assert not terminated.any()
        assert truncated.all()
        last = told["final_obs"].astype(float)
        assert rewards == pytest.approx(-last @ counts / 10, rel=1e-5)
        assert told["_final_obs"].all()
        assert told["_final_info"].all()
        assert (seen == seen[0]).all()  # one look for all
        assert not (seen == last).all(axis=1).any()
        if episode == 0:
            np.testing.assert_array_equal(told["final_info"][HIDDEN]["optimum"], first)
            assert not np.array_equal(told[HIDDEN]["optimum"], first)
    endless = vector(2)
    endless.reset(seed=1)
    assert not any(endless.step(still[:2])[3].any() for _ in range(5))


def test_an_episode_of_one_candidate_is_cut_too() -> None:
    env = alone({"epochs": 2})
    env.reset(seed=1)
    still = np.zeros(env.action_space.shape, dtype=np.float32)
    assert [env.step(still)[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_stable_baselines3_gets_the_ends_and_never_the_truth() -> None:
    inner = vector(4, OFF | {"epochs": 2}, judged=True)
    assert HIDDEN in inner.reset(seed=1)[1]
    env = AsVecEnv(inner)
    env.seed(3)
    seen = env.reset()
    assert seen.shape == (4, *inner.single_observation_space.shape)
    told = set().union(*map(keys_of, env.reset_infos))
    still = np.zeros(inner.action_space.shape, dtype=np.float32)
    for epoch in range(4):
        stepped: Any = env.step(still)
        _, rewards, done, infos = stepped
        assert rewards.dtype == np.float32
        assert done.tolist() == [epoch % 2 == 1] * 4
        assert all(one.get("TimeLimit.truncated") for one in infos) == (epoch % 2 == 1)
        if epoch % 2:
            counts = np.bincount(inner.experiment.plant.groups)
            last = np.array([one["terminal_observation"] for one in infos], dtype=float)
            assert rewards == pytest.approx(-last @ counts / 10, rel=1e-5)
        told |= set().union(*map(keys_of, (*infos, *env.reset_infos)))
    assert told == {"terminal_observation", "TimeLimit.truncated"}


def test_the_truth_stands_with_the_judge_alone() -> None:
    still = np.zeros(vector(3).action_space.shape)
    for judged in (False, True):
        env = vector(3, OFF | {"epochs": 2}, judged=judged)
        told = [env.reset(seed=1)[1], *(env.step(still)[4] for _ in range(2))]
        assert [HIDDEN in keys_of(one) for one in told] == [judged] * 3
        assert (HIDDEN in keys_of(told[-1]["final_info"])) == judged
    one = alone(OFF)
    assert one.reset(seed=1)[1] == {}
    assert one.step(still[0].astype(np.float32))[4] == {}


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_steered(code: str) -> None:
    """Its rates at random settings, against stim's error model."""
    distance = 6 if code == "bivariate-bicycle" else 3
    memory = {"code": code, "distance": distance, "rounds": 3}
    env = vector(2, {"memory": memory, "cycles": NO_SHOT_NOISE})
    seen, _ = env.reset(seed=1)
    np.testing.assert_allclose(seen[1], expected(env, np.zeros(env.action_space.shape[1:])),
                               rtol=1e-5)  # fmt: skip
    settings = np.random.default_rng(1).uniform(-1, 1, env.action_space.shape)
    rates = env.step(settings)[0]
    np.testing.assert_allclose(rates[0], expected(env, settings[0]), rtol=1e-5)


def test_a_code_with_gates_that_nothing_hears_is_learnt() -> None:
    env = AsVecEnv(vector(4, {"memory": {"code": "heavy-hex"}}))
    assert np.isfinite(SPSA(env=env, seed=1).learn(4).settings).all()


def test_a_circuit_of_ones_own_is_steered(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mine.stim"
    path.write_text(MINE)
    memory = {"circuit": str(path), "rounds": 4}
    env = vector(3, {"memory": memory, "cycles": NO_SHOT_NOISE} | OFF)
    plant = env.experiment.plant if env.reset(seed=1) else None
    assert plant is not None
    assert [gate_of(one) for one in plant.controls] == [(0,), (2,), (0, 1), (1, 2)]
    settings = np.tile(plant.optimum(0.0), (3, 1))
    settings[1:] += np.random.default_rng(1).normal(0, 1, settings[1:].shape)
    rates, rewards, *_ = env.step(settings)
    exact = by_group(marginals(stim.Circuit(MINE)), plant.groups)
    np.testing.assert_allclose(rates[0], exact, rtol=1e-5)
    assert rewards[0] == pytest.approx(-marginals(stim.Circuit(MINE)).sum() / 4, rel=1e-5)
    for row in (1, 2):
        np.testing.assert_allclose(rates[row], expected(env, settings[row] - settings[0]),
                                   rtol=1e-5)  # fmt: skip


def test_a_memory_is_read_again_from_what_is_written_of_it(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "own.stim"
    path.write_text(str(MemoryRecipe().noisy()), encoding="utf-8")
    for recipe in (MemoryRecipe(circuit=path, rounds=4), MemoryRecipe(distance=5)):
        table = recipe.model_dump(mode="json", exclude_none=True)
        assert MemoryRecipe.model_validate(table) == recipe

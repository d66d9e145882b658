"""Decoding as an environment: its shots, rewards and policies beside stim and PyMatching."""

import pathlib
import warnings
from typing import Any

import gymnasium
import numpy as np
import pymatching
import pytest
import stim
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from scipy.stats import binomtest
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from decoders.compare import CompareConfig, compare
from decoders.shots import NumberedShots
from envs.agents.space_tables import space_of, table_of
from envs.agents.vector import AsVecEnv
from envs.decoding import DecodingConfig, DecodingRules, DecodingVector
from envs.decoding_policies import DecoderPolicy, NeverFlip
from envs.decoding_table import against, failures, scores
from envs.game import HIDDEN

NOISE = {"kind": "depolarizing", "p": 0.01}
SHORT: dict[str, Any] = {"rounds": 2, "noise": NOISE}
ROUNDS = SHORT | {"turns": "rounds"}
WINDOW = ROUNDS | {"window": 2}
FORMS = pytest.mark.parametrize("config", [SHORT, ROUNDS, WINDOW],
                                ids=["whole", "rounds", "window"])  # fmt: skip
TWELVE = {"code": "bivariate-bicycle", "distance": 6, "rounds": 2, "noise": NOISE}


def vector(count: int, config: Any = None, **keywords: Any) -> Any:
    mode = gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
    return gymnasium.make_vec("envs:syndrift/Decoding-v0", count, mode, config=config, **keywords)


def drawn(config: Any, shots: int, seed: int) -> tuple[stim.Circuit, np.ndarray, np.ndarray]:
    """The circuit, and what `syndrift compare` counts on: events [shots, D], flips [shots, K]."""
    circuit = DecodingRules(DecodingConfig.model_validate(config)).circuit
    packed = NumberedShots(circuit, seed=seed).take(0, shots)
    counts = circuit.num_detectors, circuit.num_observables
    events, flips = (np.unpackbits(bits, axis=1, count=count, bitorder="little")
                     for bits, count in zip(packed, counts, strict=True))  # fmt: skip
    return circuit, events, flips


@FORMS
def test_both_checkers_pass_without_a_warning(config: Any):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("envs:syndrift/Decoding-v0", config=config)
        check_env(env.unwrapped)
        check_env_for_sb3(env.unwrapped)


def test_what_is_seen_in_one_step_are_stims_events_in_its_order():
    _, events, flips = drawn(SHORT, 300, seed=5)
    env = vector(100, SHORT, judged=True)
    seen, infos = env.reset(seed=5)
    for block in range(3):
        part = slice(100 * block, 100 * (block + 1))
        np.testing.assert_array_equal(seen, events[part])
        np.testing.assert_array_equal(infos[HIDDEN]["flips"], flips[part])
        guess = np.random.default_rng(block).integers(0, 2, (100, 1))
        seen, reward, done, cut, infos = env.step(guess)
        assert done.all()
        assert not cut.any()
        np.testing.assert_array_equal(reward, np.where(guess == flips[part], 1.0, -1.0)[:, 0])
        np.testing.assert_array_equal(infos["final_obs"], events[part])
        np.testing.assert_array_equal(infos["final_info"][HIDDEN]["flips"], flips[part])


def test_a_step_a_round_shows_each_event_once_its_check_in_the_same_place():
    """Against the detectors' coordinates, one by one."""
    circuit, events, flips = drawn(WINDOW, 64, seed=6)
    places = circuit.get_detector_coordinates()
    checks = sorted({tuple(at[:2]) for at in places.values()})
    rounds = np.zeros((64, 4, len(checks)))  # one of zeros, before the beginning
    for detector, (x, y, t) in places.items():
        rounds[:, 1 + int(t), checks.index((x, y))] = events[:, detector]
    env, frame = vector(64, WINDOW), np.zeros((64, 1), dtype=np.uint8)
    seen, infos = env.reset(seed=6)
    reward = np.zeros(64)
    rng = np.random.default_rng(1)
    for turn in range(3):
        np.testing.assert_array_equal(seen[:, :-2], rounds[:, turn : turn + 2].reshape(64, -1))
        np.testing.assert_array_equal(seen[:, -2:-1], frame)
        assert seen[:, -1] == pytest.approx((turn + 1) / 3)
        actions = rng.integers(0, 2, (64, 1))
        frame ^= actions.astype(np.uint8)
        seen, reward, done, _, infos = env.step(actions)
        assert done.tolist() == [turn == 2] * 64
        if turn < 2:
            assert not reward.any()
            assert "final_obs" not in infos
    np.testing.assert_array_equal(reward, np.where(frame == flips, 1.0, -1.0)[:, 0])
    np.testing.assert_array_equal(infos["final_obs"][:, -2:-1], frame)
    assert not seen[:, : len(checks)].any()  # the next shot's first round
    assert (seen[:, -1] == np.float32(1 / 3)).all()


def test_several_detectors_of_one_check_in_a_round_keep_places_of_their_own(tmp_path: pathlib.Path):
    """The colour code's fourth coordinate, and one place that is given twice."""
    path = tmp_path / "twice.stim"
    path.write_text("X_ERROR(0.5) 0 1 2\nM 0 1 2\nDETECTOR(1, 0) rec[-3]\nDETECTOR(1, 0) rec[-2]\n"
                    "DETECTOR(1, 1) rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n")  # fmt: skip
    rules = DecodingRules(DecodingConfig(circuit=path, turns="rounds"))
    assert rules.layers.tolist() == [[0, 1], [2, 3]]  # 3 is none
    config = DecodingConfig.model_validate({"code": "color", "rounds": 2, "turns": "rounds"})
    colours = DecodingRules(config)
    shown = colours.layers[colours.layers < colours.detectors]
    assert sorted(shown) == list(range(colours.detectors))


def test_seeds_reproduce_whatever_the_batch():
    def seen(count: int, turns: int) -> np.ndarray:
        env = vector(count, SHORT)
        found = [env.reset(seed=7)[0]]
        still = np.zeros((count, 1), dtype=int)
        return np.concatenate([*found, *(env.step(still)[0] for _ in range(turns - 1))])

    np.testing.assert_array_equal(seen(6, 50), seen(100, 3))
    one = gymnasium.make("envs:syndrift/Decoding-v0", config=SHORT)
    alone = [one.reset(seed=7)[0], *(one.reset()[0] for _ in range(299))]
    np.testing.assert_array_equal(alone, seen(300, 1))
    assert not np.array_equal(seen(300, 1), vector(300, SHORT).reset(seed=8)[0])
    unseeded = [vector(300, SHORT).reset()[0] for _ in range(2)]
    assert not np.array_equal(*unseeded)  # the same 16 bits of 300 shots: below 1e-99


@pytest.mark.parametrize("config", [SHORT, ROUNDS, TWELVE | {"turns": "rounds"}],
                         ids=["whole", "rounds", "twelve observables"])  # fmt: skip
def test_never_flipping_errs_where_an_observable_flips(config: Any):
    _, _, flips = drawn(config, 5000, seed=8)
    found = failures(NeverFlip(config), config, shots=5000, seed=8)
    np.testing.assert_array_equal(found, flips.any(axis=1))


@pytest.mark.parametrize("turns", ["whole", "rounds"])
@pytest.mark.parametrize("correlated", [False, True])
def test_matching_fails_on_the_very_shots_on_which_pymatching_does(turns: str, correlated: bool):
    config = SHORT | {"turns": turns}
    circuit, events, flips = drawn(config, 20_000, seed=9)
    matching = pymatching.Matching.from_detector_error_model(
        circuit.detector_error_model(decompose_errors=True), enable_correlations=correlated
    )
    answers = matching.decode_batch(events, enable_correlations=correlated)
    name = "pymatching-correlated" if correlated else "pymatching"
    found = failures(DecoderPolicy(config, name), config, shots=20_000, seed=9)
    np.testing.assert_array_equal(found, np.any(answers != flips, axis=1))
    assert 0 < found.sum() < flips.sum()


def test_a_decoder_of_ones_own_gets_the_batches_it_asks_for(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "decoder_in_sevens.py").write_text(
        "from decoders.baselines.matching import PyMatching\n"
        "class Sevens(PyMatching):\n"
        "    batch_shots = 7\n"
        "    def compile_decoder_for_dem(self, *, dem):\n"
        "        self.compiled = super().compile_decoder_for_dem(dem=dem)\n"
        "        return self\n"
        "    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):\n"
        "        assert len(bit_packed_detection_event_data) <= 7\n"
        "        return self.compiled.decode_shots_bit_packed(\n"
        "            bit_packed_detection_event_data=bit_packed_detection_event_data)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    policies = DecoderPolicy(SHORT, "decoder_in_sevens:Sevens"), DecoderPolicy(SHORT)
    ours, theirs = (failures(policy, SHORT, shots=1000, seed=5) for policy in policies)
    np.testing.assert_array_equal(ours, theirs)


def test_the_table_is_that_of_syndrift_compare(tmp_path: pathlib.Path):
    asked = {"code": "rotated-surface", "distance": 3, "rounds": 2, "noise": NOISE}
    config = CompareConfig.model_validate(asked | {"shots": 30_000, "seed": 3, "workers": 1})
    theirs = compare(config, tmp_path / "counts.csv")
    names = [row.decoder for row in theirs.rows]
    failed = {name: failures(DecoderPolicy(SHORT, name), SHORT, shots=30_000, seed=3)
              for name in names}  # fmt: skip
    for ours, row in zip(scores(failed), theirs.rows, strict=True):
        assert (ours.name, ours.errors, ours.shots) == (row.decoder, row.errors, row.shots)
        assert (ours.ler, ours.interval) == (row.ler, row.interval)
    (pair,) = theirs.pairs
    assert against(failed, pair.b) == {pair.a: pair}


def test_two_observables_are_right_together_or_not_at_all(tmp_path: pathlib.Path):
    """Two bits err with 0.2 each, and are read with 0.1: what was read is the best answer.

    It is wrong with 0.1 for each, 0.19 for any. A false alarm has the chance 1e-5.
    """
    path = tmp_path / "two.stim"
    path.write_text("X_ERROR(0.2) 0 1\nCX 0 2 1 3\nX_ERROR(0.1) 2 3\nM 2 3 0 1\n"
                    "DETECTOR rec[-4]\nDETECTOR rec[-3]\n"
                    "OBSERVABLE_INCLUDE(0) rec[-2]\nOBSERVABLE_INCLUDE(1) rec[-1]\n")  # fmt: skip
    config = {"circuit": str(path)}
    policy = DecoderPolicy(config, "bposd")
    syndromes = [[0, 0], [0, 1], [1, 0]]
    assert policy.predict(np.array(syndromes))[0].tolist() == syndromes
    failed = failures(policy, config, shots=5000, seed=4)
    assert binomtest(int(failed.sum()), 5000, 0.19).pvalue > 1e-5


class Remembers:
    """What sees one round at a time and keeps it, as the agents of `syndrift train-agent` act."""

    def __init__(self, policy: DecoderPolicy) -> None:
        self.policy = policy

    def act(self, seen: np.ndarray, state: Any, starts: np.ndarray) -> tuple[np.ndarray, Any]:
        kept = [] if starts.all() else state
        kept = [*kept, seen[:, :-2]]
        missing = [np.zeros_like(kept[0])] * (3 - len(kept))
        return self.policy.predict(np.hstack([*missing, *kept, seen[:, -2:]]))[0], kept


def test_an_agent_with_a_memory_needs_no_window():
    config = WINDOW | {"window": 1}
    policy = DecoderPolicy(ROUNDS)
    found = failures(Remembers(policy), config, shots=10_000, seed=2)
    np.testing.assert_array_equal(found, failures(policy, ROUNDS, shots=10_000, seed=2))


def test_a_checkpoint_can_name_the_spaces():
    env = vector(2, ROUNDS)
    for space in (env.single_observation_space, env.single_action_space):
        assert space_of(table_of(space)) == space


def test_a_policy_answers_one_shot_as_it_does_many():
    policy = DecoderPolicy(ROUNDS)
    env = vector(512, ROUNDS)
    seen, _ = env.reset(seed=1)
    for _ in range(2):
        assert not policy.predict(seen)[0].any()  # it waits for the end
        seen = env.step(np.ones((512, 1), dtype=int))[0]
    many, state = policy.predict(seen)
    assert state is None
    assert many.any()
    for row in range(0, 512, 50):
        np.testing.assert_array_equal(policy.predict(seen[row])[0], many[row])
    assert NeverFlip(ROUNDS).predict(seen[0])[0].shape == (1,)


def test_ppo_learns_to_flip_what_one_event_tells(tmp_path: pathlib.Path):
    """One bit that flips with 0.3 and is seen: never flipping errs in 30 % of the shots.

    A false alarm of that share has the chance 1e-5; the best answer never errs.
    """
    path = tmp_path / "one.stim"
    path.write_text("X_ERROR(0.3) 0\nM 0\nDETECTOR(0, 0) rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n")
    config = {"circuit": str(path)}
    model = PPO("MlpPolicy", AsVecEnv(DecodingVector(64, config)), n_steps=8, batch_size=128,
                gamma=1.0, seed=1, device="cpu")  # fmt: skip
    model.learn(4096)
    assert not failures(model, config, shots=1000, seed=2**31).any()
    still = failures(NeverFlip(config), config, shots=1000, seed=2**31)
    assert binomtest(int(still.sum()), 1000, 0.3).pvalue > 1e-5


def test_the_truth_stands_with_the_judge_alone():
    env = vector(4, SHORT)
    assert HIDDEN not in env.reset(seed=1)[1]
    infos = env.step(np.zeros((4, 1), dtype=int))[4]
    assert HIDDEN not in infos
    assert HIDDEN not in infos["final_info"]
    adapted = AsVecEnv(DecodingVector(4, SHORT, judged=True))
    adapted.reset()
    _, _, _, told = adapted.step(np.zeros((4, 1), dtype=int))
    assert [set(one) for one in told] == [{"terminal_observation", "TimeLimit.truncated"}] * 4
    one = gymnasium.make("envs:syndrift/Decoding-v0", config=SHORT)
    assert one.reset(seed=1)[1] == {HIDDEN: {"flips": drawn(SHORT, 1, seed=1)[2][0].tolist()}}


def test_a_config_survives_being_written_down(tmp_path: pathlib.Path):
    for table in ({}, {"code": "repetition", "distance": 5}, WINDOW,
                  {"circuit": str(tmp_path / "mine.stim")}):  # fmt: skip
        config = DecodingConfig.model_validate(table)
        assert DecodingConfig.model_validate(config.model_dump(mode="json")) == config
    assert DecodingConfig().code == "rotated-surface"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"distance": 1}, "distance of rotated-surface must be"),
        ({"code": "rotated-surfac"}, "did you mean 'rotated-surface'"),
        ({"circuit": "x.stim", "distance": 3}, "either a circuit or a code .* not both"),
        ({"circuit": "x.stim"}, "x.stim: no such file"),
        ({"window": 2}, "window belongs to turns = 'rounds', got window = 2"),
        ({"turns": "rounds", "window": 5}, r"at most 4 \(the rounds and the final .*\), got 5"),
        ({"turns": "each"}, "'whole' or 'rounds'"),
        ({"noise": {"kind": "depolarizing", "p": 0}}, "noise"),
        ({"windows": 2}, "Extra inputs are not permitted"),
    ],
)
def test_configs_that_cannot_be_are_refused(config: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        vector(2, config)


def test_a_circuit_without_times_has_no_rounds(tmp_path: pathlib.Path):
    path = tmp_path / "bare.stim"
    path.write_text("X_ERROR(0.1) 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n")
    assert vector(2, {"circuit": str(path)}).reset(seed=1)[0].shape == (2, 1)
    with pytest.raises(ValueError, match="detector 0 has 0 coordinates: add them, or take turns"):
        vector(2, {"circuit": str(path), "turns": "rounds"})


@FORMS
def test_wrong_plays_are_refused(config: Any):
    env, alone = vector(3, config), gymnasium.make("envs:syndrift/Decoding-v0", config=config)
    still = np.zeros((3, 1))
    for one, action in ((env, still), (alone.unwrapped, still[0])):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) before step"):
            one.step(action)
    env.reset(seed=1)
    alone.reset(seed=1)
    with pytest.raises(ValueError, match=r"shape \(3, 1\), .* got \(3,\): reshape"):
        env.step(still[:, 0])
    for wrong in (0.5, 2, -1, np.nan):
        with pytest.raises(ValueError, match=f"0 .leave. or 1 .flip., got {wrong}"):
            env.step(np.array([[0], [wrong], [1]]))
    with pytest.raises(ValueError, match=r"shape \(1, 1\), .* got \(1,\)"):
        alone.unwrapped.step(np.int64(1))
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        vector(0, config)
    with pytest.raises(ValueError, match="seed must be one number"):
        env.reset(seed=[1, 2, 3])


def test_wrong_comparisons_are_refused():
    with pytest.raises(ValueError, match="must see all 3 rounds, got window = 2: give it "):
        DecoderPolicy(WINDOW)
    with pytest.raises(ValueError, match="did you mean `pymatching`"):
        DecoderPolicy(SHORT, "pymatchin")
    seen, _ = vector(2, ROUNDS).reset(seed=1)
    with pytest.raises(ValueError, match=r"observations of 16 numbers, got shape \(2, 26\)"):
        DecoderPolicy(SHORT).predict(seen)
    with pytest.raises(ValueError, match="shots must be at least 1, got 0"):
        failures(NeverFlip(), shots=0, seed=1)
    few, many = (failures(NeverFlip(), shots=shots, seed=1) for shots in (10, 20))
    with pytest.raises(ValueError, match="a and b must have played the same shots, got 10 and 20"):
        against({"a": few, "b": many}, "b")
    with pytest.raises(ValueError, match="reference must be one of a, got 'b'"):
        against({"a": few}, "b")

"""Training: what is learnt, that seeds hold, and that stopping at any moment costs nothing."""

import json
import pathlib
import signal
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import VectorEnv

from envs.agents import training
from envs.agents.checkpoint import CHECKPOINT, load, load_policy
from envs.agents.config import FIRST_HELD_OUT_SEED, TrainConfig
from envs.agents.environments import make_devices
from envs.agents.evaluation import evaluate
from envs.agents.training import train, training_seed
from envs.agents.vector import AsVecEnv
from tests.envs.agents.test_checkpoint import SMALL, assert_same
from tests.envs.agents.toy import TOY, Cancel, Idle, OffsetDevices

# 16 devices x 8 steps are a rollout of PPO: cuts after 256 steps, judgements after 512.
CUT, JUDGED = 256, 512


def config_of(kind: str = "ppo", **settings: Any) -> TrainConfig:
    return TrainConfig.model_validate({
        "environment": {"id": TOY, "config": {"noise": 0.05}}, "devices": 16, "steps": 2 * JUDGED,
        "algorithm": {"kind": kind, **SMALL[kind]}, "checkpoint_every_steps": CUT,
        "evaluation": {"every_steps": JUDGED, "devices": 32}, **settings,
    })  # fmt: skip


def parts_of(folder: pathlib.Path) -> tuple[Any, ...]:
    """Everything in a checkpoint but the time it took."""
    found = load(folder)
    words = found.words.model_dump(exclude={"config": {"steps"}, "record": {"seconds"}})
    arrays = [{name: array.tolist() for name, array in one.items()}
              for one in (found.policy, found.optimiser)]  # fmt: skip
    return (words, *arrays)


def killed_at(steps_share: float) -> Any:
    def on_progress(fraction: float) -> None:
        if fraction > steps_share:
            raise MemoryError("killed")

    return on_progress


@pytest.mark.parametrize(
    ("kind", "settings", "steps", "at_least"),
    [
        ("ppo", {"learning_rate": 2e-3, "network": (32, 32), "rollout_steps": 16}, 30_000, -0.32),
        ("sac", {"learning_rate": 2e-3, "network": (32, 32), "warm_up": 1000, "updates": 4,
                 "batch": 256}, 10_000, -0.5),
    ],
    ids=["ppo", "sac"],
)  # fmt: skip
def test_it_learns_to_cancel_an_offset(
    kind: str, settings: dict[str, Any], steps: int, at_least: float, tmp_path: pathlib.Path
) -> None:
    config = config_of(kind, algorithm={"kind": kind, **settings}, devices=64, steps=steps,
                       checkpoint_every_steps=steps // 2,
                       evaluation={"every_steps": steps // 2, "devices": 256})  # fmt: skip
    found = train(config, tmp_path).final
    # The same devices, played by who does nothing (-3) and by who knows the rules (-0.24).
    env = OffsetDevices(256)
    idle, best = (evaluate(player, env, seed=found.seed) for player in (Idle(), Cancel()))
    assert idle.mean_return < -2.5
    assert best.mean_return > -0.26
    assert found.mean_return > at_least
    assert found.calibrated_share is not None
    assert found.calibrated_share > 0.7
    assert found.median_ratio is not None
    assert found.median_ratio < 1.15


@pytest.mark.parametrize("kind", SMALL)
def test_the_same_seed_gives_the_same_agent(kind: str, tmp_path: pathlib.Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        train(config_of(kind, seed=seed, steps=JUDGED), tmp_path / name)
    one, again, other = (parts_of(tmp_path / name / "last") for name in ("one", "again", "other"))
    assert_same(one, again)
    assert one[1] != other[1]


@pytest.mark.parametrize("kind", ["ppo", "recurrent-ppo"])
def test_stopped_and_gone_on_is_bit_for_bit_never_stopped(
    kind: str, tmp_path: pathlib.Path
) -> None:
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    whole = train(config_of(kind), straight)
    first = train(config_of(kind, steps=JUDGED), halves)
    assert first.record.steps == JUDGED
    second = train(config_of(kind), halves)
    assert second.record.steps == whole.record.steps == 2 * JUDGED
    for name in ("last", "best"):
        assert_same(parts_of(straight / name), parts_of(halves / name))
    assert second.final == whole.final


def test_killed_in_the_middle_is_bit_for_bit_never_killed(tmp_path: pathlib.Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(config_of(), straight)
    for share in (0.1, 0.4, 0.6, 0.9):  # the first one before anything was saved
        with pytest.raises(MemoryError):
            train(config_of(), killed, killed_at(share))
        assert (killed / "last").exists() == (share > 0.25)
    train(config_of(), killed)
    for name in ("last", "best"):
        assert_same(parts_of(straight / name), parts_of(killed / name))


def test_killed_between_best_and_last_is_judged_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(config_of(), straight)
    saved = training.checkpoint.save

    def save(folder: pathlib.Path, *what: Any) -> None:
        saved(folder, *what)
        if folder.name == "best":
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(training.checkpoint, "save", save)
        with pytest.raises(MemoryError):
            train(config_of(), killed)
    assert load(killed / "best").record.steps > load(killed / "last").record.steps
    train(config_of(), killed)
    assert_same(parts_of(straight / "last"), parts_of(killed / "last"))
    assert [one.steps for one in load(killed / "last").record.evaluations] == [JUDGED, 2 * JUDGED]


@pytest.mark.parametrize("kind", ["ppo", "sac"])
def test_ctrl_c_saves_and_says_how_to_go_on(kind: str, tmp_path: pathlib.Path) -> None:
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(fraction: float) -> None:
        if fraction > 0.6:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"624 steps .*last; the same command goes on"):
        train(config_of(kind), tmp_path, interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    stopped = load(tmp_path / "last")
    assert stopped.record.steps == 624  # 39 x 16, the first above 0.6 x 1024
    assert stopped.words.normaliser.observations is not None
    before = stopped.words.normaliser.observations.count
    done = train(config_of(kind), tmp_path)
    assert done.record.steps >= 2 * JUDGED
    kept = load(tmp_path / "last").words.normaliser.observations
    assert kept is not None
    # Each reset and each step counts 16 looks: the statistics went on and did not begin anew.
    resets = 2 * 16 if kind == "ppo" else 3 * 16
    assert kept.count - before == pytest.approx(done.record.steps - 624 + resets, abs=16.01)


def test_a_second_ctrl_c_stops_at_once(tmp_path: pathlib.Path) -> None:
    def interrupt(fraction: float) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stop:
        train(config_of(), tmp_path, interrupt)
    assert "goes on" not in str(stop.value)
    assert not (tmp_path / "last").exists()


def test_an_off_policy_agent_warms_up_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []
    learn = training.OffPolicyAlgorithm.learn

    def spied(model: Any, *arguments: Any, **settings: Any) -> Any:
        starts.append(model.learning_starts)
        return learn(model, *arguments, **settings)

    monkeypatch.setattr(training.OffPolicyAlgorithm, "learn", spied)
    monkeypatch.setattr("stable_baselines3.SAC.learn", spied)
    train(config_of("sac", steps=CUT), tmp_path)
    train(config_of("sac", steps=2 * CUT), tmp_path)
    warm_up = SMALL["sac"]["warm_up"]
    assert [starts[0], starts[-1]] == [warm_up, CUT + warm_up]


def test_the_best_is_kept_and_judged_again_on_new_devices(tmp_path: pathlib.Path) -> None:
    done = train(config_of(steps=4 * JUDGED), tmp_path)
    returns = [one.mean_return for one in done.record.evaluations]
    assert len(returns) == 4
    best = load(tmp_path / "best").record
    assert best.evaluations[-1].mean_return == max(returns)
    assert best.steps == done.best.steps == done.final.steps
    assert done.final.seed not in {one.seed for one in done.record.evaluations}
    agent = load_policy(tmp_path / "best")
    env = make_devices(config_of().environment, 32)
    assert evaluate(agent, env, seed=done.final.seed, steps=best.steps) == done.final


def test_the_best_is_not_the_last_when_the_agent_gets_worse(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returns, judge = iter([1.0, 3.0, 3.0, 2.0, 7.0]), training.evaluate

    def evaluate(*what: Any, **settings: Any) -> Any:
        return judge(*what, **settings).model_copy(update={"mean_return": next(returns)})

    monkeypatch.setattr(training, "evaluate", evaluate)
    done = train(config_of(steps=4 * JUDGED), tmp_path)
    assert load(tmp_path / "best").record.steps == done.best.steps == 2 * JUDGED
    assert done.final.steps == 2 * JUDGED
    assert load(tmp_path / "last").record.steps == 4 * JUDGED


def test_training_never_draws_a_held_out_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [training_seed(seed, steps) for seed in range(30) for steps in range(0, 10**7, 10**5)]
    assert max(found) + 10**6 < FIRST_HELD_OUT_SEED  # also where a device's number is added
    assert len(set(found)) > len(found) - 3  # they differ: 3,000 of 2^31 collide twice at most


def test_devices_are_seeded_and_judged_apart(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Spied(OffsetDevices):
        def __init__(self, num_envs: int, config: Any = None, judged: bool = False) -> None:
            super().__init__(num_envs, config)
            self.judged, self.seeds, self.is_closed = judged, [], False
            made.append(self)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.seeds.append(seed)
            return super().reset(seed=seed, options=options)

        def close_extras(self, **settings: Any) -> None:
            self.is_closed = True

    entry: Any = Spied
    gymnasium.register("toy/Spied-v0", vector_entry_point=entry)
    try:
        train(config_of(environment={"id": "toy/Spied-v0"}), tmp_path)
    finally:
        del gymnasium.registry["toy/Spied-v0"]
    trained, judged = made
    assert (trained.judged, judged.judged) == (False, True)
    assert trained.seeds == [training_seed(1, steps) for steps in range(0, 2 * JUDGED, CUT)]
    assert all(seed >= FIRST_HELD_OUT_SEED for seed in judged.seeds)
    assert len(judged.seeds) == 3
    assert trained.is_closed
    assert judged.is_closed


def test_an_agent_of_another_recipe_is_not_gone_on_with(tmp_path: pathlib.Path) -> None:
    train(config_of(steps=CUT), tmp_path)
    with pytest.raises(ValueError, match="holds an agent whose `seed` is different"):
        train(config_of(seed=2), tmp_path)
    with pytest.raises(ValueError, match="holds an agent whose `algorithm` is different"):
        train(config_of(algorithm={"kind": "sac"}), tmp_path)


def test_a_finished_training_is_not_trained_on(tmp_path: pathlib.Path) -> None:
    first = train(config_of(), tmp_path)
    stamp = (tmp_path / "last" / CHECKPOINT).stat().st_mtime_ns
    assert train(config_of(), tmp_path) == first
    assert (tmp_path / "last" / CHECKPOINT).stat().st_mtime_ns == stamp


def test_fewer_steps_than_were_done_are_judged_all_the_same(tmp_path: pathlib.Path) -> None:
    slow = {"every_steps": 10_000, "devices": 32}
    with pytest.raises(MemoryError):
        train(config_of(evaluation=slow), tmp_path, killed_at(0.6))
    done = train(config_of(evaluation=slow, steps=CUT), tmp_path)
    assert done.record.steps == JUDGED
    assert [one.steps for one in done.record.evaluations] == [JUDGED]


def test_the_learning_rate_falls_over_the_whole_training(tmp_path: pathlib.Path) -> None:
    linear = {"kind": "ppo", **SMALL["ppo"], "decay": "linear", "learning_rate": 1e-2}
    train(config_of(algorithm=linear), tmp_path)
    (group,) = load(tmp_path / "last").words.optimisers["policy.optimizer"]
    assert group["lr"] == 0.0  # and not what a single chapter says
    train(config_of(algorithm=linear, steps=4 * JUDGED), tmp_path / "longer")
    record = load(tmp_path / "longer" / "best").words
    share = 1 - record.record.steps / (4 * JUDGED)
    assert record.optimisers["policy.optimizer"][0]["lr"] == pytest.approx(1e-2 * share)


def test_the_card_says_what_was_found(tmp_path: pathlib.Path) -> None:
    done = train(config_of(title="Cancels offsets"), tmp_path, commit="abc123")
    card = (tmp_path / "model_card.md").read_text()
    assert card.startswith("# Cancels offsets\n")
    final = done.final
    for text in (f"{final.mean_return:.4g} [{final.return_interval[0]:.4g}, ", str(final.seed),
                 f"{final.calibrated_share:.4g} [", f"{final.median_ratio:.4g} [", "abc123",
                 'id = "toy/Offset-v0"', "noise = 0.05", "stable-baselines3 2."):  # fmt: skip
        assert text in card


def test_logs_are_tensorboard_s(tmp_path: pathlib.Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(config_of(), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    judged = events.Scalars("evaluation/mean_return")
    assert [one.step for one in judged] == [JUDGED, 2 * JUDGED]
    record = load(tmp_path / "last").record
    np.testing.assert_allclose(
        [one.value for one in judged], [one.mean_return for one in record.evaluations], rtol=1e-6
    )
    assert events.Scalars("rollout/ep_rew_mean")


def test_without_tensorboard_nothing_is_logged(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
    train(config_of(steps=CUT), tmp_path)
    assert not (tmp_path / "tensorboard").exists()


def test_environments_of_one_device_are_put_together(tmp_path: pathlib.Path) -> None:
    pendulum = {"id": "Pendulum-v1"}
    done = train(config_of(environment=pendulum, steps=CUT), tmp_path)
    assert done.final.mean_episode_steps == 200
    assert done.final.calibrated is None
    env: VectorEnv = make_devices(config_of(environment=pendulum).environment, 2)
    assert AsVecEnv(env).num_envs == 2


def test_our_own_environment_is_trained_in_and_judged(tmp_path: pathlib.Path) -> None:
    pulse = {"id": "syndrift/PulseCalibration-v0", "config": {"looks": 5, "shots": 8}}
    done = train(config_of(environment=pulse, steps=CUT), tmp_path)
    assert done.final.mean_episode_steps == 4  # the first look comes with the reset
    assert done.final.calibrated is not None
    assert done.final.median_ratio is not None
    assert done.final.median_ratio > 1.0  # nothing is better than the coherence limit
    agent = load_policy(tmp_path / "best")
    env = make_devices(agent.environment, 3)
    actions, _ = agent.act(env.reset(seed=1)[0])
    assert actions.shape == env.action_space.shape


def test_an_environment_that_nobody_knows_is_one_line() -> None:
    recipe = config_of(environment={"id": "syndrift/Nothing-v0"}).environment
    with pytest.raises(ValueError, match=r"environment\.id: .*Nothing") as error:
        make_devices(recipe, 1)
    assert "\n" not in str(error.value)


def test_actions_that_are_choices_are_not_for_off_policy_algorithms(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(ValueError, match=r"'sac' needs actions that are numbers .* take 'ppo'"):
        train(config_of("sac", environment={"id": "Acrobot-v1"}), tmp_path)
    few = {"every_steps": CUT, "devices": 2}
    config = config_of(environment={"id": "Acrobot-v1"}, steps=CUT, evaluation=few)
    done = train(config, tmp_path)
    assert done.record.steps == CUT


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"devices": 15}, "15 devices x 8 steps does not go into 7 equal minibatches"),
        ({"algorithm": {"kind": "sac", "buffer": 3}}, "does not hold a single step of 16 devices"),
        ({"algorithm": {"kind": "tqc", "dropped": 25}}, r"below quantiles \(25\), got 25"),
        ({"algorithm": {"kind": "a2c"}}, "does not match any of the expected tags"),
        ({"algorithm": {"kind": "sac", "epochs": 3}}, "Extra inputs"),
    ],
)
def test_recipes_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    base: dict[str, Any] = {
        "algorithm": {"kind": "ppo", "rollout_steps": 8, "minibatches": 7}
    } | settings
    with pytest.raises(ValueError, match=message):
        config_of(**(base | settings))


def test_the_kept_recipe_is_the_recipe(tmp_path: pathlib.Path) -> None:
    config = config_of(steps=CUT)
    train(config, tmp_path)
    kept = json.loads((tmp_path / "last" / CHECKPOINT).read_text())["config"]
    assert TrainConfig.model_validate(kept) == config == load(tmp_path / "last").config

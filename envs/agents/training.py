"""Training an agent: in chapters, each of which ends with a judgement, a checkpoint, or both."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from envs.agents import checkpoint
from envs.agents.algorithms import check_actions, make_model
from envs.agents.checkpoint import Record, agent_of
from envs.agents.config import FIRST_HELD_OUT_SEED, TrainConfig
from envs.agents.environments import make_devices
from envs.agents.evaluation import Evaluation, evaluate
from envs.agents.model_card import CARD, Trained, model_card
from envs.agents.vector import AsVecEnv

BEST, LAST, TENSORBOARD = "best", "last", "tensorboard"
# What may be different when a training goes on.
MAY_CHANGE = ("title", "steps", "threads")
_PACKAGES = ("syndrift", "gymnasium", "stable-baselines3", "sb3-contrib", "torch", "numpy")
# The seeds of the last judgement lie this far above those by which the best agent was chosen.
_FINAL_JUDGEMENT = 2**30


def train(
    config: TrainConfig,
    folder: pathlib.Path,
    on_progress: Callable[[float], None] = lambda fraction: None,
    commit: str | None = None,
) -> Trained:
    """Trains until `config.steps`, or goes on where `folder/last` stands; writes the model card.

    The folder gets `best/` (by the return on held-out devices), `last/`, `tensorboard/` where
    TensorBoard is installed, and `model_card.md`. Training is cut into chapters, at the steps where
    the agent is judged or saved. At each cut all devices and all random numbers begin anew from
    (seed, steps), so that an on-policy agent that was stopped at a cut and goes on ends with the
    very weights of one that was never stopped. An off-policy agent remembers nothing of what it did
    before: it begins with `warm_up` random steps again.

    Ctrl-C stops at the next step, saves, and says so; a second one stops at once.
    """
    known = _known(config, folder)
    env = make_devices(config.environment, config.devices)
    judged = make_devices(config.environment, config.evaluation.devices, judged=True)
    try:
        with _threads(config.threads), _logger(folder / TENSORBOARD) as logger:
            model = _model(config, env, known)
            model.set_logger(logger)
            record = Record() if known is None else known.record
            course = _Course(config, folder, model, judged, record, commit)
            _run(course, config.steps, on_progress)
            return _finished(config, folder, judged, course.record)
    finally:
        env.close()
        judged.close()


def _run(course: _Course, steps: int, on_progress: Callable[[float], None]) -> None:
    """The chapters to the end, or to a Ctrl-C."""
    with _Interruption() as interruption:
        watch = _Watch(steps, on_progress, interruption)
        while course.steps < steps:
            course.chapter(watch)
            if interruption.asked:
                course.save()
                raise KeyboardInterrupt(course.stopped())
        course.finish()


def check(config: TrainConfig) -> None:
    """Refuses an environment that cannot be made or does not suit the algorithm."""
    env = AsVecEnv(make_devices(config.environment, 1))
    try:
        check_actions(config.algorithm, env.action_space)
    finally:
        env.close()


def training_seed(seed: int, steps: int) -> int:
    """The seed of the chapter that begins after so many steps: below every held-out one."""
    drawn = int(np.random.SeedSequence((seed, steps)).generate_state(1, np.uint64)[0])
    return drawn % (FIRST_HELD_OUT_SEED - 2**20)  # some environments add a device's number


class _Course:
    """A training on its way: the model and what is written down of it."""

    def __init__(
        self,
        config: TrainConfig,
        folder: pathlib.Path,
        model: BaseAlgorithm,
        judged: VectorEnv,
        record: Record,
        commit: str | None,
    ) -> None:
        self.record = record.model_copy(update={"versions": _versions(), "commit": commit})
        self._config, self._folder, self._model, self._judged = config, folder, model, judged

    @property
    def steps(self) -> int:
        """Steps done, all devices together."""
        return self._model.num_timesteps

    def chapter(self, watch: _Watch) -> None:
        """Trains to the next cut; judges and saves unless it was interrupted."""
        model, begun = self._model, time.perf_counter()
        goal = _next_cut(self._config, self.steps)
        model.set_random_seed(training_seed(self._config.seed, self.steps))
        env = model.get_env()
        assert env is not None, "a model that trains has an environment"
        model.set_env(env, force_reset=True)
        model.learn(
            goal - self.steps,
            callback=watch,
            log_interval=_log_interval(model),
            reset_num_timesteps=False,
        )
        self._note(seconds=self.record.seconds + time.perf_counter() - begun)
        if not watch.interruption.asked:
            if self._is_judgement_due():
                self._judge()
            self.save()

    def finish(self) -> None:
        """Judges an agent that never was, such as one whose recipe now has fewer steps."""
        if not self.record.evaluations:
            self._judge()
            self.save()

    def stopped(self) -> str:
        """What to say to whoever stopped it."""
        return (f"What was learnt in {self.steps:,} steps is in {self._folder / LAST}; the same "
                "command goes on from there.")  # fmt: skip

    def save(self) -> None:
        """Writes `last/`."""
        self._note(steps=self.steps, updates=self._model._n_updates)
        checkpoint.save(self._folder / LAST, self._config, self._model, self.record)

    def _note(self, **what: Any) -> None:
        self.record = self.record.model_copy(update=what)

    def _is_judgement_due(self) -> bool:
        every, found = self._config.evaluation.every_steps, self.record.evaluations
        before = found[-1].steps if found else 0
        return self.steps >= self._config.steps or self.steps // every > before // every

    def _judge(self) -> None:
        agent = agent_of(self._model, self._config)
        seed = FIRST_HELD_OUT_SEED + self._config.evaluation.seed
        found = evaluate(agent, self._judged, seed=seed, steps=self.steps)
        is_best = all(found.mean_return > one.mean_return for one in self.record.evaluations)
        self._note(evaluations=(*self.record.evaluations, found), steps=self.steps,
                   updates=self._model._n_updates)  # fmt: skip
        _log(self._model.logger, found)
        if is_best:
            checkpoint.save(self._folder / BEST, self._config, self._model, self.record)


def _finished(
    config: TrainConfig, folder: pathlib.Path, judged: VectorEnv, record: Record
) -> Trained:
    """Judges the best agent on devices by which it was not chosen, and writes the card."""
    best = checkpoint.load(folder / BEST)
    seed = FIRST_HELD_OUT_SEED + _FINAL_JUDGEMENT + config.evaluation.seed
    agent = checkpoint.load_policy(folder / BEST)
    final = evaluate(agent, judged, seed=seed, steps=best.record.steps)
    trained = Trained(config=config, record=record, final=final)
    (folder / CARD).write_text(model_card(trained), encoding="utf-8")
    return trained


def _known(config: TrainConfig, folder: pathlib.Path) -> checkpoint.Checkpoint | None:
    """The checkpoint to go on from, if there is one; refuses one of another recipe."""
    if not (folder / LAST / checkpoint.CHECKPOINT).exists():
        return None
    known = checkpoint.load(folder / LAST)
    for key in type(config).model_fields:
        if key not in MAY_CHANGE and getattr(known.config, key) != getattr(config, key):
            raise ValueError(f"{folder} holds an agent whose `{key}` is different: give another "
                             "folder")  # fmt: skip
    return known


def _model(
    config: TrainConfig, env: VectorEnv, known: checkpoint.Checkpoint | None
) -> BaseAlgorithm:
    normalised = VecNormalize(
        VecMonitor(AsVecEnv(env)),
        norm_obs=config.normalise_observations,
        norm_reward=config.normalise_rewards,
        gamma=config.algorithm.gamma,
    )
    seed = training_seed(config.seed, 0)
    model = make_model(config.algorithm, normalised, seed, config.steps)
    if known is not None:
        known.restore(model)
        if isinstance(model, OffPolicyAlgorithm):
            model.learning_starts += model.num_timesteps  # its memory is empty again
    return model


def _next_cut(config: TrainConfig, steps: int) -> int:
    intervals = (config.checkpoint_every_steps, config.evaluation.every_steps)
    return min(config.steps, *(every * (steps // every + 1) for every in intervals))


def _log_interval(model: BaseAlgorithm) -> int:
    """Updates between two lines of the log; for off-policy algorithms it counts episodes."""
    return 20 * model.n_envs if isinstance(model, OffPolicyAlgorithm) else 1


def _log(logger: Logger, found: Evaluation) -> None:
    logger.record("evaluation/mean_return", found.mean_return)
    if found.calibrated_share is not None:
        logger.record("evaluation/calibrated_share", found.calibrated_share)
        logger.record("evaluation/median_ratio", found.median_ratio)
    logger.dump(found.steps)


@contextmanager
def _logger(folder: pathlib.Path) -> Iterator[Logger]:
    """TensorBoard's files where it is installed; nothing is printed."""
    there = importlib.util.find_spec("tensorboard") is not None
    logger = configure(str(folder), ["tensorboard"]) if there else Logger(None, [])
    try:
        yield logger
    finally:
        logger.close()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class _Watch(BaseCallback):
    """Says how far the training is, and stops it between two steps when that was asked."""

    def __init__(
        self, steps: int, on_progress: Callable[[float], None], interruption: _Interruption
    ) -> None:
        super().__init__()
        self._steps, self._on_progress, self.interruption = steps, on_progress, interruption

    def _on_step(self) -> bool:
        self._on_progress(min(1.0, self.num_timesteps / self._steps))
        return not self.interruption.asked


class _Interruption:
    """Turns the first Ctrl-C into a wish; the second is the usual one."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Interruption:
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_main:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

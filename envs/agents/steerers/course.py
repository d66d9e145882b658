"""A run of `syndrift steer`: its recipe, and the course of one steerer from first to last."""

from __future__ import annotations

import math
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, cast

import numpy as np
import stim
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger

from calib.threads import one_thread
from decoders.logical import error_model, logical_errors
from envs.agents.steerers.guard import Guard, GuardRecipe
from envs.agents.steerers.judge import EXPECTED, Judge, tried_settings
from envs.agents.steerers.registry import AnySteerer, make_steerer
from envs.agents.steerers.schedule import Schedule, ScheduleRecipe
from envs.agents.steerers.steerer import Steerer
from envs.agents.vector import AsVecEnv
from envs.steered.plant import Array
from envs.steering import SteeringConfig, SurfaceCodeSteeringVector

_SHOTS = 3  # what the seed is used for
_TRIED = 8  # candidates, spread over all, whose logical errors are counted together
_MAY_BE_OFF = ("guard", "recalibration", "ler")
_MOST_NUMBERS = 5_000_000  # of settings that are written down

OnProgress = Callable[[float, str], None]


class _Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LerRecipe(_Recipe):
    """When logical errors are counted, beside the detections that all steerers lower."""

    every_epochs: int = Field(default=50, ge=1, description="epochs between two counts; the first "
                              "and the last epoch count besides")  # fmt: skip
    shots: int = Field(default=20_000, ge=100, description="of each count")
    decoder: Literal["pymatching", "pymatching-correlated"] = Field(
        default="pymatching-correlated", description="with the priors of perfect settings"
    )


def _off(value: Any) -> Any:
    """TOML has no null: false stands for it."""
    return None if value is False else value


class SteerConfig(_Recipe):
    """What is steered, by whom, beside whom, for how long."""

    title: str = Field(default="Steering by detection events", description="above the table")
    seed: int = Field(default=1, ge=0, lt=2**31, description="of the device, its drift, the shots")
    epochs: int = Field(default=500, ge=2, description="epochs of the run")
    candidates: int = Field(default=40, ge=2, multiple_of=2, description="settings an epoch")
    environment: SteeringConfig = Field(default=SteeringConfig(), description="what is steered")
    steerer: AnySteerer = Field(default_factory=lambda: _default(), description="who steers")
    rivals: dict[str, AnySteerer] = Field(
        default={}, description="others on the same device at the same shots, by a name"
    )
    guard: Annotated[GuardRecipe | None, BeforeValidator(_off)] = Field(
        default=GuardRecipe(), description="puts back what was better, for the steerer alone; or "
        "false"
    )  # fmt: skip
    recalibration: Annotated[ScheduleRecipe | None, BeforeValidator(_off)] = Field(
        default=None, description="halts the code for a calibration of all controls when that is "
        "worth it, for the steerer alone; false by default"
    )  # fmt: skip
    ler: Annotated[LerRecipe | None, BeforeValidator(_off)] = Field(
        default=LerRecipe(), description="counts of logical errors; or false"
    )
    checkpoint_every_epochs: int = Field(default=50, ge=1, description="epochs between two saves")

    @model_serializer(mode="wrap")
    def _written(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As a table, which is read again."""
        off = {name: False for name in _MAY_BE_OFF if getattr(self, name) is None}
        return usual(self) | off

    @model_validator(mode="after")
    def _named(self) -> SteerConfig:
        for name in self.rivals:
            if name in (*EXPECTED, "steerer"):
                raise ValueError(f"a rival must not be called {name!r}, which the tables have")
            if not re.fullmatch(r"[\w-]+", name):
                raise ValueError(f"a rival's name is a file's too: expected letters, digits, - and "
                                 f"_, got {name!r}")  # fmt: skip
        if self.environment.epochs is not None:
            raise ValueError("environment.epochs cuts the run: leave it out, and set epochs alone")
        if self.recalibration and self.steerer.kind == "ppo":
            raise ValueError("recalibration: stable-baselines3's ppo cannot be halted: take "
                             "another steerer, or recalibration = false")  # fmt: skip
        return self


def _default() -> Any:
    from envs.agents.steerers.tracker import TrackerRecipe

    return TrackerRecipe()


class Count(NamedTuple):
    """Logical errors of shots at one epoch, of one of EXPECTED."""

    epoch: int
    who: str
    shots: int
    errors: int


class Course(NamedTuple):
    """What came of one steerer: for each epoch, and at some of them."""

    times_s: Array  # [E]
    expected: Array  # detections a cycle, [E, 4] in the order of EXPECTED
    halted: Array  # share of the epoch in which the code did not run, [E]
    settings: Array  # held best, [E / stride, K]
    stride: int
    counts: tuple[Count, ...]
    rolled_back: tuple[int, ...]
    controls: tuple[str, ...]
    leakage: Array  # the population that a gate leaks, [E, 4] in the order of EXPECTED
    leaked: tuple[int, ...]  # those of `rolled_back` in which leakage was the reason
    recalibrated: tuple[int, ...]  # epochs in which the code was halted for it

    def lers(self, who: str) -> NDArray[np.int64]:
        """Epochs, shots, errors of one of EXPECTED, [N, 3]."""
        rows = [(one.epoch, one.shots, one.errors) for one in self.counts if one.who == who]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)


@one_thread()
def steer(
    config: SteerConfig,
    recipe: Any,
    checkpoint: pathlib.Path | None = None,
    on_progress: OnProgress = lambda fraction, words: None,
) -> Course:
    """One steerer's run; goes on from the checkpoint's file where it stands, if it can."""
    device = SurfaceCodeSteeringVector(config.candidates, config.environment)
    env = AsVecEnv(device)
    model = make_steerer(recipe, env, config.seed)
    model.set_logger(Logger(None, []))  # the default makes an empty folder for temporary files
    env.seed(config.seed)
    judge = Judge(config.environment.memory.rounds)
    keepers = _Keepers.of(config) if recipe is config.steerer else _Keepers(None, None)
    writer = _Writer(config, judge, keepers, checkpoint, on_progress)
    writer.restore(model)
    # The writer comes first: it saves what was known before a schedule begins another epoch.
    parts: list[BaseCallback] = [judge, writer, *keepers.present().values()]
    left = config.epochs - len(judge.times_s)
    if left > 0:
        model.learn(left * config.candidates, CallbackList(parts), reset_num_timesteps=False)
    return writer.course(device.controls)


def last_circuits(config: SteerConfig, course: Course) -> dict[str, stim.Circuit]:
    """The memory with the noise of the last epoch kept, as it was steered and left alone."""
    env = AsVecEnv(SurfaceCodeSteeringVector(1, config.environment))
    env.seed(config.seed)
    env.reset()  # draws the device of the run anew
    plant = env.get_attr("experiment", 0)[0].plant
    held, epoch = course.settings[-1], (len(course.settings) - 1) * course.stride
    time_s = float(course.times_s[epoch])
    return {"steered": plant.noisy(held, time_s), "untouched": plant.noisy(0 * held, time_s)}


class _Keepers(NamedTuple):
    """What steps in beside a steerer, by the names of its tables."""

    guard: Guard | None
    recalibration: Schedule | None

    @classmethod
    def of(cls, config: SteerConfig) -> _Keepers:
        """As it says."""
        return cls(Guard(config.guard) if config.guard else None,
                   Schedule(config.recalibration) if config.recalibration else None)  # fmt: skip

    def present(self) -> dict[str, Guard | Schedule]:
        """Those that there are."""
        return {name: one for name, one in self._asdict().items() if one is not None}


class _Writer(BaseCallback):
    """Counts logical errors when they are due, tells how it goes, and saves."""

    def __init__(
        self, config: SteerConfig, judge: Judge, keepers: _Keepers,
        checkpoint: pathlib.Path | None, on_progress: OnProgress,
    ) -> None:  # fmt: skip
        super().__init__()
        self._config, self._judge, self._keepers = config, judge, keepers
        self._checkpoint, self._on_progress = checkpoint, on_progress
        self._counts: list[Count] = []
        self._decoder: Any = None

    def restore(self, model: Any) -> None:
        """Puts into a steerer and its judge what the checkpoint holds."""
        path = self._checkpoint
        if path is None or not path.exists() or not isinstance(model, Steerer):
            return
        with np.load(path, allow_pickle=False) as kept:
            model.restore(_under("policy", kept))
            model.epochs = len(kept["times_s"])
            model.num_timesteps = model.epochs * self._config.candidates
            self._judge.times_s = kept["times_s"].tolist()
            self._judge.halted = kept["halted"].tolist()
            self._judge.expected, self._judge.settings = list(kept["expected"]), list(kept["all"])
            self._counts = [Count(int(e), str(w), int(s), int(n)) for e, w, s, n in kept["counts"]]
            self._judge.leakage = list(kept["leakage"])
            for name, keeper in self._keepers.present().items():
                keeper.restore(_under(name, kept))

    def _on_training_start(self) -> None:
        experiment = self.training_env.get_attr("experiment", 0)[0]
        experiment.epoch = 1 + len(self._judge.times_s)  # the reset's look was the first

    def _on_step(self) -> bool:
        done, config = len(self._judge.times_s), self._config
        runs = self._judge.halted[-1] < 1
        if (
            config.ler
            and runs
            and (done % config.ler.every_epochs == 0 or done in (1, config.epochs))
        ):
            self._count(done, config.ler)
        self._on_progress(done / config.epochs, self._words())
        return True

    def _on_rollout_start(self) -> None:
        done = len(self._judge.times_s)
        if done and done % self._config.checkpoint_every_epochs == 0:
            self._save()

    def _on_training_end(self) -> None:
        self._save()

    def _count(self, done: int, recipe: LerRecipe) -> None:
        judge = self._judge
        plant = self.training_env.get_attr("experiment", 0)[0].plant
        if self._decoder is None:
            self._decoder = error_model(plant.circuit)
        held, time_s = judge.settings[-1], judge.times_s[-1]
        tried = tried_settings(self.locals)
        few = tried[:: max(1, len(tried) // _TRIED)]
        whose = {"exploring": few, "steered": held[None],
                 "untouched": np.zeros((1, len(held))),
                 "best": plant.optimum(time_s)[None]}  # fmt: skip
        seed = int(np.random.default_rng([self._config.seed, _SHOTS, done]).integers(2**31))
        for who, settings in whose.items():
            circuits = [plant.noisy(one, time_s) for one in settings]
            errors = logical_errors(circuits, self._decoder, recipe.shots, seed,
                                    recipe.decoder == "pymatching-correlated")  # fmt: skip
            self._counts.append(Count(done - 1, who, recipe.shots, errors))

    def _words(self) -> str:
        """LER now, the best possible, and untouched; detections where errors are not counted."""
        if self._counts:
            now = {one.who: one.errors / one.shots for one in self._counts[-len(EXPECTED) :]}
            name, form = "LER", ".2e"
        else:
            now = dict(zip(EXPECTED, self._judge.expected[-1].tolist(), strict=True))
            name, form = "detections", ".3f"
        return (f"{name} now {now['exploring']:{form}}, best {now['best']:{form}}, "
                f"untouched {now['untouched']:{form}}")  # fmt: skip

    def _save(self) -> None:
        model, judge = self.model, self._judge
        if self._checkpoint is None or not isinstance(model, Steerer) or not model.resumes:
            return
        arrays = {f"policy.{name}": values for name, values in model.arrays().items()}
        for keeper, one in self._keepers.present().items():
            arrays |= {f"{keeper}.{name}": values for name, values in one.arrays().items()}
        part = self._checkpoint.with_suffix(".part.npz")
        np.savez(
            part, times_s=judge.times_s, halted=judge.halted, expected=judge.expected,
            leakage=judge.leakage,
            all=np.asarray(judge.settings, dtype=np.float32),
            counts=np.array([tuple(map(str, one)) for one in self._counts]).reshape(-1, 4),
            **cast("dict[str, Any]", arrays),
        )  # fmt: skip
        part.replace(self._checkpoint)

    def course(self, controls: tuple[str, ...]) -> Course:
        """All that was written down."""
        judge, (guard, schedule) = self._judge, self._keepers
        stride = max(1, math.ceil(len(judge.settings) * len(controls) / _MOST_NUMBERS))
        return Course(
            np.array(judge.times_s), np.array(judge.expected), np.array(judge.halted),
            np.array(judge.settings[::stride], dtype=np.float32).astype(float), stride,
            tuple(self._counts),
            tuple(guard.rolled_back if guard else ()), controls, np.array(judge.leakage),
            tuple(guard.leaked if guard else ()), tuple(schedule.halted_at if schedule else ()),
        )  # fmt: skip


def _under(name: str, kept: Mapping[str, Any]) -> dict[str, Array]:
    """What a file holds under this name."""
    return {key[len(name) + 1 :]: kept[key] for key in kept if key.startswith(f"{name}.")}

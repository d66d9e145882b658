"""syndrift/SurfaceCodeSteering: a code that runs without a stop is steered by its detectors."""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from calib.drift import Drift
from envs.calibration import Floats
from envs.game import HIDDEN
from envs.played_env import at_least_one
from envs.steered.analytic import AnalyticRecipe
from envs.steered.detections import Source
from envs.steered.experiment import Experiment
from envs.steered.memory import MemoryRecipe
from envs.steered.plant import Array, LightCones, Plant
from envs.steered.recipes import PlantRecipe, plant_of


class SteeringConfig(BaseModel):
    """What runs, what drifts, and how long the detectors are listened to in an epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: MemoryRecipe = Field(default=MemoryRecipe(), description="what runs on the device")
    plant: PlantRecipe = Field(default=AnalyticRecipe(), description="what controls do to gates")
    drift: tuple[Drift, ...] = Field(
        default=(), description="how the optimum of the controls moves: in each entry, "
        "absolute = { optimum = 1.0 }, qubits for one-qubit gates, pairs for the others; with "
        "pulses, what their physics does, as in absolute = { frequency_ghz = 1e-4 }"
    )  # fmt: skip
    cycles: int = Field(default=36_000, ge=1, description="cycles a candidate gets in an epoch")
    epoch_s: float = Field(
        default=60.0, gt=0, le=1e6, description="time from one epoch to the next, a second to days"
    )
    detections: Source = Field(
        default="closed-form", description="'sampled' draws every shot; 'closed-form' draws the "
        "counts from their exact mean"
    )  # fmt: skip
    bound: float = Field(
        default=5.0, gt=0, description="how far controls may be moved from where they began"
    )
    epochs: int | None = Field(
        default=None, ge=1, description="after how many an episode is cut; never, if unset"
    )

    @property
    def shots(self) -> int:
        """Shots a candidate gets in an epoch."""
        return max(1, round(self.cycles / self.memory.rounds))

    def made(self) -> Plant:
        """The mean device, of which others are drawn."""
        return plant_of(self.plant, self.memory, self.drift)

    def begun(self, plant: Plant, seed: int) -> Experiment:
        """The experiment on a device that is drawn with this seed."""
        return Experiment(plant.drawn(seed), self.shots, self.epoch_s, self.detections, seed)


class _Steering:
    """An episode: candidates in, detection rates out."""

    def __init__(self, config: SteeringConfig | dict[str, Any] | None) -> None:
        self.config = SteeringConfig.model_validate(config or {})
        self.plant = self.config.made()
        self._experiment: Experiment | None = None

    @property
    def experiment(self) -> Experiment:
        """What runs."""
        if self._experiment is None:
            raise ResetNeeded("there is no device to act on: call reset() before step()")
        return self._experiment

    def spaces(self) -> tuple[gym.spaces.Box, gym.spaces.Box]:
        """Rates, and how far each control is from where it began."""
        rates = gym.spaces.Box(0.0, 1.0, self.plant.cones.counts.shape, np.float32)
        bound, controls = self.config.bound, (len(self.plant.controls),)
        return rates, gym.spaces.Box(-bound, bound, controls, np.float32)

    def begin(self, count: int, rng: np.random.Generator) -> Floats:
        """Another device; what its detectors show while nothing has been touched."""
        self._experiment = self.config.begun(self.plant, int(rng.integers(2**31)))
        untouched = np.zeros((1, len(self.plant.controls)))
        rates = self.experiment.measure(untouched).astype(np.float32)
        return np.repeat(rates, count, axis=0)

    def step(self, actions: NDArray[Any], count: int) -> tuple[Floats, Array, bool]:
        """An epoch: rates [B, J], minus the detections a cycle [B], and whether it was the last."""
        experiment = self.experiment
        if np.isnan(actions).any():
            raise ValueError("actions must be numbers, got nan: see what the agent was given")
        expected = (count, len(self.plant.controls))
        if actions.shape != expected:
            raise ValueError(f"expected actions of shape {expected}, a row for each candidate, "
                             f"got {actions.shape}")  # fmt: skip
        settings = np.clip(actions, -self.config.bound, self.config.bound).astype(float)
        rates = experiment.measure(settings)
        detections = rates @ self.plant.cones.counts / self.config.memory.rounds
        is_over = self.config.epochs is not None and experiment.epoch > self.config.epochs
        return rates.astype(np.float32), -detections, is_over


class SurfaceCodeSteering(gym.Env[Floats, Floats]):
    """One candidate an epoch; `config` is a `SteeringConfig` or a table.

    An action is where all controls are to stand, in natural units from where they began (one unit
    off its optimum, all controls of a gate double its error). The observation holds the detection
    rates that this showed, one for each group of detectors that only time tells apart; the reward
    is minus the number of detection events in a cycle. What the device is meanwhile drifts.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 as Gymnasium declares it: of instances

    def __init__(self, config: SteeringConfig | dict[str, Any] | None = None) -> None:
        self._steering = _Steering(config)
        seen, done = self._steering.spaces()
        self.observation_space = cast("gym.spaces.Space[Floats]", seen)
        self.action_space = cast("gym.spaces.Space[Floats]", done)

    @property
    def cones(self) -> LightCones:
        """Which detectors hear which control."""
        return self._steering.plant.cones

    @property
    def experiment(self) -> Experiment:
        """What runs, with its hidden truth: for the judge alone."""
        return self._steering.experiment

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """A new device, and the rates that it shows while nothing has been touched."""
        super().reset(seed=seed)
        (rates,) = self._steering.begin(1, self.np_random)
        return rates, {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """One epoch."""
        (rates,), (reward,), is_over = self._steering.step(np.asarray(action)[None], 1)
        return rates, float(reward), False, is_over, {}


class SurfaceCodeSteeringVector(VectorEnv[Floats, Floats, NDArray[Any]]):
    """`num_envs` candidates an epoch, side by side on one and the same device.

    Unlike other batched environments, where each row is a device of its own, a row is one candidate
    of settings: all of them meet the same drift at the same time, and an episode ends for all.
    """

    metadata = {  # noqa: RUF012 as Gymnasium declares it: of instances
        "render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP,
    }  # fmt: skip

    def __init__(
        self,
        num_envs: int = 40,
        config: SteeringConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        self.num_envs, self.judged = at_least_one(num_envs), judged
        self._steering = _Steering(config)
        self.single_observation_space, self.single_action_space = self._steering.spaces()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def cones(self) -> LightCones:
        """Which detectors hear which control."""
        return self._steering.plant.cones

    @property
    def controls(self) -> tuple[str, ...]:
        """What is steered, in the order of an action."""
        return self._steering.plant.controls

    @property
    def shots(self) -> int:
        """Shots a candidate gets in an epoch."""
        return self._steering.config.shots

    @property
    def experiment(self) -> Experiment:
        """What runs, with its hidden truth: for the judge alone."""
        return self._steering.experiment

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """A new device, and the rates that it shows while nothing has been touched."""
        if isinstance(seed, list):
            raise ValueError("seed must be one number: all candidates meet the same device")
        super().reset(seed=seed)
        return self._steering.begin(self.num_envs, self.np_random), self._info()

    def step(
        self, actions: Floats
    ) -> tuple[Floats, Array, NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One epoch."""
        rates, rewards, is_over = self._steering.step(np.asarray(actions), self.num_envs)
        info, over = self._info(), np.full(self.num_envs, is_over)
        if is_over:
            last = {"final_obs": rates, "_final_obs": over, "final_info": info, "_final_info": over}
            rates = self._steering.begin(self.num_envs, self.np_random)
            info = self._info() | last
        return rates, rewards, np.zeros_like(over), over, info

    def _info(self) -> dict[str, Any]:
        """The truth at the coming epoch, where the environment is judged."""
        if not self.judged:
            return {}
        optimum = self.experiment.plant.optimum(self.experiment.time_s)
        return {HIDDEN: {"optimum": np.repeat(optimum[None], self.num_envs, axis=0)}}

"""The rules of keeping a drifting device calibrated: its recipe, what is seen, what is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from calib.device_config import DeviceConfig
from envs.calibration import Floats
from envs.device_game import DeviceGame
from envs.device_looks import EXPERIMENTS, LookEstimates, of_width
from envs.game import Array, Numbers
from envs.rewards import Reward

# As in configs/calibrate.toml: flux noise, two-level systems, and the electronics' amplitudes.
_DRIFT: tuple[dict[str, Any], ...] = (
    {"process": {"kind": "one-over-f", "sigma": 1.0, "f_min_hz": 1e-6, "f_max_hz": 1e-2},
     "absolute": {"frequency_ghz": 5e-6}},
    {"process": {"kind": "telegraph", "up_per_hour": 0.1, "down_per_hour": 0.4},
     "relative": {"t1_us": -0.7}, "absolute": {"frequency_ghz": 2e-5}},
    {"process": {"kind": "ornstein-uhlenbeck", "correlation_time_s": 14400.0},
     "relative": {"rabi_mhz": 0.004}},
    {"process": {"kind": "ornstein-uhlenbeck", "correlation_time_s": 14400.0},
     "relative": {"flux_mhz": 0.002, "coupling_mhz": 0.004}},
)  # fmt: skip
_USUAL: dict[str, Any] = {"topology": {"kind": "line", "qubits": 3}, "drift": _DRIFT}
_LEVEL: dict[str, Any] = {"form": "level"}


class UpkeepConfig(BaseModel):
    """An episode on a whole device: which it may be, for how long, and what is paid for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    devices: DeviceConfig = Field(
        default=DeviceConfig.model_validate(_USUAL),
        description="what the devices are: its spreads are drawn from, errors up to `start`; "
        "three qubits in a line under the drift of configs/calibrate.toml, if not said otherwise",
    )
    budget_s: float = Field(
        default=14400.0, gt=0, allow_inf_nan=False, description="device time of an episode"
    )
    jobs: int = Field(
        default=96, ge=1, description="looks in an episode, at most: later there are only waits"
    )
    wait_s: float = Field(
        default=300.0, gt=0, allow_inf_nan=False, description="device time of one wait"
    )
    shots: int = Field(default=32, ge=1, description="of each circuit at each look")
    price_per_s: float = Field(
        default=1e-4, ge=0, description="what each second of measuring takes from the reward"
    )
    upkeep: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the episodes that begin nearly right: with a 2^k-th of a start's "
        "errors, first looked at with 2^k repetitions",
    )
    reward: Reward = Field(
        default=Reward.model_validate(_LEVEL), description="how settings are scored"
    )

    @field_validator("devices", mode="before")
    @classmethod
    def _usual_devices(cls, devices: object) -> object:
        return _USUAL | devices if isinstance(devices, dict) else devices

    @field_validator("reward", mode="before")
    @classmethod
    def _level(cls, reward: object) -> object:
        return _LEVEL | reward if isinstance(reward, dict) else reward

    @field_validator("reward")
    @classmethod
    def _check_reward(cls, reward: Reward) -> Reward:
        if reward.form != "level":
            raise ValueError("reward.form must be level: a step is paid by the time that it takes")
        if reward.weights != {"amplified": 1.0}:
            raise ValueError(f"reward.measures must be amplified here, got {reward.measures}")
        return reward

    @field_validator("devices")
    @classmethod
    def _check_devices(cls, devices: DeviceConfig) -> DeviceConfig:
        graph = devices.topology.graph()
        if devices.qubits or devices.pairs:
            raise ValueError(
                "the devices of an environment are drawn: give `qubit` and `pair`, not `qubits` "
                "and `pairs`"
            )
        if not (graph.pairs and graph.is_bipartite()):
            raise ValueError(
                "topology must have coupled qubits in two groups, coupled ones in different ones: "
                "a line, a lattice or heavy hexagons of two qubits at least"
            )
        return devices


@dataclass(frozen=True)
class Choice:
    """What B agents do next: experiments and choices of the `Menu`, how much longer, and moves."""

    experiment: Numbers  # [B]
    target: Numbers  # [B]
    longer: Numbers  # [B, S], −2 to 2
    moves: Array  # [B, S, K], shares of a full move


class UpkeepRules:
    """What is seen and what is done: the same for training and for a device in the lab.

    An action in [−1, 1] has a score for each experiment and one for each choice of targets, the
    highest of which are taken (`EXPERIMENTS`, `Menu`); then, for S targets at most, how long their
    blocks are [S]: as many repetitions as at their last look, half or a quarter, twice or four
    times as many; then moves [S, K] of what was looked at last: these shares of the game's full
    moves, over the number of repetitions; those that the last experiment does not tell are void.

    An observation has the parts of `shapes`, all in [−1, 1]: the shares of ones of the last look
    and the moves that these suggest, 0 where nothing was measured; which experiment it was, and on
    which of the T targets; for each target its length, how long ago it was looked at, and how far
    its counts then were from ideal (squared, as in `Reward`); how many jobs are left, and how far
    the episode is.
    """

    def __init__(self, config: UpkeepConfig) -> None:
        self.config, self.game = config, DeviceGame(config.devices)
        menu, game = self.game.menu, self.game
        self.at_once, targets = menu.at_once, len(game.targets)
        self.actions = len(EXPERIMENTS) + menu.choices + self.at_once * (1 + game.knobs)
        self.shapes: dict[str, tuple[int, ...]] = {
            "shares": (self.at_once, game.circuits), "moves": (self.at_once, game.knobs),
            "experiment": (len(EXPERIMENTS),), "looked": (targets,),
            "length": (targets,), "ago": (targets,), "off": (targets,), "jobs": (1,), "time": (1,),
        }  # fmt: skip
        self.observations = sum(math.prod(shape) for shape in self.shapes.values())
        self.widths = np.array([one.width for one in EXPERIMENTS])
        self.played = np.zeros((len(EXPERIMENTS), game.circuits), dtype=bool)
        self.turned = np.zeros((len(EXPERIMENTS), game.knobs), dtype=bool)
        for number, one in enumerate(EXPERIMENTS):
            self.played[number, list(one.circuits)] = True
            self.turned[number, list(one.knobs)] = True
        self._estimates: tuple[LookEstimates, LookEstimates] | None = None

    def observation(self, parts: Mapping[str, NDArray[Any]]) -> Floats:
        """Parts [B, *shape] by their names, as agents see them [B, O]."""
        rows = [parts[name].reshape(len(parts[name]), -1) for name in self.shapes]
        return np.clip(np.concatenate(rows, axis=1), -1.0, 1.0).astype(np.float32)

    def parts(self, observation: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The parts [B, *shape] of observations [B, O], by name."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])[:-1]
        pieces = np.split(observation, ends, axis=1)
        return {
            name: piece.reshape(-1, *shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def choice(self, actions: NDArray[Any]) -> Choice:
        """Actions [B, A], read."""
        actions = np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0)
        ends = np.cumsum([len(EXPERIMENTS), self.game.menu.choices, self.at_once])
        which, target, longer, moves = np.split(actions, ends, axis=1)
        return Choice(
            which.argmax(axis=1), target.argmax(axis=1), np.rint(2 * longer).astype(np.int64),
            moves.reshape(len(actions), self.at_once, self.game.knobs),
        )  # fmt: skip

    def action(self, choice: Choice) -> Floats:
        """A choice, written as actions [B, A]: the inverse of `choice`."""
        rows = [
            np.eye(len(EXPERIMENTS))[choice.experiment],
            np.eye(self.game.menu.choices)[choice.target],
            choice.longer / 2, choice.moves.reshape(len(choice.moves), -1),
        ]  # fmt: skip
        return np.concatenate(rows, axis=1).astype(np.float32)

    def lengths(self, doublings: Numbers, looked: NDArray[np.bool_], longer: Numbers) -> Numbers:
        """The lengths [B, T] after those that are looked at were changed by `longer` [B, S]."""
        order, filled = self.slots(looked)
        found = doublings.copy()
        changed = np.take_along_axis(found, order, axis=1) + longer * filled
        np.put_along_axis(found, order, changed, axis=1)
        return np.clip(found, 0, self.game.longest)

    def slots(self, looked: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.bool_]]:
        """The targets that were looked at [B, T] in order, [B, S], and which of these there are."""
        order = np.argsort(~looked, axis=1, kind="stable")[:, : self.at_once]
        return order, np.take_along_axis(looked, order, axis=1)

    def moved(
        self, settings: Array, doublings: Numbers, last: Numbers, looked: NDArray[np.bool_],
        moves: Array,
    ) -> Array:  # fmt: skip
        """The settings [B, T, K] after moves [B, S, K] of what experiments `last` [B] looked at."""
        order, filled = self.slots(looked)
        mine = moves * filled[:, :, None] * self.turned[last][:, None]
        each = np.zeros_like(settings)
        np.put_along_axis(each, order[:, :, None], mine, axis=1)
        steps = np.einsum("btk,tkj->btj", each, self.game.moves) / 2.0 ** doublings[:, :, None]
        return self.game.within_bounds(settings + steps)

    def estimates(
        self, share: Array, doublings: Numbers, experiment: Numbers, looked: NDArray[np.bool_]
    ) -> Array:
        """Errors [B, T, K] in full moves from shares of ones [B, T, C]; 0 where none was seen."""
        if self._estimates is None:  # not while an environment is only described
            games = self.game.pulse, self.game.cz
            self._estimates = (
                LookEstimates(games[0], of_width(1)),
                LookEstimates(games[1], of_width(2)),
            )
        found = np.zeros((*looked.shape, self.game.knobs))
        for width, fit in enumerate(self._estimates, start=1):
            game = (self.game.pulse, self.game.cz)[width - 1]
            rows, columns = np.nonzero(looked & (self.widths[experiment] == width)[:, None])
            number = experiment[rows] - int(np.argmax(self.widths == width))
            seen = share[rows, columns][:, : len(game.circuits)]
            errors = fit.of(seen, number, doublings[rows, columns])
            found[rows, columns, : errors.shape[1]] = errors
        return found

"""What every rival gets: devices on a bench, and a score of settings that is paid for in shots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calib.device_config import Start
from envs.calibration import batched_laboratory
from envs.game import Array, Game, Physics
from envs.rewards import Reward

# The start is known only so well: a lab searches somewhat further.
_MARGIN = 1.5


@dataclass(frozen=True)
class Bench:
    """B devices before anybody has calibrated them.

    `settings` [B, K] are those in force. Optimisers search around `centre` [B, K], `widths` [B, K]
    to either side; a point is in units of these, 0 being the centre.
    """

    game: Game
    physics: Physics  # hidden from rivals: for the laboratory and the judge
    settings: Array
    centre: Array
    widths: Array

    @property
    def count(self) -> int:
        """How many devices."""
        return len(self.settings)

    def at(self, points: Array) -> Array:
        """The settings [B, P, K] that belong to points [B, P, K], as far as they can be played."""
        found = self.centre[:, None] + points * self.widths[:, None]
        return self.game.within_bounds(found.reshape(-1, found.shape[-1])).reshape(found.shape)

    def only(self, row: int) -> Bench:
        """One of the devices by itself."""
        part = slice(row, row + 1)
        physics = {name: values[part] for name, values in self.physics.items()}
        return Bench(self.game, physics, self.settings[part], self.centre[part],
                     self.widths[part])  # fmt: skip


def search_widths(knobs: Sequence[str], settings: Array, start: Start) -> Array:
    """How far to either side a lab would search each knob [B, K]: 1.5 times what it may be off.

    Phases over the full circle; that of X over half, as X about the opposite axis is X again.
    """
    found = np.empty_like(settings)
    for column, name in enumerate(knobs):
        kind = name.split(".")[-1]
        if name == "x.phase_rad":
            found[:, column] = min(_MARGIN * start.axis_rad, math.pi / 2)
        elif kind in ("phase_a_rad", "phase_b_rad"):
            found[:, column] = min(_MARGIN * start.phase_rad, math.pi)
        elif kind == "amplitude":
            found[:, column] = _MARGIN * start.amplitude * np.abs(settings[:, column])
        else:
            off = {"frequency_ghz": 1e-3 * start.frequency_mhz, "drag_ns": start.drag_ns,
                   "duration_ns": start.duration_ns}  # fmt: skip
            found[:, column] = _MARGIN * off[kind]
    return found


@dataclass(frozen=True)
class Stage:
    """How a rival measures for a while: repetitions of each circuit, shots of each.

    `evaluations` are of one device; `width` is how far it searches around its best so far, in the
    bench's units, where a rival has use for it.
    """

    repetitions: tuple[int, ...]
    shots: int
    evaluations: int
    width: float = 1.0

    @property
    def reward(self) -> Reward:
        """The score at these lengths."""
        return Reward(repetitions=self.repetitions, shots=self.shots)


@dataclass(frozen=True)
class Trace:
    """What rivals would hand over: after shots [T] a device, settings [T, B, K]."""

    shots: NDArray[np.int64]
    settings: Array


def merged(devices: Sequence[Sequence[tuple[int, Array]]]) -> Trace:
    """One trace of devices that went by themselves.

    Each has its (shots, settings [K]) from 0 shots on, in order; the last ones are held.
    """
    moments = [np.array([shots for shots, _ in steps]) for steps in devices]
    settings = [np.array([held for _, held in steps]) for steps in devices]
    shots = np.unique(np.concatenate(moments))
    columns = [held[np.searchsorted(own, shots, side="right") - 1]
               for own, held in zip(moments, settings, strict=True)]  # fmt: skip
    return Trace(shots, np.stack(columns, axis=1))


class Rival(Protocol):
    """An optimiser that calibrates many devices, each by itself."""

    @property
    def name(self) -> str:
        """As it stands in tables."""
        ...

    def run(self, bench: Bench, budget_shots: int, rng: np.random.Generator) -> Trace:
        """Calibrates all devices with at most so many shots each."""
        ...


class Objective:
    """Scores of points from finite shots, each of which is counted: about 0 is perfect."""

    def __init__(self, bench: Bench, budget_shots: int, rng: np.random.Generator) -> None:
        self.bench, self.budget_shots, self._rng = bench, budget_shots, rng
        self._laboratory = batched_laboratory(bench.game)
        self.shots = 0  # spent on each device

    def cost(self, stage: Stage) -> int:
        """Shots of one evaluation."""
        return len(self.bench.game.circuits) * len(stage.repetitions) * stage.shots

    def affordable(self, stage: Stage, evaluations: int = 1) -> bool:
        """Whether the budget suffices for so many more."""
        return self.shots + evaluations * self.cost(stage) <= self.budget_shots

    def scores(self, points: Array, stage: Stage) -> Array:
        """Measured scores [B, P] of points [B, P, K]: P evaluations of each device."""
        count, each, knobs = points.shape
        game, reward = self.bench.game, stage.reward
        settings = self.bench.at(points).reshape(count * each, knobs)
        physics = {name: np.repeat(values, each) for name, values in self.bench.physics.items()}
        lengths = reward.doublings(game.longest)
        doublings = np.tile(lengths, (len(settings), 1))
        shots = np.full(len(lengths), stage.shots)
        ones = self._laboratory(physics, settings, doublings, shots, self._rng)
        self.shots += each * self.cost(stage)
        return reward.score(ones, game.ideal).reshape(count, each)

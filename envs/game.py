"""What a calibration game is made of: many devices at once, their knobs, and what circuits show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from calib.device_config import DeviceConfig, PairPhysics, QubitPhysics, Spread, Start

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Physics = Mapping[str, Array]  # the hidden truth of B devices: [B] each

# The key of an environment's info under which the judge's truth stands: no agent may read it.
HIDDEN = "hidden"

# A device is calibrated when no gate errs by more than so many times its coherence limit.
WITHIN = 1.2


class Angle(NamedTuple):
    """An angle that two circuits show by cosine and sine, less another one, by its cosine."""

    cosine: str
    sine: str
    less: str | None = None


class Game(Protocol):
    """The rules of calibrating one kind of gate: pure functions for B devices at once.

    Settings are [B, K] in the order of `knobs`. One look measures the C `circuits`, in each of
    which a block is repeated 2^k times; `ideal` [C] are the chances of the counted outcomes where
    all gates are perfect, whatever the repetitions; `angles` are those that some show. Of a knob in
    `blurred` they tell little while an angle, given by its cosine, is far off.

    `moves` [K, K] are the full moves after one repetition, a row each: mostly of one knob, by its
    `reach` [K], with what other knobs must do to leave the rest of the gate as it was. After n
    repetitions a move goes an n-th of that.
    """

    knobs: tuple[str, ...]
    reach: Array
    moves: Array
    circuits: tuple[str, ...]
    angles: tuple[Angle, ...]
    blurred: Mapping[str, str]
    ideal: Array
    longest: int  # blocks are repeated 2^longest times at most
    gates: tuple[str, ...]  # those that are judged

    def draw(
        self, count: int, rng: np.random.Generator, share: Array | float = 1.0
    ) -> tuple[Physics, Array]:
        """So many devices, and the settings that they begin with [count, K].

        `share` [count] says what share of a start's errors each has: 1 is uncalibrated.
        """
        ...

    def typical(self) -> tuple[Physics, Array]:
        """The family's mean device, [1], at its best settings [1, K]: what a lab knows before."""
        ...

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """The chance of each counted outcome [B, L, C]; `doublings` [B, L] are the k."""
        ...

    def within_bounds(self, settings: Array) -> Array:
        """The settings, or the nearest ones that electronics can play."""
        ...

    def ratios(self, physics: Physics, settings: Array) -> Array:
        """Each gate's infidelity over its coherence limit [B, G]: for judging alone."""
        ...


def without_spread(devices: DeviceConfig) -> DeviceConfig:
    """The family's mean device, whose settings begin without errors."""

    def means(physics: QubitPhysics | PairPhysics) -> dict[str, Spread]:
        return {
            name: Spread(mean=getattr(physics, name).mean) for name in type(physics).model_fields
        }

    right = Start(amplitude=0, frequency_mhz=0, drag_ns=0, phase_rad=0, axis_rad=0, duration_ns=0,
                  readout=False)  # fmt: skip
    return devices.model_copy(update={
        "qubit": QubitPhysics(**means(devices.qubit)), "pair": PairPhysics(**means(devices.pair)),
        "start": right,
    })  # fmt: skip

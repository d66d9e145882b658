"""The ECR game: a pair's cross-resonance tone and its cancellation, with one-qubit pulses given."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from calib.controls import Controls, Knob
from calib.cross_resonance import CrossResonanceTone
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.threads import one_thread
from calib.truth import drawn
from envs.crossed_pairs import CrossedPairs, ecr_ratios, outcome_chances
from envs.drawn_device import drawn_pair
from envs.ecr_errors import best_knobs
from envs.ecr_knobs import CONTROLS, KNOBS, ROTARY, in_controls, tone_of, wrapped
from envs.ecr_sequences import ECHO_SEQUENCES, VIEW_SIGNS
from envs.game import Angle, Array, Numbers, Physics, without_spread
from envs.given_pulses import (
    GIVEN,
    drawn_qubits,
    given_pulses,
    left_over,
    qubits_of,
    settings_of,
)
from envs.readout_lines import READ_ONE, ReadoutLines

_SIDES = ("a", "b")
_PAIR = ("coupling_mhz", "crosstalk", "crosstalk_phase_rad")
_STOCK = 256  # readout lines
_AT_ONCE = 128  # pairs in one call
_DRIVE_MHZ = 20.0  # as in `calib.starting_point`
_RAMP_NS = CrossResonanceTone(0.0, 0.0, 0.0, 0.0, 0.0).ramp_ns
_TRIES = 50


class ECRGame:
    """A pair with a fixed coupling: its ECR, from a start that is off; a is the control.

    `devices` says what qubits and couplings are (its spreads are the randomisation) and how far
    off the tone begins: each error is uniform within the size that `start` has. SX and X are as a
    one-qubit calibration leaves them, and the readout is right. The tones' length is given.

    Settings are in the coordinates of `envs.ecr_knobs`, whose `in_controls` has them as
    `calib.controls` does.

    >>> game = ECRGame(DeviceConfig.model_validate({"entangler": "ecr"}))
    >>> physics, settings = game.draw(3, np.random.default_rng(1))
    >>> game.chances(physics, settings, np.zeros((3, 1), dtype=np.int64)).shape
    (3, 1, 10)
    """

    knobs: tuple[str, ...] = KNOBS
    controls: tuple[str, ...] = CONTROLS
    circuits: tuple[str, ...] = tuple(one.name for one in ECHO_SEQUENCES)
    angles: tuple[Angle, ...] = ()
    blurred: Mapping[str, str] = {}
    longest = 4
    width = 2
    gates: tuple[str, ...] = ("ecr",)

    def __init__(self, devices: DeviceConfig) -> None:
        if devices.entangler != "ecr":
            raise ValueError(f"the entangler must be ecr, got {devices.entangler}: set it to ecr")
        self.devices = devices
        self.ideal = _ideal()
        height = _DRIVE_MHZ / devices.qubit.rabi_mhz.mean
        # A quarter of the height turns by 1.6 rad in a block; the others are as far as they may be
        # off, the target's own tone being none at first.
        self.reach = np.array([0.25 * height, math.pi, 0.3, 0.3])
        self.moves = np.diag(self.reach)
        self._lines: ReadoutLines | None = None

    def draw(
        self, count: int, rng: np.random.Generator, share: Array | float = 1.0
    ) -> tuple[Physics, Array]:
        """So many pairs, and settings near the textbook's; of a share below 1, near the best."""
        physics = _drawn_pairs(self.devices, count, rng)
        lines = self._readout().draw(physics["t1_us_b"], rng)
        physics |= {f"{name}_b": values for name, values in lines.items()}
        for side in _SIDES:
            physics |= given_pulses(self.devices, physics, left_over(count, rng), f"_{side}")
        return physics, self._start(physics, rng, np.broadcast_to(share, (count,)))

    def typical(self) -> tuple[Physics, Array]:
        """The mean pair at its best settings, beside one-qubit pulses of the textbook."""
        mean = ECRGame(without_spread(self.devices))
        physics = dict(mean.draw(1, np.random.default_rng(0))[0])
        for side in _SIDES:
            physics |= given_pulses(self.devices, physics, np.zeros((len(GIVEN), 1)), f"_{side}")
        return physics, self.best_settings(physics)

    def best_settings(self, physics: Physics) -> Array:
        """Settings without an error that any knob could mend, [B, 4]."""
        guess = _textbook(physics)
        guess[:, 2] = ROTARY
        best = best_knobs(self._pairs(physics), physics["tone_ns"], guess)
        return self.within_bounds(best)

    def _readout(self) -> ReadoutLines:
        if self._lines is None:
            right = self.devices.start.model_copy(update={"readout": False})
            config = self.devices.model_copy(update={"start": right})
            self._lines = ReadoutLines(config, _STOCK, np.random.default_rng(_STOCK))
        return self._lines

    def _start(
        self, physics: Physics, rng: np.random.Generator, share: NDArray[np.float64]
    ) -> Array:
        start, settings = self.devices.start, _textbook(physics)
        off = rng.uniform(-1.0, 1.0, (2, len(settings)))
        settings[:, 0] *= 1 + start.amplitude * off[0]
        settings[:, 1] += start.phase_rad * off[1]
        nearer = np.flatnonzero(share < 1)
        if len(nearer):  # the textbook's settings are off themselves
            some = {name: values[nearer] for name, values in physics.items()}
            best = self.best_settings(some)
            away = settings[nearer] - best
            away[:, 1] = wrapped(away[:, 1])
            settings[nearer] = best + share[nearer, None] * away
        return self.within_bounds(settings)

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """The chance that each circuit reads 1, [B, L, C]."""
        found = np.empty((*doublings.shape, len(self.circuits)))
        for first in range(0, len(settings), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            some = {name: values[part] for name, values in physics.items()}
            found[part] = outcome_chances(
                self._pairs(some), tone_of(settings[part], some["tone_ns"]), ECHO_SEQUENCES,
                torch.from_numpy(doublings[part]),
            ).numpy()  # fmt: skip
        return found

    def within_bounds(self, settings: Array) -> Array:
        """Amplitudes up to full scale, phases in [−π, π), cancellations of at most 0.6."""
        found = settings.copy()
        found[:, 0] = np.clip(found[:, 0], 0.0, 1.0)
        found[:, 1] = wrapped(found[:, 1])
        found[:, 2:] = np.clip(found[:, 2:], -_MOST_CANCELLED, _MOST_CANCELLED)
        return found

    def device(self, physics: Physics, settings: Array, row: int, seed: int) -> Device:
        """A `Device` of one pair, a as qubit 0, with the physics and the settings of one row."""
        values = (*in_controls(settings)[row].tolist(), float(physics["tone_ns"][row]))
        knobs = [Knob(name, (0, 1)) for name in (*self.controls, "ecr.duration_ns")]
        in_force = dict(zip(knobs, values, strict=True))
        return drawn_pair(self.devices, physics, row, in_force, seed=seed)

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """The sequences; what their gates play are the settings in force."""
        return [one.circuit(repetitions) for one in ECHO_SEQUENCES]

    def ratios(self, physics: Physics, settings: Array) -> Array:
        """Infidelity of the ECR over its coherence limit, [B, 1]."""
        return ecr_ratios(self._pairs(physics), tone_of(settings, physics["tone_ns"]))[
            :, None
        ].numpy()

    def _pairs(self, physics: Physics) -> CrossedPairs:
        control, target = (qubits_of(physics, f"_{side}") for side in _SIDES)
        first, second = (settings_of(self.devices, physics, f"_{side}") for side in _SIDES)
        read = [torch.from_numpy(physics[f"{name}_b"]) for name in READ_ONE[:2]]
        pair = (torch.from_numpy(physics[name]) for name in _PAIR)
        return CrossedPairs((control, target), (first, second), torch.stack(read, dim=-1), *pair)


_MOST_CANCELLED = 0.6


def _textbook(physics: Physics) -> Array:
    """The settings of `calib.starting_point`, [B, 4]."""
    count = len(physics["tone_ns"])
    zero = np.zeros(count)
    return np.stack([_DRIVE_MHZ / physics["rabi_mhz_a"], zero - math.pi, zero, zero], axis=1)


def _drawn_pairs(config: DeviceConfig, count: int, rng: np.random.Generator) -> dict[str, Array]:
    """The physics of so many pairs, a the control; where no ECR is possible, drawn again."""
    found = _any_pairs(config, count, rng)
    for _ in range(_TRIES):
        again = ~_possible(found)
        if not again.any():
            return found | {"tone_ns": _tone_ns(found)}
        new = _any_pairs(config, int(again.sum()), rng)
        for name, values in found.items():
            values[again] = new[name]
    raise ValueError(
        "hardly a pair of these can have an ECR: the frequencies must be more than twice "
        "pair.coupling_mhz apart, and less than the control's anharmonicity; change "
        "qubit.group_step_ghz or pair.coupling_mhz"
    )


def _any_pairs(config: DeviceConfig, count: int, rng: np.random.Generator) -> dict[str, Array]:
    physics = {f"{name}_{side}": values for side in _SIDES
               for name, values in drawn_qubits(config, count, rng).items()}  # fmt: skip
    physics["frequency_ghz_a"] += drawn(config.qubit.group_step_ghz, count, rng)
    return physics | {name: drawn(getattr(config.pair, name), count, rng) for name in _PAIR}


def _apart_mhz(physics: Physics) -> Array:
    return 1e3 * (physics["frequency_ghz_a"] - physics["frequency_ghz_b"])


def _possible(physics: Physics) -> NDArray[np.bool_]:
    apart_mhz = _apart_mhz(physics)
    return ((2 * physics["coupling_mhz"] < apart_mhz)
            & (apart_mhz < np.abs(physics["anharmonicity_mhz_a"])))  # fmt: skip


def _tone_ns(physics: Physics) -> Array:
    """The length of each tone that the first-order rate of ZX asks for, [B]."""
    apart_mhz, alpha = _apart_mhz(physics), physics["anharmonicity_mhz_a"]
    rate_mhz = physics["coupling_mhz"] * _DRIVE_MHZ / apart_mhz * alpha / (alpha + apart_mhz)
    # A rise and a fall together count as one ramp of the full tone.
    return np.maximum(np.round(1e3 / (8 * rate_mhz) + _RAMP_NS), 2 * _RAMP_NS)


@one_thread()
def _ideal() -> Array:
    """The chances to read 1 after each sequence of perfect gates, [C]."""
    chances = []
    for one in ECHO_SEQUENCES:
        sign = -1.0 if one.control else 1.0  # of the turn, about X
        state = np.array([0.0, 0.0, 1.0])
        for word in one.start:
            if word == "turn":
                state = np.array([state[0], -sign * state[2], sign * state[1]])
            elif word == "sx":
                state = np.array([state[0], -state[2], state[1]])
            elif word == "quarter":
                state = np.array([-state[1], state[0], state[2]])
        # All blocks are the identity.
        chances.append((1 + VIEW_SIGNS[one.view] * state["xyz".index(one.view)]) / 2)
    return np.array(chances)

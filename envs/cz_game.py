"""The CZ game: the coupler pulse of a pair and its virtual Zs, with one-qubit pulses given."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit
from torch import Tensor

from calib.controls import Controls, Knob
from calib.device import Device
from calib.device_config import DeviceConfig, Spread
from calib.pair import CoupledPair, CouplerPulse, coupler_unitary, local_phases_rad
from calib.threads import one_thread
from calib.truth import drawn
from envs.coupled_pairs import CoupledPairs, CouplerKnobs, cz_ratios, outcome_chances
from envs.coupler_words import RAMP_NS, CouplerWords
from envs.drawn_device import drawn_pair
from envs.game import Angle, Array, Numbers, Physics, without_spread
from envs.given_pulses import (
    GIVEN,
    drawn_qubits,
    given_pulses,
    left_over,
    qubits_of,
    settings_of,
)
from envs.half_pulse import best_settings, fitted_half_pulse
from envs.pair_sequences import PAIR_SEQUENCES
from envs.readout_lines import READ_ONE, ReadoutLines

_SIDES = ("a", "b")
_STOCK = 256  # readout lines
_TYPICAL = 256  # pairs to which the half pulse is fitted
_SLOPE_STEP = 0.01  # of a full move
_AT_ONCE = 128  # pairs in one call: more no longer fit the cache


class CZGame:
    """A pair with a tunable coupler: its CZ, from a start that is off.

    `devices` says what qubits and couplings are (its spreads are the randomisation) and how far
    off the CZ begins: each error is uniform within the size that `start` has. SX and X are as a
    one-qubit calibration leaves them, and the readout is right.

    >>> game = CZGame(DeviceConfig())
    >>> physics, settings = game.draw(3, np.random.default_rng(1))
    >>> game.chances(physics, settings, np.zeros((3, 1), dtype=np.int64)).shape
    (3, 1, 10)
    """

    knobs: tuple[str, ...] = ("cz.amplitude", "cz.duration_ns", "cz.phase_a_rad", "cz.phase_b_rad")
    circuits: tuple[str, ...] = tuple(one.name for one in PAIR_SEQUENCES)
    angles: tuple[Angle, ...] = (
        Angle("phase_a_x", "phase_a_y"), Angle("phase_b_x", "phase_b_y"),
        Angle("conditional_a_x", "conditional_a_y", less="phase_a_x"),
        Angle("conditional_b_x", "conditional_b_y", less="phase_b_x"),
    )  # fmt: skip
    # Far from where |11⟩ and |20⟩ meet they hardly exchange.
    blurred: Mapping[str, str] = {"cz.duration_ns": "conditional_a_x"}
    ideal = np.array([one.ideal for one in PAIR_SEQUENCES])
    longest = 5
    width = 2
    gates: tuple[str, ...] = ("cz",)

    def __init__(self, devices: DeviceConfig) -> None:
        if devices.entangler != "cz":
            raise ValueError(f"the entangler must be cz, got {devices.entangler}: set it to cz")
        self.devices = devices
        self.reach = _reach(devices)
        self.moves = _moves(devices, self.reach)
        cycle_ns = float(_cycle_ns(devices.pair.coupling_mhz.mean))
        self._offset_ns = cycle_ns / 8  # an eighth of a turn, twice
        self._lengths_ns = (2 * RAMP_NS + self._offset_ns, 2 * cycle_ns + 2 * RAMP_NS)
        self._words: CouplerWords | None = None
        self._lines: ReadoutLines | None = None

    def draw(
        self, count: int, rng: np.random.Generator, share: Array | float = 1.0
    ) -> tuple[Physics, Array]:
        """So many pairs, and settings near the textbook's."""
        physics = _drawn_pairs(self.devices, count, rng)
        for side in _SIDES:
            lines = self._readout().draw(physics[f"t1_us_{side}"], rng)
            physics |= {f"{name}_{side}": values for name, values in lines.items()}
            physics |= given_pulses(self.devices, physics, left_over(count, rng), f"_{side}")
        return physics, self._start(physics, rng, share)

    def typical(self) -> tuple[Physics, Array]:
        """The mean pair with its CZ at its best, beside one-qubit pulses of the textbook."""
        mean = CZGame(without_spread(self.devices))
        physics = dict(mean.draw(1, np.random.default_rng(0))[0])
        for side in _SIDES:
            physics |= given_pulses(self.devices, physics, np.zeros((len(GIVEN), 1)), f"_{side}")
        amplitude, duration_ns = best_settings(_coupled_pair(physics))
        phases = _virtual_z(physics, amplitude, duration_ns)
        return physics, np.stack([amplitude, duration_ns, *phases], axis=1)

    @functools.cached_property
    def beyond_textbook(self) -> Array:
        """How much higher and longer than the textbook's the mean pair's best pulse is, [2]."""
        mean = _drawn_pairs(without_spread(self.devices), 1, np.random.default_rng(0))
        return best_settings(_coupled_pair(mean))[:, 0] - _textbook(mean)[:, 0]

    def words(self) -> CouplerWords:
        """The pulses that the circuits play beside the CZ, as they suit pairs like these."""
        if self._words is None:  # not while an environment is only described
            typical = _drawn_pairs(_varied(self.devices), _TYPICAL, np.random.default_rng(_TYPICAL))
            with one_thread():
                half, _ = fitted_half_pulse(_coupled_pair(typical))
            self._words = CouplerWords(half, self._offset_ns)
        return self._words

    def _readout(self) -> ReadoutLines:
        if self._lines is None:
            right = self.devices.start.model_copy(update={"readout": False})
            config = self.devices.model_copy(update={"start": right})
            self._lines = ReadoutLines(config, _STOCK, np.random.default_rng(_STOCK))
        return self._lines

    def _start(self, physics: Physics, rng: np.random.Generator, share: Array | float) -> Array:
        start, right = self.devices.start, 1 - np.asarray(share)
        off = share * rng.uniform(-1.0, 1.0, (len(self.knobs), len(physics["flux_mhz"])))
        height, duration_ns = _textbook(physics) + self.beyond_textbook[:, None] * right
        phase_a_rad, phase_b_rad = _virtual_z(physics, height, duration_ns)
        return self.within_bounds(np.stack([
            height * (1 + start.amplitude * off[0]),
            duration_ns + start.duration_ns * off[1],
            phase_a_rad + start.phase_rad * off[2],
            phase_b_rad + start.phase_rad * off[3],
        ], axis=1))  # fmt: skip

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """The chance that each circuit reads 1, [B, L, C]."""
        found = np.empty((*doublings.shape, len(self.circuits)))
        for first in range(0, len(settings), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            found[part] = outcome_chances(
                self._pairs({name: values[part] for name, values in physics.items()}),
                _coupler(settings[part]), self.words(), PAIR_SEQUENCES,
                torch.from_numpy(doublings[part]),
            ).numpy()  # fmt: skip
        return found

    def device(self, physics: Physics, settings: Array, row: int, seed: int) -> Device:
        """A `Device` of one pair, a as qubit 0, with the physics and the settings of one row."""
        knobs = [Knob(name, (0, 1)) for name in self.knobs]
        in_force = dict(zip(knobs, settings[row].tolist(), strict=True))
        return drawn_pair(self.devices, physics, row, in_force, seed=seed)

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """The sequences, with the settings of this pair."""
        pair = (qubits[0], qubits[1])
        return [one.circuit(repetitions, controls, pair, self.words()) for one in PAIR_SEQUENCES]

    def within_bounds(self, settings: Array) -> Array:
        """Amplitudes from 0 to full scale, lengths that all circuits can play, phases in [−π, π).

        The coupler's pulse is the same for either sign of its amplitude.
        """
        found = settings.copy()
        found[:, 0] = np.clip(found[:, 0], 0.0, 1.0)
        found[:, 1] = np.clip(found[:, 1], *self._lengths_ns)
        found[:, 2:] = (found[:, 2:] + math.pi) % (2 * math.pi) - math.pi
        return found

    def ratios(self, physics: Physics, settings: Array) -> Array:
        """Infidelity of the CZ over its coherence limit, [B, 1]."""
        return cz_ratios(self._pairs(physics), _coupler(settings))[:, None].numpy()

    def _pairs(self, physics: Physics) -> CoupledPairs:
        def read(side: str) -> Tensor:
            columns = [torch.from_numpy(physics[f"{name}_{side}"]) for name in READ_ONE]
            return torch.stack(columns, dim=-1)

        return CoupledPairs(
            (qubits_of(physics, "_a"), qubits_of(physics, "_b")),
            (settings_of(self.devices, physics, "_a"), settings_of(self.devices, physics, "_b")),
            (read("a"), read("b")),
            torch.from_numpy(physics["coupling_mhz"]), torch.from_numpy(physics["flux_mhz"]),
        )  # fmt: skip


def _textbook(physics: Physics) -> Array:
    """First-order amplitude and length of the coupler pulse, [2, B], as a device begins with."""
    height = np.sqrt(_distance_mhz(physics) / physics["flux_mhz"])
    return np.stack([height, _cycle_ns(physics["coupling_mhz"]) + RAMP_NS])


@one_thread()
def _moves(devices: DeviceConfig, reach: Array) -> Array:
    """Full moves: height and length take back the phases by which they turn the mean pair."""
    mean = _drawn_pairs(without_spread(devices), 1, np.random.default_rng(0))
    best = best_settings(_coupled_pair(mean))
    found = np.diag(reach)
    for knob in range(2):
        step = np.zeros((2, 1))
        step[knob] = _SLOPE_STEP * reach[knob]
        ends = [np.asarray(_virtual_z(mean, *(best + sign * step)))[:, 0] for sign in (1, -1)]
        turned = (ends[0] - ends[1] + math.pi) % (2 * math.pi) - math.pi
        found[knob, 2:] = turned / (2 * _SLOPE_STEP)
    return found


def _varied(config: DeviceConfig) -> DeviceConfig:
    """The same with spreads wide enough to tell what the half pulse's settings depend on."""

    def wider(spread: Spread, least: float) -> Spread:
        return Spread(mean=spread.mean, deviation=max(spread.deviation, least))

    pair = {name: wider(spread, 0.04 * spread.mean)
            for name, spread in (("coupling_mhz", config.pair.coupling_mhz),
                                 ("flux_mhz", config.pair.flux_mhz))}  # fmt: skip
    qubit = {"group_step_ghz": wider(config.qubit.group_step_ghz, 0.012)}
    return config.model_copy(update={"pair": config.pair.model_copy(update=pair),
                                     "qubit": config.qubit.model_copy(update=qubit)})  # fmt: skip


def _drawn_pairs(config: DeviceConfig, count: int, rng: np.random.Generator) -> dict[str, Array]:
    """The physics of so many pairs, a the upper qubit; where no CZ is possible, drawn again."""
    found = _any_pairs(config, count, rng)
    for _ in range(_TRIES):
        again = ~_possible(found)
        if not again.any():
            return found
        new = _any_pairs(config, int(again.sum()), rng)
        for name, values in found.items():
            values[again] = new[name]
    raise ValueError(
        "hardly a pair of these can have a CZ: |11⟩ and |20⟩ must be 0 MHz to pair.flux_mhz apart; "
        "change qubit.group_step_ghz, qubit.anharmonicity_mhz or pair.flux_mhz"
    )


_TRIES = 50


def _any_pairs(config: DeviceConfig, count: int, rng: np.random.Generator) -> dict[str, Array]:
    physics = {f"{name}_{side}": values for side in _SIDES
               for name, values in drawn_qubits(config, count, rng).items()}  # fmt: skip
    physics["frequency_ghz_a"] += drawn(config.qubit.group_step_ghz, count, rng)
    return physics | {name: drawn(getattr(config.pair, name), count, rng)
                      for name in ("coupling_mhz", "flux_mhz")}  # fmt: skip


def _distance_mhz(physics: Mapping[str, Array]) -> Array:
    """How far the pulse must lower a for |11⟩ and |20⟩ to meet, [B]."""
    apart_mhz = 1e3 * (physics["frequency_ghz_a"] - physics["frequency_ghz_b"])
    return apart_mhz + physics["anharmonicity_mhz_a"]


def _possible(physics: Mapping[str, Array]) -> NDArray[np.bool_]:
    distance_mhz = _distance_mhz(physics)
    return (distance_mhz > 0) & (distance_mhz <= physics["flux_mhz"])


def _cycle_ns(coupling_mhz: Array | float) -> Array:
    """From |11⟩ to |20⟩ and back, at 2√2·g."""
    return np.asarray(1e3 / (2 * math.sqrt(2) * coupling_mhz))


def _coupled_pair(physics: Mapping[str, Array]) -> CoupledPair:
    names = ("frequency_ghz_a", "frequency_ghz_b", "anharmonicity_mhz_a", "anharmonicity_mhz_b",
             "coupling_mhz", "flux_mhz")  # fmt: skip
    return CoupledPair(*(torch.from_numpy(physics[name]) for name in names))


@one_thread()
def _virtual_z(physics: Physics, amplitude: Array, duration_ns: Array) -> tuple[Array, Array]:
    """What takes back the turns of a and b by a coupler pulse, [B] each."""
    pulse = CouplerPulse(torch.from_numpy(amplitude), torch.from_numpy(duration_ns))
    turned_a, turned_b = local_phases_rad(coupler_unitary(_coupled_pair(physics), pulse))
    return -turned_a.numpy(), -turned_b.numpy()


def _coupler(settings: Array) -> CouplerKnobs:
    return CouplerKnobs(*torch.from_numpy(np.ascontiguousarray(settings.T)))


def _reach(config: DeviceConfig) -> Array:
    """A radian of the conditional phase, of the turn between |11⟩ and |20⟩, and half a turn twice.

    The conditional phase errs by half of what |11⟩ and |20⟩ are apart, times the cycle. The start
    may be further off than a radian.
    """
    qubit, pair = config.qubit, config.pair
    cycle_ns = float(_cycle_ns(pair.coupling_mhz.mean))
    distance_mhz = 1e3 * qubit.group_step_ghz.mean + qubit.anharmonicity_mhz.mean
    height = math.sqrt(max(distance_mhz, 1.0) / pair.flux_mhz.mean)
    radian = 1e3 / (2 * math.pi * height * pair.flux_mhz.mean * cycle_ns)
    furthest = config.start.amplitude * height
    return np.array([max(radian, furthest), cycle_ns / (2 * math.pi), math.pi, math.pi])

"""Many whole devices at once: Q qubits and P pairs each, as the one-qubit and the CZ game."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calib.device_config import DeviceConfig
from calib.drift import Deviation
from calib.threads import one_thread
from calib.topology import Pair
from calib.truth import Truth, drawn
from envs.coupler_words import CouplerWords
from envs.cz_game import CZGame
from envs.device_drift import DeviceDrift
from envs.device_looks import Menu, Target, job_s, pair_circuit_ns, qubit_circuit_ns
from envs.game import Array, Numbers, Physics
from envs.given_pulses import GIVEN, QUBIT
from envs.pulse_game import PulseGame
from envs.readout_lines import READ_ONE
from envs.rewards import Reward

_PAIR = ("coupling_mhz", "flux_mhz")
_TRIES = 50


class DeviceGame:
    """Devices of one family, whose qubits' pulses and pairs' CZ are off and drift.

    Physics is a dict of [B, Q] and, for couplings, [B, P]. Settings are [B, T, K] for T targets,
    the qubits and then the pairs (upper qubit first), and K = 6 knobs: those of `PulseGame`, or the
    four of `CZGame` and two that mean nothing. A pair's circuits are played with the one-qubit
    pulses that are in force on its qubits. The ZZ coupling that remains between idle neighbours is
    left out, and readout stays as it is when T1 drifts.
    """

    knobs = len(PulseGame.knobs)
    circuits = len(PulseGame.circuits)

    def __init__(self, devices: DeviceConfig) -> None:
        graph = devices.topology.graph()
        groups = graph.groups()
        self.devices = devices
        self.pairs: tuple[Pair, ...] = tuple(
            (a, b) if groups[a] > groups[b] else (b, a) for a, b in graph.pairs
        )
        self.menu = Menu(graph, self.pairs)
        self.pulse, self.cz = PulseGame(devices), _Couplings(devices)
        self.qubits, self._groups = graph.qubits, np.array(groups)
        self.targets = self.menu.targets
        self.drift = DeviceDrift(devices.drift, drifting(self.qubits, self.pairs))
        self.longest = np.array([self.of(target).longest for target in self.targets])
        self.ideal = np.zeros((len(self.targets), self.circuits))  # [T, C]
        for row, target in zip(self.ideal, self.targets, strict=True):
            row[: len(self.of(target).circuits)] = self.of(target).ideal
        self.gates = tuple(
            f"{gate}.{'-'.join(map(str, target))}"
            for target in self.targets for gate in self.of(target).gates
        )  # fmt: skip

    def of(self, target: Target) -> PulseGame | CZGame:
        """The game of a qubit, or that of a pair."""
        return self.pulse if len(target) == 1 else self.cz

    @functools.cached_property
    def moves(self) -> Array:
        """The full moves of each target's knobs, [T, K, K]; those that mean nothing go nowhere."""
        found = np.zeros((len(self.targets), self.knobs, self.knobs))
        with one_thread():
            for square, target in zip(found, self.targets, strict=True):
                mine = self.of(target).moves
                square[: len(mine), : len(mine)] = mine
        return found

    def draw(
        self, count: int, rng: np.random.Generator, share: Array
    ) -> tuple[dict[str, Array], Array]:
        """So many devices, and settings near the textbook's; those without a CZ are drawn again."""
        physics, settings = self._qubits(count, rng, share)
        for _ in range(_TRIES):
            again = ~self._possible(physics)
            if not again.any():
                break
            others, theirs = self._qubits(int(again.sum()), rng, share[again])
            for name, values in others.items():
                physics[name][again] = values
            settings[again] = theirs
        else:
            raise ValueError(
                "hardly a device of these can have all its CZ: |11⟩ and |20⟩ must be 0 MHz to "
                "pair.flux_mhz apart; change qubit.group_step_ghz or pair.flux_mhz"
            )
        rows = self._pair_physics(physics, settings)
        start = self.cz.start(rows, rng, np.repeat(share, len(self.pairs)))
        settings[:, self.qubits :, : len(CZGame.knobs)] = start.reshape(
            count, len(self.pairs), len(CZGame.knobs)
        )
        return physics, settings

    def drifted(self, nominal: Physics, deviations: Mapping[str, Deviation]) -> dict[str, Array]:
        """The physics after these deviations; T2 follows T1."""
        qubit = {name: values for name, values in nominal.items() if name not in _PAIR}
        pair = {name: nominal[name] for name in _PAIR}
        found = Truth(qubit, pair).drifted(deviations)
        return {**found.qubit, **found.pair}

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """The chance that each circuit reads 1, [B, T, L, C], for lengths [B, T, L].

        What a pair's missing circuits would show is 0.
        """
        count, lengths = len(settings), doublings.shape[2]
        found = np.zeros((*doublings.shape, self.circuits))
        qubits, pairs = self._split(settings)
        seen = self.pulse.chances(
            self._qubit_physics(physics), qubits,
            doublings[:, : self.qubits].reshape(-1, lengths),
        )  # fmt: skip
        found[:, : self.qubits] = seen.reshape(count, self.qubits, lengths, -1)
        seen = self.cz.chances(
            self._pair_physics(physics, settings), pairs,
            doublings[:, self.qubits :].reshape(-1, lengths),
        )  # fmt: skip
        of_pairs = seen.reshape(count, len(self.pairs), lengths, -1)
        found[:, self.qubits :, :, : len(CZGame.circuits)] = of_pairs
        return found

    def scores(self, reward: Reward, ones: Numbers) -> Array:
        """Each target's score [B, T] from counts [B, T, lengths, C]."""
        parts = ((slice(0, self.qubits), self.pulse), (slice(self.qubits, None), self.cz))
        found = np.zeros(ones.shape[:2])
        for which, game in parts:
            mine = ones[:, which, :, : len(game.circuits)]
            rows = mine.reshape(-1, *mine.shape[2:])
            found[:, which] = reward.score(rows, game.ideal).reshape(mine.shape[:2])
        return found

    def within_bounds(self, settings: Array) -> Array:
        """The settings, or the nearest ones that electronics can play."""
        found, (qubits, pairs) = settings.copy(), self._split(settings)
        found[:, : self.qubits] = self.pulse.within_bounds(qubits).reshape(
            found[:, : self.qubits].shape
        )
        found[:, self.qubits :, : pairs.shape[1]] = self.cz.within_bounds(pairs).reshape(
            len(found), -1, pairs.shape[1]
        )
        return found

    def ratios(self, physics: Physics, settings: Array) -> Array:
        """Each gate's infidelity over its coherence limit, [B, gates]: for judging alone."""
        qubits, pairs = self._split(settings)
        found = (
            self.pulse.ratios(self._qubit_physics(physics), qubits),
            self.cz.ratios(self._pair_physics(physics, settings), pairs),
        )
        return np.concatenate([one.reshape(len(settings), -1) for one in found], axis=1)

    def job_s(
        self, settings: Array, doublings: Numbers, shots: int,
        looked: NDArray[np.bool_], played: NDArray[np.bool_],
    ) -> Array:  # fmt: skip
        """What jobs take [B]: circuits `played` [B, C] on targets `looked` [B, T] at once."""
        timing, pairs = self.devices.timing, self._split(settings)[1]
        lasts = np.zeros((*looked.shape, self.circuits))
        lasts[:, : self.qubits] = qubit_circuit_ns(timing, doublings[:, : self.qubits])
        if looked[:, self.qubits :].any():
            each = pair_circuit_ns(
                timing, self.cz.words(), pairs, doublings[:, self.qubits :].ravel()
            )
            lasts[:, self.qubits :, : each.shape[1]] = each.reshape(len(looked), -1, each.shape[1])
        longest = np.where(looked[:, :, None], lasts, 0.0).max(axis=1)
        return job_s(timing, longest, shots, played)

    def _split(self, settings: Array) -> tuple[Array, Array]:
        """Those of all qubits [B·Q, 6], and of all pairs [B·P, 4]."""
        pairs = settings[:, self.qubits :, : len(CZGame.knobs)]
        return (settings[:, : self.qubits].reshape(-1, self.knobs),
                pairs.reshape(-1, len(CZGame.knobs)))  # fmt: skip

    def _qubits(
        self, count: int, rng: np.random.Generator, share: Array
    ) -> tuple[dict[str, Array], Array]:
        """Physics and one-qubit settings; the pairs' are still 0."""
        rows, first = self.pulse.draw(count * self.qubits, rng, np.repeat(share, self.qubits))
        physics: dict[str, Array] = {
            name: values.reshape(count, self.qubits) for name, values in rows.items()
        }
        settings = np.zeros((count, len(self.targets), self.knobs))
        settings[:, : self.qubits] = first.reshape(count, self.qubits, self.knobs)
        step_ghz = drawn(self.devices.qubit.group_step_ghz, count * self.qubits, rng)
        higher_ghz = step_ghz.reshape(count, self.qubits) * self._groups
        physics["frequency_ghz"] = physics["frequency_ghz"] + higher_ghz
        settings[:, : self.qubits, PulseGame.knobs.index("frequency_ghz")] += higher_ghz
        for name in _PAIR:
            values = drawn(getattr(self.devices.pair, name), count * len(self.pairs), rng)
            physics[name] = values.reshape(count, len(self.pairs))
        return physics, settings

    def _possible(self, physics: Physics) -> NDArray[np.bool_]:
        """Where the coupler can bring |11⟩ and |20⟩ of all pairs together, [B]."""
        upper, lower = ([pair[side] for pair in self.pairs] for side in (0, 1))
        frequency_ghz = physics["frequency_ghz"]
        apart_mhz = 1e3 * (frequency_ghz[:, upper] - frequency_ghz[:, lower])
        distance_mhz = apart_mhz + physics["anharmonicity_mhz"][:, upper]
        possible = (distance_mhz > 0) & (distance_mhz <= physics["flux_mhz"])
        return np.asarray(possible.all(axis=1))

    def _qubit_physics(self, physics: Physics) -> dict[str, Array]:
        return {name: physics[name].ravel() for name in (*QUBIT, *READ_ONE)}

    def _pair_physics(self, physics: Physics, settings: Array) -> dict[str, Array]:
        """The physics of all pairs [B·P], with the pulses in force on their qubits."""
        rows = {name: physics[name].ravel() for name in _PAIR}
        for side, letter in enumerate("ab"):
            mine = [pair[side] for pair in self.pairs]
            rows |= {f"{name}_{letter}": physics[name][:, mine].ravel()
                     for name in (*QUBIT, *READ_ONE)}  # fmt: skip
            rows |= {f"{name}_{letter}": settings[:, mine, knob].ravel()
                     for knob, name in enumerate(GIVEN)}  # fmt: skip
        return rows


def drifting(qubits: int, pairs: tuple[Pair, ...]) -> dict[str, list[tuple[int, ...]]]:
    """What may drift in this game, and the qubits or pairs that have it."""
    single: list[tuple[int, ...]] = [(qubit,) for qubit in range(qubits)]
    return {**dict.fromkeys(QUBIT, single), **{name: list(pairs) for name in _PAIR}}


class _Couplings(CZGame):
    """The CZ game on qubits that are given."""

    @one_thread()
    def words(self) -> CouplerWords:
        """The pulses that the circuits play beside the CZ, fitted once."""
        return super().words()

    def start(self, physics: Physics, rng: np.random.Generator, share: Array) -> Array:
        """Settings near the textbook's for these pairs, [N, 4]."""
        return self._start(physics, rng, share)

"""The readout game: a tone's height, frequency and length, with the X pulse given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from qiskit.circuit import QuantumCircuit

from calib.controls import Controls
from calib.density import diagonals
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.play_channels import resting_levels
from calib.readout import Discriminator, ReadoutPulse, Resonator, assignment_matrix
from calib.starting_point import READOUT_AMPLITUDE
from calib.truth import drawn
from envs.drawn_device import drawn_qubit
from envs.game import Angle, Array, Numbers, Physics, without_spread
from envs.given_pulses import drawn_qubits, given_pulses, left_over, qubits_of, settings_of
from envs.lone_qubits import gate_transfers
from envs.readout_lines import RESONATOR
from envs.readout_shots import Points, sample_points

_LEVELS = 3
_LEAST_AMPLITUDE = 0.02  # below, a tone shows nothing
_KNOWN_AT_MOST = 100_000  # devices whose best tones are kept


class ReadoutGame:
    """A qubit's readout, from a tone that is off; the line between the clouds is fitted each time.

    `devices` says what qubits and resonators are (its spreads are the randomisation) and how far
    off the tone begins: each error is uniform within the size that `start` has. The X pulse that
    prepares |1⟩ is as a one-qubit calibration leaves it. Blocks are not repeated: `longest` is 0.

    >>> game = ReadoutGame(DeviceConfig())
    >>> physics, settings = game.draw(3, np.random.default_rng(1))
    >>> game.chances(physics, settings, np.zeros((3, 1), dtype=np.int64)).shape
    (3, 1, 2)
    >>> game.sample(physics, settings, 50, np.random.default_rng(2)).shape
    (3, 2, 50)
    """

    knobs: tuple[str, ...] = ("readout.amplitude", "readout.frequency_ghz", "readout.duration_ns")
    circuits: tuple[str, ...] = ("prepared_0", "prepared_1")
    angles: tuple[Angle, ...] = ()
    blurred: Mapping[str, str] = {}
    ideal = np.array([0.0, 1.0])
    longest = 0
    width = 1
    gates: tuple[str, ...] = ("readout",)

    def __init__(self, devices: DeviceConfig) -> None:
        self.devices = devices
        usual_ns, start = devices.timing.readout_ns, devices.start
        self.lengths_ns = (usual_ns / 8, 4 * usual_ns)
        self.reach = np.array([0.2, 1e-3 * max(1.0, start.readout_mhz), usual_ns / 2])
        self.moves = np.diag(self.reach)
        self._best: dict[bytes, float] = {}

    def draw(
        self, count: int, rng: np.random.Generator, share: Array | float = 1.0
    ) -> tuple[Physics, Array]:
        """So many qubits with resonators, and tones near the textbook's: off by this share."""
        config = self.devices
        physics = drawn_qubits(config, count, rng)
        physics |= {name: drawn(getattr(config.qubit, name), count, rng) for name in RESONATOR}
        physics |= given_pulses(config, physics, left_over(count, rng))
        physics |= _prepared(config, physics)
        start = config.start
        off = share * start.readout * rng.uniform(-1.0, 1.0, (2, count))
        return physics, self.within_bounds(np.stack([
            READOUT_AMPLITUDE * (1 + start.readout_amplitude * off[0]),
            physics["resonator_ghz"] + 1e-3 * start.readout_mhz * off[1],
            np.full(count, config.timing.readout_ns),
        ], axis=1))  # fmt: skip

    def typical(self) -> tuple[Physics, Array]:
        """The mean qubit with the tone that errs least."""
        physics, _ = ReadoutGame(without_spread(self.devices)).draw(1, np.random.default_rng(0))
        return physics, self.best_settings(physics)

    def sample(
        self, physics: Physics, settings: Array, shots: int, rng: np.random.Generator
    ) -> Points:
        """IQ points of so many shots with |0⟩ and with |1⟩ prepared, [B, 2, shots]."""
        chances = np.cumsum(_populations(physics), axis=-1)[..., None, :-1]
        uniform = rng.random((len(settings), 2, shots))
        levels = (uniform[..., None] > chances).sum(-1)
        return sample_points(levels, _resonator(physics), _tone(settings), physics["t1_us"], rng)

    def device(self, physics: Physics, settings: Array, row: int, seed: int) -> Device:
        """A `Device` of one qubit with the physics and the tone of one row."""
        in_force = dict(zip(self.knobs, settings[row].tolist(), strict=True))
        return drawn_qubit(self.devices, physics, row, in_force, seed=seed)

    def qiskit_circuits(
        self, controls: Controls, qubits: tuple[int, ...], repetitions: int
    ) -> list[QuantumCircuit]:
        """Both states, each prepared and read with the tone in force; nothing is repeated."""
        found = []
        for name in self.circuits:
            circuit = QuantumCircuit(1, 1, name=name)
            if name == "prepared_1":
                circuit.x(0)
            circuit.measure(0, 0)
            found.append(circuit)
        return found

    def chances(self, physics: Physics, settings: Array, doublings: Numbers) -> Array:
        """The chance to read 1 with a line midway between the clouds, [B, L, 2].

        Nothing is repeated, so that all L are alike.
        """
        found = np.einsum("bsl,bl->bs", _populations(physics), _read_one(physics, settings))
        return np.repeat(found[:, None], doublings.shape[1], axis=1)

    def within_bounds(self, settings: Array) -> Array:
        """Amplitudes up to full scale, and lengths from an eighth to four times the usual."""
        found = settings.copy()
        found[:, 0] = np.clip(found[:, 0], _LEAST_AMPLITUDE, 1.0)
        found[:, 1] = np.maximum(found[:, 1], 0.1)
        found[:, 2] = np.clip(found[:, 2], *self.lengths_ns)
        return found

    def ratios(self, physics: Physics, settings: Array) -> Array:
        """The assignment error over the least that any tone makes, [B, 1]."""
        return (self.errors(physics, settings) / self._least(physics))[:, None]

    def errors(self, physics: Physics, settings: Array) -> Array:
        """The true assignment error of |0⟩ and |1⟩, preparation left out: the mean of both, [B]."""
        read_one = _read_one(physics, settings)
        return (read_one[..., 0] + 1 - read_one[..., 1]) / 2

    def best_settings(self, physics: Physics) -> Array:
        """The tone that errs least, [B, 3]: from a coarse grid, then finer and finer ones.

        It may stand off the middle, and there may be several such: photons that excite |0⟩ make
        errors, and those that excite |1⟩ do not.
        """
        usual_ns, start = self.devices.timing.readout_ns, np.zeros((len(physics["t1_us"]), 3))
        start[:, 1] = physics["resonator_ghz"]
        values = self._least_of(physics, start, _grid(_COARSE, usual_ns))
        for zoom in (1.0, 0.5, 0.25, 0.125):
            finer = [(-one * zoom, 0.0, one * zoom) for one in _FINER]
            values = self._least_of(physics, values, _grid(finer, usual_ns))
        return values

    def _least_of(self, physics: Physics, settings: Array, steps: Array) -> Array:
        """Of the settings [B, 3] that are these steps [n, 3] away, those that err least, [B, 3]."""
        found = settings.copy()
        for row in range(len(settings)):
            tones = self.within_bounds(settings[row] + steps)
            same = {name: np.broadcast_to(physics[name][row], len(steps)) for name in _TRUTH}
            found[row] = tones[self.errors(same, tones).argmin()]
        return found

    def _least(self, physics: Physics) -> Array:
        """The least error of each qubit, [B]; those seen before are not sought again."""
        rows = np.stack([physics[name] for name in _TRUTH], axis=1)
        keys = [row.tobytes() for row in rows]
        new = np.array([k for k, key in enumerate(keys) if key not in self._best], dtype=np.int64)
        if len(self._best) + len(new) > _KNOWN_AT_MOST:
            self._best, new = {}, np.arange(len(keys))
        if len(new):
            some = {name: values[new] for name, values in physics.items()}
            least = self.errors(some, self.best_settings(some))
            self._best |= {keys[k]: float(one) for k, one in zip(new, least, strict=True)}
        return np.array([self._best[key] for key in keys])


_COARSE = ((0.4, 0.55, 0.7, 0.85, 1.0), (-1.8, -1.3, -0.9, -0.6, -0.3, 0.0, 0.3),
           (0.7, 0.95, 1.3, 1.8))  # fmt: skip
_FINER = (0.08, 0.16, 0.14)
_TRUTH = (*RESONATOR, "t1_us")  # what a readout depends on, beside its preparation


def _grid(steps: Sequence[Sequence[float]], usual_ns: float) -> Array:
    """All combinations of steps of the knobs, [n, 3]: MHz, and multiples of the usual length."""
    heights, offsets_mhz, lengths = (np.array(one) for one in steps)
    axes = np.meshgrid(heights, 1e-3 * offsets_mhz, usual_ns * lengths)
    return np.stack([one.ravel() for one in axes], axis=1)


def _prepared(config: DeviceConfig, physics: Physics) -> dict[str, Array]:
    """The chances of the levels of a qubit at rest, and after its X: the columns of `_PREPARED`."""
    rest = resting_levels(physics["thermal_population"])
    _, x = gate_transfers(qubits_of(physics), settings_of(config, physics))
    after = np.einsum("lj,bji,mi,bm->bl", diagonals(_LEVELS), x.double().numpy(),
                      diagonals(_LEVELS), rest)  # fmt: skip
    after = np.clip(after, 0.0, 1.0)
    after /= after.sum(axis=1, keepdims=True)
    return dict(zip(_PREPARED, np.concatenate([rest, after], axis=1).T, strict=True))


_PREPARED = tuple(f"prepared_{state}_in_{level}" for state in (0, 1) for level in range(_LEVELS))


def _populations(physics: Physics) -> Array:
    """The chances of the levels when the readout begins, [B, 2, L]."""
    columns = np.stack([physics[name] for name in _PREPARED], axis=1)
    return columns.reshape(-1, 2, _LEVELS)


def _resonator(physics: Physics) -> Resonator:
    return Resonator(
        frequency_ghz=physics["resonator_ghz"], chi_mhz=physics["chi_mhz"],
        kappa_mhz=physics["kappa_mhz"], photons=physics["photons"],
        cable_phase_rad=physics["cable_phase_rad"],
    )  # fmt: skip


def _tone(settings: Array) -> ReadoutPulse:
    return ReadoutPulse(settings[:, 0], settings[:, 1], settings[:, 2])


def _read_one(physics: Physics, settings: Array) -> Array:
    """The chance that each level reads 1, with a line midway between the clouds, [B, L]."""
    resonator, tone = _resonator(physics), _tone(settings)
    line = Discriminator.midway(resonator, tone)
    return assignment_matrix(resonator, tone, physics["t1_us"], line)[..., 1]

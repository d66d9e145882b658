"""Drift of a device: which parameters wander how, as a function of a seed and the time only."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from calib.processes import Array, Number, Process, Shape

Target = tuple[int, ...]
"""A qubit (3,) or a pair (3, 4), as in `calib.controls.Knob.qubits`."""

_CHUNK_TICKS = 1024
# Apart from every other use of the seed: NumPy fills up with zeros, so that [s, 0] is s.
_STREAM = 4
_CHUNKS_KEPT = 2


class Drift(BaseModel):
    """One cause of drift: a process, and what it does to which parameters of which qubits.

    All parameters of one entry follow the same realisation, as those that a single two-level
    system moves at once. A parameter in `absolute` becomes value + amount · x(t), one in
    `relative` becomes value · exp(amount · x(t)), which stays above 0. In TOML:

        [[drift]]
        process = { kind = "telegraph", up_per_hour = 0.5, down_per_hour = 2.0 }
        relative = { t1_us = -0.6 }
        absolute = { frequency_ghz = 2e-5 }
        qubits = [0, 3]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Process = Field(description="how the deviation x(t) moves in time")
    absolute: dict[str, Number] = Field(
        default={}, description="parameter = deviation in its own unit while x = 1"
    )
    relative: dict[str, Number] = Field(
        default={},
        description="parameter = deviation of its logarithm while x = 1; t2_us scales pure "
        "dephasing, 1/Tφ = 1/T2 − 1/(2 T1), and T2 follows from it and T1",
    )
    qubits: tuple[Annotated[int, Field(strict=True, ge=0)], ...] | None = Field(
        default=None, description="qubits it acts on; all where neither these nor pairs are given"
    )
    pairs: tuple[tuple[int, int], ...] | None = Field(
        default=None, description="pairs it acts on, as in [[0, 1], [1, 2]]; either order"
    )
    shared: bool = Field(
        default=False, description="one realisation for all of them, instead of one for each"
    )

    @model_validator(mode="after")
    def _check(self) -> Drift:
        if not self.parameters:
            raise ValueError(
                "a drift must name a parameter in absolute or relative, as in "
                "relative = { t1_us = 0.1 }, got none"
            )
        if self.qubits is not None and self.pairs is not None:
            raise ValueError("a drift acts on qubits or on pairs, got both: make two entries")
        if self.qubits == () or self.pairs == ():
            raise ValueError("a drift on no qubit does nothing: leave the list out to mean all")
        asked = self.qubits or [tuple(sorted(pair)) for pair in self.pairs or ()]
        if len(set(asked)) < len(asked):
            raise ValueError("a drift must name each of its qubits or pairs once, got one twice")
        return self

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters that it moves."""
        return tuple(dict.fromkeys([*self.absolute, *self.relative]))


class Deviation(NamedTuple):
    """How far a parameter is from its nominal value, one number a target, [*batch, targets]."""

    absolute: Array
    log_relative: Array

    def of(self, nominal: Array | float) -> Array:
        """Return the value now: nominal · exp(log_relative) + absolute."""
        return nominal * np.exp(self.log_relative) + self.absolute


class Trajectory:
    """How a device's parameters deviate at any time: a function of the seed and the time only.

    Neither when nor how often one looks matters, so calibrators with different schedules meet the
    same drift. Values are exact at the ticks of a grid (`tick_s`) and held in between. `targets`
    gives for each parameter the qubits (q,) or pairs (a, b) that have it; the last axis of every
    array follows that order, and `batch` gives leading axes, for independent devices.

    >>> from calib.processes import Ramp
    >>> drift = Drift(process=Ramp(per_hour=1.0), absolute={"frequency_ghz": 2e-6})
    >>> trajectory = Trajectory([drift], {"frequency_ghz": [(0,), (1,)]}, seed=7)
    >>> trajectory.at(7200.9)["frequency_ghz"].of(5.0).tolist()
    [5.000004, 5.000004]
    """

    def __init__(
        self,
        drifts: Iterable[Drift],
        targets: Mapping[str, Sequence[Target]],
        seed: int,
        *,
        tick_s: float = 1.0,
        batch: Shape = (),
    ) -> None:
        if not (math.isfinite(tick_s) and tick_s > 0):
            raise ValueError(f"tick_s must be a finite number above 0, got {tick_s}")
        self.tick_s = tick_s
        self._batch = batch
        self._sizes = {name: len(of_name) for name, of_name in targets.items()}
        self._entries = [
            _Entry(drift, targets, batch, _Key(seed, number, tick_s))
            for number, drift in enumerate(drifts)
        ]
        self._latest: tuple[int, dict[str, Deviation]] | None = None

    def tick(self, time_s: float) -> int:
        """Return the number of the tick; nothing changes while it stays the same."""
        if not (math.isfinite(time_s) and time_s >= 0):
            raise ValueError(f"time_s must be a finite number of at least 0, got {time_s}")
        return math.floor(time_s / self.tick_s)

    def at(self, time_s: float) -> dict[str, Deviation]:
        """Return the deviations of all parameters that drift, by name; the arrays are read-only."""
        tick = self.tick(time_s)
        if self._latest is None or self._latest[0] != tick:
            self._latest = (tick, self._deviations(tick))
        return dict(self._latest[1])

    def _deviations(self, tick: int) -> dict[str, Deviation]:
        found: dict[str, Deviation] = {}
        for entry in self._entries:
            value = entry.value(tick)
            for name, positions in entry.positions.items():
                if name not in found:
                    shape = (*self._batch, self._sizes[name])
                    found[name] = Deviation(np.zeros(shape), np.zeros(shape))
                deviation = found[name]
                deviation.absolute[..., positions] += entry.drift.absolute.get(name, 0.0) * value
                deviation.log_relative[..., positions] += (
                    entry.drift.relative.get(name, 0.0) * value
                )
        for deviation in found.values():
            deviation.absolute.flags.writeable = deviation.log_relative.flags.writeable = False
        return found


class _Key(NamedTuple):
    """What, besides its config, makes an entry's realisation."""

    seed: int
    number: int
    tick_s: float


class _Entry:
    """One drift's realisation, made in chunks of ticks.

    The state at the start of each chunk is drawn from the one before in a single exact step, the
    ticks within a chunk between two such states, and only when somebody looks. So a look far
    ahead costs one step a chunk. Chunk starts stay (a few numbers for each 1024 ticks), the
    ticks only of the last chunks that were looked at.
    """

    def __init__(
        self, drift: Drift, targets: Mapping[str, Sequence[Target]], batch: Shape, key: _Key
    ) -> None:
        self.drift = drift
        self.positions = _positions(drift, targets)
        count = 1 if drift.shared else len(next(iter(self.positions.values())))
        self._key = key
        self._starts = [drift.process.initial((*batch, count), self._generator(0))]
        self._chunks: dict[int, Array] = {}

    def value(self, tick: int) -> Array:
        """The process at this tick, [*batch, targets], or [*batch, 1] where shared."""
        chunk, within = divmod(tick, _CHUNK_TICKS)
        if chunk not in self._chunks:
            while len(self._chunks) >= _CHUNKS_KEPT:
                del self._chunks[next(iter(self._chunks))]
            self._chunks[chunk] = self._made(chunk)
        return self._chunks[chunk][within]

    def _made(self, chunk: int) -> Array:
        process, tick_s = self.drift.process, self._key.tick_s
        while len(self._starts) <= chunk + 1:
            rng = self._generator(1, len(self._starts))
            self._starts.append(process.advance(self._starts[-1], tick_s * _CHUNK_TICKS, rng))
        start, end = self._starts[chunk], self._starts[chunk + 1]
        path = process.between(start, end, tick_s, _CHUNK_TICKS, self._generator(2, chunk))
        times_s = tick_s * np.arange(chunk * _CHUNK_TICKS, (chunk + 1) * _CHUNK_TICKS, dtype=float)
        # Processes that know only the time have one state axis for each of [*batch, targets].
        return process.value(path, times_s.reshape(-1, *[1] * (path.ndim - 1)))

    def _generator(self, *use: int) -> np.random.Generator:
        key = (self._key.number, *use)
        return np.random.default_rng(
            np.random.SeedSequence([self._key.seed, _STREAM], spawn_key=key)
        )


def _positions(
    drift: Drift, targets: Mapping[str, Sequence[Target]]
) -> dict[str, NDArray[np.intp]]:
    """Where in each parameter's list of targets an entry acts."""
    chosen = {name: _chosen(drift, name, targets) for name in drift.parameters}
    first = next(iter(chosen))
    for name, of_name in chosen.items():
        if not drift.shared and of_name != chosen[first]:
            raise ValueError(
                f"{first} and {name} belong to different qubits or pairs, so one drift cannot move "
                "both unless it is shared: set shared = true, or make two entries"
            )
    return {
        name: np.array([list(targets[name]).index(one) for one in of_name], dtype=np.intp)
        for name, of_name in chosen.items()
    }


def _chosen(drift: Drift, name: str, targets: Mapping[str, Sequence[Target]]) -> list[Target]:
    """The targets of one parameter that an entry acts on."""
    if name not in targets:
        near = difflib.get_close_matches(name, targets, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"drift of {name!r}: expected one of {', '.join(sorted(targets))}{meant}")
    available = list(targets[name])
    asked = drift.pairs if drift.qubits is None else [(qubit,) for qubit in drift.qubits]
    if asked is None:
        return available
    chosen = [one if one in available else one[::-1] for one in map(tuple, asked)]
    for one in chosen:
        if one not in available:
            raise ValueError(
                f"drift of {name}: {'-'.join(map(str, one[::-1]))} has no {name}; "
                f"it belongs to {', '.join('-'.join(map(str, each)) for each in available)}"
            )
    return chosen

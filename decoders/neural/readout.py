"""Readout that gives values around those of 0 and 1, and says when it found a leaked qubit.

Matching gets the bits that the values are nearer to. A network can see how doubtful these are where
it matters: a wrong bit is an error like others, an edge whose weight is known better in each shot
than the error model has it.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Protocol

import numpy as np
import stim
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array
from scipy.special import expit, ndtri

from decoders.dem import Part
from decoders.evaluate_config import Recipe
from decoders.fault_graph import Array, Bits, FaultGraph
from decoders.noise.instructions import instructions_in, kind_of, with_outcome_flip

Told = Literal["soft", "leaked"]
"""What a network can see beside events, of edges that a wrong bit makes; see `Beside.on_edges`."""

_AT_ONCE = 1024  # shots, whose arrays stay in the processor's cache
_MOST_WEIGHT = 14.0  # of an edge, where nothing is in doubt
_READ = ("measure", "measure_reset", "joint")  # kinds of instructions whose outcomes are read out


class Beside(NamedTuple):
    """What the values that were read tell of N shots, beside the bits of their R measurements.

    `flipped` [R] are the detectors and observables that a wrong bit flips. `doubts` [N, R] are the
    probabilities that bits are wrong, and `usual` [R] how often they are, as the error model has
    it; `leaked` [N, R] says which found a leaked qubit.
    """

    flipped: tuple[Part, ...]
    usual: NDArray[np.floating]
    doubts: NDArray[np.floating]
    leaked: Bits

    def of(self, shots: NDArray[np.int64]) -> Beside:
        """The same of some shots."""
        return self._replace(doubts=self.doubts[shots], leaked=self.leaked[shots])

    def on_edges(self, name: Told, graph: FaultGraph) -> Array:
        """Of edges that wrong bits make, [N, E]; 0 for others, and where nothing more is known.

        "soft" is what an edge weighs more in a shot than by the model, w = ln((1 - p) / p): with
        w = 2 artanh(1 - 2 p), and 1 - 2 p times (1 - 2 doubt) / (1 - 2 usual) for each measurement
        (as in arXiv:2107.13589). "leaked" is 1 where one of these was leaked. Bits that flip more
        than two detectors are no edges, and tell nothing.
        """
        bits = self._bits_of(graph)
        if name == "leaked":
            return (self.leaked @ bits > 0).astype(float)
        with np.errstate(divide="ignore"):  # ln 0, of what is not known at all
            told = (np.log1p(-2 * self.doubts) - np.log1p(-2 * self.usual)) @ bits
        most = np.tanh(_MOST_WEIGHT / 2)
        sure = np.clip(np.tanh(graph.alone / 2) * np.exp(told), -most, most)
        return np.where(bits.sum(axis=0) > 0, 2 * np.arctanh(sure) - graph.alone, 0.0)

    def _bits_of(self, graph: FaultGraph) -> csr_array:
        """Ones [R, E] where a wrong bit is an edge; ValueError if none is."""
        numbers = {edge: number for number, edge in enumerate(graph.edges)}
        found = [(bit, numbers[part]) for bit, part in enumerate(self.flipped) if part in numbers]
        if not found:
            raise ValueError(
                "none of the measurements flips what an edge of the error model does: "
                "expected both of the same circuit"
            )
        return csr_array((np.ones(len(found)), tuple(np.array(found).T)),
                         shape=(len(self.flipped), len(numbers)))  # fmt: skip


class Read(NamedTuple):
    """N shots as they were read: events [N, D], flips [N, O], and what is known beside, if any."""

    events: Bits
    flips: Bits
    beside: Beside | None


class Sampler(Protocol):
    """Gives shots, one after another."""

    def sample(self, shots: int) -> Read:
        """The next so many."""
        ...


class Drawable(Protocol):
    """What shots can be drawn of."""

    def sampler(self, seed: int) -> Sampler:
        """The same seed, the same shots."""
        ...


class Readout(Recipe):
    """Gaussian values around those of 0 and 1 (arXiv:2107.13589), random bits of leaked qubits."""

    separation: float = Field(
        gt=0, le=100,
        description="Of the means of 0 and 1, in standard deviations: 4 makes 2.3 % wrong bits.",
    )  # fmt: skip
    leaked: float = Field(
        default=0.0, ge=0, lt=1,
        description="How often a measurement finds a leaked qubit: it says so, its bit is random.",
    )  # fmt: skip

    @property
    def error(self) -> float:
        """How often a bit is not that of the qubit."""
        return (1 - self.leaked) * math.erfc(self.separation / math.sqrt(8)) / 2 + self.leaked / 2

    def hard(self, circuit: stim.Circuit) -> stim.Circuit:
        """The circuit whose outcomes flip as often as bits are wrong: what matching should know.

        >>> print(Readout(separation=4).hard(stim.Circuit("R 0\\nM 0\\nDETECTOR rec[-1]")))
        R 0
        M(0.0227501) 0
        DETECTOR rec[-1]
        """
        found = stim.Circuit()
        for one in circuit:
            if isinstance(one, stim.CircuitRepeatBlock):
                body = self.hard(one.body_copy())
                found.append(stim.CircuitRepeatBlock(one.repeat_count, body, tag=one.tag))
            elif kind_of(one.name) in _READ:
                before = sum(one.gate_args_copy())  # one or none
                rate = before * (1 - self.error) + self.error * (1 - before)
                found.append(with_outcome_flip(one, rate))
            else:
                found.append(one)
        return found


class ReadShots:
    """Shots of a circuit under a seed, one after another, as the readout gives them.

    The circuit itself has no errors of this readout; it may have others of its own.
    """

    def __init__(self, circuit: stim.Circuit, readout: Readout, seed: int):
        circuit = circuit.with_inlined_feedback()  # what wrong bits do by feedback, detectors know
        self._readout, self._is_read = readout, _is_read(circuit)
        self._flipped = _flipped_by(circuit)
        self._sampler = circuit.compile_sampler(seed=seed)
        self._rng = np.random.default_rng(seed)
        self._converter = circuit.compile_m2d_converter()

    def sample(self, shots: int) -> Read:
        """The next so many."""
        sizes = [min(_AT_ONCE, shots - at) for at in range(0, shots, _AT_ONCE)]
        parts = [self._read(self._sampler.sample(size)) for size in sizes]
        bits, doubts, leaked = (np.concatenate(part) for part in zip(*parts, strict=True))
        events, flips = self._converter.convert(measurements=bits, separate_observables=True)
        usual = self._readout.error * self._is_read
        return Read(events, flips, Beside(self._flipped, usual, doubts, leaked))

    def _read(self, bits: Bits) -> tuple[Bits, NDArray[np.float32], Bits]:
        """Bits, how likely each is wrong, and which were leaked, [N, R], of what the qubits are."""
        apart, chance = np.float32(self._readout.separation), self._readout.leaked
        drawn = self._rng.random(bits.shape, dtype=np.float32)
        leaked = self._is_read & (drawn < chance)
        states = bits ^ (leaked & (drawn < chance / 2))
        values = self._rng.standard_normal(bits.shape, dtype=np.float32)
        values += np.where(states, apart / 2, -apart / 2)
        doubts = np.where(leaked, np.float32(0.5), expit(-apart * np.abs(values)))
        return np.where(self._is_read, values > 0, bits), doubts * self._is_read, leaked


class BareShots:
    """Shots of a circuit whose measurements give bits and no more."""

    def __init__(self, circuit: stim.Circuit, seed: int):
        self._sampler = circuit.compile_detector_sampler(seed=seed)

    def sample(self, shots: int) -> Read:
        """The next so many."""
        events, flips = self._sampler.sample(shots, separate_observables=True)
        return Read(np.asarray(events), np.asarray(flips), None)


class Sampled(NamedTuple):
    """A circuit that shots are drawn of; without a readout its own errors are all there are."""

    circuit: stim.Circuit
    readout: Readout | None = None

    def sampler(self, seed: int) -> Sampler:
        """The same seed, the same shots."""
        if self.readout is None:
            return BareShots(self.circuit, seed)
        return ReadShots(self.circuit, self.readout, seed)


def beside_of(
    circuit: stim.Circuit,
    doubts: NDArray[np.floating],
    leaked: Bits | None = None,
    usual: NDArray[np.floating] | None = None,
) -> Beside:
    """What is known beside the events of N shots of a circuit, whose R measurements were read.

    `doubts` [N, R] are the probabilities that bits are wrong, given the values that were read, and
    `leaked` [N, R] says which measurements found a leaked qubit. `usual` [R] is how often bits are
    wrong by the error model, the mean of the doubts if it is not given.

    >>> circuit = stim.Circuit("M 0 1\\nDETECTOR rec[-1] rec[-2]\\nOBSERVABLE_INCLUDE(0) rec[-1]")
    >>> beside_of(circuit, np.array([[0.01, 0.2], [0.03, 0.1]])).usual
    array([0.02, 0.15])
    """
    expected = circuit.num_measurements
    if doubts.ndim != 2 or doubts.shape[1] != expected:
        raise ValueError(f"expected doubts as [shots, {expected}], got {doubts.shape}")
    if not ((doubts >= 0) & (doubts <= 0.5)).all():
        raise ValueError("expected doubts from 0 to 0.5: a bit more likely wrong is the other one")
    return Beside(
        _flipped_by(circuit.with_inlined_feedback()),
        doubts.mean(axis=0) if usual is None else usual,
        doubts,
        np.zeros(doubts.shape, dtype=bool) if leaked is None else leaked,
    )


def as_if_read(graph: FaultGraph, shots: int, seed: int) -> Beside:
    """Values such as may occur, where there is no circuit: each edge is taken for a wrong bit.

    Nine tenths of its errors are taken for the readout's, and a hundredth of the bits for leaked.
    """
    rng = np.random.default_rng(seed)
    usual = 0.9 * (1 - np.tanh(graph.alone / 2)) / 2
    apart = -2 * ndtri(usual)
    values = apart / 2 + rng.normal(size=(shots, len(usual)))
    leaked = rng.random(values.shape) < 0.01
    return Beside(graph.edges, usual, np.where(leaked, 0.5, expit(-apart * np.abs(values))), leaked)


def _check(circuit: stim.Circuit) -> None:
    """ValueError if an observable is not a parity of measurements, whose errors it would have."""
    for one in instructions_in(circuit):
        targets = one.targets_copy() if one.name == "OBSERVABLE_INCLUDE" else []
        if not all(target.is_measurement_record_target for target in targets):
            raise ValueError(
                f"`{one}`: expected observables of measurements alone where there is a readout: "
                "measure these qubits, and give rec[-1] and so on"
            )


def _is_read(circuit: stim.Circuit) -> Bits:
    """Of each measurement [R], whether an outcome is read, and not heralded or written down."""
    return np.array([kind_of(one.name) in _READ for one in circuit.flattened()
                     for _ in range(one.num_measurements)], dtype=bool)  # fmt: skip


def _flipped_by(circuit: stim.Circuit) -> tuple[Part, ...]:
    """The detectors and observables that each measurement [R] is part of."""
    _check(circuit)
    found: list[tuple[set[int], set[int]]] = []
    detectors = 0
    for one in instructions_in(circuit.flattened()):
        found += [(set(), set()) for _ in range(one.num_measurements)]
        if one.name not in ("DETECTOR", "OBSERVABLE_INCLUDE"):
            continue
        is_detector = one.name == "DETECTOR"
        number = detectors if is_detector else int(one.gate_args_copy()[0])
        detectors += is_detector
        for target in one.targets_copy():
            found[target.value][0 if is_detector else 1].symmetric_difference_update({number})
    return tuple((frozenset(flipped), frozenset(logical)) for flipped, logical in found)

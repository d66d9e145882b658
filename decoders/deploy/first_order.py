"""How noisy a memory would be at many placements at once, without their circuits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import stim
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from decoders.dem import Part, circuit_model, mechanisms
from decoders.deploy.device_noise import DeviceNoise, GateNoise
from decoders.deploy.lower import Lowered
from decoders.deploy.raised import raised
from decoders.noise.instructions import instructions_in, kind_of
from decoders.noise.rates import PauliRates

Array = NDArray[np.float64]
Call = tuple[str, str, tuple[int, ...], float]
"""A question to a `DeviceNoise`: method, gate, qubits, length in nanoseconds."""

_UNIT = 2.0**-40  # names are whole multiples of it: exact in floats, and small as probabilities
_CHUNK = 512  # placements at once, which bounds the memory
_AXES = ("X", "Y", "Z")
_PAIRS = tuple("".join(pair) for pair in itertools.product("IXYZ", repeat=2))[1:]


class _Asked(DeviceNoise):
    """Noise whose every rate is the number of the question that it answers, in units of `_UNIT`.

    Whoever writes a circuit with it shows which rate stands where.
    """

    def __init__(self, noise: DeviceNoise) -> None:
        super().__init__(noise.snapshot, noise.unreported)
        self.calls: dict[Call, int] = {}
        self._noise = noise

    def waiting(self, qubit: int, length_ns: float) -> PauliRates:
        """Of a qubit's relaxation."""
        name = self._name(("waiting", "", (qubit,), length_ns))
        return PauliRates(px=name, py=name, pz=name)

    def dephasing(self, length_ns: float) -> float:
        """Of slow detuning, the same for all qubits."""
        return self._name(("dephasing", "", (), length_ns))

    def gate(self, name: str, qubits: tuple[int, ...]) -> GateNoise:
        """Of a gate; its length is true."""
        length_ns = self._noise.gate(name, qubits).length_ns
        return GateNoise(length_ns, self._name(("gate", name, qubits, 0.0)))

    def reading(self, qubit: int, name: str = "measure") -> tuple[float, float]:
        """Of a readout."""
        rate = self._name(("reading", name, (qubit,), 0.0))
        return rate, rate

    def reset(self, qubit: int) -> float:
        """Of a reset."""
        return self._name(("reset", "", (qubit,), 0.0))

    def _name(self, call: Call) -> float:
        return _UNIT * (1 + self.calls.setdefault(call, len(self.calls)))


@dataclass(frozen=True)
class _Source:
    """Where the probability of a single Pauli comes from: a call, of relaxation the Pauli of it."""

    call: int
    axis: int
    share: float


@dataclass(frozen=True)
class _Edges:
    """Edges of the matching graph: `uses` [edges, sources] counts the Paulis that flip each."""

    parts: Sequence[Part]
    uses: NDArray[np.float64]


class FirstOrder:
    """Ranks placements of a circuit by a bound of their logical error rates.

    One circuit is compiled, at one placement; which rate of the noise flips which edge of its
    matching graph is the same everywhere, so that the edges' probabilities p at another placement
    are arithmetic. What is kept from the first placement is how long everything takes. The bound is
    that of all paths that flip an observable, Π 2√(p(1 − p)) over a path's edges (Bhattacharyya's,
    as for any decoding of the likeliest path), summed over walks of up to two edges more than the
    fewest.
    It is far above the true rate, and in the same order.
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        lowered: Lowered,
        noise: DeviceNoise,
        placement: Sequence[int],
    ) -> None:
        asked = _Asked(noise)
        named = raised(circuit, lowered, asked)
        role = {qubit: k for k, qubit in enumerate(placement)}
        self._noise = noise
        self._calls = [
            (method, gate, tuple(role[qubit] for qubit in at), length_ns)
            for method, gate, at, length_ns in asked.calls
        ]
        self._sources, self._edges = _edges(named)
        self._detectors = named.num_detectors
        self._observables = named.num_observables

    def bounds(self, placements: Sequence[Sequence[int]]) -> Array:
        """The sum over observables of their bounds, [placements]."""
        all_places = np.array(placements, dtype=np.int64)
        rates = self._rates(all_places)
        found = np.zeros(len(all_places))
        for start in range(0, len(all_places), _CHUNK):
            part = slice(start, start + _CHUNK)
            kept = np.stack(
                [one.share * rates[one.call][part, one.axis] for one in self._sources], axis=1
            )
            flips = -np.expm1(np.log1p(-2 * np.minimum(kept, 0.4999)) @ self._edges.uses.T) / 2
            weights = 2 * np.sqrt(flips * (1 - flips))
            for observable in range(self._observables):
                found[part] += _walks(weights, self._edges.parts, self._detectors, observable)
        return found

    def _rates(self, placements: NDArray[np.int64]) -> list[Array]:
        """For every call its rates at each placement: [placements, 3] of relaxation, else [.., 1].

        A rate hangs on few qubits: each is asked for once.
        """
        found = []
        for method, gate, roles, length_ns in self._calls:
            places = placements[:, list(roles)]
            distinct, where = np.unique(places, axis=0, return_inverse=True)
            rates = [
                self._rate(method, gate, tuple(int(q) for q in at), length_ns) for at in distinct
            ]
            found.append(np.array(rates)[where.reshape(-1)])
        return found

    def _rate(
        self, method: str, gate: str, at: tuple[int, ...], length_ns: float
    ) -> tuple[float, ...]:
        noise = self._noise
        if method == "waiting":
            rates = noise.waiting(at[0], length_ns)
            return rates.px, rates.py, rates.pz
        if method == "dephasing":
            return (noise.dephasing(length_ns),)
        if method == "gate":
            return (noise.gate(gate, at).depolarizing,)
        if method == "reading":
            return (sum(noise.reading(at[0], gate)) / 2,)
        return (noise.reset(at[0]),)


def _walks(weights: Array, parts: Sequence[Part], detectors: int, observable: int) -> Array:
    """The sum over walks from boundary to boundary that flip an observable, [placements].

    `weights` [placements, edges]. Walks with an even and with an odd number of flips are followed
    apart; a walk ends where it meets the boundary.
    """
    steps = np.zeros((2, len(weights), detectors + 1, detectors + 1))
    found = np.zeros(len(weights))
    for column, (flipped, observables) in enumerate(parts):
        odd = int(observable in observables)
        ends = [*sorted(flipped), detectors, detectors][:2]
        if not flipped:  # seen by no detector: a failure by itself
            found += odd * weights[:, column] ** 2 / 4
            continue
        steps[odd, :, ends[0], ends[1]] += weights[:, column]
        steps[odd, :, ends[1], ends[0]] += weights[:, column]
    inner, out = steps[:, :, :-1, :-1], steps[:, :, :-1, -1]
    even, odd = steps[0, :, -1, :-1], steps[1, :, -1, :-1]
    left = None  # how many more steps
    for _ in range(detectors):
        flipping = (even * out[1] + odd * out[0]).sum(axis=1)
        found += flipping
        if left is None and flipping.any():
            left = 2
        elif left is not None:
            left -= 1
        if left == 0:
            break
        even, odd = (
            _step(even, inner[0]) + _step(odd, inner[1]),
            _step(even, inner[1]) + _step(odd, inner[0]),
        )
    return found


def _step(reached: Array, steps: Array) -> Array:
    """[placements, detectors] after one more step of each walk."""
    return np.matmul(reached[:, None, :], steps)[:, 0, :]


def _edges(named: stim.Circuit) -> tuple[list[_Source], _Edges]:
    """The matching graph of a circuit whose rates are names, and which Paulis flip its edges."""
    own = circuit_model(named, decomposed=True)
    # What stim also writes as a product (D0 ^ D2) is an edge if it is one anywhere.
    by_size = sorted(mechanisms(own), key=lambda one: len(one.parts), reverse=True)
    apart = {one.symptoms: one.parts for one in by_size}
    number: dict[_Source, int] = {}
    edges: dict[Part, int] = {}
    uses: dict[tuple[int, int], int] = {}
    for source, symptoms in _symptoms(named):
        column = number.setdefault(source, len(number))
        for part in apart.get(symptoms, (symptoms,) if len(symptoms[0]) <= 2 else ()):
            if part[0] or part[1]:
                row = edges.setdefault(part, len(edges))
                uses[row, column] = uses.get((row, column), 0) + 1
    table = np.zeros((len(edges), len(number)))
    for at, times in uses.items():
        table[at] = times
    return list(number), _Edges(list(edges), table)


def _symptoms(named: stim.Circuit) -> Iterator[tuple[_Source, Part]]:
    """Every single Pauli of the noise with the detectors and observables that it flips."""
    steps = list(_steps(named))
    sources = [step[0] for step in steps if isinstance(step, tuple) and step[0]]
    frames = stim.FlipSimulator(batch_size=len(sources), disable_stabilizer_randomization=True)
    instance = -1
    for step in steps:
        if isinstance(step, stim.CircuitInstruction):
            frames.do(step)
            continue
        source, paulis = step
        instance += source is not None
        for qubit, pauli in paulis.items():
            frames.set_pauli_flip(pauli, qubit_index=qubit, instance_index=instance)
    detectors, observables = frames.get_detector_flips(), frames.get_observable_flips()
    for k, source in enumerate(sources):
        flipped = (np.flatnonzero(table[:, k]).tolist() for table in (detectors, observables))
        yield source, (frozenset(next(flipped)), frozenset(next(flipped)))


def _steps(
    named: stim.Circuit,
) -> Iterator[stim.CircuitInstruction | tuple[_Source | None, dict[int, str]]]:
    """What happens: noiseless operations; a source with the Paulis of an instance of its own.

    A misread outcome is X before the measurement and, without a source, no X after it.
    """
    for instruction in instructions_in(named.flattened()):
        name, arguments = instruction.name, instruction.gate_args_copy()
        if name == "M" and arguments:
            for target in instruction.targets_copy():
                yield _source(arguments[0]), {target.value: "X"}
                yield stim.CircuitInstruction("M", [target])
                yield None, {target.value: "I"}
        elif kind_of(name) == "noise":
            for group in instruction.target_groups():
                at = [target.value for target in group]
                for source, paulis in _paulis(name, arguments[0]):
                    yield source, dict(zip(at, paulis, strict=True))
        else:
            yield instruction


def _paulis(name: str, rate: float) -> Iterator[tuple[_Source, str]]:
    """The single Paulis of a channel as `raised` writes them."""
    if name == "PAULI_CHANNEL_1":
        yield from ((_source(rate, axis), pauli) for axis, pauli in enumerate(_AXES))
    elif name == "DEPOLARIZE1":
        yield from ((_source(rate, 0, 1 / 3), pauli) for pauli in _AXES)
    elif name == "DEPOLARIZE2":
        yield from ((_source(rate, 0, 1 / 15), pauli) for pauli in _PAIRS)
    else:
        yield _source(rate), name[0]


def _source(rate: float, axis: int = 0, share: float = 1.0) -> _Source:
    return _Source(round(rate / _UNIT) - 1, axis, share)

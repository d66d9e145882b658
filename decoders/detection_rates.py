"""How often detectors fire, as an exact function of every gate's error rate, or of its channel."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.noise.instructions import instructions_in, kind_of, operands

Array = NDArray[np.float64]
Gate = tuple[int, ...]

_STEERED = {"DEPOLARIZE1", "DEPOLARIZE2"}
# Of a depolarizing channel's errors, the share that anticommutes with a given Pauli.
_HEARD = {1: 2 / 3, 2: 8 / 15}
_PAULIS = "IXYZ"
_LABELS = {width: ["".join(one) for one in itertools.product(_PAULIS, repeat=width)][1:]
           for width in (1, 2)}  # fmt: skip
_FIXED = {"X_ERROR", "Y_ERROR", "Z_ERROR", "PAULI_CHANNEL_1", "PAULI_CHANNEL_2"}


class Channel(NamedTuple):
    """Noise on a qubit or a pair, at one place of a circuit."""

    name: str
    qubits: Gate
    arguments: tuple[float, ...]


class DetectionRates(NamedTuple):
    """The detectors of a noisy circuit; those that only time tells apart are taken together.

    `gates` [I] are the qubits and pairs that depolarize: every DEPOLARIZE1 on a qubit is an error
    of one gate, every DEPOLARIZE2 on a pair of another; `nominal` [I] is the mean of its rates in
    the circuit. All other noise stays as it is, in `background` [J]. Detector d is of group
    `groups[d]`; the detectors of group j hear gate i `uses[j, i]` times, and are `counts[j]`.

    >>> import stim
    >>> circuit = stim.Circuit.generated("surface_code:rotated_memory_z", distance=3, rounds=10,
    ...     after_clifford_depolarization=0.003, before_round_data_depolarization=0.001)
    >>> found = DetectionRates.of(circuit)
    >>> len(found.gates), len(found.counts)
    (37, 16)
    >>> bool((found.rates(2 * found.nominal) > found.rates(found.nominal)).all())
    True
    """

    gates: tuple[Gate, ...]
    nominal: Array
    uses: Array
    background: Array
    counts: NDArray[np.int64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, circuit: stim.Circuit) -> DetectionRates:
        """Of any circuit of independent Pauli noise; ValueError names what is none."""
        marked, sites = _marked(circuit)
        rates = _steered(sites)
        columns = {gate: (k,) * 4 ** len(gate) for k, gate in enumerate(rates)}
        uses, background = _heard(circuit, marked, sites, columns)
        groups, first, counts = _alike(circuit, uses, background)
        nominal = np.array([sum(found) / len(found) for found in rates.values()])
        return cls(tuple(rates), nominal, uses[first], background[first], counts, groups)

    def rates(self, errors: Array) -> Array:
        """The rate of each group [..., J] where the gates err at these rates [..., I]."""
        return -np.expm1(np.log1p(-2 * self.heard * errors) @ self.uses.T + self.background) / 2

    @property
    def heard(self) -> Array:
        """Of each gate's errors, the share that a detector in reach hears at one use, [I]."""
        return np.array([_HEARD[len(gate)] for gate in self.gates])

    def gradient(self, errors: Array, weights: Array) -> Array:
        """The slope of the sum of weights [J] x rates along each error rate, [..., I]."""
        kept = 1 - 2 * self.rates(errors)
        return (weights * kept) @ self.uses * self.heard / (1 - 2 * self.heard * errors)


class ChannelRates(NamedTuple):
    """The same where each gate has a Pauli channel of its own, in the place of its DEPOLARIZE.

    A gate's channel is known by what it keeps of each Pauli but the identity, in stim's order (X,
    Y, Z or IX, IY, ..., ZZ; of a pair, the lower qubit is the first): 1 − 2·(the probability of the
    errors that anticommute). `eigenvalues` gives that, and `probabilities` leads back. All gates in
    turn have H such numbers; the detectors of group j hear the h-th of them `uses[j, h]` times.

    >>> import stim
    >>> circuit = stim.Circuit.generated("surface_code:rotated_memory_z", distance=3, rounds=10,
    ...     after_clifford_depolarization=0.003)
    >>> found, all_alike = ChannelRates.of(circuit), DetectionRates.of(circuit)
    >>> kept = found.depolarized(all_alike.nominal)
    >>> bool(np.allclose(found.rates(kept), all_alike.rates(all_alike.nominal)))
    True
    """

    gates: tuple[Gate, ...]
    uses: Array
    background: Array
    counts: NDArray[np.int64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, circuit: stim.Circuit) -> ChannelRates:
        """Of any circuit of independent Pauli noise; ValueError names what is none."""
        marked, sites = _marked(circuit)
        gates, number = tuple(_steered(sites)), itertools.count()
        columns = {gate: (-1, *itertools.islice(number, 4 ** len(gate) - 1)) for gate in gates}
        uses, background = _heard(circuit, marked, sites, columns)
        groups, first, counts = _alike(circuit, uses, background)
        return cls(gates, uses[first], background[first], counts, groups)

    def rates(self, kept: Array) -> Array:
        """The rate of each group, [..., H] -> [..., J]."""
        return -np.expm1(np.log(kept) @ self.uses.T + self.background) / 2

    def depolarized(self, errors: Array) -> Array:
        """What is kept where the gates depolarize at these rates, [..., I] -> [..., H]."""
        sizes = [4 ** len(gate) - 1 for gate in self.gates]
        heard = np.array([_HEARD[len(gate)] for gate in self.gates])
        return np.repeat(1 - 2 * heard * errors, sizes, axis=-1)


def eigenvalues(probabilities: Array) -> Array:
    """What a Pauli channel keeps of each Pauli, [..., 3] or [..., 15]; errors in stim's order."""
    return 1 - 2 * probabilities @ _clashes(probabilities.shape[-1])


def probabilities(kept: Array) -> Array:
    """The probabilities of the errors from what the channel keeps, the inverse of `eigenvalues`."""
    size = kept.shape[-1]
    return (1 + kept @ (1 - 2 * _clashes(size))) / (size + 1)


@functools.cache
def _clashes(size: int) -> Array:
    """1 where two of these Paulis anticommute, [size, size]."""
    labels = _LABELS[1 if size == 3 else 2]
    paulis = [stim.PauliString(one) for one in labels]
    return np.array([[not a.commutes(b) for b in paulis] for a in paulis], dtype=float)


def with_errors(circuit: stim.Circuit, errors: Mapping[Gate, float]) -> stim.Circuit:
    """The circuit in which these gates depolarize at these rates."""
    noise = {gate: (f"DEPOLARIZE{len(gate)}", [rate]) for gate, rate in errors.items()}
    return _replaced(circuit, noise)


def with_channels(circuit: stim.Circuit, channels: Mapping[Gate, Sequence[float]]) -> stim.Circuit:
    """The circuit in which each DEPOLARIZE is the channel of its gate.

    A channel is the probabilities of X, Y and Z, or of IX, IY, ..., ZZ, of which the first letter
    is of the lower qubit.
    """
    noise = {gate: (f"PAULI_CHANNEL_{len(gate)}", list(one)) for gate, one in channels.items()}
    return _replaced(circuit, noise)


def _replaced(circuit: stim.Circuit, noise: Mapping[Gate, tuple[str, list[float]]]) -> stim.Circuit:
    """The circuit with these names and arguments in the place of each DEPOLARIZE."""
    found = stim.Circuit()
    for instruction in circuit:
        if isinstance(instruction, stim.CircuitRepeatBlock):
            body = _replaced(instruction.body_copy(), noise)
            found.append(stim.CircuitRepeatBlock(instruction.repeat_count, body))
        elif instruction.name in _STEERED:
            for qubits in operands(instruction):
                gate = _gate(qubits)
                name, arguments = noise[gate]
                found.append(stim.CircuitInstruction(name, gate, arguments))
        else:
            found.append(instruction)
    return found


def _gate(qubits: Gate) -> Gate:
    return tuple(sorted(qubits))


def _channels(instruction: stim.CircuitInstruction) -> Iterator[Channel]:
    """The channels of one instruction of noise."""
    for qubits in operands(instruction):
        steered = instruction.name in _STEERED
        yield Channel(instruction.name, _gate(qubits) if steered else qubits,
                      tuple(instruction.gate_args_copy()))  # fmt: skip


def _marked(circuit: stim.Circuit) -> tuple[stim.Circuit, list[list[Channel]]]:
    """The circuit with a TICK in the place of each instruction of noise, and these."""
    marked, sites = stim.Circuit(), []
    for instruction in instructions_in(circuit.flattened()):
        if instruction.name in _STEERED or instruction.name in _FIXED:
            sites.append(list(_channels(instruction)))
            marked.append(stim.CircuitInstruction("TICK", []))
        elif kind_of(instruction.name) == "noise":
            raise ValueError(f"expected independent Pauli noise, got {instruction.name}")
        elif instruction.name != "TICK":
            marked.append(instruction)
    return marked, sites


def _steered(sites: Sequence[Sequence[Channel]]) -> dict[Gate, list[float]]:
    """The rates of each gate that depolarizes: first the qubits, then the pairs."""
    rates: dict[Gate, list[float]] = defaultdict(list)
    for one in itertools.chain.from_iterable(sites):
        if one.name in _STEERED:
            rates[one.qubits].append(one.arguments[0])
    return dict(sorted(rates.items(), key=lambda item: (len(item[0]), item[0])))


def _heard(
    circuit: stim.Circuit,
    marked: stim.Circuit,
    sites: Sequence[Sequence[Channel]],
    columns: Mapping[Gate, Sequence[int]],
) -> tuple[Array, Array]:
    """How often each detector hears each gate [D, H], and the logarithm of all else [D].

    `columns` tells for each gate where it is counted when heard through I, X, ... or II, IX, ....
    """
    uses = np.zeros((circuit.num_detectors, 1 + max(itertools.chain((-1,), *columns.values()))))
    background = _of_flipped_outcomes(circuit)
    channels = list(itertools.chain.from_iterable(sites))
    steers = [columns[one.qubits] if one.name in _STEERED else None for one in channels]
    on: list[dict[int, list[int]]] = []
    number = itertools.count()
    for site in sites:
        on.append(defaultdict(list))
        for one, index in zip(site, number, strict=False):
            for qubit in one.qubits:
                on[-1][qubit].append(index)
    for target, ticks in marked.detecting_regions().items():
        if not target.is_relative_detector_id():
            continue
        for tick, region in ticks.items():
            met = {one for qubit in region.pauli_indices() for one in on[tick].get(qubit, ())}
            for one in met:
                column, qubits = steers[one], channels[one].qubits
                if column is None:
                    background[target.val] += math.log1p(-2 * _flip_chance(channels[one], region))
                else:
                    first, last = region[qubits[0]], region[qubits[-1]]
                    pauli = first if len(qubits) == 1 else 4 * first + last
                    uses[target.val, column[pauli]] += 1
    return uses, background


def _flip_chance(channel: Channel, region: stim.PauliString) -> float:
    """How likely a channel's error anticommutes with these Paulis."""
    first, last = region[channel.qubits[0]], region[channel.qubits[-1]]
    if channel.name.endswith("_ERROR"):
        return channel.arguments[0] if first not in (0, _PAULIS.index(channel.name[0])) else 0.0
    pauli = first if len(channel.qubits) == 1 else 4 * first + last
    return float(np.array(channel.arguments) @ _clashes(len(channel.arguments))[:, pauli - 1])


def _of_flipped_outcomes(circuit: stim.Circuit) -> Array:
    """What outcomes that are noted wrongly do to each detector, [D]."""
    flips: list[float] = []
    found = []
    for instruction in instructions_in(circuit.flattened()):
        if instruction.name == "DETECTOR":
            records = Counter(len(flips) + one.value for one in instruction.targets_copy())
            found.append(sum(math.log1p(-2 * flips[one]) for one, times in records.items()
                             if times % 2))  # fmt: skip
        elif stim.gate_data(instruction.name).produces_measurements:
            flip = sum(instruction.gate_args_copy())
            flips += [flip] * instruction.num_measurements
    return np.array(found, dtype=float)


def _alike(
    circuit: stim.Circuit, uses: Array, background: Array
) -> tuple[NDArray[np.int64], list[int], NDArray[np.int64]]:
    """The group of each detector, the first one of each group, and how many it has.

    Alike are detectors at one place, of all coordinates but the last, that hear the same.
    """
    places = circuit.get_detector_coordinates()
    number: dict[tuple[tuple[float, ...], bytes], int] = {}
    groups, first = [], []
    for row, heard in enumerate(np.column_stack([uses, background.round(12)])):
        key = (tuple(places.get(row, ())[:-1]) or (float(row),), heard.tobytes())
        if key not in number:
            number[key] = len(first)
            first.append(row)
        groups.append(number[key])
    return np.array(groups), first, np.bincount(groups)

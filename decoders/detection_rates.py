"""How often detectors fire, as an exact function of every gate's error rate."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
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
        rates: dict[Gate, list[float]] = defaultdict(list)
        for one in itertools.chain.from_iterable(sites):
            if one.name in _STEERED:
                rates[one.qubits].append(one.arguments[0])
        gates = sorted(rates, key=lambda gate: (len(gate), gate))
        uses, background = _heard(circuit, marked, sites, gates)
        groups, first, counts = _alike(circuit, uses, background)
        nominal = np.array([sum(rates[gate]) / len(rates[gate]) for gate in gates])
        return cls(tuple(gates), nominal, uses[first], background[first], counts, groups)

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


def with_errors(circuit: stim.Circuit, errors: dict[Gate, float]) -> stim.Circuit:
    """The circuit in which these gates depolarize at these rates."""
    found = stim.Circuit()
    for instruction in circuit:
        if isinstance(instruction, stim.CircuitRepeatBlock):
            body = with_errors(instruction.body_copy(), errors)
            found.append(stim.CircuitRepeatBlock(instruction.repeat_count, body))
        elif instruction.name in _STEERED:
            for qubits in operands(instruction):
                changed = [errors[_gate(qubits)]]
                found.append(stim.CircuitInstruction(instruction.name, qubits, changed))
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


def _heard(
    circuit: stim.Circuit,
    marked: stim.Circuit,
    sites: Sequence[Sequence[Channel]],
    gates: Sequence[Gate],
) -> tuple[Array, Array]:
    """How often each detector hears each gate [D, I], and the logarithm of all else [D]."""
    column = {gate: number for number, gate in enumerate(gates)}
    uses = np.zeros((circuit.num_detectors, len(gates)))
    background = _of_flipped_outcomes(circuit)
    channels = list(itertools.chain.from_iterable(sites))
    steers = [column[one.qubits] if one.name in _STEERED else None for one in channels]
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
                gate = steers[one]
                if gate is None:
                    background[target.val] += math.log1p(-2 * _flip_chance(channels[one], region))
                else:
                    uses[target.val, gate] += 1
    return uses, background


def _flip_chance(channel: Channel, region: stim.PauliString) -> float:
    """How likely a channel's error anticommutes with these Paulis."""
    heard = [_PAULIS[region[qubit]] for qubit in channel.qubits]
    if channel.name.endswith("_ERROR"):
        return channel.arguments[0] if heard[0] not in ("I", channel.name[0]) else 0.0
    chance = 0.0
    for label, share in zip(_LABELS[len(heard)], channel.arguments, strict=True):
        clashes = [
            "I" not in pair and pair[0] != pair[1] for pair in zip(label, heard, strict=True)
        ]
        chance += share * (sum(clashes) % 2)
    return chance


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

"""Where the noise of a circuit is: of which operation each channel is, and what its errors flip.

>>> noisy = "R 0\\nX_ERROR(0.1) 0\\nTICK\\nM(0.02) 0\\nDETECTOR rec[-1]"
>>> noise = CircuitNoise.of(stim.Circuit(noisy))
>>> [(site.kind, site.place, site.rate) for site in noise.sites]
[('reset', (0,), 0.1), ('readout', (0,), 0.02)]
>>> faults = noise.draw(10_000, np.random.default_rng(1))  # which errors happen in which shot
>>> events, flips = noise.symptoms_of(faults)  # as stim packs them
>>> events.shape, noise.scaled([0.5, 1.0])[1]  # the circuit with half of the first rate
((10000, 1), stim.CircuitInstruction('X_ERROR', [stim.GateTarget(0)], [0.05]))

Of each channel at most one error happens in a shot, as stim has it, so that nothing here is
approximate.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.noise.instructions import instructions_in, kind_of
from decoders.noise_kinds import MEASURES, NoiseKinds, basis_of
from decoders.shots import Bits

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NOTHING = frozenset({"I_ERROR", "II_ERROR"})
_REFUSED = frozenset({"ELSE_CORRELATED_ERROR", "HERALDED_ERASE", "HERALDED_PAULI_CHANNEL_1"})
_PAULIS = {width: tuple("".join(one) for one in itertools.product("IXYZ", repeat=width))[1:]
           for width in (1, 2)}  # fmt: skip
_MOST_FRAMES = 8192
_SURE = 1 - 1e-12  # the chance of an error that always happens: its odds have to be finite


class Site(NamedTuple):
    """A channel at one place and time: with `rates[k]` the Pauli `paulis[k]` on its `qubits`.

    `place` are the qubits of the operation that it counts to. If `is_outcome`, only the record of
    a measurement is flipped, which the Pauli before it would do.
    """

    kind: str
    place: tuple[int, ...]
    qubits: tuple[int, ...]
    paulis: tuple[str, ...]
    rates: tuple[float, ...]
    is_outcome: bool = False

    @property
    def rate(self) -> float:
        """The probability of any error."""
        return min(sum(self.rates), _SURE)


class Faults(NamedTuple):
    """Which errors happened: error number `errors[k]` in shot `shots[k]`, ascending from 0 on."""

    shots: Ints
    errors: Ints
    shot_count: int

    def take(self, which: NDArray[np.bool_]) -> Faults:
        """Only these errors, of the same shots."""
        return Faults(self.shots[which], self.errors[which], self.shot_count)


@dataclasses.dataclass(frozen=True)
class CircuitNoise:
    """All channels of a circuit, and all their errors one after the other.

    Error k is of site `owners[k]`, has probability `rates[k]` and flips the detectors and then the
    observables of `symptoms[k]`, each packed to whole bytes.
    """

    sites: tuple[Site, ...]
    owners: Ints
    rates: Floats
    symptoms: Bits
    detectors: int
    observables: int
    steps: tuple[tuple[stim.CircuitInstruction, int | None], ...]

    @classmethod
    def of(cls, circuit: stim.Circuit) -> CircuitNoise:
        """Of a circuit with independent Pauli noise; ValueError names what is none."""
        pieces = list(_pieces(circuit))
        sites: list[Site] = []
        steps: list[tuple[stim.CircuitInstruction, int | None]] = []
        kinds = NoiseKinds(pieces)
        for index, piece in enumerate(pieces):
            site = _site(piece, *kinds.of(index)) if _is_noisy(piece) else None
            steps.append((piece, len(sites) if site else None))
            sites += [site] if site else []
        owners = [number for number, site in enumerate(sites) for _ in site.rates]
        return cls(
            tuple(sites),
            np.array(owners, dtype=np.int64),
            np.array([rate for site in sites for rate in site.rates]),
            _footprints(circuit, steps, sites),
            circuit.num_detectors,
            circuit.num_observables,
            tuple(steps),
        )

    @property
    def site_rates(self) -> Floats:
        """The probability of any error of each site."""
        return np.array([site.rate for site in self.sites])

    @property
    def _detector_bytes(self) -> int:
        return (self.detectors + 7) // 8

    def draw(self, shots: int, rng: np.random.Generator) -> Faults:
        """What goes wrong in so many shots.

        A site errs with probability r if a Poisson process of intensity -ln(1 - r) hits it at all;
        the first hit says how, the others are dropped.
        """
        rates = self.site_rates
        each = (-np.log1p(-rates) / rates)[self.owners] * self.rates
        sums = np.cumsum(each)
        hits = rng.poisson(sums[-1], shots)
        at = np.repeat(np.arange(shots), hits)
        which = np.searchsorted(sums, rng.random(len(at)) * sums[-1], side="right")
        which = np.minimum(which, len(sums) - 1)
        _, first = np.unique(at * len(rates) + self.owners[which], return_index=True)
        first.sort()
        return Faults(at[first], which[first], shots)

    def symptoms_of(self, faults: Faults) -> tuple[Bits, Bits]:
        """Detection events and flips of observables of each shot, packed."""
        found = np.zeros((faults.shot_count, self.symptoms.shape[1]), dtype=np.uint8)
        shots, first = np.unique(faults.shots, return_index=True)
        if len(shots):
            flipped = self.symptoms[faults.errors]
            found[shots] = np.bitwise_xor.reduceat(flipped, first, axis=0)
        return self.split(found)

    def split(self, symptoms: Bits) -> tuple[Bits, Bits]:
        """Rows of symptoms as detection events and flips of observables."""
        events, flips = np.split(symptoms, [self._detector_bytes], axis=1)
        return np.ascontiguousarray(events), np.ascontiguousarray(flips)

    def scaled(self, factors: Sequence[float] | Floats) -> stim.Circuit:
        """The circuit, unrolled, with every channel's rates times the site's factor."""
        found = stim.Circuit()
        for piece, site in self.steps:
            if site is None:
                found.append(piece)
                continue
            rates = [factors[site] * rate for rate in piece.gate_args_copy()]
            if any(rates) or self.sites[site].is_outcome:
                kept = rates if any(rates) else []
                found.append(piece.name, piece.targets_copy(), kept, tag=piece.tag)
        return found


def _pieces(circuit: stim.Circuit) -> Iterator[stim.CircuitInstruction]:
    """The instructions of the unrolled circuit, those with noise cut into single channels."""
    for one in instructions_in(circuit.flattened()):
        name, rates = one.name, one.gate_args_copy()
        if name in _REFUSED or (name == "MPAD" and any(rates)):
            raise ValueError(
                f"an error budget needs channels of independent Pauli errors, got '{one}': write "
                "its noise as PAULI_CHANNEL_1, CORRELATED_ERROR or flips of outcomes"
            )
        if name in _NOTHING or (kind_of(name) == "noise" and not any(rates)):
            continue
        if not _is_noisy(one) or name == "E":
            yield one
            continue
        for group in one.target_groups():
            targets = group
            if name == "MPP":  # X0*X1 again
                joined = [part for target in group for part in (target, stim.target_combiner())]
                targets = joined[:-1]
            yield stim.CircuitInstruction(name, targets, rates, tag=one.tag)


def _is_noisy(piece: stim.CircuitInstruction) -> bool:
    kind = kind_of(piece.name)
    return kind == "noise" or (kind in MEASURES and any(piece.gate_args_copy()))


def _site(piece: stim.CircuitInstruction, kind: str, place: tuple[int, ...]) -> Site:
    """The channel of a piece that has one."""
    name, rates = piece.name, piece.gate_args_copy()
    targets = [target for target in piece.targets_copy() if not target.is_combiner]
    qubits = tuple(target.value for target in targets)
    if kind_of(name) in MEASURES:
        basis = targets[0].pauli_type if name == "MPP" else basis_of(name)
        clashing = "Z" if basis == "X" else "X"
        return Site(kind, place, qubits[:1], (clashing,), tuple(rates), is_outcome=True)
    if name == "E":
        paulis: tuple[str, ...] = ("".join(target.pauli_type for target in targets),)
    elif name.endswith("_ERROR"):
        paulis = (name[0],)
    else:
        paulis = _PAULIS[len(qubits)]
        rates = [rates[0] / len(paulis)] * len(paulis) if len(rates) == 1 else rates
    kept = [(pauli, rate) for pauli, rate in zip(paulis, rates, strict=True) if rate]
    paulis, rates = (tuple(one) for one in zip(*kept, strict=True))
    return Site(kind, place, qubits, paulis, rates)


def _footprints(
    circuit: stim.Circuit,
    steps: Sequence[tuple[stim.CircuitInstruction, int | None]],
    sites: Sequence[Site],
) -> Bits:
    """What every error flips; followed are X and Z of each qubit, of which the others consist."""
    seeds: list[list[tuple[int, str]]] = []
    for site in sites:
        both = itertools.product(site.qubits, "XZ")
        seeds.append([(site.qubits[0], site.paulis[0])] if site.is_outcome else list(both))
    width = (circuit.num_detectors + 7) // 8 + (circuit.num_observables + 7) // 8
    found = [np.zeros((0, width), dtype=np.uint8)]
    for chunk in _chunks([len(one) for one in seeds]):
        flipped = iter(_followed(circuit, steps, {number: seeds[number] for number in chunk}))
        for number in chunk:
            site = sites[number]
            rows = {seed: next(flipped) for seed in seeds[number]}
            for pauli in site.paulis:
                parts = [rows[qubit, axis] for qubit, one in zip(site.qubits, pauli, strict=True)
                         for axis in (one if site.is_outcome else _axes(one))]  # fmt: skip
                found.append(np.bitwise_xor.reduce(parts, axis=0)[np.newaxis])
    return np.concatenate(found)


def _axes(pauli: str) -> str:
    return {"I": "", "X": "X", "Y": "XZ", "Z": "Z"}[pauli]


def _chunks(sizes: Sequence[int]) -> Iterator[range]:
    """Neighbouring sites whose seeds fit into one simulation."""
    start, total = 0, 0
    for number, size in enumerate(sizes):
        if total and total + size > _MOST_FRAMES:
            yield range(start, number)
            start, total = number, 0
        total += size
    if total:
        yield range(start, len(sizes))


def _followed(
    circuit: stim.Circuit,
    steps: Sequence[tuple[stim.CircuitInstruction, int | None]],
    seeds: dict[int, list[tuple[int, str]]],
) -> Bits:
    """What each seed flips, packed, in their order; each has an instance of its own."""
    frames = stim.FlipSimulator(
        batch_size=sum(map(len, seeds.values())), num_qubits=circuit.num_qubits,
        disable_stabilizer_randomization=True,
    )  # fmt: skip
    instance = 0
    for piece, site in steps:
        own = seeds.get(site, []) if site is not None else []
        for k, (qubit, pauli) in enumerate(own):
            frames.set_pauli_flip(pauli, qubit_index=qubit, instance_index=instance + k)
        if kind_of(piece.name) != "noise":
            frames.do(stim.CircuitInstruction(piece.name, piece.targets_copy(),
                      [] if site is not None else piece.gate_args_copy()))  # fmt: skip
        if own and kind_of(piece.name) in ("measure", "joint"):  # the qubit itself is as it was
            frames.set_pauli_flip("I", qubit_index=own[0][0], instance_index=instance)
        instance += len(own)
    tables = (frames.get_detector_flips(), frames.get_observable_flips())
    return np.concatenate(
        [np.packbits(table.T, axis=1, bitorder="little") for table in tables], axis=1
    )

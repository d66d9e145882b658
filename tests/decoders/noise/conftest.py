"""Detection rates without the code under test: every fault by itself, brought to the detectors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import stim
from numpy.typing import NDArray
from scipy.stats import binom

from decoders.noise.instructions import instructions_in

Channel = Mapping[str, float]
"""Pauli string -> probability; one of them happens, or none."""

ONE = ("X", "Y", "Z")
TWO = tuple(a + b for a, b in itertools.product("IXYZ", repeat=2))[1:]


def uniform(paulis: Sequence[str], p: float) -> Channel:
    """Return the depolarizing channel: all Paulis alike."""
    return dict.fromkeys(paulis, p / len(paulis))


@dataclass(frozen=True)
class Table:
    """Where a noise model puts which channel, as its definition says."""

    one: Callable[[int], Channel]
    two: Callable[[int, int], Channel]
    reset: Callable[[int], float]
    measure: Callable[[int], float]
    idle: Callable[[int], Channel]
    beside_collapse: Channel = field(default_factory=dict)

    @classmethod
    def of(cls, p: float) -> Table:
        """Return uniform depolarizing noise."""
        one, two = uniform(ONE, p), uniform(TWO, p)
        return cls(lambda q: one, lambda a, b: two, lambda q: p, lambda q: p, lambda q: one)


@dataclass(frozen=True)
class _Fault:
    """A channel on qubits, before the instruction at this index of the flattened circuit."""

    before: int
    qubits: tuple[int, ...]
    channel: Channel


def _faults(circuit: stim.Circuit, table: Table) -> list[_Fault]:
    """List the faults of a flattened circuit of H, CX, CZ, R, RX, M, MX and MR."""
    layers: list[dict[int, str]] = [{}]
    ends = []
    faults = []
    for index, instruction in enumerate(instructions_in(circuit)):
        name = instruction.name
        qubits = [target.value for target in instruction.targets_copy()]
        if name == "TICK":
            layers.append({})
            ends.append(index)
        if name in {"TICK", "DETECTOR", "OBSERVABLE_INCLUDE", "QUBIT_COORDS", "SHIFT_COORDS"}:
            continue
        layers[-1].update(dict.fromkeys(qubits, name))
        if name in {"CX", "CZ"}:
            for pair in zip(qubits[::2], qubits[1::2], strict=True):
                faults.append(_Fault(index + 1, pair, table.two(*pair)))
            continue
        for qubit in qubits:
            pauli = "Z" if name in {"RX", "MX"} else "X"
            if name == "H":
                faults.append(_Fault(index + 1, (qubit,), table.one(qubit)))
            if name in {"M", "MX", "MR"}:
                faults.append(_Fault(index, (qubit,), {pauli: table.measure(qubit)}))
            if name in {"R", "RX", "MR"}:
                faults.append(_Fault(index + 1, (qubit,), {pauli: table.reset(qubit)}))
    return faults + _waiting(layers, ends, table)


def _waiting(layers: list[dict[int, str]], ends: list[int], table: Table) -> list[_Fault]:
    faults = []
    everyone = {qubit for layer in layers for qubit in layer}
    for qubit in everyone:
        busy = [number for number, layer in enumerate(layers) if qubit in layer]
        for number in range(busy[0], busy[-1]):
            acts = layers[number]
            if qubit not in acts:
                faults.append(_Fault(ends[number], (qubit,), table.idle(qubit)))
            collapses = {q for q, name in acts.items() if name[0] in "RM"}
            if collapses and qubit not in collapses:
                faults.append(_Fault(ends[number], (qubit,), table.beside_collapse))
    return faults


def _rates(circuit: stim.Circuit, faults: list[_Fault]) -> NDArray[np.float64]:
    """Return r = (1 - prod(1 - 2 q)) / 2, q: what a fault's channel flips the detector with."""
    cases = [(fault, pauli) for fault in faults for pauli in fault.channel]
    simulator = stim.FlipSimulator(batch_size=len(cases), disable_stabilizer_randomization=True)
    waiting = sorted(range(len(cases)), key=lambda case: cases[case][0].before)
    for index, instruction in enumerate([*circuit, stim.CircuitInstruction("TICK", [])]):
        while waiting and cases[waiting[0]][0].before == index:
            case = waiting.pop(0)
            fault, paulis = cases[case]
            for qubit, pauli in zip(fault.qubits, paulis, strict=True):
                simulator.set_pauli_flip(pauli, qubit_index=qubit, instance_index=case)
        simulator.do(instruction)
    flips = simulator.get_detector_flips()
    signs = np.ones(circuit.num_detectors)
    first = 0
    for fault in faults:
        probabilities = np.array(list(fault.channel.values()))
        last = first + len(probabilities)
        signs *= 1 - 2 * flips[:, first:last] @ probabilities
        first = last
    return (1 - signs) / 2


@pytest.fixture(scope="session")
def enumerated_rates() -> Callable[[stim.Circuit, Table], NDArray[np.float64]]:
    """(noiseless circuit, table) -> detection rate of each detector, exact."""

    def rates(circuit: stim.Circuit, table: Table) -> NDArray[np.float64]:
        flat = circuit.flattened()
        return _rates(flat, _faults(flat, table))

    return rates


@pytest.fixture(scope="session")
def rates_of_model() -> Callable[[stim.Circuit], NDArray[np.float64]]:
    """(noisy circuit) -> detection rates by its error model; exact unless Paulis exclude others."""

    def rates(noisy: stim.Circuit) -> NDArray[np.float64]:
        signs = np.ones(noisy.num_detectors)
        for error in noisy.detector_error_model(approximate_disjoint_errors=True).flattened():
            if isinstance(error, stim.DemInstruction) and error.type == "error":
                targets = [t for t in error.targets_copy() if isinstance(t, stim.DemTarget)]
                flipped = [t.val for t in targets if t.is_relative_detector_id()]
                signs[flipped] *= 1 - 2 * error.args_copy()[0]
        return (1 - signs) / 2

    return rates


@pytest.fixture(scope="session")
def assert_sampled() -> Callable[..., None]:
    """(noisy circuit, rates) -> fails if the counts of a detector have a p-value below the limit.

    The chance of a false alarm of one call is at most 1e-6, whatever the number of detectors
    (Bonferroni); the fewer than fifty calls of this folder have one below 5e-5 together.
    """

    def check(noisy: stim.Circuit, rates: NDArray[np.float64], shots: int = 200_000) -> None:
        sampler = noisy.compile_detector_sampler(seed=20261121)
        counts = np.zeros(noisy.num_detectors, dtype=int)
        for _ in range(10):
            counts += np.asarray(sampler.sample(shots // 10)).sum(axis=0)
        low, high = binom.cdf(counts, shots, rates), binom.sf(counts - 1, shots, rates)
        assert np.minimum(low, high).min() > 1e-6 / 2 / noisy.num_detectors

    return check


@pytest.fixture(scope="session")
def table_of() -> type[Table]:
    """The tables of channels that `enumerated_rates` takes."""
    return Table


@pytest.fixture(scope="session")
def paulis() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The Paulis of one and of two qubits, in stim's order of arguments."""
    return ONE, TWO

"""What the tests of the codes share: reading circuits and error models, exact distances."""

from collections.abc import Callable, Collection, Iterator

import numpy as np
import pytest
import stim

Mechanisms = tuple[np.ndarray, np.ndarray]
"""(detectors, observables), int64 of shape (mechanisms,): the former as a random linear hash."""


@pytest.fixture
def instructions() -> Callable[[stim.Circuit], Iterator[stim.CircuitInstruction]]:
    """circuit -> its instructions, blocks unrolled."""
    return _instructions


@pytest.fixture
def footprints() -> Callable[[stim.Circuit, str, int], tuple[np.ndarray, np.ndarray]]:
    """(circuit, Pauli, n) -> what that Pauli on each of qubits 0 to n - 1 behind the preparation
    flips, bool: detectors of shape (detectors, n), observables of shape (observables, n)."""
    return _footprints


@pytest.fixture
def errors() -> Callable[[stim.DetectorErrorModel], Iterator[tuple[frozenset[int], int]]]:
    """error model -> the detectors and the mask of observables that each mechanism flips."""
    return _errors


@pytest.fixture
def mechanisms() -> Callable[..., Mechanisms]:
    """(error model, detectors that count: all by default) -> its distinct mechanisms."""
    return _mechanisms


@pytest.fixture
def least_weight() -> Callable[[Mechanisms, int], int | None]:
    """(mechanisms, limit) -> fewest of them that flip an observable unseen; None: above limit."""
    return _least_weight


def _instructions(circuit: stim.Circuit) -> Iterator[stim.CircuitInstruction]:
    for instruction in circuit.flattened():
        assert isinstance(instruction, stim.CircuitInstruction)
        yield instruction


def _footprints(circuit: stim.Circuit, pauli: str, qubits: int) -> tuple[np.ndarray, np.ndarray]:
    first_tick = [instruction.name for instruction in circuit].index("TICK")
    simulator = stim.FlipSimulator(batch_size=qubits, disable_stabilizer_randomization=True)
    simulator.do(circuit[:first_tick])
    for qubit in range(qubits):
        simulator.set_pauli_flip(pauli, qubit_index=qubit, instance_index=qubit)
    simulator.do(circuit[first_tick:])
    return simulator.get_detector_flips(), simulator.get_observable_flips()


def _errors(model: stim.DetectorErrorModel) -> Iterator[tuple[frozenset[int], int]]:
    for instruction in model.flattened():
        if isinstance(instruction, stim.DemInstruction) and instruction.type == "error":
            detectors: set[int] = set()
            observables = 0
            for target in instruction.targets_copy():
                if isinstance(target, stim.DemTarget) and target.is_relative_detector_id():
                    detectors ^= {target.val}
                elif isinstance(target, stim.DemTarget) and target.is_logical_observable_id():
                    observables ^= 1 << target.val
            yield frozenset(detectors), observables


def _mechanisms(
    model: stim.DetectorErrorModel, counting: Collection[int] | None = None
) -> Mechanisms:
    # XOR of random 63-bit words: two different symptoms agree with chance 2^-63, times 10^14 pairs
    # that are compared at the most, so that below 1e-4 of all seeds would err. The seed is fixed.
    words = np.random.default_rng(20231).integers(0, 2**63, size=model.num_detectors).tolist()
    found = set()
    for detectors, observables in _errors(model):
        seen = 0
        for detector in detectors:
            if counting is None or detector in counting:
                seen ^= words[detector]
        found.add((seen, observables))
    found.discard((0, 0))
    table = np.array(sorted(found), dtype=np.int64)
    return table[:, 0], table[:, 1]


def _least_weight(given: Mechanisms, limit: int) -> int | None:
    """Enumerate all sets of up to `limit` (at most 6) mechanisms, halves of them at a time.

    A set is undetectable if two parts of it show the same symptom, and logical if these flip
    different observables. As weights go up, what is found first is the least.
    """
    sums: list[Mechanisms] = [(np.zeros(1, np.int64), np.zeros(1, np.int64)), given]
    for weight in range(1, limit + 1):
        if weight == 5:
            if _pair_meets_triple(sums[2], given):
                return weight
            continue
        larger = (weight + 1) // 2
        if larger == len(sums):
            sums.append(_grown(sums[-1], given))
        if _differ(sums[weight - larger], sums[larger]):
            return weight
    return None


def _grown(sums: Mechanisms, given: Mechanisms) -> Mechanisms:
    """Return sums of two from those of one, or of three from two, ordered by their last term."""
    if len(sums[0]) == len(given[0]):
        last, first = np.tril_indices(len(given[0]), -1)
        return given[0][first] ^ given[0][last], given[1][first] ^ given[1][last]
    parts = [
        [kind[: last * (last - 1) // 2] ^ one[last] for kind, one in zip(sums, given, strict=True)]
        for last in range(2, len(given[0]))
    ]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _differ(a: Mechanisms, b: Mechanisms) -> bool:
    """Tell whether a sum of each, or two of a where a is b, agree but for the observables."""
    order = np.argsort(a[0], kind="stable")
    detectors, observables = a[0][order], a[1][order]
    if a is b:
        same = detectors[1:] == detectors[:-1]
        return bool(np.any(same & (observables[1:] != observables[:-1])))
    # Within the lighter, equal symptoms flip equal observables: else less weight had been found.
    at = np.minimum(np.searchsorted(detectors, b[0]), len(detectors) - 1)
    return bool(np.any((detectors[at] == b[0]) & (observables[at] != b[1])))


def _pair_meets_triple(pairs: Mechanisms, given: Mechanisms) -> bool:
    """The same for pairs and triples, without keeping the triples."""
    order = np.argsort(pairs[0])
    detectors, observables = pairs[0][order], pairs[1][order]
    # Nearly all triples drop out by 24 bits of their hash.
    low = (1 << 24) - 1
    occurs = np.zeros(low + 1, dtype=bool)
    occurs[detectors & low] = True
    for last in range(2, len(given[0])):
        before = last * (last - 1) // 2
        triples = pairs[0][:before] ^ given[0][last]
        near = np.flatnonzero(occurs[triples & low])
        at = np.minimum(np.searchsorted(detectors, triples[near]), len(detectors) - 1)
        met = detectors[at] == triples[near]
        # Pairs of one symptom flip the same observables, weight 4 being excluded.
        flips = pairs[1][:before][near] ^ given[1][last]
        if np.any(met & (observables[at] != flips)):
            return True
    return False

"""Recombined answers: sums and chances against all that can be made of them, enumerated."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import stim
from scipy.sparse import csr_array

from decoders.ensemble import CompiledEnsemble
from decoders.fault_graph import FaultGraph
from decoders.recombination import Recombination
from decoders.statistics import mcnemar

# Two places, each with a direct edge (0, 3) or two to the boundary (1 and 2, 4 and 5); edge 6 is
# another way for the observable's value, and 7 a fault of edges 0 and 3 together.
CHANCES = (0.01, 0.1, 0.05, 0.02, 0.08, 0.2, 0.03)
MODEL = stim.DetectorErrorModel(f"""
    error({CHANCES[0]}) D0 D1
    error({CHANCES[1]}) D0
    error({CHANCES[2]}) D1
    error({CHANCES[3]}) D2 D3
    error({CHANCES[4]}) D2
    error({CHANCES[5]}) D3
    error({CHANCES[6]}) D3 L0
""")
WEIGHTS = [math.log((1 - p) / p) for p in CHANCES]


def answers(*sets: tuple[int, ...]) -> list[csr_array]:
    """One shot's."""
    found = np.zeros((len(sets), 7), dtype=np.int16)
    for number, one in enumerate(sets):
        found[number, list(one)] = 1
    return [csr_array(row[None]) for row in found]


def cost(*edges: int) -> float:
    return sum(WEIGHTS[edge] for edge in edges)


def given(*sets: tuple[int, ...]) -> tuple[list[csr_array], np.ndarray, np.ndarray]:
    logs = np.array([[-cost(*one)] for one in sets])
    flips = np.array([[int(6 in one)] for one in sets])
    return answers(*sets), logs, flips


def test_two_answers_that_differ_in_two_places_stand_for_four() -> None:
    found = Recombination(FaultGraph.of(MODEL), 0).of(*given((0, 4, 5), (1, 2, 3)))
    ways = [a + b for a, b in itertools.product([(0,), (1, 2)], [(3,), (4, 5)])]
    logs = [-cost(*one) for one in ways]
    assert found.logs[0, 0] == pytest.approx(np.logaddexp.reduce(logs))
    assert found.logs[1, 0] == -math.inf
    assert found.odds[0] == math.inf
    chances = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
    expected = [sum(chance for chance, one in zip(chances, ways, strict=True) if edge in one)
                for edge in range(7)]  # fmt: skip
    np.testing.assert_allclose(found.chances(0)[0], expected, atol=1e-6)


def test_the_best_of_all_is_found_though_nobody_gave_it() -> None:
    graph = FaultGraph.of(MODEL)
    found = Recombination(graph, 0).of(*given((0, 3), (1, 2, 4, 5)))
    best = min([(0, 3), (0, 4, 5), (1, 2, 3), (1, 2, 4, 5)], key=lambda one: cost(*one))
    assert best == (0, 4, 5)
    assert tuple(found.best.edges.tolist()) == best


def test_answers_with_one_value_tell_of_the_other() -> None:
    """What differs at the first place is the same for both values."""
    found = Recombination(FaultGraph.of(MODEL), 0).of(*given((0, 3), (1, 2, 4, 6)))
    first = np.logaddexp(-cost(0), -cost(1, 2))
    np.testing.assert_allclose(found.logs[:, 0], [first - cost(3), first - cost(4, 6)])


def test_answers_that_are_passed_over_say_nothing_and_shots_are_apart() -> None:
    graph = FaultGraph.of(MODEL)
    sets, logs, flips = given((0, 4, 5), (1, 2, 3))
    silent = np.array([logs[0], [-np.inf]])
    alone = Recombination(graph, 0).of(sets, silent, flips)
    assert alone.logs[0, 0] == pytest.approx(-cost(0, 4, 5))
    two = [csr_array(np.concatenate([one.toarray(), other.toarray()]))
           for one, other in zip(sets, answers((0,), (1, 2)), strict=True)]  # fmt: skip
    both = Recombination(graph, 0).of(
        two, np.column_stack([logs, [-cost(0), -cost(1, 2)]]), np.zeros((2, 2), dtype=np.int64)
    )
    assert both.logs[0, 1] == pytest.approx(np.logaddexp(-cost(0), -cost(1, 2)))
    np.testing.assert_allclose(
        both.logs[0, 0], Recombination(graph, 0).of(sets, logs, flips).logs[0, 0]
    )


def test_faults_of_several_edges_count_as_one() -> None:
    model = stim.DetectorErrorModel(f"{MODEL}\nerror(0.04) D0 D1 ^ D2 D3")
    found = Recombination(FaultGraph.of(model), 0).of(*given((0, 3), (1, 2, 4, 5)))
    together = -min(cost(0, 3), math.log(0.96 / 0.04))
    others = [-cost(0, 4, 5), -cost(1, 2, 3), -cost(1, 2, 4, 5)]
    every = np.logaddexp.reduce([together, *others])
    # The cycles touch each other by the fault and not by detectors: the sum is nearly that of all.
    assert found.logs[0, 0] == pytest.approx(every, abs=0.7)
    assert found.logs[0, 0] >= together


def surface(distance: int) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_x", distance=distance, rounds=distance,
        after_clifford_depolarization=0.006, before_round_data_depolarization=0.006,
        before_measure_flip_probability=0.006, after_reset_flip_probability=0.006,
    )  # fmt: skip


def test_each_further_member_adds_to_it() -> None:
    """On the same 12,000 shots, of which one member alone misjudges one in fifty."""
    circuit = surface(5)
    model = circuit.detector_error_model(decompose_errors=True)
    events, flips = circuit.compile_detector_sampler(seed=3).sample(
        12_000, separate_observables=True
    )
    wrong = []
    for members in (1, 4):
        compiled = CompiledEnsemble(model, members=members, spread=0.8, unsure=6.0)
        wrong.append((compiled.odds(np.asarray(events)) < 0) != np.asarray(flips))
    one, four = wrong
    assert mcnemar(int((one & ~four).sum()), int((four & ~one).sum())) < 1e-3
    assert four.sum() < one.sum()

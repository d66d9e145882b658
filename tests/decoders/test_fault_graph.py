"""What sets of edges cost, against all ways to explain them, enumerated."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pymatching
import pytest
import stim
from scipy.sparse import csr_array

from decoders.fault_graph import FaultGraph, edge_sets

MODEL = stim.DetectorErrorModel("""
    error(0.1) D0 L0
    error(0.05) D0 D1
    error(0.2) D1
    error(0.07) D2 D3
    error(0.01) D0 D1 ^ D2 D3
    error(0.02) D1 ^ D2 D3
    error(0.03) D0 D1 ^ D1 ^ D2
    error(0.04) D3
    error(0.015) D2 ^ D3
""")


def weight(p: float) -> float:
    return math.log((1 - p) / p)


def cheapest(graph: FaultGraph, chosen: frozenset[int]) -> float:
    """Over all sets of faults whose edges are these, none of them twice."""
    found = math.inf
    for size in range(len(graph.faults) + 1):
        for faults in itertools.combinations(graph.faults, size):
            edges = [edge for _, key in faults for edge in key]
            if len(set(edges)) == len(edges) and set(edges) == chosen:
                found = min(found, sum(weight(p) for p, _ in faults))
    return found


def test_costs_are_those_of_the_cheapest_explanation() -> None:
    """Of all sets of edges that single faults make; D2 alone is no fault by itself."""
    graph = FaultGraph.of(MODEL)
    single = [key[0] for _, key in graph.faults if len(key) == 1]
    assert len(graph.edges) == len(single) + 1
    sets = [frozenset(one) for size in range(len(single) + 1)
            for one in itertools.combinations(single, size)]  # fmt: skip
    bits = np.array([[edge in one for edge in range(len(graph.edges))] for one in sets])
    expected = [cheapest(graph, one) for one in sets]
    np.testing.assert_allclose(graph.costs(csr_array(bits.astype(np.int16))), expected)


def test_faults_in_each_others_way_are_taken_by_what_they_gain() -> None:
    """One edge cannot be of two faults: greedily the better one, and never both."""
    model = stim.DetectorErrorModel("""
        error(0.001) D0
        error(0.001) D1
        error(0.001) D2
        error(0.01) D0 ^ D1
        error(0.02) D1 ^ D2
    """)
    graph = FaultGraph.of(model)
    whole = edge_sets(np.ones((1, 3), dtype=np.uint8))
    assert graph.costs(whole) == pytest.approx(weight(0.001) + weight(0.02))


def test_what_several_faults_do_alike_is_one() -> None:
    graph = FaultGraph.of(
        stim.DetectorErrorModel("error(0.1) D0\nerror(0.2) D0\nerror(0.3) D0 ^ D1 ^ D0")
    )
    assert graph.faults[0] == (pytest.approx(0.1 * 0.8 + 0.2 * 0.9), (0,))
    assert graph.faults[1] == (0.3, (1,))  # what is flipped twice is not flipped


@pytest.mark.parametrize("flip", [False, True])
def test_matching_answers_edges_that_explain_events_and_the_value_that_is_given(flip: bool) -> None:
    circuit = stim.Circuit.generated("surface_code:rotated_memory_x", distance=3, rounds=3,
                                     after_clifford_depolarization=0.01)  # fmt: skip
    graph = FaultGraph.of(circuit.detector_error_model(decompose_errors=True))
    model = graph.labelled(np.ones(len(graph.faults)), 0)
    matching = pymatching.Matching.from_detector_error_model(model, enable_correlations=True)
    events = np.asarray(circuit.compile_detector_sampler(seed=1).sample(200))
    given = np.column_stack([events, np.full(200, flip)])
    chosen = matching.decode_batch(given, enable_correlations=True)
    detectors = np.zeros((len(graph.edges), graph.detectors), dtype=int)
    flips = np.zeros(len(graph.edges), dtype=int)
    for number, (own, observables) in enumerate(graph.edges):
        detectors[number, list(own)] = 1
        flips[number] = len(observables)
    np.testing.assert_array_equal(chosen @ detectors % 2, events)
    assert (chosen @ flips % 2 == flip).all()
    plain = pymatching.Matching.from_detector_error_model(graph.forcing(0))
    own = pymatching.Matching.from_detector_error_model(
        circuit.detector_error_model(decompose_errors=True)
    )
    _, weights = plain.decode_batch(given, return_weights=True)
    answers, least = own.decode_batch(events, return_weights=True)
    same = answers[:, 0] == flip
    np.testing.assert_allclose(weights[same], least[same])
    assert (weights >= least - 1e-9).all()


def test_an_observable_in_the_middle_cannot_be_forced() -> None:
    graph = FaultGraph.of(stim.DetectorErrorModel("error(0.1) D0 D1 L0 L1\nerror(0.1) D0 L2"))
    assert [graph.can_force(observable) for observable in range(3)] == [False, False, True]
    assert graph.flips(2).tolist() == [0, 1]
    model = graph.labelled(np.ones(2))
    assert (model.num_detectors, model.num_observables) == (2, 2)


def test_a_model_that_is_not_decomposed_is_refused() -> None:
    with pytest.raises(ValueError, match="hyperedge"):
        FaultGraph.of(stim.DetectorErrorModel("error(0.1) D0 D1 D2"))

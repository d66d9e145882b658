"""Where detectors and edges are: nothing lost, nothing twice, the same kinds all over a code."""

from __future__ import annotations

import numpy as np
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.dem import circuit_model
from decoders.fault_graph import FaultGraph
from decoders.neural import Lattice
from decoders.neural.lattice import coordinates_of
from decoders.noise import Depolarizing


def made(code: str, distance: int) -> tuple[stim.Circuit, FaultGraph, Lattice]:
    noiseless = memory_circuit(code, distance=distance, rounds=distance)
    circuit = Depolarizing(kind="depolarizing", p=0.005).apply(noiseless)
    graph = FaultGraph.of(circuit_model(circuit, decomposed=True))
    return circuit, graph, Lattice.of(coordinates_of(circuit), graph.edges)


CODES = ("rotated-surface", "unrotated-surface", "xzzx-surface", "repetition", "heavy-hex")


@pytest.mark.parametrize("code", CODES)
def test_nothing_is_lost_and_nothing_is_in_two_places(code: str) -> None:
    circuit, graph, lattice = made(code, 5)
    events = np.asarray(circuit.compile_detector_sampler(seed=1).sample(30))
    grid = lattice.with_events(events)
    assert grid.shape == (30, *lattice.shape)
    np.testing.assert_array_equal(grid.reshape(30, -1)[:, lattice.detectors], events)
    np.testing.assert_array_equal(grid.sum(axis=(1, 2, 3, 4)), events.sum(axis=1))
    values = np.random.default_rng(2).random((3, len(graph.edges)))
    channels = lattice.with_edges(values)
    assert channels.shape == (3, len(lattice.kinds), *lattice.shape[1:])
    np.testing.assert_allclose(channels.reshape(3, -1)[:, lattice.edges], values, rtol=1e-6)
    assert len(set(lattice.edges.tolist())) == len(graph.edges)
    assert len(set(lattice.detectors.tolist())) == graph.detectors


@pytest.mark.parametrize("code", CODES)
def test_an_edge_leads_from_its_place_by_its_kind_to_its_other_end(code: str) -> None:
    _, graph, lattice = made(code, 3)
    sides = len(lattice.kinds), *lattice.shape[1:]
    for place, (detectors, flipped) in zip(lattice.edges, graph.edges, strict=True):
        channel, *cell = (int(one) for one in np.unravel_index(place, sides))
        kind = lattice.kinds[channel]
        ends = [(kind.layer, *cell)]
        if kind.other is not None:
            *offset, layer = kind.other
            ends.append((layer, *(a + b for a, b in zip(cell, offset, strict=True))))
        found = {int(np.ravel_multi_index(end, lattice.shape)) for end in ends}
        assert found == {int(lattice.detectors[detector]) for detector in detectors}
        assert set(kind.flipped) == flipped


@pytest.mark.parametrize("code", ["rotated-surface", "unrotated-surface", "repetition"])
def test_larger_codes_have_the_same_kinds(code: str) -> None:
    small, large = (made(code, distance)[2] for distance in (5, 7))
    assert set(small.kinds) == set(large.kinds)


def test_both_detectors_of_a_place_are_kept() -> None:
    circuit, _, lattice = made("color", 3)
    assert lattice.shape[0] == 2
    assert len(set(lattice.detectors.tolist())) == circuit.num_detectors


def test_coordinates_may_be_few_or_many_and_rounded() -> None:
    edges = [(frozenset({0, 1}), frozenset[int]()), (frozenset({1}), frozenset({0}))]
    for coordinates in ({0: (0.0, 1.0), 1: (0.3, 1.0)}, {0: (0.1 + 0.2, 5, 1, 9), 1: (0.6, 5, 1)},
                        {0: (0,), 1: (2,)}):  # fmt: skip
        lattice = Lattice.of(coordinates, edges)
        assert np.prod(lattice.shape) == 2
        assert [kind.flipped for kind in lattice.kinds] == [(), (0,)]
    near = Lattice.of({0: (0.3, 0.0), 1: (0.1 + 0.2, 0.0)}, edges)
    assert near.shape == (2, 1, 1, 1)


def test_a_detector_without_coordinates_is_named() -> None:
    circuit = stim.Circuit("M 0\nDETECTOR(1, 2, 0) rec[-1]\nDETECTOR rec[-1]")
    with pytest.raises(ValueError, match=r"D1 has no coordinates: give every DETECTOR"):
        Lattice.of(coordinates_of(circuit), [])

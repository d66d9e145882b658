"""Circuit-level and code distances, by enumeration of all sets of faults and by stim's searches."""

from collections.abc import Callable

import pytest

from decoders.codes import memory_circuit
from decoders.noise import CodeCapacity, Depolarizing

PLANAR = (
    "repetition",
    "rotated-surface",
    "unrotated-surface",
    "xzzx-surface",
    "color",
    "heavy-hex",
    "heavy-hex-native",
)


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize(("distance", "rounds"), [(3, 1), (3, 3), (5, 1), (5, 2)])
@pytest.mark.parametrize("name", PLANAR)
def test_no_fewer_than_distance_faults_are_logical(
    name: str, distance: int, rounds: int, basis: str, mechanisms: Callable, least_weight: Callable
) -> None:
    circuit = memory_circuit(name, distance=distance, rounds=rounds, basis=basis)
    noisy = Depolarizing(p=1e-3).apply(circuit)
    # Every fault that one operation can suffer, hyperedges too.
    assert least_weight(mechanisms(noisy.detector_error_model()), distance) == distance


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize(
    ("name", "distance"),
    [("rotated-surface", 2), ("rotated-surface", 4), ("xzzx-surface", 2), ("xzzx-surface", 4)],
)
def test_even_distances_hold_as_well(
    name: str, distance: int, basis: str, mechanisms: Callable, least_weight: Callable
) -> None:
    noisy = Depolarizing(p=1e-3).apply(
        memory_circuit(name, distance=distance, rounds=3, basis=basis)
    )
    assert least_weight(mechanisms(noisy.detector_error_model()), distance) == distance


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("name", PLANAR)
def test_larger_distances_by_stim(name: str, basis: str) -> None:
    """What shows in at most two detectors: for color codes this is a bound from above."""
    noisy = Depolarizing(p=1e-3).apply(memory_circuit(name, distance=7, rounds=7, basis=basis))
    found = noisy.shortest_graphlike_error(ignore_ungraphlike_errors=True)
    assert len(found) == 7


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("name", [name for name in PLANAR if name != "repetition"])
def test_code_distance(name: str, basis: str, mechanisms: Callable, least_weight: Callable) -> None:
    for distance in (3, 5):
        circuit = memory_circuit(name, distance=distance, rounds=1, basis=basis)
        noisy = CodeCapacity(p=0.1).apply(circuit)
        assert least_weight(mechanisms(noisy.detector_error_model()), distance) == distance


def test_the_enumeration_agrees_with_stims_own(
    mechanisms: Callable, least_weight: Callable
) -> None:
    for basis in "XZ":
        circuit = memory_circuit("color", distance=3, rounds=2, basis=basis)
        noisy = Depolarizing(p=1e-3).apply(circuit)
        found = noisy.search_for_undetectable_logical_errors(
            dont_explore_detection_event_sets_with_size_above=6,
            dont_explore_edges_with_degree_above=6,
            dont_explore_edges_increasing_symptom_degree=False,
        )
        assert len(found) == least_weight(mechanisms(noisy.detector_error_model()), 3) == 3


def test_the_enumeration_finds_what_is_there(mechanisms: Callable, least_weight: Callable) -> None:
    """The repetition code at distances up to 6, of which any chain of weight d is the least."""
    for distance in range(2, 7):
        circuit = memory_circuit("repetition", distance=distance, rounds=1)
        model = CodeCapacity(p=0.1, channel="x").apply(circuit).detector_error_model()
        assert least_weight(mechanisms(model), 6) == distance
        assert least_weight(mechanisms(model), distance - 1) is None

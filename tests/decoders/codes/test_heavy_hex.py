"""The heavy-hexagon code: its sparse connections, its gauge group, and what its flags are for."""

from collections import defaultdict
from collections.abc import Callable

import networkx as nx
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.noise import Depolarizing


def partners(circuit: stim.Circuit, instructions: Callable) -> dict[int, set[int]]:
    met: dict[int, set[int]] = defaultdict(set)
    for instruction in instructions(circuit):
        if stim.gate_data(instruction.name).is_two_qubit_gate:
            for a, b in instruction.target_groups():
                met[a.value].add(b.value)
                met[b.value].add(a.value)
    return met


def couplings(name: str, distance: int, instructions: Callable) -> nx.Graph:
    met = partners(memory_circuit(name, distance=distance, rounds=2), instructions)
    return nx.Graph([(qubit, other) for qubit, others in met.items() for other in others])


@pytest.mark.parametrize("distance", [3, 5, 7])
def test_no_qubit_has_more_than_three_neighbours(distance: int, instructions: Callable) -> None:
    circuit = memory_circuit("heavy-hex", distance=distance, rounds=2)
    degrees = [len(met) for met in partners(circuit, instructions).values()]
    assert max(degrees) == 3
    # Edges of the lattice: each vertical edge of the d x d grid has its qubit between two data;
    # (d - 1)^2 of these also meet an ancilla; d - 1 ancillas on the border meet two data.
    edges = 2 * distance * (distance - 1) + (distance - 1) ** 2 + 2 * (distance - 1)
    assert sum(degrees) == 2 * edges


@pytest.mark.parametrize("distance", [3, 5, 7])
def test_on_the_chips_all_cycles_have_twelve_qubits(distance: int, instructions: Callable) -> None:
    """Without flags on the border, d - 1 of the (d - 1)^2 / 2 cycles around a hexagon have ten."""
    hexagons = (distance - 1) ** 2 // 2
    native = couplings("heavy-hex-native", distance, instructions)
    assert [len(one) for one in nx.minimum_cycle_basis(native)] == [12] * hexagons
    assert max(degree for _, degree in native.degree) == 3
    assert nx.is_connected(native)
    plain = couplings("heavy-hex", distance, instructions)
    short = [len(one) for one in nx.minimum_cycle_basis(plain)]
    assert sorted(short) == [10] * (distance - 1) + [12] * (hexagons - (distance - 1))


def test_partners_lie_beside_one_another(instructions: Callable) -> None:
    circuit = memory_circuit("heavy-hex", distance=5, rounds=1)
    place = circuit.get_final_qubit_coordinates()
    for qubit, met in partners(circuit, instructions).items():
        for other in met:
            away = sorted(abs(a - b) for a, b in zip(place[qubit], place[other], strict=True))
            # Along an axis, or from a border ancilla to its two data.
            assert away in ([0, 1], [1, 1])


def test_with_flags_on_the_border_all_partners_are_along_an_axis(instructions: Callable) -> None:
    circuit = memory_circuit("heavy-hex-native", distance=5, rounds=1)
    place = circuit.get_final_qubit_coordinates()
    for qubit, met in partners(circuit, instructions).items():
        for other in met:
            away = sorted(abs(a - b) for a, b in zip(place[qubit], place[other], strict=True))
            assert away == [0, 1]


def test_flags_on_the_border_change_nothing_in_the_bulk(instructions: Callable) -> None:
    """The gates in the bulk, and their order, are the same in both."""
    for basis in "XZ":
        made = {}
        for name in ("heavy-hex", "heavy-hex-native"):
            circuit = memory_circuit(name, distance=5, rounds=1, basis=basis)
            place = circuit.get_final_qubit_coordinates()
            border = {q for q, (_, y) in place.items() if not 0 <= y <= 8}
            made[name] = [
                (one.name, pair)
                for one in instructions(circuit)
                for group in one.target_groups()
                if stim.gate_data(one.name).is_two_qubit_gate
                and border.isdisjoint(pair := tuple(target.value for target in group))
            ]
        assert made["heavy-hex"] == made["heavy-hex-native"]
        assert len(made["heavy-hex"]) == 8 * (2 + 2 + 4) + 2 * 20


@pytest.mark.parametrize("name", ["heavy-hex", "heavy-hex-native"])
@pytest.mark.parametrize("distance", [3, 5])
def test_stabilizers_are_those_of_the_paper(distance: int, name: str, footprints: Callable) -> None:
    """arXiv:1907.09528: X on two neighbouring columns; Z plaquettes of weight four and two."""
    weights = {}
    for basis, error in (("X", "Z"), ("Z", "X")):
        circuit = memory_circuit(name, distance=distance, rounds=1, basis=basis)
        flips, _ = footprints(circuit, error, distance**2)
        weights[basis] = sorted(row.sum() for row in flips if row.any())
    # X stabilizers show once, against the final data; Z ones in the round.
    assert weights["X"] == [2 * distance] * (distance - 1)
    assert weights["Z"] == [2] * (distance - 1) + [4] * ((distance - 1) ** 2 // 2)


@pytest.mark.parametrize(
    ("name", "distance", "flags", "without"),
    [
        ("heavy-hex", 3, 4, 2),
        ("heavy-hex", 5, 16, 3),
        ("heavy-hex-native", 3, 8, 2),
        ("heavy-hex-native", 5, 24, 3),
    ],
)
def test_flags_are_what_keeps_the_distance(
    name: str, distance: int, flags: int, without: int, mechanisms: Callable, least_weight: Callable
) -> None:
    """An ancilla's fault halfway leaves X on two data, so half the faults do; the flags tell."""
    circuit = memory_circuit(name, distance=distance, rounds=3, basis="Z")
    model = Depolarizing(p=1e-3).apply(circuit).detector_error_model()
    places = circuit.get_detector_coordinates()
    stabilizers = {d for d, (x, y, _) in places.items() if not (x % 2 == 0 and y % 2 == 1)}
    assert circuit.num_detectors - len(stabilizers) == 3 * flags
    assert least_weight(mechanisms(model), distance) == distance
    assert least_weight(mechanisms(model, stabilizers), distance) == without


@pytest.mark.parametrize("name", ["heavy-hex", "heavy-hex-native"])
def test_only_faults_in_gates_raise_flags(name: str, footprints: Callable) -> None:
    """Data errors between rounds commute with the flags."""
    circuit = memory_circuit(name, distance=5, rounds=2)
    places = circuit.get_detector_coordinates()
    flags = [d for d, (x, y, _) in places.items() if x % 2 == 0 and y % 2 == 1]
    for pauli in "XYZ":
        assert not footprints(circuit, pauli, 25)[0][flags].any()

"""Graphs of couplings against counts by hand and against Qiskit's coupling maps."""

import pytest
from pydantic import TypeAdapter, ValidationError
from qiskit.transpiler import CouplingMap

from calib.topology import AnyTopology, Couplings, HeavyHex, Line, Square


def edges(graph):
    return {tuple(sorted(pair)) for pair in graph.pairs}


def test_a_line_is_qiskits():
    qiskits = CouplingMap.from_line(6, bidirectional=False)
    assert edges(Line(qubits=6).graph()) == set(qiskits.get_edges())


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (3, 2), (4, 5)])
def test_a_square_lattice_is_qiskits(rows, columns):
    qiskits = CouplingMap.from_grid(rows, columns, bidirectional=False)
    graph = Square(rows=rows, columns=columns).graph()
    assert graph.qubits == rows * columns
    assert edges(graph) == {tuple(sorted(pair)) for pair in qiskits.get_edges()}


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 2), (3, 3)])
def test_heavy_hexagons_have_twelve_qubits_each_and_at_most_three_neighbours(rows, columns):
    import rustworkx

    graph = HeavyHex(rows=rows, columns=columns).graph()
    network = rustworkx.PyGraph()
    network.add_nodes_from(range(graph.qubits))
    network.add_edges_from_no_data(list(graph.pairs))
    assert rustworkx.is_connected(network)
    assert max(network.degree(q) for q in range(graph.qubits)) <= 3
    # Euler: as many independent cycles as hexagons, and each of twelve qubits.
    cycles = rustworkx.cycle_basis(network)
    assert len(cycles) == len(graph.pairs) - graph.qubits + 1 == rows * columns
    assert rustworkx.is_bipartite(network)
    assert graph.is_bipartite()
    assert len(graph.places) == len(set(graph.places)) == graph.qubits


def test_the_two_groups_separate_every_pair_of_a_bipartite_graph():
    graph = Square(rows=3, columns=3).graph()
    groups = graph.groups()
    assert all(groups[a] != groups[b] for a, b in graph.pairs)
    triangle = Couplings(qubits=3, pairs=((0, 1), (1, 2), (0, 2))).graph()
    assert not triangle.is_bipartite()


def test_couplings_come_sorted_and_once():
    graph = Couplings(qubits=3, pairs=((2, 1), (1, 2), (0, 1))).graph()
    assert graph.pairs == ((0, 1), (1, 2))


@pytest.mark.parametrize("pairs", [((0, 0),), ((0, 3),), ((-1, 0),)])
def test_wrong_pairs_are_refused(pairs):
    with pytest.raises(ValidationError, match="two different qubits below 3"):
        Couplings(qubits=3, pairs=pairs)


def test_a_table_selects_its_graph_by_kind():
    adapter = TypeAdapter(AnyTopology)
    assert adapter.validate_python({"kind": "square", "rows": 2, "columns": 2}).graph().qubits == 4
    with pytest.raises(ValidationError, match="kind"):
        adapter.validate_python({"kind": "torus", "qubits": 4})

"""Which of our codes lie on IBM's chips without swaps."""

import networkx as nx
import pytest

from calib.from_backend import fake_backend
from calib.snapshot import Snapshot
from decoders.codes import memory_circuit
from decoders.deploy.embeddings import embeddings, largest_distance
from decoders.deploy.lower import Lowered, lower


def lowered(code: str, distance: int) -> Lowered:
    return lower(memory_circuit(code, distance=distance, rounds=2))


@pytest.mark.parametrize("backend", ["fake_boston", "fake_aachen"])
def test_the_heavy_hexagon_code_needs_flags_on_its_border_there(backend: str) -> None:
    snapshot = Snapshot.of(fake_backend(backend))
    native = lowered("heavy-hex-native", 3)
    found = embeddings(native.pairs, len(native.qubits), snapshot)
    # Two hexagons that share an edge, with an end at two corners: networkx counts them too.
    chip = nx.Graph(list(snapshot.couplings))
    matcher = nx.isomorphism.GraphMatcher(chip, nx.Graph(list(native.pairs)))
    assert len(set(found)) == len(found)
    assert len(found) == sum(1 for _ in matcher.subgraph_monomorphisms_iter())
    for place in found:
        assert len(set(place)) == 23
        assert all(chip.has_edge(place[a], place[b]) for a, b in native.pairs)
    plain = lowered("heavy-hex", 3)
    with pytest.raises(ValueError, match=r"no place for 19 qubits with 20 couplings"):
        embeddings(plain.pairs, len(plain.qubits), snapshot)


def test_what_the_documents_say_of_distances() -> None:
    """docs/deploy.md, under placement."""
    boston, nighthawk = (Snapshot.of(fake_backend(f"fake_{n}")) for n in ("boston", "nighthawk"))
    assert largest_distance("heavy-hex-native", boston) == 5
    for code in ("rotated-surface", "unrotated-surface", "color", "heavy-hex"):
        assert largest_distance(code, boston) is None
    for code in ("rotated-surface", "xzzx-surface", "color", "heavy-hex", "heavy-hex-native"):
        assert largest_distance(code, nighthawk) == 5
    assert largest_distance("unrotated-surface", nighthawk) == 4

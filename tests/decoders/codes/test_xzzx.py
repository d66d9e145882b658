"""The XZZX code: the same stabilizers in the bulk, and repetition codes under infinite bias."""

from collections import Counter

import pytest
import stim

from decoders.codes import memory_circuit
from decoders.noise import Biased, CodeCapacity


def graph_of(name: str, basis: str, channel: str) -> tuple[Counter, int]:
    """Return how many data errors meet in each detector, and the most detectors of one error."""
    circuit = memory_circuit(name, distance=5, rounds=2, basis=basis)
    noise = CodeCapacity.model_validate({"p": 0.1, "channel": channel})
    degrees: Counter = Counter()
    most = 0
    for error in noise.apply(circuit).detector_error_model().flattened():
        if error.type == "error":
            seen = [t.val for t in error.targets_copy() if t.is_relative_detector_id()]
            degrees.update(seen)
            most = max(most, len(seen))
    return degrees, most


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("channel", ["x", "z"])
def test_one_kind_of_error_sees_repetition_codes(channel: str, basis: str) -> None:
    """Each detector joins two errors at the most: chains, not the surface code's lattice."""
    degrees, most = graph_of("xzzx-surface", basis, channel)
    assert max(degrees.values()) == 2
    assert most == 2


def test_the_css_code_sees_a_lattice() -> None:
    for basis, channel in (("X", "z"), ("Z", "x")):
        degrees, _ = graph_of("rotated-surface", basis, channel)
        assert max(degrees.values()) == 4


@pytest.mark.parametrize("distance", [3, 5, 7])
def test_no_z_errors_alone_flip_the_z_observable(distance: int) -> None:
    """d Z errors flip the X one; the CSS code suffers from d Z errors too, the Z one from d X."""
    for basis, channel, flips in (("X", "z", True), ("Z", "z", False), ("Z", "x", True)):
        circuit = memory_circuit("xzzx-surface", distance=distance, rounds=1, basis=basis)
        noise = CodeCapacity.model_validate({"p": 0.1, "channel": channel})
        noisy = noise.apply(circuit)
        if flips:
            assert len(noisy.shortest_graphlike_error()) == distance
        else:
            with pytest.raises(ValueError, match="Failed to find"):
                noisy.shortest_graphlike_error()


def test_bulk_stabilizers_read_xzzx() -> None:
    """An ancilla couples by CX, CZ, CZ, CX to its north-west, -east, south-west, -east data."""
    circuit = memory_circuit("xzzx-surface", distance=5, rounds=1)
    place = {q: (x, y) for q, (x, y) in circuit.get_final_qubit_coordinates().items()}
    read: dict[int, dict[tuple[float, float], str]] = {}
    for instruction in circuit:
        if stim.gate_data(instruction.name).is_two_qubit_gate:
            for ancilla, data in instruction.target_groups():
                (x, y), (at_x, at_y) = place[data.value], place[ancilla.value]
                corner = (y - at_y, x - at_x)
                read.setdefault(ancilla.value, {})[corner] = instruction.name[1]
    bulk = ["".join(corners[c] for c in sorted(corners)) for corners in read.values()]
    assert Counter(word for word in bulk if len(word) == 4) == {"XZZX": 16}
    assert len(bulk) == 24


def test_biased_noise_keeps_the_distance() -> None:
    for basis in "XZ":
        circuit = memory_circuit("xzzx-surface", distance=5, rounds=3, basis=basis)
        noisy = Biased(p=1e-3, eta=100).apply(circuit)
        assert len(noisy.shortest_graphlike_error(ignore_ungraphlike_errors=True)) == 5

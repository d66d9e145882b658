"""The XZZX code: the same stabilizers in the bulk, and repetition codes under infinite bias."""

from collections import Counter
from collections.abc import Callable

import pytest
import stim

from decoders.codes import memory_circuit
from decoders.noise import Biased, CodeCapacity


def degrees_of(name: str, basis: str, channel: str, errors: Callable) -> Counter[int]:
    """Return how many different data errors meet in each detector."""
    circuit = memory_circuit(name, distance=5, rounds=2, basis=basis)
    noise = CodeCapacity.model_validate({"p": 0.1, "channel": channel})
    found = list(errors(noise.apply(circuit).detector_error_model()))
    assert max(len(detectors) for detectors, _ in found) == 2
    return Counter(detector for detectors, _ in found for detector in detectors)


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("channel", ["x", "z"])
def test_one_kind_of_error_sees_repetition_codes(
    channel: str, basis: str, errors: Callable
) -> None:
    """Each detector joins two errors at the most: chains, not the surface code's lattice."""
    assert max(degrees_of("xzzx-surface", basis, channel, errors).values()) == 2


def test_the_css_code_sees_a_lattice(errors: Callable) -> None:
    for basis, channel in (("X", "z"), ("Z", "x")):
        assert max(degrees_of("rotated-surface", basis, channel, errors).values()) == 4


@pytest.mark.parametrize("distance", [3, 5, 7])
def test_no_z_errors_alone_flip_the_z_observable(distance: int) -> None:
    """d Z errors flip the X observable, d X errors the Z one."""
    for basis, channel, flips in (("X", "z", True), ("Z", "z", False), ("Z", "x", True)):
        circuit = memory_circuit("xzzx-surface", distance=distance, rounds=1, basis=basis)
        noise = CodeCapacity.model_validate({"p": 0.1, "channel": channel})
        noisy = noise.apply(circuit)
        if flips:
            assert len(noisy.shortest_graphlike_error()) == distance
        else:
            with pytest.raises(ValueError, match="Failed to find"):
                noisy.shortest_graphlike_error()


def test_bulk_stabilizers_read_xzzx(instructions: Callable) -> None:
    """Row by row, y upwards, an ancilla couples by CX, CZ, CZ, CX to the data at its corners."""
    circuit = memory_circuit("xzzx-surface", distance=5, rounds=1)
    place = {q: (x, y) for q, (x, y) in circuit.get_final_qubit_coordinates().items()}
    read: dict[int, dict[tuple[float, float], str]] = {}
    for instruction in instructions(circuit):
        if stim.gate_data(instruction.name).is_two_qubit_gate:
            for ancilla, data in instruction.target_groups():
                (x, y), (at_x, at_y) = place[data.value], place[ancilla.value]
                corner = (at_y - y, x - at_x)
                read.setdefault(ancilla.value, {})[corner] = instruction.name[1]
    bulk = ["".join(corners[c] for c in sorted(corners)) for corners in read.values()]
    assert Counter(word for word in bulk if len(word) == 4) == {"XZZX": 16}
    assert len(bulk) == 24


def test_biased_noise_keeps_the_distance() -> None:
    for basis in "XZ":
        circuit = memory_circuit("xzzx-surface", distance=5, rounds=3, basis=basis)
        noisy = Biased(p=1e-3, eta=100).apply(circuit)
        assert len(noisy.shortest_graphlike_error(ignore_ungraphlike_errors=True)) == 5

"""The codes that stim generates are stim's own circuits, byte for byte."""

import pytest
import stim

from decoders.codes import memory_circuit


@pytest.mark.parametrize("rounds", [1, 2, 7])
@pytest.mark.parametrize("distance", [2, 3, 4, 5])
def test_byte_for_byte(distance: int, rounds: int) -> None:
    for name, basis, task in (
        ("repetition", "Z", "repetition_code:memory"),
        ("rotated-surface", "X", "surface_code:rotated_memory_x"),
        ("rotated-surface", "Z", "surface_code:rotated_memory_z"),
        ("unrotated-surface", "X", "surface_code:unrotated_memory_x"),
        ("unrotated-surface", "Z", "surface_code:unrotated_memory_z"),
    ):
        ours = memory_circuit(name, distance=distance, rounds=rounds, basis=basis)
        assert str(ours) == str(stim.Circuit.generated(task, distance=distance, rounds=rounds))


def test_the_phase_flip_code_sees_phase_flips_only() -> None:
    for basis, harmless, harmful in (("X", "X", "Z"), ("Z", "Z", "X")):
        for pauli in "XZ":
            circuit = stim.Circuit()
            for instruction in memory_circuit("repetition", distance=3, rounds=1, basis=basis):
                circuit.append(instruction)
                if instruction.name == "TICK" and circuit.num_ticks == 1:
                    circuit.append(f"{pauli}_ERROR", [0, 2, 4], 0.1)
            model = circuit.detector_error_model()
            # Three data qubits with different footprints, or none.
            assert model.num_errors == (3 if pauli == harmful else 0)
            assert pauli in (harmful, harmless)


def test_numbers_of_qubits_are_as_documented() -> None:
    for distance in (2, 3, 4, 5):
        rotated = memory_circuit("rotated-surface", distance=distance, rounds=1)
        for qubit, (x, y) in rotated.get_final_qubit_coordinates().items():
            assert qubit == x + y // 2 * (2 * distance + 1)
        unrotated = memory_circuit("unrotated-surface", distance=distance, rounds=1)
        for qubit, (x, y) in unrotated.get_final_qubit_coordinates().items():
            assert qubit == x + y * (2 * distance - 1)

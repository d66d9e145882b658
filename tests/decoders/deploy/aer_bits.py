"""What Qiskit Aer's stabilizer simulator measures, without noise."""

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator


def measured(circuits: list[QuantumCircuit], shots: int = 1) -> list[NDArray[np.bool_]]:
    """The classical bits [shots, bits] of each circuit."""
    simulator = AerSimulator(method="stabilizer", seed_simulator=7, max_parallel_threads=1)
    result = simulator.run(circuits, shots=shots, memory=True).result()
    assert result.success, result.status
    return [
        np.array([[bit == "1" for bit in text[::-1]] for text in result.get_memory(number)])
        for number in range(len(circuits))
    ]

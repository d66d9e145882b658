"""A small fake backend behind the runtime's local service, and a circuit that tells its bits."""

from __future__ import annotations

from qiskit.circuit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime.fake_provider import FakeManilaV2


class OneFake:
    """The runtime's local service, which would load every fake backend to find one by its name."""

    is_local = True

    def backend(self, name: str) -> FakeManilaV2:
        if name != "fake_manila":
            raise QiskitBackendNotFoundError(f"no backend {name}")
        return FakeManilaV2()


def one_hot() -> QuantumCircuit:
    """Qubits 0 and 2 are flipped; registers of two and three bits are written out of order."""
    a, b = ClassicalRegister(3, "a"), ClassicalRegister(2, "b")
    circuit = QuantumCircuit(QuantumRegister(4), b, a)  # clbits: b0 b1 a0 a1 a2
    circuit.x([0, 2])
    circuit.measure([0, 1, 2, 3, 1], [a[1], a[0], b[1], a[2], b[0]])
    return circuit

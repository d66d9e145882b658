"""Circuits as bytes (QPY) and back."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit


def to_bytes(circuit: QuantumCircuit) -> bytes:
    """The circuit as QPY, uncompressed."""
    from qiskit import qpy

    file = io.BytesIO()
    qpy.dump(circuit, file)
    return file.getvalue()


def from_bytes(data: bytes) -> QuantumCircuit:
    """The circuit that `to_bytes` wrote."""
    from qiskit import qpy

    (circuit,) = qpy.load(io.BytesIO(data))
    return circuit

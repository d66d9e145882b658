"""A processor of two-level qubits with exact unitaries: what the experiments' answers are held to.

It shares no code with calib's physics: every instruction is a matrix that a test gives.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Instruction, Measure, Parameter
from qiskit.circuit.library import CZGate, ECRGate, RZGate, SXGate, XGate
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit.result import Result
from qiskit.transpiler import Target

from calib.controls import Controls, Knob
from calib.experiments import Calibration, Conclusion
from calib.gates import CrossResonancePulse, DrivePulse, FluxPulse, ReadoutPulse

Unitary = np.ndarray | Callable[..., np.ndarray]


class MatrixBackend(BackendV2):
    """Runs circuits with the given matrices: by an instruction's name, or a function of its params.

    Matrices of two qubits are for kron(first, second). `misread` is P(1|0) and P(0|1), `cloud` an
    IQ point for each of |0⟩ and |1⟩ with the standard deviation of their noise.
    """

    def __init__(
        self,
        matrices: Mapping[str, Unitary],
        rng: np.random.Generator,
        *,
        misread: tuple[float, float] = (0.0, 0.0),
        cloud: tuple[complex, complex, float] = (-1 + 0j, 1 + 0j, 0.5),
    ) -> None:
        super().__init__(name="matrices")
        self.matrices = dict(matrices)
        self.rng, self.misread, self.cloud = rng, misread, cloud
        target = Target(num_qubits=2, dt=1e-9)
        p = [Parameter(f"p{k}") for k in range(5)]
        singles: Sequence[Instruction] = (
            RZGate(p[0]), SXGate(), XGate(), DrivePulse(*p), Delay(p[0]), Measure(),
            ReadoutPulse(*p[:3]),
        )  # fmt: skip
        for one in singles:
            target.add_instruction(one, {(0,): None, (1,): None})
        for two in (CZGate(), ECRGate(), FluxPulse(*p[:4]), CrossResonancePulse(*p)):
            target.add_instruction(two, {(0, 1): None})
        self._target = target

    @property
    def target(self) -> Target:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._target

    @property
    def max_circuits(self) -> None:
        return

    @classmethod
    def _default_options(cls) -> Options:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Options(shots=1000)

    def run(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, run_input: list[QuantumCircuit], **options: Any
    ) -> JobV1:
        level, shots = int(options.get("meas_level", 2)), options.get("shots", 1000)
        results = [self._result(circuit, shots, level) for circuit in run_input]
        job_id = str(uuid.uuid4())
        return _Done(self, job_id, Result.from_dict({
            "backend_name": self.name, "backend_version": "1", "job_id": job_id, "qobj_id": None,
            "success": True, "results": results,
        }))  # fmt: skip

    def _result(self, circuit: QuantumCircuit, shots: int, level: int) -> dict[str, Any]:
        probabilities, clbits = self._probabilities(circuit)
        states = self.rng.choice(len(probabilities), size=shots, p=probabilities)
        bits = np.zeros((shots, circuit.num_clbits), dtype=int)
        for clbit, qubit in clbits.items():
            bits[:, clbit] = states >> (1 - qubit) & 1  # the first qubit is the higher
        data: dict[str, Any]
        if level == 1:
            middles = np.array([[point.real, point.imag] for point in self.cloud[:2]])
            noise = self.rng.normal(scale=self.cloud[2], size=(*bits.shape, 2))
            data = {"memory": (middles[bits] + noise).tolist()}
        else:
            wrong = self.rng.random(bits.shape) < np.array(self.misread)[bits]
            seen = (bits ^ wrong) @ (1 << np.arange(circuit.num_clbits))
            values, counts = np.unique(seen, return_counts=True)
            data = {"counts": {hex(v): int(c) for v, c in zip(values, counts, strict=True)}}
        header = {"metadata": circuit.metadata, "memory_slots": circuit.num_clbits,
                  "name": circuit.name,
                  "creg_sizes": [[r.name, r.size] for r in circuit.cregs]}  # fmt: skip
        return {"shots": shots, "success": True, "meas_level": level, "meas_return": "single",
                "data": data, "header": header}  # fmt: skip

    def _probabilities(self, circuit: QuantumCircuit) -> tuple[np.ndarray, dict[int, int]]:
        state = np.zeros(4, dtype=complex)
        state[0] = 1
        clbits = {}
        for instruction in circuit.data:
            name, params = instruction.operation.name, instruction.operation.params
            qubits = [circuit.find_bit(bit).index for bit in instruction.qubits]
            if name in ("measure", "readout"):
                clbits[circuit.find_bit(instruction.clbits[0]).index] = qubits[0]
            elif name != "barrier":
                matrix = self.matrices[name]
                matrix = matrix if isinstance(matrix, np.ndarray) else matrix(*map(float, params))
                if len(qubits) == 1:
                    sides = [np.eye(2), matrix] if qubits[0] else [matrix, np.eye(2)]
                    matrix = np.kron(*sides)
                state = matrix @ state
        probabilities = np.abs(state) ** 2
        return probabilities / probabilities.sum(), clbits


class _Done(JobV1):
    def __init__(self, backend: MatrixBackend, job_id: str, result: Result) -> None:
        super().__init__(backend, job_id)
        self._result = result

    def submit(self) -> None:
        pass

    def result(self) -> Result:
        return self._result

    def status(self) -> JobStatus:
        return JobStatus.DONE


_PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def turn(generator: Mapping[str, float]) -> np.ndarray:
    """exp(−i Σ angle·P/2) for Pauli strings of one length."""
    total = sum(angle / 2 * _string(name) for name, angle in generator.items())
    values, vectors = np.linalg.eigh(np.asarray(total))
    return (vectors * np.exp(-1j * values)) @ vectors.conj().T


def _string(name: str) -> np.ndarray:
    matrix = np.eye(1)
    for letter in name:
        matrix = np.kron(matrix, _PAULI[letter])
    return matrix


@pytest.fixture(name="turn")
def _turn() -> Callable[[Mapping[str, float]], np.ndarray]:
    return turn


@pytest.fixture
def measured() -> Callable[..., Conclusion]:
    """Runs a calibration on matrices that replace ideal ones: what it concludes."""

    def measure(
        calibration: Calibration,
        controls: Mapping[str, float],
        matrices: Mapping[str, Unitary],
        *,
        seed: int,
        **backend: Any,
    ) -> Conclusion:
        everything = MatrixBackend({**_IDEAL, **matrices}, np.random.default_rng(seed), **backend)
        qubits = (0, 1)[: calibration.width]
        knobs = Controls({_knob(name): value for name, value in controls.items()})
        (data,) = calibration.run(everything, knobs, [qubits])
        assert not data.errors()
        return calibration.conclusion(data, knobs)

    return measure


def _knob(text: str) -> Knob:
    """q0.x.amplitude, or q0-q1.cz.amplitude."""
    qubits, name = text.split(".", 1)
    return Knob(name, tuple(int(qubit[1:]) for qubit in qubits.split("-")))


_IDEAL: Mapping[str, Unitary] = {
    "rz": lambda angle: turn({"Z": angle}),
    "sx": turn({"X": np.pi / 2}),
    "x": turn({"X": np.pi}),
    "cz": np.diag([1, 1, 1, -1]),
    "ecr": turn({"XI": np.pi}) @ turn({"ZX": np.pi / 2}),
    "delay": np.eye(2),
}

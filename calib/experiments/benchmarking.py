"""Gate errors from qiskit-experiments' randomized benchmarking, readout error from its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from qiskit.circuit import Gate
from qiskit.circuit.library import CZGate, ECRGate, SXGate, XGate
from qiskit_experiments.framework import BaseExperiment, ExperimentData
from qiskit_experiments.library import InterleavedRB, LocalReadoutError, StandardRB

from calib.controls import Controls
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.readings import counted, found, read

# These only look: what they hold against a tolerance is an error rate.


def randomized_benchmarking(
    *,
    width: Literal[1, 2] = 1,
    lengths: Sequence[int] | None = None,
    samples: int = 5,
    seed: int = 1,
    tolerance: float = 5e-3,
    shots: int = 200,
) -> Calibration:
    """The deviation is the average error of a Clifford of one or two qubits."""
    chosen = tuple(lengths or ((1, 50, 150, 400, 800) if width == 1 else (1, 5, 15, 35, 70)))

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return StandardRB(qubits, chosen, num_samples=samples, seed=seed)

    return Calibration(f"rb_{width}", width, (), "probability", tolerance, shots,
                       build, _error_of_clifford)  # fmt: skip


_GATES: dict[str, Callable[[], Gate]] = {
    "sx": SXGate, "x": XGate, "cz": CZGate, "ecr": ECRGate,
}  # fmt: skip


def interleaved_benchmarking(
    gate: Literal["sx", "x", "cz", "ecr"],
    *,
    lengths: Sequence[int] | None = None,
    samples: int = 5,
    seed: int = 1,
    tolerance: float = 5e-3,
    shots: int = 200,
) -> Calibration:
    """The deviation is the average error of one gate."""
    if gate not in _GATES:
        raise ValueError(f"gate must be one of {', '.join(_GATES)}, got {gate!r}")
    width = 1 if gate in ("sx", "x") else 2
    chosen = tuple(lengths or ((1, 50, 150, 400, 800) if width == 1 else (1, 5, 15, 35, 70)))

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return InterleavedRB(_GATES[gate](), qubits, chosen, num_samples=samples, seed=seed)

    return Calibration(f"interleaved_rb_{gate}", width, (), "probability", tolerance, shots,
                       build, _error_of_clifford)  # fmt: skip


def readout_error(*, tolerance: float = 0.05, shots: int = 2000) -> Calibration:
    """The deviation is the assignment error of one qubit, averaged over its states."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return LocalReadoutError(qubits)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        matrix = found(data, "Local Readout Mitigator")["value"].assignment_matrix()
        error = float(matrix[0, 1] + matrix[1, 0]) / 2
        taken = min(reading.shots for reading in counted(data))  # of each state
        spread = (max(error, 1 / taken) / (2 * taken)) ** 0.5
        return Conclusion(Deviation(error, spread, "probability"), ())

    return Calibration("readout_error", 1, (), "probability", tolerance, shots, build, conclude)


def _error_of_clifford(data: ExperimentData, controls: Controls) -> Conclusion:
    error = read(data, "EPC")
    return Conclusion(Deviation(error.value, error.uncertainty, "probability", error.good), ())

"""CZ leakage: a scan of the coupler pulse's length finds where |11⟩ comes back entirely."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from qiskit import QuantumCircuit
from qiskit.providers import Backend
from qiskit_experiments.framework import (
    BaseAnalysis,
    BaseExperiment,
    ExperimentData,
    Options,
)

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.fits import Estimate, binomial_sigma, vertex
from calib.experiments.readings import Results, counted, read, result
from calib.gates import FluxPulse


class CZLeakageAnalysis(BaseAnalysis):
    """Results: the `duration_ns` of least leakage, and the `curvature` of leakage in 1/ns².

    A parabola is fitted to the population that has left |11⟩, in which decay and errors of the
    readout are a constant background; only points within `window` of the least are used.
    """

    @classmethod
    def _default_options(cls) -> Options:
        options = super()._default_options()
        options.window = 0.35
        return options

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        readings = counted(experiment_data, "11")
        durations = np.array([reading.metadata["duration_ns"] for reading in readings])
        stayed = np.array([reading.ones for reading in readings])
        shots = np.array([reading.shots for reading in readings])
        left = 1 - stayed / shots
        kept = left < left.min() + self.options.window
        if kept.sum() < 4:
            kept = np.argsort(left)[:4]
        where, curvature = vertex(durations[kept], left[kept],
                                  binomial_sigma(stayed, shots)[kept])  # fmt: skip
        inside = durations.min() <= where.value <= durations.max()
        sharp = where.uncertainty < np.ptp(durations) / 4
        good = bool(curvature > 0 and inside and sharp)
        repetitions = readings[0].metadata["repetitions"]
        per_gate = Estimate(curvature / repetitions, math.nan)
        return [
            result("duration_ns", where, "ns", good=good),
            result("curvature", per_gate, "1/ns²", good=good),
        ], []


class CZLeakage(BaseExperiment):
    """Both qubits in |1⟩, then coupler pulses of varied length, then both are read out.

    >>> len(CZLeakage((0, 1), [44.0, 45.0, 46.0], 0.55).circuits())
    3
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        durations_ns: Sequence[float],
        amplitude: float,
        repetitions: int = 1,
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=CZLeakageAnalysis(), backend=backend)
        self.set_experiment_options(durations_ns=tuple(map(float, durations_ns)),
                                    amplitude=amplitude, repetitions=repetitions)  # fmt: skip

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(durations_ns=(), amplitude=None, repetitions=1)
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """One circuit for each length."""
        options = self.experiment_options
        circuits = []
        for duration_ns in options.durations_ns:
            circuit = QuantumCircuit(2, 2)
            circuit.x([0, 1])
            circuit.barrier()
            for _ in range(options.repetitions):
                circuit.append(FluxPulse(options.amplitude, duration_ns, 0.0, 0.0), [0, 1])
            circuit.measure([0, 1], [0, 1])
            circuit.metadata = {"duration_ns": duration_ns, "repetitions": options.repetitions}
            circuits.append(circuit)
        return circuits


def cz_leakage(
    *, span_ns: float = 6.0, points: int = 17, tolerance: float = 3e-4, shots: int = 1000
) -> Calibration:
    """Length of the CZ pulse for least leakage, from a scan of ± `span_ns`.

    The deviation is the leakage from |11⟩ per gate above the least, as the parabola gives it.
    """

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        durations = controls.of("cz.duration_ns", *qubits) + np.linspace(-span_ns, span_ns, points)
        return CZLeakage(qubits, durations.tolist(), controls.of("cz.amplitude", *qubits))

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        duration, curvature = read(data, "duration_ns"), read(data, "curvature").value
        off = controls.of("cz.duration_ns", *qubits) - duration.value
        excess = Deviation(curvature * off**2, curvature * 2 * abs(off) * duration.uncertainty,
                           "probability", duration.good)  # fmt: skip
        update = Update(Knob("cz.duration_ns", qubits), duration.value, duration.uncertainty,
                        "cz_leakage")  # fmt: skip
        return Conclusion(excess, (update,))

    return Calibration("cz_leakage", 2, ("cz.duration_ns",), "probability", tolerance, shots,
                       build, conclude)  # fmt: skip

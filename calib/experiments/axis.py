"""Axis: that of X against that of SX, however far off it is, from eight circuits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qiskit import QuantumCircuit
from qiskit.providers import Backend
from qiskit_experiments.framework import BaseAnalysis, BaseExperiment, ExperimentData, Options

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.fits import Estimate
from calib.experiments.readings import Results, phases_by, quadratures, read, result
from calib.gates import DrivePulse


class AxisAnalysis(BaseAnalysis):
    """Result `axis`: the angle from the axis of SX to that of X, in (−π, π].

    The whole turn gives it exactly but modulo π, the half turn roughly but in full.
    """

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        phases = phases_by(experiment_data, "turn")
        whole, half = phases["whole",], phases["half",]
        rough = float(half.phase_rad)
        angle = rough + math.remainder((float(whole.phase_rad) - math.pi) / 2 - rough, math.pi)
        estimate = Estimate(math.remainder(angle, 2 * math.pi), float(whole.uncertainty_rad) / 2)
        good = min(float(whole.contrast), float(half.contrast)) > 0.3
        return [result("axis", estimate, "rad", good=good)], []


class Axis(BaseExperiment):
    """SX, and then X, or X with half of its amplitude, about an axis at φ from that of SX.

    SX leaves the qubit at −Y, phase 0 for `quadratures`. X mirrors it to the phase 2φ + π. That
    does not tell φ from φ + π, about which X is the same gate, but for what its errors do: too
    large an amplitude turns too far, or not far enough. Half of X, its axis turned back by kπ/2,
    brings the qubit to P(1) = 1/2 + cos(φ − kπ/2)/2.

    >>> experiment = Axis((0,), amplitude=0.4, drag_ns=0.2, phase_rad=1.0, duration_ns=32.0)
    >>> len(experiment.circuits())
    8
    """

    def __init__(
        self, physical_qubits: Sequence[int], backend: Backend | None = None, **options: float
    ) -> None:
        super().__init__(physical_qubits, analysis=AxisAnalysis(), backend=backend)
        self.set_experiment_options(**options)

    @classmethod
    def _default_experiment_options(cls) -> Options:
        """Options: the X pulse."""
        options = super()._default_experiment_options()
        options.update_options(
            amplitude=None, drag_ns=0.0, detuning_mhz=0.0, phase_rad=0.0, duration_ns=None
        )
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """Four quadratures for the whole and for the half turn."""
        options = self.experiment_options
        circuit = QuantumCircuit(1, 1)
        circuit.sx(0)
        circuit.x(0)
        circuits = quadratures(circuit, 0, turn="whole")
        for quadrature in range(4):
            circuit = QuantumCircuit(1, 1)
            circuit.sx(0)
            half = DrivePulse(options.amplitude / 2, options.drag_ns, options.detuning_mhz,
                              options.phase_rad - quadrature * math.pi / 2,
                              options.duration_ns)  # fmt: skip
            circuit.append(half, [0])
            circuit.measure(0, 0)
            circuit.metadata = {"turn": "half", "quadrature": quadrature}
            circuits.append(circuit)
        return circuits


def axis(*, tolerance_rad: float = 0.05, shots: int = 1000) -> Calibration:
    """The axis of X against that of SX, however far off; deviation: the angle in rad."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        names = ("amplitude", "drag_ns", "detuning_mhz", "phase_rad", "duration_ns")
        experiment = Axis(qubits)
        experiment.set_experiment_options(
            **{name: controls.of(f"x.{name}", *qubits) for name in names}
        )
        return experiment

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        knob = Knob("x.phase_rad", tuple(data.metadata["physical_qubits"]))
        angle = read(data, "axis")
        phase = math.remainder(controls[knob] - angle.value, 2 * math.pi)
        update = Update(knob, phase, angle.uncertainty, "axis")
        return Conclusion(Deviation(angle.value, angle.uncertainty, "rad", angle.good), (update,))

    return Calibration("axis", 1, ("x.phase_rad",), "rad", tolerance_rad, shots, build, conclude)

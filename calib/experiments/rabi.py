"""Rabi: an amplitude scan of the X pulse, which sets the amplitudes of X and SX roughly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from qiskit import QuantumCircuit
from qiskit.providers import Backend
from qiskit_experiments.curve_analysis import CurveFitResult, FitOptions, ScatterTable
from qiskit_experiments.curve_analysis.standard_analysis import OscillationAnalysis
from qiskit_experiments.framework import BaseExperiment, ExperimentData, Options

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.fits import cosine
from calib.experiments.readings import read
from calib.gates import DrivePulse


class RabiAnalysis(OscillationAnalysis):
    """Fits P(1) = base − amp·cos(2π·freq·amplitude); `freq` is one over the amplitude of a 2π turn.

    The initial guess is a least-squares fit on a grid of frequencies, so that there is one.
    """

    @classmethod
    def _default_options(cls) -> Options:
        options = super()._default_options()
        options.plot = False
        options.result_parameters = ["freq"]
        options.fixed_parameters = {"phase": math.pi}
        options.plotter.set_figure_options(xlabel="Amplitude", ylabel="P(1)")
        return options

    def _generate_fit_guesses(
        self, user_opt: FitOptions, curve_data: ScatterTable
    ) -> FitOptions | list[FitOptions]:
        guess = cosine(curve_data.x, curve_data.y, np.maximum(curve_data.y_err, 1e-3))
        user_opt.p0.set_if_empty(
            freq=guess.frequency.value, amp=abs(guess.amplitude.value), base=guess.offset.value
        )
        user_opt.bounds.set_if_empty(amp=(0, 2), freq=(0, np.inf), base=(-1, 2))
        return user_opt

    def _evaluate_quality(self, fit_data: CurveFitResult) -> str | None:
        amplitude = fit_data.ufloat_params["amp"].nominal_value
        frequency = fit_data.ufloat_params["freq"]
        sharp = frequency.std_dev < 0.05 * frequency.nominal_value
        fits = fit_data.reduced_chisq is not None and fit_data.reduced_chisq < 10
        return "good" if amplitude > 0.2 and sharp and fits else "bad"


class Rabi(BaseExperiment):
    """One drive pulse of varied amplitude on one qubit, then a measurement.

    >>> [circuit.metadata["xval"] for circuit in Rabi((0,), [0.0, 0.2, 0.4], 32.0).circuits()]
    [0.0, 0.2, 0.4]
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        amplitudes: Sequence[float],
        duration_ns: float,
        drag_ns: float = 0.0,
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=RabiAnalysis(), backend=backend)
        self.set_experiment_options(
            amplitudes=tuple(map(float, amplitudes)), duration_ns=duration_ns, drag_ns=drag_ns
        )

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(amplitudes=(), duration_ns=None, drag_ns=0.0)
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """One circuit for each amplitude."""
        options = self.experiment_options
        circuits = []
        for amplitude in options.amplitudes:
            circuit = QuantumCircuit(1, 1)
            pulse = DrivePulse(amplitude, options.drag_ns, 0.0, 0.0, options.duration_ns)
            circuit.append(pulse, [0])
            circuit.measure(0, 0)
            circuit.metadata = {"xval": amplitude}
            circuits.append(circuit)
        return circuits


def rabi(*, points: int = 25, tolerance_rad: float = 0.1, shots: int = 400) -> Calibration:
    """Amplitudes of X and SX from one full turn; the deviation is X's angle, in rad."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        most = min(1.0, 2.2 * abs(controls.of("x.amplitude", *qubits)))
        return Rabi(qubits, np.linspace(0, most, points).tolist(),
                    controls.of("x.duration_ns", *qubits),
                    controls.of("x.drag_ns", *qubits))  # fmt: skip

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        turns = read(data, "freq")  # per unit of amplitude
        relative = turns.uncertainty / turns.value
        angle = math.pi * 2 * turns.value * controls.of("x.amplitude", *qubits)
        ratio = controls.of("x.duration_ns", *qubits) / controls.of("sx.duration_ns", *qubits)
        # The area under the pulse is what turns: half of it for half the turn.
        values = {"x.amplitude": 0.5 / turns.value, "sx.amplitude": 0.25 * ratio / turns.value}
        updates = tuple(Update(Knob(name, qubits), value, relative * value, "rabi")
                        for name, value in values.items())  # fmt: skip
        deviation = Deviation(angle - math.pi, relative * angle, "rad", turns.good)
        return Conclusion(deviation, updates)

    return Calibration("rabi", 1, ("x.amplitude", "sx.amplitude"), "rad", tolerance_rad, shots,
                       build, conclude)  # fmt: skip

"""Spectroscopy: a long weak pulse of varied detuning finds the qubit's frequency roughly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import lmfit
import numpy as np
from qiskit import QuantumCircuit
from qiskit.providers import Backend
from qiskit_experiments.curve_analysis import (
    CurveAnalysis,
    CurveFitResult,
    FitOptions,
    ScatterTable,
)
from qiskit_experiments.framework import BaseExperiment, ExperimentData, Options

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.readings import read
from calib.gates import DrivePulse


class SpectroscopyAnalysis(CurveAnalysis):
    """Fits a Gaussian line: P(1) = base + amp·exp(−((x − freq)/width)²/2), x in MHz.

    A Gaussian pulse that turns by about π makes nearly such a line; a Lorentzian's tails it lacks.
    """

    def __init__(self) -> None:
        line = "base + amp * exp(-((x - freq) / width)**2 / 2)"
        super().__init__(models=[lmfit.models.ExpressionModel(expr=line, name="line")])

    @classmethod
    def _default_options(cls) -> Options:
        options = super()._default_options()
        options.plot = False
        options.result_parameters = ["freq", "width"]
        options.plotter.set_figure_options(xlabel="Detuning (MHz)", ylabel="P(1)")
        return options

    def _generate_fit_guesses(
        self, user_opt: FitOptions, curve_data: ScatterTable
    ) -> FitOptions | list[FitOptions]:
        x, y = curve_data.x, curve_data.y
        base = float(np.median(y))
        above = np.clip(y - base, 0, None)
        # Smoothed over three points, so that one noisy point is no peak.
        peak = int(np.argmax(np.convolve(above, [0.5, 1, 0.5], mode="same")))
        height = max(float(above[peak]), 1e-3)
        # The area under a Gaussian is √(2π)·width·height.
        width = float(np.trapezoid(above, x)) / (math.sqrt(2 * math.pi) * height)
        user_opt.p0.set_if_empty(base=base, amp=height, freq=x[peak], width=max(width, 1e-3))
        user_opt.bounds.set_if_empty(
            amp=(0, 2), freq=(x.min(), x.max()), width=(1e-4, float(np.ptp(x))), base=(-1, 1)
        )
        return user_opt

    def _evaluate_quality(self, fit_data: CurveFitResult) -> str | None:
        amplitude = fit_data.ufloat_params["amp"]
        width = fit_data.ufloat_params["width"].nominal_value
        seen = amplitude.nominal_value > max(0.1, 4 * amplitude.std_dev)
        centred = fit_data.ufloat_params["freq"].std_dev < width
        return "good" if seen and centred else "bad"


class Spectroscopy(BaseExperiment):
    """A pulse of fixed small amplitude and varied detuning on one qubit, then a measurement.

    >>> len(Spectroscopy((0,), np.linspace(-5, 5, 41), 0.01, 1000.0).circuits())
    41
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        detunings_mhz: Sequence[float] | np.ndarray,
        amplitude: float,
        duration_ns: float,
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=SpectroscopyAnalysis(), backend=backend)
        self.set_experiment_options(
            detunings_mhz=tuple(map(float, detunings_mhz)),
            amplitude=amplitude,
            duration_ns=duration_ns,
        )

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(detunings_mhz=(), amplitude=None, duration_ns=None)
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """One circuit for each detuning."""
        options = self.experiment_options
        circuits = []
        for detuning in options.detunings_mhz:
            circuit = QuantumCircuit(1, 1)
            pulse = DrivePulse(options.amplitude, 0.0, detuning, 0.0, options.duration_ns)
            circuit.append(pulse, [0])
            circuit.measure(0, 0)
            circuit.metadata = {"xval": detuning}
            circuits.append(circuit)
        return circuits


def spectroscopy(
    *, span_mhz: float = 10.0, points: int = 41, tolerance_mhz: float = 0.3, shots: int = 400
) -> Calibration:
    """Drive frequency from a line within ± `span_mhz`; the deviation is the detuning, in MHz.

    The pulse is as long as makes its line about four points of the scan wide, and turns by π with
    the area of the X pulse in force.
    """

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        duration_ns = 16.0 * round(1e3 * (points - 1) / (4 * 2 * span_mhz) / 16)
        area_ns = controls.of("x.amplitude", *qubits) * controls.of("x.duration_ns", *qubits)
        detunings = np.linspace(-span_mhz, span_mhz, points)
        return Spectroscopy(qubits, detunings, area_ns / duration_ns, duration_ns)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        detuning = read(data, "freq")
        frequency_ghz = controls.of("frequency_ghz", *qubits) + 1e-3 * detuning.value
        # The line is not quite a Gaussian: the fit's own error bar takes it for one.
        spread_mhz = detuning.uncertainty * math.sqrt(max(1.0, detuning.chi2))
        update = Update(Knob("frequency_ghz", qubits), frequency_ghz, 1e-3 * spread_mhz,
                        "spectroscopy")  # fmt: skip
        deviation = Deviation(detuning.value, spread_mhz, "MHz", detuning.good)
        return Conclusion(deviation, (update,))

    return Calibration("spectroscopy", 1, ("frequency_ghz",), "MHz", tolerance_mhz, shots,
                       build, conclude)  # fmt: skip

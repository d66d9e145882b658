"""Drive frequency from qiskit-experiments' Ramsey XY and fine frequency experiments."""

from __future__ import annotations

import math

import numpy as np
from qiskit_experiments.framework import BaseExperiment, ExperimentData
from qiskit_experiments.library import FineFrequency, RamseyXY

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.readings import read

_MISFIT = 10.0  # χ² per degree of freedom; couplings to neighbours that beat make a few


def ramsey(
    *,
    longest_us: float = 2.0,
    points: int = 21,
    tolerance_mhz: float = 0.02,
    shots: int = 400,
) -> Calibration:
    """Drive frequency from Ramsey XY with delays up to `longest_us`; deviation: detuning in MHz.

    Detunings below a quarter of (points − 1)/`longest_us` MHz are told apart, sign included.
    """
    # A quarter of the sampling rate: what is seen lies between 0 and a half of it.
    offset_mhz = (points - 1) / longest_us / 4

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        delays = np.linspace(0, longest_us * 1e-6, points)
        experiment = RamseyXY(qubits, delays=delays.tolist(), osc_freq=offset_mhz * 1e6)
        # Delays this short show no decay: a fitted decay time runs to infinity and takes the
        # covariance of the fit along.
        experiment.analysis.set_options(  # pyright: ignore[reportOptionalMemberAccess] it has one
            fixed_parameters={"tau": 50e-6 * longest_us},
            # Frequencies that differ by the sampling rate look the same.
            bounds={"freq": (0, 2e6 * offset_mhz)},
        )
        return experiment

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        # With H/2π = detuning·n, RZ(θ) after the delay turns against the qubit's own precession.
        seen = read(data, "freq")
        # Not by the fit's own quality, which calls every negative frequency bad.
        trusted = seen.uncertainty < 1e6 / longest_us and seen.chi2 < _MISFIT
        value, uncertainty = offset_mhz - 1e-6 * seen.value, 1e-6 * seen.uncertainty
        detuning = Deviation(value, uncertainty, "MHz", trusted)
        return _set_frequency(data, controls, detuning, "ramsey")

    return Calibration("ramsey", 1, ("frequency_ghz",), "MHz", tolerance_mhz, shots,
                       build, conclude)  # fmt: skip


def fine_frequency(
    *,
    delay_ns: int = 200,
    repetitions: int = 25,
    tolerance_mhz: float = 0.005,
    shots: int = 400,
) -> Calibration:
    """Drive frequency from delays of `delay_ns` times 0 to `repetitions` − 1; deviation in MHz.

    It takes detunings below a quarter of 1/`delay_ns` for what they are.
    """

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        # The device's dt is 1 ns.
        return FineFrequency(qubits, delay_ns, repetitions=list(range(repetitions)))

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        angle = read(data, "d_theta")
        scale = 1e3 / (2 * math.pi * delay_ns)
        trusted = scale * angle.uncertainty < tolerance_mhz * 10 and angle.chi2 < _MISFIT
        detuning = Deviation(-scale * angle.value, scale * angle.uncertainty, "MHz", trusted)
        return _set_frequency(data, controls, detuning, "fine_frequency")

    return Calibration("fine_frequency", 1, ("frequency_ghz",), "MHz", tolerance_mhz, shots,
                       build, conclude)  # fmt: skip


def _set_frequency(
    data: ExperimentData, controls: Controls, detuning: Deviation, source: str
) -> Conclusion:
    knob = Knob("frequency_ghz", tuple(data.metadata["physical_qubits"]))
    value_ghz = controls[knob] + 1e-3 * detuning.value
    return Conclusion(detuning, (Update(knob, value_ghz, 1e-3 * detuning.uncertainty, source),))

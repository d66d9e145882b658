"""How long a qubit remembers, with qiskit-experiments' T1, Hahn echo, Ramsey and ZZ experiments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qiskit_experiments.framework import BaseExperiment, ExperimentData
from qiskit_experiments.library import T1, T2Hahn, T2Ramsey, ZZRamsey

from calib.controls import Controls
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.readings import read

# These only look. What they hold against a tolerance is a rate: the smaller, the better.


def t1(
    *, longest_us: float = 500.0, points: int = 21, tolerance_per_ms: float = 50.0, shots: int = 400
) -> Calibration:
    """Relaxation; the deviation is 1/T1 in 1/ms, the result `T1` in s."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return T1(qubits, _delays_s(longest_us, points))

    return _look("t1", "T1", build, tolerance_per_ms, shots)


def t2_hahn(
    *, longest_us: float = 400.0, points: int = 21, tolerance_per_ms: float = 50.0, shots: int = 400
) -> Calibration:
    """Coherence under one echo; the deviation is 1/T2 in 1/ms, the result `T2` in s."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return T2Hahn(qubits, _delays_s(longest_us, points))

    return _look("t2_hahn", "T2", build, tolerance_per_ms, shots)


def t2_ramsey(
    *, longest_us: float = 300.0, points: int = 41, tolerance_per_ms: float = 50.0, shots: int = 400
) -> Calibration:
    """Coherence without echo; the deviation is 1/T2* in 1/ms, the result `T2star` in s."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        # A sixth of the sampling rate: six points a period, and many periods.
        offset_hz = (points - 1) / (longest_us * 1e-6) / 6
        return T2Ramsey(qubits, _delays_s(longest_us, points), osc_freq=offset_hz)

    return _look("t2_ramsey", "T2star", build, tolerance_per_ms, shots)


def zz(*, tolerance_khz: float = 20.0, shots: int = 400) -> Calibration:
    """ZZ coupling of an idle pair; the deviation is its rate in kHz, the result `zz` in Hz."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        first, second = qubits
        return ZZRamsey((first, second))

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        rate = read(data, "zz")
        return Conclusion(
            Deviation(1e-3 * rate.value, 1e-3 * rate.uncertainty, "kHz", rate.good), ()
        )

    return Calibration("zz", 2, (), "kHz", tolerance_khz, shots, build, conclude)


def _delays_s(longest_us: float, points: int) -> list[float]:
    return (np.linspace(0, longest_us, points) * 1e-6).tolist()


def _look(
    name: str,
    quantity: str,
    build: Callable[[Controls, tuple[int, ...]], BaseExperiment],
    tolerance: float,
    shots: int,
) -> Calibration:
    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        time_s = read(data, quantity)
        rate = 1e-3 / time_s.value
        relative = time_s.uncertainty / time_s.value
        return Conclusion(Deviation(rate, abs(relative * rate), "1/ms", time_s.good), ())

    return Calibration(name, 1, (), "1/ms", tolerance, shots, build, conclude)

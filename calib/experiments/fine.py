"""X and SX sharpened with qiskit-experiments' fine amplitude, fine DRAG and half angle."""

from __future__ import annotations

import math
from typing import Literal

from qiskit_experiments.framework import BaseExperiment, ExperimentData
from qiskit_experiments.library import (
    FineSXAmplitude,
    FineSXDrag,
    FineXAmplitude,
    FineXDrag,
    HalfAngle,
)

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.readings import Fitted, read

Gate = Literal["x", "sx"]
_ANGLE = {"x": math.pi, "sx": math.pi / 2}
# A DRAG coefficient β off by δ acts as a detuning δ·Ω²(t) (arXiv:1011.1949), which turns the qubit
# about Y by δ·∫Ω² sin θ dt, θ being how far the pulse has turned it: δ·k/T for a pulse of length T.
# k is 10.1 (X) and 2.25 (SX) for the Gaussian envelope, 10.9 and 2.43 for the cosine: the mean is
# off by 4 %, which the next round removes.
_DRAG_ANGLE = {"x": 10.5, "sx": 2.34}


def fine_amplitude(gate: Gate, *, tolerance_rad: float = 0.005, shots: int = 1000) -> Calibration:
    """Amplitude of X or SX from up to 14 (25) repetitions; deviation: over-rotation in rad."""
    _check(gate)
    name = f"fine_amplitude_{gate}"

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return FineXAmplitude(qubits) if gate == "x" else FineSXAmplitude(qubits)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        knob = Knob(f"{gate}.amplitude", tuple(data.metadata["physical_qubits"]))
        error = read(data, "d_theta")
        amplitude = controls[knob] * _ANGLE[gate] / (_ANGLE[gate] + error.value)
        uncertainty = controls[knob] * error.uncertainty / _ANGLE[gate]
        return _conclusion(Update(knob, amplitude, uncertainty, name), error, scale=1.0)

    return Calibration(name, 1, (f"{gate}.amplitude",), "rad", tolerance_rad, shots,
                       build, conclude)  # fmt: skip


def fine_drag(gate: Gate, *, tolerance_rad: float = 0.003, shots: int = 1000) -> Calibration:
    """DRAG coefficient of X or SX; deviation: the turn about Y that one pulse adds, in rad."""
    _check(gate)
    name = f"fine_drag_{gate}"

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return FineXDrag(qubits) if gate == "x" else FineSXDrag(qubits)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        knob = Knob(f"{gate}.drag_ns", qubits)
        error = read(data, "d_theta")
        # A repetition is two pulses.
        per_ns = 2 * _DRAG_ANGLE[gate] / controls.of(f"{gate}.duration_ns", *qubits)
        drag_ns = controls[knob] - error.value / per_ns
        return _conclusion(
            Update(knob, drag_ns, error.uncertainty / per_ns, name), error, scale=0.5
        )

    return Calibration(name, 1, (f"{gate}.drag_ns",), "rad", tolerance_rad, shots,
                       build, conclude)  # fmt: skip


def half_angle(*, tolerance_rad: float = 0.003, shots: int = 1000) -> Calibration:
    """The axis of X against that of SX, which defines the frame; deviation: the angle in rad."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return HalfAngle(qubits)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        knob = Knob("x.phase_rad", tuple(data.metadata["physical_qubits"]))
        error = read(data, "d_hac")
        # A repetition turns by twice the angle between the axes, the other way.
        phase = controls[knob] + error.value / 2
        update = Update(knob, phase, error.uncertainty / 2, "half_angle")
        return _conclusion(update, error, scale=-0.5)

    return Calibration("half_angle", 1, ("x.phase_rad",), "rad", tolerance_rad, shots,
                       build, conclude)  # fmt: skip


def _check(gate: str) -> None:
    if gate not in _ANGLE:
        raise ValueError(f"gate must be one of {', '.join(_ANGLE)}, got {gate!r}")


def _conclusion(update: Update, error: Fitted, *, scale: float) -> Conclusion:
    # These fits hold the contrast at 1, so that readout errors alone make a large angle misfit:
    # χ² above 3, which they call bad, is to be expected. Angles scale with the contrast, zeros
    # stay.
    trusted = math.isfinite(error.uncertainty) and abs(error.value) < 0.4 and error.chi2 < 100
    deviation = Deviation(scale * error.value, abs(scale) * error.uncertainty, "rad", trusted)
    return Conclusion(deviation, (update,))

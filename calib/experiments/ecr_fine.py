"""ECR sharpened by repetition: how far it turns the target, and about which axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
from calib.experiments.fits import Estimate, phase_slope
from calib.experiments.readings import (
    Results,
    append_repeated,
    doubled,
    phases_by,
    quadratures,
    read,
    result,
)


class FineECRAnalysis(BaseAnalysis):
    """Results in rad: `angle`, how much more than ±π/2 about X a gate turns the target by, half the
    difference between the control's states; and `axis`, the angle of its axis from X towards Y.
    """

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        phases = phases_by(experiment_data, "block", "control", "repetitions")
        repetitions = sorted({key[2] for key in phases})
        good = min(float(phase.contrast) for phase in phases.values()) > 0.3

        def slope(block: str, control: int, ideal_rad: float) -> Estimate:
            here = [phases[block, control, n] for n in repetitions]
            return phase_slope(
                repetitions,
                [float(p.phase_rad) - n * ideal_rad for n, p in
                 zip(repetitions, here, strict=True)],
                [float(p.uncertainty_rad) for p in here],
            )  # fmt: skip

        # Seen in the plane of Z and Y, a turn by θ about X is a phase of θ; blocks of `axis` turn
        # by −4 times the angle of the axis, whatever the control's state.
        zero, one = slope("angle", 0, math.pi / 2), slope("angle", 1, -math.pi / 2)
        angle = Estimate((zero.value - one.value) / 2,
                         math.hypot(zero.uncertainty, one.uncertainty) / 2)  # fmt: skip
        tilts = [slope("axis", control, 0.0) for control in (0, 1)]
        axis = Estimate(-sum(tilt.value for tilt in tilts) / 8,
                        math.hypot(*(tilt.uncertainty for tilt in tilts)) / 8)  # fmt: skip
        return [
            result("angle", angle, "rad", good=good),
            result("axis", axis, "rad", good=good),
        ], []


class FineECR(BaseExperiment):
    """Repeated ECR gates with the control in |0⟩ and |1⟩.

    ECR and an X on the control make a turn of the target by ±π/2 about X. Two of them are a turn
    by π about the gate's axis. X on both qubits mirrors that axis at X and turns the next two
    gates the other way: what the first two turned too far comes back, and the product of the two
    half turns is a turn about Z by four times the angle of the axis off X.

    >>> len(FineECR((0, 1), repetitions=(0, 1, 2)).circuits())
    48
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        repetitions: Sequence[int] = doubled(4),
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=FineECRAnalysis(), backend=backend)
        self.set_experiment_options(repetitions=tuple(repetitions))

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(repetitions=())
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """Four quadratures for each block, state of the control and number of repetitions."""
        turn = QuantumCircuit(2, 1)
        turn.ecr(0, 1)
        turn.x(0)
        turn.barrier()
        half = QuantumCircuit(2, 1)
        append_repeated(half, turn, 2)
        half.x([0, 1])
        half.barrier()
        there_and_back = QuantumCircuit(2, 1)
        append_repeated(there_and_back, half, 2)
        circuits = []
        for control in (0, 1):
            for repetitions in self.experiment_options.repetitions:
                names = {"control": control, "repetitions": repetitions}
                circuit = _prepared(control)
                append_repeated(circuit, turn, repetitions)
                # From cos θ·Z − sin θ·Y, where X turns Z to, to sin θ·X − cos θ·Y on the equator.
                circuit.rz(math.pi / 2, 1)
                circuit.sx(1)
                circuits += quadratures(circuit, 1, block="angle", **names)
                circuit = _prepared(control)
                circuit.sx(1)
                circuit.barrier()
                append_repeated(circuit, there_and_back, repetitions)
                circuits += quadratures(circuit, 1, block="axis", **names)
        return circuits


def _prepared(control: int) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 1)
    if control:
        circuit.x(0)
    circuit.barrier()
    return circuit


def fine_ecr(
    *, repetitions: Sequence[int] = doubled(4), tolerance_rad: float = 0.02, shots: int = 400
) -> Calibration:
    """Amplitude and phase of the ECR gate's tone; deviation: the larger of both errors in rad."""

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return FineECR(qubits, repetitions)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        angle, axis = read(data, "angle"), read(data, "axis")
        amplitude, phase = Knob("ecr.amplitude", qubits), Knob("ecr.phase_rad", qubits)
        cancel = Knob("ecr.cancel_phase_rad", qubits)
        ratio = (math.pi / 2) / (math.pi / 2 + angle.value)
        relative = angle.uncertainty / (math.pi / 2)
        updates = (
            Update(amplitude, controls[amplitude] * ratio, controls[amplitude] * relative,
                   "fine_ecr"),
            Update(phase, controls[phase] - axis.value, axis.uncertainty, "fine_ecr"),
            Update(cancel, controls[cancel] - axis.value, axis.uncertainty, "fine_ecr"),
        )  # fmt: skip
        larger = max((angle, axis), key=lambda one: abs(one.value))
        deviation = Deviation(larger.value, larger.uncertainty, "rad", larger.good)
        return Conclusion(deviation, updates)

    knobs = ("ecr.amplitude", "ecr.phase_rad", "ecr.cancel_phase_rad")
    return Calibration("fine_ecr", 2, knobs, "rad", tolerance_rad, shots, build, conclude)

"""Rough DRAG: a scan of the DRAG coefficient finds where X and −X leave no rotation behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

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
from calib.experiments.fits import Estimate, Phases, line_zero, phase_slope
from calib.experiments.readings import (
    Results,
    append_repeated,
    doubled,
    phases_by,
    quadratures,
    read,
    result,
)
from calib.gates import DrivePulse


class RoughDragAnalysis(BaseAnalysis):
    """Results: `drag_ns` of no error, and `slope`, the angle that 1 ns of DRAG adds to a turn of π.

    For each DRAG coefficient the angle per block of four quadratures is the slope over
    repetitions; the zero of a straight line through these is the result. The line bends when the
    angle grows, so that coefficients with more than a radian per block are left out of the fit,
    unless fewer than two remain.
    """

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        phases = phases_by(experiment_data, "drag_ns", "repetitions")
        drags = sorted({drag for drag, _ in phases})
        angles = [_angle(phases, drag) for drag in drags]
        kept = [k for k, angle in enumerate(angles) if abs(angle.value) < 1]
        if len(kept) < 2:
            kept = list(range(len(drags)))
        zero, slope = line_zero([drags[k] for k in kept], [angles[k].value for k in kept],
                                [angles[k].uncertainty for k in kept])  # fmt: skip
        span = drags[-1] - drags[0]
        # Far from the zero a pulse also leaves the plane that the quadratures see.
        seen = {drags[k] for k in kept}
        clear = min(float(one.contrast) for (drag, _), one in phases.items() if drag in seen) > 0.3
        good = clear and drags[0] - span <= zero.value <= drags[-1] + span
        # A block is two turns of π.
        per_turn = Estimate(slope / 2, math.nan)
        return [
            result("drag_ns", zero, "ns", good=good),
            result("slope", per_turn, "rad/ns", good=good),
        ], []


def _angle(phases: dict[tuple, Phases], drag: float) -> Estimate:
    """The angle per block at one DRAG coefficient."""
    repetitions = sorted(n for other, n in phases if other == drag)
    here = [phases[drag, n] for n in repetitions]
    return phase_slope(repetitions, [float(p.phase_rad) for p in here],
                       [float(p.uncertainty_rad) for p in here])  # fmt: skip


class RoughDrag(BaseExperiment):
    """Blocks of X and −X at several DRAG coefficients, then where the qubit is between Z and X.

    A phase error within a turn of π about X, wherever in it, adds up to a rotation about Y that X
    and −X do not undo: the qubit moves from |0⟩ towards ±X. An SX pulse takes a turn of π with
    two of them (`pulses=2`). `amplitude` and `duration_ns` are the pulse's.

    >>> experiment = RoughDrag((0,), [-0.5, 0.0, 0.5], amplitude=0.3, duration_ns=32.0)
    >>> len(experiment.circuits())
    48
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        drags_ns: Sequence[float],
        backend: Backend | None = None,
        **options: object,
    ) -> None:
        super().__init__(physical_qubits, analysis=RoughDragAnalysis(), backend=backend)
        self.set_experiment_options(drags_ns=tuple(map(float, drags_ns)), **options)

    @classmethod
    def _default_experiment_options(cls) -> Options:
        """Options: drags_ns, repetitions of the block, and the pulse: amplitude, duration_ns,
        detuning_mhz, phase_rad, and how many `pulses` make a turn of π.
        """
        options = super()._default_experiment_options()
        options.update_options(
            drags_ns=(), repetitions=doubled(4), amplitude=None, duration_ns=None,
            detuning_mhz=0.0, phase_rad=0.0, pulses=1,
        )  # fmt: skip
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """Four quadratures for each DRAG coefficient and number of repetitions."""
        options = self.experiment_options
        circuits = []
        for drag in options.drags_ns:
            pulse = DrivePulse(options.amplitude, drag, options.detuning_mhz, options.phase_rad,
                               options.duration_ns)  # fmt: skip
            block = QuantumCircuit(1, 1)
            for _ in range(2):
                for _ in range(options.pulses):
                    block.append(pulse, [0])
                block.rz(math.pi, 0)
            for repetitions in options.repetitions:
                circuit = QuantumCircuit(1, 1)
                append_repeated(circuit, block, repetitions)
                circuit.sx(0)  # from the plane of Z and X to the equator
                circuits += quadratures(circuit, 0, drag_ns=drag, repetitions=repetitions)
        return circuits


def rough_drag(
    gate: Literal["x", "sx"] = "x",
    *,
    span_ns: float = 2.5,
    points: int = 5,
    repetitions: Sequence[int] = doubled(2),
    tolerance_rad: float = 0.02,
    shots: int = 400,
) -> Calibration:
    """DRAG coefficient of X or SX from a scan of ± `span_ns` about the one in force.

    The deviation is the phase error that the coefficient in force leaves in a turn of π, in rad.
    The pulse is played about the axis of SX, which reads it out: the axis of X need not be known.
    """
    knob = f"{gate}.drag_ns"

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        names = ("amplitude", "duration_ns", "detuning_mhz")
        drags = controls.of(knob, *qubits) + np.linspace(-span_ns, span_ns, points)
        experiment = RoughDrag(qubits, drags.tolist())
        experiment.set_experiment_options(
            repetitions=tuple(repetitions), pulses=1 if gate == "x" else 2,
            phase_rad=controls.of("sx.phase_rad", *qubits),
            **{name: controls.of(f"{gate}.{name}", *qubits) for name in names},
        )  # fmt: skip
        return experiment

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        drag, slope = read(data, "drag_ns"), read(data, "slope").value
        error = (controls.of(knob, *qubits) - drag.value) * slope
        update = Update(Knob(knob, qubits), drag.value, drag.uncertainty, f"rough_drag_{gate}")
        deviation = Deviation(error, abs(slope) * drag.uncertainty, "rad", drag.good)
        return Conclusion(deviation, (update,))

    return Calibration(f"rough_drag_{gate}", 1, (knob,), "rad", tolerance_rad, shots,
                       build, conclude)  # fmt: skip

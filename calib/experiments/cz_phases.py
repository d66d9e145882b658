"""CZ phases: the conditional and both single-qubit phases of the gate in force, amplified."""

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
from calib.experiments.cz_amplitude import ramsey_start
from calib.experiments.fits import Estimate, Phases, phase_slope
from calib.experiments.readings import Results, doubled, phases_by, quadratures, read, result

_TARGETS = {"a": 0, "b": 1}


class CZPhasesAnalysis(BaseAnalysis):
    """Results in rad per gate: `phase_a`, `phase_b`, and `conditional`, less the ideal π.

    The single-qubit phase of a qubit is what it gains per gate while the other is in |0⟩. The
    conditional phase is the difference to what it gains while the other is in |1⟩, the mean of
    both qubits' differences.
    """

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        phases = phases_by(experiment_data, "target", "control", "repetitions")
        good = min(float(phase.contrast) for phase in phases.values()) > 0.2
        slopes = {(target, control): _slope(phases, target, control)
                  for target in _TARGETS for control in (0, 1)}  # fmt: skip
        single = [result(f"phase_{target}", slopes[target, 0], "rad", good=good)
                   for target in _TARGETS]  # fmt: skip
        halves = [_difference(slopes[target, 1], slopes[target, 0]) for target in _TARGETS]
        mean = Estimate(sum(half.value for half in halves) / 2,
                        math.hypot(*(half.uncertainty for half in halves)) / 2,
                        max(half.chi2 for half in halves))  # fmt: skip
        return [*single, result("conditional", mean, "rad", good=good)], []


def _slope(phases: dict[tuple, Phases], target: str, control: int) -> Estimate:
    """The phase per gate, less π where the other qubit is in |1⟩."""
    repetitions = sorted({key[2] for key in phases})
    here = [phases[target, control, n] for n in repetitions]
    return phase_slope(
        repetitions,
        [float(p.phase_rad) - n * control * math.pi
         for n, p in zip(repetitions, here, strict=True)],
        [float(p.uncertainty_rad) for p in here],
    )  # fmt: skip


def _difference(one: Estimate, zero: Estimate) -> Estimate:
    value = math.remainder(one.value - zero.value, 2 * math.pi)
    return Estimate(value, math.hypot(one.uncertainty, zero.uncertainty), max(one.chi2, zero.chi2))


class CZPhases(BaseExperiment):
    """Ramsey on either qubit of a pair around repeated CZ gates, with the other in |0⟩ or |1⟩.

    >>> len(CZPhases((0, 1), repetitions=(0, 1, 2)).circuits())
    48
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        repetitions: Sequence[int] = doubled(16),
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=CZPhasesAnalysis(), backend=backend)
        self.set_experiment_options(repetitions=tuple(repetitions))

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(repetitions=())
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """Four quadratures for each qubit, state of the other, and number of repetitions."""
        circuits = []
        for target, qubit in _TARGETS.items():
            for control in (0, 1):
                for repetitions in self.experiment_options.repetitions:
                    circuit = ramsey_start(control, spectator=1 - qubit, target=qubit)
                    for _ in range(repetitions):
                        circuit.cz(0, 1)
                    circuits += quadratures(circuit, qubit, target=target, control=control,
                                            repetitions=repetitions)  # fmt: skip
        return circuits


def cz_phases(
    *, repetitions: Sequence[int] = doubled(16), tolerance_rad: float = 0.01, shots: int = 400
) -> Calibration:
    """Virtual Zs after the CZ pulse; the deviation is the larger single-qubit phase, in rad.

    The measured conditional phase stands in the data's results as `conditional`; `cz_amplitude`
    corrects it.
    """

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return CZPhases(qubits, repetitions)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        updates, deviations = [], []
        for target in _TARGETS:
            phase = read(data, f"phase_{target}")
            knob = Knob(f"cz.phase_{target}_rad", qubits)
            value = math.remainder(controls[knob] - phase.value, 2 * math.pi)
            updates.append(Update(knob, value, phase.uncertainty, "cz_phases"))
            deviations.append(Deviation(phase.value, phase.uncertainty, "rad", phase.good))
        larger = max(deviations, key=lambda one: abs(one.value))
        return Conclusion(larger, tuple(updates))

    return Calibration("cz_phases", 2, ("cz.phase_a_rad", "cz.phase_b_rad"), "rad", tolerance_rad,
                       shots, build, conclude)  # fmt: skip

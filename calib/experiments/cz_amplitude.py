"""CZ amplitude: a scan of the coupler pulse's height finds a conditional phase of π."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
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
from calib.gates import FluxPulse

_CONTRAST = 0.2  # below it a phase says nothing


class ConditionalPhaseAnalysis(BaseAnalysis):
    """Results: the `amplitude` where the conditional phase is π, and its `slope` there.

    For each amplitude, the conditional phase less π per pulse is the slope over repetitions. The
    zero crossing with the steepest contrast is taken: the first pair of neighbours between which
    the phase passes π without wrapping; a straight line through the points within `window_rad`
    of π around it gives the zero.
    """

    @classmethod
    def _default_options(cls) -> Options:
        options = super()._default_options()
        options.window_rad = 1.2
        return options

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        phases = phases_by(experiment_data, "amplitude", "repetitions", "control")
        amplitudes = np.array(sorted({key[0] for key in phases}))
        errors = [_error(phases, amplitude) for amplitude in amplitudes]
        values = np.array([error.value for error in errors])
        kept = _near_zero(values, self.options.window_rad)
        if len(kept) < 2:
            nothing = Estimate(math.nan, math.inf)
            return [result(name, nothing, "", good=False) for name in ("amplitude", "slope")], []
        zero, slope = line_zero(amplitudes[kept], values[kept],
                                [errors[k].uncertainty for k in kept])  # fmt: skip
        step = amplitudes[1] - amplitudes[0]
        contrast = min(float(phases[key].contrast) for key in phases
                       if key[0] in amplitudes[kept])  # fmt: skip
        # Up to a step beyond the points may be trusted, but no pulse is higher than full scale.
        lowest, highest = np.clip([amplitudes[kept[0]] - step, amplitudes[kept[-1]] + step], -1, 1)
        near = lowest <= zero.value <= highest
        good = bool(contrast > _CONTRAST and slope > 0 and near)
        return [
            result("amplitude", zero, "", good=good),
            result("slope", Estimate(slope, math.nan), "rad", good=good),
        ], []


def _error(phases: dict[tuple, Phases], amplitude: float) -> Estimate:
    """The conditional phase less π of one pulse at this amplitude, in (−π, π]."""
    repetitions = sorted({key[1] for key in phases if key[0] == amplitude})
    pairs = [(phases[amplitude, n, 0], phases[amplitude, n, 1]) for n in repetitions]
    conditional = [float(one.phase_rad - zero.phase_rad) - n * math.pi
                   for n, (zero, one) in zip(repetitions, pairs, strict=True)]  # fmt: skip
    sigma = [math.hypot(float(zero.uncertainty_rad), float(one.uncertainty_rad))
             for zero, one in pairs]  # fmt: skip
    return phase_slope(repetitions, conditional, sigma)


def _near_zero(values: NDArray[np.float64], window_rad: float) -> list[int]:
    """The neighbouring points within the window, around where the values rise through zero."""
    inside = np.abs(values) < window_rad
    rises = [k for k in range(len(values) - 1)
             if inside[k] and inside[k + 1] and values[k] <= 0 < values[k + 1]]  # fmt: skip
    # Without a rise the nearest point is the start: the zero may lie just outside of the scan.
    start = rises[0] if rises else int(np.argmin(np.abs(values)))
    first = last = start
    while first > 0 and inside[first - 1]:
        first -= 1
    while last + 1 < len(values) and inside[last + 1]:
        last += 1
    return list(range(first, last + 1))


class ConditionalPhase(BaseExperiment):
    """Ramsey on the second qubit around repeated coupler pulses, with the first in |0⟩ or |1⟩.

    >>> experiment = ConditionalPhase((0, 1), [0.5, 0.55], 45.0)
    >>> len(experiment.circuits())  # × 4 quadratures × 2 states × 2 repetitions
    32
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        amplitudes: Sequence[float],
        duration_ns: float,
        repetitions: Sequence[int] = (0, 1),
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=ConditionalPhaseAnalysis(), backend=backend)
        self.set_experiment_options(amplitudes=tuple(map(float, amplitudes)),
                                    duration_ns=duration_ns,
                                    repetitions=tuple(repetitions))  # fmt: skip

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(amplitudes=(), duration_ns=None, repetitions=(0, 1))
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """Four quadratures for each amplitude, number of repetitions and state of the first."""
        options = self.experiment_options
        circuits = []
        for amplitude in options.amplitudes:
            block = QuantumCircuit(2, 1)
            block.append(FluxPulse(amplitude, options.duration_ns, 0.0, 0.0), [0, 1])
            for repetitions in options.repetitions:
                for control in (0, 1):
                    circuit = ramsey_start(control)
                    append_repeated(circuit, block, repetitions)
                    circuits += quadratures(circuit, 1, amplitude=amplitude,
                                            repetitions=repetitions, control=control)  # fmt: skip
        return circuits


def ramsey_start(control: int, *, spectator: int = 0, target: int = 1) -> QuantumCircuit:
    """Two qubits: the spectator in |control⟩, the target on the equator."""
    circuit = QuantumCircuit(2, 1)
    if control:
        circuit.x(spectator)
    circuit.sx(target)
    circuit.barrier()
    return circuit


def cz_amplitude(
    *,
    span: float = 0.003,
    points: int = 3,
    repetitions: Sequence[int] = doubled(8),
    tolerance_rad: float = 0.01,
    shots: int = 400,
) -> Calibration:
    """Height of the CZ pulse for a conditional phase of π, from a scan of ± `span` (relative).

    The scan ends at full scale. The deviation is the conditional phase less π at the height in
    force, in rad. Two uses: `cz_amplitude(span=0.1, points=21, repetitions=(1,))` finds the
    resonance from afar, the default sharpens it.
    """

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        # Full scale cuts the range, not single points: all stay distinct and equally spaced.
        height = controls.of("cz.amplitude", *qubits)
        first, last = np.clip([height * (1 - span), height * (1 + span)], -1, 1)
        amplitudes = np.linspace(first, last, points)
        duration_ns = controls.of("cz.duration_ns", *qubits)
        return ConditionalPhase(qubits, amplitudes.tolist(), duration_ns, repetitions)

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        amplitude, slope = read(data, "amplitude"), read(data, "slope").value
        error = (controls.of("cz.amplitude", *qubits) - amplitude.value) * slope
        update = Update(Knob("cz.amplitude", qubits), amplitude.value, amplitude.uncertainty,
                        "cz_amplitude")  # fmt: skip
        deviation = Deviation(error, abs(slope) * amplitude.uncertainty, "rad", amplitude.good)
        return Conclusion(deviation, (update,))

    return Calibration("cz_amplitude", 2, ("cz.amplitude",), "rad", tolerance_rad, shots,
                       build, conclude)  # fmt: skip

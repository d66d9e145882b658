"""Readout: the line between the IQ clouds of |0⟩ and |1⟩, and the tone that parts them best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.providers import Backend
from qiskit_experiments.framework import (
    AnalysisResultData,
    BaseAnalysis,
    BaseExperiment,
    ExperimentData,
    MeasLevel,
    MeasReturnType,
    Options,
)

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.clouds import Line, contrast, separating_line
from calib.experiments.fits import Estimate, vertex
from calib.experiments.readings import Results, found, read, result
from calib.gates import ReadoutPulse

Tone = tuple[float, float, float]  # amplitude, frequency_ghz, duration_ns


class ReadoutAnalysis(BaseAnalysis):
    """Results for the tone that errs least: `angle_rad`, `threshold`, `error`, and `tone`.

    Of several tones, those that err little are fitted with a parabola over their number in the
    scan, and the one nearest to its vertex is taken: assignment errors of single tones are too
    noisy to choose by. Of several frequencies it is the one whose clouds lie furthest apart,
    by a parabola likewise, which is known better than the errors.
    """

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        clouds = clouds_of(experiment_data)
        tones = list(clouds)
        lines = [separating_line(*clouds[tone]) for tone in tones]
        errors = np.array([line.error(*clouds[tone])
                           for line, tone in zip(lines, tones, strict=True)])  # fmt: skip
        if len({frequency for _, frequency, _ in tones}) > 1:
            best = _furthest(np.array([contrast(*clouds[tone]) for tone in tones]))
        else:
            best = _least(errors, len(clouds[tones[0]][0]))
        line, tone = lines[best], tones[best]
        good = contrast(*clouds[tone]) > 1.5
        shots = len(clouds[tone][0])
        spread = math.sqrt(max(errors[best], 1 / shots) / (2 * shots))
        return [
            result("angle_rad", Estimate(line.angle_rad, line.angle_uncertainty_rad), "rad",
                   good=good),
            result("threshold", Estimate(line.threshold, line.threshold_uncertainty), "",
                   good=good),
            result("error", Estimate(float(errors[best]), spread), "probability", good=good),
            AnalysisResultData("tone", tone),
        ], []  # fmt: skip


def clouds_of(
    data: ExperimentData,
) -> dict[Tone, tuple[NDArray[np.complex128], NDArray[np.complex128]]]:
    """The IQ points [shots] of |0⟩ and of |1⟩ for each tone, in the order of the scan."""
    found: dict[Tone, dict[int, NDArray[np.complex128]]] = {}
    for datum in data.data():
        memory = np.asarray(datum["memory"], dtype=float)
        points = memory[:, 0, 0] + 1j * memory[:, 0, 1]
        tone = tuple(datum["metadata"]["tone"])
        found.setdefault(tone, {})[datum["metadata"]["state"]] = points
    return {tone: (states[0], states[1]) for tone, states in found.items()}


def _least(errors: NDArray[np.float64], shots: int) -> int:
    """The number of the tone at the bottom of a parabola through those that err little."""
    if len(errors) < 4:
        return int(np.argmin(errors))
    sigma = np.sqrt(np.maximum(errors, 1 / shots) / (2 * shots))
    kept = np.flatnonzero(errors < 2 * errors.min() + 5 * sigma.min())
    if len(kept) < 4:
        kept = np.argsort(errors)[:4]
    where, curvature = vertex(kept, errors[kept], sigma[kept])
    if curvature <= 0:
        return int(np.argmin(errors))
    return int(np.clip(round(where.value), 0, len(errors) - 1))


def _furthest(contrasts: NDArray[np.float64]) -> int:
    """The number of the tone at the top of a parabola through those of large contrast."""
    kept = np.flatnonzero(contrasts > 0.6 * contrasts.max())
    if len(kept) < 4:
        return int(np.argmax(contrasts))
    where, curvature = vertex(kept, contrasts[kept], np.ones(len(kept)))
    if curvature >= 0:
        return int(np.argmax(contrasts))
    return int(np.clip(round(where.value), 0, len(contrasts) - 1))


class ReadoutExperiment(BaseExperiment):
    """One qubit prepared in |0⟩ and in |1⟩, read out with each of several tones, in IQ points.

    >>> tones = [(0.5, 7.0, 1200.0), (0.6, 7.0, 1200.0)]
    >>> [circuit.metadata["state"] for circuit in ReadoutExperiment((0,), tones).circuits()]
    [0, 1, 0, 1]
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        tones: Sequence[Tone],
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=ReadoutAnalysis(), backend=backend)
        self.set_experiment_options(tones=tuple(tuple(map(float, tone)) for tone in tones))

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(tones=())
        return options

    @classmethod
    def _default_run_options(cls) -> Options:
        return Options(meas_level=MeasLevel.KERNELED, meas_return=MeasReturnType.SINGLE)

    def circuits(self) -> list[QuantumCircuit]:
        """Two circuits for each tone."""
        circuits = []
        for tone in self.experiment_options.tones:
            for state in (0, 1):
                circuit = QuantumCircuit(1, 1)
                if state:
                    circuit.x(0)
                circuit.append(ReadoutPulse(*tone), [0], [0])
                circuit.metadata = {"state": state, "tone": tone}
                circuits.append(circuit)
        return circuits


_TONE = ("readout.amplitude", "readout.frequency_ghz", "readout.duration_ns")


def readout_discrimination(*, tolerance: float = 2e-3, shots: int = 2000) -> Calibration:
    """The line between |0⟩ and |1⟩ at the tone in force.

    The deviation is the assignment error that the line in force makes beyond that of the new one.
    """

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        return ReadoutExperiment(qubits, [_tone(controls, qubits)])

    return Calibration("readout_discrimination", 1, ("readout.angle_rad", "readout.threshold"),
                       "probability", tolerance, shots, build, _conclude)  # fmt: skip


def readout_tone(
    what: Literal["amplitude", "frequency_ghz", "duration_ns"],
    *,
    points: int = 13,
    tolerance: float = 3e-3,
    shots: int = 2000,
) -> Calibration:
    """One setting of the readout tone, and the line that belongs to it.

    Amplitudes are scanned from half to twice the one in force (at most 1), frequencies within
    ± 2 MHz, durations from half to twice. The deviation is the assignment error beyond the
    best's.
    """
    if f"readout.{what}" not in _TONE:
        known = ", ".join(name.removeprefix("readout.") for name in _TONE)
        raise ValueError(f"what must be one of {known}, got {what!r}")
    place = _TONE.index(f"readout.{what}")

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        tone = _tone(controls, qubits)
        tones = []
        for share in np.linspace(-1, 1, points):
            moved = list(tone)
            if what == "frequency_ghz":
                moved[place] += 2e-3 * share
            elif what == "duration_ns":
                moved[place] = float(round(moved[place] * 2**share))  # whole samples
            else:
                moved[place] = min(1.0, moved[place] * 2**share)
            tones.append(tuple(moved))
        return ReadoutExperiment(qubits, list(dict.fromkeys(tones)))

    return Calibration(f"readout_{what}", 1,
                       (f"readout.{what}", "readout.angle_rad", "readout.threshold"),
                       "probability", tolerance, shots, build, _conclude)  # fmt: skip


def _tone(controls: Controls, qubits: tuple[int, ...]) -> Tone:
    amplitude, frequency_ghz, duration_ns = (controls.of(name, *qubits) for name in _TONE)
    return amplitude, frequency_ghz, duration_ns


def _conclude(data: ExperimentData, controls: Controls) -> Conclusion:
    qubits = tuple(data.metadata["physical_qubits"])
    angle, threshold = (read(data, name) for name in ("angle_rad", "threshold"))
    chosen = tuple(found(data, "tone")["value"])
    in_force = _tone(controls, qubits)
    clouds = clouds_of(data)
    nearest = min(clouds, key=lambda tone: math.dist(tone, in_force))
    names = ("readout.angle_rad", "readout.threshold")
    line = Line(*(controls.of(name, *qubits) for name in names))
    excess, spread = _excess(line.wrong(*clouds[nearest]),
                             Line(angle.value, threshold.value).wrong(*clouds[chosen]),
                             same_points=nearest == chosen)  # fmt: skip
    source = "readout_discrimination" if len(clouds) == 1 else "readout_tone"
    updates = [Update(Knob(name, qubits), one.value, one.uncertainty, source)
               for name, one in zip(names, (angle, threshold), strict=True)]  # fmt: skip
    updates += [Update(Knob(name, qubits), value, None, source)
                for name, value, old in zip(_TONE, chosen, in_force, strict=True)
                if value != old]  # fmt: skip
    deviation = Deviation(excess, spread, "probability", angle.good)
    return Conclusion(deviation, tuple(updates))


def _excess(
    wrong: NDArray[np.bool_], wrong_at_best: NDArray[np.bool_], *, same_points: bool
) -> tuple[float, float]:
    """How much more often the first errs, and one standard deviation; [state, shot] each.

    On the same points only those count of which the two judge differently (McNemar): their number
    is what the difference is uncertain by, and what is common to both is not.
    """
    shots = wrong.shape[1]
    if same_points:
        variance = np.var(wrong.astype(float) - wrong_at_best, axis=1).sum()
    else:
        variance = (np.var(wrong, axis=1) + np.var(wrong_at_best, axis=1)).sum()
    # At least one point is taken to differ: none seen does not mean none at all.
    spread = math.sqrt(max(float(variance) * shots, 1.0)) / (2 * shots)
    return float(wrong.mean() - wrong_at_best.mean()), spread

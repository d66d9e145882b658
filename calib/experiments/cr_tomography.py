"""Cross resonance: the six rates of a tone's Hamiltonian, from the target's Bloch vector."""

from __future__ import annotations

import cmath
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
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from calib.controls import Controls, Knob, Update
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.experiments.fits import Estimate, binomial_sigma
from calib.experiments.readings import Results, counted, read, result
from calib.gates import CrossResonancePulse

_TERMS = ("IX", "IY", "IZ", "ZX", "ZY", "ZZ")
# P(1) = (1 + sign·component)/2 for the circuits of `CRTomography.circuits`.
_SIGNS = {"x": 1.0, "y": -1.0, "z": -1.0}

Array = NDArray[np.floating]


class CRTomographyAnalysis(BaseAnalysis):
    """Results: IX, IY, IZ, ZX, ZY, ZZ in MHz, and `delay_ns`, what a tone's edges cost.

    With the control in |c⟩ the target turns from |0⟩ about the vector Ω_c by |Ω_c|·(t − delay);
    IP and ZP are half of the sum and half of the difference of Ω_0 and Ω_1: H/2π = Σ rate·P/2.
    Vectors are guessed from the rotation that takes each point of the trajectory to the next
    (Kabsch's algorithm), then both trajectories are fitted together with the readout's contrast
    and offset.
    """

    def _run_analysis(self, experiment_data: ExperimentData) -> Results:
        times_ns, rates, sigma = _tables(experiment_data)
        step_ns = float(times_ns[1] - times_ns[0])
        start = [*(_guess(2 * rates[control] - 1, step_ns) for control in (0, 1))]
        scale = sigma[..., None] if sigma.ndim < rates.ndim else sigma

        def residuals(p: Array) -> Array:
            model = [p[7] + p[8] / 2 * _trajectory(p[3 * c : 3 * c + 3], times_ns - p[6])
                     for c in (0, 1)]  # fmt: skip
            return ((np.stack(model) - rates) / scale).ravel()

        fit = least_squares(residuals, [*start[0], *start[1], 0.0, 0.5, 1.0])
        freedom = max(rates.size - len(fit.x), 1)
        chi2 = 2 * float(fit.cost) / freedom
        covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * max(1.0, chi2)
        to_mhz = 1e3 / (2 * math.pi)
        halves = np.kron([[0.5, 0.5], [0.5, -0.5]], np.eye(3)) * to_mhz
        values = halves @ fit.x[:6]
        spread = np.sqrt(np.diag(halves @ covariance[:6, :6] @ halves.T))
        good = bool(abs(fit.x[8]) > 0.3 and spread.max() < max(0.1 * np.abs(values).max(), 0.05))
        results = [result(term, Estimate(float(value), float(one), chi2), "MHz", good=good)
                   for term, value, one in zip(_TERMS, values, spread, strict=True)]  # fmt: skip
        delay = Estimate(float(fit.x[6]), math.sqrt(covariance[6, 6]), chi2)
        return [*results, result("delay_ns", delay, "ns", good=good)], []


def _tables(data: ExperimentData) -> tuple[Array, Array, Array]:
    """Lengths [t], P(component = +1) [control, t, component] with standard deviations."""
    ones: dict[tuple[int, float, str], float] = {}
    sigmas: dict[tuple[int, float, str], float] = {}
    for reading in counted(data):
        metadata = reading.metadata
        key = (metadata["control"], metadata["duration_ns"], metadata["component"])
        share = reading.ones / reading.shots
        ones[key] = share if _SIGNS[key[2]] > 0 else 1 - share
        sigmas[key] = float(binomial_sigma(reading.ones, reading.shots))
    times = sorted({key[1] for key in ones})

    def table(values: dict[tuple[int, float, str], float]) -> Array:
        return np.array([[[values[c, t, axis] for axis in "xyz"] for t in times] for c in (0, 1)])

    return np.array(times), table(ones), table(sigmas)


def _guess(vectors: Array, step_ns: float) -> Array:
    """Ω in rad/ns from Bloch vectors [t, 3] at equal steps: the rotation of each to the next."""
    rotation = Rotation.align_vectors(vectors[1:], vectors[:-1])[0]
    return rotation.as_rotvec() / step_ns


def _trajectory(omega: Array, times_ns: Array) -> Array:
    """The Bloch vector that starts at +z, [t, 3]."""
    turns = Rotation.from_rotvec(np.outer(times_ns, omega))
    return turns.apply([0.0, 0.0, 1.0])


class CRTomography(BaseExperiment):
    """A tone of varied length with the control in |0⟩ and |1⟩; then the target's X, Y or Z.

    `tone` is amplitude, phase_rad, cancel_amplitude, cancel_phase_rad. Lengths are equally spaced.

    >>> len(CRTomography((0, 1), [50.0, 100.0, 150.0], (0.3, 0.0, 0.0, 0.0)).circuits())
    18
    """

    def __init__(
        self,
        physical_qubits: Sequence[int],
        durations_ns: Sequence[float],
        tone: tuple[float, float, float, float],
        backend: Backend | None = None,
    ) -> None:
        super().__init__(physical_qubits, analysis=CRTomographyAnalysis(), backend=backend)
        self.set_experiment_options(
            durations_ns=tuple(map(float, durations_ns)), tone=tuple(map(float, tone))
        )

    @classmethod
    def _default_experiment_options(cls) -> Options:
        options = super()._default_experiment_options()
        options.update_options(durations_ns=(), tone=())
        return options

    def circuits(self) -> list[QuantumCircuit]:
        """Three components for each length and state of the control."""
        options = self.experiment_options
        circuits = []
        for duration_ns in options.durations_ns:
            for control in (0, 1):
                start = QuantumCircuit(2, 1)
                if control:
                    start.x(0)
                start.barrier()
                amplitude, phase, cancel, cancel_phase = options.tone
                pulse = CrossResonancePulse(amplitude, phase, cancel, cancel_phase, duration_ns)
                start.append(pulse, [0, 1])
                for component in "xyz":
                    circuit = start.copy()
                    if component == "x":
                        circuit.rz(-math.pi / 2, 1)
                    if component != "z":
                        circuit.sx(1)
                    circuit.measure(1, 0)
                    circuit.metadata = {"duration_ns": duration_ns, "control": control,
                                        "component": component}  # fmt: skip
                    circuits.append(circuit)
        return circuits


_TONE = ("amplitude", "phase_rad", "cancel_amplitude", "cancel_phase_rad")


def cr_tomography(
    *, points: int = 15, longest: float = 4.0, tolerance_rad: float = 0.05, shots: int = 400
) -> Calibration:
    """Tone and cancellation of an ECR gate, from tones up to `longest` times as long as its own.

    Each of the gate's two tones must turn the target by ±π/4 about X: the deviation is the
    distance of 2π·(ZX + i·ZY)·t from π/4, in rad. The cancellation removes IX and IY; what one
    unit of it does is taken from the target's X pulse.
    """

    def build(controls: Controls, qubits: tuple[int, ...]) -> BaseExperiment:
        duration = controls.of("ecr.duration_ns", *qubits)
        first, second, third, fourth = (controls.of(f"ecr.{name}", *qubits) for name in _TONE)
        durations = np.linspace(0.5, longest, points) * duration
        return CRTomography(qubits, durations.tolist(), (first, second, third, fourth))

    def conclude(data: ExperimentData, controls: Controls) -> Conclusion:
        qubits = tuple(data.metadata["physical_qubits"])
        terms = {term: read(data, term) for term in _TERMS}
        delay_ns = read(data, "delay_ns")
        length_ns = controls.of("ecr.duration_ns", *qubits) - delay_ns.value
        to_rad = 2e-3 * math.pi * length_ns
        angle = to_rad * complex(terms["ZX"].value, terms["ZY"].value)
        spread = math.hypot(to_rad * terms["ZX"].uncertainty,
                            abs(angle) * delay_ns.uncertainty / length_ns)  # fmt: skip
        disturbance = complex(terms["IX"].value, terms["IY"].value)
        values = _next_tone(controls, qubits, angle, disturbance)
        relative = spread / abs(angle)
        # An effect that its own uncertainty nearly hides says nothing of how to change the tone.
        trusted = terms["ZX"].good and relative < 0.2
        deviation = Deviation(abs(angle - math.pi / 4), spread, "rad", trusted)
        sizes = _spreads(controls, qubits, values, relative, math.hypot(
            terms["IX"].uncertainty, terms["IY"].uncertainty) / math.sqrt(2))  # fmt: skip
        updates = tuple(Update(Knob(f"ecr.{name}", qubits), value, sizes[name], "cr_tomography")
                        for name, value in values.items())  # fmt: skip
        return Conclusion(deviation, updates)

    return Calibration("cr_tomography", 2, tuple(f"ecr.{name}" for name in _TONE), "rad",
                       tolerance_rad, shots, build, conclude)  # fmt: skip


def _next_tone(
    controls: Controls, qubits: tuple[int, ...], angle: complex, disturbance_mhz: complex
) -> dict[str, float]:
    """The tone that turns by π/4 about X, and the cancellation that then belongs to it."""
    amplitude, phase, cancel, cancel_phase = (controls.of(f"ecr.{n}", *qubits) for n in _TONE)
    # All that the tone does grows with its amplitude and turns with its phase, to first order.
    change = math.pi / 4 / angle
    most = min(abs(change) * abs(amplitude), 1.0) / abs(amplitude)
    change *= most / abs(change)
    removed = disturbance_mhz / _mhz_per_unit(controls, qubits[1:])
    cancelling = (cmath.rect(cancel, cancel_phase) - removed) * change
    return {
        "amplitude": amplitude * abs(change),
        "phase_rad": math.remainder(phase + cmath.phase(change), 2 * math.pi),
        "cancel_amplitude": min(abs(cancelling), 1.0),
        "cancel_phase_rad": cmath.phase(cancelling),
    }


def _mhz_per_unit(controls: Controls, target: tuple[int, ...]) -> float:
    """What full amplitude of the cancellation does, from the target's X pulse."""
    # An X pulse turns by π with about half (its envelope's mean) of amplitude times length.
    area_ns = controls.of("x.amplitude", *target) * controls.of("x.duration_ns", *target) / 2
    return 1e3 / (2 * area_ns)


def _spreads(
    controls: Controls,
    qubits: tuple[int, ...],
    values: dict[str, float],
    relative: float,
    disturbance_mhz: float,
) -> dict[str, float]:
    """One standard deviation of each setting: `relative` is that of the angle per tone.

    A complex number known to r of its size has a phase known to r.
    """
    before = controls.of("ecr.amplitude", *qubits)
    scale = values["amplitude"] / before
    from_rates = scale * disturbance_mhz / abs(_mhz_per_unit(controls, qubits[1:]))
    size = math.hypot(from_rates, relative * values["cancel_amplitude"])
    return {
        "amplitude": relative * values["amplitude"],
        "phase_rad": relative,
        "cancel_amplitude": size,
        "cancel_phase_rad": min(size / max(values["cancel_amplitude"], 1e-12), math.pi),
    }

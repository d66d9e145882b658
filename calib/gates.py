"""Pulses as Qiskit instructions: what a circuit plays when no calibrated gate is meant.

Not as gates: the transpiler would ask a gate for its matrix, which only the device knows.
"""

from __future__ import annotations

from qiskit.circuit import Instruction


class DrivePulse(Instruction):
    """A DRAG pulse on one qubit's drive line, at its drive frequency plus `detuning_mhz`."""

    def __init__(
        self,
        amplitude: float,
        drag_ns: float,
        detuning_mhz: float,
        phase_rad: float,
        duration_ns: float,
    ) -> None:
        super().__init__("drive", 1, 0, [amplitude, drag_ns, detuning_mhz, phase_rad, duration_ns])


class FluxPulse(Instruction):
    """A coupler pulse on a pair: `cz` at these settings, its virtual phases included."""

    def __init__(
        self, amplitude: float, duration_ns: float, phase_a_rad: float, phase_b_rad: float
    ) -> None:
        super().__init__("flux", 2, 0, [amplitude, duration_ns, phase_a_rad, phase_b_rad])


class CrossResonancePulse(Instruction):
    """One cross-resonance tone without echo: the control driven at the target's frequency."""

    def __init__(
        self,
        amplitude: float,
        phase_rad: float,
        cancel_amplitude: float,
        cancel_phase_rad: float,
        duration_ns: float,
    ) -> None:
        super().__init__(
            "cr", 2, 0, [amplitude, phase_rad, cancel_amplitude, cancel_phase_rad, duration_ns]
        )


class ReadoutPulse(Instruction):
    """A measurement at these settings of the readout, instead of those in force."""

    def __init__(self, amplitude: float, frequency_ghz: float, duration_ns: float) -> None:
        super().__init__("readout", 1, 1, [amplitude, frequency_ghz, duration_ns])

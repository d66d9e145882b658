"""A backend's reported properties as noise: Pauli channels of gates, waiting, readout, reset."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from calib.snapshot import Snapshot
from decoders.noise.rates import PauliRates, Relaxation

_NEVER_US = 1e12  # stands for a coherence time that is not reported


class Unreported(BaseModel):
    """What no backend reports, and noise has all the same.

    Slow detuning lets a waiting qubit turn by an angle that is the same in all of one waiting;
    pulses in its middle undo it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reset_error: float | None = Field(
        default=None,
        description="flip after a reset; by default half of the sum of the qubit's two reading "
        "errors, since a reset is a reading and a flip",
        ge=0,
        le=0.5,
    )
    relaxing_reads: bool = Field(
        default=True, description="whether qubits go on relaxing while they are read"
    )
    detuning_khz: float = Field(
        default=0.0, description="slow detuning of each qubit, root mean square", ge=0
    )
    scale: float = Field(
        default=1.0,
        description="all errors of gates, readout and waiting times this, as what-if",
        gt=0,
    )


AS_REPORTED = Unreported(reset_error=0.0, relaxing_reads=False)
"""Nothing but what is reported, as Qiskit Aer's own noise model of a backend has it."""


@dataclass(frozen=True)
class GateNoise:
    """A gate's noise: each of its qubits relaxes for its length, then all are depolarized.

    `depolarizing` is stim's argument: the probability of any Pauli but the identity.
    """

    length_ns: float
    depolarizing: float


class DeviceNoise:
    """Rates of noise from a snapshot of properties, and what it leaves out.

    >>> from calib.from_backend import fake_backend
    >>> noise = DeviceNoise(Snapshot.of(fake_backend("fake_torino")))
    >>> gate = noise.gate("cz", (5, 6))
    >>> gate.length_ns, 0.001 < gate.depolarizing < 0.01
    (68.0, True)
    """

    def __init__(self, snapshot: Snapshot, unreported: Unreported | None = None) -> None:
        self.snapshot = snapshot
        self.unreported = unreported or Unreported()
        self._gates: dict[tuple[str, tuple[int, ...]], GateNoise] = {}

    def waiting(self, qubit: int, length_ns: float) -> PauliRates:
        """The Pauli twirl of a qubit's relaxation in this time."""
        return self._times(qubit).pauli_rates(length_ns * self.unreported.scale)

    def decay(self, qubit: int, length_ns: float) -> float:
        """The probability that |1⟩ becomes |0⟩ in this time."""
        return -math.expm1(-length_ns * self.unreported.scale / 1e3 / self._times(qubit).t1_us)

    def dephasing(self, length_ns: float) -> float:
        """The probability of Z from slow detuning over a time that pulses did not undo.

        The angle φ = 2πδt is normal, and the mean of sin²(φ/2) is (1 − exp(−φ²/2)) / 2.
        """
        angle = 2 * math.pi * self.unreported.detuning_khz * 1e3 * length_ns * 1e-9
        return -math.expm1(-(angle**2) / 2) / 2

    def gate(self, name: str, qubits: tuple[int, ...]) -> GateNoise:
        """The noise of a gate that is not virtual; ValueError where it does not work.

        As in Aer's model: what relaxation does not explain of the reported infidelity is
        depolarizing. With F the entanglement fidelity that relaxation leaves and F' that reported,
        1 − e (d + 1) / d, the share of full mixing is (F − F') / (F − 1 / d²).
        """
        if (name, qubits) not in self._gates:
            self._gates[name, qubits] = self._gate(name, qubits)
        return self._gates[name, qubits]

    def _gate(self, name: str, qubits: tuple[int, ...]) -> GateNoise:
        reported = self.snapshot.operation(name, qubits)
        if not reported.works:
            raise ValueError(
                f"{name} on {list(qubits)} of {self.snapshot.backend} does not work (its error is "
                "reported as 1): choose another placement"
            )
        length_ns, dimension = reported.duration_ns or 0.0, 2 ** len(qubits)
        left = 1.0
        for qubit in qubits:
            rates = self.waiting(qubit, length_ns)
            left *= 1 - rates.px - rates.py - rates.pz
        error = self.unreported.scale * (reported.error or 0.0)
        wanted = 1 - error * (dimension + 1) / dimension
        mixed = max(0.0, (left - wanted) / (left - 1 / dimension**2))
        return GateNoise(length_ns, min(mixed, 1.0) * (1 - 1 / dimension**2))

    def reading(self, qubit: int, name: str = "measure") -> tuple[float, float]:
        """The probabilities to read 0 as 1, and 1 as 0."""
        errors = self.snapshot.reading_errors(qubit, name)
        return min(errors[0] * self.unreported.scale, 0.5), min(
            errors[1] * self.unreported.scale, 0.5
        )

    def reset(self, qubit: int) -> float:
        """The probability that a reset leaves |1⟩."""
        given = self.unreported.reset_error
        return sum(self.reading(qubit)) / 2 if given is None else given

    def length_ns(self, name: str, qubit: int) -> float:
        """How long an operation on one qubit takes."""
        return self.snapshot.operation(name, (qubit,)).duration_ns or 0.0

    def times_us(self, qubit: int) -> tuple[float, float]:
        """T1 and T2, at most 2 T1; very long where they are not reported."""
        times = self._times(qubit)
        return times.t1_us, times.t2_us

    def _times(self, qubit: int) -> Relaxation:
        t1_us = self.snapshot.t1_us[qubit] or _NEVER_US
        t2_us = self.snapshot.t2_us[qubit] or 2 * t1_us
        return Relaxation(t1_us=t1_us, t2_us=min(t2_us, 2 * t1_us))

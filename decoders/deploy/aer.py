"""Qiskit Aer's noise model of a backend, with what backends do not report added as channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from decoders.baselines.extras import optional_module
from decoders.deploy.device_noise import DeviceNoise
from decoders.deploy.isa import used_qubits

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.providers import BackendV2

_PLAIN = {"measure_2": "measure", "reset_2": "reset"}  # which Aer does not know


def noise_model(backend: BackendV2, noise: DeviceNoise) -> Any:
    """Aer's own model; readout errors differ for 0 and 1, as properties have it."""
    aer_noise = optional_module("qiskit_aer.noise", extra="aer")
    model = aer_noise.NoiseModel.from_backend(backend)
    for qubit in range(backend.num_qubits):
        up, down = noise.reading(qubit)
        readout = aer_noise.ReadoutError([[1 - up, up], [down, 1 - down]])
        model.add_readout_error(readout, [qubit], warnings=False)
    return model


def restricted(model: Any, qubits: set[int]) -> Any:
    """The model's noise on these qubits alone: Aer takes seconds a circuit for that of all others.

    Aer has no public way to the errors of a model; the same bits come out.
    """
    aer_noise = optional_module("qiskit_aer.noise", extra="aer")
    found = aer_noise.NoiseModel(basis_gates=model.basis_gates)
    for name, errors in model._local_quantum_errors.items():
        for at, error in errors.items():
            if set(at) <= qubits:
                found.add_quantum_error(error, name, at, warnings=False)
    for at, error in model._local_readout_errors.items():
        if set(at) <= qubits:
            found.add_readout_error(error, at, warnings=False)
    found._custom_noise_passes.extend(model._custom_noise_passes)
    return found


def with_unreported(circuit: QuantumCircuit, noise: DeviceNoise) -> QuantumCircuit:
    """The circuit with resets that fail, and qubits that relax while they are read."""
    aer_noise = optional_module("qiskit_aer.noise", extra="aer")
    found = circuit.copy_empty_like()
    for qubit in used_qubits(circuit):
        if noise.reset(qubit):
            found.append(_flip(aer_noise, noise.reset(qubit)), [qubit])
    for one in circuit.data:
        name = _PLAIN.get(one.operation.name, one.operation.name)
        if name == "measure":
            found.measure(one.qubits[0], one.clbits[0])
        elif name == "reset":
            found.reset(one.qubits[0])
        else:
            found.append(one)
        qubit = circuit.find_bit(one.qubits[0]).index
        if name == "reset" and noise.reset(qubit):
            found.append(_flip(aer_noise, noise.reset(qubit)), [qubit])
        if name == "measure" and noise.unreported.relaxing_reads:
            length_ns = noise.length_ns(one.operation.name, qubit) / 2
            found.append(_relaxed(aer_noise, noise, qubit, length_ns), [qubit])
    return found


def _flip(aer_noise: Any, chance: float) -> Any:
    return aer_noise.pauli_error([("X", chance), ("I", 1 - chance)]).to_instruction()


def _relaxed(aer_noise: Any, noise: DeviceNoise, qubit: int, length_ns: float) -> Any:
    t1_us, t2_us = noise.times_us(qubit)
    return aer_noise.thermal_relaxation_error(t1_us, t2_us, length_ns / 1e3).to_instruction()

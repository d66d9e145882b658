"""What a device can do, as Qiskit's target: instructions, couplings and lengths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qiskit.circuit import Delay, Measure, Parameter, Reset
from qiskit.circuit.library import CZGate, ECRGate, IGate, RZGate, SXGate, XGate
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

from calib.controls import Knob
from calib.device import Device
from calib.gates import CrossResonancePulse, DrivePulse, FluxPulse, ReadoutPulse
from calib.schedule import gate_play

Lengths = Mapping[tuple[int, ...], InstructionProperties]


def device_target(device: Device) -> Target:
    """The device's instructions, with no error rates, as nobody knows them, and dt = 1 ns.

    Lengths are those of the controls in force, frequencies those of the drives.
    """
    controls, timing = device.controls, device.config.timing
    singles = [(qubit,) for qubit in range(device.qubits)]
    properties = [
        QubitProperties(frequency=controls[Knob("frequency_ghz", qubit)] * 1e9) for qubit in singles
    ]
    target = Target("a simulated processor", num_qubits=device.qubits, dt=1e-9,
                    qubit_properties=properties)  # fmt: skip
    target.add_instruction(RZGate(Parameter("angle")), _fixed(0.0, singles))
    target.add_instruction(SXGate(), _of_gate("sx", singles, device))
    target.add_instruction(XGate(), _of_gate("x", singles, device))
    target.add_instruction(IGate(), _fixed(timing.one_qubit_ns, singles))
    target.add_instruction(Reset(), _fixed(timing.reset_ns, singles))
    readout_ns = {qubit: controls.of("readout.duration_ns", *qubit) for qubit in singles}
    target.add_instruction(Measure(), _lengths(readout_ns))
    target.add_instruction(Delay(Parameter("duration")), dict.fromkeys(singles))
    target.add_instruction(DrivePulse(*_free(5)), dict.fromkeys(singles))
    target.add_instruction(ReadoutPulse(*_free(3)), dict.fromkeys(singles))
    _add_pairs(target, device)
    return target


def _add_pairs(target: Target, device: Device) -> None:
    """CZ in both directions, ECR from the control to the target, and their bare pulses."""
    if device.config.entangler == "cz":
        one_way = _of_gate("cz", device.pairs, device)
        both = {**one_way, **{(b, a): one_way[a, b] for a, b in device.pairs}}
        target.add_instruction(CZGate(), both)
        target.add_instruction(FluxPulse(*_free(4)), dict.fromkeys(both))
    else:
        target.add_instruction(ECRGate(), _of_gate("ecr", device.pairs, device))
        target.add_instruction(CrossResonancePulse(*_free(5)), dict.fromkeys(device.pairs))


def _of_gate(gate: str, on: Iterable[tuple[int, ...]], device: Device) -> Lengths:
    return _lengths({q: gate_play(gate, q, device.controls).duration_ns for q in on})


def _fixed(duration_ns: float, on: Iterable[tuple[int, ...]]) -> Lengths:
    return _lengths(dict.fromkeys(on, duration_ns))


def _lengths(durations_ns: Mapping[tuple[int, ...], float]) -> Lengths:
    return {q: InstructionProperties(duration=1e-9 * length) for q, length in durations_ns.items()}


def _free(count: int) -> list[Any]:
    return [Parameter(f"p{k}") for k in range(count)]

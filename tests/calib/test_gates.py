"""Bare pulses in circuits: they pass the transpiler at every level, and arrive as they were."""

import math

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter

from calib.backend import DriftingBackend
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.gates import CrossResonancePulse, DrivePulse, FluxPulse, ReadoutPulse


def backend(entangler: str) -> DriftingBackend:
    table = {"seed": 7, "entangler": entangler, "topology": {"kind": "line", "qubits": 2}}
    return DriftingBackend(Device(DeviceConfig.model_validate(table)))


@pytest.mark.parametrize("level", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("entangler", ["cz", "ecr"])
def test_pulses_stand_among_gates_at_every_level(entangler: str, level: int | None):
    one = backend(entangler)
    height = Parameter("height")
    pair = FluxPulse(0.5, 44.0, 0.1, 0.2)
    if entangler == "ecr":
        pair = CrossResonancePulse(0.2, math.pi, 0.0, 0.0, 160.0)
    circuit = QuantumCircuit(2, 2)
    circuit.cx(1, 0)
    circuit.rz(0.3, 0)
    circuit.append(DrivePulse(height, 0.2, 0.0, 0.0, 32.0), [0])
    circuit.rz(0.3, 0)
    circuit.append(pair, [1, 0])
    circuit.h(1)
    circuit.cx(1, 0)
    circuit.append(pair, [1, 0])
    circuit.append(DrivePulse(0.3, 0.2, 0.0, 0.0, 32.0), [1])
    circuit.measure(0, 0)
    circuit.append(ReadoutPulse(0.5, 7.0, 1200.0), [1], [1])
    ready = transpile(circuit, one, optimization_level=level, initial_layout=[0, 1])
    counts = ready.count_ops()
    assert (counts["drive"], counts[pair.name], counts["readout"]) == (2, 2, 1)
    heights = [operation.operation.params[0] for operation in ready.data
               if operation.operation.name == "drive"]  # fmt: skip
    assert set(heights) == {height, 0.3}
    result = one.run(ready.assign_parameters([0.29]), shots=100, memory=True).result()
    assert len(result.get_memory()) == 100

"""The judge's figures against qiskit.quantum_info on the same channels."""

import math

import numpy as np
import pytest
from qiskit.circuit.library import CZGate, ECRGate, SXGate, XGate
from qiskit.quantum_info import PTM, Operator, average_gate_fidelity, process_fidelity

from calib.controls import Knob
from calib.judge import gate_errors, ideal_transfer
from calib.play_channels import channels
from calib.schedule import gate_play

GATES = {"sx": SXGate(), "x": XGate(), "cz": CZGate(), "ecr": ECRGate()}


def qiskits(gate):
    """Qiskit's gate with the first qubit first."""
    operator = Operator(GATES[gate])
    return operator.reverse_qargs() if GATES[gate].num_qubits == 2 else operator


@pytest.mark.parametrize("gate", GATES)
def test_ideal_gates_are_qiskits(gate):
    assert ideal_transfer(gate).numpy() == pytest.approx(
        np.real(PTM(qiskits(gate)).data), abs=1e-12
    )


def block_of(matrix, qubits):
    kept = range(4) if qubits == 1 else [9 * a + b for a in range(4) for b in range(4)]
    return matrix[np.ix_(kept, kept)]


def test_infidelities_are_qiskits(make_backend):
    """On a device that is off by a few percent; leakage L counts (d F_e + 1 − L)/(d + 1)."""
    device = make_backend(3, start={"amplitude": 0.03, "axis_rad": 0.0, "phase_rad": 0.2}).device
    errors = gate_errors(device)
    assert [(e.gate, e.qubits) for e in errors] == [
        *((gate, (q,)) for q in range(3) for gate in ("sx", "x")),
        *(("cz", pair) for pair in device.pairs),
    ]
    for error in errors:
        if error.gate != "cz":  # the frames of the CZs' judge are those of their qubits' SX
            play = gate_play(error.gate, error.qubits, device.controls)
            found = channels([(0, play)], device.moments([0.0]))[0, play]
            transfer = PTM(block_of(found, 1))
            theirs = process_fidelity(transfer, Operator(GATES[error.gate]), require_cp=False,
                                      require_tp=False)  # fmt: skip
            leaked = 1 - found[0, 0]
            assert error.leakage == pytest.approx(leaked, abs=1e-12)
            # An SX whose axis is a little off X is judged about its own axis: at most 1e-6 here.
            expected = 1 - (2 * theirs + 1 - leaked) / 3
            assert error.infidelity == pytest.approx(expected, rel=0.02)
        assert sum(error.pauli) == pytest.approx(1 - error.leakage)
        assert error.ratio == pytest.approx(error.infidelity / error.coherence_limit)


def test_average_gate_fidelity_without_leakage_is_qiskits(make_backend):
    device = make_backend(1).device
    error = gate_errors(device)[1]
    play = gate_play("x", (0,), device.controls)
    transfer = PTM(block_of(channels([(0, play)], device.moments([0.0]))[0, play], 1))
    theirs = average_gate_fidelity(transfer, Operator(XGate()), require_cp=False, require_tp=False)
    assert 1 - error.infidelity == pytest.approx(theirs, abs=3 * error.leakage + 1e-6)


def test_textbook_gates_are_near_the_coherence_limit(make_backend):
    errors = gate_errors(make_backend(3).device)
    assert all(1 <= e.ratio < 1.1 for e in errors if e.gate != "cz")


def test_turning_all_pulses_of_a_qubit_changes_nothing_that_is_judged(make_backend):
    device = make_backend(2).device
    before = gate_errors(device)
    for gate in ("sx", "x"):
        device.controls[Knob(f"{gate}.phase_rad", (0,))] += 0.4
    after = gate_errors(device)
    for one, other in zip(before, after, strict=True):
        assert other.infidelity == pytest.approx(one.infidelity, rel=1e-6)


def test_an_amplitude_error_costs_what_the_closed_form_says(make_backend):
    """1 − F of a rotation too far by ε: (1 − cos ε)/3 · (2/2) … = ε²/6 to second order."""
    device = make_backend(1, qubit={"t1_us": 1e7, "t2_us": 1e7}).device
    device.controls[Knob("x.amplitude", (0,))] *= 1 + 0.1 / math.pi
    error = gate_errors(device)[1]
    assert error.infidelity == pytest.approx((1 - math.cos(0.1)) / 3, rel=0.05)
    assert error.pauli[1] == pytest.approx(math.sin(0.05) ** 2, rel=0.05)

"""Jobs: the time they take, what they refuse, and neighbours that decay while nobody plays them."""

import cmath
import math

import numpy as np
import pytest
from qiskit import QuantumCircuit

from calib import exact, execution, trajectories
from calib.execution import execute
from calib.schedule import timeline

ZZ_KHZ, T1_US, T2_US = 40.0, 60.0, 50.0


@pytest.fixture
def coupled(make_backend):
    qubit = {"t1_us": T1_US, "t2_us": T2_US, "thermal_population": 0.0}
    return make_backend(2, qubit=qubit, pair={"zz_khz": ZZ_KHZ})


def ramsey_beside_one(wait_us, *, read_first):
    """Qubit 0 in level 1, if asked for read out at once; a Ramsey experiment on qubit 1."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    if read_first:
        circuit.measure(0, 0)
    circuit.sx(1)
    circuit.delay(wait_us, 1, unit="us")
    circuit.sx(1)
    circuit.measure(1, 1)
    return circuit


def fringe(wait_us, start_us):
    """P(1) after SX, wait, SX beside a neighbour that decays from level 1 since `start_us`.

    The coherence of the qubit with the neighbour still in 1 decays with λ = 1/T1 + iζ, what has
    left it turns no more: e^(−λt) + (1 − e^(−λt))/(λ T1).
    """
    lam = 1 / T1_US + 2j * math.pi * ZZ_KHZ * 1e-3
    left_us = wait_us - start_us
    whole = cmath.exp(-lam * left_us) + (1 - cmath.exp(-lam * left_us)) / (lam * T1_US)
    whole *= cmath.exp(-2j * math.pi * ZZ_KHZ * 1e-3 * start_us)
    return (1 + math.exp(-wait_us / T2_US) * whole.real) / 2


@pytest.mark.parametrize("read_first", [False, True])
@pytest.mark.parametrize("wait_us", [7.0, 11.0, 60.0])
def test_a_qubit_left_alone_goes_on_decaying_and_turning_its_neighbour(
    coupled, wait_us, read_first
):
    """Readout errors are taken out with those of 0 and 1, all of 8,000 shots, 5 σ (6e-7)."""
    shots, device = 8000, coupled.device
    circuits = [ramsey_beside_one(wait_us, read_first=read_first)]
    for level in (0, 1):
        circuits.append(QuantumCircuit(2, 2))
        if level:
            circuits[-1].x(1)
        circuits[-1].measure(1, 1)
    outcomes, _ = execute(device, circuits, shots, np.random.default_rng(1))
    found, bottom, top = (one.bits[:, 1].mean() for one in outcomes)
    expected = bottom + (top - bottom) * fringe(wait_us + 0.032, 0.0)
    # 1e-2 for errors and decay in the pulses themselves, at up to 0.3 of a turn a µs.
    assert abs(found - expected) < 5 * math.sqrt(2 * 0.25 / shots) + 1e-2


def simulators(device, circuits):
    """Which simulator each set of qubits of each circuit goes to."""
    plans = [timeline(one, device.controls, device.pairs, device.config.timing) for one in circuits]
    job = execution._Job(device, plans, [0.0] * len(plans), 5)
    return [[job._simulator(events, group, job.zz[0])
             for group, events in zip(job.groups[k], job.events[k], strict=True)]
            for k in range(len(plans))], job  # fmt: skip


def test_early_readouts_take_random_shots_only_where_it_matters(coupled):
    circuits = [ramsey_beside_one(wait, read_first=True) for wait in (0.02, 60.0)]
    found, _ = simulators(coupled.device, circuits)
    assert found == [[exact.run], [trajectories.run]]


def test_parallel_experiments_of_one_length_gain_no_events(coupled):
    circuit = QuantumCircuit(2, 2)
    for qubit in range(2):
        circuit.x(qubit)
        circuit.delay(2, qubit, unit="us")
        circuit.measure(qubit, qubit)
    found, job = simulators(coupled.device, [circuit])
    assert found == [[exact.run]]
    idle_ns = [e.action.duration_ns for e in job.events[0][0] if e.action.qubits == (0,)]
    assert sum(idle_ns) == pytest.approx(32 + 2000 + 1200)


def test_idles_of_narrow_sets_are_cut_even_beside_a_wide_one(make_backend):
    device = make_backend(7, pair={"zz_khz": 50.0}).device
    circuit = QuantumCircuit(7)
    for qubit in range(3):
        circuit.cz(qubit, qubit + 1)
    for qubit in (0, 5, 6):
        circuit.x(qubit)
        circuit.delay(20, qubit, unit="us")
        circuit.x(qubit)
    plan = timeline(circuit, device.controls, device.pairs, device.config.timing)
    job = execution._Job(device, [plan], [0.0], 3)
    assert job.groups == [[(0, 1, 2, 3), (5, 6)]]
    waits = [
        [event.action.duration_ns for event in part
         if event.action.qubits in ((0,), (5,)) and getattr(event.action, "kind", "") == "idle"]
        for part in job.events[0]
    ]  # fmt: skip
    assert max(waits[0]) == pytest.approx(20_000)  # twirled: in one piece
    turn = 2 * math.pi * 50e-6 * 20_000
    assert waits[1] == pytest.approx([20_000 / math.ceil(turn / 0.25)] * math.ceil(turn / 0.25))


def test_a_job_that_fails_takes_no_time(make_backend):
    backend = make_backend(3, exact_qubits=2)
    circuit = QuantumCircuit(3, 3)
    circuit.cz(0, 1)
    circuit.cz(1, 2)
    circuit.rz(0.3, 1)
    with pytest.raises(ValueError, match="not a Clifford"):
        execute(backend.device, [circuit], 10, np.random.default_rng(1), exact_qubits=2)
    assert backend.device.time_s == 0.0


@pytest.mark.parametrize("exact_qubits", [0, -3, 9, 14])
def test_exact_states_have_one_to_eight_qubits(make_backend, exact_qubits):
    """9⁸ real numbers of 8 bytes are 0.344 GB; 9¹⁴ would be 183,000 GB."""
    device, circuit = make_backend(1).device, QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    says = rf"exact_qubits must be within 1 and 8, got {exact_qubits}: .* 0\.34 GB at 8"
    with pytest.raises(ValueError, match=says):
        execute(device, [circuit], 10, np.random.default_rng(1), exact_qubits=exact_qubits)
    for allowed in (1, 8):
        execute(device, [circuit], 10, np.random.default_rng(1), exact_qubits=allowed)


def test_a_repetition_delay_of_the_job_replaces_the_devices(make_backend):
    timing = {"repetition_delay_us": 100.0, "circuit_overhead_s": 0.02, "job_overhead_s": 3.0}
    device = make_backend(1, timing=timing).device
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    _, spent = execute(device, [circuit], 500, np.random.default_rng(1), repetition_delay_s=1e-3)
    assert spent.device_time_s == pytest.approx(3.02 + 500 * (1e-3 + 1200e-9))
    assert device.time_s == pytest.approx(spent.device_time_s)

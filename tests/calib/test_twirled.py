"""Twirled sampling against closed forms, stim's own noise, and the exact path on few qubits."""

import dataclasses
import math
import time
from typing import Any

import numpy as np
import pytest
import stim
from qiskit import QuantumCircuit
from qiskit.circuit.library import CZGate, ECRGate, SXGate, XGate
from qiskit.quantum_info import PTM, Operator
from scipy.stats import chi2_contingency

from calib import trajectories, twirled
from calib.channels import basis
from calib.exact import Outcomes, Situation
from calib.gates import DrivePulse, FluxPulse
from calib.schedule import Event, Measure, Play, VirtualZ

REST = np.array([[1.0, 0.0, 0.0]])
SX = Play("drive", (0,), (0.5, 0.0, 0.0, 0.0, 20.0))
# Chances of a false alarm below are 1e-5 each unless they say otherwise; 5σ is 6e-7.


def perfect_readout(measure, levels, rng):
    return levels + 0j, levels > 0, levels


def embedded(block):
    """A channel on levels 0 and 1 as one on three levels; the rest never matters."""
    size = {4: 9, 16: 81}[len(block)]
    kept = range(4) if size == 9 else [9 * a + b for a in range(4) for b in range(4)]
    matrix = np.zeros((size, size))
    matrix[np.ix_(kept, kept)] = block
    return matrix


def ideal(gate):
    reversed_order = Operator(gate).reverse_qargs() if gate.num_qubits == 2 else Operator(gate)
    return np.real(PTM(reversed_order).data)


def depolarized(block, share):
    keep = np.full(len(block), 1 - share)
    keep[0] = 1
    return np.diag(keep) @ block


def situation(channels, gates, *, qubits, zz=None, thermal=0.0):
    rest = np.array([[1 - thermal, thermal, 0.0]] * qubits)
    matrices = {play: embedded(block) for play, block in channels.items()}
    frequencies = 4.7 + 0.1 * np.arange(qubits, dtype=np.float64)
    return Situation(rest, zz or {}, matrices, perfect_readout, gates, frequencies)


def run(simulator, actions, where, shots, *, seed=1):
    start_ns, events = 0.0, []
    for action in actions:
        events.append(Event(start_ns, action))
        start_ns += action.duration_ns
    clbits = sum(isinstance(action, Measure) for action in actions)
    qubits = tuple(range(len(where.populations)))
    outcomes = Outcomes.empty(shots, clbits)
    simulator(events, qubits, where, outcomes, np.random.default_rng(seed))
    return outcomes


def measure(qubit, clbit):
    return Measure((qubit,), clbit, 0.5, 7.0, 100.0)


def counts(outcomes):
    numbers = outcomes.bits @ (1 << np.arange(outcomes.bits.shape[1]))
    return np.bincount(numbers, minlength=2 ** outcomes.bits.shape[1])


def same_distribution(one, other):
    table = np.array([counts(one), counts(other)])
    rare = table.sum(axis=0) < 20
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    result: Any = chi2_contingency(table[:, table.sum(axis=0) > 0])
    return result.pvalue


@pytest.mark.parametrize("gate", [SXGate(), XGate(), CZGate(), ECRGate()])
def test_ideal_gates_are_qiskits(gate):
    assert twirled._transfer(twirled._GATES[gate.name]) == pytest.approx(ideal(gate), abs=1e-6)


def test_all_one_qubit_cliffords_are_candidates_and_differ():
    found = {
        tuple(np.round(twirled._transfer(c), 3).ravel()) for c in twirled._one_qubit_cliffords()
    }
    assert len(found) == 24


def test_a_depolarizing_gate_flips_as_often_as_it_must():
    share, repetitions, shots = 0.01, 40, 40_000
    where = situation({SX: depolarized(ideal(SXGate()), share)}, {SX: "sx"}, qubits=1)
    outcomes = run(twirled.run, [SX] * repetitions + [measure(0, 0)], where, shots)
    flipped = (1 - (1 - share) ** repetitions) / 2
    assert outcomes.bits.mean() == pytest.approx(
        flipped, abs=5 * math.sqrt(flipped * (1 - flipped) / shots)
    )


def test_zz_between_plays_flips_a_ramsey_fringe_as_its_twirl():
    """Phase errors after twirling: IZ and ZZ flip this qubit's phase, sin²(θ/2)/4 each."""
    zz, wait, shots = 1e-3, Play("idle", (0,), (500.0,)), 60_000
    where = situation({SX: ideal(SXGate()), wait: np.eye(4)}, {SX: "sx"}, qubits=2, zz={(1, 0): zz})
    outcomes = run(twirled.run, [SX, wait, SX, measure(0, 0)], where, shots)
    # From the middle of one pulse to that of the other; the readout is turned to its middle.
    angle = zz * 520
    first = math.sin(zz * 10 / 2) ** 2 / 2  # before the first pulse: the qubit is in 0
    lost = math.sin(angle / 2) ** 2 / 2
    assert first < 1e-4
    assert 1 - outcomes.bits.mean() == pytest.approx(lost, abs=5 * math.sqrt(lost / shots))


def test_stochastic_noise_gives_the_exact_distribution():
    """Pauli channels after Cliffords, thermal start, mid-circuit readout and reset: two ways."""
    cz, x = Play("flux", (0, 1), (1.0, 30.0, 0.0, 0.0)), Play("drive", (1,), (1.0, 0, 0, 0, 20.0))
    other, reset = Play("drive", (1,), (0.5, 0, 0, 0, 20.0)), Play("reset", (1,), (500.0,))
    noisy = {
        SX: depolarized(ideal(SXGate()), 0.08), other: depolarized(ideal(SXGate()), 0.05),
        x: depolarized(ideal(XGate()), 0.1), cz: depolarized(ideal(CZGate()), 0.15),
    }  # fmt: skip
    gates = {SX: "sx", other: "sx", x: "x", cz: "cz"}
    where = situation(noisy, gates, qubits=2, thermal=0.05)
    matrices = dict(where.channels)
    rest = np.zeros((9, 9))
    matrices[reset] = rest
    where = dataclasses.replace(where, channels=matrices)
    weights = np.einsum("inn->ni", basis(3).numpy()).real
    rest += np.outer(weights.T @ where.populations[1], weights.sum(axis=0))
    actions = [SX, other, cz, VirtualZ((0,), math.pi / 2), other, measure(1, 0), cz, reset, x,
               other, cz, other, SX, measure(0, 1), measure(1, 2)]  # fmt: skip
    shots = 40_000
    in_stim = run(twirled.run, actions, where, shots, seed=2)
    exactly = run(trajectories.run, actions, where, shots, seed=3)
    assert float(same_distribution(in_stim, exactly)) > 1e-5


def test_relaxation_is_twirled_as_known():
    """p_x = p_y = (1 − e^(−t/T1))/4, p_z = (1 − e^(−t/T2))/2 − p_x (arXiv:1210.5799)."""
    decay, dephasing = math.exp(-0.1), math.exp(-0.12)
    idle = Play("idle", (0,), (1000.0,))
    block = np.diag([1, dephasing, dephasing, decay])
    block[3, 0] = 1 - decay
    where = situation({idle: block}, {}, qubits=1)
    _, errors = twirled._twirl(idle, where)
    flip = (1 - decay) / 4
    expected = [1 - 2 * flip - ((1 - dephasing) / 2 - flip), flip, flip, (1 - dephasing) / 2 - flip]
    assert errors == pytest.approx(expected)


def test_what_leaks_is_depolarized():
    leak = Play("idle", (0,), (1.0,))
    where = situation({leak: 0.96 * np.eye(4)}, {}, qubits=1)
    _, errors = twirled._twirl(leak, where)
    assert errors == pytest.approx([0.97, 0.01, 0.01, 0.01])


def test_readouts_decay_stays_with_the_shot_that_showed_it():
    """The first readout says 1 and relaxes in a third of the shots: the second one shows it."""

    def decaying(_, levels, rng):
        stays = rng.random(len(levels)) > 1 / 3
        return levels + 1j * stays, levels > 0, np.where(stays, levels, 0)

    x = Play("drive", (0,), (1.0, 0.0, 0.0, 0.0, 20.0))
    where = dataclasses.replace(
        situation({x: ideal(XGate())}, {x: "x"}, qubits=1), readout=decaying
    )
    outcomes = run(twirled.run, [x, measure(0, 0), measure(0, 1)], where, 3000)
    assert outcomes.bits[:, 0].all()
    assert (outcomes.bits[:, 1] == (outcomes.iq[:, 0].imag > 0)).all()


def test_bare_pulses_near_a_clifford_are_taken_for_it(make_backend):
    backend = make_backend(2, exact_qubits=1)
    controls = backend.device.controls
    height, drag, detuning = [
        controls.of(f"x.{name}", 0) for name in ("amplitude", "drag_ns", "detuning_mhz")
    ]
    circuit = QuantumCircuit(2, 2)
    circuit.append(DrivePulse(height / 2, drag, detuning, math.pi / 2, 32.0), [0])  # SQRT_Y
    circuit.append(DrivePulse(height / 2, drag, detuning, -math.pi / 2, 32.0), [0])
    circuit.cz(0, 1)
    circuit.measure([0, 1], [0, 1])
    found = backend.run(circuit, shots=2000).result().get_counts()
    assert found["00"] > 1800


@pytest.mark.parametrize(
    ("add", "says"),
    [
        (lambda c: c.rz(0.3, 1), r"rz\(0.3\) on qubit 1 is not a Clifford gate"),
        (
            lambda c: c.append(DrivePulse(0.15, 0.0, 0.0, 0.7, 32.0), [1]),
            "'drive' pulse .* on qubit 1",
        ),
        (lambda c: c.append(FluxPulse(0.45, 20.0, 0.8, 0.8), [0, 1]), "'flux' pulse .* on qubits"),
    ],
)
def test_what_is_no_clifford_is_refused_with_advice(make_backend, add, says):
    backend = make_backend(3, exact_qubits=2)
    circuit = QuantumCircuit(3, 3)
    circuit.cz(0, 1)
    circuit.cz(1, 2)
    add(circuit)
    circuit.measure([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match=says) as refusal:
        backend.run(circuit)
    assert "exact_qubits" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def quiet(qubits):
    """No noise in any play: the readout is still real."""
    return {"qubit": {"t1_us": 1e7, "t2_us": 1e7, "thermal_population": 0.0}}


def test_iq_clouds_of_wide_circuits_lie_where_those_of_one_qubit_do(make_backend):
    wide, exactly = make_backend(2, exact_qubits=1), make_backend(2)
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.cz(0, 1)
    circuit.measure([0, 1], [0, 1])
    clouds = [np.array(backend.run(circuit, shots=4000, meas_level=1).result().get_memory())
              for backend in (wide, exactly)]  # fmt: skip
    spread = clouds[1].std(axis=0)
    difference = np.abs(clouds[0].mean(axis=0) - clouds[1].mean(axis=0))
    assert (difference < 6 * np.sqrt(2 / 4000) * np.abs(spread)).all()


def test_a_ghz_state_of_twenty_qubits_takes_seconds(make_backend):
    backend = make_backend(20)
    circuit = QuantumCircuit(20, 20)
    circuit.rz(math.pi / 2, 0)
    circuit.sx(0)
    circuit.rz(math.pi / 2, 0)
    for k in range(19):
        for _ in range(2):  # H, CZ, H
            circuit.rz(math.pi / 2, k + 1)
            circuit.sx(k + 1)
            circuit.rz(math.pi / 2, k + 1)
            if _ == 0:
                circuit.cz(k, k + 1)
    circuit.measure(range(20), range(20))
    begun = time.process_time()
    found = backend.run(circuit, shots=10_000, memory=True).result().get_memory()
    assert time.process_time() - begun < 10
    ones = np.array([shot.count("1") for shot in found])
    assert ones.size == 10_000


def test_a_chain_without_noise_is_a_ghz_state():
    """Ideal gates on 12 qubits: all zeros or all ones, equally often (5σ)."""
    qubits, shots, turn = 12, 10_000, math.pi / 2
    h = [Play("drive", (q,), (0.5, 0.0, 0.0, 0.0, 20.0)) for q in range(qubits)]
    cz = [Play("flux", (q, q + 1), (1.0, 30.0, 0.0, 0.0)) for q in range(qubits - 1)]
    channels = dict.fromkeys(h, ideal(SXGate())) | dict.fromkeys(cz, ideal(CZGate()))
    where = situation(channels, dict.fromkeys(h, "sx") | dict.fromkeys(cz, "cz"), qubits=qubits)
    actions = [VirtualZ((0,), turn), h[0], VirtualZ((0,), turn)]
    for q in range(1, qubits):
        hadamard = [VirtualZ((q,), turn), h[q], VirtualZ((q,), turn)]
        actions += [*hadamard, cz[q - 1], *hadamard]
    actions += [measure(q, q) for q in range(qubits)]
    ones = run(twirled.run, actions, where, shots).bits.sum(axis=1)
    assert set(ones.tolist()) == {0, qubits}
    assert abs((ones > 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(shots)


def test_detection_rates_of_a_repetition_code_are_those_of_stims_noise(make_backend):
    """Three rounds on a line, ancillas measured and reset, against stim with the same channels."""
    share, rounds, shots = 0.03, 3, 30_000
    data, ancillas = (0, 2, 4), (1, 3)
    h = {q: Play("drive", (q,), (0.5, 0.0, 0.0, 0.0, 20.0)) for q in ancillas}
    cz = {
        (a, d): Play("flux", (a, d), (1.0, 30.0, 0.0, 0.0))
        for a in ancillas
        for d in (a - 1, a + 1)
    }
    resets = {q: Play("reset", (q,), (100.0,)) for q in ancillas}
    channels = {play: ideal(SXGate()) for play in h.values()}
    channels |= {play: depolarized(ideal(CZGate()), share) for play in cz.values()}
    gates = dict.fromkeys(h.values(), "sx") | dict.fromkeys(cz.values(), "cz")
    where = situation(channels, gates, qubits=5)
    turn = math.pi / 2
    actions, reference = [], stim.Circuit()
    for k in range(rounds):
        for a in ancillas:
            around = [VirtualZ((a,), turn), h[a], VirtualZ((a,), turn)]
            actions += [*around, cz[a, a - 1], cz[a, a + 1], *around, measure(a, 2 * k + a // 2)]
            actions.append(resets[a])
            reference += stim.Circuit(
                f"H {a}\nCZ {a} {a - 1}\nDEPOLARIZE2({share * 15 / 16}) {a} {a - 1}\n"
                f"CZ {a} {a + 1}\nDEPOLARIZE2({share * 15 / 16}) {a} {a + 1}\nH {a}\nMR {a}"
            )
    actions += [measure(q, 2 * rounds + q // 2) for q in data]
    reference.append("M", data)
    found = run(twirled.run, actions, where, shots).bits
    expected = reference.compile_sampler(seed=4).sample(shots)
    events = [
        np.column_stack([bits[:, :2], bits[:, :-5] ^ bits[:, 2:-3]]) for bits in (found, expected)
    ]
    rates = np.array([one.mean(axis=0) for one in events])
    assert rates.min() > 0.02
    error = np.sqrt(2 * rates.mean(axis=0) / shots)
    assert (np.abs(rates[0] - rates[1]) < 5 * error).all()

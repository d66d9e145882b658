"""Exact states against plain Kraus operators, and circuits against their master equation."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from scipy.linalg import expm
from scipy.sparse.linalg import expm_multiply

from calib import density
from calib.always_on import idle_on, reads_at_the_end, split_idles
from calib.channels import basis, pair_basis, transfer_matrix_of_superoperator
from calib.exact import Situation, components, final_state, split
from calib.gates import DrivePulse
from calib.play_channels import channels, thermal_populations
from calib.pulses import DragPulse
from calib.schedule import Play, timeline

LEVELS = 3
ELEMENTS = basis(LEVELS).numpy()


def random_kraus(size, rng, count=3):
    stacked = rng.normal(size=(count * size, size, 2)) @ [1, 1j]
    isometry, _ = np.linalg.qr(stacked)
    return isometry.reshape(count, size, size)


def transfer_of(kraus, elements):
    superoperator = torch.from_numpy(sum(np.kron(k, k.conj()) for k in kraus))
    return transfer_matrix_of_superoperator(superoperator, elements).numpy()


def random_density(size, rng):
    root = rng.normal(size=(size, size, 2)) @ [1, 1j]
    matrix = root @ root.conj().T
    return matrix / np.trace(matrix)


def to_state(matrix, transmons):
    """tr(B_i ⊗ B_j ⊗ … ρ), element by element."""
    shape = (len(ELEMENTS),) * transmons
    state = np.zeros(shape)
    for index in itertools.product(range(len(ELEMENTS)), repeat=transmons):
        operator: NDArray[np.complex128] = np.eye(1, dtype=complex)
        for k in index:
            operator = np.kron(operator, ELEMENTS[k])
        state[index] = np.real(np.trace(operator @ matrix))
    return state


def embedded(operator, positions, transmons):
    """The operator on some of the transmons as a matrix on all, by moving its tensor's axes."""
    others = [k for k in range(transmons) if k not in positions]
    full = np.kron(operator, np.eye(LEVELS ** len(others)))
    order = np.argsort([*positions, *others])
    axes = [*order, *(order + transmons)]
    full = full.reshape((LEVELS,) * (2 * transmons)).transpose(axes)
    return full.reshape(LEVELS**transmons, LEVELS**transmons)


@pytest.mark.parametrize("positions", [(0,), (1,), (0, 1), (1, 0)])
def test_a_channel_acts_as_its_kraus_operators(positions):
    rng = np.random.default_rng(1)
    kraus = random_kraus(LEVELS ** len(positions), rng)
    elements = basis(LEVELS) if len(positions) == 1 else pair_basis(LEVELS)
    before = random_density(LEVELS**2, rng)
    full = [embedded(one, positions, 2) for one in kraus]
    after = sum(one @ before @ one.conj().T for one in full)
    found = density.apply(to_state(before, 2), transfer_of(kraus, elements), positions)
    assert found == pytest.approx(to_state(after, 2), abs=1e-12)


@pytest.mark.parametrize("positions", [(0, 2), (2, 0), (1, 2), (2, 1), (1, 0)])
def test_amplitudes_of_three_transmons_and_a_batch_behind_them(positions):
    rng = np.random.default_rng(2)
    operator = random_kraus(LEVELS**2, rng, count=1)[0]
    amplitudes = rng.normal(size=(LEVELS**3, 4, 2)) @ [1, 1j]
    found = density.apply(amplitudes.reshape(3, 3, 3, 4), operator, positions)
    assert found.reshape(27, 4) == pytest.approx(embedded(operator, positions, 3) @ amplitudes)


def test_levels_of_a_state_are_the_diagonal_of_its_density_matrix():
    matrix = random_density(9, np.random.default_rng(3))
    found = density.level_probabilities(to_state(matrix, 2))
    assert found.ravel() == pytest.approx(np.real(np.diag(matrix)))


def test_product_state_has_the_populations_it_was_given():
    populations = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]])
    found = density.level_probabilities(density.product_state(populations))
    assert found == pytest.approx(np.outer(*populations))


def test_rotations_are_those_of_their_unitaries():
    n = np.arange(LEVELS)
    one = transfer_of([np.diag(np.exp(-0.7j * n))], basis(LEVELS))
    two = transfer_of([np.diag(np.exp(-0.3j * np.outer(n, n).ravel()))], pair_basis(LEVELS))
    assert density.z_rotation(0.7) == pytest.approx(one, abs=1e-12)
    assert density.zz_rotation(0.3).toarray() == pytest.approx(two, abs=1e-12)


def test_what_is_kept_for_later_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        density.zz_rotation(0.3)[0, 0] = 2.0
    density.z_rotation(0.3)[0, 0] = 2.0  # each its own
    assert density.z_rotation(0.3)[0, 0] == pytest.approx(1.0)
    assert (density.zz_rotation.cache_info().maxsize or math.inf) <= 1024


def unread(*_):
    pytest.fail("nothing is read out here")


def simulate(backend, circuit):
    """The final populations as the exact path finds them."""
    device = backend.device
    plan = timeline(circuit, device.controls, device.pairs, device.config.timing)
    zz = device.truth().pair["zz_khz"] * 2e-6 * math.pi
    rates = dict(zip(device.pairs, zz, strict=True))
    events = split_idles(idle_on(plan.events, rates), rates)
    moments = device.moments([0.0])
    plays = {event.action for event in events if isinstance(event.action, Play)}
    found = channels([(0, play) for play in plays], moments)
    truth = device.truth()
    situation = Situation(
        thermal_populations(truth), rates, {p: found[0, p] for p in plays}, unread, {},
        moments.drive_frequency_ghz,
    )  # fmt: skip
    group = tuple(range(device.qubits))
    state = final_state(events, group, situation)
    return density.level_probabilities(state).reshape([LEVELS] * device.qubits), plan


LOWER = np.diag(np.sqrt(np.arange(1, LEVELS)), 1)
LOWERS = [np.kron(LOWER, np.eye(LEVELS)), np.kron(np.eye(LEVELS), LOWER)]


def liouvillian(hamiltonian, jumps):
    """On row-major vec(ρ), where A ρ B is A ⊗ Bᵀ."""
    one = np.eye(len(hamiltonian))
    generator = -1j * (np.kron(hamiltonian, one) - np.kron(one, hamiltonian.T))
    for jump in jumps:
        square = jump.conj().T @ jump
        generator += (
            np.kron(jump, jump.conj()) - np.kron(square, one) / 2 - np.kron(one, square.T) / 2
        )
    return generator


def physics(device):
    """Hamiltonian without drives, in rad/ns, ZZ included, and the jump operators, of two qubits."""
    truth = device.truth()
    number = [lower.T @ lower for lower in LOWERS]
    still = truth.pair["zz_khz"][0] * 2e-6 * math.pi * number[0] @ number[1]
    jumps = []
    for q, n in enumerate(number):
        values = {name: column[q] for name, column in truth.qubit.items()}
        detuning_ghz = values["frequency_ghz"] - device.controls.of("frequency_ghz", q)
        still = still + 2 * math.pi * detuning_ghz * n
        still = still + math.pi * 1e-3 * values["anharmonicity_mhz"] * n @ (n - np.eye(len(n)))
        t1, t2, p = 1e3 * values["t1_us"], 1e3 * values["t2_us"], values["thermal_population"]
        jumps += [math.sqrt((1 - p) / t1) * LOWERS[q], math.sqrt(p / t1) * LOWERS[q].T,
                  math.sqrt(2 * (1 / t2 - 0.5 / t1)) * n]  # fmt: skip
    return still, jumps


def integrated(backend, plan):
    """Populations by the master equation of both transmons, sample by sample of the pulses."""
    device = backend.device
    still, jumps = physics(device)
    rabi_mhz = device.truth().qubit["rabi_mhz"]
    first, second = thermal_populations(device.truth())
    state = np.diag(np.kron(first, second)).astype(complex).ravel()
    now_ns = 0.0
    for event in plan.events:
        if event.action.kind == "drive":
            (qubit,), settings = event.action.qubits, event.action.settings
            state = expm(liouvillian(still, jumps) * (event.start_ns - now_ns)) @ state
            amplitude, drag, detuning, phase, length = settings
            pulse = DragPulse(amplitude, drag, detuning, phase, length, device.config.envelope)
            for sample in pulse.samples(rabi_mhz[qubit]).numpy():
                drive = sample * LOWERS[qubit].T + np.conj(sample) * LOWERS[qubit]
                generator = liouvillian(still + drive / 2, jumps) * pulse.step_ns()
                state = expm_multiply(generator, state, traceA=np.trace(generator))
            now_ns = event.start_ns + event.action.duration_ns
    state = expm(liouvillian(still, jumps) * (plan.duration_ns - now_ns)) @ state
    return np.real(np.diag(state.reshape(9, 9))).reshape(3, 3)


def test_a_circuit_of_drives_delays_and_zz_as_the_master_equation_has_it(make_backend):
    backend = make_backend(
        pair={"zz_khz": 60.0}, qubit={"t1_us": 15.0, "t2_us": 12.0, "thermal_population": 0.03}
    )
    # Short pulses, twice as high.
    half = 2 * backend.device.controls.of("sx.amplitude", 0)
    circuit = QuantumCircuit(2)
    circuit.append(DrivePulse(half, 0.3, 0.5, 0.2, 10.0), [0])
    circuit.barrier()
    circuit.append(DrivePulse(0.7 * half, 0.1, -1.0, 1.0, 12.0), [1])
    circuit.barrier()
    circuit.delay(3000, 0)
    circuit.barrier()
    circuit.append(DrivePulse(half, 0.2, 0.0, 2.0, 10.0), [0])
    circuit.barrier()
    circuit.delay(2, 1, unit="us")
    circuit.append(DrivePulse(half, 0.2, 0.0, 2.0, 10.0), [1])
    circuit.barrier()
    circuit.append(DrivePulse(half, 0.2, 0.0, 0.5, 10.0), [0])
    circuit.barrier()
    circuit.id([0, 1])
    found, plan = simulate(backend, circuit)
    # ZZ acts before and after pulses (ζT = 0.008) and pieces of idles (0.25, 2 % decay) only.
    assert found == pytest.approx(integrated(backend, plan), abs=1e-3)


def test_a_pair_gains_the_conditional_phase_of_its_zz(make_backend):
    """Ramsey on one qubit with the other in 1: the fringe moves by ζt, and only then."""
    qubit = {"t1_us": 1e6, "t2_us": 1e6, "thermal_population": 0.0}
    backend = make_backend(pair={"zz_khz": 50.0}, qubit=qubit)
    for other, wait_ns in itertools.product((0, 1), (2000, 5000, 9000)):
        circuit = QuantumCircuit(2)
        if other:
            circuit.x(1)
        circuit.barrier()
        circuit.sx(0)
        circuit.delay(wait_ns, 0)
        circuit.sx(0)
        found, _ = simulate(backend, circuit)
        phase = 2 * math.pi * 50e-6 * (wait_ns + 32) * other  # from middle to middle
        # 3e-3: textbook pulses are a little off.
        assert found[1].sum() == pytest.approx((1 + math.cos(phase)) / 2, abs=3e-3)


def test_sets_of_qubits_grow_by_gates_and_then_by_zz(make_backend):
    backend = make_backend(5)
    device = backend.device
    circuit = QuantumCircuit(5)
    circuit.cz(0, 1)
    circuit.x(2)
    circuit.x(3)
    plan = timeline(circuit, device.controls, device.pairs, device.config.timing)
    assert components(plan, [], 5) == [(0, 1), (2,), (3,)]
    assert components(plan, device.pairs, 5) == [(0, 1, 2, 3)]
    assert components(plan, device.pairs, 3) == [(0, 1, 2), (3,)]


@pytest.mark.parametrize(
    ("build", "at_the_end"),
    [
        (lambda c: (c.x(0), c.measure(0, 0), c.x(1), c.measure(1, 1)), True),
        (lambda c: (c.measure(0, 0), c.rz(0.3, 0)), True),
        (lambda c: (c.measure(0, 0), c.id(0)), False),
        (lambda c: (c.measure(0, 0), c.x(0)), False),
        (lambda c: (c.measure(0, 0), c.measure(0, 1)), False),
        (lambda c: (c.measure(0, 0), c.cz(0, 1)), False),
    ],
)
def test_what_counts_as_reading_out_at_the_end(make_backend, build, at_the_end):
    device = make_backend().device
    circuit = QuantumCircuit(2, 2)
    build(circuit)
    plan = timeline(circuit, device.controls, device.pairs, device.config.timing)
    assert reads_at_the_end(split(plan, [(0, 1)])[0], {(1, 0): 1.0}) == at_the_end

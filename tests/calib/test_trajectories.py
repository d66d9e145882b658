"""Random pure states against density matrices, and readouts in mid-circuit against closed forms."""

import math
import time

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit

from calib import density, exact, trajectories
from calib.channels import basis, pair_basis, transfer_matrix_of_superoperator
from calib.exact import Outcomes, Situation
from calib.schedule import Event, Measure, Play, VirtualZ

# Statistical comparisons allow 5 standard errors, 6e-7 each.


def random_kraus(size, rng, count=3):
    stacked = rng.normal(size=(count * size, size, 2)) @ [1, 1j]
    isometry, _ = np.linalg.qr(stacked)
    return isometry.reshape(count, size, size)


def transfer_of(kraus, elements):
    superoperator = torch.from_numpy(sum(np.kron(k, k.conj()) for k in kraus))
    return transfer_matrix_of_superoperator(superoperator, elements).numpy()


@pytest.mark.parametrize("transmons", [1, 2])
def test_kraus_operators_make_the_channel_that_they_came_from(transmons):
    elements = basis(3) if transmons == 1 else pair_basis(3)
    kraus = random_kraus(3**transmons, np.random.default_rng(1))
    transfer = transfer_of(kraus, elements)
    found = trajectories.kraus_operators(transfer, transmons=transmons)
    assert len(found) == len(kraus)
    assert transfer_of(found, elements) == pytest.approx(transfer, abs=1e-10)
    weights = [np.linalg.norm(one) for one in found]
    assert weights == sorted(weights, reverse=True)


def read_levels(_, levels, rng):
    return levels + 0j, levels > 0, levels


def test_shots_have_the_probabilities_of_the_density_matrix():
    """Strongly mixing random channels on two transmons, virtual Zs and ZZ between them."""
    rng = np.random.default_rng(2)
    one = [Play("idle", (q,), (100.0,)) for q in range(2)]
    two = Play("flux", (1, 0), (1.0, 50.0, 0.0, 0.0))
    matrices = {play: transfer_of(random_kraus(3, rng, 2), basis(3)) for play in one}
    matrices[two] = transfer_of(random_kraus(9, rng, 2), pair_basis(3))
    rest = np.array([[0.8, 0.15, 0.05], [0.6, 0.3, 0.1]])
    where = Situation(rest, {(0, 1): 2e-3}, matrices, read_levels, {}, np.array([4.7, 5.1]))
    actions = [one[0], one[1], two, VirtualZ((0,), 0.7), one[1], two, VirtualZ((1,), 2.0), one[0]]
    actions += [Measure((q,), q, 0.5, 7.0, 100.0) for q in range(2)]
    start_ns, events = 0.0, []
    for action in actions:
        events.append(Event(start_ns, action))
        start_ns += action.duration_ns
    shots = 20_000
    outcomes = Outcomes.empty(shots, 2)
    trajectories.run(events, (0, 1), where, outcomes, rng)
    expected = density.level_probabilities(exact.final_state(events, (0, 1), where))
    levels = outcomes.iq.real.astype(int)
    found = np.bincount(levels @ [3, 1], minlength=9) / shots
    error = np.sqrt(expected.ravel() * (1 - expected.ravel()) / shots)
    assert (np.abs(found - expected.ravel()) < 5 * error).all()


def test_a_readout_in_mid_circuit_projects_and_leaves_the_level_it_says():
    """A fair coin is read: the second readout repeats it, except where the first one relaxed."""

    def relaxing(_, levels, rng):
        after = np.where(rng.random(len(levels)) < 0.25, 0, levels)
        return levels + 1j * after, levels > 0, after

    amplitude = math.sqrt(0.5)
    turn = np.eye(3, dtype=complex)
    turn[:2, :2] = [[amplitude, -amplitude], [amplitude, amplitude]]
    play = Play("drive", (0,), (0.5, 0.0, 0.0, 0.0, 20.0))
    where = Situation(np.array([[1.0, 0, 0]]), {}, {play: transfer_of([turn], basis(3))},
                      relaxing, {}, np.array([5.0]))  # fmt: skip
    measures = [Event(20.0 + 100 * k, Measure((0,), k, 0.5, 7.0, 100.0)) for k in range(2)]
    outcomes = Outcomes.empty(4000, 2)
    trajectories.run([Event(0.0, play), *measures], (0,), where, outcomes, np.random.default_rng(3))
    assert abs(outcomes.bits[:, 0].mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)
    assert (outcomes.bits[:, 1] == (outcomes.iq[:, 0].imag > 0)).all()


def test_a_memory_of_five_qubits_takes_seconds(make_backend):
    """Three rounds of a repetition code, 1,000 shots: 47 s with a density a readout history."""
    backend = make_backend(5)
    circuit = QuantumCircuit(5, 9)
    for k in range(3):
        for ancilla in (1, 3):
            circuit.sx(ancilla)
            circuit.cz(ancilla, ancilla - 1)
            circuit.cz(ancilla, ancilla + 1)
            circuit.sx(ancilla)
            circuit.measure(ancilla, 2 * k + ancilla // 2)
            circuit.reset(ancilla)
    circuit.measure([0, 2, 4], [6, 7, 8])
    begun = time.process_time()
    counts = backend.run(circuit, shots=1000).result().get_counts()
    assert time.process_time() - begun < 10
    assert sum(counts.values()) == 1000

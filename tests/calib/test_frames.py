"""Gates that begin at different times, against one evolution of all of them in fixed frames."""

import math

import numpy as np
import pytest
import torch

from calib import density, trajectories
from calib.channels import basis, pair_basis, transfer_matrix_of_unitary
from calib.cross_resonance import (
    CrossResonancePair,
    CrossResonanceTone,
    cross_resonance_unitary,
    dressed,
)
from calib.exact import Outcomes, Situation, final_state
from calib.pair import CoupledPair, CouplerPulse, coupler_unitary
from calib.schedule import Event, Measure, Play, VirtualZ, unfold_echoes

LOWER = np.diag(np.sqrt(np.arange(1, 3)), 1)
A, B = np.kron(LOWER, np.eye(3)), np.kron(np.eye(3), LOWER)
N_A, N_B = (np.rint(np.diag(lower.T @ lower)) for lower in (A, B))
EXCHANGE = A.T @ B
TAU = 2 * math.pi
DRIVES = np.array([5.0985, 4.651])  # GHz; the qubits are a little off
TRUE = np.array([5.10, 4.65])
ALPHAS = (-330.0, -310.0)
TRUE_CROSSED = (5.08, 4.95)
SETTINGS = (0.62, 46.0, 0.4, -1.1)
COUPLING_MHZ, FLUX_MHZ = 12.0, 310.0


def height(t, length, ramp):
    """The envelope: sin² ramps of this length around a top of 1."""
    return math.sin(math.pi / 2 * max(0.0, min(1.0, t / ramp, (length - t) / ramp))) ** 2


def integrate(hamiltonian, begin, end, steps):
    """Ordered exponentials by Magnus' fourth order at two Gauss points a step, [9, 9]."""
    h = (end - begin) / steps
    total = np.eye(9, dtype=complex)
    for k in range(steps):
        middle, off = begin + (k + 0.5) * h, h * math.sqrt(3) / 6
        one, two = hamiltonian(middle - off), hamiltonian(middle + off)
        generator = h / 2 * (one + two) - 1j * math.sqrt(3) / 12 * h**2 * (two @ one - one @ two)
        rates, vectors = np.linalg.eigh(generator)
        total = (vectors * np.exp(-1j * rates)) @ vectors.conj().T @ total
    return total


def still():
    """Detunings and anharmonicities in the frames of the drives, rad/ns, diagonal."""
    apart = TRUE - DRIVES
    bend = (ALPHAS[0] * N_A * (N_A - 1) + ALPHAS[1] * N_B * (N_B - 1)) / 2e3
    return TAU * (apart[0] * N_A + apart[1] * N_B + bend)


def coupler_hamiltonian(t, begins):
    """All coupler pulses of one amplitude and length, in the drives' frames from time 0 on."""
    amplitude, length, *_ = SETTINGS
    s = sum(height(t - one, length, 8.0) for one in begins if one < t < one + length)
    lowered = TAU * 1e-3 * FLUX_MHZ * (amplitude * s) ** 2
    hop = TAU * 1e-3 * COUPLING_MHZ * s * np.exp(1j * TAU * (DRIVES[0] - DRIVES[1]) * t) * EXCHANGE
    return np.diag(still() - lowered * N_A) + hop + hop.conj().T


def diagonal(angle_a, angle_b):
    return np.diag(np.exp(1j * (angle_a * N_A + angle_b * N_B)))


def ideal(unitaries, drives=DRIVES):
    """A situation in which these plays are these unitaries, and nothing decays."""
    rest = np.tile([1.0, 0.0, 0.0], (2, 1))
    channels = {
        play: transfer_matrix_of_unitary(
            torch.tensor(one, dtype=torch.complex128), basis(3) if len(one) == 3 else pair_basis(3)
        ).numpy()
        for play, one in unitaries.items()
    }

    def read(measure, levels, rng):
        return levels + 0j, levels > 0, levels

    return Situation(rest, {}, channels, read, {}, drives)


def spread(qubit, rng):
    """A pulse of no length that makes a superposition of all levels."""
    matrix, _ = np.linalg.qr(rng.normal(size=(3, 3, 2)) @ [1, 1j])
    return Play("drive", (qubit,), (0.0, 0.0, 0.0, float(qubit), 0.0)), matrix


def populations_after(events, situation):
    return density.level_probabilities(final_state(events, (0, 1), situation))


def two_pulses(angles, wait_ns, rng):
    """Superpositions, CZ, virtual Zs, a wait, CZ, and pulses that turn phases into levels."""
    length = SETTINGS[1]
    first, last = [spread(q, rng) for q in (0, 1)], [spread(q, rng) for q in (0, 1)]
    last = [(play._replace(settings=(1.0, *play.settings[1:])), matrix) for play, matrix in last]
    pulse, begin = Play("flux", (0, 1), SETTINGS), length + wait_ns
    pair = CoupledPair(5.10, 4.65, *ALPHAS, COUPLING_MHZ, FLUX_MHZ)
    detunings = (1.5, -1.0)  # TRUE − DRIVES in MHz
    waits = {}
    for q, number in ((0, N_A[::3]), (1, N_B[:3])):
        n = np.arange(3)
        turn = TAU * wait_ns * (detunings[q] * n + ALPHAS[q] * n * (n - 1) / 2) * 1e-3
        assert np.array_equal(np.sort(number), n)
        waits[Play("idle", (q,), (wait_ns,))] = np.diag(np.exp(-1j * turn))
    unitary = coupler_unitary(pair, CouplerPulse(*SETTINGS), detuning_mhz=detunings).numpy()
    unitaries = dict(first) | dict(last) | waits | {pulse: unitary}
    end = begin + length
    events = [Event(0.0, play) for play, _ in first] + [Event(0.0, pulse)]
    events += [Event(length, VirtualZ((q,), angles[q])) for q in (0, 1)]
    events += [Event(length, play) for play in waits] + [Event(begin, pulse)]
    events += [Event(end, play) for play, _ in last]
    whole = integrate(lambda t: coupler_hamiltonian(t, (0.0, begin)), 0.0, end, 6000)
    # The hardware turns its later pulses instead of the state: all virtual Zs come at the end.
    virtual = [2 * SETTINGS[2 + q] + angles[q] for q in (0, 1)]
    start, stop = (np.kron(one[0][1], one[1][1]) for one in (first, last))
    state = stop @ diagonal(*virtual) @ whole @ start[:, 0]
    return events, unitaries, np.abs(state.reshape(3, 3)) ** 2


@pytest.mark.parametrize(
    ("angles", "wait_ns"), [((0.0, 0.0), 0.0), ((0.9, 0.0), 31.3), ((-0.7, 2.2), 100.0)]
)
def test_two_coupler_pulses_interfere_as_in_one_evolution(angles, wait_ns):
    events, unitaries, expected = two_pulses(angles, wait_ns, np.random.default_rng(1))
    assert populations_after(events, ideal(unitaries)) == pytest.approx(expected, abs=1e-6)
    # Without the phase between the frames they are far from it.
    same = populations_after(events, ideal(unitaries, np.array([5.0, 5.0])))
    assert np.abs(same - expected).max() > 1e-3


def test_random_shots_interfere_likewise():
    """20,000 shots, 5 standard errors each: 6e-7 a level."""
    events, unitaries, expected = two_pulses((0.9, 0.3), 20.0, np.random.default_rng(2))
    events += [Event(200.0, Measure((q,), q, 0.5, 7.0, 100.0)) for q in (0, 1)]
    outcomes = Outcomes.empty(20_000, 2)
    trajectories.run(events, (0, 1), ideal(unitaries), outcomes, np.random.default_rng(3))
    found = np.bincount(outcomes.iq.real.astype(int) @ [3, 1], minlength=9) / 20_000
    error = np.sqrt(expected.ravel() * (1 - expected.ravel()) / 20_000)
    assert (np.abs(found - expected.ravel()) < 5 * error).all()


CROSSED = CrossResonancePair(*TRUE_CROSSED, -330.0, -310.0, 3.0, 60.0, 55.0, 0.05, 0.8)
DRESSED = dressed(CROSSED)
TONE = (0.5, 0.3, 0.04, -0.9, 90.0)


def tone_hamiltonian(t, tones, drives, virtual_target):
    """Tones at the target's drive frequency and phase, in the drives' frames from time 0 on."""
    states, energies = DRESSED.states.numpy(), DRESSED.energies_mhz.numpy() * 1e-3
    kept = np.diag(TAU * (energies - drives[0] * N_A - drives[1] * N_B))
    drive = np.zeros((9, 9), dtype=complex)
    for begin, sign in tones:
        height_a, phase, height_b, phase_b, length = TONE
        s = sign * height(t - begin, length, 20.0) if begin < t < begin + length else 0.0
        on_a = 60.0 * height_a * np.exp(1j * phase)
        on_b = 55.0 * height_b * np.exp(1j * phase_b) + 0.05 * np.exp(0.8j) * on_a
        drive = drive + TAU * 1e-3 / 2 * s * (on_a * A.T + on_b * B.T)
    raised = states.T @ drive @ states * np.exp(-1j * (TAU * drives[1] * t + virtual_target))
    turn = np.exp(1j * TAU * t * (drives[0] * N_A + drives[1] * N_B))
    raised = turn[:, None] * raised * turn.conj()
    return kept + raised + raised.conj().T


def test_the_tones_of_an_echo_follow_the_targets_frame_from_the_circuits_start():
    """Superpositions, virtual Zs and a wait before tone, X and reversed tone; X takes no time."""
    rng = np.random.default_rng(4)
    drives, begin, angles = np.array(TRUE_CROSSED) - [1e-3, -2e-3], 35.0, (0.8, -1.3)
    first, last = [spread(q, rng) for q in (0, 1)], [spread(q, rng) for q in (0, 1)]
    last = [(play._replace(settings=(1.0, *play.settings[1:])), matrix) for play, matrix in last]
    flip_matrix = np.eye(3)[[1, 0, 2]]
    flip = (0.3, 0.0, 0.0, 0.0, 0.0)
    echo = Play("ecr", (0, 1), (*TONE, *flip))
    middle, end = begin + TONE[-1], begin + 2 * TONE[-1]
    energies = DRESSED.energies_mhz.numpy() * 1e-3
    wait = np.exp(-1j * TAU * begin * (energies - drives[0] * N_A - drives[1] * N_B))
    events = [Event(0.0, play) for play, _ in first] + [Event(0.0, Play("idle", (0, 1), (begin,)))]
    events += [Event(begin, VirtualZ((q,), angles[q])) for q in (0, 1)] + [Event(begin, echo)]
    events = unfold_echoes(events) + [Event(end, play) for play, _ in last]
    detunings = (1.0, -2.0)
    tone = CrossResonanceTone(*TONE)
    unitaries = dict(first) | dict(last) | {
        Play("idle", (0, 1), (begin,)): np.diag(wait),
        Play("drive", (0,), flip): flip_matrix, Play("idle", (1,), (0.0,)): np.eye(3),
    }  # fmt: skip
    tones = [event.action for event in events
             if isinstance(event.action, Play) and event.action.kind == "cr"]  # fmt: skip
    for play, one in zip(tones, (tone, tone.reversed_sign()), strict=True):
        unitary = cross_resonance_unitary(CROSSED, one, detuning_mhz=detunings)
        unitaries[play] = unitary.numpy()
    pieces = [(begin, middle, 1), (middle, end, -1)]
    halves = [
        integrate(lambda t, b=b, sign=sign: tone_hamiltonian(t, [(b, sign)], drives, angles[1]),
                  b, e, 1500)
        for b, e, sign in pieces
    ]  # fmt: skip
    virtual = diagonal(*angles)  # X on the control is played behind its virtual Z
    x = virtual.conj() @ np.kron(flip_matrix, np.eye(3)) @ virtual
    start, stop = (np.kron(one[0][1], one[1][1]) for one in (first, last))
    state = stop @ virtual @ halves[1] @ x @ halves[0] @ np.diag(wait) @ start[:, 0]
    expected = np.abs(state.reshape(3, 3)) ** 2
    found = populations_after(events, ideal(unitaries, drives))
    assert found == pytest.approx(expected, abs=1e-6)

"""Coupler pulses and cross-resonance tones against QuTiP's solvers."""

import math

import numpy as np
import pytest
import qutip
import torch

from calib.channels import pair_basis
from calib.cross_resonance import (
    CrossResonancePair,
    CrossResonanceTone,
    cross_resonance_transfer,
    cross_resonance_unitary,
)
from calib.decoherence import Decoherence
from calib.pair import CoupledPair, CouplerPulse, coupler_transfer, coupler_unitary

PAIR = CoupledPair(5.46, 5.0, -325.0, -340.0, 10.3, 410.0)
PULSE = CouplerPulse(0.57, 43.7, phase_a_rad=0.4, phase_b_rad=-1.1)
DETUNINGS = (0.8, -0.5)
DECOHERENCE = (Decoherence(60.0, 80.0, 0.02), Decoherence(110.0, 70.0, 0.01))
TOLERANCE = {"method": "vern9", "atol": 1e-11, "rtol": 1e-11, "nsteps": 100_000}
LOWER_A = qutip.tensor(qutip.destroy(3), qutip.qeye(3))
LOWER_B = qutip.tensor(qutip.qeye(3), qutip.destroy(3))


def duffing(frequency_mhz: float, anharmonicity_mhz: float, lower: qutip.Qobj) -> qutip.Qobj:
    number = lower.dag() @ lower
    energy = frequency_mhz * number + anharmonicity_mhz / 2 * number @ (number - 1)
    return 2e-3 * math.pi * energy


def envelope(t: float, duration_ns: float, ramp_ns: float) -> float:
    edge = min(t, duration_ns - t)
    return 1.0 if edge >= ramp_ns else math.sin(math.pi * edge / (2 * ramp_ns)) ** 2


def coupler_hamiltonian(pulse: CouplerPulse) -> qutip.QobjEvo:
    """In the frames of both drives, where the exchange turns with their difference."""
    drives = [5460.0 - DETUNINGS[0], 5000.0 - DETUNINGS[1]]
    still = duffing(DETUNINGS[0], -325.0, LOWER_A) + duffing(DETUNINGS[1], -340.0, LOWER_B)
    unit = 2e-3 * math.pi
    apart = unit * (drives[0] - drives[1])

    def height(t: float) -> float:
        return envelope(t, float(pulse.duration_ns), pulse.ramp_ns)

    def lowered(t: float) -> float:
        return -unit * 410.0 * (float(pulse.amplitude) * height(t)) ** 2

    def raising(t: float) -> complex:
        return unit * 10.3 * height(t) * np.exp(1j * apart * t)

    def falling(t: float) -> complex:
        return np.conj(raising(t))

    return qutip.QobjEvo(
        [
            still,
            [LOWER_A.dag() @ LOWER_A, lowered],
            [LOWER_A.dag() @ LOWER_B, raising],
            [LOWER_A @ LOWER_B.dag(), falling],
        ]
    )


def collapse_operators() -> list[qutip.Qobj]:
    found = []
    for lower, one in zip((LOWER_A, LOWER_B), DECOHERENCE, strict=True):
        t1, t2, excited = (float(value) for value in (one.t1_us, one.t2_us, one.thermal_population))
        pure = 1 / t2 - 1 / (2 * t1)
        found += [
            math.sqrt((1 - excited) / t1 / 1e3) * lower,
            math.sqrt(excited / t1 / 1e3) * lower.dag(),
            math.sqrt(2 * pure / 1e3) * (lower.dag() @ lower),
        ]
    return found


def virtual(pulse: CouplerPulse) -> qutip.Qobj:
    angle = float(pulse.phase_a_rad) * LOWER_A.dag() @ LOWER_A
    angle += float(pulse.phase_b_rad) * LOWER_B.dag() @ LOWER_B
    return (1j * angle).expm()


def propagated(hamiltonian: qutip.QobjEvo, duration_ns: float) -> qutip.Qobj:
    identity = qutip.tensor(qutip.qeye(3), qutip.qeye(3))
    return qutip.sesolve(hamiltonian, identity, [0, duration_ns], options=TOLERANCE).states[-1]


def evolved(
    hamiltonian: qutip.QobjEvo, state: qutip.Qobj, duration_ns: float, jumps: list[qutip.Qobj]
) -> qutip.Qobj:
    """The state after Lindblad evolution, integrated to 1e-11."""
    return qutip.mesolve(
        hamiltonian, state, [0, duration_ns], c_ops=jumps, options=TOLERANCE
    ).states[-1]


def ours(transfer: torch.Tensor, state: qutip.Qobj) -> np.ndarray:
    elements = pair_basis(3)
    start = torch.einsum("iab,ba->i", elements, torch.from_numpy(state.full())).real
    return torch.einsum("i,iab->ab", (transfer @ start).to(elements.dtype), elements).numpy()


@pytest.mark.parametrize("duration_ns", [43.7, 9.0], ids=["flat top", "all ramp"])
def test_the_coupler_pulse_is_qutips_propagator(duration_ns: float) -> None:
    pulse = CouplerPulse(0.57, duration_ns, phase_a_rad=0.4, phase_b_rad=-1.1)
    ramp = min(8.0, duration_ns / 2)
    shown = CouplerPulse(0.57, duration_ns, 0.4, -1.1, ramp)
    expected = propagated(coupler_hamiltonian(shown), duration_ns)
    found = coupler_unitary(PAIR, pulse, detuning_mhz=DETUNINGS)
    np.testing.assert_allclose(found.numpy(), (virtual(pulse) @ expected).full(), atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_decohering_coupler_pulse_is_qutips_master_equation(seed: int) -> None:
    state = qutip.ket2dm(qutip.rand_ket([3, 3], seed=seed))
    hamiltonian = coupler_hamiltonian(PULSE)
    expected = evolved(hamiltonian, state, float(PULSE.duration_ns), collapse_operators())
    expected = virtual(PULSE) @ expected @ virtual(PULSE).dag()
    transfer = coupler_transfer(PAIR, PULSE, decoherence=DECOHERENCE, detuning_mhz=DETUNINGS)
    np.testing.assert_allclose(ours(transfer, state), expected.full(), atol=1e-6)


CROSS = CrossResonancePair(5.09, 5.0, -325.0, -340.0, 3.1, 95.0, 105.0, 0.05, 1.2)
TONE_NS = 75.0
TONE = CrossResonanceTone(0.35, 0.4, 0.03, -0.9, TONE_NS)


def dressed_states() -> tuple[qutip.Qobj, np.ndarray]:
    """The columns are eigenstates of the undriven pair; beside them, their energies in MHz.

    Frequencies of the bare transmons are searched for until the dressed ones are as given.
    """
    bare = np.array([5090.0, 5000.0])
    energies, vectors = np.zeros(9), np.eye(9, dtype=complex)
    for _ in range(60):
        still = duffing(bare[0], -325.0, LOWER_A) + duffing(bare[1], -340.0, LOWER_B)
        hop = LOWER_A.dag() @ LOWER_B
        energies, vectors = np.linalg.eigh(
            (still / (2e-3 * math.pi) + 3.1 * (hop + hop.dag())).full()
        )
        label = np.abs(vectors).argmax(axis=1)
        energies, vectors = energies[label], vectors[:, label]
        vectors = vectors * np.sign(vectors.diagonal().real)
        bare -= energies[[3, 1]] - energies[0] - np.array([5090.0, 5000.0])
    return qutip.Qobj(vectors, dims=[[3, 3], [3, 3]]), energies - energies[0]


def cross_hamiltonian() -> tuple[qutip.QobjEvo, qutip.Qobj]:
    """In dressed states, rotating with the target's drive; and the way to the control's drive."""
    states, energies = dressed_states()
    unit = 2e-3 * math.pi
    drive_mhz = 5000.0 - DETUNINGS[1]
    count = np.add.outer(range(3), range(3)).ravel()
    still = qutip.Qobj(np.diag(unit * (energies - drive_mhz * count)), dims=states.dims).to("CSR")
    control = unit * 95.0 * 0.35 * np.exp(0.4j)
    target = unit * 105.0 * 0.03 * np.exp(-0.9j) + 0.05 * np.exp(1.2j) * control
    raising = control / 2 * LOWER_A.dag() + target / 2 * LOWER_B.dag()
    # Sparse, as QuTiP's master equation is a hundred times slower on dense operators.
    drive = (states.dag() @ (raising + raising.dag()) @ states).tidyup(1e-14).to("CSR")

    def height(t: float) -> float:
        return envelope(t, TONE_NS, TONE.ramp_ns)

    apart = unit * (5090.0 - DETUNINGS[0] - drive_mhz)
    frame = (1j * apart * TONE_NS * LOWER_A.dag() @ LOWER_A).expm()
    return qutip.QobjEvo([still, [drive, height]]), frame


def test_the_cross_resonance_tone_is_qutips_propagator() -> None:
    hamiltonian, frame = cross_hamiltonian()
    expected = propagated(hamiltonian, TONE_NS)
    found = cross_resonance_unitary(CROSS, TONE, detuning_mhz=DETUNINGS)
    np.testing.assert_allclose(found.numpy(), (frame @ expected).full(), atol=1e-6)


def test_the_decohering_tone_is_qutips_master_equation() -> None:
    hamiltonian, frame = cross_hamiltonian()
    state = qutip.ket2dm(qutip.rand_ket([3, 3], seed=0))
    expected = frame @ evolved(hamiltonian, state, TONE_NS, collapse_operators()) @ frame.dag()
    transfer = cross_resonance_transfer(
        CROSS, TONE, decoherence=DECOHERENCE, detuning_mhz=DETUNINGS
    )
    np.testing.assert_allclose(ours(transfer, state), expected.full(), atol=1e-6)

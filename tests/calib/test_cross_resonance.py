import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit.circuit.library import ECRGate
from torch import Tensor

from calib.channels import basis, computational_block, pair_basis, transfer_matrix_of_unitary
from calib.cross_resonance import (
    ControlFlip,
    CrossResonancePair,
    CrossResonanceTone,
    cross_resonance_transfer,
    cross_resonance_unitary,
    dressed,
    echoed_transfer,
    echoed_unitary,
    static_zz_mhz,
)
from calib.decoherence import Decoherence, coherence_limit, idle_transfer

PAIR = CrossResonancePair(5.1, 5.0, -330.0, -330.0, 3.0, 100.0, 100.0, 0.04, 1.0)
DECOHERENCE = (Decoherence(100.0, 80.0, 0.01), Decoherence(60.0, 110.0, 0.02))
X = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.complex128)
COMPUTATIONAL = torch.tensor([0, 1, 3, 4])


def ecr() -> Tensor:
    """Qiskit's ECR with its first qubit, the control, as the first factor."""
    swapped = torch.tensor([0, 2, 1, 3])
    return torch.from_numpy(ECRGate().to_matrix().copy())[swapped[:, None], swapped]


def infidelity(unitary: Tensor) -> float:
    block = unitary[COMPUTATIONAL[:, None], COMPUTATIONAL]
    overlap = (ecr().conj() * block).sum().abs().square() + block.abs().square().sum()
    return 1 - float(overlap) / 20


def test_dressed_frequencies_are_as_given() -> None:
    pair = CrossResonancePair(5.07, 5.0, -325.0, -340.0, torch.tensor([2.0, 4.0]), 1.0, 1.0)
    found = dressed(pair)
    energies = found.energies_mhz
    np.testing.assert_allclose(energies[:, 0], 0, atol=1e-9)
    np.testing.assert_allclose(energies[:, 3], 5070.0, rtol=1e-12)
    np.testing.assert_allclose(energies[:, 1], 5000.0, rtol=1e-12)
    # Independent of the closed form: the bare Hamiltonian that the eigenstates give back.
    bare = found.states @ torch.diag_embed(energies) @ found.states.mT
    np.testing.assert_allclose(bare[:, 3, 1], [2.0, 4.0], atol=1e-9)
    np.testing.assert_allclose(bare[:, 6, 6] - 2 * bare[:, 3, 3], -325.0, atol=1e-8)
    with pytest.raises(ValueError, match="must exceed the target's"):
        dressed(CrossResonancePair(5.0, 5.1, -330.0, -330.0, 3.0, 1.0, 1.0))


@pytest.mark.parametrize("apart_mhz", [50.0, 100.0, 150.0])
def test_static_zz_is_that_of_fourth_order(apart_mhz: float) -> None:
    pair = CrossResonancePair(5 + apart_mhz * 1e-3, 5.0, -330.0, -310.0, 0.5, 1.0, 1.0)
    expected = 2 * 0.5**2 * (-330 - 310) / ((apart_mhz - 330) * (apart_mhz + 310))
    # The next order is (J/Δ)² of this.
    assert float(static_zz_mhz(pair)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("apart_mhz", "phase_rad"), [(60.0, 0.0), (100.0, 0.7), (140.0, 2.5)])
def test_the_rate_of_zx_is_that_of_perturbation_theory(apart_mhz: float, phase_rad: float) -> None:
    # Magesan and Gambetta, arXiv:1804.04073: the target turns by ∓(J Ω/Δ)·α/(α + Δ) in halves.
    pair = CrossResonancePair(5 + apart_mhz * 1e-3, 5.0, -330.0, -330.0, 1.0, 1.0, 1.0)
    tone = CrossResonanceTone(1.0, phase_rad, 0.0, 0.0, 400.0)
    found = cross_resonance_unitary(pair, tone)
    # ⟨c1|U|c0⟩/⟨c0|U|c0⟩ ≈ −i·π·rate·T·e^(iφ) for small angles; half the difference is ZX.
    slopes = [found[k + 1, k] / found[k, k] * np.exp(-1j * phase_rad) for k in (0, 3)]
    rate = float((1j * (slopes[0] - slopes[1]) / 2).real) / (math.pi * 1e-3 * (400.0 - 20.0))
    expected = -1.0 / apart_mhz * -330.0 / (-330.0 + apart_mhz)
    assert rate == pytest.approx(expected, rel=0.02)


def test_cancellation_is_against_the_crosstalk() -> None:
    # Without exchange the target feels crosstalk plus cancellation: equal and opposite, nothing.
    pair = replace(PAIR, coupling_mhz=0.0)
    tone = CrossResonanceTone(0.3, 0.5, 0.3 * 0.04, 0.5 + 1.0 + math.pi, 150.0)
    found = cross_resonance_unitary(pair, tone)
    assert float(found[1, 0].abs()) < 1e-9
    alone = cross_resonance_unitary(pair, replace(tone, cancel_amplitude=0.0))
    turned = math.sin(math.pi * 1e-3 * 0.3 * 0.04 * 100.0 * (150.0 - 20.0))
    assert float(alone[1, 0].abs()) == pytest.approx(turned, abs=2e-3)  # and a Stark shift


def test_echo_of_perfect_tones_is_qiskits_ecr() -> None:
    # exp(∓iπ/8 Z⊗X) before and after X: the convention, apart from all physics.
    z_x = torch.kron(torch.diag(torch.tensor([1.0, -1.0])), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tone = torch.linalg.matrix_exp(-1j * math.pi / 8 * z_x.to(torch.complex128))
    flip = torch.kron(X[:2, :2], torch.eye(2, dtype=torch.complex128))
    np.testing.assert_allclose(tone.mH @ flip @ tone, ecr(), atol=1e-12)


TUNED = CrossResonanceTone(0.22, 2.7552, 0.0507, 2.9946, 165.0)


def test_the_tuned_echo_is_ecr() -> None:
    unitary = echoed_unitary(PAIR, TUNED, ControlFlip(X, 32.0))
    assert infidelity(unitary) < 5e-4


def test_the_tuned_echo_decoheres_at_the_coherence_limit() -> None:
    flip = ControlFlip(
        idle_transfer(32.0, DECOHERENCE[0]) @ transfer_matrix_of_unitary(X, basis(3)), 32.0
    )
    found = echoed_transfer(PAIR, TUNED, flip, decoherence=DECOHERENCE)
    trace = torch.einsum("iaa->i", pair_basis(3)).real
    np.testing.assert_allclose(trace @ found, trace, atol=1e-10)
    block = computational_block(found, qubits=2)
    ideal = transfer_matrix_of_unitary(ecr(), pair_basis(2))
    process = float((block * ideal).sum()) / 16
    limit = float(coherence_limit(2 * 165.0 + 32.0, DECOHERENCE))
    assert 4 / 5 * (1 - process) == pytest.approx(limit, rel=0.15)


def test_without_decoherence_the_channels_are_the_unitaries() -> None:
    forever = (Decoherence(math.inf, math.inf), Decoherence(math.inf, math.inf))
    detuning = (0.3, -0.2)
    unitary = echoed_unitary(PAIR, TUNED, ControlFlip(X, 32.0), detuning_mhz=detuning)
    flip = ControlFlip(transfer_matrix_of_unitary(X, basis(3)), 32.0)
    found = echoed_transfer(PAIR, TUNED, flip, decoherence=forever, detuning_mhz=detuning)
    expected = transfer_matrix_of_unitary(unitary, pair_basis(3))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_channel_is_completely_positive() -> None:
    found = cross_resonance_transfer(PAIR, TUNED, decoherence=DECOHERENCE)
    elements = pair_basis(3)
    matrix = torch.einsum("ij,iab,jdc->acbd", found.to(elements.dtype), elements, elements)
    least = torch.linalg.eigvalsh(matrix.reshape(81, 81)).min()
    assert float(least) > -1e-6  # the ramps' extrapolation is not exactly positive


def test_batches_and_wrong_arguments() -> None:
    amplitude = torch.tensor([0.2, 0.3], dtype=torch.float64)
    tones = CrossResonanceTone(amplitude, 0.1, 0.0, 0.0, torch.tensor([[100.0], [30.0]]))
    found = cross_resonance_transfer(PAIR, tones, decoherence=DECOHERENCE)
    lone = CrossResonanceTone(0.3, 0.1, 0.0, 0.0, 30.0)
    assert found.shape == (2, 2, 81, 81)
    one = cross_resonance_transfer(PAIR, lone, decoherence=DECOHERENCE)
    np.testing.assert_allclose(found[1, 1], one, atol=1e-11)
    with pytest.raises(ValueError, match="levels must be at least 3"):
        cross_resonance_unitary(PAIR, lone, levels=2)
    with pytest.raises(ValueError, match="ramp_ns must be positive"):
        cross_resonance_unitary(PAIR, replace(lone, ramp_ns=0.0))


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(9, 9, 2, generator=generator, dtype=torch.float64)

    def figure(amplitude: Tensor, cancel: Tensor, duration: Tensor, coupling: Tensor) -> Tensor:
        pair = replace(PAIR, coupling_mhz=coupling)
        tone = CrossResonanceTone(amplitude, 0.2, cancel, 2.0, duration)
        return (torch.view_as_real(cross_resonance_unitary(pair, tone)) * weights).sum()

    start = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.2, 0.03, 150, 3)]
    assert torch.autograd.gradcheck(figure, start, eps=1e-5, atol=1e-4, rtol=1e-4)

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from calib.channels import (
    average_gate_infidelity,
    computational_block,
    pair_basis,
    transfer_matrix_of_unitary,
)
from calib.decoherence import Decoherence, coherence_limit
from calib.pair import (
    CoupledPair,
    CouplerPulse,
    conditional_phase_rad,
    coupler_transfer,
    coupler_unitary,
    cz_infidelity,
    local_phases_rad,
    pair_leakage,
    swap_probability,
)

PAIR = CoupledPair(5.45, 5.0, -330.0, -330.0, 10.0, 400.0)
TUNED = CouplerPulse(0.54857, 45.125, phase_a_rad=-1.36627, phase_b_rad=-0.06595)
DECOHERENCE = (Decoherence(100.0, 80.0, 0.01), Decoherence(60.0, 110.0, 0.02))


def choi(transfer: Tensor) -> Tensor:
    """Σ_ij R_ij B_i ⊗ B_jᵀ: positive if and only if the channel is completely positive."""
    elements = pair_basis(3)
    matrix = torch.einsum("ij,iab,jdc->acbd", transfer.to(elements.dtype), elements, elements)
    return matrix.reshape(81, 81)


@pytest.mark.parametrize("detuning_mhz", [-25.0, -4.0, 0.0, 10.0, 40.0])
def test_11_and_20_swap_as_a_rabi_chevron(detuning_mhz: float) -> None:
    # Square pulses (ramps of 0.01 ns), and b's |2⟩ far away: two levels with the coupling √2·g.
    amplitude = math.sqrt((120.0 + detuning_mhz) / 400.0)
    pair = CoupledPair(5.45, 5.0, -330.0, -1e6, 10.0, 400.0)
    duration = torch.linspace(1.0, 80.0, 40, dtype=torch.float64)
    found = coupler_unitary(pair, CouplerPulse(amplitude, duration, ramp_ns=0.01))
    rate = math.sqrt(8 * 10.0**2 + detuning_mhz**2)
    seen = (math.pi * 1e-3 * rate * (duration - 0.01)).sin().square()
    expected = 8 * 10.0**2 / rate**2 * seen
    np.testing.assert_allclose(found[:, 6, 4].abs().square(), expected, atol=3e-3)


def test_a_resonant_full_cycle_gives_minus_one() -> None:
    # Without detuned neighbours to shift it, |11⟩ comes back from |20⟩ as −|11⟩.
    pair = CoupledPair(1005.0, 5.0, -1e6 + 120.0, -1e6, 10.0, 400.0)
    cycle_ns = 1e3 / (2 * math.sqrt(2) * 10.0)
    pulse = CouplerPulse(math.sqrt(120.0 / 400.0), cycle_ns + 1e-4, ramp_ns=1e-4)
    unitary = coupler_unitary(pair, pulse)
    assert float(conditional_phase_rad(unitary)) == pytest.approx(math.pi, abs=2e-3)
    assert float(pair_leakage(unitary)) < 1e-6


def test_without_coupling_only_phases_are_left() -> None:
    pair = CoupledPair(5.45, 5.0, -330.0, -310.0, 0.0, 400.0)
    pulse = CouplerPulse(0.5, 40.0, phase_a_rad=0.3, phase_b_rad=-0.2)
    found = local_phases_rad(coupler_unitary(pair, pulse, detuning_mhz=(1.0, -2.0)))
    # ∫s² = T − 2·ramp + 2·(3/8)·ramp lowers a by 100 MHz; a detuning turns by −2πδT.
    lowered = 2e-3 * math.pi * 100.0 * (40.0 - 1.25 * 8.0)
    turn = 2e-3 * math.pi * 40.0
    for angle, expected in zip(found, (0.3 + lowered - turn, -0.2 + 2 * turn), strict=True):
        assert math.remainder(float(angle) - expected, math.tau) == pytest.approx(0, abs=1e-6)


def test_far_off_resonance_the_swap_is_small_and_adiabatic() -> None:
    sudden = swap_probability(coupler_unitary(PAIR, CouplerPulse(0.3, 45.3, ramp_ns=1e-3)))
    smooth = swap_probability(coupler_unitary(PAIR, CouplerPulse(0.3, 45.3)))
    # A sudden pulse swaps up to 4g²/Δ², with Δ = 450 − 36 MHz.
    assert 1e-5 < float(sudden) <= 4 * 10.0**2 / 414.0**2
    assert float(smooth) < 1e-5


def test_the_tuned_pulse_is_a_cz() -> None:
    unitary = coupler_unitary(PAIR, TUNED)
    assert float(cz_infidelity(unitary)) < 3e-5
    ideal = torch.diag(torch.tensor([1, 1, 1, -1], dtype=torch.complex128))
    transfer = transfer_matrix_of_unitary(unitary, pair_basis(3))
    block = computational_block(transfer, qubits=2)
    expected = average_gate_infidelity(block, transfer_matrix_of_unitary(ideal, pair_basis(2)))
    assert float(cz_infidelity(unitary)) == pytest.approx(float(expected), rel=1e-6)


def test_the_tuned_pulse_is_near_the_coherence_limit() -> None:
    ideal = torch.diag(torch.tensor([1, 1, 1, -1], dtype=torch.complex128))
    both = (Decoherence(100.0, 100.0), Decoherence(100.0, 100.0))
    block = computational_block(coupler_transfer(PAIR, TUNED, decoherence=both), qubits=2)
    found = average_gate_infidelity(block, transfer_matrix_of_unitary(ideal, pair_basis(2)))
    # |20⟩, where |11⟩ spends half of the cycle, dephases four times and relaxes twice as fast.
    assert 1.0 < float(found / coherence_limit(45.125, both)) < 1.15


def test_without_decoherence_the_channel_is_the_unitary() -> None:
    forever = (Decoherence(math.inf, math.inf), Decoherence(math.inf, math.inf))
    found = coupler_transfer(PAIR, TUNED, decoherence=forever, detuning_mhz=(0.3, -0.7))
    unitary = coupler_unitary(PAIR, TUNED, detuning_mhz=(0.3, -0.7))
    expected = transfer_matrix_of_unitary(unitary, pair_basis(3))
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_the_channel_preserves_trace_and_is_completely_positive() -> None:
    found = coupler_transfer(PAIR, TUNED, decoherence=DECOHERENCE)
    trace = torch.einsum("iaa->i", pair_basis(3)).real
    np.testing.assert_allclose(trace @ found, trace, atol=1e-11)
    assert float(torch.linalg.eigvalsh(choi(found)).min()) > -1e-10


def test_batches_are_what_their_members_are() -> None:
    amplitude = torch.tensor([0.5, 0.55], dtype=torch.float64)
    duration = torch.tensor([[43.0], [9.0], [0.0]], dtype=torch.float64)
    decoherence = (Decoherence(torch.tensor([100.0, 5.0]), 8.0), DECOHERENCE[1])
    pulses = CouplerPulse(amplitude, duration)
    found = coupler_transfer(PAIR, pulses, decoherence=decoherence)
    assert found.shape == (3, 2, 81, 81)
    for k, one in enumerate((100.0, 5.0)):
        pulse = CouplerPulse(float(amplitude[k]), 43.0)
        lone = coupler_transfer(PAIR, pulse, decoherence=(Decoherence(one, 8.0), DECOHERENCE[1]))
        np.testing.assert_allclose(found[0, k], lone, atol=1e-12)
        np.testing.assert_allclose(found[2, k], torch.eye(81), atol=1e-12)


def test_four_levels_change_little_and_three_are_the_least() -> None:
    three = cz_infidelity(coupler_unitary(PAIR, TUNED))
    four = cz_infidelity(coupler_unitary(PAIR, TUNED, levels=4))
    assert abs(float(three - four)) < 1e-7  # an exchange of two excitations stays below |3⟩
    with pytest.raises(ValueError, match="levels must be at least 3"):
        coupler_unitary(PAIR, TUNED, levels=2)
    with pytest.raises(ValueError, match="duration_ns must not be negative"):
        coupler_unitary(PAIR, CouplerPulse(0.5, -1.0))


def test_gradients_of_the_unitary() -> None:
    def figures(coupling: Tensor, amplitude: Tensor, duration: Tensor, phase: Tensor) -> Tensor:
        pair = CoupledPair(5.45, 5.0, -330.0, -330.0, coupling, 400.0)
        unitary = coupler_unitary(pair, CouplerPulse(amplitude, duration, phase, 0.1))
        return torch.stack([cz_infidelity(unitary), conditional_phase_rad(unitary)])

    start = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (10, 0.54, 45, 0.3)]
    assert torch.autograd.gradcheck(figures, start, eps=1e-5, atol=1e-5, rtol=1e-4)


def test_gradients_of_the_channel() -> None:
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(81, 81, generator=generator, dtype=torch.float64)

    def figure(amplitude: Tensor, duration: Tensor, t1_us: Tensor) -> Tensor:
        both = (Decoherence(t1_us, 5.0), Decoherence(20.0, 10.0))
        transfer = coupler_transfer(PAIR, CouplerPulse(amplitude, duration), decoherence=both)
        return (transfer * weights).sum()

    start = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.54, 45.0, 8.0)]
    assert torch.autograd.gradcheck(figure, start, eps=1e-5, atol=1e-4, rtol=1e-4)

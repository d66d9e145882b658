"""Decay against closed forms, and channels that are channels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.channels import average_gate_infidelity, basis
from calib.decoherence import Decoherence, coherence_limit, dissipator, idle_transfer


def populations(state: torch.Tensor, levels: int) -> torch.Tensor:
    return torch.einsum("...i,inn->...n", state.to(torch.complex128), basis(levels)).real


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_t1_and_t2_decay_exactly(levels: int) -> None:
    decoherence = Decoherence(t1_us=37.0, t2_us=52.0)
    durations = torch.tensor([0.0, 32.0, 5e3, 2e5], dtype=torch.float64)
    idle = idle_transfer(durations, decoherence, levels=levels)
    excited = torch.einsum("iab->iba", basis(levels))[:, 1, 1].real  # tr(B_i |1⟩⟨1|)
    decayed = populations(idle @ excited, levels)[:, 1]
    torch.testing.assert_close(decayed, torch.exp(-durations / 37e3), rtol=1e-12, atol=0)
    for axis in (1, 2):  # X and Y
        kept = idle[:, axis, axis]
        torch.testing.assert_close(kept, torch.exp(-durations / 52e3), rtol=1e-12, atol=0)


def test_the_second_level_decays_twice_as_fast() -> None:
    idle = idle_transfer(10e3, Decoherence(t1_us=20.0, t2_us=20.0))
    level_2 = basis(3)[:, 2, 2].real
    left = populations(idle @ level_2, 3)
    # The cascade 2 → 1 → 0 at 2/T1 and 1/T1: binomial, as of two independent excitations.
    gone = 1 - math.exp(-0.5)
    expected = [gone**2, 2 * gone * (1 - gone), (1 - gone) ** 2]
    assert left.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("levels", [2, 3])
def test_heat_ends_in_equilibrium_and_two_levels_get_there_with_t1(levels: int) -> None:
    p = 0.04
    decoherence = Decoherence(t1_us=10.0, t2_us=15.0, thermal_population=p)
    ground = basis(levels)[:, 0, 0].real
    final = populations(idle_transfer(1e6, decoherence, levels=levels) @ ground, levels)
    weights = torch.tensor([(p / (1 - p)) ** n for n in range(levels)], dtype=torch.float64)
    torch.testing.assert_close(final, weights / weights.sum(), rtol=1e-9, atol=0)
    if levels == 2:
        early = populations(idle_transfer(3e3, decoherence, levels=2) @ ground, 2)[1].item()
        assert early == pytest.approx(p * (1 - math.exp(-0.3)), rel=1e-12)


def test_ramsey_fringes_turn_with_the_detuning_and_decay_with_t2() -> None:
    times = torch.linspace(0, 4e3, 9, dtype=torch.float64)
    idle = idle_transfer(times, Decoherence(30.0, 8.0), detuning_mhz=0.7, anharmonicity_mhz=-330.0)
    angle = 2 * math.pi * 0.7e-3 * times
    kept = torch.exp(-times / 8e3)
    torch.testing.assert_close(idle[:, 1, 1], kept * torch.cos(angle), rtol=0, atol=1e-10)
    # H = δ|1⟩⟨1| = −δZ/2 + …: a positive detuning turns from X towards −Y.
    torch.testing.assert_close(idle[:, 2, 1], -kept * torch.sin(angle), rtol=0, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.5, 1e3),
    st.floats(0.01, 2.0),
    st.floats(0.0, 0.5),
    st.floats(0.0, 1e6),
    st.floats(-50.0, 50.0),
)
def test_idling_is_a_channel_that_composes(
    t1: float, ratio: float, thermal: float, duration: float, detuning: float
) -> None:
    decoherence = Decoherence(t1, ratio * t1, thermal)
    times = torch.tensor([duration, duration / 3, duration * 2 / 3], dtype=torch.float64)
    whole, first, second = idle_transfer(
        times, decoherence, detuning_mhz=detuning, anharmonicity_mhz=-330.0
    )
    # α × 1 ms are two million radians, each rounded: 1e-9 is what double precision leaves.
    torch.testing.assert_close(second @ first, whole, rtol=0, atol=1e-8)
    elements = basis(3)
    choi = torch.einsum("ij,iab,jdc->acbd", whole.to(torch.complex128), elements, elements)
    assert torch.linalg.eigvalsh(choi.reshape(9, 9)).min().item() > -1e-8
    kept = torch.einsum("i,ij->j", elements.diagonal(dim1=1, dim2=2).sum(1).real, whole)
    torch.testing.assert_close(kept, elements.diagonal(dim1=1, dim2=2).sum(1).real,
                               rtol=0, atol=1e-8)  # fmt: skip


def test_the_coherence_limit_is_the_infidelity_of_idling() -> None:
    first = Decoherence(torch.tensor([180.0, 5.0], dtype=torch.float64), 4.0, 0.01)
    second = Decoherence(60.0, torch.tensor([90.0, 0.3], dtype=torch.float64))
    idles = [idle_transfer(800.0, one, levels=2) for one in (first, second)]
    eye = torch.eye(4, dtype=torch.float64)
    alone = average_gate_infidelity(idles[0], eye)
    torch.testing.assert_close(coherence_limit(800.0, [first]), alone, rtol=1e-10, atol=0)
    pair = torch.einsum("bij,bkl->bikjl", *idles).reshape(2, 16, 16)
    together = average_gate_infidelity(pair, torch.eye(16, dtype=torch.float64))
    torch.testing.assert_close(
        coherence_limit(800.0, [first, second]), together, rtol=1e-10, atol=0
    )


def test_the_coherence_limit_of_short_gates_is_linear() -> None:
    """t/6 (1/T1 + 2/T2) for one qubit, t/5 Σ (1/T1 + 2/T2) for two: PRL 129, 150504 (2022)."""
    a, b = Decoherence(100.0, 80.0), Decoherence(50.0, 100.0)
    rate_a, rate_b = 1 / 100e3 + 2 / 80e3, 1 / 50e3 + 2 / 100e3
    assert coherence_limit(1e-3, [a]).item() == pytest.approx(1e-3 * rate_a / 6, rel=1e-6)
    both = 1e-3 * (rate_a + rate_b) / 5
    assert coherence_limit(1e-3, [a, b]).item() == pytest.approx(both, rel=1e-6)


def test_fields_broadcast_and_gradients_flow() -> None:
    t1 = torch.tensor([[20.0], [40.0]], dtype=torch.float64, requires_grad=True)
    t2 = torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64, requires_grad=True)
    assert dissipator(Decoherence(t1, t2), 3).shape == (2, 3, 9, 9)

    def final(t1: torch.Tensor, t2: torch.Tensor) -> torch.Tensor:
        return idle_transfer(500.0, Decoherence(t1, t2, 0.02), levels=2)

    assert torch.autograd.gradcheck(final, (t1, t2), fast_mode=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0, 1.0, 0.0), "t1_us must be above 0, got 0"),
        ((1.0, -1.0, 0.0), "t2_us must be above 0, got -1"),
        ((1.0, 2.1, 0.0), "t2_us must be at most 2 t1_us, got 2.1 t1_us"),
        ((1.0, 1.0, 0.6), "thermal_population must be between 0 and 0.5, got 0.6"),
        ((math.nan, 1.0, 0.0), "t1_us must be above 0, got nan"),
    ],
)
def test_impossible_values_are_refused(values: tuple[float, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Decoherence(*values)


def test_what_cannot_idle_is_refused() -> None:
    with pytest.raises(ValueError, match="duration_ns must be at least 0, got -1"):
        idle_transfer(-1.0, Decoherence(1.0, 1.0))
    with pytest.raises(ValueError, match="at least one qubit"):
        coherence_limit(1.0, [])


def test_without_processes_nothing_happens() -> None:
    idle = idle_transfer(1e4, Decoherence(math.inf, math.inf))
    torch.testing.assert_close(idle, torch.eye(9, dtype=torch.float64))

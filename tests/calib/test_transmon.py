"""Driven transmons against closed forms: Rabi, Ramsey, Stark shift, DRAG; batches; gradients."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from calib.channels import basis, transfer_matrix_of_unitary
from calib.decoherence import Decoherence, idle_transfer
from calib.pulses import DragPulse, rotation_amplitude
from calib.transmon import drive_transfer, propagator

RAD_PER_NS = 2e-3 * math.pi  # of one MHz


def flat(rabi_mhz: float, count: int) -> Tensor:
    return torch.full((count,), RAD_PER_NS * rabi_mhz, dtype=torch.complex128)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 100.0), st.floats(-200.0, 200.0), st.integers(1, 200), st.floats(0.1, 3.0))
def test_rabi_oscillations_with_detuning(
    rabi: float, detuning: float, count: int, step: float
) -> None:
    """P₁ = Ω²/Ω_eff² sin²(Ω_eff t/2), Ω_eff² = Ω² + δ²."""
    u = propagator(
        flat(rabi, count), dt_ns=step, detuning_mhz=detuning, anharmonicity_mhz=0, levels=2
    )
    effective = math.hypot(rabi, detuning)
    share = (rabi / effective) ** 2 if effective else 0.0
    expected = share * math.sin(math.pi * effective * 1e-3 * count * step) ** 2
    assert u[1, 0].abs().square().item() == pytest.approx(expected, abs=1e-9)


def test_phase_is_the_axis_of_the_rotation() -> None:
    angles = torch.tensor([0.0, 0.5, math.pi / 2, 2.0], dtype=torch.float64)
    amplitude = rotation_amplitude(math.pi, 50.0, 20.0, "cosine")
    pulse = DragPulse(amplitude, 0.0, 0.0, angles, 20.0, "cosine")
    u = propagator(
        pulse.samples(50.0), dt_ns=1.0, detuning_mhz=0.0, anharmonicity_mhz=0.0, levels=2
    )
    # A half turn about cos φ X + sin φ Y is −i times it: ⟨1|U|0⟩ = −i e^{iφ}.
    torch.testing.assert_close(u[:, 1, 0], -1j * torch.exp(1j * angles))


def test_ramsey_fringes_have_the_detuning_as_frequency() -> None:
    detuning = 1.7
    half = propagator(flat(250.0, 1), dt_ns=1.0, detuning_mhz=0.0, anharmonicity_mhz=0.0, levels=2)
    for count in (0, 50, 123, 400):
        wait = propagator(
            torch.zeros(max(count, 1), dtype=torch.complex128), dt_ns=1.0 if count else 1e-12,
            detuning_mhz=detuning, anharmonicity_mhz=0.0, levels=2,
        )  # fmt: skip
        excited = (half @ wait @ half)[1, 0].abs().square().item()
        expected = (1 + math.cos(2 * math.pi * detuning * 1e-3 * count)) / 2
        assert excited == pytest.approx(expected, abs=1e-9)


def test_a_pulse_detuned_like_the_qubit_is_resonant() -> None:
    """Signs: the qubit 5 MHz above the drive's frequency, and the pulse played 5 MHz above it."""
    amplitude = rotation_amplitude(math.pi, 20.0, 200.0, "cosine")
    pulse = DragPulse(amplitude, 0.0, torch.tensor([-5.0, 0.0, 5.0]), 0.0, 200.0, "cosine")
    u = propagator(
        pulse.samples(20.0, dt_ns=0.1), dt_ns=0.1, detuning_mhz=5.0, anharmonicity_mhz=0.0, levels=2
    )
    excited = u[:, 1, 0].abs().square()
    assert excited[2].item() == pytest.approx(1, abs=1e-6)
    assert excited[:2].max().item() < 0.7


def test_the_stark_shift_of_a_weak_tone() -> None:
    """Ω²α/(2Δ(Δ+α)): second order, levels 0 to 2; the next order is (Ω/Δ)² = 0.2 % of it."""
    rabi, detuning, alpha, rise = 2.0, 50.0, -330.0, 300.0

    def relative_phase(plateau: int) -> float:
        ramp = torch.sin(torch.linspace(0.0, math.pi / 2, int(rise), dtype=torch.float64)) ** 2
        shape = torch.cat([ramp, torch.ones(plateau, dtype=torch.float64), ramp.flip(0)])
        tone = (RAD_PER_NS * rabi * shape).to(torch.complex128)
        u = propagator(tone, dt_ns=1.0, detuning_mhz=detuning, anharmonicity_mhz=alpha)
        return torch.angle(u[0, 0] * u[1, 1].conj()).item()  # of |0⟩ before |1⟩: (E₁ − E₀) t

    # Over 1,000 ns the detuning itself makes 50 whole turns.
    turned = math.remainder(relative_phase(2000) - relative_phase(1000), 2 * math.pi)
    expected = rabi**2 * alpha / (2 * detuning * (detuning + alpha))
    assert turned / (RAD_PER_NS * 1000) == pytest.approx(expected, rel=0.01)


ALPHA = -330.0
SPARES_LEVEL_2 = -1 / (RAD_PER_NS * ALPHA)  # 0.482 ns


@pytest.mark.parametrize("drag", [-0.5, 0.0, 0.25, 0.4])
def test_leakage_of_a_weak_pulse_is_its_spectrum_at_the_anharmonicity(drag: float) -> None:
    """P(1→2) = |∫ (√2/2) Ω e^{iαt} dt|², first order; the pulse turns by 0.02 rad."""
    duration, step = 7.0, 0.01
    amplitude = rotation_amplitude(0.02, 100.0, duration)
    samples = DragPulse(amplitude, drag, 0.0, 0.0, duration).samples(100.0, dt_ns=step)
    u = propagator(samples, dt_ns=step, detuning_mhz=0.0, anharmonicity_mhz=ALPHA)
    times = (torch.arange(len(samples), dtype=torch.float64) + 0.5) * step
    spectrum = (samples * torch.exp(1j * RAD_PER_NS * ALPHA * times)).sum() * step
    expected = spectrum.abs().square().item() / 2
    assert u[2, 1].abs().square().item() == pytest.approx(expected, rel=2e-3)
    # By parts, the derivative multiplies the spectrum by 1 + drag α.
    plain = DragPulse(amplitude, 0.0, 0.0, 0.0, duration).samples(100.0, dt_ns=step)
    bare = (plain * torch.exp(1j * RAD_PER_NS * ALPHA * times)).sum() * step
    factor = 1 - drag / SPARES_LEVEL_2
    assert expected == pytest.approx(bare.abs().square().item() / 2 * factor**2, rel=1e-3)


def test_drag_at_its_closed_form_suppresses_leakage() -> None:
    duration, step = 7.0, 0.01
    amplitude = rotation_amplitude(0.02, 100.0, duration)
    drag = torch.tensor([0.0, SPARES_LEVEL_2], dtype=torch.float64)
    samples = DragPulse(amplitude, drag, 0.0, 0.0, duration).samples(100.0, dt_ns=step)
    u = propagator(samples, dt_ns=step, detuning_mhz=0.0, anharmonicity_mhz=ALPHA)
    leaked = u[:, 2, 1].abs().square()
    assert (leaked[1] / leaked[0]).item() < 1e-4


def test_half_the_drag_spares_the_phase() -> None:
    """A π/2 pulse of 24 ns: its phase error vanishes near −1/(2α), its leakage near −1/α."""
    drag = torch.linspace(0.0, 0.7, 1401, dtype=torch.float64)
    amplitude = rotation_amplitude(math.pi / 2, 100.0, 24.0)
    samples = DragPulse(amplitude, drag, 0.0, 0.0, 24.0).samples(100.0, dt_ns=0.1)
    u = propagator(samples, dt_ns=0.1, detuning_mhz=0.0, anharmonicity_mhz=ALPHA)
    # U = e^{iγ} (cos θ/2 − i sin θ/2 (n·σ)): n_z shows as the relative phase of the diagonal.
    phase = torch.angle(u[:, 1, 1] * u[:, 0, 0].conj())
    leaked = (u[:, 2, :2].abs() ** 2).sum(-1)
    assert drag[phase.abs().argmin()].item() == pytest.approx(SPARES_LEVEL_2 / 2, rel=0.05)
    assert drag[leaked.argmin()].item() == pytest.approx(SPARES_LEVEL_2, rel=0.15)


@pytest.mark.parametrize("levels", [2, 3, 4, 6])
def test_the_propagator_is_the_exact_product(levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    samples = torch.randn(4, 37, generator=generator, dtype=torch.complex128)
    detuning = 50 * torch.randn(4, generator=generator, dtype=torch.float64)
    found = propagator(samples, dt_ns=0.8, detuning_mhz=detuning, anharmonicity_mhz=-250.0,
                       levels=levels)  # fmt: skip
    number = torch.arange(levels, dtype=torch.float64)
    a = torch.diag(number[1:].sqrt(), 1).to(torch.complex128)
    energies = RAD_PER_NS * (detuning[:, None] * number - 125.0 * number * (number - 1))
    expected = torch.eye(levels, dtype=torch.complex128).expand(4, -1, -1)
    for k in range(37):
        drive = samples[:, k, None, None] * a.mH / 2
        hamiltonian = torch.diag_embed(energies) + drive + drive.mH
        expected = torch.linalg.matrix_exp(-0.8j * hamiltonian) @ expected
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_batches_broadcast_and_pieces_do_not_show() -> None:
    generator = torch.Generator().manual_seed(1)
    samples = 0.2 * torch.randn(1000, 1, 20, generator=generator, dtype=torch.complex128)
    alpha = torch.tensor([-330.0, -250.0], dtype=torch.float64)
    u = propagator(samples, dt_ns=1.0, detuning_mhz=0.3, anharmonicity_mhz=alpha)
    assert u.shape == (1000, 2, 3, 3)
    one = propagator(samples[876, 0], dt_ns=1.0, detuning_mhz=0.3, anharmonicity_mhz=-250.0)
    torch.testing.assert_close(u[876, 1], one, rtol=0, atol=1e-13)
    t1 = torch.tensor([[30.0]] * 60, dtype=torch.float64)
    r = drive_transfer(samples[:60], dt_ns=1.0, detuning_mhz=0.3, anharmonicity_mhz=alpha,
                       decoherence=Decoherence(t1, 20.0))  # fmt: skip
    assert r.shape == (60, 2, 9, 9)
    one = drive_transfer(samples[43, 0], dt_ns=1.0, detuning_mhz=0.3, anharmonicity_mhz=-250.0,
                         decoherence=Decoherence(30.0, 20.0))  # fmt: skip
    torch.testing.assert_close(r[43, 1], one, rtol=0, atol=1e-11)


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_the_channel_without_decoherence_is_the_unitary(levels: int) -> None:
    samples = DragPulse(0.5, 0.3, 2.0, 0.4, 20.0).samples(100.0)
    settings = {"dt_ns": 1.0, "detuning_mhz": 1.3, "anharmonicity_mhz": -330.0, "levels": levels}
    r = drive_transfer(samples, decoherence=Decoherence(math.inf, math.inf), **settings)
    expected = transfer_matrix_of_unitary(propagator(samples, **settings), basis(levels))
    torch.testing.assert_close(r, expected, rtol=0, atol=1e-10)


def test_the_channel_without_drive_is_idling() -> None:
    decoherence = Decoherence(3.0, 2.0, 0.05)
    r = drive_transfer(torch.zeros(40, dtype=torch.complex128), dt_ns=0.5, detuning_mhz=1.3,
                       anharmonicity_mhz=-330.0, decoherence=decoherence)  # fmt: skip
    expected = idle_transfer(20.0, decoherence, detuning_mhz=1.3, anharmonicity_mhz=-330.0)
    torch.testing.assert_close(r, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("levels", [2, 3])
def test_gradients_are_those_of_finite_differences(levels: int) -> None:
    """The last setting is the degenerate one: no amplitude and no detuning."""
    start = [[0.3, 0.4, 2.0, 0.5], [-0.1, 0.0, 0.0, 1.0], [0.0, 0.2, 0.0, 0.0]]
    fields = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    physics = torch.tensor(
        [[1.0, -330.0], [0.0, -330.0], [0.0, -330.0]], dtype=torch.float64, requires_grad=True
    )

    def final(fields: Tensor, physics: Tensor) -> Tensor:
        amplitude, drag, pulse_detuning, phase = fields.unbind(-1)
        samples = DragPulse(amplitude, drag, pulse_detuning, phase, 8.0).samples(100.0)
        return propagator(samples, dt_ns=1.0, detuning_mhz=physics[:, 0],
                          anharmonicity_mhz=physics[:, 1], levels=levels)  # fmt: skip

    assert torch.autograd.gradcheck(final, (fields, physics), atol=1e-6)
    assert torch.autograd.gradgradcheck(final, (fields, physics), atol=1e-6)


def test_gradients_of_the_channel() -> None:
    fields = torch.tensor([[0.3, 0.4, 2.0, 0.5], [0.0] * 4], dtype=torch.float64)
    times = torch.tensor([3.0, 2.0, 0.01], dtype=torch.float64)

    def final(fields: Tensor, times: Tensor) -> Tensor:
        amplitude, drag, detuning, phase = fields.unbind(-1)
        samples = DragPulse(amplitude, drag, detuning, phase, 4.0).samples(100.0)
        return drive_transfer(samples, dt_ns=1.0, detuning_mhz=0.0, anharmonicity_mhz=-330.0,
                              decoherence=Decoherence(*times))  # fmt: skip

    assert torch.autograd.gradcheck(final, (fields.requires_grad_(), times.requires_grad_()),
                                    fast_mode=True)  # fmt: skip


def test_gradients_do_not_depend_on_the_pieces() -> None:
    amplitude = torch.linspace(-0.5, 0.5, 2000, dtype=torch.float64, requires_grad=True)

    def excited(amplitude: Tensor) -> Tensor:
        samples = DragPulse(amplitude, 0.3, 0.0, 0.0, 16.0).samples(100.0)
        u = propagator(samples, dt_ns=1.0, detuning_mhz=0.0, anharmonicity_mhz=-330.0)
        return u[:, 1, 0].abs().square()

    (whole,) = torch.autograd.grad(excited(amplitude).sum(), amplitude)
    part = amplitude.detach()[1500:1510].requires_grad_()
    (few,) = torch.autograd.grad(excited(part).sum(), part)
    torch.testing.assert_close(whole[1500:1510], few)


SILENCE = torch.zeros(3, dtype=torch.complex128)


@pytest.mark.parametrize(
    ("samples", "changed", "message"),
    [
        (torch.zeros(3), {}, "samples must be complex Rabi rates in rad/ns, got torch.float32"),
        (
            torch.zeros(3, 0, dtype=torch.complex64),
            {},
            r"samples must have the shape \[..., N ≥ 1\], got \(3, 0",
        ),
        (SILENCE, {"dt_ns": 0.0}, "dt_ns must be above 0 and finite, got 0"),
        (SILENCE, {"levels": 1}, "levels must be at least 2, got 1"),
        (SILENCE, {"detuning_mhz": math.nan}, "must be finite, got inf or nan"),
    ],
)
def test_impossible_drives_are_refused(samples: Tensor, changed: dict, message: str) -> None:
    physics: dict[str, Any] = {
        "dt_ns": 1.0,
        "detuning_mhz": 0.0,
        "anharmonicity_mhz": -330.0,
    } | changed
    with pytest.raises(ValueError, match=message):
        propagator(samples, **physics)

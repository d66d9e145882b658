"""Propagators and channels of one driven transmon against QuTiP's solvers."""

import math
from typing import Any

import numpy as np
import pytest
import qutip
from torch import Tensor

from calib.channels import basis
from calib.decoherence import Decoherence, idle_transfer
from calib.pulses import DragPulse
from calib.transmon import drive_transfer, propagator

RAD_PER_NS = 2e-3 * math.pi  # of one MHz
solve: Any = qutip.propagator  # its annotations do not know that a time may be a float
STRICT = {"method": "dop853", "atol": 1e-12, "rtol": 1e-11, "nsteps": 100_000}
SEEDS = range(6)


def random_pulse(seed: int) -> tuple[DragPulse, float, float, float]:
    """A pulse of at most 40 MHz Rabi frequency; rabi_mhz, detuning_mhz, anharmonicity_mhz."""
    rng = np.random.default_rng(seed)
    envelope = "gaussian" if seed % 2 else "cosine"
    pulse = DragPulse(
        rng.uniform(0.1, 0.5), rng.uniform(-0.6, 0.6), rng.uniform(-5, 5), rng.uniform(-3, 3),
        rng.uniform(8, 24), envelope,
    )  # fmt: skip
    return pulse, rng.uniform(60, 80), rng.uniform(-3, 3), rng.uniform(-350, -200)


def static(detuning: float, alpha: float, levels: int) -> qutip.Qobj:
    n: Any = qutip.num(levels)
    return RAD_PER_NS * (detuning * n + alpha / 2 * n * (n - 1))


def stepped(samples: Tensor, step: float, rest: qutip.Qobj) -> qutip.QobjEvo:
    """The Hamiltonian of piecewise constant samples."""
    edges = np.arange(len(samples) + 1) * step
    values = np.append(samples.numpy(), samples.numpy()[-1])
    a = qutip.destroy(rest.shape[0])
    rate = qutip.coefficient(values, tlist=edges, order=0)
    return qutip.QobjEvo([rest, [a.dag() / 2, rate], [a / 2, rate.conj()]])


def stages(samples: Tensor, step: float, rest: qutip.Qobj, jumps: list[qutip.Qobj]) -> qutip.Qobj:
    """The propagator of piecewise constant samples: an adaptive solver for each piece."""
    a = qutip.destroy(rest.shape[0])
    total = qutip.qeye(rest.shape[0])
    if jumps:
        total = qutip.to_super(total)
    for sample in samples.tolist():
        hamiltonian = rest + sample / 2 * a.dag() + np.conj(sample) / 2 * a
        total = solve(hamiltonian, step, jumps, options=STRICT) @ total
    return total


def jumps_of(t1_us: float, t2_us: float, thermal: float, levels: int) -> list[qutip.Qobj]:
    a, n = qutip.destroy(levels), qutip.num(levels)
    pure = 1 / t2_us - 1 / (2 * t1_us)
    return [
        math.sqrt((1 - thermal) / t1_us * 1e-3) * a,
        math.sqrt(thermal / t1_us * 1e-3) * a.dag(),
        math.sqrt(2 * pure * 1e-3) * n,
    ]


def transfer(superoperator: qutip.Qobj, levels: int) -> np.ndarray:
    """R[i, j] = tr(B_i E(B_j)), by letting QuTiP's superoperator act."""
    elements = [qutip.Qobj(one.numpy()) for one in basis(levels)]
    moved = [
        qutip.vector_to_operator(superoperator @ qutip.operator_to_vector(one)) for one in elements
    ]
    return np.array([[(b @ m).tr().real for m in moved] for b in elements])


@pytest.mark.parametrize("levels", [2, 3, 4])
@pytest.mark.parametrize("seed", SEEDS)
def test_propagators_of_samples_agree(seed: int, levels: int) -> None:
    pulse, rabi, detuning, alpha = random_pulse(seed)
    samples, step = pulse.samples(rabi), pulse.step_ns()
    found = propagator(samples, dt_ns=step, detuning_mhz=detuning, anharmonicity_mhz=alpha,
                       levels=levels)  # fmt: skip
    expected = stages(samples, step, static(detuning, alpha, levels), [])
    np.testing.assert_allclose(found.numpy(), expected.full(), atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_channels_of_samples_agree(seed: int) -> None:
    pulse, rabi, detuning, alpha = random_pulse(seed)
    rng = np.random.default_rng(100 + seed)
    t1 = rng.uniform(0.2, 50)  # short ones too: a fifth of a microsecond shows what counts
    times = (t1, t1 * rng.uniform(0.1, 1.9), rng.uniform(0, 0.2))
    samples, step = pulse.samples(rabi), pulse.step_ns()
    found = drive_transfer(samples, dt_ns=step, detuning_mhz=detuning, anharmonicity_mhz=alpha,
                           decoherence=Decoherence(*times))  # fmt: skip
    expected = stages(samples, step, static(detuning, alpha, 3), jumps_of(*times, 3))
    np.testing.assert_allclose(found.numpy(), transfer(expected, 3), atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_idle_channels_agree(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    t1, duration = rng.uniform(1, 50), rng.uniform(10, 2000)
    times = (t1, t1 * rng.uniform(0.1, 1.9), rng.uniform(0, 0.2))
    found = idle_transfer(duration, Decoherence(*times), detuning_mhz=0.4, anharmonicity_mhz=-3.0)
    expected = solve(static(0.4, -3.0, 3), duration, jumps_of(*times, 3), options=STRICT)
    np.testing.assert_allclose(found.numpy(), transfer(expected, 3), atol=1e-6)


def continuous(pulse: DragPulse, rabi: float, rest: qutip.Qobj) -> qutip.QobjEvo:
    """The pulse as a function of time, written from its definition."""
    duration = pulse.duration_ns
    amplitude, drag, shift, phase = (
        float(value)
        for value in (pulse.amplitude, pulse.drag_ns, pulse.detuning_mhz, pulse.phase_rad)
    )

    def rate(t: float) -> complex:
        if pulse.envelope == "cosine":
            shape = math.sin(math.pi * t / duration) ** 2
            slope = math.pi / duration * math.sin(2 * math.pi * t / duration)
        else:
            x = (t - duration / 2) / (duration / 4)
            shape = (math.exp(-x * x / 2) - math.exp(-2)) / (1 - math.exp(-2))
            slope = -x / (duration / 4) * math.exp(-x * x / 2) / (1 - math.exp(-2))
        turn = np.exp(1j * (phase - RAD_PER_NS * shift * (t - duration / 2)))
        return RAD_PER_NS * rabi * amplitude * (shape + 1j * drag * slope) * turn

    a = qutip.destroy(rest.shape[0])
    return qutip.QobjEvo([rest, [a.dag() / 2, rate], [a / 2, lambda t: np.conj(rate(t))]])


@pytest.mark.parametrize("seed", SEEDS)
def test_fine_samples_converge_to_the_continuous_pulse(seed: int) -> None:
    """Samples at mid-points err by O(dt²): a 64th of a nanosecond is a 4096th of 1 ns' error."""
    pulse, rabi, detuning, alpha = random_pulse(seed)
    rest = static(detuning, alpha, 3)
    expected = solve(continuous(pulse, rabi, rest), pulse.duration_ns,
                                options=STRICT | {"max_step": 0.5}).full()  # fmt: skip
    errors = []
    for dt in (1.0, 0.5, 1 / 64):
        u = propagator(pulse.samples(rabi, dt_ns=dt), dt_ns=pulse.step_ns(dt),
                       detuning_mhz=detuning, anharmonicity_mhz=alpha)  # fmt: skip
        errors.append(np.abs(u.numpy() - expected).max())
    assert 3 < errors[0] / errors[1] < 6
    # Richardson's step takes the O(dt²) away and leaves what the two solvers differ by.
    fine, finer = (
        propagator(pulse.samples(rabi, dt_ns=dt), dt_ns=pulse.step_ns(dt), detuning_mhz=detuning,
                   anharmonicity_mhz=alpha).numpy()
        for dt in (1 / 32, 1 / 64)
    )  # fmt: skip
    np.testing.assert_allclose((4 * finer - fine) / 3, expected, atol=1e-6)
    assert errors[2] < 1e-4


def test_the_solver_finds_the_same_with_stepped_coefficients() -> None:
    """The form that the benchmark times, at QuTiP's own choice of steps."""
    pulse, rabi, detuning, alpha = random_pulse(1)
    samples, step = pulse.samples(rabi), pulse.step_ns()
    evolution = stepped(samples, step, static(detuning, alpha, 3))
    expected = solve(evolution, pulse.duration_ns,
                                options=STRICT | {"max_step": step}).full()  # fmt: skip
    found = propagator(samples, dt_ns=step, detuning_mhz=detuning, anharmonicity_mhz=alpha)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)

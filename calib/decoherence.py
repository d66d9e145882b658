"""Relaxation, heating and dephasing of one transmon: rates, generator, idling, coherence limit."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from calib.channels import basis, transfer_matrix_of_superoperator, transfer_matrix_of_unitary
from calib.threads import one_thread

_NS_PER_US = 1e3


class Rates(NamedTuple):
    """Squares of the factors before a, a† and n in the three jump operators, per ns, [...]."""

    lowering: Tensor
    raising: Tensor
    dephasing: Tensor


@dataclass(frozen=True)
class Decoherence:
    """What the surroundings do to a transmon; the fields broadcast against one another.

    Jump operators √((1−p)/T1) a, √(p/T1) a† and √(2/T_φ) n, with 1/T_φ = 1/T2 − 1/(2 T1), so that
    the coherence of levels 0 and 1 decays with 1/T2 (for p > 0 and more than two levels by p/T1
    faster, as level 1 is also excited to 2). `thermal_population` p is the excited share that a
    two-level system has in equilibrium; of L levels, each holds p/(1−p) of the one below.
    Infinite times mean no such process.

    >>> Decoherence(t1_us=100.0, t2_us=100.0).rates_per_ns().dephasing.item()
    1e-05
    """

    t1_us: Tensor | float
    t2_us: Tensor | float
    thermal_population: Tensor | float = 0.0

    def __post_init__(self) -> None:
        t1, t2, thermal = self._tensors()
        for name, times in (("t1_us", t1), ("t2_us", t2)):
            if not bool((times > 0).all()):
                raise ValueError(f"{name} must be above 0, got {_least(times)}")
        if not bool((t2 <= 2 * t1 * (1 + 1e-12)).all()):
            ratio = (t2 / t1).max().item()
            raise ValueError(f"t2_us must be at most 2 t1_us, got {ratio:.6g} t1_us: lower t2_us")
        if not bool(((thermal >= 0) & (thermal <= 0.5)).all()):
            raise ValueError(
                "thermal_population must be between 0 and 0.5, got "
                f"{_least(thermal)} to {thermal.max().item():g}"
            )

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return (_tensor(self.t1_us), _tensor(self.t2_us), _tensor(self.thermal_population))

    def rates_per_ns(self) -> Rates:
        """(1−p)/T1, p/T1 and 2/T_φ in 1/ns, each of shape [...]."""
        t1, t2, thermal = self._tensors()
        relaxation = 1 / (t1 * _NS_PER_US)
        # T2 = 2 T1 may come out a rounding error too long: no negative rates.
        dephasing = (2 / (t2 * _NS_PER_US) - relaxation).clamp(min=0)
        return Rates(relaxation * (1 - thermal), relaxation * thermal, dephasing)


def dissipator(decoherence: Decoherence, levels: int = 3) -> Tensor:
    """The Lindblad generator as a real matrix in `basis(levels)`, per ns, [..., L², L²]."""
    return generator_of_rates(decoherence.rates_per_ns(), levels)


def generator_of_rates(rates: Rates, levels: int = 3) -> Tensor:
    """The same from the rates, [..., L², L²]."""
    parts = _dissipators(levels)
    lowered, raised, dephased = (
        rate[..., None, None] * part for rate, part in zip(rates, parts, strict=True)
    )
    return lowered + raised + dephased


@one_thread()
def idle_transfer(
    duration_ns: Tensor | float,
    decoherence: Decoherence,
    *,
    detuning_mhz: Tensor | float = 0.0,
    anharmonicity_mhz: Tensor | float = 0.0,
    levels: int = 3,
) -> Tensor:
    """The channel of a wait in the drive's frame, [..., L², L²]; all arguments broadcast.

    >>> idle = idle_transfer(1000.0, Decoherence(t1_us=50.0, t2_us=70.0), levels=2)
    >>> [round(x, 6) for x in idle.diagonal().tolist()]  # 1, e^(−1/70) twice, e^(−1/50)
    [1.0, 0.985816, 0.985816, 0.980199]
    """
    duration = _tensor(duration_ns)
    if not bool((duration >= 0).all()):
        raise ValueError(f"duration_ns must be at least 0, got {_least(duration)}")
    number = torch.arange(levels, dtype=torch.float64)
    energies = _rad_per_ns(anharmonicity_mhz)[..., None] * number * (number - 1) / 2
    generator = dissipator(decoherence, levels) + energy_generator(energies)
    # Equally spaced levels commute with decoherence (it only knows differences of n), and a phase
    # is exact at any duration, whereas matrix_exp loses digits as detuning × duration grows.
    phases = (_rad_per_ns(detuning_mhz) * duration)[..., None] * number
    turn = transfer_matrix_of_unitary(torch.diag_embed(torch.exp(-1j * phases)), basis(levels))
    return turn @ torch.linalg.matrix_exp(duration[..., None, None] * generator)


def coherence_limit(duration_ns: Tensor | float, decoherences: Sequence[Decoherence]) -> Tensor:
    """Average gate infidelity of n qubits (two levels each) that idle for this long, [...].

    Exact: each qubit's Pauli transfer matrix has the trace 1 + 2 e^(−t/T2) + e^(−t/T1) whatever
    its temperature, the product of the traces over 4ⁿ is the process fidelity F_e, and the
    infidelity is d (1 − F_e)/(d + 1) with d = 2ⁿ.

    >>> round(coherence_limit(32.0, [Decoherence(t1_us=180.0, t2_us=120.0)]).item(), 9)
    0.000118504
    """
    if not decoherences:
        raise ValueError("decoherences must name at least one qubit, got none")
    duration = _tensor(duration_ns)
    kept = torch.zeros((), dtype=torch.float64)  # ln F_e
    for one in decoherences:
        t1, t2, _ = one._tensors()
        lost = 2 * torch.expm1(-duration / (t2 * _NS_PER_US)) + torch.expm1(
            -duration / (t1 * _NS_PER_US)
        )
        kept = kept + torch.log1p(lost / 4)
    dimension = 2 ** len(decoherences)
    return -torch.expm1(kept) * dimension / (dimension + 1)


def energy_generator(energies: Tensor) -> Tensor:
    """−i[H, ·] of H = diag(energies) in `basis(L)`, [..., L², L²]; energies [..., L] in rad/ns."""
    levels = energies.shape[-1]
    return torch.einsum("...n,nij->...ij", energies, _energy_generators(levels))


@functools.cache
def _energy_generators(levels: int) -> Tensor:
    projectors = torch.diag_embed(torch.eye(levels, dtype=torch.complex128))
    return torch.stack([commutator_generator(one) for one in projectors])


def commutator_generator(hamiltonian: Tensor) -> Tensor:
    """−i[H, ·] as a real matrix in `basis(L)`, [L², L²], for a Hermitian H of shape [L, L]."""
    levels = hamiltonian.shape[-1]
    one = torch.eye(levels, dtype=torch.complex128)
    transposed = hamiltonian.mT.contiguous()
    superoperator = -1j * (
        torch.kron(transposed.mT.contiguous(), one) - torch.kron(one, transposed)
    )
    return transfer_matrix_of_superoperator(superoperator, basis(levels))


@functools.cache
def _dissipators(levels: int) -> Tensor:
    """D[a], D[a†], D[n] in `basis(levels)`, [3, L², L²]; D[c]ρ = c ρ c† − (c†c ρ + ρ c†c)/2."""
    lower = lowering(levels)
    one = torch.eye(levels, dtype=torch.complex128)
    found = []
    for jump in (lower, lower.mH, lower.mH @ lower):
        rate = jump.mH @ jump
        superoperator = torch.kron(jump, jump.conj()) - 0.5 * (
            torch.kron(rate, one) + torch.kron(one, rate.conj())
        )
        found.append(transfer_matrix_of_superoperator(superoperator, basis(levels)))
    return torch.stack(found)


@functools.cache
def lowering(levels: int = 3) -> Tensor:
    """The operator a that takes level n to √n times level n − 1, [L, L]."""
    steps = torch.arange(1, levels, dtype=torch.float64).sqrt().to(torch.complex128)
    return torch.diag(steps, 1)


def _tensor(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _least(values: Tensor) -> str:
    return f"{values.min().item():g}"


def _rad_per_ns(frequency_mhz: Tensor | float) -> Tensor:
    return 2e-3 * math.pi * _tensor(frequency_mhz)

"""Transfer matrices against explicit averages over states and Paulis."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from calib.channels import (
    average_gate_infidelity,
    basis,
    computational_block,
    leakage,
    pair_basis,
    pauli_twirl,
    transfer_matrix_of_superoperator,
    transfer_matrix_of_unitary,
)

PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def random_kraus(dimension: int, count: int, seed: int) -> Tensor:
    """Kraus operators of a random channel: blocks of a random isometry, [count, D, D]."""
    generator = torch.Generator().manual_seed(seed)
    tall = torch.randn(count * dimension, dimension, generator=generator, dtype=torch.complex128)
    return torch.linalg.qr(tall)[0].reshape(count, dimension, dimension)


def transfer_of_kraus(kraus: Tensor, elements: Tensor) -> Tensor:
    moved = torch.einsum("kab,jbc,kdc->jad", kraus, elements, kraus.conj())
    return torch.einsum("iba,jad->ijbd", elements, moved).diagonal(dim1=-2, dim2=-1).sum(-1).real


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_the_basis_is_orthonormal_hermitian_and_begins_with_the_paulis(levels: int) -> None:
    elements = basis(levels)
    overlaps = torch.einsum("iab,jba->ij", elements, elements)
    torch.testing.assert_close(overlaps, torch.eye(levels**2, dtype=torch.complex128))
    torch.testing.assert_close(elements, elements.mH.resolve_conj())
    np.testing.assert_allclose(elements[:4, :2, :2] * math.sqrt(2), PAULIS, atol=1e-15)


@pytest.mark.parametrize("levels", [2, 3])
def test_the_transfer_matrix_gives_the_moved_state(levels: int) -> None:
    kraus = random_kraus(levels, 3, seed=1)
    state = random_kraus(levels, 1, seed=2)[0]
    state = state @ torch.diag(torch.arange(1.0, levels + 1).to(torch.complex128)) @ state.mH
    moved = sum(one @ state @ one.mH for one in kraus)
    superoperator = torch.stack([torch.kron(one, one.conj().resolve_conj()) for one in kraus])
    transfer = transfer_matrix_of_superoperator(superoperator.sum(0), basis(levels))
    vector = torch.einsum("iab,ba->i", basis(levels), state).real
    rebuilt = torch.einsum("i,iab->ab", (transfer @ vector).to(torch.complex128), basis(levels))
    torch.testing.assert_close(rebuilt, moved)
    torch.testing.assert_close(transfer, transfer_of_kraus(kraus, basis(levels)))


def test_unitaries_compose_and_pairs_are_products() -> None:
    u, v = random_kraus(3, 1, seed=3)[0], random_kraus(3, 1, seed=4)[0]
    ru, rv = transfer_matrix_of_unitary(torch.stack([u, v]), basis(3))
    torch.testing.assert_close(transfer_matrix_of_unitary(u @ v, basis(3)), ru @ rv)
    pair = transfer_matrix_of_unitary(torch.kron(u, v), pair_basis(3))
    torch.testing.assert_close(pair, torch.kron(ru, rv))
    block = computational_block(pair, qubits=2)
    torch.testing.assert_close(block, torch.kron(ru[:4, :4].contiguous(), rv[:4, :4].contiguous()))


@pytest.mark.parametrize(("qubits", "levels"), [(1, 2), (1, 3), (2, 2)])
def test_infidelity_is_the_haar_average(qubits: int, levels: int) -> None:
    """40,000 states: a standard error of at most 0.5/200 = 0.0025; five of them: 6e-7."""
    elements = basis(levels) if qubits == 1 else pair_basis(levels)
    ideal = random_kraus(2**qubits, 1, seed=5)[0]
    kraus = random_kraus(levels**qubits, 2, seed=6)
    rng = np.random.default_rng(7)
    states = rng.normal(size=(40_000, 2**qubits, 2)) @ [1, 1j]
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    kept = kraus.numpy()[:, : 2**qubits, : 2**qubits]  # two levels, or the lowest two of three
    errors = np.einsum("ba,kbc->kac", ideal.numpy().conj(), kept)
    amplitudes = np.stack([((states.conj() @ one) * states).sum(1) for one in errors], axis=1)
    expected = 1 - (np.abs(amplitudes) ** 2).sum(1).mean()
    transfer = computational_block(transfer_of_kraus(kraus, elements), qubits=qubits)
    small = basis(2) if qubits == 1 else pair_basis(2)
    found = average_gate_infidelity(transfer, transfer_matrix_of_unitary(ideal, small)).item()
    assert found == pytest.approx(expected, abs=0.0125)


@pytest.mark.parametrize("qubits", [1, 2])
def test_depolarizing_has_its_textbook_infidelity_and_error_rates(qubits: int) -> None:
    p, size = 0.03, 4**qubits
    transfer = torch.diag(torch.tensor([1.0] + [1 - p] * (size - 1), dtype=torch.float64))
    ideal = torch.eye(size, dtype=torch.float64)
    dimension = 2**qubits
    infidelity = average_gate_infidelity(transfer, ideal).item()
    assert infidelity == pytest.approx(p * (dimension - 1) / dimension, rel=1e-12)
    rates = pauli_twirl(transfer, ideal)
    assert rates[1:].tolist() == pytest.approx([p / size] * (size - 1), rel=1e-12)


def test_leakage_is_what_leaves_the_lower_levels() -> None:
    angle = 0.2
    swap = torch.eye(3, dtype=torch.complex128)
    swap[1:, 1:] = torch.tensor([[math.cos(angle), -math.sin(angle)],
                                 [math.sin(angle), math.cos(angle)]],
                                dtype=torch.complex128)  # fmt: skip
    transfer = transfer_matrix_of_unitary(swap, basis(3))
    assert leakage(transfer).item() == pytest.approx(math.sin(angle) ** 2 / 2, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([1, 2]), st.integers(1, 4))
def test_pauli_twirl_is_the_average_over_paulis(seed: int, qubits: int, count: int) -> None:
    kraus = random_kraus(2**qubits, count, seed).numpy()
    paulis = [
        np.array([[1.0]]) if not chosen else np.kron(*chosen) if len(chosen) == 2 else chosen[0]
        for chosen in itertools.product(PAULIS, repeat=qubits)
    ]
    gate = random_kraus(2**qubits, 1, seed + 1)[0]
    # The probability of P in the twirled error: Σ_k |tr(P K_k U†)|²/d², its χ matrix's diagonal.
    errors = kraus @ gate.mH.resolve_conj().numpy()
    traces = np.einsum("pab,kba->pk", np.array(paulis), errors)
    expected = (np.abs(traces) ** 2).sum(1) / 4**qubits
    elements = basis(2) if qubits == 1 else pair_basis(2)
    transfer = transfer_of_kraus(torch.from_numpy(kraus), elements)
    found = pauli_twirl(transfer, transfer_matrix_of_unitary(gate, elements))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    # And the explicit average of P E(P ρ P) P over the Paulis, as a map, is that mixture.
    twirled = np.mean(
        [
            transfer_of_kraus(torch.from_numpy(p @ errors @ p), elements).numpy()
            for p in np.array(paulis)
        ],
        axis=0,
    )
    mixed = sum(
        q * transfer_matrix_of_unitary(torch.from_numpy(p), elements).numpy()
        for q, p in zip(found.numpy(), np.array(paulis).astype(complex), strict=True)
    )
    np.testing.assert_allclose(twirled, mixed, atol=1e-12)

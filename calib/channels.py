"""Quantum channels as real transfer matrices: fidelity, leakage, and Pauli-twirled error rates."""

from __future__ import annotations

import functools
import itertools
import math

import torch
from torch import Tensor


@functools.cache
def basis(levels: int = 3) -> Tensor:
    """The orthonormal Hermitian basis, [L², L, L]: I, X, Y, Z over √2 on levels 0 and 1, the rest.

    The first four span the qubit, so that the first 4×4 block of a transfer matrix is the Pauli
    transfer matrix. Then, for each further level k, |k⟩⟨k| and the two Hermitian combinations
    with every level below it, over √2.
    """
    if levels < 2:
        raise ValueError(f"levels must be at least 2, got {levels}")
    elements = [_unit(levels, 0, 0) + _unit(levels, 1, 1), *_coherences(levels, 0, 1),
                _unit(levels, 0, 0) - _unit(levels, 1, 1)]  # fmt: skip
    elements = [element / math.sqrt(2) for element in elements]
    for k in range(2, levels):
        elements.append(_unit(levels, k, k))
        for below in range(k):
            elements += [element / math.sqrt(2) for element in _coherences(levels, below, k)]
    return torch.stack(elements)


def _unit(levels: int, row: int, column: int) -> Tensor:
    matrix = torch.zeros(levels, levels, dtype=torch.complex128)
    matrix[row, column] = 1
    return matrix


def _coherences(levels: int, low: int, high: int) -> list[Tensor]:
    up = _unit(levels, low, high)
    return [up + up.T, -1j * up + 1j * up.T]


@functools.cache
def pair_basis(levels: int = 3) -> Tensor:
    """The basis of two transmons, [L⁴, L², L²]: kron(B_i, B_j), the first one's index first."""
    one = basis(levels)
    return torch.stack([torch.kron(a, b) for a, b in itertools.product(one, one)])


def transfer_matrix_of_unitary(unitary: Tensor, elements: Tensor) -> Tensor:
    """R[i, j] = tr(B_i U B_j U†), [..., D², D²], for U of shape [..., D, D] and a basis of D.

    U may be a block of a larger unitary (leaky): then the matrix shrinks the trace as it should.
    """
    moved = torch.einsum("...ab,jbc,...dc->...jad", unitary, elements, unitary.conj())
    return torch.einsum("iba,...jab->...ij", elements, moved).real


def transfer_matrix_of_superoperator(superoperator: Tensor, elements: Tensor) -> Tensor:
    """The same for a superoperator S on row-major vec(ρ), [..., D², D²]: A ρ B† is A ⊗ B*."""
    columns = elements.reshape(len(elements), -1)
    return torch.einsum("ia,...ab,jb->...ij", columns.conj(), superoperator, columns).real


def computational_block(transfer: Tensor, *, qubits: int) -> Tensor:
    """The Pauli transfer matrix on the computational levels, [..., 4ⁿ, 4ⁿ], for n = 1 or 2."""
    if qubits == 1:
        return transfer[..., :4, :4]
    side = math.isqrt(transfer.shape[-1])
    kept = torch.tensor([a * side + b for a in range(4) for b in range(4)])
    return transfer[..., kept[:, None], kept]


def average_gate_infidelity(transfer: Tensor, ideal: Tensor) -> Tensor:
    """1 − F averaged over pure computational input states; leakage counts as error. Shape [...].

    `transfer` and `ideal` are computational blocks, [..., 4ⁿ, 4ⁿ]. F = (d·F_e + 1 − L)/(d + 1),
    with F_e = tr(R_idealᵀ R)/d² and L the leakage (Wood and Gambetta, arXiv:1704.03081).
    """
    dimension = math.isqrt(transfer.shape[-1])
    process = (ideal * transfer).sum((-2, -1)) / dimension**2
    return 1 - (dimension * process + transfer[..., 0, 0]) / (dimension + 1)


def leakage(transfer: Tensor) -> Tensor:
    """The population that leaves the computational levels, averaged over inputs. Shape [...]."""
    return 1 - transfer[..., 0, 0]


def pauli_twirl(transfer: Tensor, ideal: Tensor) -> Tensor:
    """Probabilities of the Pauli errors after the ideal gate, [..., 4ⁿ], in order I, X, Y, Z.

    `transfer` and `ideal` are computational blocks. Twirling E = R·R_idealᵀ over the Paulis
    leaves its diagonal; a Walsh–Hadamard transform turns that into probabilities, which sum to
    1 − leakage.
    """
    diagonal = torch.einsum("...ij,...ij->...i", transfer, ideal)
    return diagonal @ _commutation_signs(transfer.shape[-1]) / transfer.shape[-1]


@functools.cache
def _commutation_signs(size: int) -> Tensor:
    """+1 where two Paulis commute, −1 where they do not, [4ⁿ, 4ⁿ]."""
    one = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]],
                       dtype=torch.float64)  # fmt: skip
    signs = one
    while len(signs) < size:
        signs = torch.kron(signs, one)
    return signs

"""Two transmons sorted by their excitations: what an exchange conserves, as index tables."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from calib.channels import basis
from calib.decoherence import lowering


class Sector(NamedTuple):
    """The coherences |m⟩⟨n| of two transmons with `order` more excitations in m than in n.

    A Hamiltonian that conserves excitations and local decoherence map each sector onto itself, so
    that a channel on L⁴ matrix elements falls apart into small blocks (19, 16, 10, 4, 1 complex
    rows for L = 3; the sectors of negative order are the conjugates). `ket` and `bra` index the
    L² states of the pair, `first` and `second` the L² elements |m⟩⟨n| of each transmon.
    """

    order: int
    ket: Tensor
    bra: Tensor
    first: Tensor
    second: Tensor


@functools.cache
def state_groups(levels: int) -> Tensor:
    """States a·L + b by (a + b) mod L, ascending in a: [L groups, L states].

    Excitations a + b and a + b + L share a group and fill it, so that all blocks of a conserving
    operator are equally large and go through one batched call.
    """
    a = torch.arange(levels)
    return a * levels + (a[:, None] - a) % levels


def from_groups(blocks: Tensor, levels: int) -> Tensor:
    """One operator of the pair, [..., L², L²], from its blocks on the groups, [..., L, L, L]."""
    whole = blocks.new_zeros(*blocks.shape[:-3], levels**2, levels**2)
    states = state_groups(levels)
    whole[..., states[:, :, None], states[:, None, :]] = blocks
    return whole


@functools.cache
def exchange(levels: int) -> Tensor:
    """a†b + ab† in groups, [L, L, L]."""
    lift = torch.kron(lowering(levels).mH.contiguous(), lowering(levels)).real
    states = state_groups(levels)
    return (lift + lift.T)[states[:, :, None], states[:, None, :]]


@functools.cache
def sectors(levels: int) -> tuple[Sector, ...]:
    """The sectors of order 0 … 2(L − 1)."""
    return tuple(_sector(order, levels) for order in range(2 * levels - 1))


def _sector(order: int, levels: int) -> Sector:
    states = range(levels**2)
    excitations = [sum(divmod(state, levels)) for state in states]
    pairs = [(m, n) for m in states for n in states if excitations[m] - excitations[n] == order]
    ket, bra = torch.tensor(pairs).T
    first = (ket // levels) * levels + bra // levels
    second = (ket % levels) * levels + bra % levels
    return Sector(order, ket, bra, first, second)


def conjugation(unitary: Tensor, sector: Sector) -> Tensor:
    """ρ → UρU† on a sector, [..., n, n], for a conserving U of shape [..., L², L²]."""
    ket = unitary[..., sector.ket[:, None], sector.ket]
    return ket * unitary[..., sector.bra[:, None], sector.bra].conj()


def rotation(hamiltonian: Tensor, sector: Sector) -> Tensor:
    """ρ → −i[H, ρ] on a sector, [..., n, n], for a conserving real H of shape [..., L², L²]."""
    ket = hamiltonian[..., sector.ket[:, None], sector.ket]
    bra = hamiltonian[..., sector.bra, sector.bra[:, None]]
    return -1j * (ket * _same(sector.bra) - _same(sector.ket) * bra)


def local_sum(first: Tensor, second: Tensor, sector: Sector) -> Tensor:
    """A ⊗ 1 + 1 ⊗ B on a sector, [..., n, n], for generators [..., L², L²] on elements |m⟩⟨n|."""
    a = first[..., sector.first[:, None], sector.first] * _same(sector.second)
    return a + second[..., sector.second[:, None], sector.second] * _same(sector.first)


def local_product(first: Tensor, second: Tensor, sector: Sector) -> Tensor:
    """A ⊗ B on a sector, [..., n, n], for maps [..., L², L²] on elements |m⟩⟨n|."""
    a = first[..., sector.first[:, None], sector.first]
    return a * second[..., sector.second[:, None], sector.second]


def _same(labels: Tensor) -> Tensor:
    return (labels[:, None] == labels).to(torch.float64)


def on_elements(transfer: Tensor, levels: int) -> Tensor:
    """A transfer matrix or generator in `basis` as a map of elements |m⟩⟨n|, [..., L², L²]."""
    columns = basis(levels).reshape(levels**2, -1)
    return columns.T @ transfer.to(columns.dtype) @ columns.conj()


def transfer_from_sectors(blocks: list[Tensor], levels: int) -> Tensor:
    """The pair's transfer matrix, [..., L⁴, L⁴], from its maps on the sectors, each [..., n, n]."""
    batch = blocks[0].shape[:-2]
    entries = torch.cat([block.reshape(*batch, -1) for block in blocks], dim=-1)
    columns = torch.view_as_real(entries).reshape(-1, 2 * entries.shape[-1]).T
    matrices = torch.sparse.mm(_assembly(levels), columns)
    return matrices.T.reshape(*batch, levels**4, levels**4)


@functools.cache
def _assembly(levels: int) -> Tensor:
    """The sparse real map from (Re, Im) of the sectors' entries to the transfer matrix's.

    R[i, j] = Σ_vw conj(c_iv) S_vw c_jw with c_iv = ⟨n|…|m⟩ of basis element i; a sector and its
    conjugate give conjugate terms, hence 2 Re for order > 0. Only ~1 % of the map is not zero.
    """
    one = basis(levels).reshape(levels**2, -1).numpy()
    rows, columns, values, offset = [], [], [], 0
    for sector in sectors(levels):
        both = np.einsum("iv,jv->ijv", one[:, sector.first.numpy()], one[:, sector.second.numpy()])
        both = both.reshape(levels**4, -1)
        element, position = np.nonzero(both)
        value = both[element, position]
        product = np.multiply.outer(value.conj(), value) * (1 if sector.order == 0 else 2)
        row = np.add.outer(element * levels**4, element)
        entry = offset + np.add.outer(position * both.shape[1], position)
        rows += [row.ravel()] * 2
        columns += [2 * entry.ravel(), 2 * entry.ravel() + 1]
        values += [product.real.ravel(), -product.imag.ravel()]
        offset += both.shape[1] ** 2
    kept = np.nonzero(np.concatenate(values))[0]
    places = np.stack([np.concatenate(rows)[kept], np.concatenate(columns)[kept]])
    size = (levels**8, 2 * offset)
    return torch.sparse_coo_tensor(
        torch.from_numpy(places),
        torch.from_numpy(np.concatenate(values)[kept]),
        size,
        check_invariants=True,
    ).coalesce()

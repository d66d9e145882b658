"""Exact states of a few transmons, leakage included, as real vectors under transfer matrices."""

from __future__ import annotations

import functools
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from calib.channels import basis, pair_basis

Array = NDArray[np.float64]
Number = TypeVar("Number", np.float64, np.complex128)


def product_state(populations: Array) -> Array:
    """The diagonal product state of k transmons with these level populations [k, L].

    A state is the vector tr(B_i ρ) over the basis of `calib.channels`, one axis of size L² for
    each transmon: shape [L²]·k.

    >>> product_state(np.array([[1.0, 0.0, 0.0]])).shape
    (9,)
    """
    state = np.ones((), dtype=np.float64)
    for one in populations:
        state = np.multiply.outer(state, _diagonals(len(one)).T @ one)
    return state


def apply(
    state: NDArray[Number], matrix: NDArray[Number], positions: tuple[int, ...]
) -> NDArray[Number]:
    """The state after a channel on one transmon ([L², L²]) or on two ([L⁴, L⁴], in that order).

    Amplitudes of pure states, one axis of size L for each transmon, take an operator likewise;
    further axes behind are a batch.
    """
    if len(positions) == 2 and positions[1] != positions[0] + 1:
        moved = np.moveaxis(state, positions, (0, 1))
        return np.moveaxis(apply(moved, matrix, (0, 1)), (0, 1), positions)
    left = int(np.prod(state.shape[: positions[0]]))
    after = np.matmul(matrix, state.reshape(left, matrix.shape[0], -1), dtype=state.dtype)
    return after.reshape(state.shape)


def level_probabilities(state: Array) -> Array:
    """The joint probabilities of the levels of all transmons, [L]·k."""
    populations = state
    for axis in range(state.ndim):
        levels = round(state.shape[axis] ** 0.5)
        summed = np.tensordot(_diagonals(levels), populations, (1, axis))
        populations = np.asarray(np.moveaxis(summed, 0, axis), dtype=np.float64)
    return populations


@functools.cache
def _diagonals(levels: int) -> Array:
    """⟨n|B_i|n⟩, [L, L²]: from a state to the levels' populations, and back by its transpose."""
    return np.einsum("inn->ni", basis(levels).numpy()).real.copy()


@functools.lru_cache(maxsize=4096)
def z_rotation(angle_rad: float, levels: int = 3) -> Array:
    """The transfer matrix of exp(−iθn), [L², L²]: a virtual Z, or a frame that turned."""
    elements = basis(levels).numpy()
    phases = np.exp(-1j * angle_rad * np.arange(levels))
    turned = phases[:, None] * elements * phases.conj()
    return np.einsum("iba,jab->ij", elements, turned).real


@functools.lru_cache(maxsize=4096)
def zz_rotation(angle_rad: float, levels: int = 3) -> Array:
    """The transfer matrix of exp(−iθ n⊗n), [L⁴, L⁴]: what an always-on ZZ coupling does."""
    numbers = np.arange(levels)
    phases = np.exp(-1j * angle_rad * np.outer(numbers, numbers).ravel())
    columns = _pair_columns(levels)
    turned = columns * np.outer(phases, phases.conj()).ravel()
    return np.ascontiguousarray((columns.conj() @ turned.T).real)


@functools.cache
def _pair_columns(levels: int) -> NDArray[np.complex128]:
    elements = pair_basis(levels).numpy()
    return elements.reshape(len(elements), -1)

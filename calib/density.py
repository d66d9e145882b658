"""Exact states of a few transmons, leakage included, as real vectors under transfer matrices."""

from __future__ import annotations

import functools
import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

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
        state = np.multiply.outer(state, diagonals(len(one)).T @ one)
    return state


def apply(
    state: NDArray[Number], matrix: NDArray[Number] | csr_array, positions: tuple[int, ...]
) -> NDArray[Number]:
    """The state after a channel on one transmon ([L², L²]) or on two ([L⁴, L⁴], in that order).

    Amplitudes of pure states, one axis of size L for each transmon, take an operator likewise;
    further axes behind are a batch.
    """
    front = tuple(range(len(positions)))
    moved = np.moveaxis(state, positions, front)
    flat = moved.reshape(math.prod(moved.shape[: len(positions)]), -1)
    after = np.asarray(matrix @ flat, dtype=state.dtype)
    return np.moveaxis(after.reshape(moved.shape), front, positions)


def level_probabilities(state: Array) -> Array:
    """The joint probabilities of the levels of all transmons, [L]·k."""
    populations = state
    for axis in range(state.ndim):
        levels = round(state.shape[axis] ** 0.5)
        summed = np.tensordot(diagonals(levels), populations, (1, axis))
        populations = np.asarray(np.moveaxis(summed, 0, axis), dtype=np.float64)
    return populations


@functools.cache
def diagonals(levels: int) -> Array:
    """⟨n|B_i|n⟩, [L, L²]: from a state to the levels' populations, and back by its transpose."""
    diagonals = np.einsum("inn->ni", basis(levels).numpy()).real.copy()
    diagonals.flags.writeable = False
    return diagonals


def z_rotation(angle_rad: float, levels: int = 3) -> Array:
    """The transfer matrix of exp(−iθn), [L², L²]: a virtual Z, or a frame that turned."""
    return _rotation(angle_rad, *_turning(levels, 1)).reshape(levels**2, levels**2)


@functools.lru_cache(maxsize=1024)  # 4 kB each
def zz_rotation(angle_rad: float, levels: int = 3) -> csr_array:
    """The transfer matrix of exp(−iθ n⊗n), [L⁴, L⁴], read-only: what an always-on ZZ does.

    A column of it has four numbers at most that are not 0: a coherence of one transmon turns with
    the level of the other, and one of both mixes with its partner.
    """
    cosines, sines = _turning(levels, 2)
    filled = np.flatnonzero(np.any((cosines != 0) | (sines != 0), axis=0))
    values = _rotation(angle_rad, cosines[:, filled], sines[:, filled])
    rotation = csr_array((values, np.divmod(filled, levels**4)), shape=(levels**4, levels**4))
    rotation.data.flags.writeable = False
    return rotation


def _rotation(angle_rad: float, cosines: Array, sines: Array) -> Array:
    angles = angle_rad * np.arange(len(cosines))
    turned: Array = np.cos(angles) @ cosines + np.sin(angles) @ sines
    return turned


@functools.cache
def _turning(levels: int, transmons: int) -> tuple[Array, Array]:
    """What multiplies cos(mθ) and sin(mθ) in a rotation's matrix, [m, L⁴] or [m, L⁸].

    |a⟩⟨b| turns by exp(−iθ(E_a − E_b)), E the number n, or the product of both transmons'.
    """
    numbers = np.arange(levels)
    energies = numbers if transmons == 1 else np.outer(numbers, numbers).ravel()
    elements = (basis(levels) if transmons == 1 else pair_basis(levels)).numpy()
    columns = elements.reshape(len(elements), -1)
    apart = np.subtract.outer(energies, energies).ravel()
    cosines, sines = [], []
    for m in range(apart.max() + 1):
        up, down = ((columns.conj() * (apart == sign * m)) @ columns.T for sign in (1, -1))
        cosines.append(((up + down) / (2 if m == 0 else 1)).real.ravel())
        sines.append((up - down).imag.ravel())
    return np.array(cosines), np.array(sines)

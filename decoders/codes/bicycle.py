"""The bivariate bicycle code [[72, 12, 6]] with its depth-eight round (arXiv:2308.07915)."""

from collections.abc import Sequence

import numpy as np
import stim

from decoders.codes.memory import Check, Layer, Memory, Observable, assemble

_L, _M = 6, 6
# A = x^3 + y + y^2 and B = y^3 + x + x^2 as exponents (of x, of y).
_A = ((3, 0), (0, 1), (0, 2))
_B = ((0, 3), (1, 0), (2, 0))

# Table 5 of the paper, as (block of data, term): at each of seven steps, the neighbour that all X
# (or Z) checks meet; None where they rest.
_X_ORDER = (None, ("L", 1), ("R", 1), ("R", 0), ("R", 2), ("L", 0), ("L", 2))
_Z_ORDER = (("R", 0), ("R", 2), ("L", 0), ("L", 1), ("L", 2), ("R", 1), None)

Cell = tuple[int, int]
_CELLS: tuple[Cell, ...] = tuple((i, j) for i in range(_L) for j in range(_M))
# Qubits: left data, right data, X checks, Z checks, 36 each; their corners of a doubled cell.
_BLOCKS = {"L": (0, (0, 0)), "R": (1, (1, 1)), "X": (2, (1, 0)), "Z": (3, (0, 1))}


def bivariate_bicycle(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return a memory of the twelve logical qubits of the [[72, 12, 6]] code, `distance` being 6.

    A round has seven CX layers, of which the Z ancillas' measurement shares the last and the X
    ancillas' preparation the first, and one in which X ancillas are measured and Z ancillas
    reset. The observables are a basis of the twelve logical operators of the chosen kind, none of
    them of weight below 6. The circuit-level distance, too, is 6: enumerated for 5 rounds, where
    arXiv:2308.07915 has a bound from above.

    The cell (i, j), 0 <= i, j < 6, of a torus has four qubits: left data 6 i + j at the
    coordinates (2 i, 2 j), right data 36 + 6 i + j at (2 i + 1, 2 j + 1), X ancilla 72 + 6 i + j
    at (2 i + 1, 2 j), Z ancilla 108 + 6 i + j at (2 i, 2 j + 1). Detectors are at their ancilla's
    (x, y) and t. Checks couple beyond neighbours and are hyperedges: matching does not decode them.
    """
    del distance  # this code has one
    memory = Memory(
        coordinates={
            _qubit(block, cell): _place(block, cell) for block in "LRXZ" for cell in _CELLS
        },
        layers=lambda first, last: _layers(first, last, basis),
        checks=[_check(kind, cell, basis) for kind in "XZ" for cell in _CELLS],
        observables=[
            Observable(np.flatnonzero(row).tolist())
            for row in logical_operators(
                parity_check_matrix("Z" if basis == "X" else "X"), parity_check_matrix(basis)
            )
        ],
    )
    return assemble(memory, rounds)


def parity_check_matrix(kind: str) -> np.ndarray:
    """Return the X or Z checks, uint8 of shape (36, 72): [A | B], or [B^T | A^T]."""
    matrix = np.zeros((len(_CELLS), 2 * len(_CELLS)), dtype=np.uint8)
    for row, cell in enumerate(_CELLS):
        for block in "LR":
            for term in range(3):
                matrix[row, _neighbour(kind, cell, block, term)] ^= 1
    return matrix


def logical_operators(commuting: np.ndarray, trivial: np.ndarray) -> np.ndarray:
    """Return a basis, shape (k, n), of the kernel of `commuting` modulo the rows of `trivial`.

    Both are binary of shape (checks, n).
    """
    known = _reduced(trivial)
    found = []
    for vector in _kernel(commuting):
        grown = _reduced(np.vstack([known, vector]))
        if len(grown) > len(known):
            known = grown
            found.append(vector)
    return np.array(found, dtype=np.uint8)


def _qubit(block: str, cell: Cell) -> int:
    return _BLOCKS[block][0] * len(_CELLS) + _CELLS.index((cell[0] % _L, cell[1] % _M))


def _place(block: str, cell: Cell) -> tuple[int, int]:
    _, (x, y) = _BLOCKS[block]
    return (2 * cell[0] + x, 2 * cell[1] + y)


def _check(kind: str, cell: Cell, basis: str) -> Check:
    return Check(
        _place(kind, cell),
        outcomes=((_qubit(kind, cell), 0),),
        known="kept" if kind == basis else "repeated",
        data=tuple(_neighbour(kind, cell, block, term) for block in "LR" for term in range(3)),
    )


def _neighbour(kind: str, cell: Cell, block: str, term: int) -> int:
    # Rows of [A | B] for X; of [B^T | A^T] for Z, where a transposed monomial shifts backwards.
    shifts = _A if (kind == "X") == (block == "L") else _B
    sign = 1 if kind == "X" else -1
    return _qubit(block, (cell[0] + sign * shifts[term][0], cell[1] + sign * shifts[term][1]))


def _layers(first: bool, last: bool, basis: str) -> list[Layer]:
    data = list(range(2 * len(_CELLS)))
    x_checks = [_qubit("X", cell) for cell in _CELLS]
    z_checks = [_qubit("Z", cell) for cell in _CELLS]
    x_or_z = "X" if basis == "X" else ""
    layers: list[list[tuple[str, Sequence[int]]]] = [[("CX", _pairs(step))] for step in range(7)]
    layers[0].insert(0, ("RX", x_checks))
    layers[-1].append(("M", z_checks))
    closing = [("MX", x_checks), ("M" + x_or_z, data) if last else ("R", z_checks)]
    opening = [[("R" + x_or_z, data), ("R", z_checks)]] if first else []
    return [*opening, *layers, closing]


def _pairs(step: int) -> list[int]:
    pairs: list[int] = []
    x_turn, z_turn = _X_ORDER[step], _Z_ORDER[step]
    for cell in _CELLS:
        if x_turn is not None:
            pairs += [_qubit("X", cell), _neighbour("X", cell, *x_turn)]
        if z_turn is not None:
            pairs += [_neighbour("Z", cell, *z_turn), _qubit("Z", cell)]
    return pairs


def _reduced(matrix: np.ndarray) -> np.ndarray:
    """Return the reduced row echelon form over GF(2) without its zero rows."""
    rows = matrix.astype(np.uint8) % 2
    rank = 0
    for column in range(rows.shape[1]):
        pivots = np.flatnonzero(rows[rank:, column])
        if len(pivots) == 0:
            continue
        pivot = rank + pivots[0]
        rows[[rank, pivot]] = rows[[pivot, rank]]
        others = np.flatnonzero(rows[:, column])
        others = others[others != rank]
        rows[others] ^= rows[rank]
        rank += 1
        if rank == len(rows):
            break
    return rows[:rank]


def _kernel(matrix: np.ndarray) -> np.ndarray:
    """Return a basis of {v : matrix v = 0} over GF(2), shape (n - rank, n)."""
    reduced = _reduced(matrix)
    pivots = [int(np.flatnonzero(row)[0]) for row in reduced]
    free = [column for column in range(matrix.shape[1]) if column not in pivots]
    basis = np.zeros((len(free), matrix.shape[1]), dtype=np.uint8)
    for vector, column in zip(basis, free, strict=True):
        vector[column] = 1
        vector[pivots] = reduced[:, column]
    return basis

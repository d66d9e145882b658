"""The heavy-hexagon code: Bacon-Shor against Z, surface code against X (arXiv:1907.09528)."""

from dataclasses import dataclass
from itertools import count

import stim

from decoders.codes.memory import Check, Layer, Memory, Observable, Outcome, assemble

# Step, of five, at which the flag on the west or east side of an X gauge operator meets its
# (north, south) data qubit; the ancilla meets the west flag at steps 0 and 3, the east one at 1
# and 4. A data qubit between two gauge operators is met by both at different steps.
_WEST_STEPS = (1, 2)
_EAST_STEPS = (3, 2)


@dataclass(frozen=True)
class _Lattice:
    """A d x d grid of data, (row, column) -> qubit; flags on the vertical edges; ancillas.

    `flags` maps the edge from (row, column) to (row + 1, column), `ancillas` the plaquette with
    the north-west corner (row, column) to its qubit; rows -1 and d - 1 hold the X gauge operators
    of weight two. `border_flags` are the flags of these, on edges that end in one data qubit; where
    there are none, the ancilla meets the data itself.
    """

    distance: int
    data: dict[tuple[int, int], int]
    flags: dict[tuple[int, int], int]
    ancillas: dict[tuple[int, int], int]
    border_flags: dict[tuple[int, int], int]


def heavy_hex(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return a heavy-hexagon code memory; every qubit interacts with at most three others.

    A round measures the X gauge operators (weight four through ancilla and two flags, weight two
    on the north and south border), then the Z gauge operators (vertical pairs, by the qubit that
    was the flag). Detectors are the stabilizers, which are products of gauge operators: two
    columns of X, and the surface code's Z plaquettes; and the flags themselves. The logical X is
    a column, the logical Z a row. The flags keep the circuit-level distance at d: without their
    detectors it is (d + 1) / 2 in the Z basis. Against Z errors it is a Bacon-Shor code, whose X
    stabilizers grow with d: in the X basis it has no threshold.

    Of the (5 d^2 - 2 d - 1) / 2 qubits, the data come first, at (2 column, 2 row), by rows; then
    the flags, at odd y, by rows; then the ancillas of the X gauge operators, at odd x. Detectors
    are at (x, y, t): flags at the flag, Z plaquettes and X double columns at their centre.
    """
    return _circuit(distance, rounds, basis, flags_at_border=False)


def heavy_hex_native(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return the heavy-hexagon code memory that lies on IBM's chips without swaps.

    As `heavy_hex`, but the X gauge operators of weight two have two flags each, as those in the
    bulk have: all that is coupled lies in cycles of twelve qubits. The flags on the border give
    detectors too, and measure no Z gauge operator.

    Of the (5 d^2 + 2 d - 5) / 2 qubits, the first are those of `heavy_hex`; the 2 (d - 1) flags on
    the border follow, those at y = -1 before those at y = 2 d - 1.
    """
    return _circuit(distance, rounds, basis, flags_at_border=True)


def _circuit(distance: int, rounds: int, basis: str, *, flags_at_border: bool) -> stim.Circuit:
    lattice, coordinates = _lattice(distance, flags_at_border)
    along = 1 if basis == "X" else 0
    memory = Memory(
        coordinates=coordinates,
        layers=lambda first, last: _layers(lattice, (first, last, basis)),
        checks=[
            *_flag_checks(lattice),
            *_x_checks(lattice, "kept" if basis == "X" else "repeated"),
            *_z_checks(lattice, "kept" if basis == "Z" else "repeated"),
        ],
        observables=[Observable([q for place, q in lattice.data.items() if place[along] == 0])],
    )
    return assemble(memory, rounds)


def _lattice(
    distance: int, flags_at_border: bool
) -> tuple[_Lattice, dict[int, tuple[float, float]]]:
    grid, number = range(distance), count()
    data = {(row, col): next(number) for row in grid for col in grid}
    flags = {(row, col): next(number) for row in grid[:-1] for col in grid}
    ancillas = {
        (row, col): next(number)
        for row in range(-1, distance)
        for col in grid[:-1]
        if (row + col) % 2 == 0
    }
    on_border = [at for at in ancillas if at[0] in (-1, distance - 1)] if flags_at_border else []
    border_flags = {(row, col + side): next(number) for row, col in on_border for side in (0, 1)}
    places: dict[int, tuple[float, float]] = {}
    # Edges lie halfway down, plaquettes also halfway to the east.
    for qubits, east, south in (
        (data, 0, 0),
        (flags, 0, 1),
        (ancillas, 1, 1),
        (border_flags, 0, 1),
    ):
        places |= {q: (2 * col + east, 2 * row + south) for (row, col), q in qubits.items()}
    return _Lattice(distance, data, flags, ancillas, border_flags), places


def _flags_of(lattice: _Lattice, row: int, col: int) -> tuple[int | None, int | None]:
    """Return the west and east flag of the X gauge operator there, if it has any."""
    flags = lattice.flags | lattice.border_flags
    return flags.get((row, col)), flags.get((row, col + 1))


def _flag_checks(lattice: _Lattice) -> list[Check]:
    checks = []
    for row, col in lattice.ancillas:
        for side, flag in enumerate(_flags_of(lattice, row, col)):
            if flag is not None:
                checks.append(Check((2 * (col + side), 2 * row + 1), ((flag, 0),), "flag"))
    return checks


def _x_checks(lattice: _Lattice, known: str) -> list[Check]:
    """Two neighbouring columns of X, the product of the X gauge operators between them."""
    checks = []
    for col in range(lattice.distance - 1):
        outcomes = tuple((qubit, 0) for at, qubit in lattice.ancillas.items() if at[1] == col)
        data = tuple(qubit for at, qubit in lattice.data.items() if at[1] in (col, col + 1))
        checks.append(Check((2 * col + 1, lattice.distance - 1), outcomes, known, data))
    return checks


def _z_checks(lattice: _Lattice, known: str) -> list[Check]:
    """The plaquettes without X gauge operator: two vertical pairs of Z, or one on the border."""
    checks = []
    flagged = {flag for at in lattice.ancillas for flag in _flags_of(lattice, *at)}
    for row in range(lattice.distance - 1):
        for col in range(-1, lattice.distance):
            if (row + col) % 2 == 1:
                edges = [at for at in ((row, col), (row, col + 1)) if at in lattice.flags]
                # The flags met a first time as flags of an X gauge operator.
                outcomes: tuple[Outcome, ...] = tuple(
                    (lattice.flags[at], int(lattice.flags[at] in flagged)) for at in edges
                )
                data = tuple(lattice.data[at[0] + south, at[1]] for at in edges for south in (0, 1))
                checks.append(Check((2 * col + 1, 2 * row + 1), outcomes, known, data))
    return checks


def _layers(lattice: _Lattice, stage: tuple[bool, bool, str]) -> list[Layer]:
    first, last, basis = stage
    data, ancillas = list(lattice.data.values()), list(lattice.ancillas.values())
    z_ancillas = list(lattice.flags.values())
    flags = [
        flag for at in lattice.ancillas for flag in _flags_of(lattice, *at) if flag is not None
    ]
    x_or_z = "X" if basis == "X" else ""
    steps: list[list[int]] = [[] for _ in range(5)]
    for row, col in lattice.ancillas:
        for step, pair in _x_gauge_steps(lattice, row, col):
            steps[step] += pair
    pairs = [
        [
            q
            for at, flag in lattice.flags.items()
            for q in (lattice.data[at[0] + south, at[1]], flag)
        ]
        for south in (0, 1)
    ]
    return [
        [("RX", ancillas), ("R", flags), *([("R" + x_or_z, data)] if first else [])],
        *([("CX", step)] for step in steps),
        [("MX", ancillas), ("M", flags)],
        [("R", z_ancillas)],
        *([("CX", pair)] for pair in pairs),
        [("M", z_ancillas), *([("M" + x_or_z, data)] if last else [])],
    ]


def _x_gauge_steps(lattice: _Lattice, row: int, col: int) -> list[tuple[int, tuple[int, int]]]:
    """Return (step, (control, target)) of the CX that measure one X gauge operator."""
    ancilla, data = lattice.ancillas[row, col], lattice.data
    west, east = _flags_of(lattice, row, col)
    if west is None or east is None:
        # Steps at which the flags leave the row of data on the border alone.
        inner = 0 if row < 0 else row
        west_step, east_step = (0, 2) if row < 0 else (3, 4)
        return [
            (west_step, (ancilla, data[inner, col])),
            (east_step, (ancilla, data[inner, col + 1])),
        ]
    couplings = [
        (0, (ancilla, west)),
        (3, (ancilla, west)),
        (1, (ancilla, east)),
        (4, (ancilla, east)),
    ]
    for south in (0, 1):
        if 0 <= row + south < lattice.distance:
            couplings += [
                (_WEST_STEPS[south], (west, data[row + south, col])),
                (_EAST_STEPS[south], (east, data[row + south, col + 1])),
            ]
    return couplings

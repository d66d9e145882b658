"""The triangular 6.6.6 color code with superdense syndrome extraction (arXiv:2312.08813)."""

from collections.abc import Sequence
from dataclasses import dataclass

import stim

from decoders.codes.memory import Check, Layer, Memory, Observable, Outcome, assemble

Place = tuple[int, int]

# The corners of a hexagon, anticlockwise from the east, as offsets from its centre.
_CORNERS: tuple[Place, ...] = ((2, 0), (1, 1), (-1, 1), (-2, 0), (-1, -1), (1, -1))

# The corners that the west ancilla meets, and those that the east one meets.
_WEST, _EAST = (2, 3, 4), (5, 0, 1)

# Corner -> step. A data qubit is the corner 0, 2, 4 (or 1, 3, 5) of its three faces, so these
# differ, as do those of one ancilla. Of the 288 such pairs of orders, with X or Z checks first,
# all have circuit-level distance 3 at d = 3; this one lets chromobius correct every single fault
# at d = 5 and, of those tried that do, the most at d = 3.
_X_STEPS = (2, 0, 0, 2, 1, 1)
_Z_STEPS = (0, 2, 2, 0, 1, 1)


@dataclass(frozen=True, eq=False)
class _Face:
    """A face: its centre, colour (0, 1, 2 for red, green, blue), ancillas, and corner -> data."""

    centre: Place
    colour: int
    west: int
    east: int
    corners: dict[int, int]


def color(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return a color code memory; the detectors' fourth coordinate is what chromobius asks for.

    Each face has two ancillas, which a CX makes a Bell pair: its XX picks up the face's X check
    while the halves control CX onto three corners each, its ZZ then the Z check, and a Bell
    measurement reads both. A fault on an ancilla that spreads to data shows in the other check,
    so the circuit-level distance is d (enumerated for d = 3 and 5).

    Qubits: the (3 d^2 + 1) / 4 data first, row by row from the triangle's base; then, in the same
    order of the faces, each face's west and east ancilla, at (x - 1, y) and (x + 1, y) of its
    centre. Detectors are at (x, y, t, c), (x, y) being the face's centre, c its colour (0, 1, 2
    for red, green, blue) for X checks and its colour + 3 for Z checks.

    An outcome of an X check that is read wrongly shows in up to two other faces a round later (see
    `_crossed`). chromobius decomposes this only where gates err too: phenomenological noise needs
    another decoder, Tesseract or BP+OSD.
    """
    data, faces, coordinates = _lattice(distance)
    row = [qubit for place, qubit in data.items() if place[1] == 0]
    memory = Memory(
        coordinates=coordinates,
        layers=lambda first, last: _layers(sorted(data.values()), faces, (first, last, basis)),
        checks=[_check(kind, face, faces, basis) for kind in ("X", "Z") for face in faces],
        observables=[Observable(row, frame=_crossed(basis, row, faces))],
    )
    return assemble(memory, rounds)


def _check(kind: str, face: _Face, faces: list[_Face], basis: str) -> Check:
    outcome = _outcome(kind, face)
    data = tuple(face.corners.values())
    # What the face's own check leaves on the data, and what the Bell pairs that they then meet
    # add: an outcome met twice is met not at all.
    left_behind = {outcome} ^ set(_crossed(kind, data, faces))
    return Check(
        face.centre,
        outcomes=(outcome,),
        known="kept" if kind == basis else "repeated",
        data=data,
        label=(face.colour + (0 if kind == "X" else 3),),
        left_behind=tuple(sorted(left_behind)),
    )


def _outcome(kind: str, face: _Face) -> Outcome:
    return (face.west if kind == "X" else face.east, 0)


def _crossed(kind: str, data: Sequence[int], faces: list[_Face]) -> tuple[Outcome, ...]:
    """Return the outcomes that a Pauli `kind` on `data` takes up in the second half of a round.

    There the Z checks are coupled, which spreads an X on data to ancillas whose X outcome the
    first half has fixed: an odd number of the qubits at the west ancilla (so also at the east one,
    the total being even) multiplies the operator by the Bell pair's XX.
    """
    if kind == "Z":
        return ()
    west = {face: [q for corner, q in face.corners.items() if corner in _WEST] for face in faces}
    return tuple(
        _outcome(kind, face) for face in faces if len(set(west[face]) & set(data)) % 2 == 1
    )


def _lattice(distance: int) -> tuple[dict[Place, int], list[_Face], dict[int, tuple[float, float]]]:
    """Return data (place -> qubit), faces, and the coordinates of all qubits.

    The triangle holds the points i, j >= 0, i + j <= 3 (d - 1) / 2 of a triangular lattice, drawn
    at (2 i + j, j). Every third point, i - j = 1 mod 3, is the centre of a face, coloured i mod 3;
    the other (3 d^2 + 1) / 4 are data qubits.
    """
    side = 3 * (distance - 1) // 2
    points = [(i, j) for j in range(side + 1) for i in range(side + 1 - j)]
    data_places = [(2 * i + j, j) for i, j in points if (i - j) % 3 != 1]
    data = {place: qubit for qubit, place in enumerate(data_places)}
    coordinates: dict[int, tuple[float, float]] = {q: place for place, q in data.items()}
    faces = []
    for i, j in points:
        if (i - j) % 3 == 1:
            x, y = 2 * i + j, j
            west, east = len(coordinates), len(coordinates) + 1
            coordinates |= {west: (x - 1, y), east: (x + 1, y)}
            places = {corner: (x + dx, y + dy) for corner, (dx, dy) in enumerate(_CORNERS)}
            corners = {corner: data[place] for corner, place in places.items() if place in data}
            faces.append(_Face((x, y), i % 3, west, east, corners))
    return data, faces, coordinates


def _layers(data: list[int], faces: list[_Face], stage: tuple[bool, bool, str]) -> list[Layer]:
    first, last, basis = stage
    west, east = [face.west for face in faces], [face.east for face in faces]
    bell = [qubit for face in faces for qubit in (face.west, face.east)]
    x_or_z = "X" if basis == "X" else ""
    x_pairs: list[list[int]] = [[], [], []]
    z_pairs: list[list[int]] = [[], [], []]
    for face in faces:
        for corner, qubit in face.corners.items():
            ancilla = face.west if corner in _WEST else face.east
            x_pairs[_X_STEPS[corner]] += [ancilla, qubit]
            z_pairs[_Z_STEPS[corner]] += [qubit, ancilla]
    return [
        [("RX", west), ("R", east), *([("R" + x_or_z, data)] if first else [])],
        [("CX", bell)],
        *([("CX", pairs)] for pairs in [*x_pairs, *z_pairs]),
        [("CX", bell)],
        [("MX", west), ("M", east), *([("M" + x_or_z, data)] if last else [])],
    ]

"""The XZZX surface code on the rotated lattice (arXiv:2009.07851)."""

import stim

from decoders.codes.memory import Check, Layer, Memory, Observable, assemble

# Order in which a plaquette's ancilla meets its corners, as offsets (x, y): those of the rotated
# surface code, so that an ancilla's fault halfway spreads across, not along, the logical operator
# that it could shorten.
_ORDER = {
    "X": ((1, 1), (-1, 1), (1, -1), (-1, -1)),
    "Z": ((1, 1), (1, -1), (-1, 1), (-1, -1)),
}

Place = tuple[int, int]


def xzzx_surface(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return an XZZX surface code memory.

    It is the rotated surface code with a Hadamard on every second data qubit, which makes all
    bulk stabilizers the same product X Z Z X (read by rows, y upwards). `basis` names the logical
    operator of that rotated surface code: the observable is Z (or X) on one half of a line of data
    qubits and X (or Z) on the other half. Ancillas are prepared and measured in the X basis; CX
    and CZ couple them to the data. Data errors of one kind, Z as well as X, only join checks along
    one diagonal: under infinite bias the code falls apart into repetition codes
    (arXiv:2009.07851), and for odd d no Z errors alone flip the observable of basis Z.

    Coordinates are those of stim's rotated code: data at odd (x, y) from 1 to 2 d - 1, ancillas
    at even ones; qubits are numbered without gaps by x, then y. Detectors are at their ancilla's
    (x, y) and t. The circuit-level distance is d.
    """
    data = [(x, y) for y in range(1, 2 * distance, 2) for x in range(1, 2 * distance, 2)]
    plaquettes = _plaquettes(distance)
    number = {place: index for index, place in enumerate(sorted([*data, *plaquettes]))}
    memory = Memory(
        coordinates={index: place for place, index in number.items()},
        layers=lambda first, last: _layers(number, data, plaquettes, (first, last, basis)),
        checks=[
            Check(
                place,
                outcomes=((number[place], 0),),
                known="kept" if kind == basis else "repeated",
                data=tuple(number[corner] for corner in _corners(place, kind) if corner in number),
            )
            for place, kind in plaquettes.items()
        ],
        observables=[Observable([number[place] for place in data if place[basis == "Z"] == 1])],
    )
    return assemble(memory, rounds)


def _plaquettes(distance: int) -> dict[Place, str]:
    """Map the place of each plaquette to its kind before the Hadamards."""
    kinds: dict[Place, str] = {}
    for y in range(0, 2 * distance + 1, 2):
        for x in range(0, 2 * distance + 1, 2):
            kind = "X" if (x + y) % 4 == 2 else "Z"
            inside_x, inside_y = 0 < x < 2 * distance, 0 < y < 2 * distance
            # X plaquettes of weight two end the top and bottom rows, Z ones the two sides.
            on_border = (inside_x and kind == "X") or (inside_y and kind == "Z")
            if (inside_x and inside_y) or ((inside_x or inside_y) and on_border):
                kinds[x, y] = kind
    return kinds


def _corners(place: Place, kind: str) -> list[Place]:
    return [(place[0] + dx, place[1] + dy) for dx, dy in _ORDER[kind]]


def _is_turned(place: Place) -> bool:
    """Tell whether a data qubit has the Hadamard."""
    return (place[0] + place[1]) % 4 == 0


def _layers(
    number: dict[Place, int],
    data: list[Place],
    plaquettes: dict[Place, str],
    stage: tuple[bool, bool, str],
) -> list[Layer]:
    first, last, basis = stage
    ancillas = [number[place] for place in plaquettes]
    in_x = [number[place] for place in data if (basis == "X") != _is_turned(place)]
    in_z = [number[place] for place in data if (basis == "X") == _is_turned(place)]
    layers: list[Layer] = [[("RX", ancillas), *([("RX", in_x), ("R", in_z)] if first else [])]]
    for step in range(4):
        pairs: dict[str, list[int]] = {"CX": [], "CZ": []}
        for place, kind in plaquettes.items():
            corner = _corners(place, kind)[step]
            if corner in number:
                gate = "CX" if (kind == "X") != _is_turned(corner) else "CZ"
                pairs[gate] += [number[place], number[corner]]
        layers.append(list(pairs.items()))
    layers.append([("MX", ancillas), *([("MX", in_x), ("M", in_z)] if last else [])])
    return layers

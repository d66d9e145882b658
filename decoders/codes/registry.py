"""The registry of codes: each name that the command line and the configs may use."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

import stim

from decoders.codes.bicycle import bivariate_bicycle
from decoders.codes.code import Code
from decoders.codes.color import color
from decoders.codes.heavy_hex import heavy_hex, heavy_hex_native
from decoders.codes.stim_generated import repetition, rotated_surface, unrotated_surface
from decoders.codes.xzzx import xzzx_surface

_ALL = (
    Code(
        "repetition",
        "repetition code: against bit flips in the Z basis, phase flips in the X basis",
        repetition,
        smallest_distance=2,
        odd_only=False,
    ),
    Code(
        "rotated-surface",
        "rotated surface code, stim's circuit",
        rotated_surface,
        smallest_distance=2,
        odd_only=False,
    ),
    Code(
        "unrotated-surface",
        "unrotated surface code, stim's circuit",
        unrotated_surface,
        smallest_distance=2,
        odd_only=False,
    ),
    Code(
        "xzzx-surface",
        "XZZX surface code on the rotated lattice, for biased noise (arXiv:2009.07851)",
        xzzx_surface,
        smallest_distance=2,
        odd_only=False,
    ),
    Code(
        "color",
        "triangular 6.6.6 color code with superdense extraction (arXiv:2312.08813)",
        color,
    ),
    Code(
        "heavy-hex",
        "heavy-hexagon subsystem code with flag qubits (arXiv:1907.09528)",
        heavy_hex,
    ),
    Code(
        "heavy-hex-native",
        "heavy-hexagon code as it lies on IBM's chips, with flags at the border too",
        heavy_hex_native,
    ),
    Code(
        "bivariate-bicycle",
        "bivariate bicycle code [[72, 12, 6]], twelve logical qubits (arXiv:2308.07915)",
        bivariate_bicycle,
        smallest_distance=6,
        largest_distance=6,
        odd_only=False,
    ),
)

CODES: Mapping[str, Code] = MappingProxyType({code.name: code for code in _ALL})
"""The codes by their names."""


def memory_circuit(code: str, *, distance: int, rounds: int, basis: str = "Z") -> stim.Circuit:
    """Return the noiseless memory experiment of a code by its name, for a noise model to fill.

    TICKs separate its layers, in each of which no qubit takes part in more than one operation.
    Every detector has coordinates, which end in the time (the round, from 0; color codes add the
    colour). `basis` is that of the logical states that are prepared and measured. What allowed
    distances, qubit numbers and coordinates are, each code's own function says.

    >>> memory_circuit("rotated-surface", distance=3, rounds=2).num_observables
    1
    """
    if not isinstance(code, str) or code not in CODES:
        # At cutoff 0 there is always a nearest one.
        nearest = difflib.get_close_matches(str(code), CODES, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"code must be one of {', '.join(CODES)}, got {code!r}: did you mean {nearest!r}?"
        )
    return CODES[code].build(distance, rounds, basis)

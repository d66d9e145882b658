"""Whether a decoder's file fits an error model: its kinds of edges, its shape, how noisy it is."""

from __future__ import annotations

import math

from decoders.neural.decoder_file import Header, TrainingCircuit, flipping_places
from decoders.neural.problem import Problem

# Axes of [L, T, Y, X] along which a network of a kind may be larger or smaller than it was trained.
_FREE_AXES = {"recurrent": (1,), "pre-decoder": (1, 2, 3)}
_MOST_FACTOR = 4.0  # of edges' probabilities beyond those of the training
_MOST_NAMED = 4


def misfit(header: Header, problem: Problem, *, anywhere: bool = False) -> str | None:
    """What is against decoding the problem with it, in words; None if nothing is.

    With `anywhere` neither shapes and places nor probabilities of edges are. The problem may have
    its kinds of edges in an order of its own.
    """
    if not problem.graph.edges:
        return "it has no errors"
    if not problem.graph.observables:
        return "it has no observables"
    strange = set(problem.lattice.kinds) - set(header.kinds)
    if strange:
        return (
            f"the error model has {len(strange)} kinds of edges (of {len(problem.lattice.kinds)}) "
            "that it was not trained for"
        )
    shape, (low, high) = problem.lattice.shape, problem.chances
    if shape[0] != header.layers:
        return f"up to {shape[0]} detectors share a place, it was trained for {header.layers}"
    if anywhere:
        return None
    near = _of_shape(header, shape)
    if not near:
        seen = ", ".join(sorted({_sides(one.shape) for one in header.circuits}))
        return f"the lattice is {_sides(shape)} (layers x rounds x rows x columns), not {seen}"
    if not any(_flips_alike(header, one, problem) for one in near):
        return (
            "what flips its observables is at other places than in the training, as in a memory of "
            "the other basis"
        )
    lowest = min(one.chances[0] for one in header.circuits)
    highest = max(one.chances[1] for one in header.circuits)
    if low < lowest / _MOST_FACTOR or high > highest * _MOST_FACTOR:
        return (
            f"its edges have probabilities of {low:.2g} to {high:.2g}, those of the training "
            f"{lowest:.2g} to {highest:.2g}, and more than {_MOST_FACTOR:g} times beyond is too far"
        )
    return None


def farness(header: Header, problem: Problem) -> float:
    """How far edges' probabilities are from the nearest circuit's that fits, as a logarithm."""
    near = [one for one in _of_shape(header, problem.lattice.shape)
            if _flips_alike(header, one, problem)]  # fmt: skip
    return min(max(abs(math.log(mine / its))
                   for mine, its in zip(problem.chances, one.chances, strict=True))
               for one in near)  # fmt: skip


def limits(header: Header) -> str:
    """What it refuses, in a sentence."""
    sizes = {(): ", of other sizes", (1,): ", of other sizes but for the number of rounds"}
    return (
        f"It refuses error models with other kinds of edges{sizes.get(_free_axes(header), '')}, or "
        f"with probabilities of edges more than {_MOST_FACTOR:g} times beyond these."
    )


def made_for(header: Header) -> str:
    """What a decoder was trained for, in a few words.

    Those of a training of d=3 alone are `residual of rotated-surface d=3 r=3 X, lattice 1x4x4x4`.
    """
    found = list(dict.fromkeys(_words(one) for one in header.circuits))
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{header.config.network.kind} of {'; '.join(found[:_MOST_NAMED])}{more}"


def _free_axes(header: Header) -> tuple[int, ...]:
    return _FREE_AXES.get(header.config.network.kind, ())


def _of_shape(header: Header, shape: tuple[int, ...]) -> list[TrainingCircuit]:
    """The circuits whose lattice has this shape, but for axes along which any length will do."""
    fixed = [axis for axis in range(4) if axis not in _free_axes(header)]
    return [one for one in header.circuits
            if all(one.shape[axis] == shape[axis] for axis in fixed)]  # fmt: skip


def _flips_alike(header: Header, one: TrainingCircuit, problem: Problem) -> bool:
    """Whether edges that flip observables are where the circuit has some, or may be anywhere."""
    if {2, 3} & set(_free_axes(header)):
        return True
    mine = {(problem.lattice.kinds[kind], row, column)
            for kind, row, column in flipping_places(problem.lattice)}  # fmt: skip
    return mine <= {(header.kinds[kind], row, column) for kind, row, column in one.flipping}


def _words(one: TrainingCircuit) -> str:
    sizes = {"d": one.distance, "r": one.rounds}
    named = [one.code, *(f"{key}={value}" for key, value in sizes.items() if value is not None)]
    return f"{' '.join([*named, *filter(None, [one.basis])])}, lattice {_sides(one.shape)}"


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

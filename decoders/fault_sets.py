"""Sets of an error model's mechanisms: their symptoms, their odds, and Markov moves on them.

A shot of a detector error model (DEM) is a set E of independent mechanisms, each in it with its own
probability p. The tilted law at `scale` s multiplies the odds p/(1-p) of the mechanisms that can
matter to an observable by s, and is still a product: pi_s(E) = prod_{i in E} g_i / Z(s) with
g_i = s_i p_i/(1-p_i) and Z(s) = prod_i (1 + g_i).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import stim

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

# Of the Markov moves, this share swaps a mechanism for a neighbour; the rest add or remove one.
_SWAP_SHARE = 0.3
# This share is made among the relevant mechanisms: on the others the weights do not depend.
_RELEVANT_SHARE = 0.9


@dataclasses.dataclass(frozen=True)
class FaultModel:
    """The n distinct mechanisms of a DEM; mechanisms with the same symptom are merged, exactly.

    `odds` [n] are p/(1-p). `relevant` [n] marks those that can matter to an observable. `symptoms`
    [n + 1, bytes] are detectors, then observables, each bit-packed as sinter has them; the last row
    is zero, so that the index n stands for no mechanism. The neighbours of i, the mechanisms as
    relevant as i that share a detector with it, are `neighbours[first[i] : first[i + 1]]`, and
    `running_odds` [.. + 1] are the sums of odds along that list.
    """

    odds: Floats
    relevant: Bools
    symptoms: Bytes
    detector_bytes: int
    first: Ints
    neighbours: Ints
    running_odds: Floats

    @property
    def size(self) -> int:
        """The number n of distinct mechanisms."""
        return len(self.odds)


@dataclasses.dataclass(frozen=True)
class Tilt:
    """The tilted law at one scale: `tilted_odds` [n] and ln Z.

    `running` [n] sums the tilted odds, those of the irrelevant mechanisms first, in the order
    `order` [n]; `split` is their number.
    """

    scale: float
    tilted_odds: Floats
    log_normalisation: float
    order: Ints
    running: Floats
    split: int

    def draw_among(self, relevant: Bools, uniform: Floats) -> tuple[Ints, Floats]:
        """A mechanism of the kind asked for, in proportion to its odds, and the kind's total."""
        below = self.running[self.split - 1] if self.split else 0.0
        start = np.where(relevant, below, 0.0)
        total = np.where(relevant, self.running[-1] - below, below)
        at = np.searchsorted(self.running, start + uniform * total, side="right")
        last = np.where(relevant, len(self.order), max(self.split, 1)) - 1
        return self.order[np.minimum(at, last)], total


@dataclasses.dataclass(frozen=True)
class FaultSets:
    """m sets of mechanisms.

    `members` [m, width] are indices, padded with n; `sizes` and `relevant_sizes` [m] count all
    members and the relevant ones; `symptoms` [m, bytes]; `ancestors` [m] number the independent
    draws from which the sets descend.
    """

    members: Ints
    sizes: Ints
    relevant_sizes: Ints
    symptoms: Bytes
    ancestors: Ints

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, which: npt.NDArray[np.bool_] | Ints) -> FaultSets:
        """The sets at `which` (indices or mask)."""
        return FaultSets(
            self.members[which],
            self.sizes[which],
            self.relevant_sizes[which],
            self.symptoms[which],
            self.ancestors[which],
        )


def fault_model(error_model: stim.DetectorErrorModel) -> FaultModel:
    """Reads the mechanisms of a DEM; `repeat` blocks are flattened, separators `^` are heeded.

    A mechanism is relevant unless all its detectors lie in parts of the decoding graph without an
    observable (in a surface-code memory of one basis: errors that only the other basis sees). The
    parts are those that the DEM's own decomposition shows; without one, all are relevant as a rule.
    """
    detectors, observables = error_model.num_detectors, error_model.num_observables
    merged = _merged(error_model)
    if not merged:
        raise ValueError(
            "the error model has no mechanism of nonzero probability: nothing can fail"
        )
    rates = np.array([probability for probability, _ in merged.values()])
    if rates.max() >= 1:
        raise ValueError("the error model has a mechanism of probability 1; expected below 1")
    bits = np.zeros((len(merged) + 1, detectors + observables), dtype=np.uint8)
    for k, symptom in enumerate(merged):
        bits[k, list(symptom)] = 1
    odds = rates / (1 - rates)
    packed = [
        np.packbits(part, axis=1, bitorder="little")
        for part in (bits[:, :detectors], bits[:, detectors:])
    ]
    relevant = np.array([is_relevant for _, is_relevant in merged.values()])
    return FaultModel(
        odds,
        relevant,
        np.concatenate(packed, axis=1),
        packed[0].shape[1],
        *_neighbours(bits[:-1, :detectors], relevant, odds),
    )


def _merged(error_model: stim.DetectorErrorModel) -> dict[frozenset[int], tuple[float, bool]]:
    """By symptom: the probability, above 0, and whether the mechanism is relevant."""
    detectors = error_model.num_detectors
    merged: dict[frozenset[int], tuple[float, bool]] = {}
    instructions = list(_mechanisms(error_model))
    can_matter = _parts_with_observable(instructions, detectors)
    for probability, pieces in instructions:
        symptom: frozenset[int] = frozenset()
        for piece in pieces:
            symptom ^= frozenset(piece)
        before, is_relevant = merged.get(symptom, (0.0, False))
        merged[symptom] = (
            before + probability - 2 * before * probability,
            is_relevant
            or any(
                target >= detectors or can_matter[target] for piece in pieces for target in piece
            ),
        )
    merged.pop(frozenset(), None)
    return {symptom: (p, is_relevant) for symptom, (p, is_relevant) in merged.items() if p > 0}


def _mechanisms(
    error_model: stim.DetectorErrorModel,
) -> Iterator[tuple[float, list[list[int]]]]:
    """Probability and pieces of each mechanism; observable k is the number detectors + k."""
    detectors = error_model.num_detectors
    for instruction in error_model.flattened():
        if isinstance(instruction, stim.DemInstruction) and instruction.type == "error":
            pieces = [
                [target.val + detectors * target.is_logical_observable_id() for target in group]
                for group in instruction.target_groups()
            ]
            yield instruction.args_copy()[0], pieces


def _parts_with_observable(
    instructions: Sequence[tuple[float, list[list[int]]]], detectors: int
) -> Bools:
    """For each detector: does its connected part of the decoding graph hold an observable?"""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pieces = [piece for _, pieces in instructions for piece in pieces]
    inside = [[target for target in piece if target < detectors] for piece in pieces]
    links = [(piece[0], other) for piece in inside for other in piece[1:]]
    rows, columns = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(links)), (rows, columns)), shape=(detectors, detectors))
    parts, label = connected_components(graph, directed=False)
    holds = np.zeros(parts, dtype=bool)
    for piece, seen in zip(pieces, inside, strict=True):
        if len(seen) < len(piece):
            holds[label[seen]] = True
    return holds[label]


def _neighbours(detector_bits: Bytes, relevant: Bools, odds: Floats) -> tuple[Ints, Ints, Floats]:
    """`first`, `neighbours` and `running_odds` of the mechanisms with these detectors [n, d]."""
    from scipy.sparse import csr_matrix, diags

    incidence = csr_matrix(detector_bits.astype(np.int32))
    shared = incidence @ incidence.T
    kept = [diags(mask.astype(float)) for mask in (relevant, ~relevant)]
    shared = sum((mask @ shared @ mask for mask in kept), start=csr_matrix(shared.shape)).tocsr()
    shared.setdiag(0)
    shared.eliminate_zeros()
    neighbours = shared.indices.astype(np.int64)
    running = np.concatenate([[0.0], np.cumsum(odds[neighbours])])
    # The entry past the end is never a neighbour: it keeps the list from being empty.
    return shared.indptr.astype(np.int64), np.append(neighbours, 0), running


def tilt(model: FaultModel, scale: float) -> Tilt:
    """The law with the odds of the relevant mechanisms multiplied by `scale`."""
    tilted = np.where(model.relevant, scale, 1.0) * model.odds
    order = np.argsort(model.relevant, kind="stable")
    return Tilt(
        scale,
        tilted,
        float(np.log1p(tilted).sum()),
        order,
        np.cumsum(tilted[order]),
        int(np.count_nonzero(~model.relevant)),
    )


def draw(model: FaultModel, law: Tilt, shots: int, rng: np.random.Generator) -> FaultSets:
    """`shots` independent sets from the tilted law, each its own ancestor.

    A mechanism of probability q = g/(1+g) is in a set when it is hit at all by a Poisson process of
    intensity -ln(1-q) = ln(1+g): as many hits as the law has in all, then which, and repeats go.
    """
    hits = np.cumsum(np.log1p(law.tilted_odds))
    sizes = rng.poisson(hits[-1], shots)
    width = int(sizes.max(initial=0)) + 1
    which = np.searchsorted(hits, rng.random(int(sizes.sum())) * hits[-1], side="right")
    members = np.full((shots, width), model.size, dtype=np.int64)
    members[np.arange(width) < sizes[:, np.newaxis]] = np.minimum(which, model.size - 1)
    members.sort(axis=1)
    members[:, 1:][members[:, 1:] == members[:, :-1]] = model.size
    members.sort(axis=1)
    symptoms = np.bitwise_xor.reduce(model.symptoms[members], axis=1)
    relevant = np.append(model.relevant, False)[members].sum(axis=1)
    sizes = np.count_nonzero(members < model.size, axis=1)
    return FaultSets(members, sizes, relevant, symptoms, np.arange(shots))


def join(parts: Sequence[FaultSets], padding: int) -> FaultSets:
    """The sets of all parts, one after the other."""
    width = max(part.members.shape[1] for part in parts)
    members = [_widen(part.members, width, padding) for part in parts]
    return FaultSets(
        np.concatenate(members),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.relevant_sizes for part in parts]),
        np.concatenate([part.symptoms for part in parts]),
        np.concatenate([part.ancestors for part in parts]),
    )


def _widen(members: Ints, width: int, padding: int) -> Ints:
    more = width - members.shape[1]
    return np.pad(members, ((0, 0), (0, more)), constant_values=padding) if more else members


@dataclasses.dataclass(frozen=True)
class _Proposal:
    """For each set: the slot it changes, what goes, what comes (n: nothing), and whether to try."""

    slot: Ints
    old: Ints
    new: Ints
    tried: Bools


def move(
    model: FaultModel,
    law: Tilt,
    sets: FaultSets,
    fails: Callable[[Bytes], Bools],
    rng: np.random.Generator,
) -> tuple[FaultSets, int]:
    """One Metropolis-Hastings step of every set, leaving the law restricted to `fails` invariant.

    Adds, removes or swaps one mechanism; a step that would leave the failing sets is refused. One
    call of `fails`, with the symptoms of the sets that pass the Metropolis test. Returns the sets
    and how many of them moved.
    """
    proposal = _propose(model, law, sets, rng)
    tried = np.flatnonzero(proposal.tried)
    old, new = proposal.old[tried], proposal.new[tried]
    symptoms = sets.symptoms[tried] ^ model.symptoms[old] ^ model.symptoms[new]
    failing = fails(symptoms)
    moved, old, new = tried[failing], old[failing], new[failing]
    width = max(sets.members.shape[1], int(sets.sizes.max(initial=0)) + 1)
    result = dataclasses.replace(
        sets,
        members=_widen(sets.members, width, model.size).copy(),
        sizes=sets.sizes.copy(),
        relevant_sizes=sets.relevant_sizes.copy(),
        symptoms=sets.symptoms.copy(),
    )
    result.symptoms[moved] = symptoms[failing]
    relevant = np.append(model.relevant, False).astype(np.int64)
    result.relevant_sizes[moved] += relevant[new] - relevant[old]
    result.members[moved, proposal.slot[moved]] = new
    # A removal leaves a gap: the last member moves into it.
    gap = moved[new == model.size]
    last = result.sizes[gap] - 1
    result.members[gap, proposal.slot[gap]] = result.members[gap, last]
    result.members[gap, last] = model.size
    result.sizes[moved] += (new < model.size).astype(np.int64) - (old < model.size)
    return result, len(moved)


def _propose(model: FaultModel, law: Tilt, sets: FaultSets, rng: np.random.Generator) -> _Proposal:
    """Draws a move for each set and does the Metropolis test of all that needs no decoder.

    Each move stays among the relevant mechanisms, or among the others. There, with g the tilted
    odds, G their sum, m the members and S(i) the odds of the neighbours of i: adding i (drawn with
    g_i/G) has ratio G/(m+1), removing one of m has m/G, and swapping i for its neighbour j (drawn
    with odds_j/S(i)) has S(i)/S(j).
    """
    count, nothing = len(sets), model.size
    of_kind, kind, test, place, pick = rng.random((5, count))
    among = _kind_to_move(model, of_kind)
    swap = kind < _SWAP_SHARE
    add = ~swap & (kind < (1 + _SWAP_SHARE) / 2)
    inside = np.append(model.relevant.astype(np.int8), -1)[sets.members] == among[:, np.newaxis]
    members = np.where(among, sets.relevant_sizes, sets.sizes - sets.relevant_sizes)
    nth = (place * members).astype(np.int64)
    slot = np.argmax(np.cumsum(inside, axis=1) > nth[:, np.newaxis], axis=1)
    old = np.where(add, nothing, sets.members[np.arange(count), slot])
    drawn, total = law.draw_among(among, pick)
    beside, mass, back = _draw_neighbour(model, np.minimum(old, nothing - 1), pick)
    new = np.where(swap, beside, np.where(add, drawn, nothing))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(add, total / (members + 1), np.where(swap, mass / back, members / total))
    possible = (add & (total > 0)) | (~add & (members > 0) & (~swap | (mass > 0)))
    repeated = (sets.members == new[:, np.newaxis]).any(axis=1) & (new < nothing)
    slot = np.where(add, sets.sizes, slot)
    return _Proposal(slot, old, new, possible & ~repeated & (test < ratio))


def _kind_to_move(model: FaultModel, uniform: Floats) -> Bools:
    """True where the move is among the relevant mechanisms; not all are when there are others."""
    return uniform < (1 if model.relevant.all() else _RELEVANT_SHARE)


def _draw_neighbour(model: FaultModel, start: Ints, uniform: Floats) -> tuple[Ints, Floats, Floats]:
    """A neighbour of each of `start`, in proportion to its odds; the odds around both."""
    first, end = model.first[start], model.first[start + 1]
    mass = model.running_odds[end] - model.running_odds[first]
    wanted = model.running_odds[first] + uniform * mass
    at = np.searchsorted(model.running_odds, wanted, side="right") - 1
    beside = model.neighbours[np.clip(at, first, np.maximum(end - 1, first))]
    back = model.running_odds[model.first[beside + 1]] - model.running_odds[model.first[beside]]
    return beside, mass, back

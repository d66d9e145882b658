"""One shot told in plain words: what happened, what was seen, what the decoder made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoders.one_shot import Edge, OneShot

_MOST_LISTED = 12


def story(one: OneShot, *, setting: str) -> list[str]:
    """The shot in five numbered steps, some with indented lines below them."""
    return [
        f"1. The experiment: {setting}",
        f"2. What happened, seen by nobody: {_count(len(one.faults), 'fault')}.",
        *_listed([fault.words for fault in one.faults]),
        "3. What the decoder sees: "
        f"{_count(len(one.events), 'detection event')}, checks whose outcome changed.",
        *_listed([_event(one, detector) for detector in one.events]),
        "4. What PyMatching makes of it: the likeliest faults that explain every event.",
        *_listed([_pair(one, edge) for edge in one.matching]),
        f"5. Both together: {leftover(one)} {verdict(one)}",
    ]


def leftover(one: OneShot) -> str:
    """What faults and correction leave, in one sentence."""
    if not one.chains:
        return "the correction undoes the faults exactly."
    inside = [chain for chain in one.chains if chain.edges[0].detectors[0] in one.relevant]
    if not inside:
        return "what is left are chains of the other kind of check, which cannot matter here."
    crossing = sum(chain.crosses for chain in inside)
    loops = sum(chain.ends == 0 for chain in inside)
    sides = len(inside) - loops - sum(chain.crosses for chain in inside if chain.ends)
    parts = [
        f"{_count(loops, 'closed loop')}, which does nothing" * bool(loops),
        f"{_count(sides, 'chain')} from a border back to the same one, which does nothing"
        * bool(sides),
        f"{_count(crossing, 'chain')} across the logical operator, from border to border"
        * bool(crossing),
    ]
    return f"they leave {'; '.join(part for part in parts if part)}."


def verdict(one: OneShot) -> str:
    """Right or wrong, and why, in one or two sentences."""
    did = "flipped the logical qubit" if one.flipped else "did not flip the logical qubit"
    says = "predicts a flip" if one.predicted else "predicts no flip"
    if one.is_right:
        return f"The faults {did}, and the decoder {says}: it is right."
    return f"The faults {did}, but the decoder {says}: it is wrong, a logical error."


def _listed(lines: list[str]) -> list[str]:
    shown = [f"     - {line}" for line in lines[:_MOST_LISTED]]
    more = len(lines) - _MOST_LISTED
    return [*shown, f"     - and {more} more (all are in shot.csv)"] if more > 0 else shown


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _when(one: OneShot, t: float) -> str:
    """A detector's time in words."""
    return f"round {t + 1:g}" if t < one.layout.layers - 1 else "the final readout"


def _event(one: OneShot, detector: int) -> str:
    x, y, t = one.layout.detectors[detector]
    kind = "" if detector in one.relevant else " (the other kind: it cannot see a logical flip)"
    return f"the check at ({x:g}, {y:g}) in {_when(one, t)}{kind}"


def _pair(one: OneShot, edge: Edge) -> str:
    x, y, t = one.layout.detectors[edge.detectors[0]]
    first = f"({x:g}, {y:g}) in {_when(one, t)}"
    across = ", across the logical operator" if edge.crosses else ""
    if edge.is_open:
        in_time = one.exits[edge][:2] == (x, y)
        return f"{first} with {'a first or last outcome' if in_time else 'the border'}{across}"
    x, y, t = one.layout.detectors[edge.detectors[1]]
    return f"{first} with ({x:g}, {y:g}) in {_when(one, t)}{across}"

"""What couplings that nobody can switch off do to coupled pairs, event by event."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from calib.schedule import Event, Measure, Play, VirtualZ
from calib.topology import Pair

_FINE_RAD = 0.25  # the ZZ phase in one piece of an idle
_NEGLIGIBLE_RAD = 0.01  # turns a neighbour's populations by 0.5 % of the chance to decay, at most


def idle_on(events: Sequence[Event], rad_per_ns: Mapping[Pair, float]) -> list[Event]:
    """The same events, with each qubit idling until its coupled neighbours have been played.

    A qubit that has nothing left to do still decays, and turns its neighbours until then: after
    its readout, too. A neighbour's phase is of no account after the last play that turns it.
    """
    ends: dict[int, float] = {}
    turned: dict[int, float] = {}
    for event in events:
        action = event.action
        if isinstance(action, VirtualZ):
            continue
        for qubit in action.qubits:
            ends[qubit] = event.start_ns + action.duration_ns
            if isinstance(action, Play) and action.kind not in ("idle", "reset"):
                turned[qubit] = event.start_ns
    until: dict[int, float] = {}
    for (a, b), rate in rad_per_ns.items():
        if rate and a in ends and b in ends:
            for one, other in ((a, b), (b, a)):
                until[one] = max(until.get(one, 0.0), turned.get(other, 0.0))
    rests = [
        Event(ends[qubit], Play("idle", (qubit,), (round(until_ns - ends[qubit], 9),)))
        for qubit, until_ns in until.items()
        if until_ns - ends[qubit] > 1e-9
    ]
    return sorted([*events, *rests], key=lambda event: event.start_ns)


def reads_at_the_end(events: Sequence[Event], rad_per_ns: Mapping[Pair, float]) -> bool:
    """Whether nothing that matters happens to a qubit after its readout.

    Virtual Zs do not, nor does idling, as long as its ZZ angle with each neighbour is so small
    that it is all the same whether the qubit has decayed.
    """
    fastest = _fastest(rad_per_ns)
    rested: dict[int, float] = {}
    for event in events:
        action = event.action
        if isinstance(action, VirtualZ):
            continue
        if isinstance(action, Measure):
            if action.qubits[0] in rested:
                return False
            rested[action.qubits[0]] = 0.0
        elif any(qubit in rested for qubit in action.qubits):
            if action.kind != "idle":
                return False
            rested[action.qubits[0]] += action.duration_ns
    return all(
        waited * fastest.get(qubit, 0.0) < _NEGLIGIBLE_RAD for qubit, waited in rested.items()
    )


def split_idles(events: Sequence[Event], rad_per_ns: Mapping[Pair, float]) -> list[Event]:
    """The same events with long idles of coupled qubits in equal pieces.

    ZZ does not commute with relaxation: a neighbour that decays at a random time turns its
    partner for a part of the wait only. With the ZZ of a piece half before it and half after, the
    error is (ζτ)²/12 of the decays, τ being the piece's length.
    """
    fastest = _fastest(rad_per_ns)
    split: list[Event] = []
    for event in events:
        action = event.action
        pieces = 1
        if isinstance(action, Play) and action.kind == "idle":
            pieces = math.ceil(action.duration_ns * fastest.get(action.qubits[0], 0.0) / _FINE_RAD)
        if pieces <= 1:
            split.append(event)
            continue
        length = action.duration_ns / pieces
        piece = Play("idle", (action.qubits[0],), (length,))
        split += [Event(event.start_ns + k * length, piece) for k in range(pieces)]
    return sorted(split, key=lambda event: event.start_ns)


def _fastest(rad_per_ns: Mapping[Pair, float]) -> dict[int, float]:
    """The strongest coupling of each qubit."""
    fastest: dict[int, float] = {}
    for pair, rate in rad_per_ns.items():
        for qubit in pair:
            fastest[qubit] = max(fastest.get(qubit, 0.0), abs(rate))
    return fastest


class AlwaysOnZZ:
    """Since when each coupled pair of a set of qubits has not been turned by its ZZ coupling.

    Around an action on [t, t + T] ZZ is applied up to the middle, an error of second order in ζT
    (ζT ≈ 1e-3 for 5 kHz and 32 ns). A gate on the pair itself is what it is with the coupling on:
    no ZZ is added to it. `idles=False` leaves the idling out, so that the angles of a wait stay
    in one piece: right but for relaxation.
    """

    def __init__(
        self, rad_per_ns: Mapping[Pair, float], qubits: Iterable[int], *, idles: bool = True
    ) -> None:
        here = set(qubits)
        self._rates = {
            pair: rate for pair, rate in rad_per_ns.items() if rate and set(pair) <= here
        }
        self._until_ns = dict.fromkeys(self._rates, 0.0)
        self._idles = idles

    def turns(self, event: Event) -> dict[Pair, float]:
        """The angles θ of exp(−iθ n⊗n) to apply before this event, by pair; they count as applied.

        Events must come in order of time.
        """
        action = event.action
        if isinstance(action, VirtualZ):
            return {}
        if isinstance(action, Play) and action.kind == "idle" and not self._idles:
            return {}
        angles = {}
        for pair, rate in self._rates.items():
            if not set(pair) & set(action.qubits):
                continue
            is_own = set(pair) == set(action.qubits)
            now_ns = event.start_ns + (0.0 if is_own else action.duration_ns / 2)
            angles[pair] = rate * (now_ns - self._until_ns[pair])
            self._until_ns[pair] = now_ns + (action.duration_ns if is_own else 0.0)
        return {pair: angle for pair, angle in angles.items() if angle}

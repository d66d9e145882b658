"""How far the couplings that nobody can switch off have turned coupled pairs, event by event."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

from calib.schedule import Event, Play, Timeline, VirtualZ
from calib.topology import Pair

_FINE_RAD = 0.25  # the ZZ phase in one piece of an idle


def split_idles(timeline: Timeline, rad_per_ns: Mapping[Pair, float]) -> Timeline:
    """The same circuit with long idles of coupled qubits in equal pieces.

    ZZ does not commute with relaxation: a neighbour that decays at a random time turns its
    partner for a part of the wait only. With the ZZ of a piece half before it and half after, the
    error is (ζτ)²/12 of the decays, τ being the piece's length.
    """
    fastest = dict.fromkeys(timeline.qubits, 0.0)
    for pair, rate in rad_per_ns.items():
        if set(pair) <= set(timeline.qubits):
            for qubit in pair:
                fastest[qubit] = max(fastest[qubit], abs(rate))
    events: list[Event] = []
    for event in timeline.events:
        action = event.action
        pieces = 1
        if isinstance(action, Play) and action.kind == "idle":
            pieces = math.ceil(action.duration_ns * fastest[action.qubits[0]] / _FINE_RAD)
        if pieces <= 1:
            events.append(event)
            continue
        length = action.duration_ns / pieces
        piece = Play("idle", (action.qubits[0],), (length,))
        events += [Event(event.start_ns + k * length, piece) for k in range(pieces)]
    events.sort(key=lambda event: event.start_ns)
    return dataclasses.replace(timeline, events=tuple(events))


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

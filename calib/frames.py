"""How far two drives' frames have turned against each other when a pair's gate begins."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from calib.schedule import Event, Measure, VirtualZ


class DriveFrames:
    """The phase between coupled qubits' frames, event by event.

    States here rotate with the qubits' drives since the circuit's start, and virtual Zs turn the
    state, where the hardware shifts its later pulses instead. An exchange a†b does not know of
    either: among the drives' frames it carries exp(iθ) with

        θ = (ω_a − ω_b) t + Λ_a − Λ_b,

    ω the drives' angular frequencies, t the time and Λ the virtual Zs so far. As a†b exp(iθ) =
    V†(a†b)V with V = exp(−iθ n_a), a gate computed in frames whose phases are zero at its own
    start, U, is V†UV. Cross-resonance tones follow the target's frame; the same θ is the phase of
    the control's frame beside it. With excitations exchanged in neither gate, V would cancel.
    """

    def __init__(self, drive_frequency_ghz: NDArray[np.float64], qubits: Iterable[int]) -> None:
        self._rad_per_ns = {q: 2 * math.pi * float(drive_frequency_ghz[q]) for q in qubits}
        self._virtual_rad = dict.fromkeys(self._rad_per_ns, 0.0)

    def turn(self, event: Event) -> float:
        """θ of exp(−iθ n) on the gate's first qubit before it, and of its inverse after it.

        0 for all that acts on one qubit. Events must come in order of time.
        """
        action = event.action
        if isinstance(action, VirtualZ):
            self._virtual_rad[action.qubits[0]] += action.angle_rad
            return 0.0
        if isinstance(action, Measure) or len(action.qubits) == 1:
            return 0.0
        a, b = action.qubits
        apart = self._rad_per_ns[a] - self._rad_per_ns[b]
        angle = apart * event.start_ns + self._virtual_rad[a] - self._virtual_rad[b]
        if action.kind == "flux":  # its own virtual Zs come after it
            self._virtual_rad[a] += action.settings[2]
            self._virtual_rad[b] += action.settings[3]
        return math.remainder(angle, 2 * math.pi)

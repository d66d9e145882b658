"""What every plant is: control settings make errors, and errors make detection events."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import stim
from numpy.typing import NDArray

Array = NDArray[np.float64]


class LightCones(NamedTuple):
    """Which detectors hear which control, and how loudly: what a lab knows of its own circuit.

    Controls are in natural units: with one of its gate's P controls a unit off its optimum, a gate
    errs by a P-th of its floor more. Then each detector of group j fires more often, the logarithm
    of 1 − 2·rate falls by `weights[j, g]`, where g is `gate_of[k]`, the place of control k's gate.
    A group has `counts[j]` detectors. Controls of the same `kind_of[k]` are alike, as all qubits'
    amplitudes are, and so may be taken to drift alike.
    """

    gate_of: NDArray[np.int64]  # [K], rising
    weights: Array  # [J, G]
    counts: NDArray[np.int64]  # [J]
    kind_of: NDArray[np.int64]  # [K], from 0 on

    @property
    def hears(self) -> NDArray[np.bool_]:
        """Whether any error of the gate can reach the detectors, [J, G]."""
        return self.weights > 0

    @property
    def curvature(self) -> Array:
        """How many detections a shot a squared unit of each control adds, about, [K]."""
        return (self.counts @ self.weights / 2)[self.gate_of]

    @property
    def newton(self) -> Array:
        """What makes Newton's step of a slope, [K]; 0 where no detector hears a control."""
        curvature = self.curvature
        return np.divide(0.5, curvature, out=np.zeros_like(curvature), where=curvature > 0)

    def crowds(self, local: bool) -> Array:
        """How many other controls as loud as itself are heard along with each control, [K].

        By the detectors in its own light cone where credit is `local`, else by all detectors. With
        random offsets in H pairs, a share 1 / (1 + crowd / H) of Newton's step goes nearest to the
        optimum in the mean.
        """
        mask = self.hears if local else np.ones(self.hears.shape)
        overlap = (mask.T * self.counts) @ self.weights  # [G, G]
        own, in_gate = np.diag(overlap)[:, None], np.bincount(self.gate_of)
        heard = np.divide(overlap, own, out=np.zeros_like(overlap), where=own > 0)
        return np.maximum(heard**2 @ in_gate - 1, 0.0)[self.gate_of]

    def by_gate(self, values: Array) -> Array:
        """The sum over each gate's controls, [..., K] -> [..., G]."""
        first = np.flatnonzero(np.diff(self.gate_of, prepend=-1))
        return np.add.reduceat(values, first, axis=-1)


class Plant(Protocol):
    """A device that runs a memory experiment; all but `optimum` is what it does to the agent.

    Settings are how far each control is from where it stood at time 0, in natural units.
    """

    controls: tuple[str, ...]  # names, [K]
    circuit: stim.Circuit  # the memory experiment, with the noise of perfect settings
    groups: NDArray[np.int64]  # of each detector
    cones: LightCones

    def drawn(self, seed: int) -> Plant:
        """The same circuit on another device, with a drift of its own."""
        ...

    def rates(self, settings: Array, time_s: float) -> Array:
        """How often the detectors of each group fire, exactly: [B, K] -> [B, J]."""
        ...

    def leakage(self, settings: Array, time_s: float) -> Array:
        """The population that leaks at a gate, the mean over all gates: [B, K] -> [B]."""
        ...

    def noisy(self, settings: Array, time_s: float) -> stim.Circuit:
        """The memory experiment with these settings [K], to draw shots from."""
        ...

    def optimum(self, time_s: float) -> Array:
        """The settings that err least, [K]: for the judge alone."""
        ...

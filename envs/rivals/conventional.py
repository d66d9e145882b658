"""The conventional routine: experiments on Qiskit's backend until all is in tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calib.backend import DriftingBackend
from calib.controls import Update
from calib.device import Device
from calib.routine import Node, Routine
from calib.standard_routine import standard_nodes
from envs.game import Array


@dataclass(frozen=True)
class Upkeep:
    """What the routine did to one device: after so many shots, the settings [K] in force."""

    steps: list[tuple[int, Array]]
    shots: int
    failed: int  # nodes that are not in tolerance


def pulse_nodes(fewer: int = 1) -> tuple[Node, ...]:
    """The nodes of one qubit but for readout, which is right; a `fewer`-th of their shots."""
    one_qubit = [node for node in standard_nodes("cz") if node.calibration.width == 1]
    kept = [node for node in one_qubit if not node.name.startswith("readout")]
    # Behind the last readout node stands the axis.
    return _rewired(kept, {"readout_line": ("axis",)}, fewer)


def cz_nodes(fewer: int = 1) -> tuple[Node, ...]:
    """The nodes of a pair, whose qubits are calibrated; a `fewer`-th of their shots."""
    kept = [node for node in standard_nodes("cz") if node.calibration.width == 2]
    return _rewired(kept, {}, fewer)


def _rewired(
    nodes: Sequence[Node], instead: Mapping[str, tuple[str, ...]], fewer: int
) -> tuple[Node, ...]:
    """The nodes without needs that are not among them, or with what stands in their place."""
    names = {node.name for node in nodes}
    found = []
    for node in nodes:
        needs = [new for need in node.needs
                 for new in ((need,) if need in names else instead.get(need, ()))]  # fmt: skip
        calibration = replace(node.calibration, shots=node.calibration.shots // fewer)
        found.append(replace(node, needs=tuple(needs), calibration=calibration))
    return tuple(found)


def maintained(device: Device, nodes: Sequence[Node], knobs: Sequence[str]) -> Upkeep:
    """Runs the routine on a device of one qubit or pair, and notes these knobs after each change.

    The knobs are of the device's first pair, if it has one, and of its qubit otherwise.
    """
    target = device.pairs[0] if device.pairs else (0,)
    backend = DriftingBackend(device)

    def now() -> Array:
        return np.array([device.controls.of(name, *target) for name in knobs])

    steps = [(0, now())]

    def record(updates: Sequence[Update]) -> None:
        steps.append((backend.spent.shots, now()))

    log = Routine(backend, nodes, record=record).maintain()
    steps.append((log.spent.shots, now()))
    return Upkeep(steps, log.spent.shots, len(log.failed))

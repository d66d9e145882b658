"""Memory experiments for a device: both logical states, with or without resets."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np
import stim

from decoders.codes import memory_circuit
from decoders.codes.registry import CODES
from decoders.noise.memory import read_memory
from decoders.statistics import LambdaFit, MemoryCounts, suppression_factor

_SHORT = {"surface": "rotated-surface", "xzzx": "xzzx-surface"}


def named_memory(text: str, *, rounds: int, basis: str = "Z") -> stim.Circuit:
    """The noiseless circuit that `code:distance` names, such as 'surface:3' or 'repetition:5'.

    >>> named_memory("surface:3", rounds=2).num_detectors
    16
    """
    name, distance = _split(text)
    return memory_circuit(name, distance=distance, rounds=rounds, basis=basis)


def distance_of(text: str) -> int:
    """The distance in `code:distance`."""
    return _split(text)[1]


def rounds_in(circuit: stim.Circuit) -> int:
    """The rounds of a memory by its detectors' times: their third coordinate, or the last of fewer.

    1 if they have none.
    """
    times = {at[:3][-1] for at in circuit.get_detector_coordinates().values() if at}
    return max(1, len(times) - 1)


def _split(text: str) -> tuple[str, int]:
    name, colon, distance = text.partition(":")
    name = _SHORT.get(name, name)
    names = [*_SHORT, *CODES]
    if not colon or not distance.isdecimal() or name not in CODES:
        near = difflib.get_close_matches(text.partition(":")[0], names, n=1)
        size = distance if distance.isdecimal() else "3"
        meant = f"; did you mean {near[0]}:{size}?" if near else "."
        raise ValueError(
            f"memory must be CODE:DISTANCE, as surface:3 or repetition:5, got {text!r}{meant} "
            f"Codes: {', '.join(names)}"
        )
    return name, int(distance)


def suppression(
    counts: Iterable[tuple[str, MemoryCounts]], *, seed: int
) -> dict[str, LambdaFit | str]:
    """Λ of each decoder, which stands before its counts, or why there is none."""
    points: dict[str, list[MemoryCounts]] = {}
    for decoder, one in counts:
        points.setdefault(decoder, []).append(one)
    fits: dict[str, LambdaFit | str] = {}
    for name, some in points.items():
        try:
            fits[name] = suppression_factor(some, rng=np.random.default_rng(seed))
        except ValueError as reason:
            fits[name] = str(reason)
    return fits


def both_states(circuit: stim.Circuit) -> tuple[stim.Circuit, ...]:
    """The memory of both logical states, |0⟩ and |1⟩ (or |+⟩ and |−⟩).

    A device keeps |0⟩ better than |1⟩, since qubits decay: one state alone misleads. The other one
    begins with a flip of all data qubits. Where that flips no observable, or detectors too (even
    distances of the surface code, codes of several qubits, circuits that are no memories), the
    circuit is returned alone.
    """
    try:
        data = read_memory(circuit).data
    except ValueError:
        return (circuit,)
    other = _begun_flipped(circuit.without_noise().flattened(), set(data))
    if other is None or not _flips_observables_alone(circuit, other):
        return (circuit,)
    return circuit, other


def _begun_flipped(circuit: stim.Circuit, data: set[int]) -> stim.Circuit | None:
    """The circuit with X or Z on the data right after their first resets."""
    found, missing = stim.Circuit(), set(data)
    for one in circuit:
        assert isinstance(one, stim.CircuitInstruction)  # flat: there are no blocks
        found.append(one)
        if missing and one.name in ("R", "RX", "RY"):
            here = sorted(missing & {target.value for target in one.targets_copy()})
            if here:
                found.append("Z" if one.name == "RX" else "X", here)
            missing -= set(here)
    return None if missing else found


def _flips_observables_alone(circuit: stim.Circuit, other: stim.Circuit) -> bool:
    """Whether all observables come out the other way, and all detectors as before."""
    converter = circuit.without_noise().compile_m2d_converter()
    events, flips = converter.convert(
        measurements=other.reference_sample()[np.newaxis], separate_observables=True
    )
    # stim's reference takes 0 for what is random, in both circuits alike.
    return not events.any() and bool(flips.all()) and flips.size > 0

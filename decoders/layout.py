"""Where a memory experiment's data qubits, checks and logical operator lie, for pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import stim

from decoders.noise.memory import read_memory

Place = tuple[float, float]
Event = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Places (x, y) in a planar code's patch, and (x, y, t) of its detectors.

    `detectors` maps a detector's number to its place and time, `qubits` a qubit's number to its
    place, `data` does so for data qubits alone. `logical` are the data qubits on whose final
    outcomes the observable is read, in order; `layers` counts the times: the rounds, and one for
    the final readout of the data.
    """

    qubits: Mapping[int, Place]
    data: Mapping[int, Place]
    detectors: Mapping[int, Event]
    logical: tuple[Place, ...]
    layers: int

    @property
    def checks(self) -> tuple[Place, ...]:
        """The places at which there are detectors, each once."""
        return tuple(sorted({(x, y) for x, y, _ in self.detectors.values()}))

    @property
    def is_line(self) -> bool:
        """Whether all lies on one line, as in a repetition code."""
        return len({y for _, y in self.data.values()}) == 1


def layout_of(circuit: stim.Circuit) -> Layout:
    """The layout of a memory experiment with one observable; ValueError where it has no plane."""
    if circuit.num_observables != 1:
        raise ValueError(
            f"a picture needs one logical qubit, this circuit has {circuit.num_observables}"
        )
    qubits = _qubit_places(circuit)
    numbers = read_memory(circuit.without_noise()).data
    missing = [qubit for qubit in numbers if qubit not in qubits]
    if missing:
        raise ValueError(
            f"a picture needs QUBIT_COORDS of every data qubit, qubit {missing[0]} has none"
        )
    data = {qubit: qubits[qubit] for qubit in numbers}
    detectors = {
        number: _event(coordinates)
        for number, coordinates in circuit.get_detector_coordinates().items()
    }
    logical = tuple(sorted(data[qubit] for qubit in _observable_qubits(circuit) if qubit in data))
    layers = 1 + int(max(t for _, _, t in detectors.values()))
    return Layout(qubits, data, detectors, logical, layers)


def _qubit_places(circuit: stim.Circuit) -> dict[int, Place]:
    """Places by QUBIT_COORDS; without any, and on a line, a qubit's number is its place.

    The latter is how stim generates repetition codes.
    """
    given = circuit.get_final_qubit_coordinates()
    on_line = all(len(at) == 2 for at in circuit.get_detector_coordinates().values())
    if not given and on_line:
        return {qubit: (float(qubit), 0.0) for qubit in range(circuit.num_qubits)}
    return {qubit: _place(at) for qubit, at in given.items()}


def _place(coordinates: list[float]) -> Place:
    if not 1 <= len(coordinates) <= 2:
        raise ValueError(
            f"a picture needs places of one or two coordinates, got {len(coordinates)}"
        )
    return coordinates[0], coordinates[1] if len(coordinates) == 2 else 0.0


def _event(coordinates: list[float]) -> Event:
    """(x, y, t) from a detector's coordinates, of which the last is the time."""
    if not 2 <= len(coordinates) <= 3:
        raise ValueError(
            "a picture needs DETECTOR(x, y, t) or DETECTOR(x, t), "
            f"got {len(coordinates)} coordinates"
        )
    x, y = _place(coordinates[:-1])
    return x, y, coordinates[-1]


def _observable_qubits(circuit: stim.Circuit) -> Iterator[int]:
    """The qubits whose measurements, counted mod 2, are the observable."""
    record: list[int] = []
    counted: dict[int, bool] = {}
    for instruction in circuit.flattened():
        assert isinstance(instruction, stim.CircuitInstruction)  # flat: there are no blocks
        if instruction.name == "OBSERVABLE_INCLUDE":
            for target in instruction.targets_copy():
                if target.is_measurement_record_target:
                    index = len(record) + target.value
                    counted[index] = not counted.get(index, False)
        elif stim.gate_data(instruction.name).produces_measurements:
            record += [group[0].value for group in instruction.target_groups()]
    return (record[index] for index, is_in in counted.items() if is_in)

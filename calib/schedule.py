"""Qiskit circuits as timed events: what the device plays on which qubits, and when."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from qiskit.circuit import ControlFlowOp, Delay, QuantumCircuit, Store

from calib.controls import Controls
from calib.device_config import Timing
from calib.topology import Pair


class Play(NamedTuple):
    """Something that acts as a channel, with its settings; equal plays have equal channels.

    drive: amplitude, drag_ns, detuning_mhz, phase_rad, duration_ns. idle, reset: duration_ns.
    flux: amplitude, duration_ns, phase_a_rad, phase_b_rad. cr: amplitude, phase_rad,
    cancel_amplitude, cancel_phase_rad, duration_ns. ecr: those of cr, then those of the
    control's X pulse.
    """

    kind: Literal["drive", "idle", "flux", "cr", "ecr", "reset"]
    qubits: tuple[int, ...]
    settings: tuple[float, ...]

    @property
    def duration_ns(self) -> float:
        """How long it takes."""
        if self.kind == "ecr":
            return 2 * self.settings[4] + self.settings[9]  # tone, X, tone
        return self.settings[1 if self.kind == "flux" else -1]


class VirtualZ(NamedTuple):
    """A rotation of the qubit's frame, which takes no time."""

    qubits: tuple[int]
    angle_rad: float
    duration_ns: float = 0.0


class Measure(NamedTuple):
    """A readout into a classical bit."""

    qubits: tuple[int]
    clbit: int
    amplitude: float
    frequency_ghz: float
    duration_ns: float


class Event(NamedTuple):
    """An action and when it begins."""

    start_ns: float
    action: Play | VirtualZ | Measure


@dataclass(frozen=True)
class Timeline:
    """A circuit's events, each qubit's in order of time, idling included."""

    events: tuple[Event, ...]
    duration_ns: float
    qubits: tuple[int, ...]
    clbits: int


def timeline(
    circuit: QuantumCircuit, controls: Controls, pairs: Sequence[Pair], timing: Timing
) -> Timeline:
    """The circuit as soon as possible: each instruction begins when its qubits are free.

    `pairs` are the device's couplings as (first, second); a barrier makes its qubits wait for one
    another. Until a qubit's first event it rests in its thermal state.
    """
    if circuit.parameters:
        names = ", ".join(parameter.name for parameter in circuit.parameters)
        raise ValueError(f"circuit {circuit.name!r} has parameters without values: assign {names}")
    words = _Vocabulary(controls, {frozenset(pair): pair for pair in pairs}, timing).words
    index = {bit: k for k, bit in enumerate(circuit.qubits)}
    clbit_index = {bit: k for k, bit in enumerate(circuit.clbits)}
    clock = _Clock()
    for instruction in circuit.data:
        qubits = tuple(index[bit] for bit in instruction.qubits)
        name = instruction.operation.name
        if name == "barrier":
            clock.align(qubits)
        elif name == "delay":
            clock.wait(qubits[0], _delay_ns(instruction.operation))
        elif name in words:
            clbits = tuple(clbit_index[bit] for bit in instruction.clbits)
            given = tuple(map(float, instruction.operation.params))
            clock.put(words[name](qubits, given, clbits))
        elif isinstance(instruction.operation, ControlFlowOp | Store):
            raise ValueError(
                f"control flow is not supported, got {name!r}: leave out conditions, loops and "
                "classical variables (measure and reset may stand amid a circuit)"
            )
        else:
            raise ValueError(
                f"the device has no instruction {name!r}: transpile the circuit for it first "
                f"(it has barrier, delay, {', '.join(sorted(words))})"
            )
    used = tuple(sorted(clock.busy_until_ns))
    events = sorted(clock.events, key=lambda event: event.start_ns)
    return Timeline(tuple(events), clock.end_ns(), used, len(circuit.clbits))


def gate_play(gate: str, qubits: tuple[int, ...], controls: Controls) -> Play:
    """What is played for a calibrated gate, `sx`, `x`, `cz` or `ecr`, at the settings in force.

    A pair must come in the device's order.
    """
    if gate == "cz":
        return Play("flux", qubits, _settings(controls, "cz", qubits, _FLUX))
    if gate == "ecr":
        x = _settings(controls, "x", qubits[:1], _DRIVE)
        return Play("ecr", qubits, _settings(controls, "ecr", qubits, _CROSS) + x)
    return Play("drive", qubits, _settings(controls, gate, qubits, _DRIVE))


def unfold_echoes(events: Sequence[Event]) -> list[Event]:
    """The same events with each echoed gate as its tone, X on the control, and reversed tone.

    Each tone then begins at a time of its own (`calib.frames` says why that matters).
    """
    unfolded: list[Event] = []
    for event in events:
        action = event.action
        if not (isinstance(action, Play) and action.kind == "ecr"):
            unfolded.append(event)
            continue
        (control, target), tone, flip = action.qubits, action.settings[:5], action.settings[5:]
        height, phase, cancel_height, cancel_phase, length = tone
        back = (height, phase + math.pi, cancel_height, cancel_phase + math.pi, length)
        middle = event.start_ns + length
        unfolded += [
            Event(event.start_ns, Play("cr", action.qubits, tone)),
            Event(middle, Play("drive", (control,), flip)),
            Event(middle, Play("idle", (target,), flip[-1:])),
            Event(middle + flip[-1], Play("cr", action.qubits, back)),
        ]
    return sorted(unfolded, key=lambda event: event.start_ns)


def _settings(
    controls: Controls, gate: str, qubits: tuple[int, ...], names: Sequence[str]
) -> tuple[float, ...]:
    return tuple(controls.of(f"{gate}.{name}", *qubits) for name in names)


class _Clock:
    """Collects events; knows until when each qubit is taken, and since when it has idled."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.free_ns: dict[int, float] = {}  # delays and barriers included
        self.busy_until_ns: dict[int, float] = {}  # the end of the last event

    def align(self, qubits: tuple[int, ...]) -> None:
        last = max((self.free_ns.get(qubit, 0.0) for qubit in qubits), default=0.0)
        self.free_ns.update(dict.fromkeys(qubits, last))

    def wait(self, qubit: int, duration_ns: float) -> None:
        self.free_ns[qubit] = self.free_ns.get(qubit, 0.0) + duration_ns

    def put(self, action: Play | VirtualZ | Measure) -> None:
        self.align(action.qubits)
        start = self.free_ns[action.qubits[0]]
        if isinstance(action, VirtualZ):
            self.events.append(Event(start, action))
            return
        for qubit in action.qubits:
            since = self.busy_until_ns.get(qubit)
            if since is not None and start - since > 1e-9:
                idle = Play("idle", (qubit,), (round(start - since, 9),))
                self.events.append(Event(since, idle))
            self.busy_until_ns[qubit] = self.free_ns[qubit] = start + action.duration_ns
        self.events.append(Event(start, action))

    def end_ns(self) -> float:
        return max(self.free_ns.values(), default=0.0)


_Word: TypeAlias = Callable[
    [tuple[int, ...], tuple[float, ...], tuple[int, ...]], Play | VirtualZ | Measure
]


class _Vocabulary:
    """What each instruction's name means with the controls in force."""

    def __init__(
        self, controls: Controls, pairs: dict[frozenset[int], Pair], timing: Timing
    ) -> None:
        self._controls, self._pairs = controls, pairs
        # Long circuits repeat few gates.
        self._calibrated = functools.cache(lambda gate, qubits: gate_play(gate, qubits, controls))
        self.words: dict[str, _Word] = {
            "rz": lambda qubits, given, _: VirtualZ((qubits[0],), given[0]),
            "id": lambda qubits, _given, _: Play("idle", qubits, (timing.one_qubit_ns,)),
            "sx": lambda qubits, _given, _: self._calibrated("sx", qubits),
            "x": lambda qubits, _given, _: self._calibrated("x", qubits),
            "drive": lambda qubits, given, _: Play("drive", qubits, _playable(given, _DRIVE)),
            "reset": lambda qubits, _given, _: Play("reset", qubits, (timing.reset_ns,)),
            "measure": self._measure,
            "readout": self._measure,
        }
        if any(knob.name == "cz.amplitude" for knob in controls):
            self.words |= {"cz": self._flux, "flux": self._flux}
        else:
            self.words |= {"ecr": self._cross, "cr": self._cross}

    def _flux(
        self, qubits: tuple[int, ...], given: tuple[float, ...], _clbits: tuple[int, ...]
    ) -> Play:
        pair = self._coupled(qubits)
        if not given:
            return self._calibrated("cz", pair)
        amplitude, duration, first, second = _playable(given, _FLUX)
        # Given phases belong to the qubits in the order of the instruction.
        phases = (first, second) if pair == qubits else (second, first)
        return Play("flux", pair, (amplitude, duration, *phases))

    def _cross(
        self, qubits: tuple[int, ...], given: tuple[float, ...], _clbits: tuple[int, ...]
    ) -> Play:
        pair = self._coupled(qubits)
        if pair != qubits:
            raise ValueError(f"cross resonance on {qubits}: qubit {pair[0]} is the control")
        if not given:
            return self._calibrated("ecr", pair)
        return Play("cr", pair, _playable(given, _CROSS))

    def _coupled(self, qubits: tuple[int, ...]) -> Pair:
        pair = self._pairs.get(frozenset(qubits))
        if pair is None:
            raise ValueError(f"qubits {qubits[0]} and {qubits[1]} are not coupled")
        return pair

    def _measure(
        self, qubits: tuple[int, ...], given: tuple[float, ...], clbits: tuple[int, ...]
    ) -> Measure:
        settings = given or _settings(self._controls, "readout", qubits, _READOUT)
        amplitude, frequency, duration = _playable(settings, _READOUT)
        return Measure((qubits[0],), clbits[0], amplitude, frequency, duration)


_DRIVE = ("amplitude", "drag_ns", "detuning_mhz", "phase_rad", "duration_ns")
_FLUX = ("amplitude", "duration_ns", "phase_a_rad", "phase_b_rad")
_CROSS = ("amplitude", "phase_rad", "cancel_amplitude", "cancel_phase_rad", "duration_ns")
_READOUT = ("amplitude", "frequency_ghz", "duration_ns")


def _playable(settings: tuple[float, ...], names: Sequence[str]) -> tuple[float, ...]:
    """The settings of a bare pulse, if electronics could play it."""
    for name, value in zip(names, settings, strict=True):
        if not math.isfinite(value):
            raise ValueError(f"{name} of a pulse must be a finite number, got {value}")
        if name.endswith("amplitude") and abs(value) > 1:
            raise ValueError(
                f"{name} of a pulse must be within ±1, the full scale, got {value:.6g}"
            )
        if name.endswith(("duration_ns", "frequency_ghz")) and value <= 0:
            raise ValueError(f"{name} of a pulse must be above 0, got {value:.6g}")
    return settings


# The device's dt is 1 ns.
_NS = {"dt": 1.0, "ps": 1e-3, "ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


def _delay_ns(delay: Delay) -> float:
    if delay.unit not in _NS:
        raise ValueError(f"a delay must be in {', '.join(_NS)}, got {delay.unit!r}: assign it")
    return float(delay.params[0]) * _NS[delay.unit]

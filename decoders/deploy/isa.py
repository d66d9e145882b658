"""A lowered circuit in a backend's own gates, at chosen qubits, scheduled and decoupled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Delay, Qubit
from qiskit.circuit.library import RZGate, XGate
from qiskit.transpiler import PassManager, Target, generate_preset_pass_manager
from qiskit.transpiler.passes import ALAPScheduleAnalysis, ASAPScheduleAnalysis, PadDelay

from decoders.deploy.lower import Lowered

_FAST = {"measure": "measure_2", "reset": "reset_2"}
_GROUND = ("reset", "reset_2")
_HALF_TURN = 3.141592653589793


class Schedule(BaseModel):
    """How a circuit is laid out in time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    align: Literal["alap", "asap"] = Field(
        default="alap", description="operations as late, or as soon, as they can be"
    )
    decoupling: Literal["none", "xx", "xyxy"] = Field(
        default="none", description="pulses while a qubit waits, which undo slow detunings"
    )
    shortest_decoupled_ns: float = Field(
        default=300.0, description="the shortest waiting with pulses, in nanoseconds", ge=0
    )
    fast: bool = Field(default=True, description="measure_2 and reset_2 where the backend has them")


class Compiler:
    """Makes the circuits that a device runs.

    >>> import stim
    >>> from calib.from_backend import fake_backend
    >>> from decoders.deploy.lower import lower
    >>> bell = lower(stim.Circuit("H 0\\nCX 0 1\\nM 0 1"))
    >>> isa = Compiler(fake_backend("fake_torino").target).placed(bell, [5, 6])
    >>> isa.count_ops()["cz"], isa.num_qubits
    (1, 133)
    """

    def __init__(self, target: Target, schedule: Schedule | None = None) -> None:
        self.target = target
        self.schedule = schedule or Schedule()

    def placed(self, lowered: Lowered, placement: Sequence[int]) -> QuantumCircuit:
        """The circuit with its qubit k at `placement[k]`, and explicit waiting.

        ValueError where a coupling is missing: choose another placement, or `routed`.
        """
        _check(lowered, self.target, placement)
        wide = QuantumCircuit(QuantumRegister(self._qubits, "q"), *lowered.circuit.cregs)
        wide.compose(lowered.circuit, qubits=list(placement), clbits=wide.clbits, inplace=True)
        return self._finished(self._translator.run(wide))

    def routed(self, lowered: Lowered, flipped: Sequence[int] = ()) -> QuantumCircuit:
        """The circuit wherever it fits best, with swaps where couplings are missing.

        Its qubits `flipped` begin in |1⟩: the same gates at the same qubits for all of these.
        """
        manager = generate_preset_pass_manager(1, target=self.target, seed_transpiler=0)
        found = manager.run(lowered.circuit)
        begin = found.layout.initial_index_layout() if found.layout else range(self._qubits)
        wide = QuantumCircuit(QuantumRegister(self._qubits, "q"), *found.cregs)
        for qubit in flipped:
            wide.x(begin[qubit])
        wide.compose(found, qubits=wide.qubits, clbits=wide.clbits, inplace=True)
        return self._finished(wide)

    @property
    def _qubits(self) -> int:
        return self.target.num_qubits or 0

    @cached_property
    def _translator(self) -> PassManager:
        """Level 1, all qubits where they are; higher levels made Cliffords into other gates."""
        return generate_preset_pass_manager(
            1, target=self.target, initial_layout=list(range(self._qubits)), seed_transpiler=0
        )

    def _finished(self, circuit: QuantumCircuit) -> QuantumCircuit:
        if self.schedule.fast:
            circuit = _hastened(circuit, self.target)
        plan = {"alap": ALAPScheduleAnalysis, "asap": ASAPScheduleAnalysis}[self.schedule.align]
        passes = PassManager([plan(target=self.target), PadDelay(target=self.target)])
        return _decoupled(passes.run(circuit), self.target, self.schedule)


def used_qubits(circuit: QuantumCircuit) -> tuple[int, ...]:
    """The qubits that anything but waiting happens to, ascending."""
    return tuple(
        sorted(
            {
                circuit.find_bit(qubit).index
                for one in circuit.data
                if one.operation.name not in ("delay", "barrier")
                for qubit in one.qubits
            }
        )
    )


def _check(lowered: Lowered, target: Target, placement: Sequence[int]) -> None:
    qubits = range(target.num_qubits or 0)
    if len(set(placement)) != len(lowered.qubits) or not set(placement) <= set(qubits):
        raise ValueError(
            f"placement must name {len(lowered.qubits)} different qubits below {len(qubits)}, "
            f"got {list(placement)}"
        )
    coupling = target.build_coupling_map()
    near = set() if coupling is None else {tuple(sorted(edge)) for edge in coupling.get_edges()}
    for a, b in lowered.pairs:
        if coupling is not None and tuple(sorted((placement[a], placement[b]))) not in near:
            raise ValueError(
                f"qubits {lowered.qubits[a]} and {lowered.qubits[b]} of the circuit share a gate, "
                f"but {placement[a]} and {placement[b]} of the device are not coupled: choose "
                "another placement"
            )
    if "reset" not in target.operation_names and "reset" in lowered.circuit.count_ops():
        raise ValueError(
            "the device has no reset: take the circuit without resets (resets = 'free')"
        )


def _hastened(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """The circuit with the backend's faster measurement and reset, where it has them."""
    found = circuit.copy_empty_like()
    for one in circuit.data:
        fast = _FAST.get(one.operation.name)
        at = tuple(circuit.find_bit(qubit).index for qubit in one.qubits)
        if fast is not None and _works(target, fast, at):
            one = one.replace(operation=target.operation_from_name(fast))
        found.append(one)
    return found


def _works(target: Target, name: str, at: tuple[int, ...]) -> bool:
    """Whether the device has it there; what does not work has an error of 1."""
    if name not in target.operation_names or not target.instruction_supported(name, at):
        return False
    properties = target[name][at]
    return properties is None or properties.error is None or properties.error < 1


def _decoupled(circuit: QuantumCircuit, target: Target, schedule: Schedule) -> QuantumCircuit:
    """Without waiting before a qubit's first gate, and with pulses in what waiting is long.

    A qubit in its ground state needs neither.
    """
    found = circuit.copy_empty_like()
    ground, fresh = set(circuit.qubits), set(circuit.qubits)
    for one in circuit.data:
        qubits = set(one.qubits)
        if one.operation.name == "delay":
            if qubits & fresh:
                continue
            pulses = "" if qubits & ground else _pulses(schedule)
            _wait(found, one.qubits[0], one.operation.duration, (target, pulses, schedule))
            continue
        found.append(one)
        fresh -= qubits
        ground -= qubits
        if one.operation.name in _GROUND:
            ground |= qubits
    return found


def _pulses(schedule: Schedule) -> str:
    return {"none": "", "xx": "XX", "xyxy": "XYXY"}[schedule.decoupling]


def _wait(
    circuit: QuantumCircuit, qubit: Qubit, length: int, how: tuple[Target, str, Schedule]
) -> None:
    """Appends a wait of `length` dt: half a gap, a pulse, a gap, a pulse, ..., half a gap."""
    target, pulses, schedule = how
    place = (circuit.find_bit(qubit).index,)
    dt_ns = (target.dt or 1e-9) * 1e9
    pulse = round((target["x"][place].duration or 0) * 1e9 / dt_ns) if pulses else 0
    slack = length - pulse * len(pulses)
    if not pulses or length * dt_ns < schedule.shortest_decoupled_ns or slack < 2 * len(pulses):
        circuit.append(Delay(length, "dt"), [qubit])
        return
    # Gaps in halves of slack / pulses, rounded so that all of them together are the slack.
    ends = [round(slack * (2 * k + 1) / (2 * len(pulses))) for k in range(len(pulses))]
    gaps = [b - a for a, b in zip([0, *ends], [*ends, slack], strict=True)]
    circuit.append(Delay(gaps[0], "dt"), [qubit])
    for axis, gap in zip(pulses, gaps[1:], strict=True):
        if axis == "Y":  # but for a phase, Y is X after Z; Z is a change of frame
            circuit.append(RZGate(_HALF_TURN), [qubit])
        circuit.append(XGate(), [qubit])
        circuit.append(Delay(gap, "dt"), [qubit])

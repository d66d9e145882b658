"""Noise from a table of rates: per qubit, per pair of qubits and per gate, as a device has them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

import stim
from pydantic import BaseModel, ConfigDict, Field, model_validator

from decoders.noise.circuit_level import Groups, noisy_operation
from decoders.noise.instructions import channel, flip_name, instructions_in, kind_of, operands
from decoders.noise.rates import (
    DefaultRates,
    DurationsNs,
    GateRates,
    IdleRate,
    PairTable,
    PauliRates,
    QubitRates,
    QubitTable,
    Relaxation,
    pair_name,
    parts_of,
)
from decoders.noise.walk import Instructions, Layer, Rules, add_noise

Item = TypeVar("Item")
Rate = TypeVar("Rate")


class Heterogeneous(BaseModel):
    """Circuit-level noise with rates from a table, as a device has them.

    What is more specific wins: for one-qubit operations the qubit's entry for the gate, the
    qubit's for the kind, the gate's, the default; for two-qubit operations the pair's, the
    gate's, the default. Joint measurements flip their outcome at the gate's or default measure
    rate and depolarize as two-qubit gates; wider operations depolarize each qubit with the
    gate's rate or the default. MR takes the rates of M and of R. A rate that the circuit needs
    and nothing gives is an error, and so is an entry that it does not use, unless `unused` is
    'ignore'. In TOML:

        kind = "heterogeneous"
        default = { one_qubit = 3e-4, two_qubit = 5e-3, reset = 1e-3, measure = 1e-2, idle = 1e-3 }
        qubits = { 3 = { measure = 4e-2, idle = { pz = 2e-3 } } }
        pairs = { 3-4 = 2e-2 }

    Where idling is given by relaxation times, `durations_ns` says how long operations take. A
    layer lasts as long as the busiest of its qubits, and each other one waits for the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["heterogeneous"] = Field(
        default="heterogeneous",
        description="selects this model: rates by qubit, by pair and by gate",
    )
    default: DefaultRates = Field(
        default=DefaultRates(), description="rates of operations that no other entry gives"
    )
    gates: GateRates = Field(
        default={},
        description="rates by stim's gate name: depolarizing, or flips where it measures",
    )
    qubits: QubitTable = Field(default={}, description="rates of single qubits, by number")
    pairs: PairTable = Field(
        default={}, description="depolarizing rates of coupled pairs, as in '3-4', in either order"
    )
    durations_ns: DurationsNs | None = Field(
        default=None, description="how long operations take, for idling by {t1_us, t2_us}"
    )
    unused: Literal["error", "ignore"] = Field(
        default="error",
        description="entries that the circuit does not use: 'error' finds misprints, 'ignore' "
        "takes the table of a whole device",
    )

    @model_validator(mode="after")
    def _check_durations(self) -> "Heterogeneous":
        if self.durations_ns is None and any(isinstance(r, Relaxation) for r in self._idle_rates()):
            raise ValueError(
                "idling by t1_us and t2_us needs durations_ns = { one_qubit = ..., two_qubit = "
                "..., reset = ..., measure = ... }"
            )
        return self

    def _idle_rates(self) -> list[IdleRate | None]:
        own = [entry.idle for entry in self.qubits.values() if entry.idle is not None]
        return [self.default.idle, *own]

    @property
    def summary(self) -> str:
        """The model in one line."""
        return (
            f"heterogeneous rates: {len(self.qubits)} qubits, {len(self.pairs)} pairs, "
            f"{len(self.gates)} gates"
        )

    def apply(self, circuit: stim.Circuit) -> stim.Circuit:
        """Return the noiseless circuit with this noise added."""
        if self.unused == "error":
            _refuse_unused(self, circuit)
        channels = _TableChannels(self)
        is_restful = all(rate in (0, PauliRates()) for rate in self._idle_rates())
        rules = Rules(
            operation=lambda instruction, _memory, _position: noisy_operation(
                instruction, channels
            ),
            idle=None if is_restful else channels.idle,
        )
        return add_noise(circuit, rules)


@dataclass(frozen=True)
class _TableChannels:
    """Channels that look each qubit, pair and gate up."""

    table: Heterogeneous

    def after_gate(self, name: str, groups: Groups) -> Instructions:
        """Return the noise after gates of one, two and more qubits, rate by rate."""
        noise: Instructions = []
        singles = [group[0] for group in groups if len(group) == 1]
        for rate, alike in _by_rate(singles, lambda q: self._of_qubit("one_qubit", name, q)):
            noise += channel("DEPOLARIZE1", alike, rate)
        pairs = [group for group in groups if len(group) == 2]
        for rate, alike in _by_rate(pairs, lambda pair: self._of_pair(name, pair)):
            noise += channel("DEPOLARIZE2", [qubit for pair in alike for qubit in pair], rate)
        many = [qubit for group in groups if len(group) > 2 for qubit in group]
        # A two-qubit rate may exceed 3/4, where a qubit by itself is fully depolarized.
        return noise + (channel("DEPOLARIZE1", many, min(self._wide(name), 0.75)) if many else [])

    def flip(self, kind: Literal["reset", "measure"], name: str, qubits: list[int]) -> Instructions:
        """Return the flips after a reset, or before a measurement, rate by rate."""
        measured, reset = parts_of(name)[0], parts_of(name)[-1]
        part = measured if kind == "measure" else reset
        grouped = _by_rate(qubits, lambda qubit: self._of_qubit(kind, part, qubit))
        return [piece for rate, alike in grouped for piece in channel(flip_name(name), alike, rate)]

    def outcome(self, name: str) -> float:
        """Return the rate at which the outcome of a joint measurement is flipped."""
        where = f"measurement {name}: give gates.{name} or default.measure"
        return _first(where, self.table.gates.get(name), self.table.default.measure)

    def idle(self, layer: Layer) -> Instructions:
        """Return the noise on the qubits that wait in a layer."""
        wait_ns = self._waits_ns(layer)

        def of_qubit(qubit: int) -> float | PauliRates:
            rate = self._idle_rate(qubit)
            return rate.pauli_rates(wait_ns[qubit]) if isinstance(rate, Relaxation) else rate

        active = [q for q in wait_ns if isinstance(self._known_idle(q), Relaxation)]
        noise: Instructions = []
        for rate, alike in _by_rate(sorted({*layer.idle, *active}), of_qubit):
            if isinstance(rate, PauliRates):
                noise += channel("PAULI_CHANNEL_1", alike, (rate.px, rate.py, rate.pz))
            else:
                noise += channel("DEPOLARIZE1", alike, rate)
        return noise

    def _waits_ns(self, layer: Layer) -> dict[int, float]:
        """Return how long each qubit in use does nothing, where the durations are known."""
        durations = self.table.durations_ns
        if durations is None:
            return {}
        busy_ns = dict.fromkeys(layer.idle, 0.0)
        for name, qubits in layer.acts.items():
            for qubit in qubits:
                busy_ns[qubit] = busy_ns.get(qubit, 0.0) + durations.of(name)
        longest = max(busy_ns.values(), default=0.0)
        return {qubit: longest - busy for qubit, busy in busy_ns.items()}

    def _known_idle(self, qubit: int) -> IdleRate | None:
        entry = self.table.qubits.get(str(qubit))
        own = entry.idle if entry else None
        return self.table.default.idle if own is None else own

    def _idle_rate(self, qubit: int) -> IdleRate:
        where = f"waiting on qubit {qubit}: give qubits.{qubit}.idle or default.idle"
        return _first(where, self._known_idle(qubit))

    def _of_pair(self, name: str, pair: tuple[int, ...]) -> float:
        key = pair_name(pair)
        gate = None if kind_of(name) == "joint" else self.table.gates.get(name)
        where = f"{name} on the pair {key}: give pairs.{key}, gates.{name} or default.two_qubit"
        return _first(where, self.table.pairs.get(key), gate, self.table.default.two_qubit)

    def _wide(self, name: str) -> float:
        gate = None if kind_of(name) == "joint" else self.table.gates.get(name)
        where = f"{name} on more than two qubits: give default.two_qubit"
        return _first(where, gate, self.table.default.two_qubit)

    def _of_qubit(
        self, kind: Literal["one_qubit", "reset", "measure"], name: str, qubit: int
    ) -> float:
        entry = self.table.qubits.get(str(qubit), QubitRates())
        own = {"one_qubit": entry.one_qubit, "reset": entry.reset, "measure": entry.measure}[kind]
        default = getattr(self.table.default, kind)
        where = (
            f"{name} on qubit {qubit}: give qubits.{qubit}.{kind}, gates.{name} or default.{kind}"
        )
        return _first(where, entry.gates.get(name), own, self.table.gates.get(name), default)


def _first(where: str, *rates: Rate | None) -> Rate:
    """Return the first rate that is given, or raise ValueError."""
    for rate in rates:
        if rate is not None:
            return rate
    raise ValueError(f"the table has no rate for {where} (0 where there is no noise)")


def _by_rate(
    items: Iterable[Item], rate_of: Callable[[Item], Rate]
) -> list[tuple[Rate, list[Item]]]:
    """Group items by their rate, both in the order of their first occurrence."""
    groups: dict[Rate, list[Item]] = {}
    for item in items:
        groups.setdefault(rate_of(item), []).append(item)
    return list(groups.items())


def _refuse_unused(table: Heterogeneous, circuit: stim.Circuit) -> None:
    """Raise ValueError, naming the entry, where the table has one that the circuit does not use."""
    gates: set[str] = set()
    pairs: set[str] = set()
    gates_of: dict[str, set[str]] = {}
    for instruction in instructions_in(circuit):
        groups = operands(instruction)
        parts = parts_of(instruction.name) if groups else []
        gates.update(parts)
        pairs.update(pair_name(group) for group in groups if len(group) == 2)
        for group in groups:
            for qubit in group:
                alone = parts if len(group) == 1 else ()
                gates_of.setdefault(str(qubit), set()).update(alone)
    unused = [
        *(f"gates.{name}" for name in table.gates if name not in gates),
        *(f"pairs.{name}" for name in table.pairs if name not in pairs),
        *(f"qubits.{name}" for name in table.qubits if name not in gates_of),
        *(
            f"qubits.{qubit}.gates.{name}"
            for qubit, entry in table.qubits.items()
            for name in entry.gates
            if name not in gates_of.get(qubit, ())
        ),
    ]
    if unused:
        raise ValueError(
            f"the table of rates has an entry that the circuit does not use: {unused[0]} "
            f"({len(unused)} such): remove it, check its name, or set unused = 'ignore'"
        )

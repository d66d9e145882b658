"""Noise from a table of rates: per qubit, per pair of qubits and per gate."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import stim
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from decoders.noise.circuit_level import Groups, noisy_operation
from decoders.noise.instructions import (
    channel,
    flip_name,
    instructions_in,
    kind_of,
    operands,
)
from decoders.noise.walk import Instructions, Layer, Rules, add_noise

FlipRate = Annotated[float, Field(ge=0, le=1)]
# Bounds of a one- and a two-qubit depolarizing channel: full depolarization.
OneQubitRate = Annotated[float, Field(ge=0, le=0.75)]
TwoQubitRate = Annotated[float, Field(ge=0, le=0.9375)]
Item = TypeVar("Item")
Rate = TypeVar("Rate")


class PauliRates(BaseModel):
    """The probabilities of X, Y and Z; together at most 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    px: float = Field(0.0, description="probability of X", ge=0, le=1)
    py: float = Field(0.0, description="probability of Y", ge=0, le=1)
    pz: float = Field(0.0, description="probability of Z", ge=0, le=1)

    @model_validator(mode="after")
    def _check_total(self) -> "PauliRates":
        total = self.px + self.py + self.pz
        if total > 1:
            raise ValueError(f"px + py + pz must be at most 1, got {total:g}")
        return self


IdleRate = OneQubitRate | PauliRates


def _canonical_gates(gates: Mapping[str, float]) -> dict[str, float]:
    canonical: dict[str, float] = {}
    for name, rate in gates.items():
        known = _canonical_gate(name)
        if known in canonical:
            raise ValueError(f"gate {known} has two rates, one under another name: {name!r}")
        widths = stim.gate_data(known)
        limit = 1.0
        if kind_of(known) == "gate":
            limit = 0.75 if widths.is_single_qubit_gate else 0.9375
        if rate > limit:
            raise ValueError(f"the depolarizing rate of {name} must be at most {limit}, got {rate}")
        canonical[known] = rate
    return canonical


def _canonical_gate(name: str) -> str:
    try:
        known = stim.gate_data(name).name
    except IndexError:
        raise ValueError(f"a gate must be one of stim's, got {name!r}") from None
    kind = kind_of(known)
    if kind in {"annotation", "noise"}:
        raise ValueError(f"a gate must be a Clifford, reset or measurement, got {name!r}")
    if kind == "measure_reset":
        parts = " and ".join(_parts(known))
        raise ValueError(f"{name} measures and resets: give the rates of {parts} instead")
    return known


def _parts(name: str) -> list[str]:
    """Return the operations that one is made of: measurement and reset for MRX, itself for H."""
    return ["M" + name[2:], name[1:]] if kind_of(name) == "measure_reset" else [name]


def _canonical_qubits(qubits: Mapping[str, "QubitRates"]) -> dict[str, "QubitRates"]:
    for name in qubits:
        if not (name.isdecimal() and str(int(name)) == name):
            raise ValueError(f"a qubit must be its number, as in '3', got {name!r}")
    return dict(qubits)


def _canonical_pairs(pairs: Mapping[str, float]) -> dict[str, float]:
    canonical: dict[str, float] = {}
    for name, rate in pairs.items():
        ends = name.split("-")
        if len(ends) != 2 or not all(map(str.isdecimal, ends)) or int(ends[0]) == int(ends[1]):
            raise ValueError(f"a pair must be two qubits, as in '3-4', got {name!r}")
        low, high = sorted(map(int, ends))
        if f"{low}-{high}" in canonical:
            raise ValueError(f"the pair {low}-{high} occurs twice, the second time as {name!r}")
        canonical[f"{low}-{high}"] = rate
    return canonical


GateRates = Annotated[dict[str, FlipRate], AfterValidator(_canonical_gates)]


class DefaultRates(BaseModel):
    """Rates of each kind of operation where nothing more specific is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    one_qubit: OneQubitRate = Field(0.0, description="depolarizing rate after one-qubit gates")
    two_qubit: TwoQubitRate = Field(0.0, description="depolarizing rate after two-qubit gates")
    reset: FlipRate = Field(0.0, description="rate of a flip after a reset")
    measure: FlipRate = Field(0.0, description="rate of a flip before a measurement")
    idle: IdleRate = Field(
        0.0, description="depolarizing rate, or {px, py, pz}, of a qubit that waits in a layer"
    )


class QubitRates(BaseModel):
    """Rates of one qubit; what is not given is taken from the gates, then from the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    one_qubit: OneQubitRate | None = Field(None, description="depolarizing rate after its gates")
    reset: FlipRate | None = Field(None, description="rate of a flip after its reset")
    measure: FlipRate | None = Field(None, description="rate of a flip before its measurement")
    idle: IdleRate | None = Field(
        None, description="depolarizing rate, or {px, py, pz}, for each layer it waits in"
    )
    gates: GateRates = Field({}, description="rates of single operations by stim's gate name")


class Heterogeneous(BaseModel):
    """Circuit-level noise with rates from a table, as a device has them.

    What is more specific wins: for one-qubit operations the qubit's entry for the gate, the
    qubit's for the kind, the gate's, the default; for two-qubit operations the pair's, the
    gate's, the default. Joint measurements flip their outcome at the gate's or default measure
    rate and depolarize as two-qubit gates; wider operations depolarize each qubit with the
    default. MR takes the rates of M and of R. An entry that the circuit does not use is an error.
    In TOML:

        kind = "heterogeneous"
        default = { one_qubit = 3e-4, two_qubit = 5e-3, measure = 1e-2, idle = 1e-3 }
        qubits = { 3 = { measure = 4e-2, idle = { pz = 2e-3 } } }
        pairs = { 3-4 = 2e-2 }
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["heterogeneous"] = Field(
        "heterogeneous", description="selects this model: rates by qubit, by pair and by gate"
    )
    default: DefaultRates = Field(
        DefaultRates(), description="rates of operations that no other entry gives"
    )
    gates: GateRates = Field(
        {}, description="rates by stim's gate name: depolarizing, or flips where it measures"
    )
    qubits: Annotated[dict[str, QubitRates], AfterValidator(_canonical_qubits)] = Field(
        {}, description="rates of single qubits, by number"
    )
    pairs: Annotated[dict[str, TwoQubitRate], AfterValidator(_canonical_pairs)] = Field(
        {}, description="depolarizing rates of coupled pairs, as in '3-4', in either order"
    )

    @property
    def summary(self) -> str:
        """The model in one line."""
        return (
            f"heterogeneous rates: {len(self.qubits)} qubits, {len(self.pairs)} pairs, "
            f"{len(self.gates)} gates"
        )

    def apply(self, circuit: stim.Circuit) -> stim.Circuit:
        """Return the noiseless circuit with this noise added."""
        _refuse_unused(self, circuit)
        channels = _TableChannels(self)
        has_idle = any(
            _pauli_rates(rate) != (0, 0, 0)
            for rate in (self.default.idle, *(q.idle for q in self.qubits.values()))
        )
        rules = Rules(
            operation=lambda instruction, _memory, _position: noisy_operation(
                instruction, channels
            ),
            idle=channels.idle if has_idle else None,
        )
        return add_noise(circuit, rules)


def _pauli_rates(rate: "float | PauliRates | None") -> tuple[float, ...]:
    if isinstance(rate, PauliRates):
        return (rate.px, rate.py, rate.pz)
    third = (rate or 0.0) / 3
    return (third, third, third)


@dataclass(frozen=True)
class _TableChannels:
    """Channels that look each qubit, pair and gate up."""

    table: Heterogeneous

    def after_gate(self, name: str, groups: Groups) -> Instructions:
        """Return the noise after gates of one, two and more qubits, rate by rate."""
        gate = None if kind_of(name) == "joint" else self.table.gates.get(name)
        two = _first(gate, self.table.default.two_qubit)

        def of_pair(pair: tuple[int, ...]) -> float:
            return _first(self.table.pairs.get(_pair_name(pair)), two)

        def of_qubit(qubit: int) -> float:
            return self._of_qubit("one_qubit", name, qubit)

        singles = [group[0] for group in groups if len(group) == 1]
        pairs = [group for group in groups if len(group) == 2]
        many = [qubit for group in groups if len(group) > 2 for qubit in group]
        noise = [
            piece
            for rate, qubits in _by_rate(singles, of_qubit)
            for piece in channel("DEPOLARIZE1", qubits, rate)
        ]
        for rate, alike in _by_rate(pairs, of_pair):
            noise += channel("DEPOLARIZE2", [qubit for pair in alike for qubit in pair], rate)
        return noise + channel("DEPOLARIZE1", many, two)

    def flip(self, kind: Literal["reset", "measure"], name: str, qubits: list[int]) -> Instructions:
        """Return the flips after a reset, or before a measurement, rate by rate."""
        measured, reset = _parts(name)[0], _parts(name)[-1]
        part = measured if kind == "measure" else reset
        grouped = _by_rate(qubits, lambda qubit: self._of_qubit(kind, part, qubit))
        return [piece for rate, alike in grouped for piece in channel(flip_name(name), alike, rate)]

    def outcome(self, name: str) -> float:
        """Return the rate at which the outcome of a joint measurement is flipped."""
        return _first(self.table.gates.get(name), self.table.default.measure)

    def idle(self, layer: Layer) -> Instructions:
        """Return the noise on the qubits that wait in a layer."""

        def of_qubit(qubit: int) -> float | PauliRates:
            entry = self.table.qubits.get(str(qubit))
            own = entry.idle if entry else None
            return self.table.default.idle if own is None else own

        noise: Instructions = []
        for rate, alike in _by_rate(layer.idle, of_qubit):
            if isinstance(rate, PauliRates):
                noise += channel("PAULI_CHANNEL_1", alike, _pauli_rates(rate))
            else:
                noise += channel("DEPOLARIZE1", alike, rate)
        return noise

    def _of_qubit(
        self, kind: Literal["one_qubit", "reset", "measure"], name: str, qubit: int
    ) -> float:
        entry = self.table.qubits.get(str(qubit), QubitRates())
        own = {"one_qubit": entry.one_qubit, "reset": entry.reset, "measure": entry.measure}[kind]
        default = getattr(self.table.default, kind)
        return _first(entry.gates.get(name), own, self.table.gates.get(name), default)


def _first(*rates: float | None) -> float:
    """Return the first rate that is given."""
    return next(rate for rate in rates if rate is not None)


def _pair_name(pair: tuple[int, ...]) -> str:
    return f"{min(pair)}-{max(pair)}"


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
        parts = _parts(instruction.name) if groups else []
        gates.update(parts)
        pairs.update(_pair_name(group) for group in groups if len(group) == 2)
        for group in groups:
            for qubit in group:
                alone = parts if len(group) == 1 else ()
                gates_of.setdefault(str(qubit), set()).update(alone)
    unused = [
        *(f"gates: {name}" for name in table.gates if name not in gates),
        *(f"pairs: {name}" for name in table.pairs if name not in pairs),
        *(f"qubits: {name}" for name in table.qubits if name not in gates_of),
        *(
            f"qubits: {qubit}: gates: {name}"
            for qubit, entry in table.qubits.items()
            for name in entry.gates
            if name not in gates_of.get(qubit, ())
        ),
    ]
    if unused:
        raise ValueError(
            f"every entry of the table of rates must occur in the circuit, but {unused[0]!r} does "
            f"not ({len(unused)} such): remove it, or check its number or name"
        )

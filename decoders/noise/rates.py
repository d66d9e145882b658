"""The tables of rates of heterogeneous noise: by default, by qubit, by pair and by gate."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import stim
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from decoders.noise.instructions import kind_of

# Strict: text such as "0.01" is no number; pydantic would otherwise read it as one.
Probability = Annotated[float, Field(strict=True, ge=0, le=1)]
# Bounds of a one- and a two-qubit depolarizing channel: full depolarization.
OneQubitRate = Annotated[float, Field(strict=True, ge=0, le=0.75)]
TwoQubitRate = Annotated[float, Field(strict=True, ge=0, le=0.9375)]
Nanoseconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Value = TypeVar("Value")


class PauliRates(BaseModel):
    """The probabilities of X, Y and Z; together at most 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    px: Probability = Field(default=0.0, description="probability of X")
    py: Probability = Field(default=0.0, description="probability of Y")
    pz: Probability = Field(default=0.0, description="probability of Z")

    @model_validator(mode="after")
    def _check_total(self) -> "PauliRates":
        total = self.px + self.py + self.pz
        if total > 1:
            raise ValueError(f"px + py + pz must be at most 1, got {total:g}")
        return self


class Relaxation(BaseModel):
    """The relaxation times of a qubit that waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    t1_us: float = Field(strict=True, description="energy relaxation time", gt=0)
    t2_us: float = Field(strict=True, description="coherence time; at most 2 t1_us", gt=0)

    @model_validator(mode="after")
    def _check_times(self) -> "Relaxation":
        if self.t2_us > 2 * self.t1_us:
            raise ValueError(f"t2_us must be at most 2 t1_us = {2 * self.t1_us:g}: {self.t2_us:g}")
        return self

    def pauli_rates(self, wait_ns: float) -> PauliRates:
        """Return the Pauli twirl of amplitude and phase damping for this time.

        p_X = p_Y = (1 - exp(-t/T1)) / 4 and p_X + p_Z = (1 - exp(-t/T2)) / 2: arXiv:1210.5799.
        """
        flip = -math.expm1(-wait_ns / 1e3 / self.t1_us) / 4
        dephased = -math.expm1(-wait_ns / 1e3 / self.t2_us) / 2
        # At T2 = 2 T1 and short times the difference is quadratic, and rounding may turn its sign.
        return PauliRates(px=flip, py=flip, pz=max(dephased - flip, 0.0))


def _kind_of_idle(value: Any) -> str:
    has_times = isinstance(value, Mapping) and not {"t1_us", "t2_us"}.isdisjoint(value)
    if has_times or isinstance(value, Relaxation):
        return "relaxation-times"
    return "pauli-rates" if isinstance(value, PauliRates | Mapping) else "depolarizing-rate"


# Told apart by their keys, so that a complaint is about the one that was meant.
IdleRate = Annotated[
    Annotated[OneQubitRate, Tag("depolarizing-rate")]
    | Annotated[PauliRates, Tag("pauli-rates")]
    | Annotated[Relaxation, Tag("relaxation-times")],
    Discriminator(_kind_of_idle),
]
"""Each layer that a qubit waits in: depolarizing rate or Pauli rates; or T1 and T2."""


def canonical_gate(name: str) -> str:
    """Return stim's own name of a Clifford, reset or measurement, or raise ValueError."""
    try:
        known = stim.gate_data(name).name
    except IndexError:
        raise ValueError(f"a gate must be one of stim's, got {name!r}") from None
    kind = kind_of(known)
    if kind in {"annotation", "noise"}:
        raise ValueError(f"a gate must be a Clifford, reset or measurement, got {name!r}")
    if kind == "measure_reset":
        parts = " and ".join(parts_of(known))
        raise ValueError(f"{name} measures and resets: give {parts} instead")
    return known


def parts_of(name: str) -> list[str]:
    """Return the operations that one is made of: measurement and reset for MRX, itself for H."""
    return ["M" + name[2:], name[1:]] if kind_of(name) == "measure_reset" else [name]


def pair_name(pair: tuple[int, ...]) -> str:
    """Return the key of a pair of qubits in a table: '3-4' for (4, 3)."""
    return f"{min(pair)}-{max(pair)}"


def _by_gate(gates: Mapping[str, Value]) -> dict[str, Value]:
    canonical: dict[str, Value] = {}
    for name, value in gates.items():
        known = canonical_gate(name)
        if known in canonical:
            raise ValueError(f"gate {known} occurs twice, once under another name: {name!r}")
        canonical[known] = value
    return canonical


def _check_gate_rates(gates: Mapping[str, float]) -> dict[str, float]:
    for name, rate in gates.items():
        limit = 1.0
        if kind_of(canonical_gate(name)) == "gate":
            limit = 0.9375 if stim.gate_data(name).is_two_qubit_gate else 0.75
        if rate > limit:
            raise ValueError(f"the depolarizing rate of {name} must be at most {limit}, got {rate}")
    return _by_gate(gates)


def _check_own_gates(gates: dict[str, float]) -> dict[str, float]:
    for name in gates:
        if not stim.gate_data(name).is_single_qubit_gate:
            raise ValueError(f"a qubit's own gates act on it alone, got {name}: see pairs")
    return gates


def _texts(table: Any) -> Any:
    """Let programs number qubits by integers, (3, 4) being a pair; TOML has texts."""
    if not isinstance(table, Mapping):
        return table
    return {_text(key): value for key, value in table.items()}


def _text(key: Any) -> Any:
    if isinstance(key, tuple):
        return "-".join(map(str, key))
    return str(key) if isinstance(key, int) else key


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and str(int(name)) == name


def _by_qubit(qubits: Mapping[str, Value]) -> dict[str, Value]:
    for name in qubits:
        if not _is_number(name):
            raise ValueError(f"a qubit must be its number, as in '3', got {name!r}")
    return dict(qubits)


def _by_pair(pairs: Mapping[str, Value]) -> dict[str, Value]:
    canonical: dict[str, Value] = {}
    for name, value in pairs.items():
        ends = name.split("-")
        if len(ends) != 2 or not all(map(_is_number, ends)) or ends[0] == ends[1]:
            raise ValueError(f"a pair must be two qubits, as in '3-4', got {name!r}")
        known = pair_name((int(ends[0]), int(ends[1])))
        if known in canonical:
            raise ValueError(f"the pair {known} occurs twice, the second time as {name!r}")
        canonical[known] = value
    return canonical


GateRates = Annotated[dict[str, Probability], AfterValidator(_check_gate_rates)]


class DefaultRates(BaseModel):
    """Rates of each kind of operation where nothing more specific is given.

    There is no default of the defaults: a circuit that needs one that is missing is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    one_qubit: OneQubitRate | None = Field(
        default=None, description="depolarizing, after one-qubit gates"
    )
    two_qubit: TwoQubitRate | None = Field(
        default=None, description="depolarizing, after two-qubit gates"
    )
    reset: Probability | None = Field(default=None, description="flip after a reset")
    measure: Probability | None = Field(default=None, description="flip before a measurement")
    idle: IdleRate | None = Field(
        default=None,
        description="of a qubit that waits: depolarizing rate or {px, py, pz} for each layer, "
        "or {t1_us, t2_us}",
    )


class QubitRates(BaseModel):
    """Rates of one qubit; what is not given is taken from the gates, then from the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    one_qubit: OneQubitRate | None = Field(
        default=None, description="depolarizing, after its gates"
    )
    reset: Probability | None = Field(default=None, description="flip after its reset")
    measure: Probability | None = Field(default=None, description="flip before its measurement")
    idle: IdleRate | None = Field(
        default=None,
        description="while it waits: depolarizing rate or {px, py, pz} for each layer, or "
        "{t1_us, t2_us}",
    )
    gates: Annotated[GateRates, AfterValidator(_check_own_gates)] = Field(
        default={}, description="rates of its one-qubit operations, by stim's gate name"
    )


class DurationsNs(BaseModel):
    """How long each kind of operation takes; MR takes the time of M and of R."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    one_qubit: Nanoseconds = Field(description="one-qubit gates, in nanoseconds")
    two_qubit: Nanoseconds = Field(description="two-qubit gates and wider ones, in nanoseconds")
    reset: Nanoseconds = Field(description="resets, in nanoseconds")
    measure: Nanoseconds = Field(description="measurements, in nanoseconds")
    gates: Annotated[dict[str, Nanoseconds], AfterValidator(_by_gate)] = Field(
        default={}, description="of single operations by stim's gate name, in nanoseconds"
    )

    def of(self, name: str) -> float:
        """Return the duration of the operation with stim's canonical name, in nanoseconds."""
        return math.fsum(self._of_part(part) for part in parts_of(name))

    def _of_part(self, name: str) -> float:
        kind = kind_of(name)
        if name in self.gates:
            return self.gates[name]
        if kind == "gate":
            alone = stim.gate_data(name).is_single_qubit_gate
            return self.one_qubit if alone else self.two_qubit
        return self.reset if kind == "reset" else self.measure


QubitTable = Annotated[dict[str, QubitRates], BeforeValidator(_texts), AfterValidator(_by_qubit)]
PairTable = Annotated[dict[str, TwoQubitRate], BeforeValidator(_texts), AfterValidator(_by_pair)]

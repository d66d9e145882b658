"""Noise on every operation of a circuit, alike for all qubits: depolarizing, SI1000 and biased."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal, Protocol

import stim
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from decoders.noise.instructions import (
    channel,
    flattened,
    flip_name,
    kind_of,
    operands,
    with_outcome_flip,
)
from decoders.noise.rates import OneQubitRate, Probability
from decoders.noise.walk import Instructions, Layer, Rules, add_noise

Groups = list[tuple[int, ...]]


class Channels(Protocol):
    """The noise of each kind of operation, for the instruction of this name."""

    def after_gate(self, name: str, groups: Groups) -> Instructions:
        """Return the noise after unitary gates, or joint measurements, on these groups."""
        ...

    def flip(self, kind: Literal["reset", "measure"], name: str, qubits: list[int]) -> Instructions:
        """Return the flips after a reset, or before a measurement."""
        ...

    def outcome(self, name: str) -> float:
        """Return the rate at which the outcome of a joint measurement is flipped."""
        ...


def noisy_operation(instruction: stim.CircuitInstruction, channels: Channels) -> Instructions:
    """Return an instruction with its noise before and after it.

    A joint measurement (MPP, MXX, ...) has its outcome flipped, and acts on its qubits as a gate.
    """
    groups, name = operands(instruction), instruction.name
    if not groups:
        return [instruction]
    kind = kind_of(name)
    if kind == "gate":
        return [instruction, *channels.after_gate(name, groups)]
    if kind == "joint":
        measured = with_outcome_flip(instruction, channels.outcome(name))
        wide = [group for group in groups if len(group) > 1]
        return [measured, *channels.after_gate(name, wide)]
    before = channels.flip("measure", name, flattened(groups)) if kind != "reset" else []
    after = channels.flip("reset", name, flattened(groups)) if kind != "measure" else []
    return [*before, instruction, *after]


@dataclass(frozen=True)
class UniformChannels:
    """Channels that are the same for all qubits.

    `one` makes the noise on qubits after one-qubit gates, `two` that on pairs, given as
    [a, b, a, b, ...], after two-qubit gates, `many` that on each qubit of a wider operation.
    """

    one: Callable[[list[int]], Instructions]
    two: Callable[[list[int]], Instructions]
    many: Callable[[list[int]], Instructions]
    reset: float
    measure: float

    def after_gate(self, name: str, groups: Groups) -> Instructions:
        """Return the noise after gates of one, two and more qubits."""
        return [
            *self.one([group[0] for group in groups if len(group) == 1]),
            *self.two(flattened(group for group in groups if len(group) == 2)),
            *self.many(flattened(group for group in groups if len(group) > 2)),
        ]

    def flip(self, kind: Literal["reset", "measure"], name: str, qubits: list[int]) -> Instructions:
        """Return the flips after a reset, or before a measurement."""
        return channel(flip_name(name), qubits, self.reset if kind == "reset" else self.measure)

    def outcome(self, name: str) -> float:
        """Return the rate at which the outcome of a joint measurement is flipped."""
        return self.measure


def _depolarizing(
    *, one_qubit: float, two_qubit: float, reset: float, measure: float
) -> UniformChannels:
    return UniformChannels(
        one=lambda qubits: channel("DEPOLARIZE1", qubits, one_qubit),
        two=lambda pairs: channel("DEPOLARIZE2", pairs, two_qubit),
        many=lambda qubits: channel("DEPOLARIZE1", qubits, two_qubit),
        reset=reset,
        measure=measure,
    )


class Depolarizing(BaseModel):
    """Uniform circuit-level depolarizing noise.

    Every operation fails with p: DEPOLARIZE1 after one-qubit Cliffords, DEPOLARIZE2 after
    two-qubit ones, a flip after each reset and before each measurement. A joint measurement has
    its outcome flipped and its qubits depolarized; operations on more than two qubits depolarize
    each of them.

    >>> circuit = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=5)
    >>> noisy = Depolarizing(p=0.01, idle="round").apply(circuit)
    >>> noisy.num_detectors == circuit.num_detectors
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["depolarizing"] = Field(
        default="depolarizing",
        description="selects this model: uniform circuit-level depolarizing noise",
    )
    # Above 3/4 a depolarizing channel no longer is one: more noise would make the state purer.
    p: OneQubitRate = Field(description="failure rate of every operation")
    idle: Literal["tick", "round"] = Field(
        default="tick",
        description="'tick': qubits in use that wait in a layer are depolarized with p; 'round': "
        "data qubits are, once at the start of each round, as in stim's generated circuits",
    )

    @property
    def summary(self) -> str:
        """The model in one line."""
        return f"uniform depolarizing, p = {self.p:g}, idle noise each {self.idle}"

    def apply(self, circuit: stim.Circuit) -> stim.Circuit:
        """Return the noiseless circuit with this noise added."""
        p = self.p
        channels = _depolarizing(one_qubit=p, two_qubit=p, reset=p, measure=p)
        by_tick = self.idle == "tick"
        rules = Rules(
            operation=lambda instruction, _memory, _position: noisy_operation(
                instruction, channels
            ),
            idle=(lambda layer: channel("DEPOLARIZE1", layer.idle, p)) if by_tick else None,
            round_start=None if by_tick else (lambda data, _first: channel("DEPOLARIZE1", data, p)),
        )
        return add_noise(circuit, rules)


class SI1000(BaseModel):
    """Superconducting-inspired noise with a 1000 ns cycle: table 2 of arXiv:2108.10457.

    Two-qubit gates p, one-qubit gates p/10, idle qubits p/10 a layer, reset flips 2p, measurement
    flips 5p, and 2p (in addition) on each qubit neither measured nor reset in a layer in which
    another one is. The table knows CZ, Z-basis reset and measurement only; other gates, bases and
    joint measurements take the rates of their kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["si1000"] = Field(
        default="si1000",
        description="selects this model: superconducting-inspired noise, 1000 ns cycle",
    )
    p: float = Field(
        description="failure rate of two-qubit gates, of which the others are multiples",
        strict=True,
        ge=0,
        le=0.2,
    )

    @property
    def summary(self) -> str:
        """The model in one line."""
        return f"SI1000 (superconducting-inspired, arXiv:2108.10457), p = {self.p:g}"

    def apply(self, circuit: stim.Circuit) -> stim.Circuit:
        """Return the noiseless circuit with this noise added."""
        p = self.p
        channels = _depolarizing(one_qubit=p / 10, two_qubit=p, reset=2 * p, measure=5 * p)

        def idle(layer: Layer) -> Instructions:
            waiting = channel("DEPOLARIZE1", layer.idle, p / 10)
            return [*waiting, *channel("DEPOLARIZE1", layer.uncollapsed, 2 * p)]

        rules = Rules(
            operation=lambda instruction, _memory, _position: noisy_operation(
                instruction, channels
            ),
            idle=idle,
        )
        return add_noise(circuit, rules)


def _infinity(value: Any) -> Any:
    """Read what JSON has for inf back."""
    return math.inf if value == "Infinity" else value


class Biased(BaseModel):
    """Circuit-level noise that prefers Z: the bias eta is p_Z / (p_X + p_Y).

    One-qubit gates and idle qubits: X and Y with p / (2 (1 + eta)) each, Z with p eta / (1 + eta).
    Two-qubit gates: the Pauli A B, other than I I, with a probability proportional to w(A) w(B),
    w(I) = w(Z) = eta and w(X) = w(Y) = 1/2, and the total p. So eta = 1/2 is the uniform
    depolarizing model, and at infinite bias I Z, Z I and Z Z have p / 3 each. Resets and
    measurements flip with p whatever their basis.
    """

    # TOML knows inf; JSON does not, there it is the text "Infinity", which is read back as well.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    kind: Literal["biased"] = Field(
        default="biased", description="selects this model: circuit-level noise biased towards Z"
    )
    p: Probability = Field(description="failure rate of every operation")
    eta: Annotated[float, BeforeValidator(_infinity)] = Field(
        strict=True, description="bias p_Z / (p_X + p_Y); may be inf", gt=0
    )

    @property
    def summary(self) -> str:
        """The model in one line."""
        return f"circuit-level noise biased towards Z, p = {self.p:g}, eta = {self.eta:g}"

    def one_qubit_rates(self) -> tuple[float, ...]:
        """Return the probabilities of X, Y and Z after a one-qubit gate, or when idle."""
        x = self.p / 2 / (1 + self.eta)
        return (x, x, self.p / (1 + 1 / self.eta))

    def two_qubit_rates(self) -> tuple[float, ...]:
        """Return the probabilities of IX, IY, IZ, XI, ..., ZZ after a two-qubit gate."""
        # In units in which w(X) + w(Z) = 1, so that neither end of eta is a special case.
        x, z = 1 / (1 + 2 * self.eta), 1 / (1 + 0.5 / self.eta)
        weight = {"I": z, "X": x, "Y": x, "Z": z}
        joint = [weight[a] * weight[b] for a, b in product("IXYZ", repeat=2)][1:]
        total = math.fsum(joint)
        return tuple(self.p * w / total for w in joint)

    def apply(self, circuit: stim.Circuit) -> stim.Circuit:
        """Return the noiseless circuit with this noise added."""
        single, pair = self.one_qubit_rates(), self.two_qubit_rates()

        def one(qubits: list[int]) -> Instructions:
            return channel("PAULI_CHANNEL_1", qubits, single)

        channels = UniformChannels(
            one=one,
            two=lambda pairs: channel("PAULI_CHANNEL_2", pairs, pair),
            many=one,
            reset=self.p,
            measure=self.p,
        )
        rules = Rules(
            operation=lambda instruction, _memory, _position: noisy_operation(
                instruction, channels
            ),
            idle=lambda layer: one(layer.idle),
        )
        return add_noise(circuit, rules)

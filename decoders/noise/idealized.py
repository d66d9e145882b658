"""Noise without circuit detail: phenomenological, and code capacity."""

from itertools import groupby
from typing import Literal

import stim
from pydantic import BaseModel, ConfigDict, Field, model_validator

from decoders.noise.instructions import channel, kind_of, with_outcome_flip
from decoders.noise.memory import Memory
from decoders.noise.rates import Probability
from decoders.noise.walk import Instructions, Rules, add_noise


class Phenomenological(BaseModel):
    """Data qubits err once a round, syndrome measurements report wrongly; all else is perfect.

    At the start of each round every data qubit suffers X with p and, independently, Z with p;
    each outcome of the syndrome is flipped with q; preparation and final measurement of the data
    are perfect. The repetition code is then the two-dimensional random-bond Ising model (threshold
    10.3 % at p = q), one basis of the surface code the three-dimensional random-plaquette gauge
    model (2.9 % by matching, 3.3 % optimally): arXiv:quant-ph/0110143 and hep-th/0207270.
    Where data qubits or rounds cannot be told from the circuit, tags do: `M[data] 0 2 4` and
    `TICK[round]`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["phenomenological"] = Field(
        default="phenomenological",
        description="selects this model: data and syndrome errors each round",
    )
    p: Probability = Field(description="rate of X, and of Z, on a data qubit in a round")
    q: Probability | None = Field(
        default=None, description="rate of wrong syndrome outcomes; as p if not given"
    )

    @property
    def summary(self) -> str:
        """The model in one line."""
        return f"phenomenological, data p = {self.p:g}, syndrome q = {self._syndrome_rate:g}"

    @property
    def _syndrome_rate(self) -> float:
        return self.p if self.q is None else self.q

    def apply(self, circuit: stim.Circuit) -> stim.Circuit:
        """Return the noiseless circuit with this noise added."""
        q = self._syndrome_rate

        def round_start(data: list[int], _first: bool) -> Instructions:
            return _channel(data, "xz", self.p)

        def operation(
            instruction: stim.CircuitInstruction, memory: Memory | None, position: int | None
        ) -> Instructions:
            return _with_syndrome_flips(instruction, memory, position, q)

        return add_noise(circuit, Rules(operation=operation, round_start=round_start))


class CodeCapacity(BaseModel):
    """Noise on data qubits, once, before the first round; all else is perfect.

    `channel` is 'depolarizing', one of the Paulis 'x', 'y', 'z', or 'xz': X and Z independently,
    p each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["code-capacity"] = Field(
        default="code-capacity",
        description="selects this model: data errors only, before the first round",
    )
    p: Probability = Field(description="error rate of a data qubit")
    channel: Literal["depolarizing", "x", "y", "z", "xz"] = Field(
        default="depolarizing", description="what an error is; 'xz': X and Z independently, p each"
    )

    @model_validator(mode="after")
    def _check_depolarizing(self) -> "CodeCapacity":
        if self.channel == "depolarizing" and self.p > 0.75:
            raise ValueError(f"p of a depolarizing channel must be at most 0.75, got {self.p}")
        return self

    @property
    def summary(self) -> str:
        """The model in one line."""
        return f"code capacity, {self.channel} errors with p = {self.p:g}"

    def apply(self, circuit: stim.Circuit) -> stim.Circuit:
        """Return the noiseless circuit with this noise added."""

        def round_start(data: list[int], first: bool) -> Instructions:
            return _channel(data, self.channel, self.p) if first else []

        rules = Rules(
            operation=lambda instruction, _memory, _position: [instruction],
            round_start=round_start,
        )
        return add_noise(circuit, rules)


def _channel(qubits: list[int], name: str, p: float) -> Instructions:
    if name == "depolarizing":
        return channel("DEPOLARIZE1", qubits, p)
    return [piece for pauli in name for piece in channel(f"{pauli.upper()}_ERROR", qubits, p)]


def _with_syndrome_flips(
    instruction: stim.CircuitInstruction, memory: Memory | None, position: int | None, q: float
) -> Instructions:
    """Return the measurement with its syndrome outcomes flipped at rate q, those of data not."""
    if memory is None or not memory.syndrome_of(instruction, position):
        return [instruction]
    if kind_of(instruction.name) == "joint":
        return [with_outcome_flip(instruction, q)]
    parts: Instructions = []
    for is_data, targets in groupby(
        instruction.targets_copy(), key=lambda target: target.value in memory.data
    ):
        part = stim.CircuitInstruction(instruction.name, list(targets), tag=instruction.tag)
        parts.append(part if is_data else with_outcome_flip(part, q))
    return parts

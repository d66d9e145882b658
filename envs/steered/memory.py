"""The memory experiment that is steered: a code by its name, or a user's own circuit."""

from __future__ import annotations

import pathlib
from typing import Any, Literal

import stim
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from decoders.codes import memory_circuit
from decoders.noise import Depolarizing, NoiseModel

_USUAL = 1e-3  # depolarizing
_REPLACED = ("code", "distance", "basis", "noise")  # by a circuit


class MemoryRecipe(BaseModel):
    """A memory experiment with its noise at perfect settings.

    >>> MemoryRecipe(distance=3, rounds=4).noisy().num_detectors
    32
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(default="rotated-surface", description="the code by name")
    distance: int = Field(default=3, ge=2, description="the code's distance")
    rounds: int = Field(default=10, ge=2, description="rounds of stabilizer measurement, cycles; "
                        "with a circuit, as many as it has")  # fmt: skip
    basis: Literal["X", "Z"] = Field(default="Z", description="the logical basis that is kept")
    noise: NoiseModel | None = Field(
        default=None, description="the noise that is left at perfect settings; depolarizing with "
        "p = 0.001 if unset, but none with a circuit or with pulses, which bring their own"
    )  # fmt: skip
    circuit: pathlib.Path | None = Field(
        default=None, description="your own .stim file with its own noise, in place of all above"
    )

    @model_validator(mode="after")
    def _one_source(self) -> MemoryRecipe:
        named = sorted(self.model_fields_set & set(_REPLACED))
        if self.circuit is not None and named:
            raise ValueError(f"give either a circuit or {', '.join(named)}, not both; "
                             "rounds then says how many cycles the circuit has")  # fmt: skip
        if self.circuit is not None and "rounds" not in self.model_fields_set:
            raise ValueError("a circuit does not tell how many cycles it has, by which rates and "
                             "shots are counted: give rounds beside it")  # fmt: skip
        return self

    @model_serializer(mode="wrap")
    def _written(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As a table, which is read again: without what a circuit takes the place of."""
        table = usual(self)
        gone = _REPLACED if self.circuit is not None else ()
        return {key: value for key, value in table.items() if key not in gone}

    def noisy(self) -> stim.Circuit:
        """The circuit with its noise."""
        if self.circuit is not None:
            return self._own(self.circuit)
        return (self.noise or Depolarizing(p=_USUAL)).apply(self.noiseless())

    def noiseless(self) -> stim.Circuit:
        """The circuit alone."""
        if self.circuit is not None:
            return self._own(self.circuit).without_noise()
        return memory_circuit(
            self.code, distance=self.distance, rounds=self.rounds, basis=self.basis
        )

    @staticmethod
    def _own(path: pathlib.Path) -> stim.Circuit:
        if not path.is_file():
            raise ValueError(f"circuit: there is no file {path}")
        return stim.Circuit.from_file(path)

"""One circuit with noise, as a recipe says it: a file of one's own, or a code by name."""

from __future__ import annotations

import pathlib
from typing import Literal

from pydantic import Field

from decoders.codes import memory_circuit
from decoders.evaluate_config import Distance, Recipe, Rounds
from decoders.files import read_circuit
from decoders.noise import NoiseModel
from decoders.points import Point, noise_metadata, with_noise


class CircuitRecipe(Recipe):
    """What `compare` and `budget` have in common."""

    circuit: pathlib.Path | None = Field(default=None, description="Your own .stim file.")
    code: str | None = Field(default=None, description="A code by name, in place of a circuit.")
    distance: Distance | None = Field(default=None, description="The code's distance.")
    rounds: Rounds | None = Field(default=None, description="Rounds; by default the distance.")
    basis: Literal["X", "Z"] = Field(default="Z", description="The logical basis that is kept.")
    noise: NoiseModel | None = Field(
        default=None, description="A noise model for the code or for a noiseless circuit."
    )

    def check_code(self) -> None:
        """Refuses a code without all that it needs, and what belongs to a code without one."""
        if self.code is not None and (self.distance is None or self.noise is None):
            raise ValueError("a code needs a distance and a noise model")
        if self.code is None and (self.distance is not None or self.rounds is not None):
            raise ValueError("distance and rounds belong to a code; a circuit has its own")

    def point(self) -> Point:
        """The circuit."""
        metadata = noise_metadata(self.noise)
        if self.circuit is not None:
            circuit = read_circuit(self.circuit)
            noisy = with_noise(circuit, self.noise, source=str(self.circuit))
            return Point(noisy, str(self.circuit), self.circuit.stem, None, None, None, metadata)
        if self.code is None or self.distance is None:
            raise ValueError("give either a circuit or a code with its distance")
        rounds = self.rounds or self.distance
        noiseless = memory_circuit(
            self.code, distance=self.distance, rounds=rounds, basis=self.basis
        )
        source = f"{self.code} d={self.distance}"
        noisy = with_noise(noiseless, self.noise, source=source)
        return Point(noisy, source, self.code, self.distance, rounds, self.basis, metadata)

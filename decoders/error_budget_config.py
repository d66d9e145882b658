"""The recipe of `syndrift budget`: which circuit, which decoder, how many shots."""

from __future__ import annotations

import pathlib
from typing import Literal

from pydantic import Field, model_validator

from decoders.compare import CompareConfig, point_of
from decoders.evaluate_config import Distance, Recipe, Rounds
from decoders.noise import NoiseModel
from decoders.points import Point


class BudgetSettings(Recipe):
    """How an error budget is made."""

    by: Literal["kind", "place"] = Field(
        default="kind", description="A line for each kind of operation, or for each at its place."
    )
    shots: int = Field(default=100_000, ge=1, description="Shots that are decoded.")
    most_failures: int = Field(
        default=20_000, ge=1, description="Failing shots that are looked into, the first ones."
    )
    what_ifs: int = Field(
        default=8, ge=0, description="Of so many lines, the dearest, the rate halved and mended."
    )


class BudgetConfig(BudgetSettings):
    """One circuit with noise, one decoder."""

    circuit: pathlib.Path | None = Field(default=None, description="Your own .stim file.")
    code: str | None = Field(default=None, description="A code by name, in place of a circuit.")
    distance: Distance | None = Field(default=None, description="The code's distance.")
    rounds: Rounds | None = Field(default=None, description="Rounds; by default the distance.")
    basis: Literal["X", "Z"] = Field(default="Z", description="The logical basis that is kept.")
    noise: NoiseModel | None = Field(
        default=None, description="A noise model for the code or for a noiseless circuit."
    )
    decoder: str = Field(default="pymatching", description="By name, or your own module:name.")
    seed: int = Field(default=1, ge=0, lt=2**63, description="The same seed gives the same shots.")

    @model_validator(mode="after")
    def _one_source(self) -> BudgetConfig:
        if (self.circuit is None) == (self.code is None):
            raise ValueError("give either a circuit or a code with its distance, and not both")
        if self.code is not None and (self.distance is None or self.noise is None):
            raise ValueError("a code needs a distance and a noise model")
        if self.code is None and (self.distance is not None or self.rounds is not None):
            raise ValueError("distance and rounds belong to a code; a circuit has its own")
        return self

    def point(self) -> Point:
        """The circuit."""
        shared = {name: getattr(self, name) for name in
                  ("circuit", "code", "distance", "rounds", "basis", "noise")}  # fmt: skip
        return point_of(CompareConfig(**shared))

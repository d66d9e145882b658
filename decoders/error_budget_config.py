"""The recipe of `syndrift budget`: which circuit, which decoder, how many shots."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from decoders.circuit_recipe import CircuitRecipe
from decoders.evaluate_config import Recipe


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


class BudgetConfig(CircuitRecipe, BudgetSettings):
    """One circuit with noise, one decoder."""

    decoder: str = Field(default="pymatching", description="By name, or your own module:name.")
    seed: int = Field(default=1, ge=0, lt=2**63, description="The same seed gives the same shots.")

    @model_validator(mode="after")
    def _one_source(self) -> BudgetConfig:
        if (self.circuit is None) == (self.code is None):
            raise ValueError("give either a circuit or a code with its distance, and not both")
        self.check_code()
        return self

"""The recipe of `syndrift train`: which circuits and noise, which network, how long."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from decoders.evaluate_config import Recipe, Sources
from decoders.neural.architectures import Architecture, Corrector
from decoders.neural.readout import Readout

MAY_CHANGE = ("title", "workers", "threads", "device")  # keys, where a training goes on


class OptimiserRecipe(Recipe):
    """AdamW, with a rate that rises at first and then falls as a cosine."""

    rate: float = Field(default=2e-3, gt=0, description="The highest learning rate.")
    last_rate: float = Field(default=0.02, ge=0, le=1, description="The last, as part of it.")
    warm_up: int = Field(default=100, ge=0, description="Steps over which the rate rises.")
    weight_decay: float = Field(default=1e-3, ge=0, description="Of AdamW.")
    clip: float = Field(default=1.0, gt=0, description="Longest gradient; longer are cut.")
    average: float = Field(
        default=0.998, ge=0, lt=1, description="Of the moving average of weights, which decodes."
    )


class HeldOutRecipe(Recipe):
    """Shots that training never sees, on which it is judged as it goes."""

    shots: int = Field(default=40_000, ge=1, description="Shots, over all circuits together.")
    every: int = Field(default=100_000, ge=1, description="Examples between two judgements.")


class TrainingConfig(Sources):
    """A network, the circuits it is trained for, and how."""

    title: str = Field(default="A trained decoder", description="Stands in its file.")
    seed: int = Field(default=1, ge=0, lt=2**31, description="The same seed, the same weights.")
    readout: Readout | None = Field(
        default=None, exclude_if=lambda readout: readout is None,
        description="Errors of measurements beside the noise, whose values can be told.",
    )  # fmt: skip
    network: Architecture = Field(description="What is trained, such as kind = 'residual'.")
    examples: int = Field(default=1_000_000, ge=1, description="Open shots to train on in all.")
    batch: int = Field(default=256, ge=1, description="Examples a step, all of one circuit.")
    curriculum: float = Field(
        default=0.1, ge=0, le=1,
        description="Over this part of the training circuits come in, those of few events first.",
    )  # fmt: skip
    optimiser: OptimiserRecipe = Field(default=OptimiserRecipe(), description="Of the weights.")
    held_out: HeldOutRecipe = Field(default=HeldOutRecipe(), description="What judges it.")
    workers: int = Field(default=1, ge=0, le=256, description="Processes that draw shots.")
    threads: int | None = Field(default=None, ge=1, description="Of torch; what is left, if unset.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where it trains.")

    @model_validator(mode="after")
    def _has_what_it_sees(self) -> Self:
        if isinstance(self.network, Corrector) and self.network.beside and self.readout is None:
            raise ValueError(
                f"network.beside = {list(self.network.beside)} needs a [readout] that gives it, "
                "such as separation = 4.0"
            )
        return self

    @property
    def steps(self) -> int:
        """Batches in all."""
        return -(-self.examples // self.batch)

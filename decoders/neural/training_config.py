"""The recipe of `syndrift train`: which circuits and noise, which network, how long."""

from __future__ import annotations

import pathlib
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from decoders.evaluate_config import Recipe, Sources, WhereRecipe
from decoders.neural.architectures import Architecture, Corrector
from decoders.neural.readout import Readout

MAY_CHANGE = ("title", "workers", "threads", "device")  # keys, where a training goes on
_GOING_ON = {"rate": 2e-3, "warm_up": 20, "average": 0.98}  # of the optimiser, from a start


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


class RecordedRecipe(Recipe):
    """Recorded shots whose flips are known, to learn from in several passes."""

    folder: pathlib.Path = Field(description="It, or folders below it, hold the shots.")
    where: WhereRecipe = Field(
        default=WhereRecipe(), description="Which experiments; all of them by default."
    )
    priors: Literal["learnt", "circuit"] = Field(
        default="learnt",
        description="The error model: learnt from the events of training, or the circuit's own.",
    )
    passes: int = Field(default=10, ge=1, description="Over the shots of training, at the most.")
    patience: int = Field(
        default=3, ge=1, description="Passes without gain on the shots that select, then it stops."
    )
    drawn: float = Field(
        default=0.0, ge=0, lt=1, description="Of all batches, the share drawn from the error model."
    )
    selecting: float = Field(
        default=0.15, gt=0, lt=1, description="Of the shots, the share that selects the weights."
    )
    judging: float = Field(
        default=0.25, gt=0, lt=1, description="Of the shots, the share that judges in the end."
    )

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.selecting + self.judging > 0.9:
            raise ValueError(
                "selecting + judging must leave a tenth of the shots to train on, got "
                f"{self.selecting:g} + {self.judging:g}"
            )
        return self


class TrainingConfig(Sources):
    """A network, the circuits it is trained for, and how."""

    title: str = Field(default="A trained decoder", description="Stands in its file.")
    seed: int = Field(default=1, ge=0, lt=2**31, description="The same seed, the same weights.")
    readout: Readout | None = Field(
        default=None, exclude_if=lambda readout: readout is None,
        description="Errors of measurements beside the noise, whose values can be told.",
    )  # fmt: skip
    data: RecordedRecipe | None = Field(
        default=None, exclude_if=lambda data: data is None,
        description="Recorded shots, in place of a code or circuits and their noise.",
    )  # fmt: skip
    start: str | None = Field(
        default=None, exclude_if=lambda start: start is None,
        description="The decoder to go on from: its file, or the name of one that is shipped.",
    )  # fmt: skip
    network: Architecture = Field(
        description="What is trained, such as kind = 'residual'; with a start, its own."
    )
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

    @model_validator(mode="before")
    @classmethod
    def _as_the_start_is(cls, given: Any) -> Any:
        """What is not given is the start's network, and an optimiser for short trainings."""
        if not isinstance(given, dict) or not isinstance(given.get("start"), str):
            return given
        found, network = dict(given), given.get("network", {})
        optimiser = given.get("optimiser", {})
        if isinstance(network, dict) and "kind" not in network:
            from decoders.neural.start import network_of

            own = network_of(given["start"]).model_dump(mode="json")
            if given.get("data") and own["kind"] != "pre-decoder":
                own["thorough"] = True  # a device errs where its model is sure
            found["network"] = own | network
        if isinstance(optimiser, dict):
            found["optimiser"] = _GOING_ON | optimiser
        return found

    @model_validator(mode="after")
    def _can_learn_from_what_is_recorded(self) -> Self:
        if self.data is None:
            return self
        if not isinstance(self.network, Corrector):
            raise ValueError(
                f"recorded shots teach networks that correct matching, not a {self.network.kind}, "
                "which learns from matching alone: train it with the circuits' noise"
            )
        if self.readout is not None:
            raise ValueError(
                "recorded shots were read already, and have bits alone: take [readout] away"
            )
        if self.held_out != HeldOutRecipe():
            raise ValueError(
                "[held_out] is of shots that are drawn: with [data] each pass is judged, on the "
                "share data.selecting of the shots"
            )
        return self

    @model_validator(mode="after")
    def _has_what_it_sees(self) -> Self:
        if isinstance(self.network, Corrector) and self.network.beside and self.readout is None:
            raise ValueError(
                f"network.beside = {list(self.network.beside)} needs a [readout] that gives it, "
                "such as separation = 4.0"
            )
        return self

    def _check_source(self) -> None:
        if self.data is None:
            super()._check_source()
        else:
            self._check_none_beside_data("data.drawn mixes in shots of the error model")

    @property
    def steps(self) -> int:
        """Batches in all, at the most where shots are recorded."""
        return -(-self.examples // self.batch)

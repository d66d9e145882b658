"""The recipe of `syndrift evaluate`: which circuits, which noise, which decoders, when to stop."""

from __future__ import annotations

import itertools
import pathlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from decoders.noise import NoiseModel
from decoders.rare import RareSettings


def listed(value: Any) -> Any:
    """A single value stands for a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _swept(table: Any) -> Any:
    """A noise table with lists in it stands for every combination of their values."""
    if isinstance(table, list | tuple):
        return [one for entry in table for one in (_swept(entry) if entry else [entry])]
    if isinstance(table, str):
        raise ValueError(f"expected a table, such as kind = '{table}', p = 0.005")
    if not isinstance(table, dict):
        return [table]
    lists = {key: value for key, value in table.items() if isinstance(value, list | tuple)}
    return [
        {**table, **dict(zip(lists, values, strict=True))}
        for values in itertools.product(*lists.values())
    ]


class Recipe(BaseModel):
    """What all recipes share: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Distance = Annotated[int, Field(ge=1, le=101)]
Rounds = Annotated[int, Field(ge=1, le=10**7)]


class CodeRecipe(Recipe):
    """A memory experiment of a named code."""

    name: str = Field(description="A code's name; `syndrift evaluate --help` lists them.")
    distance: Annotated[tuple[Distance, ...], BeforeValidator(listed)] = Field(
        min_length=1, description="One distance, or a list to sweep."
    )
    rounds: Annotated[tuple[Rounds | Literal["distance"], ...], BeforeValidator(listed)] = Field(
        default=("distance",),
        min_length=1,
        description="Rounds of stabilizer measurement: a number, a list, or 'distance'.",
    )
    basis: Annotated[tuple[Literal["X", "Z"], ...], BeforeValidator(listed)] = Field(
        default=("Z",),
        min_length=1,
        description="The logical basis that is kept: 'X', 'Z' or both.",
    )

    def rounds_for(self, distance: int) -> list[int]:
        """The numbers of rounds at a distance, without repeats."""
        return list(dict.fromkeys(distance if r == "distance" else r for r in self.rounds))


class Sources(Recipe):
    """Which circuits: a named code's or the user's own, and their noise."""

    code: CodeRecipe | None = Field(default=None, description="A named code; or give `circuits`.")
    circuits: Annotated[tuple[pathlib.Path, ...], BeforeValidator(listed)] = Field(
        default=(), description="Your own .stim files (paths from the working folder)."
    )
    noise: Annotated[tuple[NoiseModel, ...], BeforeValidator(_swept)] = Field(
        default=(),
        description="A noise model; a list in place of a value sweeps it. "
        "Without it the circuits' own noise counts.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        self._check_source()
        return self

    def _check_source(self) -> None:
        if (self.code is None) == (not self.circuits):
            raise ValueError("give either a [code] table or `circuits`, and not both")
        if self.code is not None and not self.noise:
            raise ValueError(
                "a [code] needs a [noise] table, such as kind = 'depolarizing', p = 0.005"
            )

    def _check_none_beside_data(self, instead: str) -> None:
        """For a recipe with recorded shots; `instead` says what to do in place of that."""
        if self.code is not None or self.circuits or self.noise:
            raise ValueError(
                "recorded shots have their own circuits and noise: [data] takes no code, circuits "
                f"or noise beside it; {instead}"
            )


class WhereRecipe(Recipe):
    """Which experiments of a data set: those that agree with all that is given."""

    basis: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=(), description="The logical basis: 'X', 'Z' or both."
    )
    distance: Annotated[tuple[Distance, ...], BeforeValidator(listed)] = Field(
        default=(), description="One distance, or a list."
    )
    rounds: Annotated[tuple[Rounds, ...], BeforeValidator(listed)] = Field(
        default=(), description="One number of rounds, or a list."
    )
    patch: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=(), description="Where on the chip: the patch's centre, such as '4_5'."
    )
    name: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=(), description="The experiment's folder below the data's, with * for anything."
    )


class DataRecipe(Recipe):
    """Recorded shots: a published data set, or folders of one's own."""

    folder: pathlib.Path = Field(description="It, or folders below it, hold the shots.")
    error_models: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=("circuit",),
        min_length=1,
        description="What decoders believe: 'circuit', the noisy circuit's own, or models that "
        "come with the data, by name.",
    )
    published: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=("*",),
        description="Published decoders whose answers are counted beside, with * for anything.",
    )
    where: WhereRecipe = Field(
        default=WhereRecipe(), description="Which experiments; all of them by default."
    )


class StopRecipe(Recipe):
    """When a row has enough: whatever comes first."""

    max_shots: int = Field(default=100_000, ge=1, description="Shots a row takes at the most.")
    max_errors: int | None = Field(
        default=None, ge=1, description="Errors after which a row is done."
    )
    relative_precision: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Done when the interval's half width is this fraction of the rate.",
    )


class RareRecipe(RareSettings):
    """Rare-event estimates for the rows in which direct sampling sees too few errors."""

    below_errors: int = Field(
        default=100, ge=1, description="Rows with fewer errors get a rare-event estimate."
    )


class EvaluateConfig(Sources):
    """A sweep: every circuit with every noise and every decoder."""

    data: DataRecipe | None = Field(
        default=None, description="Recorded shots, in place of a code or circuits and their noise."
    )
    title: str = Field(default="Logical error rates", description="Stands above the pictures.")
    seed: int = Field(default=1, ge=0, lt=2**63, description="The same seed gives the same shots.")
    decoders: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=("pymatching", "pymatching-correlated"),
        min_length=1,
        description="Decoders by name, or your own as module:name.",
    )
    custom_decoders: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=(), description="sinter custom-decoder functions, as module:function."
    )
    stop: StopRecipe = Field(default=StopRecipe(), description="When a row has enough.")
    rare: RareRecipe | None = Field(
        default=None, description="Estimate rates too small to count; [rare] alone takes defaults."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Of every interval.")
    workers: int | None = Field(
        default=None, ge=1, le=1024, description="Worker processes; all cores by default."
    )
    threshold: bool = Field(
        default=False, description="Fit the threshold by finite-size scaling over distance and p."
    )
    time_decoders: bool = Field(
        default=True, description="Measure single-shot decode times and draw the Pareto picture."
    )

    @model_validator(mode="after")
    def _can_have_a_threshold(self) -> Self:
        if self.threshold and self.code is None:
            raise ValueError("a threshold needs a [code] with two or more distances")
        return self

    def _check_source(self) -> None:
        if self.data is None:
            super()._check_source()
            return
        self._check_none_beside_data("data.error_models says what decoders believe")
        if self.rare is not None:
            raise ValueError(
                "rare-event estimates draw errors from a noise model: recorded shots can only be "
                "counted, take [rare] away"
            )

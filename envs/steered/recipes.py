"""Which plant: a recipe of any kind, and the plant that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from calib.drift import Drift
from envs.steered.analytic import Analytic, AnalyticRecipe
from envs.steered.angles import AngleRecipe, Angles
from envs.steered.memory import MemoryRecipe
from envs.steered.plant import Plant
from envs.steered.pulses import PulseRecipe, Pulses


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("kind", "analytic"))
    return getattr(value, "kind", "analytic")


PlantRecipe = Annotated[
    Annotated[AnalyticRecipe, Tag("analytic")]
    | Annotated[PulseRecipe, Tag("pulses")]
    | Annotated[AngleRecipe, Tag("angles")],
    Discriminator(_kind),
]
"""Any plant, for a field of a pydantic model: `kind` tells which; analytic, if it is not given."""


def plant_of(
    recipe: AnalyticRecipe | PulseRecipe | AngleRecipe,
    memory: MemoryRecipe,
    drifts: Sequence[Drift],
) -> Plant:
    """The mean device that runs this memory, of which others are drawn."""
    if isinstance(recipe, PulseRecipe):
        return Pulses(recipe, memory, drifts)
    if isinstance(recipe, AngleRecipe):
        return Angles(recipe, memory, drifts)
    return Analytic(recipe, memory.noisy(), drifts)

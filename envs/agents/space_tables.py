"""Gymnasium's spaces as tables of plain numbers, and back."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BoxTable(_Table):
    """Numbers between bounds, entry by entry; None where there is no bound."""

    kind: Literal["box"] = "box"
    shape: tuple[int, ...]
    dtype: str
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


class DiscreteTable(_Table):
    """One of `count` choices."""

    kind: Literal["discrete"] = "discrete"
    count: int
    start: int


class MultiDiscreteTable(_Table):
    """Several choices, of `counts` each."""

    kind: Literal["multi-discrete"] = "multi-discrete"
    counts: tuple[int, ...]


SpaceTable = Annotated[BoxTable | DiscreteTable | MultiDiscreteTable, Field(discriminator="kind")]
"""Any space, for a field of a pydantic model."""


def table_of(space: gymnasium.Space) -> SpaceTable:
    """The table of a space; ValueError for kinds that agents here do not take."""
    if isinstance(space, gymnasium.spaces.Box):
        return BoxTable(shape=space.shape, dtype=str(space.dtype), low=_bounds(space.low),
                        high=_bounds(space.high))  # fmt: skip
    if isinstance(space, gymnasium.spaces.Discrete):
        return DiscreteTable(count=int(space.n), start=int(space.start))
    if isinstance(space, gymnasium.spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return MultiDiscreteTable(counts=tuple(space.nvec.tolist()))
    raise ValueError(f"expected a Box, Discrete or MultiDiscrete space, got {space}")


def space_of(table: SpaceTable) -> gymnasium.Space:
    """The space of a table."""
    if isinstance(table, DiscreteTable):
        return gymnasium.spaces.Discrete(table.count, start=table.start)
    if isinstance(table, MultiDiscreteTable):
        return gymnasium.spaces.MultiDiscrete(list(table.counts))
    dtype = np.dtype(table.dtype)
    low, high = (
        np.array([unbounded if one is None else one for one in bounds], dtype=dtype)
        for bounds, unbounded in ((table.low, -math.inf), (table.high, math.inf))
    )
    return gymnasium.spaces.Box(
        low.reshape(table.shape), high.reshape(table.shape), dtype=dtype.type
    )


def _bounds(values: NDArray[np.generic]) -> tuple[float | None, ...]:
    return tuple(one if math.isfinite(one) else None for one in values.ravel().tolist())

"""CMA-ES on the sum of all detections: the black-box optimiser beside the steerers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from envs.agents.steerers.steerer import Steerer, SteererRecipe
from envs.steered.plant import Array


class EvolutionRecipe(SteererRecipe):
    """A population of all candidates of an epoch."""

    kind: Literal["cma-es"] = Field(default="cma-es", description="evolution strategy, one reward")
    separable: bool = Field(default=False, description="a diagonal covariance, for many controls")
    width: float = Field(default=0.3, gt=0, description="of the population at first")


class Evolution(Steerer[EvolutionRecipe]):
    """CMA-ES (Hansen, arXiv:1604.00772) by the package cmaes; its mean is the best known.

    What it remembers is the package's own, and is not saved: loaded, it begins anew.
    """

    recipe_class = EvolutionRecipe

    def _setup_model(self) -> None:
        super()._setup_model()
        self._own: Any = None

    def _first_width(self) -> float:
        return self.recipe.width

    def roll_back(self, settings: Array) -> None:
        """Begins anew from these settings."""
        super().roll_back(settings)
        self._own = None

    def recalibrated(self, settings: Array, leaves: float) -> None:
        """Begins anew from what a calibration found."""
        super().recalibrated(settings, leaves)
        self._own = None

    @property
    def resumes(self) -> bool:
        """Not: the package's memory is its own."""
        return False

    def propose(self) -> Array:
        """A population."""
        from cmaes import CMA, SepCMA

        if self._own is None:
            kind = SepCMA if self.recipe.separable else CMA
            self._own = kind(mean=self.settings, sigma=self.recipe.width, seed=self.seed,
                             population_size=self.n_envs)  # fmt: skip
        return np.stack([self._own.ask() for _ in range(self.n_envs)])

    def update(self, candidates: Array, rates: Array) -> None:
        """The next generation."""
        detections = (rates @ self.cones.counts).tolist()
        self._own.tell(list(zip(candidates, detections, strict=True)))
        self.settings = self._own.mean

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_own"]

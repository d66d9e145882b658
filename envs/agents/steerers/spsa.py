"""Simultaneous perturbation with a credit for each control: all are moved at once, by ±width."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from envs.agents.steerers.steerer import Steerer, SteererRecipe, mirrored
from envs.steered.plant import Array


class SPSARecipe(SteererRecipe):
    """How far it looks and goes."""

    kind: Literal["spsa"] = Field(default="spsa", description="simultaneous perturbation")
    local: bool = Field(default=True, description="whether a control is credited with the "
                        "detectors in its light cone alone")  # fmt: skip
    rate: float = Field(default=1.0, gt=0, description="1 is the step that converges fastest "
                        "without noise")  # fmt: skip
    width: float = Field(default=0.3, gt=0, description="how far off candidates are")


class SPSA(Steerer[SPSARecipe]):
    """J. Spall's method (IEEE Trans. Autom. Control 37, 332), in pairs mean ± width.

    A step goes that share of Newton's, whose curvature is known, which converges fastest without
    noise: the smaller the more controls are heard together.
    """

    recipe_class = SPSARecipe

    def _first_width(self) -> float:
        return self.recipe.width

    def _know_circuit(self) -> None:
        crowds = self.cones.crowds(self.recipe.local)
        self._gain = self.recipe.rate / (1 + crowds / (self.n_envs / 2)) * self.cones.newton

    def propose(self) -> Array:
        """Half of the candidates with random signs, and their mirror images."""
        signs = self.rng().choice([-1.0, 1.0], (self.n_envs // 2, len(self.settings)))
        return self.settings + mirrored(self.width * signs)

    def update(self, candidates: Array, rates: Array) -> None:
        """A step down the mean slope of all pairs."""
        cones, half = self.cones, len(candidates) // 2
        differences = (rates[:half] - rates[half:]) * cones.counts  # [B/2, J]
        if self.recipe.local:
            heard = (differences @ cones.hears)[:, cones.gate_of]
        else:
            heard = differences.sum(axis=1, keepdims=True)
        slopes = (heard / (candidates[:half] - candidates[half:])).mean(axis=0)
        self.settings = self.settings - self._gain * slopes

"""A steerer whose rule was learnt on many simulated devices, and is used on others as it stands."""

from __future__ import annotations

import pathlib
from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from scipy.sparse import csr_array
from torch import Tensor

from envs.agents.steerers.pairs import Measurement, Pairs
from envs.agents.steerers.rule import Memory, Rule, Seen, efficiency
from envs.agents.steerers.steerer import Steerer, SteererRecipe, on_both_sides
from envs.steered.plant import Array

SHIPPED = pathlib.Path(__file__).parent / "weights" / "learnt.npz"


class LearntRecipe(SteererRecipe):
    """Whose rule it is."""

    kind: Literal["learnt"] = Field(default="learnt", description="a rule learnt on many devices")
    weights: pathlib.Path | None = Field(
        default=None, description="a file by envs.agents.steerers.schooling; if unset, the shipped"
    )

    @field_validator("weights")
    @classmethod
    def _fits(cls, path: pathlib.Path | None) -> pathlib.Path | None:
        if path is not None:
            Rule.read(path)
        return path


class Learnt(Steerer[LearntRecipe]):
    """Steps and widths by a small recurrent network, the same for every control of every code.

    The pairs of an epoch are one linear measurement of the optimum, as `Tracker` solves it. What to
    make of it is not written by hand: how fast the optimum moves, whether it swings, jumps or
    wanders, how much to trust, where to go and how wide to look next is the `Rule`'s. Weights and
    memories stand in the policy, so that what is saved goes on with the rule that it began with.
    """

    recipe_class = LearntRecipe

    def _first_width(self) -> float:
        return float(Memory.blank(1).width)

    def _first_memory(self, count: int) -> dict[str, Array]:
        memory = Memory.blank(count, dtype=torch.float64)._asdict()
        memory.pop("width")  # stands in the policy
        rule = Rule.read(self.recipe.weights or SHIPPED)
        return {name: values.numpy() for name, values in memory.items()} | {"rule": rule.flat()}

    @property
    def rule(self) -> Rule:
        """The rule that it was given."""
        return Rule.of(self.remembered("rule"))

    def propose(self) -> Array:
        """Half of the candidates at random on either side, and their mirror images."""
        return on_both_sides(self)

    def roll_back(self, settings: Array) -> None:
        """Goes back, takes optima to rest there, and forgets all else."""
        super().roll_back(settings)
        memory = Memory.blank(len(settings), dtype=torch.float64)
        self._keep(memory._replace(centre=torch.from_numpy(self.settings)))

    def update(self, candidates: Array, rates: Array) -> None:
        """What the epoch showed, and what is to be expected of the next."""
        pairs = Pairs.of(candidates, rates, self.shots * self.cones.counts)
        weights = csr_array(self.cones.weights)
        told = Measurement(self.cones, weights, -4 * pairs.offsets, pairs.deviations)
        settings, memory = self.rule(
            self._known(), _tensor(self.settings), self._seen(told, pairs), float(self.epochs)
        )
        self.settings = settings[0].numpy()
        self._keep(Memory(*(one[0] for one in memory)))

    def _seen(self, told: Measurement, pairs: Pairs) -> Seen:
        variance, information = self.remembered("variance"), told.information()
        surprise = told.solved(told.back(pairs.differences / pairs.deviations), variance)
        probe = np.random.default_rng([1, self.epochs]).choice([-1.0, 1.0], len(variance))
        left = np.array([probe @ told.solved(probe, variance)])
        found = _tensor(variance), _tensor(information)
        return Seen(_tensor(surprise), found[1], efficiency(*found, _tensor(left)))

    def _known(self) -> Memory:
        values = {name: self.remembered(name) for name in Memory._fields if name != "width"}
        return Memory(
            **{name: _tensor(one) for name, one in (values | {"width": self.width}).items()}
        )

    def _keep(self, memory: Memory) -> None:
        for name, values in memory._asdict().items():
            if name == "width":
                self.width = values.numpy()
            else:
                self.remember(name, values.numpy())


def _tensor(values: Array) -> Tensor:
    """As a code of one batch."""
    return torch.from_numpy(np.array(values, dtype=np.float64))[None]

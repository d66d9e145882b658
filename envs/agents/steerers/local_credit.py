"""The published agent: a policy gradient over settings, with a reward and a credit per detector."""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from envs.agents.steerers.steerer import Steerer, SteererRecipe, mirrored
from envs.steered.plant import Array

_WIDTHS = 0.02, 1.0
_LARGEST_CHANGE = 0.1  # of the logarithm of a width, in a step
_FORGETTING = 0.7  # of the baseline, in an epoch
_STEEPEST = 0.1  # norm of Adam's gradients


class LocalCreditRecipe(SteererRecipe):
    """The published recipe, and in what it may be varied."""

    kind: Literal["local-credit"] = Field(default="local-credit", description="policy gradient")
    local: bool = Field(default=True, description="whether a detector is credited with the "
                        "controls in whose light cones it lies alone")  # fmt: skip
    rate: float = Field(default=1.0, gt=0, description="1 is the step that converges fastest "
                        "without noise; with Adam its learning rate")  # fmt: skip
    width: float = Field(default=0.2, gt=0, description="where entropy holds the policy's widths")
    width_rate: float = Field(default=0.02, ge=0, description="steps of widths, to those of means")
    steps: int = Field(default=1, ge=1, description="gradient steps an epoch")
    clip: float = Field(default=0.4, gt=0, lt=1, description="ratios are clipped to 1 ± this")
    replay: int = Field(default=0, ge=0, description="earlier epochs that are learnt from again")
    antithetic: bool = Field(default=True, description="whether candidates are drawn in pairs")
    optimiser: Literal["newton", "adam"] = Field(
        default="newton", description="'newton' divides slopes by the known curvature"
    )


class _Epoch(NamedTuple):
    """What replay needs: candidates, rates, and the policy that drew them."""

    candidates: Tensor
    rates: Tensor
    mean: Tensor
    log_std: Tensor


class LocalCredit(Steerer[LocalCreditRecipe]):
    """Steers by the recipe of arXiv:2511.08493, as far as its text tells.

    The reward of each group of detectors is minus its rate, its advantage what that is above a
    baseline of its own. Each candidate's ratio of chances, new policy to old, is taken for each
    control and clipped; a detector is credited with the product of those in whose light cones it
    lies. Entropy holds the widths. Earlier epochs are replayed with the policies that drew them.
    """

    recipe_class = LocalCreditRecipe

    def _setup_model(self) -> None:
        super()._setup_model()
        if not hasattr(self, "replayed"):  # a loaded one has what was saved
            self.replayed: deque[_Epoch] = deque(maxlen=1 + self.recipe.replay)
        moved = [self.gaussian.mean, self.gaussian.log_std]
        self._adam = torch.optim.Adam(moved, lr=self.recipe.rate)

    def _first_width(self) -> float:
        return self.recipe.width

    def _first_memory(self, count: int) -> dict[str, Array]:
        return {"baseline": np.full(self.observation_space.shape or (), np.nan)}

    @property
    def resumes(self) -> bool:
        """Unless it replays epochs or uses Adam, whose memories are not in the policy."""
        return self.recipe.replay == 0 and self.recipe.optimiser == "newton"

    def _know_circuit(self) -> None:
        recipe, cones = self.recipe, self.cones
        # A Gaussian's fourth moment counts a control's own offset as that of two others.
        crowds = cones.crowds(recipe.local) + 2
        share = recipe.rate / recipe.steps / (1 + crowds / (self.n_envs / 2))
        self._gain = torch.from_numpy(share * cones.newton)

    def propose(self) -> Array:
        """Candidates drawn from the policy."""
        half = self.n_envs // 2 if self.recipe.antithetic else self.n_envs
        offsets = self.width * self.rng().standard_normal((half, len(self.settings)))
        return self.settings + (mirrored(offsets) if self.recipe.antithetic else offsets)

    def update(self, candidates: Array, rates: Array) -> None:
        """Some steps up the credited advantage."""
        policy, now, before = self.gaussian, rates.mean(axis=0), self.remembered("baseline")
        known = np.where(np.isnan(before), now, before)
        self.remember("baseline", _FORGETTING * known + (1 - _FORGETTING) * now)
        drawn_by = policy.mean.detach().clone(), policy.log_std.detach().clone()
        self.replayed.append(
            _Epoch(torch.from_numpy(candidates), torch.from_numpy(rates), *drawn_by)
        )
        for _ in range(self.recipe.steps):
            policy.mean.grad = policy.log_std.grad = None
            with torch.enable_grad():
                self._loss().backward()
            self._step()

    def _loss(self) -> Tensor:
        """Minus the credited advantage of all remembered epochs, in detections a shot."""
        cones, policy, clip = self.cones, self.gaussian, self.recipe.clip
        hears = cones.hears if self.recipe.local else np.ones_like(cones.hears)
        mask = torch.from_numpy(hears.astype(float))
        gate_of, counts = torch.from_numpy(cones.gate_of), torch.from_numpy(cones.counts)
        total = torch.zeros((), dtype=torch.float64)
        for epoch in self.replayed:
            advantages = (torch.from_numpy(self.remembered("baseline")) - epoch.rates) * counts
            logs = _log_chances(epoch.candidates, policy.mean, policy.log_std)
            logs = logs - _log_chances(epoch.candidates, epoch.mean, epoch.log_std)
            clipped = logs.exp().clamp(1 - clip, 1 + clip).log()
            by_gate = torch.zeros(len(logs), mask.shape[1], dtype=torch.float64)
            ratios = (by_gate.index_add(1, gate_of, clipped) @ mask.T).exp()
            total = total - (advantages * ratios).sum(dim=1).mean()
        # The widths that this entropy holds against the curvature are the recipe's.
        weights = 2 * torch.from_numpy(cones.curvature) * self.recipe.width**2
        return total / len(self.replayed) - (weights * policy.log_std).sum()

    def _step(self) -> None:
        policy, recipe = self.gaussian, self.recipe
        slopes, width_slopes = policy.mean.grad, policy.log_std.grad
        if recipe.optimiser == "adam":
            torch.nn.utils.clip_grad_norm_([policy.mean, policy.log_std], _STEEPEST)
            self._adam.step()
        elif slopes is not None and width_slopes is not None:
            gain = self._gain
            policy.mean.sub_(gain * slopes)
            change = -recipe.width_rate * gain * width_slopes / (2 * (2 * policy.log_std).exp())
            policy.log_std.add_(change.clamp(-_LARGEST_CHANGE, _LARGEST_CHANGE))
        policy.mean.clamp_(torch.from_numpy(self._low), torch.from_numpy(self._high))
        policy.log_std.clamp_(*np.log(_WIDTHS))

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "_adam"], []


def _log_chances(candidates: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Of each control's value, up to what is the same for all policies, [B, K]."""
    return -0.5 * ((candidates - mean) / log_std.exp()) ** 2 - log_std

"""What a training is at a step: weights, their average, the optimiser; kept and read again."""

from __future__ import annotations

import copy
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from decoders.neural.decoder_file import Judgement
from decoders.neural.learner import Learner
from decoders.neural.ranks import Ranks
from decoders.neural.training_config import MAY_CHANGE, TrainingConfig

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # of AdamW


class TrainingState:
    """Goes on exactly where it was kept: on a CPU, to the same weights.

    With a `digest` of recorded shots it keeps the weights that were best on those that select.
    """

    def __init__(
        self,
        config: TrainingConfig,
        network: Learner,
        *,
        steps: int | None = None,
        digest: str | None = None,
    ):
        self._config, self.network = config, network
        self._steps, self._digest = steps or config.steps, digest
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.best = None if digest is None else copy.deepcopy(self.average)
        recipe = config.optimiser
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay
        )
        self._fill_optimiser()
        self.step = 0
        self.seconds = 0.0
        self.is_whole = True  # not amid a step
        self.judgements: list[Judgement] = []
        self._losses = (0.0, 0)  # sum and number since the last judgement

    @property
    def loss(self) -> float:
        """The mean since the last judgement, in nats."""
        return self._losses[0] / max(1, self._losses[1])

    def descend(self, loss: float) -> None:
        """One step along the gradients that are there, of such a loss."""
        recipe = self._config.optimiser
        self.is_whole = False
        nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        for group in self._optimiser.param_groups:
            group["lr"] = recipe.rate * self._share()
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self._losses = (self._losses[0] + loss, self._losses[1] + 1)
        keep = min(recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self._averaged(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        self.is_whole = True

    def judge(self, judgement: Judgement) -> None:
        """Keeps it, and begins the mean loss anew."""
        before = [one.held_out_loss for one in self.judgements if one.held_out_loss is not None]
        mine = judgement.held_out_loss
        if self.best is not None and mine is not None and mine < min([*before, math.inf]):
            self.best.load_state_dict(self.average.state_dict())
        self.judgements.append(judgement)
        self._losses = (0.0, 0)

    def save(self, path: pathlib.Path) -> None:
        """A kill at any moment leaves the file as it was, or as it is now."""
        words = {"config": self._identity(), **self._words()}
        beside = path.with_name(f"{path.name}.part")
        save_file(self._tensors(), beside, metadata={"state": json.dumps(words)})
        os.replace(beside, path)

    def load(self, path: pathlib.Path) -> None:
        """ValueError if the file is not of such a training."""
        try:
            with safe_open(path, framework="pt") as file:
                words = json.loads(file.metadata()["state"])
                kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no mapping
        except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{path}: not a training's state ({error}): remove it to begin anew"
            ) from None
        if words.get("config") != self._identity():
            raise ValueError(f"{path}: the state of another config's training: take a new folder")
        mine = self._tensors()
        if {name: one.shape for name, one in kept.items()} != {
            name: one.shape for name, one in mine.items()
        }:
            raise ValueError(f"{path}: the state of another network's training")
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(kept[name])
        self._take(words)

    def share(self, ranks: Ranks) -> None:
        """Becomes what it is at the first of all ranks."""
        ranks.copied_from_first(self._tensors().values())
        self._take(ranks.shared(self._words()))

    def _words(self) -> dict[str, Any]:
        """All that is no tensor."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "judgements": [one.model_dump() for one in self.judgements],
            "losses": self._losses,
        }

    def _take(self, words: Mapping[str, Any]) -> None:
        self.step, self.seconds = words["step"], words["seconds"]
        self.judgements = [Judgement(**one) for one in words["judgements"]]
        self._losses = words["losses"][0], words["losses"][1]

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a training to go on."""
        found = self._config.model_dump(mode="json", exclude=set(MAY_CHANGE))
        return found if self._digest is None else {**found, "recorded": self._digest}

    def _share(self) -> float:
        """Of the highest learning rate, at this step."""
        recipe = self._config.optimiser
        done = min(1.0, self.step / max(1, self._steps))
        fall = recipe.last_rate + (1 - recipe.last_rate) * (1 + math.cos(math.pi * done)) / 2
        return fall * min(1.0, (self.step + 1) / max(1, recipe.warm_up))

    def _averaged(self) -> list[nn.Parameter]:
        return list(self.average.parameters())

    def _fill_optimiser(self) -> None:
        """Makes the moments, which AdamW itself makes at its first step."""
        for parameter in self.network.parameters():
            self._optimiser.state[parameter] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }

    def _tensors(self) -> dict[str, Tensor]:
        """All of it by name, not copied."""
        found: dict[str, Tensor] = {}
        for name, value in self.network.named_parameters():
            found[f"network.{name}"] = value.data
            for moment in _MOMENTS:
                found[f"optimiser.{moment}.{name}"] = self._optimiser.state[value][moment]
        found |= {f"average.{name}": value.data for name, value in self.average.named_parameters()}
        if self.best is not None:
            found |= {f"best.{name}": value.data for name, value in self.best.named_parameters()}
        return found

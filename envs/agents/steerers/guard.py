"""What stops a steerer that makes things worse: settings that were better are put back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from stable_baselines3.common.callbacks import BaseCallback

from envs.agents.steerers.steerer import Steerer
from envs.steered.plant import Array


class GuardRecipe(BaseModel):
    """When to put back what was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worse: float = Field(default=0.3, gt=0, description="rolled back when detections rise by more "
                         "than this share of what they were at the settings kept")  # fmt: skip
    epochs: int = Field(default=5, ge=1, description="epochs over which both are averaged")


class Guard(BaseCallback):
    """Keeps the settings under which fewest detections were measured lately; puts them back.

    Only what was measured counts, of all candidates together. What is kept grows old: each epoch
    its level rises by a little, so that in the end newer settings take its place.
    """

    ageing = 1.01  # of the kept level, in an epoch

    def __init__(self, recipe: GuardRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.rolled_back: list[int] = []  # epochs
        self._recent: deque[float] = deque(maxlen=recipe.epochs)
        self._kept: tuple[Array, float] | None = None

    def arrays(self) -> dict[str, Array]:
        """All that it knows, as plain arrays."""
        settings, level = self._kept if self._kept is not None else (np.empty(0), math.nan)
        return {"recent": np.array(self._recent), "kept": settings, "level": np.array(level),
                "rolled_back": np.array(self.rolled_back, dtype=np.float64)}  # fmt: skip

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Knows what another one knew."""
        self._recent.extend(arrays["recent"].tolist())
        self.rolled_back = [int(epoch) for epoch in arrays["rolled_back"]]
        if len(arrays["kept"]):
            self._kept = arrays["kept"], float(arrays["level"])

    def _on_step(self) -> bool:
        model = self.model
        if not isinstance(model, Steerer):
            return True
        self._recent.append(-float(np.mean(self.locals["rewards"])))
        if len(self._recent) < self.recipe.epochs:
            return True
        now = float(np.mean(self._recent))
        kept = None if self._kept is None else (self._kept[0], self.ageing * self._kept[1])
        if kept is None or now <= kept[1]:
            self._kept = (model.settings, now)
            return True
        self._kept = kept
        if now > (1 + self.recipe.worse) * kept[1]:
            model.roll_back(kept[0])
            self.rolled_back.append(model.epochs)
            self._recent.clear()
        return True

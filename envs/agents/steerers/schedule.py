"""When a full recalibration is worth halting the code for, from what its detectors show alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from stable_baselines3.common.callbacks import BaseCallback

from envs.agents.steerers.references import calibrated, is_done, share_halted
from envs.agents.steerers.steerer import Steerer
from envs.steered.experiment import Experiment
from envs.steered.plant import Array

_CALIBRATED = 1  # what a seed and an epoch are used for, besides a steerer's own uses
_SURE, _SEEN = 5.0, 3.0  # standard deviations of an epoch's count: to act on it, to learn from it
_FORGETTING = 0.98  # of how an excess went on, in an epoch
_FADING = 0.5  # of what all earlier calibrations tell, at each one


class ScheduleRecipe(BaseModel):
    """What a calibration costs and leaves, and what an epoch without the code is worth."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    halts_epochs: float = Field(default=1.0, gt=0, description="the time that each one takes")
    leaves: float = Field(default=0.2, ge=0, description="how far off it leaves each control")
    price: float = Field(
        default=1.0, gt=0, description="what an epoch costs in which the code does not run: 1 as "
        "much as one at twice the detections of just after a calibration, 0.1 as one with 10 % more"
    )  # fmt: skip


@dataclass
class Ledger:
    """What is lost since calibrations, and for how long an excess lasts.

    Excess e is the detections above those of the first epoch after a calibration, as a share of
    them: the lower of the latest two, as what jumped in the meantime makes one of them high, and
    what no calibration lowers makes both. The mean loss an epoch, halts included, is least if one
    halts as soon as an epoch more would lose as much as that mean (the marginal value rule of
    renewal-reward processes): e ≥ (Σe + price·halts) / (epochs + halts), or, with ē the mean excess
    and H the mean time from one calibration to the next,

        (e − ē) · H ≥ halts · (price − ē).

    That takes an excess to stay. One that fades by itself to a share ρ an epoch, as beside an agent
    that recovers, or on a device that returns, still costs as much as ρ + ρ² + ... epochs of it, H
    terms: that stands in place of H. ρ is how excesses went on from epoch to epoch, this one and
    those that ended by themselves: one that a halt cut short does not show what it would have done.
    """

    level: float = 0.0  # detections just after a calibration, the lower of two
    first: float = 0.0  # detections just after the latest
    total: float = 0.0  # detections since then
    epochs: int = 0  # since then
    excess: float = 0.0  # of this epoch, above the mean
    blur: float = 0.0  # of this excess, a standard deviation
    went_on: float = 0.0  # Σ of excess · the one before, while it lasts
    stood: float = 0.0  # Σ of the squares of those before
    past_went_on: float = 0.0  # the same, of excesses that ended by themselves
    past_stood: float = 0.0
    past_excess: float = 0.0  # of all earlier times, fading
    past_epochs: float = 0.0
    past_halts: float = 0.0

    def see(self, detections: float, variance: float) -> None:
        """An epoch in which the code ran, and the variance of its count."""
        if not self.epochs:
            self.level = min(detections, self.first) if self.past_halts else detections
            self.first = detections
        elif not self.past_halts:  # before the first, the lowest of all may stand for it
            self.level = self.first = min(detections, self.first)
        before, blur_before = (self.excess, self.blur) if self.epochs else (0.0, 0.0)
        self.epochs, self.total = self.epochs + 1, self.total + detections
        self.excess = detections / self.level - 1 - self.mean
        self.blur = math.sqrt(variance) / self.level
        self._follow(before, blur_before)

    def _follow(self, before: float, blur_before: float) -> None:
        """How the excess of the epoch before went on; where there was none, those past are over."""
        if before > _SEEN * blur_before:
            self.went_on += self.excess * before
            self.stood += before**2 - blur_before**2  # what counting adds is no excess
            return
        self.past_went_on = _FORGETTING * self.past_went_on + self.went_on
        self.past_stood = _FORGETTING * self.past_stood + self.stood
        self.went_on = self.stood = 0.0

    @property
    def mean(self) -> float:
        """The mean excess of all times, more of late."""
        found = self.past_excess + self.total / self.level - self.epochs
        return found / (self.past_epochs + self.epochs)

    def lasts(self, halts_epochs: float) -> float:
        """For how many epochs more an excess counts, up to when the next calibration is due."""
        went_on, stood = self.past_went_on + self.went_on, self.past_stood + self.stood
        rate = min(1.0, max(0.0, went_on) / stood) if stood > 0 else 0.0
        most = (self.past_epochs + self.epochs) / (self.past_halts + 1) + halts_epochs
        return most if rate == 1 else rate * (1 - rate**most) / (1 - rate)

    def is_worth(self, halts_epochs: float, price: float) -> bool:
        """Whether to halt now."""
        sure = self.excess - _SURE * self.blur
        if self.epochs < 2 or sure <= 0:
            return False
        return sure * self.lasts(halts_epochs) >= halts_epochs * (price - self.mean)

    def begin(self) -> None:
        """A calibration is over."""
        self.past_excess = _FADING * (self.past_epochs + self.epochs) * self.mean
        self.past_epochs = _FADING * (self.past_epochs + self.epochs)
        self.past_halts = _FADING * (self.past_halts + 1)
        self.total, self.epochs = 0.0, 0
        self.went_on = self.stood = 0.0


class Schedule(BaseCallback):
    """Halts the code for a calibration of all controls when that is worth it.

    Beside an agent that learns, or on a device that is left alone in between. Only what was
    measured counts, of all candidates together. While it halts, time passes and nothing is learnt;
    then a steerer goes on from the settings that were found.
    """

    def __init__(self, recipe: ScheduleRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.halted_at: list[int] = []  # epochs in which a halt began
        self._ledger = Ledger()
        self._since: int | None = None  # epochs since this halt began, if it has

    def arrays(self) -> dict[str, Array]:
        """All that it knows, as plain arrays."""
        since = [] if self._since is None else [float(self._since)]
        return {"ledger": np.array(astuple(self._ledger), dtype=np.float64),
                "since": np.array(since),
                "halted_at": np.array(self.halted_at, dtype=np.float64)}  # fmt: skip

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Knows what another one knew."""
        self._ledger = Ledger(*arrays["ledger"].tolist())
        self._since = next(iter(arrays["since"].astype(int).tolist()), None)
        self.halted_at = arrays["halted_at"].astype(int).tolist()

    def _on_rollout_start(self) -> None:
        model, recipe, since = self._steerer(), self.recipe, self._since
        model.halt(0.0 if since is None else share_halted(recipe.halts_epochs, since))
        if since == 0:
            self.halted_at.append(model.epochs)
        if since is not None and is_done(recipe.halts_epochs, since):
            experiment: Experiment = self.training_env.get_attr("experiment", 0)[0]
            rng = np.random.default_rng([model.seed or 0, model.epochs, _CALIBRATED])
            model.recalibrated(calibrated(experiment, recipe.leaves, rng), recipe.leaves)

    def _on_step(self) -> bool:
        recipe, ledger = self.recipe, self._ledger
        if self._since is not None:
            self._since += 1
            if self._since >= recipe.halts_epochs:
                self._since = None
                ledger.begin()
            return True
        seen = -np.asarray(self.locals["rewards"], dtype=np.float64)
        if self._steerer().halted or not seen.any():  # what fires never cannot fire more often
            return True
        ledger.see(float(seen.mean()), float(seen.var(ddof=1) / len(seen)))
        if ledger.is_worth(recipe.halts_epochs, recipe.price):
            self._since = 0
        return True

    def _steerer(self) -> Steerer:
        if not isinstance(self.model, Steerer):
            kind = type(self.model).__name__
            raise ValueError(f"only a steerer of envs.agents.steerers can be halted, got {kind}")
        return self.model

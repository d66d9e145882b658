"""What stops a steerer that makes things worse: settings that were better are put back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import binom
from stable_baselines3.common.callbacks import BaseCallback

from envs.agents.steerers.judge import tried_settings
from envs.agents.steerers.steerer import Steerer, trial_size
from envs.steered.experiment import Experiment
from envs.steered.plant import Array

_CHANCE = 1e-6  # that counting alone makes a rise of leakage
_LITTLE = 4  # a share of `leakier` that settings are kept with
_CHANCE_SEEN = 0.05  # that counting alone makes them look leakier than that
_CHANCE_AGAIN = 1e-3  # that counting alone makes what was put back for leakage look no better


class GuardRecipe(BaseModel):
    """When to put back what was."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    worse: float = Field(default=0.3, gt=0, description="rolled back when detections rise by more "
                         "than this share of what they were at the settings kept")  # fmt: skip
    leakier: float = Field(
        default=2.0, gt=0, description="rolled back when leaked qubits rise by more than this "
        "share of what they were at the settings kept, and by more than counting them can make"
    )  # fmt: skip
    epochs: int = Field(default=5, ge=1, description="epochs over which both are averaged")


class _Kept(NamedTuple):
    """Settings, and what was measured under them."""

    settings: Array
    detections: float  # a cycle
    leaked: float  # qubits in all epochs together

    def aged(self, ageing: float) -> _Kept:
        """The levels an epoch later; of no leaked qubit it is not known how much less than one."""
        return self._replace(
            detections=ageing * self.detections, leaked=ageing * max(1.0, self.leaked)
        )


class Guard(BaseCallback):
    """Keeps the settings under which fewest detections were measured lately; puts them back.

    Only what was measured counts, of all candidates together. What is kept grows old: each epoch
    its levels rise by a little, so that in the end newer settings take its place. Before they are
    put back they are tried beside those of now, in the same epoch: where they are no better, the
    device has changed, and they are given up, as a steerer that follows it must not be called back.
    Leakage does not make detections alone, and may even spare some: so it has a level of its own,
    which fewer detections do not raise.
    """

    ageing = 1.01  # of the kept levels, in an epoch

    def __init__(self, recipe: GuardRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.rolled_back: list[int] = []  # epochs
        self.leaked: list[int] = []  # those of them in which leakage was the reason
        self._recent: deque[tuple[float, float]] = deque(maxlen=recipe.epochs)
        self._kept: _Kept | None = None
        self._is_trial = False  # whether this epoch compares what is kept with what is held
        self._is_leaky = False  # and that for leakage

    def arrays(self) -> dict[str, Array]:
        """All that it knows, as plain arrays."""
        kept = [] if self._kept is None else [*self._kept.settings, *self._kept[1:]]
        return {"recent": np.array(self._recent).reshape(-1, 2), "kept": np.array(kept),
                "rolled_back": np.array(self.rolled_back, dtype=np.float64),
                "leaked": np.array(self.leaked, dtype=np.float64),
                "trial": np.array([self._is_trial, self._is_leaky], dtype=np.float64)}  # fmt: skip

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Knows what another one knew."""
        self._recent.extend((float(one), float(two)) for one, two in arrays["recent"])
        self.rolled_back = arrays["rolled_back"].astype(int).tolist()
        self.leaked = arrays["leaked"].astype(int).tolist()
        self._is_trial, self._is_leaky = arrays["trial"].astype(bool).tolist()
        if len(kept := arrays["kept"]):
            self._kept = _Kept(kept[:-2], float(kept[-2]), float(kept[-1]))

    def _on_training_start(self) -> None:
        if self._is_trial and self._kept is not None and isinstance(self.model, Steerer):
            self.model.try_out(self._kept.settings)  # what a run that was stopped was about to do

    def _on_step(self) -> bool:
        model = self.model
        if not isinstance(model, Steerer):
            return True
        if model.halted:  # what follows is not to be held against what was before
            self._forget()
        elif self._is_trial and self._kept is not None:
            self._judge(model, self._kept)
        else:
            detections, leaked = self._seen()
            self._recent.append((float(detections.mean()), float(leaked.sum())))
            if len(self._recent) == self.recipe.epochs:
                self._compare(model)
        return True

    def _seen(self) -> tuple[Array, Array]:
        """Detections a cycle and leaked qubits of this epoch, of each candidate."""
        experiment: Experiment = self.training_env.get_attr("experiment", 0)[0]
        leaked = experiment.leaked(tried_settings(self.locals))
        return -np.asarray(self.locals["rewards"], dtype=np.float64), leaked.astype(float)

    def _compare(self, model: Steerer) -> None:
        """Keeps the settings of now, or has those kept tried, or neither."""
        detections, leaked = np.mean(self._recent, axis=0)[0], np.sum(self._recent, axis=0)[1]
        if self._kept is None:
            self._kept = _Kept(model.settings, detections, leaked)
            return
        kept = self._kept.aged(self.ageing)
        is_leaky = surely_more(leaked, kept.leaked, self.recipe.leakier)
        is_dry = not surely_more(leaked, kept.leaked, self.recipe.leakier / _LITTLE, _CHANCE_SEEN)
        if detections <= kept.detections and is_dry:
            kept = _Kept(model.settings, detections, min(leaked, kept.leaked))
        self._kept = kept
        if is_leaky or detections > (1 + self.recipe.worse) * kept.detections:
            model.try_out(kept.settings)
            self._is_trial, self._is_leaky = True, is_leaky

    def _judge(self, model: Steerer, kept: _Kept) -> None:
        """Puts back what is kept, if that is better in the same epoch; or else gives it up.

        Few leak in an epoch: there it is enough that it may well be better.
        """
        few, worse = trial_size(model.n_envs), 1 + self.recipe.worse / 2
        (detections, now), (leaked, leaks) = (np.split(one, [few]) for one in self._seen())
        expected = few / len(now) / (1 + self.recipe.leakier / _LITTLE)  # of each that leaks now
        is_leaky = self._is_leaky and not surely_more(
            leaked.sum(), leaks.sum(), expected - 1, _CHANCE_AGAIN
        )
        if is_leaky or now.mean() > worse * detections.mean():
            model.roll_back(kept.settings)
            self.rolled_back.append(model.epochs)
            if is_leaky:
                self.leaked.append(model.epochs)
            self._recent.clear()
            self._is_trial = False
        else:
            self._forget()

    def _forget(self) -> None:
        self._recent.clear()
        self._kept, self._is_trial = None, False


def surely_more(now: float, before: float, share: float, chance: float = _CHANCE) -> bool:
    """Whether a count is above another by more than this share, and not by chance.

    Of two Poisson counts with means in the ratio r, the first is binomial among both, with r/(1+r).

    >>> surely_more(400, 100, 1.0), surely_more(40, 10, 1.0), surely_more(400, 200, 1.0)
    (True, False, False)
    """
    ratio, many, few = 1 + share, round(now), round(before)
    return bool(binom.sf(many - 1, many + few, ratio / (1 + ratio)) < chance)

"""The Calibrator of a backend as an action: pressed when detectors say that it is worth it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from envs.agents.steerers.schedule import Ledger, ScheduleRecipe


class Pressing:
    """The rule of `Schedule` for a device that is real, or another's: counts in, a press out.

    `press` halts the memory and calibrates; it returns when that is over. It costs `halts_epochs`
    of the times between two counts, by the recipe. Counts of one shot hang together: its detectors
    fire in pairs at least, so that the variance of their sum is twice that of single ones.

    >>> pressed = []
    >>> rule = Pressing(ScheduleRecipe(halts_epochs=2), lambda: pressed.append(True))
    >>> [rule.see(fired, 1_000_000) for fired in (50_000, 50_100, 80_000, 85_000, 90_000)]
    [False, False, False, True, False]
    """

    def __init__(self, recipe: ScheduleRecipe, press: Callable[[], Any]) -> None:
        self.recipe, self._press = recipe, press
        self._ledger = Ledger()
        self.epochs = 0
        self.pressed_at: list[int] = []

    def see(self, fired: int, trials: int) -> bool:
        """An epoch: how many of shots x detectors fired. Whether the Calibrator was pressed."""
        if not 0 < fired <= trials:
            raise ValueError(f"expected from 1 to trials = {trials} detection events, got {fired}: "
                             "count more shots an epoch")  # fmt: skip
        rate = fired / trials
        self._ledger.see(rate, 2 * rate * (1 - rate) / trials)
        self.epochs += 1
        if not self._ledger.is_worth(self.recipe.halts_epochs, self.recipe.price):
            return False
        self._press()
        self._ledger.begin()
        self.pressed_at.append(self.epochs - 1)
        return True

"""The Calibrator's rule on counts alone: as the schedule of steerers, and by hand."""

import numpy as np
import pytest

from envs.agents.steerers.pressing import Pressing
from envs.agents.steerers.schedule import ScheduleRecipe

TRIALS = 10_000_000


def courses(recipe: ScheduleRecipe, slope: float, epochs: int) -> tuple[list[int], float]:
    """A device whose excess grows evenly, and the mean loss of an epoch, presses included."""
    since = [0]
    lost, time, rng = 0.0, 0.0, np.random.default_rng(1)

    def press() -> None:
        nonlocal lost, time
        since[0] = 0
        lost += recipe.price * recipe.halts_epochs
        time += recipe.halts_epochs

    rule = Pressing(recipe, press)
    for _ in range(epochs):
        excess = slope * since[0]
        lost, time = lost + excess, time + 1
        since[0] += 1
        rule.see(int(rng.binomial(TRIALS, 0.05 * (1 + excess))), TRIALS)
    return rule.pressed_at, lost / time


@pytest.mark.parametrize(("slope", "halts"), [(0.01, 2.0), (0.02, 5.0), (0.005, 1.0)])
def test_it_loses_hardly_more_than_the_best_interval(slope: float, halts: float) -> None:
    """A calibration every n epochs loses (slope n (n − 1) / 2 + halts) / (n + halts) an epoch."""
    n = np.arange(2, 400)
    best = float(np.min((slope * n * (n - 1) / 2 + halts) / (n + halts)))
    pressed, lost = courses(ScheduleRecipe(halts_epochs=halts), slope, 2000)
    assert len(pressed) > 20
    assert best * 0.98 < lost < best * 1.1


def test_a_device_that_stays_as_it_is_is_left_alone() -> None:
    """5 standard deviations, 500 times: by chance once in 7,000 runs, were counts normal."""
    assert courses(ScheduleRecipe(halts_epochs=1.0), 0.0, 500)[0] == []


def test_counts_that_tell_nothing_are_refused() -> None:
    rule = Pressing(ScheduleRecipe(), lambda: None)
    for fired in (0, 101):
        with pytest.raises(ValueError, match="expected from 1 to trials = 100"):
            rule.see(fired, 100)

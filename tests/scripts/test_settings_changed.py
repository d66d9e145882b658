"""Differences in the table of knobs."""

import math

import pytest

from calib.controls import Knob
from scripts.settings_changed import Setting, settings_rows


def setting(name: str, old: float, new: float) -> Setting:
    return Setting(Knob(name, (0, 1)), old, new, None, "in tolerance", "somebody")


@pytest.mark.parametrize(
    ("name", "old", "new", "difference"),
    [
        ("cz.phase_a_rad", 3.0, -3.0, 2 * math.pi - 6),
        ("cz.phase_a_rad", -1.98, 1.98, 3.96 - 2 * math.pi),
        ("cz.phase_a_rad", 0.5, 1.0, 0.5),
        ("cz.amplitude", 3.0, -3.0, -6.0),
    ],
)
def test_an_angle_turned_the_shorter_way(
    name: str, old: float, new: float, difference: float
) -> None:
    (row,) = settings_rows([setting(name, old, new)])
    assert row["difference"] == pytest.approx(difference)
    assert (row["old"], row["new"]) == (old, new)

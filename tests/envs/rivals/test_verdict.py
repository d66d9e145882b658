"""The judge: by hand, from traces of which the truth is written down."""

from __future__ import annotations

import numpy as np
import pytest

from calib.device_config import Start
from envs.rivals import Bench, Trace, search_widths, verdict
from envs.rivals.bench import merged
from tests.envs.rivals.quadratic import QuadraticGame


class Judged(QuadraticGame):
    """The ratio of a device is its first knob."""

    def ratios(self, physics, settings):
        return settings


def test_the_worst_gate_counts_and_what_is_lost_again_does_not() -> None:
    bench = Bench(Judged(), {}, np.zeros((2, 2)), np.zeros((2, 2)), np.ones((2, 2)))
    worst = [[9.0, 9.0], [1.1, 9.0], [1.3, 1.0], [1.1, 1.2], [1.0, 1.0]]
    settings = np.stack([np.array(worst), np.ones((5, 2))], axis=2)
    found = verdict(bench, Trace(np.array([0, 10, 20, 30, 40]), settings))
    assert found.ratios.tolist() == worst
    assert [found.good(moment) for moment in range(5)] == [0, 1, 1, 2, 2]
    assert found.shots_to_calibrate() == 30
    assert found.shots_of_each().tolist() == [30.0, 20.0]
    assert found.after(29) == 2
    assert found.after(40) == 4
    # Wilson's interval of 1 in 2: 0.5 ± 1.96·√(1/8 + 1.96²/16) / (1 + 1.96²/2)·…, tabulated.
    assert found.interval(1) == pytest.approx((0.0945, 0.9055), abs=1e-4)


def test_who_never_gets_there_has_no_number_of_shots() -> None:
    bench = Bench(Judged(), {}, np.zeros((1, 2)), np.zeros((1, 2)), np.ones((1, 2)))
    settings = np.array([[[1.0, 1.0]], [[2.0, 1.0]]])
    found = verdict(bench, Trace(np.array([5, 10]), settings))
    assert found.shots_to_calibrate() is None
    assert np.isinf(found.shots_of_each()).all()
    assert found.after(4) is None


def test_devices_that_went_by_themselves_are_held_between_their_steps() -> None:
    alone = [[(0, np.array([0.0])), (10, np.array([1.0]))],
             [(0, np.array([5.0])), (4, np.array([6.0])), (20, np.array([7.0]))]]  # fmt: skip
    found = merged(alone)
    assert found.shots.tolist() == [0, 4, 10, 20]
    assert found.settings[..., 0].T.tolist() == [[0, 0, 1, 1], [5, 6, 6, 7]]


def test_a_lab_searches_half_again_as_far_as_the_start_may_be_off() -> None:
    start = Start(amplitude=0.04, frequency_mhz=2, drag_ns=1, phase_rad=1, axis_rad=1,
                  duration_ns=3)  # fmt: skip
    knobs = ("frequency_ghz", "x.amplitude", "x.drag_ns", "x.phase_rad", "cz.duration_ns",
             "cz.phase_a_rad")  # fmt: skip
    settings = np.array([[5.0, -0.5, 0.2, 0.0, 45.0, 3.0]])
    found = search_widths(knobs, settings, start)
    assert found[0] == pytest.approx([3e-3, 0.03, 1.5, 1.5, 4.5, 1.5])
    assert search_widths(knobs, settings, Start())[0, [3, 5]] == pytest.approx(
        [np.pi / 2, np.pi], abs=1e-5
    )

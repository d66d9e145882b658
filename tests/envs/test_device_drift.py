"""Drift of many devices with clocks of their own: stationary, and as forgetful as it says."""

import numpy as np
import pytest

from calib.drift import Drift
from calib.processes import OneOverF, OrnsteinUhlenbeck, Process, Ramp, Sinusoid, Step, Telegraph
from envs.device_drift import DeviceDrift

COUNT = 20_000  # devices: a standard deviation is known to 0.5 %


def paths(process: Process, steps_s: list[float]) -> np.ndarray:
    """x(t) of many devices at the start and after each of these steps, [times, COUNT]."""
    drift = DeviceDrift([Drift(process=process, absolute={"f": 1.0})], {"f": [(0,)]})
    rng = np.random.default_rng(1)
    states, time_s = drift.begun(COUNT, rng), np.zeros(COUNT)
    found = [drift.deviations(states, time_s)["f"].absolute[:, 0]]
    for step_s in steps_s:
        states = drift.advanced(states, np.full(COUNT, step_s), rng)
        time_s = time_s + step_s
        found.append(drift.deviations(states, time_s)["f"].absolute[:, 0])
    return np.array(found)


@pytest.mark.parametrize("seconds", [1.0, 300.0, 1e5])
def test_gaussian_noise_keeps_its_variance_and_forgets_in_its_time(seconds: float):
    """Autocovariance σ² exp(−t/τ); tolerances are 5 standard deviations of 20,000 samples."""
    noise = OrnsteinUhlenbeck(sigma=3.0, correlation_time_s=600.0)
    x = paths(noise, [seconds])
    tolerance = 5 * 9 * np.sqrt(2 / COUNT)
    assert x.var(axis=1) == pytest.approx([9, 9], abs=tolerance)
    assert (x[0] * x[1]).mean() == pytest.approx(9 * np.exp(-seconds / 600), abs=tolerance)


def test_many_short_steps_are_one_long_one():
    noise = OrnsteinUhlenbeck(correlation_time_s=600.0)
    x = paths(noise, [60.0] * 10)
    assert (x[0] * x[-1]).mean() == pytest.approx(np.exp(-1), abs=5 * np.sqrt(2 / COUNT))


def test_one_over_f_noise_is_the_sum_of_its_components():
    noise = OneOverF(sigma=2.0, f_min_hz=1e-5, f_max_hz=1e-2)
    x = paths(noise, [500.0])
    expected = 4 * np.exp(-500 / noise.correlation_times_s()).mean()
    tolerance = 5 * 4 * np.sqrt(2 / COUNT)
    assert x[1].var() == pytest.approx(4, abs=tolerance)
    assert (x[0] * x[1]).mean() == pytest.approx(expected, abs=tolerance)


def test_two_level_systems_dwell_as_long_as_they_should():
    """P(up, then up) = p(p + (1 − p) exp(−(up + down) t)), p being the occupancy."""
    process = Telegraph(up_per_hour=1.0, down_per_hour=3.0, amount=-2.0)
    x = paths(process, [900.0]) / -2.0
    stays = 0.25 * (0.25 + 0.75 * np.exp(-1.0))
    tolerance = 5 * 0.5 / np.sqrt(COUNT)
    assert set(np.unique(x)) == {0.0, 1.0}
    assert x.mean(axis=1) == pytest.approx([0.25, 0.25], abs=tolerance)
    assert (x[0] * x[1]).mean() == pytest.approx(stays, abs=tolerance)


def test_what_knows_only_the_time_follows_each_clock():
    drifts = [
        Drift(process=Ramp(per_hour=2.0), absolute={"a": 1.0}),
        Drift(process=Step(time_s=100.0), relative={"b": 0.5}),
        Drift(process=Sinusoid(period_s=400.0), absolute={"b": 3.0}, qubits=(1,)),
    ]
    single = [(0,), (1,)]
    drift = DeviceDrift(drifts, {"a": single, "b": single})
    states, times_s = drift.begun(2, np.random.default_rng(1)), np.array([0.0, 1900.0])
    found = drift.deviations(states, times_s)
    np.testing.assert_allclose(found["a"].of(0.0), [[0, 0], [3.8 / 3.6, 3.8 / 3.6]])
    # 1900 s are four periods and three quarters.
    np.testing.assert_allclose(found["b"].of(1.0),
                               [[1, 1], [np.exp(0.5), np.exp(0.5) - 3]], rtol=1e-9)  # fmt: skip


def test_clocks_go_on_by_themselves_and_pairs_are_found_in_either_order():
    pairs = [(1, 0), (1, 2)]
    drift = DeviceDrift(
        [Drift(process=OrnsteinUhlenbeck(correlation_time_s=1.0), absolute={"g": 1.0}),
         Drift(process=Ramp(per_hour=3600.0), absolute={"g": 1.0}, pairs=((2, 1),))],
        {"g": pairs},
    )  # fmt: skip
    rng = np.random.default_rng(2)
    first = drift.begun(2, rng)
    then = drift.advanced(first, np.array([0.0, 50.0]), rng)
    assert (then[0][0] == first[0][0]).all()  # no time has passed for this one
    assert (then[0][1] != first[0][1]).all()
    moved = drift.deviations(then, np.array([0.0, 50.0]))["g"].absolute - then[0]
    np.testing.assert_allclose(moved, [[0, 0], [0, 50]])


def test_a_shared_cause_moves_all_alike_and_what_is_unknown_is_refused():
    shared = Drift(process=OrnsteinUhlenbeck(correlation_time_s=9.0), absolute={"f": 1.0},
                   shared=True)  # fmt: skip
    drift = DeviceDrift([shared], {"f": [(0,), (1,), (2,)]})
    found = drift.deviations(drift.begun(4, np.random.default_rng(3)), np.zeros(4))["f"].absolute
    assert found.shape == (4, 3)
    assert (found == found[:, :1]).all()
    with pytest.raises(ValueError, match="expected one of f"):
        DeviceDrift([shared.model_copy(update={"absolute": {"g": 1.0}})], {"f": [(0,)]})

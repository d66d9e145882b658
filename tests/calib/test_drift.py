"""Trajectories: a function of seed and time alone, whoever looks and however often."""

import copy
import math
import pickle
import time
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from calib.drift import Drift, Trajectory
from calib.processes import OneOverF, OrnsteinUhlenbeck, Ramp, Telegraph

QUBITS = [(0,), (1,), (2,)]
PAIRS = [(0, 1), (2, 1)]
TARGETS = {"t1_us": QUBITS, "frequency_ghz": QUBITS, "zz_khz": PAIRS}
SLOW = OrnsteinUhlenbeck(correlation_time_s=3600.0)
FLICKER = OneOverF(f_min_hz=1e-4, f_max_hz=1e-1)
DEFECT = Telegraph(up_per_hour=20.0, down_per_hour=40.0)
RAMP = Ramp(per_hour=1.0)
ALL = [
    Drift(process=SLOW, relative={"t1_us": 0.1}),
    Drift(process=FLICKER, absolute={"frequency_ghz": 1e-6}),
    Drift(process=DEFECT, relative={"t1_us": -0.6}, absolute={"frequency_ghz": 2e-5}),
    Drift(process=RAMP, absolute={"zz_khz": 1.0}),
]


def numbers(trajectory, time_s):
    return {name: np.stack(both) for name, both in trajectory.at(time_s).items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 20_000), min_size=1, max_size=12))
def test_neither_order_nor_number_of_looks_matters(times_s):
    wandering = Trajectory(ALL, TARGETS, seed=5)
    seen = [numbers(wandering, time_s) for time_s in times_s]
    for time_s, one in zip(times_s, seen, strict=True):
        assert same(one, numbers(Trajectory(ALL, TARGETS, seed=5), time_s))


def test_seeds_differ_and_entries_added_later_leave_the_first_ones_alone():
    one, other = (Trajectory(ALL[:1], TARGETS, seed=seed).at(10.0)["t1_us"] for seed in (1, 2))
    assert not np.any(one.log_relative == other.log_relative)
    more = Trajectory([ALL[0], ALL[1]], TARGETS, seed=1).at(10.0)["t1_us"]
    assert np.array_equal(one.log_relative, more.log_relative)


def test_values_hold_within_a_tick():
    trajectory = Trajectory(ALL, TARGETS, seed=3, tick_s=2.0)
    assert trajectory.tick(5.999) == 2
    assert same(numbers(trajectory, 4.0), numbers(trajectory, 5.999))
    assert not same(numbers(trajectory, 4.0), numbers(trajectory, 6.0))


def test_copies_are_equal_and_independent():
    original = Trajectory(ALL, TARGETS, seed=3)
    original.at(5000.0)
    twin = copy.deepcopy(original)
    original.at(90_000.0)
    for time_s in (7000.0, 100.0, 90_000.0):
        assert same(numbers(twin, time_s), numbers(original, time_s))
    with pytest.raises(ValueError, match="read-only"):
        original.at(0.0)["t1_us"].absolute[0] = 1.0


def test_chunk_borders_are_like_any_other_step():
    targets = {"x": [(q,) for q in range(2000)]}
    drift = Drift(process=SLOW, absolute={"x": 1.0})
    trajectory = Trajectory([drift], targets, seed=1)
    expected = 2 * -math.expm1(-1 / 3600)
    for tick in (1, 1023, 1024, 1025, 2048):
        step = trajectory.at(float(tick))["x"].absolute - trajectory.at(tick - 1.0)["x"].absolute
        # Variance of a variance, 2/n; 5.5 standard errors: 4e-8 for each of five.
        assert step.var() / expected == pytest.approx(1, abs=5.5 * math.sqrt(2 / 2000))


def test_a_week_ahead_is_quick_and_keeps_little():
    qubits = [(q,) for q in range(20)]
    names = ("t1_us", "t2_us", "frequency_ghz", "rabi_mhz", "resonator_ghz")
    drifts = [Drift(process=FLICKER, relative={name: 0.1}) for name in names]
    trajectory = Trajectory(drifts, dict.fromkeys(names, qubits), seed=1)
    trajectory.at(0.0)
    began = time.perf_counter()
    trajectory.at(7 * 86_400.0)
    assert time.perf_counter() - began < 2  # measured: 0.1 s
    assert len(pickle.dumps(trajectory)) < 10e6


def test_one_realisation_moves_all_parameters_of_an_entry():
    both = Trajectory([ALL[2]], TARGETS, seed=4)
    ups = set()
    for time_s in range(0, 36_000, 50):
        found = both.at(float(time_s))
        up = found["t1_us"].log_relative == -0.6
        assert np.array_equal(found["frequency_ghz"].absolute, np.where(up, 2e-5, 0.0))
        ups.add(tuple(up))
    assert len(ups) == 8  # the three qubits jump independently: 720 looks in 600 dwell times


def test_shared_drift_is_the_same_everywhere():
    drift = Drift(process=SLOW, absolute={"frequency_ghz": 2.0, "zz_khz": 1.0}, shared=True)
    found = Trajectory([drift], TARGETS, seed=4, batch=(5,)).at(77.0)
    frequency, zz = found["frequency_ghz"].absolute, found["zz_khz"].absolute
    assert frequency.shape == (5, 3)
    assert np.array_equal(frequency, np.repeat(2 * zz[:, :1], 3, axis=1))
    assert len(np.unique(zz)) == 5
    alone = Trajectory([ALL[0]], TARGETS, seed=4).at(77.0)["t1_us"].log_relative
    assert len(np.unique(alone)) == 3


def test_entries_act_where_they_say_and_add_up():
    drifts = [
        Drift(process=RAMP, absolute={"t1_us": 3.0}, qubits=(2, 0)),
        Drift(process=RAMP, absolute={"t1_us": 1.0}, relative={"t1_us": math.log(2)}),
        Drift(process=RAMP, absolute={"zz_khz": 5.0}, pairs=((1, 2),)),
    ]
    found = Trajectory(drifts, TARGETS, seed=0).at(3600.0)
    assert set(found) == {"t1_us", "zz_khz"}
    assert found["t1_us"].of(50.0) == pytest.approx(np.array([104.0, 101.0, 104.0]))
    assert found["zz_khz"].of(np.array([1.0, 2.0])) == pytest.approx(np.array([1.0, 7.0]))


def test_the_documented_toml_is_read():
    text = (Drift.__doc__ or "").split("In TOML:")[1]
    (entry,) = tomllib.loads(text)["drift"]
    drift = Drift.model_validate(entry)
    assert drift.parameters == ("frequency_ghz", "t1_us")
    assert drift.qubits == (0, 3)
    assert Drift.model_validate(drift.model_dump(mode="json")) == drift


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "must name a parameter"),
        ({"absolute": {"t1_us": math.nan}}, "finite"),
        ({"absolute": {"t1_us": 1.0}, "qubits": [0], "pairs": [[0, 1]]}, "got both"),
        ({"absolute": {"t1_us": 1.0}, "qubits": []}, "leave the list out"),
        ({"absolute": {"t1_us": 1.0}, "qubits": [1, 1]}, "got one twice"),
        ({"absolute": {"zz_khz": 1.0}, "pairs": [[0, 1], [1, 0]]}, "got one twice"),
    ],
)
def test_wrong_entries_are_refused(fields, says):
    with pytest.raises(ValidationError, match=says):
        Drift.model_validate({"process": SLOW, **fields})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"absolute": {"t1_use": 1.0}}, "did you mean t1_us"),
        ({"absolute": {"t1_us": 1.0}, "qubits": (3,)}, "3 has no t1_us"),
        ({"absolute": {"zz_khz": 1.0}, "qubits": (0,)}, "0 has no zz_khz; it belongs to 0-1, 2-1"),
        ({"absolute": {"zz_khz": 1.0}, "pairs": ((0, 2),)}, "0-2 has no zz_khz"),
        ({"absolute": {"zz_khz": 1.0, "t1_us": 1.0}}, "set shared = true"),
    ],
)
def test_entries_that_do_not_fit_the_device_are_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        Trajectory([Drift(process=SLOW, **fields)], TARGETS, seed=1)


def test_wrong_times_are_refused():
    trajectory = Trajectory(ALL, TARGETS, seed=1)
    for time_s in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="time_s must be"):
            trajectory.at(time_s)
    with pytest.raises(ValueError, match="tick_s must be"):
        Trajectory(ALL, TARGETS, seed=1, tick_s=0.0)

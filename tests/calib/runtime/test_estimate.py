"""What is sent obeys every limit, loses no shot, and costs what a hand reckons."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.runtime import Limits, Order, RunOptions, estimate, split
from calib.runtime.circuit_bytes import to_bytes
from tests.calib.runtime.scripted import circuits

NO_LIMITS = Limits(max_executions=None, max_input_bytes=None, max_seconds=None)
MADE = circuits(6)
PROBES = circuits(2, clbits=2)


def test_the_cost_by_hand():
    first, second, third = MADE[:3]
    orders = [Order("a", "device", (first, second), 1000), Order("b", "device", (third,), 500)]
    found = estimate(orders, seconds_per_execution=[1e-3, 2e-3, 4e-3], overhead_seconds=2.5)
    assert found.seconds_by_job == pytest.approx((5.5, 4.5))
    assert (found.jobs, found.executions) == (2, 2500)
    assert found.seconds == pytest.approx(10.0)
    assert found.quota_share == pytest.approx(10 / 600)
    assert str(found) == (
        "2 jobs, 2,500 executions, about 10 s of device time: 1.7 % of the open plan's 600 s in 28 "
        "days"
    )
    with pytest.raises(ValueError, match="one entry for each of the 3 circuits"):
        estimate(orders, seconds_per_execution=[1e-3])
    with pytest.raises(ValueError, match="finite and not negative, got nan"):
        estimate(orders, seconds_per_execution=[1e-3, float("nan"), 1e-3])


def test_without_limits_there_is_one_job():
    (order,) = split(MADE, 100, NO_LIMITS, RunOptions(), "device", probes=PROBES)
    assert order.circuits == (*PROBES, *MADE)
    assert all(one is two for one, two in zip(order.circuits, (*PROBES, *MADE), strict=True))


@pytest.mark.parametrize(
    ("limits", "jobs"),
    [
        (Limits(max_circuits=5), 2),  # two probes and three circuits
        (Limits(max_executions=800), 1),
        (Limits(max_executions=799), 2),
        (Limits(max_shots=40), 3),  # 34, 33 and 33 shots
        (Limits(max_executions=120), 18),  # 3 x 34 or 33: one circuit a job, each in three jobs
        (Limits(max_seconds=0.45), 3),  # four circuits of a millisecond a hundred times
    ],
)
def test_the_number_of_jobs_by_hand(limits: Limits, jobs: int):
    found = split(MADE, 100, limits, RunOptions(), "device", probes=PROBES,
                  seconds_per_execution=[1e-3] * 8)  # fmt: skip
    assert len(found) == jobs


@given(
    st.integers(1, 6), st.integers(0, 2), st.integers(1, 400), st.integers(3, 9),
    st.integers(1, 3000), st.integers(10, 20_000), st.integers(3000, 20_000),
    st.floats(0.01, 50),
)  # fmt: skip
def test_every_limit_is_obeyed_and_no_shot_is_lost(
    many: int, probes: int, shots: int, max_circuits: int, max_shots: int, max_executions: int,
    max_bytes: int, max_seconds: float,
):  # fmt: skip
    limits = Limits(max_circuits, max_shots, max_executions, max_bytes, max_seconds)
    times = {id(one): 1e-3 * (1 + k) for k, one in enumerate([*PROBES, *MADE])}
    given_times = [times[id(one)] for one in [*PROBES[:probes], *MADE[:many]]]
    orders = split(MADE[:many], shots, limits, RunOptions(), "device", probes=PROBES[:probes],
                   seconds_per_execution=given_times)  # fmt: skip
    ran: Counter[int] = Counter()
    for order in orders:
        assert order.circuits[:probes] == tuple(PROBES[:probes])
        assert len(order.circuits) <= max_circuits
        assert order.shots <= max_shots
        assert order.executions <= max_executions
        assert sum(len(to_bytes(one)) for one in order.circuits) * 4 / 3 <= max_bytes
        assert order.shots * sum(times[id(one)] for one in order.circuits) <= max_seconds * (
            1 + 1e-9
        )
        for one in order.circuits[probes:]:
            ran[id(one)] += order.shots
    assert ran == {id(one): shots for one in MADE[:many]}
    assert len({order.tag for order in orders}) == len(orders)
    assert max(order.shots for order in orders) - min(order.shots for order in orders) <= 1


def test_what_fits_in_no_job_is_refused():
    for limits, says in (
        (Limits(max_circuits=2), r"3 circuits, probes among them, at most 2 are allowed"),
        (Limits(max_executions=2), r"3 executions, at most 2"),
        (Limits(max_input_bytes=100), r"bytes of input, at most 100"),
        (Limits(max_seconds=1e-4), r"0.003 seconds, at most 0.0001"),
    ):
        with pytest.raises(ValueError, match=rf"circuit 0 does not fit .* {says}"):
            split(MADE, 10, limits, RunOptions(), "device", probes=PROBES,
                  seconds_per_execution=[1e-3] * 8)  # fmt: skip
    with pytest.raises(ValueError, match="at least one circuit"):
        split([], 10, NO_LIMITS, RunOptions(), "device")
    with pytest.raises(ValueError, match="shots must be at least 1, got 0"):
        split(MADE, 0, NO_LIMITS, RunOptions(), "device")


def test_the_users_own_time_limit_counts_too():
    options = RunOptions(max_seconds=1)
    orders = split(MADE[:1], 1000, NO_LIMITS, options, "device", seconds_per_execution=[2e-3])
    assert [order.shots for order in orders] == [500, 500]

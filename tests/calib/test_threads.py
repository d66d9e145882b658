"""One thread inside, and as before outside, also where several threads come and go."""

import concurrent.futures
import time

import pytest
import torch
from threadpoolctl import threadpool_info

from calib.threads import one_thread


def blas_threads() -> list[int]:
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_inside_and_as_before_outside():
    outside = blas_threads()
    with one_thread():
        assert (set(blas_threads()), torch.get_num_threads()) == ({1}, 1)
        with one_thread():
            pass
        assert (set(blas_threads()), torch.get_num_threads()) == ({1}, 1)
    assert (blas_threads(), torch.get_num_threads()) == (outside, 2)


def test_threads_that_overlap_leave_things_as_they_were():
    outside = blas_threads()

    @one_thread()
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 5))
        return torch.get_num_threads()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(100))) == {1}
    assert blas_threads() == outside

"""How many threads the arithmetic of small matrices takes: one."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import scipy.linalg  # noqa: F401 its BLAS is another than numpy's, and must be loaded to be kept
import torch
from threadpoolctl import OpenBLASController, ThreadpoolController


@contextmanager
def one_thread() -> Generator[None]:
    """Keeps torch, and the BLAS of numpy and scipy, to one thread, here and in all that is called.

    The threads of a product of small matrices wait for one another every few microseconds. On two
    idle cores that gains a factor up to 1.7; when the other core is busy, it costs a factor of ten
    to two hundred (6 channels a second instead of 1,350, one at a time), and a job of 20 qubits
    takes 23 s instead of 7.
    """
    threads = torch.get_num_threads()  # torch's number belongs to the calling thread
    torch.set_num_threads(1)
    try:
        with _BLAS:
            yield
    finally:
        torch.set_num_threads(threads)


class _OneBLASThread:
    """The number of BLAS' threads belongs to the process: the first in sets it, the last out frees.

    threadpoolctl lets only the thread that set a limit lift it: here that may be another.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._free: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                OpenBLASController.clear_controlling_thread(force=True)
                self._free = _controller().limit(limits=1).restore_original_limits
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                OpenBLASController.clear_controlling_thread(force=True)
                self._free()
                OpenBLASController.clear_controlling_thread(force=True)


_BLAS = _OneBLASThread()


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")

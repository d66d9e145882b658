"""How many threads the arithmetic of small matrices takes: one."""

from __future__ import annotations

import functools
from collections.abc import Generator
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Generator[None]:
    """Keeps torch, and the BLAS of numpy and scipy, to one thread, here and in all that is called.

    The threads of a product of small matrices wait for one another every few microseconds. On two
    idle cores that gains a factor up to 1.7; when the other core is busy, it costs a factor of ten
    to two hundred (6 channels a second instead of 1,350, one at a time), and a job of 20 qubits
    takes 23 s instead of 7.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _blas().limit(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)


@functools.cache
def _blas() -> ThreadpoolController:
    import scipy.linalg  # brings a BLAS of its own, which the controller must meet

    del scipy.linalg
    return ThreadpoolController().select(user_api="blas")

"""Whole shots of all clients that are ready, decoded together in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from decoders.streaming.framing import Final
from decoders.streaming.plan import Plan
from decoders.streaming.rounds import packed

Bits = npt.NDArray[np.uint8]
Told = Callable[[Final | str], None]
_MOST = 1_024


class Batches:
    """Shots wait here while the thread decodes those that came before; one a client."""

    def __init__(self, plan: Plan):
        self._plan, self._most = plan, plan.most or _MOST
        self._waiting: dict[object, tuple[Bits, Told]] = {}
        self._some = asyncio.Event()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="decoder")

    def submit(self, client: object, events: Bits, told: Told) -> None:
        """Decodes events [D] of that client's, and calls `told` with the answer or a reason."""
        self._waiting[client] = events, told
        self._some.set()

    def forget(self, client: object) -> None:
        """Drops what waits for a client that has gone."""
        self._waiting.pop(client, None)

    async def run(self) -> None:
        """Decodes until it is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._some.wait()
                clients = list(self._waiting)[: self._most]
                taken = [self._waiting.pop(client) for client in clients]
                if not self._waiting:
                    self._some.clear()
                if taken:
                    events = np.stack([one for one, _ in taken])
                    answers = await loop.run_in_executor(self._thread, self._decoded, events)
                    for (_, told), answer in zip(taken, answers, strict=True):
                        told(answer)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _decoded(self, events: Bits) -> list[Final | str]:
        try:
            flips, declined = self._plan.direct(events)
        except Exception as error:  # whatever a decoder raises: it may concern one shot alone
            if len(events) == 1:
                return [f"{type(error).__name__}: {' '.join(str(error).split())}"]
            return [answer for one in events for answer in self._decoded(one[None])]
        return [Final(packed(row), bool(no)) for row, no in zip(flips, declined, strict=True)]

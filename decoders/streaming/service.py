"""The decoding service: many clients on one socket, one event loop, memory that is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np

from decoders.streaming.batches import Batches
from decoders.streaming.connection import Connection
from decoders.streaming.latency import Latency
from decoders.streaming.plan import Plan

_GOODBYE_S = 2.5


@dataclasses.dataclass(frozen=True)
class Limits:
    """Clients at once, rounds of one that wait for answers, time in which a slow one must read."""

    clients: int = 64
    unanswered: int = 32
    slow_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("clients", "unanswered", "slow_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclasses.dataclass
class Counts:
    """What was served: connections, shots, and those ended for what they sent or did not read."""

    connections: int = 0
    shots: int = 0
    declined: int = 0
    refused: int = 0
    slow: int = 0
    turned_away: int = 0


class Service:
    """Serves a plan; made within a running event loop."""

    def __init__(self, plan: Plan, limits: Limits | None = None):
        self.plan, self.limits = plan, limits or Limits()
        self.greeting = plan.greeting(self.limits.unanswered)
        self.counts = Counts()
        self.every_round, self.deciding_round = Latency(), Latency()
        self.batches = Batches(plan)
        self._clients: set[Connection] = set()

    async def serve(
        self, host: str, port: int, stop: asyncio.Event, listening: Callable[[str, int], None]
    ) -> None:
        """Listens, calls `listening` with where, and serves until `stop` is set."""
        self.plan.direct(np.zeros((1, self.plan.rounds.num_detectors), dtype=np.uint8))  # warms up
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), host, port)
        decoding = asyncio.create_task(self.batches.run())
        stopping = asyncio.create_task(stop.wait())
        try:
            listening(*server.sockets[0].getsockname()[:2])
            # A decoder's task ends before only by a defect, which must not go unheard.
            await asyncio.wait([decoding, stopping], return_when=asyncio.FIRST_COMPLETED)
            if decoding.done():
                decoding.result()
        finally:
            server.close()
            await self._part()
            for task in (decoding, stopping):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _part(self) -> None:
        """Tells all clients, and waits for a moment."""
        for client in list(self._clients):
            client.refuse("the service ends")
        for _ in range(int(_GOODBYE_S / 0.05)):
            if not self._clients:
                break
            await asyncio.sleep(0.05)
        for client in list(self._clients):
            client.abort()
        await asyncio.sleep(0)

    # What connections call.

    def joined(self, client: Connection) -> str | None:
        """Counts a client; the reason if there is no place for it."""
        self._clients.add(client)
        # Those that are ended linger for a moment, in which they take nobody's place.
        if sum(not one.is_over for one in self._clients) > self.limits.clients:
            self.counts.turned_away += 1
            if len(self._clients) > 2 * self.limits.clients:
                client.abort()
            return f"there are {self.limits.clients} clients already: come again later"
        self.counts.connections += 1
        return None

    def left(self, client: Connection) -> None:
        """Frees what belongs to a client."""
        self._clients.discard(client)
        self.batches.forget(client)

    def answered(self, seconds: float, decided: bool) -> None:
        """One round's latency, from its last byte read to its answer handed to the socket."""
        self.every_round.add(seconds)
        if decided:
            self.deciding_round.add(seconds)

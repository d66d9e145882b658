"""A service on this computer, and clients of it that do as they are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import numpy as np
import stim

from decoders.baselines import resolve_decoder
from decoders.streaming.framing import (
    HEADER_BYTES,
    PREAMBLE_BYTES,
    Correction,
    Final,
    Frame,
    Greeting,
    Kind,
    greeting_bytes,
    take_frame,
)
from decoders.streaming.plan import Plan, plan_of
from decoders.streaming.rounds import unpacked
from decoders.streaming.service import Limits, Service


def memory(distance: int, rounds: int, p: float = 0.005) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=distance, rounds=rounds,
        after_clifford_depolarization=p, before_measure_flip_probability=p,
    )  # fmt: skip


def sampled(plan: Plan, circuit: stim.Circuit, shots: int, seed: int) -> tuple[np.ndarray, ...]:
    """Events, and what the plan's decoder says to them without a service."""
    found, _ = circuit.compile_detector_sampler(seed=seed).sample(shots, separate_observables=True)
    events = found.astype(np.uint8)
    return events, plan.direct(events)[0]


def plan_for(circuit: stim.Circuit, decoder: str = "pymatching", window: int | None = None) -> Plan:
    return plan_of(resolve_decoder(decoder), circuit, window=window)[0]


class Client:
    """One connection, greeted."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: Greeting
    ):
        self.reader, self.writer, self.greeting = reader, writer, greeting

    @classmethod
    async def greeted(cls, port: int) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        following = greeting_bytes(await reader.readexactly(PREAMBLE_BYTES))
        return cls(reader, writer, Greeting.unpack(await reader.readexactly(following)))

    async def frame(self) -> Frame:
        header = await self.reader.readexactly(HEADER_BYTES)
        payload = await self.reader.readexactly(int.from_bytes(header[:4], "little"))
        found = take_frame(header + payload, len(payload))
        assert found is not None
        return found[0]

    async def reason(self) -> str:
        """Of the end of the connection, which must come next."""
        frame = await self.frame()
        assert frame.kind is Kind.ERROR, frame
        assert await self.reader.read() == b""
        return frame.payload.decode()

    async def decoded(self, shot: int, rounds: Sequence[bytes], *, lockstep: bool) -> np.ndarray:
        """The flips of a shot; every answer is checked for its number and its place."""
        frames = [Frame(Kind.ROUND, shot, number, one).pack() for number, one in enumerate(rounds)]
        if not lockstep:
            self.writer.write(b"".join(frames))
        committed = 0
        for number, frame in enumerate(frames):
            if lockstep:
                self.writer.write(frame)
            answer = await self.frame()
            assert (answer.shot, answer.round) == (shot, number), answer
            if number < len(frames) - 1:
                assert answer.kind is Kind.CORRECTION
                now = Correction.unpack(answer.payload).committed
                assert committed <= now <= number + 1
                committed = now
            else:
                assert answer.kind is Kind.FINAL
                final = Final.unpack(answer.payload)
                return unpacked(final.flips, self.greeting.observables)
        raise AssertionError

    async def gone(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def served(plan: Plan, limits: Limits | None = None) -> AsyncIterator[tuple[Service, int]]:
    """A service and its port, ended in order."""
    service, stop = Service(plan, limits), asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        service.serve("127.0.0.1", 0, stop, lambda _, number: port.set_result(number))
    )
    try:
        yield service, await asyncio.wait_for(port, 60)
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)

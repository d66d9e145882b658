"""Does the decoding service hold under clients that misbehave, and how late are its answers?

    .venv/bin/python benchmarks/does_the_decoding_service_hold.py [--minutes 10] [--quick]

`syndrift serve-decoder` in a process of its own, for so many minutes a decoder and distance, with
16 clients in another one: ten send rounds as fast as they are answered, each answer held against
direct decoding by the same windows; two send and never read, until they are cut off; two send
malformed frames of all kinds; two go away amid a frame, amid a shot, or with a reset; all of these
come back at once. The latency is the service's own, from a round's last byte read to its answer
handed to the socket, of the rounds that complete a window or shot, and of all; the round trip is
the clients' stop-watch. Memory is the service's resident set. Clients and service share the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import stim

from decoders.baselines import resolve_decoder
from decoders.streaming import Final, Frame, Kind, Latency
from decoders.streaming.framing import HEADER_BYTES, PREAMBLE_BYTES, greeting_bytes
from decoders.streaming.plan import Plan, plan_of
from scripts.run_folder import machine
from scripts.table import aligned, seconds

CASES = [(decoder, distance) for decoder in ("pymatching", "neural") for distance in (3, 5, 7)]
HONEST, EACH_BAD, P, SHOTS, SLOW_S = 10, 2, 0.005, 1_000, 2.0
ROOT = pathlib.Path(__file__).parents[1]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclasses.dataclass
class Seen:
    """By all clients of one service."""

    shots: int = 0
    wrong: int = 0
    refused: int = 0
    cut: int = 0
    left: int = 0
    trips: Latency = dataclasses.field(default_factory=Latency)


def circuit_of(decoder: str, distance: int) -> stim.Circuit:
    """The shipped networks are for as many rounds as the distance; windows want more."""
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=distance,
        rounds=distance if decoder == "neural" else 4 * distance,
        after_clifford_depolarization=P,
        before_measure_flip_probability=P,
        after_reset_flip_probability=P,
        before_round_data_depolarization=P,
    )


class Clients:
    """Sixteen of them, until the time is over."""

    def __init__(self, plan: Plan, circuit: stim.Circuit, port: int, ends: float):
        events, _ = circuit.compile_detector_sampler(seed=1).sample(
            SHOTS, separate_observables=True
        )
        answers, _ = plan.direct(events.astype(np.uint8))
        packed = np.packbits(answers, axis=1, bitorder="little")
        self._expected = [Final(row.tobytes()).pack() for row in packed]
        self._rounds = [plan.rounds.split(row.astype(np.uint8)) for row in events]
        self._port, self._ends, self.seen = port, ends, Seen()
        self._rng = np.random.default_rng(2)

    async def run(self) -> None:
        """All clients at once."""
        bad = (self._slow, self._garbage, self._leaves)
        await asyncio.gather(
            *(self._honest(number) for number in range(HONEST)),
            *(self._again(one, number) for one in bad for number in range(EACH_BAD)),
        )

    @contextlib.asynccontextmanager
    async def _greeted(self) -> AsyncIterator[Streams]:
        connection = socket.socket()
        # The kernel would hold megabytes for those who do not read.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.setblocking(False)
        address = ("127.0.0.1", self._port)
        await asyncio.get_running_loop().sock_connect(connection, address)
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            preamble = await reader.readexactly(PREAMBLE_BYTES)
            await reader.readexactly(greeting_bytes(preamble))
            yield reader, writer
        finally:
            writer.transport.abort()

    def _is_on(self) -> bool:
        return time.monotonic() < self._ends

    async def _honest(self, number: int) -> None:
        shot = number
        async with self._greeted() as (reader, writer):
            while self._is_on():
                kind, told = await self._shot(reader, writer, shot)
                self.seen.shots += 1
                right = kind is Kind.FINAL and told == self._expected[shot % SHOTS]
                self.seen.wrong += not right
                shot += HONEST

    async def _shot(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shot: int
    ) -> tuple[Kind, bytes]:
        kind, payload = Kind.ERROR, b""
        for number, bits in enumerate(self._rounds[shot % SHOTS]):
            begun = time.perf_counter()
            writer.write(Frame(Kind.ROUND, shot, number, bits).pack())
            header = await reader.readexactly(HEADER_BYTES)
            length, found, of, place = struct.unpack("<IBQI", header)
            payload = await reader.readexactly(length)
            self.seen.trips.add(time.perf_counter() - begun)
            kind = Kind(found)
            if (of, place) != (shot, number):
                raise RuntimeError(f"asked for {shot}:{number}, got {kind.name}: {payload!r}")
        return kind, payload

    async def _again(self, misbehave: Any, number: int) -> None:
        """One misbehaving client after another; the service ends all of these connections."""
        turn = number
        while self._is_on():
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                async with self._greeted() as (reader, writer):
                    await misbehave(reader, writer, turn)
            turn += EACH_BAD
            await asyncio.sleep(0.02)

    async def _slow(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: int) -> None:
        """Sends and does not read: asyncio's reader stops by itself at 128 KiB."""
        rounds = self._rounds[turn % SHOTS]
        shot = b"".join(Frame(Kind.ROUND, 0, k, bits).pack() for k, bits in enumerate(rounds))
        try:
            while self._is_on():
                writer.write(shot)
                # A little at a time, or these two alone would keep the service busy.
                await asyncio.wait_for(writer.drain(), 4 * SLOW_S)
                await asyncio.sleep(0.0005)
        except (ConnectionError, TimeoutError) as error:
            self.seen.cut += isinstance(error, ConnectionError)

    async def _garbage(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: int
    ) -> None:
        first = Frame(Kind.ROUND, 1, 0, self._rounds[0][0]).pack()
        writer.write(
            [
                self._rng.bytes(100_000),
                struct.pack("<IBQI", 2**32 - 1, 1, 0, 0),  # oversized
                struct.pack("<IBQI", 1, 77, 0, 0),  # no such kind
                struct.pack("<IBQI", 0, 1, 0, 0),  # too short
                first + first,  # out of order
                struct.pack("<IBQI", 1, 1, 0, 3) + b"\0",  # amid a shot that was never begun
                b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            ][turn % 7]
        )
        self.seen.refused += b"\x04" in (await asyncio.wait_for(reader.read(), 10))

    async def _leaves(
        self, _: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: int
    ) -> None:
        rounds = self._rounds[turn % SHOTS]
        frames = [Frame(Kind.ROUND, 9, k, bits).pack() for k, bits in enumerate(rounds)]
        amid = b"".join(frames)[: int(self._rng.integers(1, sum(map(len, frames)) + 1))]
        writer.write(b"".join(frames) if turn % 3 == 0 else amid)
        if turn % 3 == 1:  # the others end by a reset, with answers unread
            writer.close()
        await asyncio.sleep(0)
        self.seen.left += 1


def memory_mib(process: int) -> float:
    """Resident memory now."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], check=True, text=True,
                          capture_output=True)  # fmt: skip
    return int(told.stdout) / 1024


async def under_load(clients: Clients, process: int, duration_s: float) -> tuple[float, float]:
    """Memory at a tenth of the time, and at its end, while the clients are there."""
    running = asyncio.create_task(clients.run())
    await asyncio.sleep(0.1 * duration_s)
    early = memory_mib(process)
    await asyncio.sleep(max(0.0, 0.88 * duration_s))
    late = memory_mib(process)
    await running
    return early, late


def measured(decoder: str, distance: int, minutes: float) -> list[str]:
    """The row of one decoder at one distance."""
    circuit = circuit_of(decoder, distance)
    plan, _ = plan_of(resolve_decoder(decoder), circuit)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "memory.stim"
        circuit.to_file(path)
        command = [sys.executable, "-m", "scripts.main", "serve-decoder", str(path), "--decoder",
                   decoder, "--json", "--slow", str(SLOW_S)]  # fmt: skip
        with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as service:  # fmt: skip
            try:
                assert service.stderr is not None
                address = service.stderr.readline().split()[0]
                ends = time.monotonic() + 60 * minutes
                clients = Clients(plan, circuit, int(address.rpartition(":")[2]), ends)
                early, late = asyncio.run(under_load(clients, service.pid, 60 * minutes))
                service.send_signal(signal.SIGTERM)
                printed, said = service.communicate(timeout=60)
            finally:
                service.kill()
    if said or clients.seen.wrong:
        print(
            f"{decoder} d={distance}: {clients.seen.wrong} wrong answers; the service said: {said}"
        )
    return row_of(decoder, distance, json.loads(printed), clients.seen, (early, late))


def row_of(
    decoder: str, distance: int, told: dict[str, Any], seen: Seen, memory: tuple[float, float]
) -> list[str]:
    """As text, for the table."""
    deciding, every = told["latency"]["rounds_that_decide"], told["latency"]["every_round"]
    trips = seen.trips.percentiles()
    early, late = memory
    window = f"{told['window']}/{told['commit']} of {told['rounds_a_shot']}"
    return [
        f"{decoder} d={distance}", window, f"{every['number']:,}", f"{seen.shots:,}",
        f"{seen.wrong}",
        *(seconds(deciding[key]) for key in ("p50_s", "p99_s", "p999_s")),
        *(seconds(every[key]) for key in ("p50_s", "p99_s", "p999_s")),
        seconds(trips.p999_s),
        f"{told['refused']:,}/{told['slow']:,}/{seen.left:,}",
        f"{early:.1f}", f"{late:.1f}", f"{late / early - 1:+.1%}",
    ]  # fmt: skip


HEADER = ["decoder", "window", "rounds", "shots checked", "wrong", "deciding p50", "p99", "p99.9",
          "every p50", "p99", "p99.9", "trip p99.9", "malformed/slow/left", "MiB at 10 %",
          "at the end", "growth"]  # fmt: skip


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each (default: 10)")
    parser.add_argument("--quick", action="store_true", help="half a minute each")
    parser.add_argument("--only", help="one case, such as pymatching:5")
    options = parser.parse_args()
    minutes = 0.5 if options.quick else options.minutes
    names = [f"{decoder}:{distance}" for decoder, distance in CASES]
    if options.only and options.only not in names:
        parser.error(f"no such case: {options.only}; there are {', '.join(names)}")
    rows = [measured(decoder, distance, minutes) for decoder, distance in CASES
            if options.only in (None, f"{decoder}:{distance}")]  # fmt: skip
    print(aligned(HEADER, rows))
    print(
        f"\n16 clients, {minutes:g} minutes each, p = {P}; latencies are the service's, of rounds "
        f"that decide and of every round; trip: the clients'; {machine()}"
    )


if __name__ == "__main__":
    main()

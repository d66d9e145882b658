"""The service with many clients: every answer that of direct decoding, whoever else misbehaves."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
import sinter
import stim

from decoders.baselines import ResolvedDecoder
from decoders.streaming.framing import Frame, Kind
from decoders.streaming.plan import Plan, plan_of
from decoders.streaming.service import Limits, Service
from tests.decoders.streaming.clients import Client, memory, plan_for, sampled, served

CIRCUIT = memory(3, 12)


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for what must come."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() < begun + seconds
        await asyncio.sleep(0.01)


async def decodes(port: int, plan: Plan, circuit: stim.Circuit, shots: int, seed: int) -> None:
    """A client whose answers must all be those of direct decoding."""
    client = await Client.greeted(port)
    events, expected = sampled(plan, circuit, shots, seed)
    for shot, (one, flips) in enumerate(zip(events, expected, strict=True)):
        rounds = plan.rounds.split(one)
        found = await client.decoded(shot, rounds, lockstep=bool(seed % 2))
        assert np.array_equal(found, flips), (seed, shot)
    await client.gone()


@pytest.mark.parametrize("decoder", ["pymatching", "pymatching-correlated", "bposd"])
def test_every_answer_of_eight_clients_is_that_of_direct_decoding(decoder: str) -> None:
    circuit = memory(3, 12, 0.01)
    plan = plan_for(circuit, decoder)
    assert (plan.sliding is None) == (decoder == "bposd")

    async def run() -> Service:
        async with served(plan) as (service, port):
            await asyncio.gather(*(decodes(port, plan, circuit, 20, seed) for seed in range(8)))
        return service

    service = asyncio.run(run())
    assert service.counts.shots == 160
    assert service.every_round.percentiles().number == 160 * 13
    windows = len(plan.sliding.windows) if plan.sliding else 1
    assert service.deciding_round.percentiles().number == 160 * windows
    assert (service.counts.connections, service.counts.refused) == (8, 0)


def test_the_shipped_networks_serve_in_batches() -> None:
    circuit = memory(3, 3, 0.005)
    plan = plan_for(circuit, "neural")
    sizes: list[int] = []
    whole = plan.whole

    class Seen(sinter.CompiledDecoder):
        def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray):
            sizes.append(len(bit_packed_detection_event_data))
            assert whole is not None
            return whole.decode_shots_bit_packed(
                bit_packed_detection_event_data=bit_packed_detection_event_data
            )

    seen = Plan(plan.name, plan.rounds, plan.observables, whole=Seen())

    async def run() -> None:
        async with served(seen) as (_, port):
            await asyncio.gather(*(decodes(port, plan, circuit, 15, seed) for seed in range(8)))

    asyncio.run(run())
    assert sum(sizes) == 1 + 8 * 15  # the first one warms up
    assert len(sizes) < 8 * 15  # ready shots went together
    assert max(sizes) > 1


def test_corrections_say_what_is_committed() -> None:
    """The flips after each window are those of its committed edges, which add up to the answer."""
    plan = plan_for(memory(3, 18, 0.02), window=6)
    assert plan.sliding is not None

    async def run() -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        events, expected = sampled(plan, memory(3, 18, 0.02), 1, 4)
        async with served(plan) as (_, port):
            client = await Client.greeted(port)
            for number, payload in enumerate(plan.rounds.split(events[0])):
                client.writer.write(Frame(Kind.ROUND, 7, number, payload).pack())
                answer = await client.frame()
                if answer.kind is Kind.CORRECTION:
                    committed, flips = struct.unpack("<IB", answer.payload)
                    found.append((number, committed, flips))
                else:
                    assert answer.payload[1] == expected[0, 0]
            await client.gone()
        return found

    found = asyncio.run(run())
    # 19 rounds, windows of 6 from every third: [0, 6) is there with round 5, decides 3, and so on.
    assert [(number, committed) for number, committed, _ in found] == [
        (number, 0 if number < 5 else 3 * ((number - 2) // 3)) for number in range(18)
    ]


def header(length: int, kind: int, shot: int = 0, number: int = 0) -> bytes:
    return struct.pack("<IBQI", length, kind, shot, number)


FIRST = plan_for(CIRCUIT).rounds.split(np.zeros(plan_for(CIRCUIT).rounds.num_detectors, np.uint8))
GOOD = Frame(Kind.ROUND, 5, 0, FIRST[0]).pack()
MALFORMED = {
    "an unknown kind": (header(1, 9), "no frame of kind 9"),
    "a kind of the service's": (header(1, 3) + b"\0", "a client sends rounds"),
    "an oversized length": (header(2**32 - 1, 1), "at most 1 bytes here, got one of 4,294,967,295"),
    "too short": (header(0, 1), "expected 1 bytes for 4 bits, got 0"),
    "padding": (header(1, 1) + b"\x10", "bits behind the 4 of this payload must be 0"),
    "not the first round": (header(1, 1, 0, 1) + b"\0", "expected round 0, got round 1"),
    "a round twice": (GOOD + GOOD, "expected round 1, got round 0"),
    "another shot between": (GOOD + header(1, 1, 6, 1) + b"\0", "expected round 1 of shot 5"),
    "a round beyond": (
        header(1, 1, 0, 2**32 - 1) + b"\0",
        "expected round 0, got round 4294967295",
    ),
    "a browser": (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "no frame of kind"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_frame_ends_that_connection_alone(case: str) -> None:
    sent, words = MALFORMED[case]
    plan = plan_for(CIRCUIT)

    async def run() -> Service:
        async with served(plan) as (service, port):
            other = asyncio.create_task(decodes(port, plan, CIRCUIT, 30, 1))
            client = await Client.greeted(port)
            client.writer.write(sent)
            if sent.startswith(GOOD):
                assert (await client.frame()).kind is Kind.CORRECTION
            assert words in await client.reason()
            await client.gone()
            await other
            await decodes(port, plan, CIRCUIT, 2, 2)
            await until(lambda: not service._clients)
        return service

    service = asyncio.run(run())
    assert service.counts.refused == 1
    assert service.counts.shots == 32


def test_garbage_and_disconnects_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Random bytes, an end amid a frame, an end amid a shot, a reset: the others go on."""
    plan = plan_for(CIRCUIT, "bposd")
    rng = np.random.default_rng(9)

    async def garbage(port: int) -> None:
        client = await Client.greeted(port)
        client.writer.write(rng.bytes(5_000))
        await client.gone()

    async def half(port: int, sent: bytes) -> None:
        client = await Client.greeted(port)
        client.writer.write(sent)
        await client.gone()

    async def reset(port: int) -> None:
        client = await Client.greeted(port)
        shot = b"".join(Frame(Kind.ROUND, 0, k, one).pack() for k, one in enumerate(FIRST))
        client.writer.write(shot * 100)  # most of it is read when nobody is there for answers
        await asyncio.sleep(0.01)
        client.writer.transport.abort()

    async def run() -> Service:
        async with served(plan) as (service, port):
            good = [asyncio.create_task(decodes(port, plan, CIRCUIT, 20, seed)) for seed in (1, 2)]
            for _ in range(10):
                await asyncio.gather(garbage(port), half(port, GOOD[:9]), half(port, GOOD * 1),
                                     reset(port))  # fmt: skip
            await asyncio.gather(*good)
            await until(lambda: not service._clients)
            assert not service.batches._waiting
        return service

    service = asyncio.run(run())
    assert not caplog.records  # asyncio complains of each write to nobody
    assert service.counts.connections == 42
    assert service.counts.shots >= 40


def test_a_client_that_ends_its_half_still_gets_its_answers() -> None:
    plan = plan_for(CIRCUIT, "bposd")

    async def run() -> None:
        async with served(plan) as (_, port):
            client = await Client.greeted(port)
            for number, payload in enumerate(FIRST):
                client.writer.write(Frame(Kind.ROUND, 3, number, payload).pack())
            client.writer.write_eof()
            kinds = [(await client.frame()).kind for _ in FIRST]
            assert kinds == [Kind.CORRECTION] * 12 + [Kind.FINAL]
            assert await client.reader.read() == b""
            await client.gone()

    asyncio.run(run())


def test_a_slow_reader_is_held_back_and_cut() -> None:
    """It sends without reading: the service stops to read, so TCP stops it; then it is cut."""
    plan = plan_for(CIRCUIT)
    shot = b"".join(Frame(Kind.ROUND, 0, k, one).pack() for k, one in enumerate(FIRST))

    async def run() -> Service:
        async with served(plan, Limits(slow_s=1.0)) as (service, port):
            client = await Client.greeted(port)
            client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio reads by itself
            sent = 0

            async def floods() -> None:
                nonlocal sent
                while True:
                    client.writer.write(shot * 100)
                    await client.writer.drain()
                    sent += 100

            flood = asyncio.create_task(floods())
            await until(lambda: any(one._stuck for one in service._clients), 30)
            await decodes(port, plan, CIRCUIT, 30, 1)
            await until(lambda: service.counts.slow == 1)
            await until(lambda: not service._clients)
            with pytest.raises(ConnectionError):
                await flood
            client.writer.transport.abort()
            await decodes(port, plan, CIRCUIT, 5, 2)
        return service

    service = asyncio.run(run())
    assert (service.counts.slow, service.counts.refused) == (1, 0)


def test_a_slow_decoder_reads_no_more_than_it_was_told() -> None:
    """While a shot waits for the decoder, its client's rounds stay in a buffer of fixed size."""

    class Slow(sinter.CompiledDecoder):
        def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray):
            time.sleep(0.2)
            return np.zeros((len(bit_packed_detection_event_data), 1), dtype=np.uint8)

    fast = plan_for(CIRCUIT)
    plan = Plan("slow", fast.rounds, fast.observables, whole=Slow())
    shot = b"".join(Frame(Kind.ROUND, 0, k, one).pack() for k, one in enumerate(FIRST))

    async def run() -> None:
        async with served(plan, Limits(unanswered=16)) as (service, port):
            client = await Client.greeted(port)
            client.writer.write(shot * 10)
            await until(lambda: any(one._waiting for one in service._clients))
            (connection,) = service._clients
            assert connection._size == len(connection._held) == 16 * len(GOOD)
            assert not connection._transport.is_reading()
            begun = time.monotonic()
            await decodes(port, fast, CIRCUIT, 0, 1)  # others are greeted meanwhile
            assert time.monotonic() < begun + 0.15
            kinds = [(await client.frame()).kind for _ in range(130)]
            assert kinds.count(Kind.FINAL) == 10
            await client.gone()

    asyncio.run(run())


def test_a_decoder_that_fails_ends_the_shots_connection_alone() -> None:
    class Picky(sinter.Decoder):
        def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel):
            class Compiled(sinter.CompiledDecoder):
                def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray):
                    if bit_packed_detection_event_data.all(axis=1).any():
                        raise KeyError("too many events")
                    return np.zeros((len(bit_packed_detection_event_data), 1), dtype=np.uint8)

            return Compiled()

    circuit = memory(3, 1)
    plan, _ = plan_of(ResolvedDecoder("picky", "picky", Picky(), "graphlike"), circuit)
    full = plan.rounds.split(np.ones(plan.rounds.num_detectors, dtype=np.uint8))

    async def run() -> None:
        async with served(plan) as (_, port):
            bad, good = await Client.greeted(port), await Client.greeted(port)
            for number, payload in enumerate(full):
                bad.writer.write(Frame(Kind.ROUND, 4, number, payload).pack())
            empty = [bytes(len(one)) for one in full]
            assert (await good.decoded(1, empty, lockstep=False)).tolist() == [0]
            assert (await bad.frame()).kind is Kind.CORRECTION
            assert "failed on shot 4: KeyError: 'too many events'" in await bad.reason()
            assert (await good.decoded(2, empty, lockstep=False)).tolist() == [0]
            for client in (bad, good):
                await client.gone()

    asyncio.run(run())


def test_events_without_a_matching_end_the_connection_alone() -> None:
    model = stim.DetectorErrorModel("error(0.1) D0 D1 L0\ndetector(0) D0\ndetector(1) D1")
    plan, _ = plan_of(ResolvedDecoderOf("pymatching"), model)

    async def run() -> None:
        async with served(plan) as (_, port):
            bad, good = await Client.greeted(port), await Client.greeted(port)
            bad.writer.write(header(1, 1, 0, 0) + b"\1" + header(1, 1, 0, 1) + b"\0")
            assert (await bad.frame()).kind is Kind.CORRECTION
            assert "the decoder failed" in await bad.reason()
            assert (await good.decoded(1, [b"\1", b"\1"], lockstep=True)).tolist() == [1]
            for client in (bad, good):
                await client.gone()

    asyncio.run(run())


def ResolvedDecoderOf(name: str) -> ResolvedDecoder:
    from decoders.baselines import resolve_decoder

    return resolve_decoder(name)


def test_beyond_the_limit_clients_are_told() -> None:
    plan = plan_for(CIRCUIT)

    async def run() -> Service:
        async with served(plan, Limits(clients=2)) as (service, port):
            clients = [await Client.greeted(port) for _ in range(3)]
            assert "there are 2 clients already" in await clients[2].reason()
            await clients[0].gone()
            await until(lambda: len(service._clients) <= 2)
            await decodes(port, plan, CIRCUIT, 3, 1)
            for client in clients:
                await client.gone()
        return service

    service = asyncio.run(run())
    assert (service.counts.connections, service.counts.turned_away) == (3, 1)


def test_clients_are_told_of_the_end() -> None:
    plan = plan_for(CIRCUIT)

    async def run() -> str:
        async with served(plan) as (_, port):
            client = await Client.greeted(port)
            reading = asyncio.create_task(client.reason())
            await asyncio.sleep(0.05)
        reason = await reading
        await client.gone()
        return reason

    assert asyncio.run(run()) == "the service ends"


def test_plans_that_cannot_be() -> None:
    neural, own = ResolvedDecoderOf("bposd"), ResolvedDecoderOf("pymatching")
    for decoder, window, words in (
        (neural, 4, "whole shots: leave window"),
        (own, 0, "at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            plan_of(decoder, CIRCUIT, window=window)
    model = CIRCUIT.detector_error_model(decompose_errors=True)
    with pytest.raises(ValueError, match="the error model is given already"):
        plan_of(own, model, model)
    # Of the distance 3: windows of 6 rounds, and whole shots where they are shorter than that.
    assert [plan_of(own, one)[0].greeting(1).window for one in (CIRCUIT, model, memory(3, 4))] == [
        6, 6, 5,
    ]  # fmt: skip

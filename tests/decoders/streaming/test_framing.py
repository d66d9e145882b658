"""The bytes on the socket: there and back, and whatever is none of them is refused."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.streaming.framing import (
    HEADER_BYTES,
    PREAMBLE_BYTES,
    Correction,
    Final,
    Frame,
    Greeting,
    Kind,
    Malformed,
    greeting_bytes,
    take_frame,
)

U32 = st.integers(0, 2**32 - 1)
FRAMES = st.builds(
    Frame, st.sampled_from(Kind), st.integers(0, 2**64 - 1), U32, st.binary(max_size=40)
)
GREETINGS = st.builds(
    Greeting, st.lists(U32, max_size=9).map(tuple), U32, U32, U32, U32, U32, st.text(max_size=20)
)


def test_the_bytes_are_those_of_the_documentation() -> None:
    frame = Frame(Kind.ROUND, 0x0102030405060708, 9, b"\xaa\xbb")
    assert frame.pack().hex() == "0200000001080706050403020109000000aabb"
    assert Correction(3, b"\x01").pack().hex() == "0300000001"
    assert Final(b"\x05", declined=True).pack().hex() == "0105"
    greeting = Greeting((4, 8), 1, 2, 1, 1, 64, "é")
    fields = "0200000001000000020000000100000001000000400000000200"
    body = fields + "0400000008000000" + "c3a9"
    assert greeting.pack().hex() == b"SYNDRIFT".hex() + "0100" + "24000000" + body


@given(st.lists(FRAMES, max_size=6), st.data())
def test_frames_come_back_however_they_are_cut(frames: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(frame.pack() for frame in frames)
    found, held = [], bytearray()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        held += stream[:cut]
        stream = stream[cut:]
        while taken := take_frame(held, 40):
            found.append(taken[0])
            del held[: taken[1]]
    assert found == frames
    assert not held


@given(GREETINGS)
def test_a_greeting_comes_back(greeting: Greeting) -> None:
    told = greeting.pack()
    following = greeting_bytes(told[:PREAMBLE_BYTES])
    assert following == len(told) - PREAMBLE_BYTES
    assert Greeting.unpack(told[PREAMBLE_BYTES:]) == greeting


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_to_be_refused(garbage: bytes) -> None:
    for unpack in (Greeting.unpack, greeting_bytes, Correction.unpack, Final.unpack):
        with contextlib.suppress(Malformed):
            unpack(garbage)
    try:
        taken = take_frame(garbage, 40)
    except Malformed:
        return
    assert taken is None or taken[0].pack() == garbage[: taken[1]]


def test_a_header_is_judged_before_its_payload_comes() -> None:
    header = struct.Struct("<IBQI")
    assert HEADER_BYTES == header.size == 17
    assert take_frame(header.pack(41, 1, 0, 0)[:-1], 40) is None
    assert take_frame(header.pack(40, 1, 0, 0), 40) is None
    with pytest.raises(Malformed, match=r"at most 40 bytes here, got one of 4,294,967,295"):
        take_frame(header.pack(2**32 - 1, 1, 0, 0), 40)
    for kind in (0, 5, 255):
        with pytest.raises(Malformed, match=f"no frame of kind {kind}: expected 1"):
            take_frame(header.pack(0, kind, 0, 0), 40)


def test_another_service_is_told_from_this_one() -> None:
    told = Greeting((1,), 1, 1, 1, 1, 1, "").pack()
    with pytest.raises(Malformed, match=r"got b'HTTP/1\.1'"):
        greeting_bytes(b"HTTP/1.1" + told[8:PREAMBLE_BYTES])
    with pytest.raises(Malformed, match="expected version 1 of the framing, got 2"):
        greeting_bytes(told[:8] + b"\x02\x00" + told[10:PREAMBLE_BYTES])

"""The bytes on the socket: a greeting, then frames; docs/serve.md has them as tables."""

from __future__ import annotations

import dataclasses
import enum
import struct

MAGIC = b"SYNDRIFT"
VERSION = 1

_PREAMBLE = struct.Struct("<8sHI")  # magic, version, bytes that follow
_FIELDS = struct.Struct("<IIIIIIH")  # see Greeting, in its order; the last is the name's length
_HEADER = struct.Struct("<IBQI")  # payload's bytes, kind, shot, round
PREAMBLE_BYTES, HEADER_BYTES = _PREAMBLE.size, _HEADER.size


class Kind(enum.IntEnum):
    """What a frame is: a client sends rounds, the service all else."""

    ROUND = 1
    CORRECTION = 2
    FINAL = 3
    ERROR = 4


class Malformed(ValueError):
    """Bytes that are none of this format; the connection that sent them ends."""


@dataclasses.dataclass(frozen=True)
class Greeting:
    """What the service says first: the bits of each round, how it decodes, what it takes.

    `window` and `commit` are in rounds; `largest` is the longest payload it takes, `unanswered` how
    many rounds it takes from a connection ahead of its own answers.
    """

    bits: tuple[int, ...]
    observables: int
    window: int
    commit: int
    largest: int
    unanswered: int
    decoder: str

    def pack(self) -> bytes:
        """The greeting as bytes."""
        name = self.decoder.encode()[:65535]
        fields = _FIELDS.pack(len(self.bits), self.observables, self.window, self.commit,
                              self.largest, self.unanswered, len(name))  # fmt: skip
        body = fields + struct.pack(f"<{len(self.bits)}I", *self.bits) + name
        return _PREAMBLE.pack(MAGIC, VERSION, len(body)) + body

    @classmethod
    def unpack(cls, body: bytes) -> Greeting:
        """From the bytes behind the preamble."""
        if len(body) < _FIELDS.size:
            raise Malformed(f"a greeting has {_FIELDS.size} bytes or more, got {len(body)}")
        rounds, observables, window, commit, largest, unanswered, name = _FIELDS.unpack_from(body)
        if len(body) != _FIELDS.size + 4 * rounds + name:
            raise Malformed(f"a greeting of {rounds} rounds has another length than {len(body)}")
        bits = struct.unpack_from(f"<{rounds}I", body, _FIELDS.size)
        decoder = body[_FIELDS.size + 4 * rounds :].decode(errors="replace")
        return cls(bits, observables, window, commit, largest, unanswered, decoder)


def greeting_bytes(preamble: bytes) -> int:
    """How many bytes of greeting follow its first 14."""
    if len(preamble) != PREAMBLE_BYTES:
        raise Malformed(f"expected {PREAMBLE_BYTES} bytes, got {len(preamble)}")
    magic, version, following = _PREAMBLE.unpack(preamble)
    if magic != MAGIC:
        raise Malformed(f"expected a decoding service, which begins with {MAGIC!r}, got {magic!r}")
    if version != VERSION:
        raise Malformed(f"expected version {VERSION} of the framing, got {version}")
    return following


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame; `round` counts from 0, in a correction it is the round that is answered."""

    kind: Kind
    shot: int
    round: int
    payload: bytes = b""

    def pack(self) -> bytes:
        """The frame as bytes."""
        return _HEADER.pack(len(self.payload), self.kind, self.shot, self.round) + self.payload


def take_frame(held: bytes | bytearray | memoryview, largest: int) -> tuple[Frame, int] | None:
    """The first frame of what is held and its length; None if it is not whole yet.

    Malformed as soon as its header says more than `largest` bytes, or a kind that does not exist:
    nobody waits for bytes that will not be taken.
    """
    if len(held) < HEADER_BYTES:
        return None
    length, kind, shot, number = _HEADER.unpack_from(held)
    if kind not in Kind.__members__.values():
        raise Malformed(f"there is no frame of kind {kind}: expected {Kind.ROUND.value}, a round")
    if length > largest:
        raise Malformed(f"a payload has at most {largest} bytes here, got one of {length:,}")
    end = HEADER_BYTES + length
    if len(held) < end:
        return None
    return Frame(Kind(kind), shot, number, bytes(held[HEADER_BYTES:end])), end


@dataclasses.dataclass(frozen=True)
class Correction:
    """What is known after a round: the first `committed` rounds are decided, and flip `flips`.

    `flips` has a bit an observable, as b8.
    """

    committed: int
    flips: bytes

    def pack(self) -> bytes:
        """As the payload of a CORRECTION."""
        return struct.pack("<I", self.committed) + self.flips

    @classmethod
    def unpack(cls, payload: bytes) -> Correction:
        """From the payload of a CORRECTION."""
        if len(payload) < 4:
            raise Malformed(f"a correction has 4 bytes or more, got {len(payload)}")
        return cls(struct.unpack_from("<I", payload)[0], payload[4:])


@dataclasses.dataclass(frozen=True)
class Final:
    """The answer to a shot: which observables flip (b8), or that the decoder declined it."""

    flips: bytes
    declined: bool = False

    def pack(self) -> bytes:
        """As the payload of a FINAL."""
        return bytes([self.declined]) + self.flips

    @classmethod
    def unpack(cls, payload: bytes) -> Final:
        """From the payload of a FINAL."""
        if not payload or payload[0] > 1:
            raise Malformed("the answer to a shot begins with a byte of 0 or 1 (declined)")
        return cls(payload[1:], bool(payload[0]))

"""One client's connection: takes frames out of a buffer of fixed size, answers, ends it."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

from decoders.streaming.framing import (
    HEADER_BYTES,
    Correction,
    Final,
    Frame,
    Kind,
    Malformed,
    take_frame,
)
from decoders.streaming.shots import Shots

if TYPE_CHECKING:
    from decoders.streaming.service import Service

_HIGH_WATER = 16 * 1024  # bytes of answers that wait here for a slow reader
_SENDING = 64 * 1024  # and that wait for it in the kernel, which would let this grow to megabytes
_LINGER_S = 2.0  # for a client to read why its connection ends


class Connection(asyncio.BufferedProtocol):
    """Not read while its answers wait, for the decoder or for the client to read them.

    The buffer holds `unanswered` rounds, so that a client that floods cannot keep others waiting.
    """

    def __init__(self, service: Service):
        self._service, self._loop = service, asyncio.get_running_loop()
        bits = service.greeting.bits
        least = HEADER_BYTES + min((one + 7) // 8 for one in bits)
        self._size = max(HEADER_BYTES + service.greeting.largest, least * service.limits.unanswered)
        self._held, self._filled = bytearray(self._size), 0
        self._shots = Shots(service.plan)
        self._waiting: Frame | None = None
        self._stuck = self._over = self._ending = False
        self._came_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets, and takes nobody beyond the limit."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        # A client whose machine went away without a word gives its place back after a while.
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING)
        transport.write(self._service.greeting.pack())
        if reason := self._service.joined(self):
            self.refuse(reason)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go; where all are thrown away, the whole of it."""
        return memoryview(self._held)[0 if self._over else self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Answers all that is whole."""
        if self._over:
            return
        self._came_s = time.perf_counter()
        self._filled += nbytes
        self._pump()

    def eof_received(self) -> bool:
        """The client has said all; it still gets its answers."""
        self._ending = True
        if self._over:
            self._transport.close()
        self._pump()
        return True

    def pause_writing(self) -> None:
        """The client does not read: it is given some time."""
        self._stuck = True
        self._cut_after(self._service.limits.slow_s)

    def resume_writing(self) -> None:
        """It does again."""
        self._stuck = False
        if not self._over:
            self._keep()
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it stays."""
        self._over = True
        self._keep()
        self._service.left(self)

    # What the service calls.

    @property
    def is_over(self) -> bool:
        """Whether it only lingers."""
        return self._over

    def refuse(self, reason: str) -> None:
        """Says why, and ends; what still comes is thrown away, lest a reset swallow the reason."""
        if self._over:
            return
        self._over = True
        error = Frame(Kind.ERROR, 0, 0, reason.encode()[:1_000])
        self._transport.write(error.pack())
        if self._ending:
            self._transport.close()
        else:
            self._transport.write_eof()
            self._transport.resume_reading()
        self._cut_after(min(_LINGER_S, self._service.limits.slow_s))

    def abort(self) -> None:
        """Ends at once."""
        self._transport.abort()

    # What happens between.

    def _pump(self) -> None:
        """Answers what is there, as long as answers find their way."""
        begun, view = 0, memoryview(self._held)
        # Writes to a connection that was reset only fill asyncio's log.
        while not (self._waiting or self._stuck or self._over or self._transport.is_closing()):
            try:
                found = take_frame(view[begun : self._filled], self._service.greeting.largest)
                if found is None:
                    break
                frame, length = found
                begun += length
                self._take(frame)
            except Malformed as error:
                self._service.counts.refused += 1
                self.refuse(str(error))
            except (ValueError, RuntimeError) as error:  # no matching explains these events
                self.refuse(f"the decoder failed: {' '.join(str(error).split())}")
        left = self._filled - begun
        view[:left] = view[begun : self._filled]
        self._filled = left
        if self._over or self._transport.is_closing():
            return
        if self._waiting or self._stuck:
            self._transport.pause_reading()
        elif self._ending:
            self._transport.close()
            self._cut_after(self._service.limits.slow_s)
        else:
            self._transport.resume_reading()

    def _take(self, frame: Frame) -> None:
        answer, decided = self._shots.take(frame)
        if isinstance(answer, Final):
            self._finish(frame, answer)
        elif isinstance(answer, Correction):
            self._send(Frame(Kind.CORRECTION, frame.shot, frame.round, answer.pack()), decided)
        else:
            self._waiting = frame
            self._service.batches.submit(self, answer, self._told)

    def _told(self, answer: Final | str) -> None:
        """What the decoder said to the shot that waited."""
        frame, self._waiting = self._waiting, None
        if self._over or frame is None:
            return
        if isinstance(answer, str):
            self.refuse(f"the decoder failed on shot {frame.shot}: {answer}")
            return
        self._finish(frame, answer)
        self._pump()

    def _finish(self, frame: Frame, answer: Final) -> None:
        self._service.counts.shots += 1
        self._service.counts.declined += answer.declined
        self._send(Frame(Kind.FINAL, frame.shot, frame.round, answer.pack()), True)

    def _send(self, frame: Frame, decided: bool) -> None:
        self._transport.write(frame.pack())
        self._service.answered(time.perf_counter() - self._came_s, decided)

    def _cut_after(self, seconds: float) -> None:
        self._keep()
        self._timer = self._loop.call_later(seconds, self._cut)

    def _keep(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        if self._stuck and not self._over:
            self._service.counts.slow += 1
        self._transport.abort()

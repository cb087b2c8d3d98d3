"""A `FrameLink` around the sans-I/O protocol object of the `websockets` library.

Nothing of the library waits, so nothing here has to: a frame that is sent is turned into bytes and
handed to the kernel within the caller's own step. What the kernel does not take at once lies in one
buffer, in order, until a task flushes it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol

from transports.connection import Connection, SocketConnection
from transports.frame_link import (
    MOST_MESSAGE,
    WRITE_TIMEOUT,
    HandshakeFailed,
    LinkClosed,
    LinkLost,
)

MOST_UNSENT = 32 * 1024
"""Bytes the kernel is asked to hold for a peer that does not read: a second of 16 kHz sound."""
MOST_ANSWERS = 64 * 1024
"""Bytes that may wait for a peer that keeps asking and does not read, before it is not read."""

logger = logging.getLogger("troupe.transports.link")
# The library logs whole frames at level debug: what people say is in no log, whatever its level.
logger.setLevel(logging.WARNING)

DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)

MOST_FRAGMENTS = 1000
"""Frames that one message may come in."""


@asynccontextmanager
async def open_sansio_link(
    connection: Connection, *, handshake_timeout: float = 5.0, write_timeout: float = WRITE_TIMEOUT
) -> AsyncIterator[SansIoLink]:
    """Answer the WebSocket request on a connection; see `OpenLink`."""
    if isinstance(connection, SocketConnection):
        connection.limit_unsent(MOST_UNSENT)
    protocol = ServerProtocol(max_size=MOST_MESSAGE, logger=logger)
    try:
        link = SansIoLink(connection, protocol, write_timeout)
        try:
            with trio.fail_after(handshake_timeout):
                await link.answer_handshake(protocol)
        except (trio.TooSlowError, *GONE):
            raise HandshakeFailed("no handshake came in time") from None
        yield link
    finally:
        connection.abort()


class SansIoLink:
    """Server or client, whichever its protocol object is; the handshake is over."""

    def __init__(
        self, connection: Connection, protocol: Protocol, write_timeout: float = WRITE_TIMEOUT
    ) -> None:
        self.heard_at = trio.current_time()
        self._connection = connection
        self._protocol = protocol
        self._timeout = write_timeout
        self._out = bytearray()
        self._writing = trio.Lock()
        self._receiving = False
        self._ended = trio.Event()
        """Nothing more will come."""
        self._early: list[object] = []
        """Frames that came together with the request."""
        self._parts: list[bytes] = []
        self._fragments = 0
        """Of a message that comes in fragments."""
        self._parts_are_text = False

    def __repr__(self) -> str:
        return f"<SansIoLink to {self._connection.peer}: {self._protocol.state.name.lower()}>"

    async def answer_handshake(self, protocol: ServerProtocol) -> None:
        """Read the request and accept it, or say why not."""
        events: Sequence[object] = ()
        while not events and protocol.handshake_exc is None:
            protocol.receive_data(await self._connection.receive_some() or _ended_early())
            events = protocol.events_received()
        if events:
            request, *self._early = events
            assert isinstance(request, Request)
            protocol.send_response(protocol.accept(request))
        await self._connection.send_all(b"".join(protocol.data_to_send()))
        if protocol.state is not State.OPEN:
            raise HandshakeFailed(str(protocol.handshake_exc))

    # -- sending --------------------------------------------------------------------------

    @property
    def unsent(self) -> bool:
        return bool(self._out)

    def send_nowait(self, payload: bytes | str) -> bool:
        if self._out:
            return False
        self._frame(payload)
        self._push()
        return True

    async def send(self, payloads: Sequence[bytes | str]) -> None:
        for payload in payloads:
            self._frame(payload)
        await self.flush()

    async def ping(self) -> None:
        try:
            self._protocol.send_ping(b"")
        except InvalidState:
            raise self._closed() from None
        await self.flush()

    async def flush(self) -> None:
        self._push()
        if not self._out:
            await trio.lowlevel.checkpoint()
            return
        try:
            with trio.fail_after(self._timeout):
                async with self._writing:
                    while self._out:
                        data = bytes(self._out)
                        self._out.clear()
                        await self._connection.send_all(data)
        except trio.TooSlowError:
            self.abort()
            raise LinkLost(reason="the peer does not read") from None
        except GONE:
            raise LinkLost from None

    def _frame(self, payload: bytes | str) -> None:
        """Turn a frame into bytes; the protocol object keeps them until `_push`."""
        try:
            if isinstance(payload, str):
                self._protocol.send_text(payload.encode())
            else:
                self._protocol.send_binary(payload)
        except InvalidState:
            raise self._closed() from None

    def _push(self) -> None:
        """Hand what is to go to the kernel, as much as it takes; keep the rest."""
        data = self._protocol.data_to_send()
        if self._out or self._writing.locked():
            self._out += b"".join(data)
            return
        whole = data[0] if len(data) == 1 else b"".join(data)
        if not whole:  # nothing to go, or only the library's sign to half-close
            return
        try:
            sent = self._connection.send_nowait(whole)
        except GONE:
            raise LinkLost from None
        if sent < len(whole):
            self._out += whole[sent:]

    # -- receiving ------------------------------------------------------------------------

    async def receive(self) -> Sequence[bytes | str]:
        self._receiving = True
        try:
            while True:
                messages = self._messages()
                if messages:
                    return messages
                if self._ended.is_set():
                    raise self._closed()
                await self._read()
        finally:
            self._receiving = False

    async def _read(self) -> None:
        """Feed the protocol with what comes, and notice the end."""
        protocol = self._protocol
        try:
            data = await self._connection.receive_some()
        except GONE:
            data = b""
        self.heard_at = trio.current_time()
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        if not data or protocol.close_rcvd is not None or protocol.parser_exc is not None:
            self._ended.set()
        await self._answer()

    async def _answer(self) -> None:
        """Send the pongs and closes that reading has caused; a peer may not pile them up."""
        try:
            self._push()
            if len(self._out) > MOST_ANSWERS:
                await self.flush()
        except LinkClosed:
            self._ended.set()

    def _messages(self) -> list[bytes | str]:
        messages: list[bytes | str] = []
        events: Sequence[object] = self._protocol.events_received()
        if self._early:
            events = [*self._early, *events]
            self._early = []
        for event in events:
            assert isinstance(event, Frame)
            if event.opcode is Opcode.BINARY and event.fin:
                messages.append(bytes(event.data))
            elif event.opcode in DATA:
                self._part(event, messages)
        return messages

    def _part(self, frame: Frame, messages: list[bytes | str]) -> None:
        if frame.opcode is not Opcode.CONT:
            self._parts_are_text = frame.opcode is Opcode.TEXT
        if frame.data:
            self._parts.append(bytes(frame.data))
        self._fragments += 1
        if not frame.fin:
            # Their bytes are bounded by the protocol; empty ones have none.
            if self._fragments > MOST_FRAGMENTS and self._protocol.state is State.OPEN:
                self._protocol.fail(1008, "too many fragments")
                self._ended.set()
            return
        self._fragments = 0
        whole = b"".join(self._parts)
        self._parts.clear()
        if not self._parts_are_text:
            messages.append(whole)
            return
        try:
            messages.append(whole.decode())
        except UnicodeDecodeError:
            if self._protocol.state is State.OPEN:
                self._protocol.fail(1007, "a text is not UTF-8")
            self._ended.set()

    # -- the end --------------------------------------------------------------------------

    async def close(self, code: int = 1000, reason: str = "") -> None:
        with trio.move_on_after(self._timeout):
            try:
                if self._protocol.state is State.OPEN:
                    self._protocol.send_close(code, reason)
                await self.flush()
                if self._receiving:
                    await self._ended.wait()
                while not self._ended.is_set():
                    await self._read()
                    self._protocol.events_received()
                if self._protocol.parser_exc is not None:
                    await self._let_it_read()
            except (LinkClosed, *GONE):
                pass
        self.abort()

    async def _let_it_read(self) -> None:
        """A socket closed with unread bytes is reset, and our last words would be lost."""
        await self._connection.send_eof()
        while await self._connection.receive_some():
            pass

    def abort(self) -> None:
        self._ended.set()
        self._connection.abort()

    def _closed(self) -> LinkClosed:
        received = self._protocol.close_rcvd
        if received is None:
            failure = self._protocol.close_sent
            if failure is not None and self._protocol.parser_exc is not None:
                return LinkLost(failure.code, failure.reason or "the peer broke the protocol")
            return LinkLost()
        return LinkClosed(received.code, received.reason)


def _ended_early() -> bytes:
    raise HandshakeFailed("the peer went away")

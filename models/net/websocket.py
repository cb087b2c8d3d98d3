"""A WebSocket client over any trio stream, by wsproto; every failure is a `ProviderFault`.

Not trio-websocket: its handshake waits until its timeout for a server that has hung up or does not
speak HTTP, where the fallback provider could be talking already; and it needs a nursery and a
reader task for each socket. Here the task that uses the socket reads it.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, ProtocolError

from models.faults import FaultKind
from models.net.faults import ProviderFault, garbled, status_fault

Dial = Callable[[], Awaitable[trio.abc.Stream]]
"""Makes the stream to the server; in tests it may be made of memory."""

_RECEIVE = 64 * 1024
_LONGEST_BODY = 16 * 1024
_LAST_WORDS = 0.2
"""Seconds that a server's reason for closing has to be read when sending has failed."""
_GOODBYE = 0.5
"""Seconds to say goodbye in; then the connection is cut."""
_WRITE = 2.0
"""Seconds that a server may take no bytes."""


class WebSocket:
    """An open one. One task receives; sending is safe from several."""

    def __init__(self, stream: trio.abc.Stream, longest: int) -> None:
        self._stream = stream
        self._longest = longest
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._sending = trio.Lock()
        self._events: deque[Event] = deque()
        self._parts: list[str] | list[bytes] = []
        self._size = 0
        self.close_code: int | None = None
        """Why the server closed it, once `receive` has returned None."""
        self.close_reason = ""

    async def send(self, message: str | bytes) -> None:
        """Send a message.

        Raises:
            ProviderFault: the connection is broken, or the server takes no more bytes.
        """
        event = BytesMessage(message) if isinstance(message, bytes) else TextMessage(message)
        try:
            await self._send(event)
        except ProviderFault as fault:
            if fault.passing:
                # Whoever receives may just be reading why it was closed, and then ends us.
                await trio.sleep(_LAST_WORDS)
            raise

    async def receive(self) -> str | bytes | None:
        """The next message; None when the server has closed the socket in order.

        Raises:
            ProviderFault: the connection broke, a message is too long, or it is no WebSocket.
        """
        while True:
            match await self._next():
                case TextMessage() | BytesMessage() as event:
                    message = self._collect(event)
                    if message is not None:
                        return message
                case Ping() as event:
                    await self._send(event.response())
                case CloseConnection() as event:
                    self.close_code, self.close_reason = event.code, event.reason or ""
                    return None
                case _:
                    pass  # a pong that nobody asked for

    async def handshake(self, host: str, target: str, headers: Mapping[str, str]) -> None:
        """Ask for the WebSocket.

        Raises:
            ProviderFault: the server said no, hung up, or does not speak the protocol.
        """
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send(Request(host=host, target=target, extra_headers=lines))
        rejected: RejectConnection | None = None
        body = b""
        while True:
            match await self._next():
                case AcceptConnection():
                    return
                case RejectConnection() as rejected:
                    if not rejected.has_body:
                        raise _refusal(rejected, body)
                case RejectData() as event if rejected is not None:
                    body = (body + bytes(event.data))[:_LONGEST_BODY]
                    if event.body_finished or len(body) == _LONGEST_BODY:
                        raise _refusal(rejected, body)
                case _:
                    raise garbled("not a WebSocket handshake")

    def closed_fault(self) -> ProviderFault:
        """What it means that the server closed the socket, if nobody had asked it to."""
        detail = f"it closed the socket ({self.close_code})"
        match self.close_code:
            case 1002 | 1003 | 1007:
                return garbled(detail)
            case 1008 | 1009 | 1010:  # the server minds what it was sent
                return ProviderFault(FaultKind.REJECTED, detail)
            case _:
                return ProviderFault(FaultKind.UNAVAILABLE, detail)

    async def close(self) -> None:
        """Say goodbye, briefly, and cut the connection. Never fails."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _GOODBYE):
            try:
                await self._send(CloseConnection(code=1000))
            except ProviderFault:
                pass  # it is being left anyway
        await trio.aclose_forcefully(self._stream)

    async def _next(self) -> Event:
        while not self._events:
            try:
                data = await self._stream.receive_some(_RECEIVE)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ProviderFault(FaultKind.UNAVAILABLE, "the connection broke") from error
            if not data:
                raise ProviderFault(FaultKind.UNAVAILABLE, "it hung up")
            try:
                self._wire.receive_data(bytes(data))
                self._events.extend(self._wire.events())
            except ProtocolError as error:
                raise garbled("not a WebSocket") from error
        return self._events.popleft()

    def _collect(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        self._size += len(event.data)
        if self._size > self._longest:
            raise garbled(f"a message of more than {self._longest} bytes")
        self._parts.append(event.data if isinstance(event.data, str) else bytes(event.data))  # type: ignore[arg-type]
        if not event.message_finished:
            return None
        parts, self._parts, self._size = self._parts, [], 0
        return "".join(parts) if isinstance(event, TextMessage) else b"".join(parts)  # type: ignore[arg-type]

    async def _send(self, event: Event) -> None:
        async with self._sending:
            try:
                data = self._wire.send(event)
                with trio.fail_after(_WRITE):
                    await self._stream.send_all(data)
            except LocalProtocolError as error:  # it was closed meanwhile
                raise ProviderFault(FaultKind.UNAVAILABLE, "the socket is closed") from error
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ProviderFault(FaultKind.UNAVAILABLE, "the connection broke") from error
            except trio.TooSlowError as error:
                detail = f"it took no bytes for {_WRITE:g} s"
                raise ProviderFault(FaultKind.TIMEOUT, detail) from error


def _refusal(rejected: RejectConnection, body: bytes) -> ProviderFault:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in rejected.headers
    }
    return status_fault(rejected.status_code, headers, body, datetime.now(UTC))


async def dial(url: str, context: ssl.SSLContext | None) -> trio.abc.Stream:
    """A TCP stream to the host of a WebSocket URL, with TLS for `wss`.

    Raises:
        OSError: it cannot be reached.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if context is None:
        return await trio.open_tcp_stream(host, parts.port or 80)
    return await trio.open_ssl_over_tcp_stream(
        host, parts.port or 443, ssl_context=context, https_compatible=True
    )


@asynccontextmanager
async def open_websocket(
    url: str, headers: Mapping[str, str], dialled: Dial, *, within: float, longest: int
) -> AsyncIterator[WebSocket]:
    """Connect, yield the socket, and close it.

    Args:
        url: with its query.
        dialled: makes the stream to its host.
        within: seconds for all of the connecting.
        longest: bytes that one message of the server may have.
    Raises:
        ProviderFault: it could not be opened.
    """
    socket: WebSocket | None = None
    try:
        with trio.fail_after(within):
            socket = WebSocket(await dialled(), longest)
            parts = urlsplit(url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            await socket.handshake(parts.netloc.rpartition("@")[2], target, headers)
    except trio.TooSlowError as error:
        await _abandon(socket)
        raise ProviderFault(FaultKind.TIMEOUT, f"no connection in {within:g} s") from error
    except (OSError, trio.BrokenResourceError, ssl.SSLError) as error:
        await _abandon(socket)
        raise ProviderFault(FaultKind.UNAVAILABLE, type(error).__name__) from error
    except BaseException:
        await _abandon(socket)
        raise
    try:
        yield socket
    finally:
        await socket.close()


async def _abandon(socket: WebSocket | None) -> None:
    if socket is not None:
        with trio.CancelScope(shield=True):  # forceful closing does not wait
            await trio.aclose_forcefully(socket._stream)

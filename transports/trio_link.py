"""A `FrameLink` around trio-websocket, with a task of its own that reads.

It costs up to three times what `sansio_link.py` does, and stands beside it because it shares no
code with it: where one misbehaves with some peer, the other is there. Frames that a peer sends
before it has the answer to its request, which no peer should, wait until more comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import trio
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    wrap_server_stream,
)

from transports.connection import Connection, SocketConnection
from transports.frame_link import (
    MOST_MESSAGE,
    WRITE_TIMEOUT,
    HandshakeFailed,
    LinkClosed,
    LinkLost,
)
from transports.sansio_link import GONE, MOST_UNSENT

QUEUED_MESSAGES = 16
"""Read ahead of the wire; beyond them the peer is not read."""


@asynccontextmanager
async def open_trio_link(
    connection: Connection, *, handshake_timeout: float = 5.0, write_timeout: float = WRITE_TIMEOUT
) -> AsyncIterator[TrioLink]:
    """Answer the WebSocket request on a connection; see `OpenLink`."""
    if isinstance(connection, SocketConnection):
        connection.limit_unsent(MOST_UNSENT)
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            websocket = await _accept(nursery, connection, within=handshake_timeout)
            try:
                yield TrioLink(connection, websocket, write_timeout)
            except Exception as error:  # noqa: BLE001  the caller's, whatever it is
                failure = error  # raised outside: what leaves a nursery is a group
            nursery.cancel_scope.cancel()
    except* HandshakeFailed as group:
        failure = group.exceptions[0]
    finally:
        connection.abort()
    if failure is not None:
        raise failure


async def _accept(
    nursery: trio.Nursery, connection: Connection, *, within: float
) -> WebSocketConnection:
    try:
        with trio.fail_after(within):
            request = await wrap_server_stream(
                nursery,
                connection,
                message_queue_size=QUEUED_MESSAGES,
                max_message_size=MOST_MESSAGE,
            )
            return await request.accept()
    except (trio.TooSlowError, HandshakeError, *GONE) as error:
        nursery.cancel_scope.cancel()
        raise HandshakeFailed(f"no handshake: {type(error).__name__}") from None


class TrioLink:
    """The server's side of a WebSocket whose handshake is over."""

    def __init__(
        self, connection: Connection, websocket: WebSocketConnection, write_timeout: float
    ) -> None:
        self.heard_at = trio.current_time()
        self._connection = connection
        self._websocket = websocket
        self._timeout = write_timeout

    def __repr__(self) -> str:
        return f"<TrioLink to {self._connection.peer}>"

    @property
    def unsent(self) -> bool:
        return False

    def send_nowait(self, payload: bytes | str) -> bool:
        """Never: a message of trio-websocket can only be awaited."""
        del payload
        return False

    async def send(self, payloads: Sequence[bytes | str]) -> None:
        try:
            with trio.fail_after(self._timeout):
                for payload in payloads:
                    await self._websocket.send_message(payload)
        except trio.TooSlowError:
            self.abort()
            raise LinkLost(reason="the peer does not read") from None
        except (ConnectionClosed, *GONE) as error:
            self._closed(error)

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()

    async def ping(self) -> None:
        try:
            with trio.move_on_after(self._timeout):
                await self._websocket.ping()
                self.heard_at = trio.current_time()
        except (ConnectionClosed, *GONE) as error:
            self._closed(error)

    async def receive(self) -> Sequence[bytes | str]:
        try:
            message: bytes | str = await self._websocket.get_message()
        except (ConnectionClosed, *GONE) as error:
            self._closed(error)
        self.heard_at = trio.current_time()
        return [message]

    async def close(self, code: int = 1000, reason: str = "") -> None:
        with trio.move_on_after(self._timeout):
            await self._websocket.aclose(code, reason)
        self.abort()

    def abort(self) -> None:
        self._connection.abort()

    def _closed(self, error: Exception) -> NoReturn:
        """trio-websocket tells one story for all ends; only a peer's own close has its code."""
        reason = error.reason if isinstance(error, ConnectionClosed) else None
        if reason is None or reason.code == 1006:
            raise LinkLost from None
        raise LinkClosed(reason.code, reason.reason or "") from None

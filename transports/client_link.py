"""The other side of a `FrameLink`: connecting to a WebSocket server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.http11 import Response
from websockets.uri import WebSocketURI, parse_uri

from transports.connection import Connection, SocketConnection, TlsConnection
from transports.frame_link import MOST_MESSAGE, WRITE_TIMEOUT, HandshakeFailed
from transports.sansio_link import GONE, SansIoLink, logger


@asynccontextmanager
async def connect_link(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109  of several steps, the caller's block not among them
    write_timeout: float = WRITE_TIMEOUT,
) -> AsyncIterator[SansIoLink]:
    """A WebSocket to `url`; leaving the block closes it.

    Args:
        url: "ws://" or "wss://", host, path.
        headers: sent beside those of the handshake.
        tls: whom to trust, for "wss://"; the system's certificates if left out.
        timeout: seconds for name, connection and handshake together.

    Raises:
        HandshakeFailed: nobody there, or they would not have us; the message says which.
    """
    try:
        uri = parse_uri(url)
    except InvalidURI as error:
        raise HandshakeFailed(str(error)) from None
    connection: Connection | None = None
    try:
        try:
            with trio.fail_after(timeout):
                connection = await _connect(uri, tls)
                protocol = ClientProtocol(uri, max_size=MOST_MESSAGE, logger=logger)
                await _shake_hands(protocol, connection, headers or {})
        except trio.TooSlowError:
            raise HandshakeFailed(f"{url} did not answer within {timeout:g} s") from None
        except (OSError, *GONE) as error:
            raise HandshakeFailed(f"{url} cannot be reached: {error}") from error
        yield SansIoLink(connection, protocol, write_timeout)
    finally:
        if connection is not None:
            connection.abort()


async def _connect(uri: WebSocketURI, tls: ssl.SSLContext | None) -> Connection:
    stream = await trio.open_tcp_stream(uri.host, uri.port)
    plain = SocketConnection(socket.socket(fileno=stream.socket.detach()), uri.host)
    if not uri.secure:
        return plain
    return TlsConnection(plain, tls or ssl.create_default_context(), server_hostname=uri.host)


async def _shake_hands(
    protocol: ClientProtocol, connection: Connection, headers: Mapping[str, str]
) -> None:
    request = protocol.connect()
    request.headers.update(headers)
    protocol.send_request(request)
    await connection.send_all(b"".join(protocol.data_to_send()))
    while True:
        data = await connection.receive_some()
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        if protocol.handshake_exc is not None:
            raise HandshakeFailed(_why(protocol.handshake_exc))
        if not data:
            raise HandshakeFailed("the server closed the connection")
        events = protocol.events_received()
        if events:
            # What else came with the answer is for the one who receives.
            protocol.events = events[1:]
            assert isinstance(events[0], Response)
            return


def _why(error: Exception) -> str:
    text = str(error) if isinstance(error, InvalidHandshake) else "it speaks no WebSocket"
    return f"the server refused: {text}"

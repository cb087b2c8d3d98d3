"""A source that listens on a WebSocket, as its client."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio
from attrs.validators import gt, matches_re
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from models.net.http import secure_context
from models.net.websocket import dial
from transports.sources.listening import ListeningConfig, ListeningSource
from transports.sources.protocol import Feed, Parser, SourceFailed

_IN_ORDER = 1000
_TOO_BIG = 1009
_WRITE = 5.0
"""Seconds that the server may take no bytes."""


@attrs.frozen(kw_only=True)
class WebSocketSourceConfig(ListeningConfig):
    """Where it listens, and how patiently."""

    url: str = attrs.field(validator=matches_re(r"wss?://[^\s/?#@]+([/?][^\s#]*)?"), repr=False)
    """"ws://" or "wss://", host, path, query."""
    subprotocols: tuple[str, ...] = ()
    """What it offers to speak, best first."""
    ping_interval: float = attrs.field(default=20.0, validator=gt(0))
    """Seconds between two pings."""
    ping_timeout: float = attrs.field(default=20.0, validator=gt(0))
    """Seconds until a ping is answered; then the connection is lost."""
    close_timeout: float = attrs.field(default=10.0, validator=gt(0))
    """Seconds the server has to say goodbye."""


class WebSocketSource(ListeningSource):
    """Every message of the server is one of the channel, if the parser can read it.

    When the server closes the socket in order (1000) the source is over, unless it reconnects; all
    else is a failure.
    """

    def __init__(
        self, config: WebSocketSourceConfig, parser: Parser | None = None, name: str = ""
    ) -> None:
        super().__init__(name or f"websocket {urlsplit(config.url).netloc}", config, parser)
        self._config = config
        self._socket: WebSocketConnection | None = None
        self._handing_on = False
        """It reads nothing while the channel is busy, so no answer to a ping either."""
        self._heard = 0
        """Messages."""
        self._sent = 0

    async def send(self, message: str | bytes) -> None:
        """Say something to the server.

        Raises:
            SourceFailed: it is not connected, or the server takes no bytes.
        """
        if self._socket is None:
            raise SourceFailed("not connected")
        try:
            with trio.fail_after(_WRITE):
                await self._socket.send_message(message)
        except ConnectionClosed:
            raise SourceFailed("not connected") from None
        except trio.TooSlowError:
            raise SourceFailed(f"the server took no bytes for {_WRITE:g} s") from None
        self._sent += 1

    async def listen(self, emit: Feed) -> None:
        config = self._config
        context = await secure_context(config.url)
        stream: trio.abc.Stream | None = None
        try:
            with trio.fail_after(config.connect_timeout):
                stream = await dial(config.url, context)
                if isinstance(stream, trio.SSLStream):
                    await stream.do_handshake()  # else a bad certificate is a silent server
            await self._talk(stream, emit)
        except (OSError, ssl.SSLError, trio.BrokenResourceError, trio.TooSlowError) as error:
            raise SourceFailed(f"cannot connect ({type(error).__name__})") from None
        finally:
            self._socket = None
            if stream is not None:  # trio-websocket leaves it open in some cases
                with trio.CancelScope(shield=True):  # forceful closing does not wait
                    await trio.aclose_forcefully(stream)

    async def _talk(self, stream: trio.abc.Stream, emit: Feed) -> None:
        failure: SourceFailed | None = None
        try:
            async with trio.open_nursery() as nursery:  # in which trio-websocket reads
                try:
                    self._socket = await self._shake_hands(nursery, stream)
                    self.is_connected(emit)
                    await self._hear(self._socket, emit)
                except SourceFailed as failed:
                    failure = failed  # raised outside: what leaves a nursery is a group
                if self._socket is not None:
                    with trio.move_on_after(self._config.close_timeout):
                        await self._socket.aclose()
                nursery.cancel_scope.cancel()
        except* ConnectionRejected as group:
            failure = _refusal(group)
        if failure is not None:
            raise failure

    async def _shake_hands(
        self, nursery: trio.Nursery, stream: trio.abc.Stream
    ) -> WebSocketConnection:
        config = self._config
        parts = urlsplit(config.url)
        headers = config.revealed().items()
        try:
            with trio.fail_after(config.connect_timeout):
                return await wrap_client_stream(
                    nursery,
                    stream,  # type: ignore[arg-type]  # any stream will do
                    parts.netloc,
                    (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                    subprotocols=config.subprotocols or None,
                    extra_headers=[(name.encode(), value.encode()) for name, value in headers],
                    max_message_size=config.max_size,
                )
        except (ConnectionClosed, HandshakeError, trio.TooSlowError) as error:
            raise SourceFailed(f"cannot connect ({type(error).__name__})") from None

    async def _hear(self, socket: WebSocketConnection, emit: Feed) -> None:
        code: int | None = None
        silent = self._handing_on = False
        async with trio.open_nursery() as nursery:
            hearing = nursery.cancel_scope

            async def keep_alive() -> None:
                nonlocal silent
                silent = await self._falls_silent(socket)
                if silent:
                    hearing.cancel()

            nursery.start_soon(keep_alive)
            try:
                while True:
                    payload = await socket.get_message()
                    self._heard += 1
                    self._handing_on = True
                    await self.take(payload, emit)
                    self._handing_on = False
            except ConnectionClosed as closed:
                code = closed.reason.code if closed.reason is not None else None
            hearing.cancel()
        if silent:
            raise SourceFailed(f"no answer to a ping for {self._config.ping_timeout:g} s")
        if code == _TOO_BIG:
            raise SourceFailed(f"closed (1009): more than {self._config.max_size} bytes?")
        if code != _IN_ORDER or self._config.reconnect:
            raise SourceFailed("the connection broke" if code is None else f"closed ({code})")

    async def _falls_silent(self, socket: WebSocketConnection) -> bool:
        """Whether it answers no ping any more; False once it is closed."""
        while True:
            await trio.sleep(self._config.ping_interval)
            heard = self._heard
            with trio.move_on_after(self._config.ping_timeout) as patience:
                try:
                    await socket.ping()
                except ConnectionClosed:
                    return False  # whoever hears has been told why
            busy = self._handing_on or self._heard > heard
            if patience.cancelled_caught and not busy:
                return True

    def details(self) -> Mapping[str, Any]:
        return {**super().details(), "sent": self._sent}


def _refusal(group: BaseExceptionGroup[ConnectionRejected]) -> SourceFailed:
    rejected: BaseException = group
    while isinstance(rejected, BaseExceptionGroup):
        rejected = rejected.exceptions[0]
    status = rejected.status_code if isinstance(rejected, ConnectionRejected) else 0
    # Of all that a client may have done wrong, only these pass.
    final = 400 <= status < 500 and status not in (408, 425, 429)
    return SourceFailed(f"HTTP {status}", final)

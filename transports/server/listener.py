"""The actor that accepts: it reads the head of the first request and hands the connection over.

A WebSocket upgrade of a media path becomes a wire, a child of the `wires` supervisor; everything
else is told to the web actor, with the bytes that were read given back.
"""

from __future__ import annotations

import errno
import ipaddress
import itertools
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
import trio

from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    Request,
    Restart,
    SupervisionError,
    handles,
)
from supervision.secret import Secret
from supervision.supervisor import StartChild
from transports.connection import Connection, SocketConnection, TlsConnection
from transports.server.config import ServerConfig
from transports.server.gate import Gate
from transports.server.head import MOST_HEAD, Head, parse_head

logger = logging.getLogger("troupe.transports.server")

OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@attrs.frozen
class Where(Request[str]):
    """The address people can open: "http://127.0.0.1:8474"."""


@attrs.frozen
class Serve(Request[None]):
    """Answer the requests that come on this connection, and close it."""

    connection: Connection


Admits = Callable[[Secret | None], bool]
"""Whether whoever shows that token on this connection may come in."""

MakeWire = Callable[[Connection, Head, Admits], Actor[Any]]
"""Makes the actor that takes a WebSocket connection over; its request is still to be answered."""


@attrs.frozen
class ListenerStatistics:
    """What came to the door."""

    address: str
    open: int
    accepted: int
    turned_away: int
    """Too many were there already."""
    unfit: int
    """Sent no request in time, or none that could be read."""
    strangers: int
    """Pages of other origins that tried to open a wire."""


class Listener(Actor[Where]):
    """Accepts connections until it is stopped; those who are in by then are not its business."""

    def __init__(
        self,
        config: ServerConfig,
        media: Mapping[str, MakeWire],
        wires: ActorRef[StartChild],
        web: ActorRef[Serve],
    ) -> None:
        super().__init__()
        self._config = config
        self._gate = Gate(config.tokens, config.origins)
        self._media = media
        self._wires = wires
        self._web = web
        self._numbers = itertools.count(1)
        self._open: Counter[str] = Counter()
        """Connections by address."""
        self._accepted = self._turned_away = self._unfit = self._strangers = 0

    def on_start(self) -> None:
        config = self._config
        self._tls = tls_context(config)
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        self._socket = socket.create_server(
            (config.host, config.port), family=family, backlog=config.backlog
        )
        self._socket.setblocking(False)
        self.start_task(self._accept, name="accept")

    @handles
    def on_where(self, message: Where) -> str:
        host, port = self._socket.getsockname()[:2]
        if ipaddress.ip_address(host).is_unspecified:
            host = "localhost"
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if self._tls else 'http'}://{name}:{port}"

    def statistics(self) -> ListenerStatistics:
        return ListenerStatistics(
            self.on_where(Where()),
            self._open.total(),
            self._accepted,
            self._turned_away,
            self._unfit,
            self._strangers,
        )

    # -- accepting ------------------------------------------------------------------------

    async def _accept(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await trio.lowlevel.wait_readable(self._socket)
                    try:
                        sock, address = self._socket.accept()
                    except OSError as error:
                        if error.errno in OUT_OF_FILES:
                            logger.warning(f"cannot accept: {error.strerror}; again in 0.1 s")
                            await trio.sleep(0.1)
                        continue  # or it was gone before it was accepted
                    self._accepted += 1
                    self._let_in(sock, str(address[0]), nursery)
        finally:
            # The task ends with the actor however that ends, where hooks may not run.
            self._socket.close()

    def _let_in(self, sock: socket.socket, peer: str, nursery: trio.Nursery) -> None:
        config = self._config
        full = self._open.total() >= config.max_connections
        if full or self._open[peer] >= config.max_per_address:
            self._turned_away += 1
            sock.close()
            return
        try:
            plain = SocketConnection(sock, peer, closed=partial(self._left, peer))
        except OSError:  # it went away before it could be set up
            sock.close()
            return
        self._open[peer] += 1
        tls = self._tls
        connection = plain if tls is None else TlsConnection(plain, tls)
        nursery.start_soon(self._hand_over, connection)

    def _left(self, peer: str) -> None:
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]

    # -- one connection -------------------------------------------------------------------

    async def _hand_over(self, connection: Connection) -> None:
        taken = False
        try:
            with trio.fail_after(self._config.head_timeout):
                head = await _read_head(connection)
            if head is None:
                self._unfit += 1
                await _answer(connection, "400 Bad Request")
            elif head.is_websocket and (make := self._media.get(head.path)) is not None:
                taken = await self._make_wire(make, connection, head)
            else:
                await self._web.ask(Serve(connection))
                taken = True
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._unfit += 1
        except SupervisionError:
            self._turned_away += 1
        finally:
            if not taken:
                connection.abort()

    async def _make_wire(self, make: MakeWire, connection: Connection, head: Head) -> bool:
        host = head.headers.get("host", "")
        if not self._gate.allows_origin(head.headers.get("origin", ""), host):
            self._strangers += 1
            await _answer(connection, "403 Forbidden")
            return False
        admits = partial(self._admits, head.bearer, connection.peer, host)
        spec = ChildSpec(
            f"w-{next(self._numbers)}",
            partial(make, connection, head, admits),
            restart=Restart.TEMPORARY,
        )
        try:
            await self._wires.ask(StartChild(spec))
        except SupervisionError:
            self._turned_away += 1
            await _answer(connection, "503 Service Unavailable")
            return False
        return True

    def _admits(self, bearer: str, peer: str, host: str, token: Secret | None) -> bool:
        if token is None and bearer:
            token = Secret(bearer)
        return self._gate.admits(token, peer=peer, host=host)


async def _read_head(connection: Connection) -> Head | None:
    """The head of the request that begins the connection; all of it is given back.

    None if there is none: something else was sent, too much, or nothing.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        more = await connection.receive_some(MOST_HEAD)
        if not more or len(data) + len(more) > 2 * MOST_HEAD:
            return None
        data += more
        if len(data) > MOST_HEAD and b"\r\n\r\n" not in data[:MOST_HEAD]:
            return None
    connection.unread(data)
    return parse_head(data)


async def _answer(connection: Connection, status: str) -> None:
    """Say so and nothing more; the connection is closed by the caller."""
    text = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    try:
        with trio.move_on_after(2):
            await connection.send_all(text.encode())
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


def tls_context(config: ServerConfig) -> ssl.SSLContext | None:
    """What TLS connections are made with; None without a certificate.

    Raises:
        OSError: the certificate or its key cannot be used.
    """
    if not config.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise OSError(
            f"server.tls_certificate ({config.tls_certificate}) and server.tls_key "
            f"({config.tls_key}) cannot be used: {error}"
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context
